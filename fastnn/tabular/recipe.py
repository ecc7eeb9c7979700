"""RealMLP's simple variant, TD-S, as arguments of `Network` and of `Network.fit`.

The settings are those of Holzmueller, Grinsztajn and Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted
Trees on Tabular Data", NeurIPS 2024 (arXiv 2407.04491). Its layers compute z = W x / sqrt(n_in) + b with W and b
normal; the same functions come from weights W / sqrt(n_in), which Adam must move at the rate over sqrt(n_in). Epsilon
would be times sqrt(n_in); it is 1e-8 for all parameters, far below the roots of the mean squares either way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..initialisers import Normal
from ..optimizers import Adam
from ..schedules import CosLog4

__all__ = ["CLASSES", "QUANTITIES", "TabularRecipe", "fit_arguments", "network_arguments"]

BIAS_FACTOR, INPUT_SCALE_FACTOR = 0.1, 6.0
"""Factors of the learning rate."""

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
    loss : str
    rate : float
        The highest learning rate.
    epochs, batch_size : int
    label_smoothing : float
    """

    hidden: tuple[int, ...]
    activation: str
    loss: str
    rate: float
    epochs: int = 256
    batch_size: int = 256
    label_smoothing: float = 0.0


CLASSES = TabularRecipe((256, 256, 256), "selu", "cross_entropy", rate=0.04, label_smoothing=0.1)
QUANTITIES = TabularRecipe((256, 256, 256), "mish", "squared_error", rate=0.07)


def network_arguments(n_layers: int) -> dict[str, Any]:
    """Return the arguments of `Network` for that many layers of weights, besides sizes, activation, loss and seed."""
    return {
        "init": [None] * (n_layers - 1) + ["zeros"],
        "bias_init": [Normal(1.0)] * (n_layers - 1) + [None],
        "learned_input_scale": True,
    }


def fit_arguments(sizes: Sequence[int], recipe: TabularRecipe) -> dict[str, Any]:
    """Return the arguments of `Network.fit` for a network of these sizes, besides the data."""
    return {
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "learning_rate": CosLog4(recipe.rate, recipe.epochs),
        "optimizer": Adam(beta_1=0.9, beta_2=0.95, epsilon=1e-8),
        "lr_factors": {
            "weights": [1 / math.sqrt(n_in) for n_in in sizes[:-1]],
            "biases": BIAS_FACTOR,
            "input_scales": INPUT_SCALE_FACTOR,
        },
        "drop_last": True,
        "label_smoothing": recipe.label_smoothing if recipe.loss in SMOOTHED else 0.0,
    }
