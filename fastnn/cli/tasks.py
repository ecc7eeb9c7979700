"""The data of `fastnn train`: examples for training and evaluation, and settings that suit them."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..datasets import load_digits, load_mnist
from ..errors import FileFormatError
from ..preprocessing import StandardScaler, train_test_split
from ..tables.reading import Table, looks_like_labels, read_table

DIGIT_NAMES = tuple("0123456789")
TABLE_BATCH = 16
UPDATES = 5000
"""Default number of updates for a table, within the limits on the number of epochs below."""

FEWEST_EPOCHS, MOST_EPOCHS = 20, 500
SMALLEST_IMAGE = 64
"""Smallest square number of columns without names that is taken for an image: 8 x 8."""


@dataclass(frozen=True)
class Recipe:
    """Default settings of a training.

    `activation` is that of the hidden layers; that of the output follows from the loss.
    """

    hidden: tuple[int, ...]
    activation: str
    loss: str
    epochs: int
    batch_size: int
    rate: float


MNIST = Recipe((30,), "sigmoid", "squared_error", epochs=30, batch_size=10, rate=1.5)
DIGITS = replace(MNIST, hidden=(48,), epochs=100)


def recipe_for_table(n_rows: int, n_inputs: int, *, classes: bool) -> Recipe:
    """Return settings for a table of standardised columns, tuned on small public tables."""
    epochs = int(np.clip(UPDATES * TABLE_BATCH / n_rows, FEWEST_EPOCHS, MOST_EPOCHS))
    if classes:
        return Recipe((32,), "tanh", "cross_entropy", epochs, TABLE_BATCH, rate=0.05)
    if n_inputs == 1:  # a curve: smooth, and hard to overfit
        return Recipe((32, 16), "tanh", "squared_error", 4 * epochs, TABLE_BATCH, rate=0.03)
    return Recipe((16,), "relu", "squared_error", epochs, TABLE_BATCH, rate=0.02)


@dataclass(frozen=True)
class Task:
    """Examples for training, held-out examples for evaluation, and what is known about them.

    Attributes
    ----------
    name : str
        Name of the run.
    X, y, X_held, y_held : ndarray
        Inputs (n, n_inputs), not scaled; labels (n,), or quantities (n, n_outputs).
    recipe : Recipe
        Default settings.
    class_names : tuple of str or None
        Name of each label; None for quantities.
    column_names : tuple of str or None
        Name of each input, for the model file.
    target_names : tuple of str
        Name of each quantity, or of the column of labels.
    image_shape : (height, width) or None
        Shape of the image that a row of inputs is.
    input_scale : float
        Factor on the inputs.
    scaler : StandardScaler or None
        Scaler fitted on `X`, if a factor is not enough.
    """

    name: str
    X: NDArray
    y: NDArray
    X_held: NDArray
    y_held: NDArray
    recipe: Recipe
    class_names: tuple[str, ...] | None
    column_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] = ("target",)
    image_shape: tuple[int, int] | None = None
    input_scale: float = 1.0
    scaler: StandardScaler | None = None

    @property
    def classifies(self) -> bool:
        """Whether the targets are classes, not quantities."""
        return self.class_names is not None

    def prepared(self, X: NDArray) -> NDArray:
        """Return the inputs as the network takes them."""
        return X if self.scaler is None else self.scaler.transform(X)


def load_task(arguments: argparse.Namespace) -> Task:
    """Return the examples that the arguments name.

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
        raise FileNotFoundError(f"{arguments.data}: no such file; give digits, mnist or a .csv, .tsv or .npz file")
    return _task_of_file(arguments)


def has_own_names(column_names: Sequence[str]) -> bool:
    """Return whether columns have names other than those that `read_table` gives by order."""
    return not all(re.fullmatch(r"column \d+", name) for name in column_names)


def _task_of_file(arguments: argparse.Namespace) -> Task:
    path = Path(arguments.data)
    table = read_table(path, target=arguments.target, header=arguments.header, columns=arguments.columns)
    if table.y is None:
        raise FileFormatError(f"{path}: no array named y to learn; save it with numpy.savez(path, X=..., y=...)")
    y, class_names = _targets(table, arguments.task, path)
    frequent = class_names is not None and np.min(np.bincount(y)) >= 2
    X, X_held, y, y_held = train_test_split(
        table.X, y, test_fraction=arguments.held_out, seed=arguments.seed, stratify=bool(frequent)
    )
    n_targets = 1 if y.ndim == 1 else y.shape[1]
    name = table.target_name or "target"
    return Task(
        name=path.name.removesuffix(".gz").rsplit(".", 1)[0] or "table",
        X=X,
        y=y,
        X_held=X_held,
        y_held=y_held,
        recipe=recipe_for_table(len(X), X.shape[1], classes=class_names is not None),
        class_names=class_names,
        column_names=table.column_names,
        target_names=(name,) if n_targets == 1 else tuple(f"{name} {number + 1}" for number in range(n_targets)),
        image_shape=_image_shape(table, arguments.image_shape),
        scaler=StandardScaler().fit(X),
    )


def _targets(table: Table, task: str | None, path: Path) -> tuple[NDArray, tuple[str, ...] | None]:
    """Return labels and the names of the classes, or quantities (n, n_outputs) and None."""
    assert table.y is not None
    where = f"{path}: the target {table.target_name!r}"
    if table.class_names is not None:
        if task == "regression":
            raise ValueError(f"{where} holds texts, which --task regression cannot learn")
        y, names = table.y, table.class_names
    elif task == "regression" or (task is None and not looks_like_labels(table.y)):
        quantities = np.asarray(table.y, np.float64).reshape(len(table.y), -1)
        if (np.ptp(quantities, axis=0) == 0).any():
            raise ValueError(f"{where} is the same in every row: there is nothing to learn")
        return quantities, None
    else:
        if table.y.ndim != 1:
            raise ValueError(f"{where} has {table.y.shape[1]} columns, which --task classification cannot learn")
        values, y = np.unique(table.y, return_inverse=True)
        names = tuple(f"{value:.12g}" for value in values)
    if len(names) == 1:
        raise ValueError(f"{where} has only one class, {names[0]!r}: there is nothing to tell apart")
    if 2 * len(names) > len(y):
        raise ValueError(
            f"{where} has {len(names)} distinct values in {len(y)} rows, too many to be classes; "
            "name another column with --target"
        )
    return y.astype(np.int64), names


def _image_shape(table: Table, shape: tuple[int, ...] | None) -> tuple[int, int] | None:
    n = table.X.shape[1]
    if shape is not None:
        if len(shape) != 2 or shape[0] * shape[1] != n:
            raise ValueError(f"--image-shape must be a height and a width with {n} pixels, one for each column")
        return shape[0], shape[1]
    side = round(n**0.5)
    if has_own_names(table.column_names) or n < SMALLEST_IMAGE or side * side != n:
        return None
    return side, side
