"""The examples of a fit, the weights of each, and the numbers by which scikit-learn's loss differs from fastnn's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import xlogy
from sklearn.utils import compute_sample_weight

from ... import inputs
from ...checks import check_non_negative
from ...kernels import layout
from ...network import Network

NAMES = ("X", "y", "sample_weight")
LOSSES = {"squared_error": "half_squared_error"}
"""scikit-learn's names of losses that fastnn calls otherwise."""


def loss_of(loss: Any, out_activation: str) -> Any:
    """Return fastnn's loss for an estimator's."""
    if loss == "log_loss":
        return "cross_entropy" if out_activation == "softmax" else "binary_cross_entropy"
    return LOSSES.get(loss, loss) if isinstance(loss, str) else loss


@dataclass
class FitExamples:
    """Examples as the kernels read them.

    Attributes
    ----------
    examples : Examples
    n_losses : int
        How many of fastnn's losses scikit-learn averages for an example: the outputs for squared errors.
    constants : ndarray, (n,), or None
        What scikit-learn adds to the loss of each example: y ln y - y for Poisson's.
    """

    examples: layout.Examples
    n_losses: int
    constants: np.ndarray | None

    def mean_constant(self, order: np.ndarray, batch_size: int) -> float:
        """Return what scikit-learn adds to the loss of an epoch in this order."""
        if self.constants is None:
            return 0.0
        terms = self.constants[order]
        weights = self.examples.weights[order] if self.examples.weights.size else np.ones(len(order))
        starts = np.arange(0, len(order), batch_size)
        means = np.add.reduceat(weights * terms, starts) / np.add.reduceat(weights, starts)
        return float(means @ np.diff([*starts, len(order)]) / len(order))

    def mean_loss(self, network: Network) -> float:
        """Return scikit-learn's loss of all examples."""
        n_rows = self.examples.n_rows
        return network.engine.evaluate(self.examples)[0] / self.n_losses + self.mean_constant(np.arange(n_rows), n_rows)


def make_examples(network: Network, loss: Any, X: Any, y: np.ndarray, sample_weight: Any) -> FitExamples:
    """Return examples that scikit-learn has checked; what is left to check has errors with its name."""
    # scikit-learn has looked for what is not finite; a narrower type may overflow
    finite = X.dtype.itemsize <= network.dtype.itemsize
    examples, _ = inputs.as_examples(X, y, sample_weight, network.engine.spec, NAMES, finite)
    n_losses = network.sizes[-1] if loss == "squared_error" else 1
    constants = None
    if loss == "poisson":
        targets = y.reshape(len(y), -1).astype(np.float64)
        constants = (xlogy(targets, targets) - targets).sum(axis=1)
    return FitExamples(examples, n_losses, constants)


def check_sample_weight(sample_weight: np.ndarray | None) -> None:
    """Raise for weights that make no sense; scikit-learn has checked shape, type and finiteness."""
    if sample_weight is None:
        return
    if (sample_weight < 0).any():
        raise ValueError("sample_weight must hold finite numbers of 0 or more")
    if not sample_weight.any():
        raise ValueError("sample_weight must not be 0 for every example")


def class_weighted(
    estimator: Any, class_weight: Any, y: np.ndarray, sample_weight: np.ndarray | None
) -> np.ndarray | None:
    """Return the weights of the examples, each times that of its class.

    Parameters
    ----------
    estimator : MLPClassifier
        Its `classes_` are known.
    class_weight : dict, "balanced" or None
        The classes of a dict need not all occur among the examples.
    y : ndarray of bool, (n, n_outputs)
        Targets.
    sample_weight : ndarray, (n,), or None
    """
    if class_weight is None:
        return sample_weight
    if estimator._label_binarizer.y_type_.startswith("multilabel"):
        factors = compute_sample_weight(class_weight, y.astype(int))
    else:
        factors = class_factors(class_weight, _label_numbers(y), estimator.classes_.tolist())
    return factors if sample_weight is None else factors * sample_weight


def class_factors(class_weight: Any, labels: np.ndarray, classes: list[Any]) -> np.ndarray:
    """Return the weight of each example's class.

    Parameters
    ----------
    class_weight : dict or "balanced"
        The classes of a dict need not all occur among the examples.
    labels : ndarray of int, (n,)
        The position of each example's class in `classes`.
    classes : list
    """
    if isinstance(class_weight, str):
        factors: np.ndarray = compute_sample_weight(class_weight, labels)
        return factors
    return _weights_of_classes(class_weight, classes)[labels]


def _label_numbers(y: np.ndarray) -> np.ndarray:
    """Return the position of each example's class in `classes_`."""
    return y[:, 0].astype(int) if y.shape[1] == 1 else y.argmax(axis=1)


def _weights_of_classes(class_weight: dict[Any, Any], classes: list[Any]) -> np.ndarray:
    """Return the weight of each class, 1 for those that are missing in `class_weight`.

    As in scikit-learn's other classifiers, it may name classes that do not exist only if it has a weight for all that
    do.
    """
    weights = {label: check_non_negative(f"class_weight[{label!r}]", weight) for label, weight in class_weight.items()}
    missing, unknown = [
        [a for a in these if a not in those] for these, those in ((classes, weights), (weights, classes))
    ]
    if missing and unknown:
        raise ValueError(f"class_weight names {unknown}, but the classes are {classes}")
    return np.array([weights.get(label, 1.0) for label in classes])
