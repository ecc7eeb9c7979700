"""What chooses the best epoch on the validation rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import (
    balanced_accuracy_score,
    d2_pinball_score,
    mean_absolute_error,
    mean_pinball_loss,
    r2_score,
    roc_auc_score,
)

from ..tables.targets import ClassTarget, QuantityTarget

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OF_CLASSES", "OF_QUANTITIES", "Pinball", "ValidationMetric", "of_sets"]


Measure = Callable[[Any, Any, Any], float]
"""(y, outputs, weight), see `ValidationMetric` -> how good the outputs are."""


@dataclass(frozen=True)
class ValidationMetric:
    """A number that says how good a network's outputs are.

    Attributes
    ----------
    column : str
        Of the history, by which the best epoch is chosen.
    function : callable
        Called as function(y, outputs, weight): labels (n,) and probabilities (n, n_classes), or standardised quantities
        and outputs, (n, n_outputs); weight (n,) or None.
    from_fit : bool
        Whether `Network.fit` adds the column itself.
    has_unit : bool
        Whether it is in the unit of the quantities.
    """

    column: str
    function: Measure
    from_fit: bool = False
    has_unit: bool = False


def error(y: NDArray[Any], p: NDArray[Any], weight: NDArray[Any] | None) -> float:
    """Return the share of rows whose most probable class is wrong."""
    return float(np.average(p.argmax(axis=1) != y, weights=weight))


def accuracy(y: NDArray[Any], p: NDArray[Any], weight: NDArray[Any] | None) -> float:
    """Return the share of rows whose most probable class is right."""
    return 1 - error(y, p, weight)


def balanced_error(y: NDArray[Any], p: NDArray[Any], weight: NDArray[Any] | None) -> float:
    """Return the mean over the classes of the share of rows that are taken for another."""
    return 1 - float(balanced_accuracy_score(y, p.argmax(axis=1), sample_weight=weight))


def log_loss(y: NDArray[Any], p: NDArray[Any], weight: NDArray[Any] | None) -> float:
    """Return the mean of -ln p of the right class."""
    right = np.maximum(p[np.arange(len(y)), y], np.finfo(np.float32).tiny)
    return float(np.average(-np.log(right.astype(np.float64)), weights=weight))


def auc(y: NDArray[Any], p: NDArray[Any], weight: NDArray[Any] | None) -> float:
    """Return the area under the ROC curve; of several classes the mean of each against the others."""
    if p.shape[1] == 2:
        return float(roc_auc_score(y, p[:, 1], sample_weight=weight))
    columns = [roc_auc_score(y == label, p[:, label], sample_weight=weight) for label in range(p.shape[1])]
    return float(np.mean(columns))


def squared_error(y: NDArray[Any], outputs: NDArray[Any], weight: NDArray[Any] | None) -> float:
    """Return the mean over rows of the sum of squared errors."""
    return float(np.average(np.square(outputs - y).sum(axis=1), weights=weight))


def rmse(y: NDArray[Any], outputs: NDArray[Any], weight: NDArray[Any] | None) -> float:
    """Return the root of the mean squared error."""
    return float(np.sqrt(np.average(np.square(outputs - y).mean(axis=1), weights=weight)))


def mae(y: NDArray[Any], outputs: NDArray[Any], weight: NDArray[Any] | None) -> float:
    """Return the mean absolute error."""
    return float(mean_absolute_error(y, outputs, sample_weight=weight))


def r2(y: NDArray[Any], outputs: NDArray[Any], weight: NDArray[Any] | None) -> float:
    """Return the coefficient of determination; of several quantities the mean."""
    return float(r2_score(y, outputs, sample_weight=weight))


@dataclass(frozen=True)
class Pinball:
    """Measures of quantiles: y and outputs have a column for each level, of which those of y are the same.

    Attributes
    ----------
    levels : tuple of float
    """

    levels: tuple[float, ...]

    def loss(self, y: NDArray[Any], outputs: NDArray[Any], weight: NDArray[Any] | None) -> float:
        """Return the mean over rows and levels of q (y - a) if y > a, else (1 - q) (a - y)."""
        columns = zip(self.levels, y.T, outputs.T, strict=True)
        return float(np.mean([mean_pinball_loss(t, a, sample_weight=weight, alpha=q) for q, t, a in columns]))

    def score(self, y: NDArray[Any], outputs: NDArray[Any], weight: NDArray[Any] | None) -> float:
        """Return the mean over the levels of 1 less the loss over that of the best constant, D2."""
        columns = zip(self.levels, y.T, outputs.T, strict=True)
        return float(np.mean([d2_pinball_score(t, a, sample_weight=weight, alpha=q) for q, t, a in columns]))


OF_CLASSES = {
    "error": ValidationMetric("val_accuracy", error, from_fit=True),
    "balanced_error": ValidationMetric("val_balanced_error", balanced_error),
    "log_loss": ValidationMetric("val_loss", log_loss, from_fit=True),
    "auc": ValidationMetric("val_auc", auc),
}
OF_QUANTITIES = {
    "rmse": ValidationMetric("val_loss", rmse, from_fit=True, has_unit=True),
    "mae": ValidationMetric("val_mae", mae, has_unit=True),
    "r2": ValidationMetric("val_r2", r2),
}
OF_CLASS_SETS: dict[str, Measure] = {"loss": log_loss, "score": accuracy}
OF_QUANTITY_SETS: dict[str, Measure] = {"loss": squared_error, "score": r2}
"""What is known of the sets that `fit` evaluates."""


def of_sets(target: ClassTarget | QuantityTarget) -> dict[str, Measure]:
    """Return the loss and the score of the sets that `fit` evaluates."""
    if isinstance(target, ClassTarget):
        return OF_CLASS_SETS
    if target.levels:
        return {"loss": Pinball(target.levels).loss, "score": Pinball(target.levels).score}
    return OF_QUANTITY_SETS
