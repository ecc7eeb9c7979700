"""What `fastnn train` can be pointed at: examples to learn and to be measured on, and settings that do well on them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets import load_digits, load_mnist
from ..losses import Quantile
from ..preprocessing import train_test_split
from ..tables.encoder import TableEncoder
from ..tables.targets import ClassTarget, QuantityTarget
from ..tabular.recipe import OF_CLASSES, OF_QUANTITIES, TabularRecipe
from .table_reading import ColumnUse

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIGIT_NAMES = tuple("0123456789")
TABLE_UPDATES = 20_000
"""Updates that a table gets at most by default, as far as they lie between the two numbers of epochs below."""

FEWEST_EPOCHS, MOST_EPOCHS = 60, 500
LARGEST_BATCH = 256


@dataclass(frozen=True)
class Recipe:
    """Settings of a training that do well without any option.

    `activation` is that of the hidden layers, to which the output's is chosen to go with the loss. `monitor`: the
    column whose best epoch on the validation rows is kept. `patience`: epochs without a better one after which the
    training ends; None: it does not, and of several epochs with the best value the last is kept. `tabular`: the recipe
    of the network and its training where it is one of `fastnn.tabular.recipe`.
    """

    hidden: tuple[int, ...]
    activation: str
    loss: str | Quantile
    epochs: int
    batch_size: int
    rate: float
    optimizer: str = "sgd"
    monitor: str = "val_loss"
    patience: int | None = 0
    tabular: TabularRecipe | None = None


MNIST = Recipe((30,), "sigmoid", "squared_error", epochs=30, batch_size=10, rate=1.5)
DIGITS = replace(MNIST, hidden=(48,), epochs=100)


def variant_for_table(variant: str, *, classes: bool) -> TabularRecipe:
    """Return a variant of the estimators' recipe."""
    return (OF_CLASSES if classes else OF_QUANTITIES)[variant]


def recipe_for_table(
    n_rows: int, n_quantities: int | None, *, classes: bool, images: bool = False, variant: str = "td"
) -> Recipe:
    """Return the settings for a table of encoded columns, or of pixels.

    Parameters
    ----------
    n_rows : int
        To learn from.
    n_quantities : int or None
        Inputs, if each is a quantity; None: there are others.
    classes : bool
        Whether classes are learned.
    images : bool, default False
    variant : str, default "td"
        Of the estimators.
    """
    curve = n_quantities == 1 and not classes  # smooth, and hard to overfit
    if not images and not curve:
        chosen = variant_for_table(variant, classes=classes)
        return Recipe(
            chosen.hidden, chosen.activation, chosen.loss, chosen.epochs, chosen.batch_size, chosen.rate, "adam",
            patience=None, tabular=chosen,
        )  # fmt: skip
    batch_size = int(np.clip(2 ** round(np.log2(max(n_rows, 1) / 50)), 8, LARGEST_BATCH))
    epochs = int(np.clip(TABLE_UPDATES * batch_size / max(n_rows, 1), FEWEST_EPOCHS, MOST_EPOCHS))
    loss = "cross_entropy" if classes else "squared_error"
    if curve:
        return Recipe((32, 16), "tanh", loss, 4 * epochs, batch_size, 0.01, "adam", patience=200)
    return Recipe((128, 64), "relu", loss, epochs, batch_size, 0.001, "adam", patience=20)


@dataclass(frozen=True, eq=False)
class TableParts:
    """What a task of a table has beyond its examples.

    Attributes
    ----------
    encoder : TableEncoder
        Fitted on the training rows.
    target : ClassTarget or QuantityTarget
        What is learned.
    held : dict
        Columns of the rows held out.
    validation : tuple of ndarray or None
        Inputs and targets by which the best epoch is chosen; None where there are too few rows.
    info : dict
        Where the data come from, for the model file.
    uses : tuple of ColumnUse
        What each column of the file is taken for.
    """

    encoder: TableEncoder
    target: ClassTarget | QuantityTarget
    held: dict[str, Any]
    validation: tuple[NDArray[Any], NDArray[Any]] | None
    info: dict[str, Any]
    uses: tuple[ColumnUse, ...]


@dataclass(frozen=True, eq=False)
class Task:
    """Examples to train on, examples held out to measure on, and what is known of them.

    Attributes
    ----------
    name : str
        What the run is called.
    X, y, X_held, y_held : ndarray
        Inputs (n, n_inputs) as the network takes them; labels (n,), or quantities (n, n_outputs) as it learns them.
    recipe : Recipe
        The settings to start from.
    class_names : tuple of str or None
        Names of the labels; None where quantities are learned.
    target_names : tuple of str
        Names of the network's quantities or quantiles, or of the one column of labels.
    image_shape : (height, width) or None
        What a row of inputs is a picture of.
    input_scale : float
        Factor on the inputs.
    table : TableParts or None
        What belongs to a table.
    """

    name: str
    X: NDArray[Any]
    y: NDArray[Any]
    X_held: NDArray[Any]
    y_held: NDArray[Any]
    recipe: Recipe
    class_names: tuple[str, ...] | None
    target_names: tuple[str, ...] = ("target",)
    image_shape: tuple[int, int] | None = None
    input_scale: float = 1.0
    table: TableParts | None = None

    @property
    def classifies(self) -> bool:
        """Whether the targets are classes, not quantities."""
        return self.class_names is not None

    @property
    def has_validation(self) -> bool:
        """Whether rows of a table choose the best epoch."""
        return self.table is not None and self.table.validation is not None


def load_task(arguments: argparse.Namespace, tell: Callable[[str], None] = print) -> Task:
    """Return the examples that the arguments name; `tell` gets what there is to say about them.

    Raises
    ------
    OSError
        If a file cannot be read or downloaded.
    ValueError
        If it is damaged, or its target does not suit the arguments.
    """
    if arguments.data == "digits":
        X, y = load_digits()
        X, X_held, y, y_held = train_test_split(
            X, y, test_fraction=arguments.held_out, seed=arguments.seed, stratify=True
        )
        return Task("digits", X, y, X_held, y_held, DIGITS, DIGIT_NAMES, image_shape=(8, 8), input_scale=1 / 16)
    if arguments.data == "mnist":
        (X, y), (X_held, y_held) = load_mnist()
        return Task("mnist", X, y, X_held, y_held, MNIST, DIGIT_NAMES, image_shape=(28, 28), input_scale=1 / 255)
    if not os.path.exists(arguments.data):
        raise FileNotFoundError(f"{arguments.data}: no such file; give digits, mnist or the file of a table")
    from .table_task import load_table_task

    return load_table_task(arguments, tell)
