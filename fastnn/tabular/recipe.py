"""RealMLP, whole and in its simple variant, as arguments of `Network` and of `Network.fit`.

The settings are those of Holzmueller, Grinsztajn and Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted
Trees on Tabular Data", NeurIPS 2024 (arXiv 2407.04491). Its layers compute z = W x / sqrt(n_in) + b with W and b
normal; the same functions come from weights W / sqrt(n_in), which Adam must move at the rate over sqrt(n_in). Epsilon
would be times sqrt(n_in); it is 1e-8 for all parameters, far below the roots of the mean squares either way. The
decoupled decay of W is that of W / sqrt(n_in), at the rate itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ..embeddings import CategoryEmbedding, NumberEmbedding, PeriodicEmbedding, PiecewiseLinearEmbedding
from ..initialisers import Normal
from ..optimizers import Adam, AdamW
from ..schedules import CosLog4, FlatCosine

__all__ = [
    "CLASSES",
    "QUANTITIES",
    "TabularRecipe",
    "fit_arguments",
    "network_arguments",
    "variant_of",
    "widths_of",
]

BIAS_FACTOR, INPUT_SCALE_FACTOR, ALPHA_FACTOR, EMBEDDING_FACTOR = 0.1, 6.0, 0.1, 0.1
"""Factors of the learning rate; of the decay their squares, but none for biases."""

EMBEDDINGS: dict[str, NumberEmbedding] = {
    "periodic": PeriodicEmbedding(n_frequencies=16, n_outputs=3, deviation=0.1),
    "piecewise_linear": PiecewiseLinearEmbedding(n_bins=48, n_outputs=8),
}
"""Of quantities, by the recipe's name; RealMLP's is periodic."""

ONE_HOT_LIMIT = 8
"""Values of a category up to which each is an input; the code of one of more is embedded."""

VECTOR_SIZE = 8
"""Numbers of its vector, normal with deviation 1; their rate and decay are those of the weights."""

NO_CATEGORIES: Mapping[int, int] = MappingProxyType({})

SMOOTHED = ("cross_entropy", "binary_cross_entropy")


@dataclass(frozen=True)
class TabularRecipe:
    """Settings of a training on a table whose encoder scales quantities and indicators.

    Attributes
    ----------
    hidden : tuple of int
        Neurons of each hidden layer.
    activation : str
        Of the hidden layers.
    loss : str or fastnn.losses.Quantile
    rate : float
        The highest learning rate.
    epochs, batch_size : int
    label_smoothing : float
    dropout, weight_decay : float
        At the start; each falls to 0 in the second half of the training.
    pieces : frozenset of str
        "embedding" of quantities, "learned activation", "data start": first weights and biases that are fitted to the
        inputs, "clipping" of answers to the range of the training targets, "category embedding" of categories of many
        values.
    embedding : str
        Which of `EMBEDDINGS` is that of quantities.
    """

    hidden: tuple[int, ...]
    activation: str
    loss: Any
    rate: float
    epochs: int = 256
    batch_size: int = 256
    label_smoothing: float = 0.0
    dropout: float = 0.0
    weight_decay: float = 0.0
    pieces: frozenset[str] = frozenset()
    embedding: str = "periodic"

    @property
    def one_hot_limit(self) -> int | None:
        """Values of a category up to which each is an input; None: however many they are."""
        return ONE_HOT_LIMIT if "category embedding" in self.pieces else None


CLASSES = TabularRecipe((256, 256, 256), "selu", "cross_entropy", rate=0.04, label_smoothing=0.1)
QUANTITIES = TabularRecipe((256, 256, 256), "mish", "squared_error", rate=0.07)
PIECES = frozenset({"embedding", "learned activation", "data start", "clipping", "category embedding"})
OF_CLASSES = {"td_s": CLASSES, "td": replace(CLASSES, dropout=0.15, weight_decay=0.02, pieces=PIECES)}
OF_QUANTITIES = {
    "td_s": QUANTITIES,
    "td": replace(QUANTITIES, rate=0.2, dropout=0.15, weight_decay=0.02, pieces=PIECES),
}
"""By the variant's name."""


FEW = 50
"""Rows below which none are held out, the simple variant is the default, and float64 costs nothing."""


def variant_of(given: str | None, precision: str | None, n_rows: int) -> str:
    """Return the variant that is given, or the default: the whole one, unless rows are few or products in bfloat16."""
    return given or ("td_s" if precision == "bfloat16" or n_rows < FEW else "td")


def embedding_of(recipe: TabularRecipe, quantities: Sequence[int]) -> NumberEmbedding | None:
    """Return the embedding of the inputs that are quantities, by their columns; None for no embedding."""
    if "embedding" not in recipe.pieces or not len(quantities):
        return None
    return replace(EMBEDDINGS[recipe.embedding], inputs=tuple(quantities))


def category_embedding_of(categories: Mapping[int, int]) -> CategoryEmbedding | None:
    """Return the embedding of the inputs that are codes, by their columns; None for no embedding."""
    return CategoryEmbedding(tuple(categories.values()), tuple(categories), VECTOR_SIZE) if categories else None


def widths_of(
    sizes: Sequence[int],
    recipe: TabularRecipe,
    quantities: Sequence[int] = (),
    categories: Mapping[int, int] = NO_CATEGORIES,
) -> list[int]:
    """Return what each layer of weights takes, then the outputs, for a network of these sizes."""
    embedding = embedding_of(recipe, quantities)
    added = embedding.n_embedded * embedding.n_outputs if embedding else 0
    return [sizes[0] + added + len(categories) * (VECTOR_SIZE - 1), *sizes[1:]]


def network_arguments(
    n_layers: int,
    recipe: TabularRecipe = CLASSES,
    quantities: Sequence[int] = (),
    categories: Mapping[int, int] = NO_CATEGORIES,
) -> dict[str, Any]:
    """Return the arguments of `Network` for that many layers of weights, besides sizes, activation, loss and seed.

    Parameters
    ----------
    n_layers : int
    recipe : TabularRecipe
    quantities : sequence of int
        Columns of the inputs that are quantities.
    categories : mapping of int to int
        Columns of the inputs that are codes of categories, and how many categories each has.
    """
    found: dict[str, Any] = {"learned_input_scale": True}
    if "data start" not in recipe.pieces:
        found["init"] = [None] * (n_layers - 1) + ["zeros"]
        found["bias_init"] = [Normal(1.0)] * (n_layers - 1) + [None]
    if recipe.dropout:
        found["dropout"] = recipe.dropout
    if "learned activation" in recipe.pieces and n_layers > 1:
        found["learned_activation"] = True
    embeddings = {
        "embedding": embedding_of(recipe, quantities),
        "category_embedding": category_embedding_of(categories),
    }
    return found | {name: embedding for name, embedding in embeddings.items() if embedding is not None}


def fit_arguments(
    sizes: Sequence[int],
    recipe: TabularRecipe,
    quantities: Sequence[int] = (),
    categories: Mapping[int, int] = NO_CATEGORIES,
) -> dict[str, Any]:
    """Return the arguments of `Network.fit` for a network of these sizes, besides the data.

    Parameters
    ----------
    sizes : sequence of int
        Its inputs first.
    recipe, quantities, categories
        As for `network_arguments`.
    """
    factors: dict[str, Any] = {"biases": BIAS_FACTOR, "input_scales": INPUT_SCALE_FACTOR}
    if "learned activation" in recipe.pieces and len(sizes) > 2:
        factors["alphas"] = ALPHA_FACTOR
    if embedding_of(recipe, quantities) is not None:
        factors["embedding"] = EMBEDDING_FACTOR
    if categories:
        factors["category_embedding"] = 1.0
    decay = {kind: factor**2 for kind, factor in factors.items() if kind != "biases"}
    weights = [1 / math.sqrt(n_in) for n_in in widths_of(sizes, recipe, quantities, categories)[:-1]]
    adam: dict[str, Any] = {"beta_1": 0.9, "beta_2": 0.95, "epsilon": 1e-8}
    found: dict[str, Any] = {
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "learning_rate": CosLog4(recipe.rate, recipe.epochs),
        "optimizer": AdamW(**adam, weight_decay=recipe.weight_decay) if recipe.weight_decay else Adam(**adam),
        "lr_factors": {"weights": weights, **factors},
        "drop_last": True,
        "label_smoothing": recipe.label_smoothing if recipe.loss in SMOOTHED else 0.0,
    }
    if recipe.weight_decay:
        found |= {"decay_factors": decay, "decay_schedule": FlatCosine(1.0, recipe.epochs)}
    if recipe.dropout and len(sizes) > 2:
        found["dropout_schedule"] = FlatCosine(1.0, recipe.epochs)
    return found
