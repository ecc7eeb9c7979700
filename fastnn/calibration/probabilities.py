"""Temperature scaling of probabilities, and how far they are off.

A network's classes are often right less often than their probabilities say. Dividing the logits by one temperature T,
chosen on rows that were not trained on, corrects that and leaves every answer as it is (Guo et al. 2017)::

    p = softmax(z / T)        for one output p = sigmoid(z / T)

T is divided out of the last layer's weights and biases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..checks import check_int
from ..network import Network
from ..table_model import TableModel
from ..tables.columns import columns_of
from ..tables.targets import ClassTarget
from .weights import checked_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST, MOST = 0.05, 20.0
"""Bounds of the temperature."""

BISECTIONS = 40
"""After these the bounds differ by a part in 1e11."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often answers of about the same confidence are right; bins without an answer are left out.

    Attributes
    ----------
    confidence : ndarray of float64, (n_bins,)
        The mean probability of the answers in each bin.
    accuracy : ndarray of float64, (n_bins,)
        The fraction of them that is right.
    counts : ndarray of int64, (n_bins,)
        Their number.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def expected_calibration_error(self) -> float:
        """The mean distance between confidence and accuracy, weighted by the counts."""
        return float(np.average(np.abs(self.confidence - self.accuracy), weights=self.counts))


def reliability(probabilities: Any, y: Any, *, n_bins: int = 15) -> Reliability:
    """Sort answers by their confidence into bins of equal width, and see how many of each bin are right.

    Parameters
    ----------
    probabilities : array_like, (n, n_classes) or (n, 1) or (n,)
        Of the classes; one column is that of class 1 of two.
    y : array_like of int, (n,)
        The right classes, from 0.
    n_bins : int, default 15
        Bin i holds confidences above i / n_bins up to (i + 1) / n_bins.

    Returns
    -------
    Reliability

    Raises
    ------
    ValueError
        If shapes do not match, or there are no rows.
    """
    check_int("n_bins", n_bins, 1)
    table, labels = _checked(probabilities, y)
    if (table < 0).any() or (table > 1 + 1e-5).any():
        raise ValueError(f"probabilities must lie in 0..1, got {table.min():.4g} to {table.max():.4g}")
    if table.shape[1] == 1:
        table = np.hstack([1 - table, table])
    answers = table.argmax(axis=1)
    confidence, right = table[np.arange(len(table)), answers], answers == labels
    bins = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    kept = counts > 0
    sums = [np.bincount(bins, weights, n_bins)[kept] / counts[kept] for weights in (confidence, right)]
    return Reliability(sums[0], sums[1], counts[kept])


def expected_calibration_error(probabilities: Any, y: Any, *, n_bins: int = 15) -> float:
    """Return the mean distance between the confidence of answers and the fraction of them that is right.

    Parameters
    ----------
    probabilities, y, n_bins
        As in `reliability`.

    Returns
    -------
    float
        0 for perfect calibration, below 1.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.calibration.expected_calibration_error([[0.25, 0.75], [0.25, 0.75]], [1, 0])
    0.25
    """
    return reliability(probabilities, y, n_bins=n_bins).expected_calibration_error


def fit_temperature(logits: Any, y: Any, sample_weight: Any = None) -> float:
    """Return the temperature by which the cross-entropy of the classes is least.

    Parameters
    ----------
    logits : array_like, (n, n_classes) or (n, 1) or (n,)
        Weighted inputs of the output layer, before softmax; one column: before the sigmoid.
    y : array_like of int, (n,)
        The right classes, from 0.
    sample_weight : array_like, (n,), optional
        Weight of each row.

    Returns
    -------
    float
        From 0.05 to 20; above 1 if the probabilities are too sure. 1 where every answer is right, since these rows then
        say nothing of wrong ones.

    Notes
    -----
    In b = 1 / T the cross-entropy is convex; its derivative, mean(sum_j p_j z_j - z_y), is brought to 0 by bisection
    (Guo and others 2017).

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> z = np.tile([4.0, 0.0], (10, 1))
    >>> y = [0] * 9 + [1]
    >>> bool(np.isclose(fastnn.calibration.fit_temperature(z, y), 4 / np.log(9)))
    True
    """
    z, labels = _checked(logits, y)
    if not np.isfinite(z).all():
        raise ValueError("logits must be finite")
    weight = None if sample_weight is None else checked_weight(sample_weight, len(z))
    if z.shape[1] == 1:
        z = np.hstack([np.zeros_like(z), z])
    z = z - z.max(axis=1, keepdims=True)
    wanted = z[np.arange(len(z)), labels]
    if (wanted == 0).all():
        return 1.0

    def derivative(b: float) -> float:
        weights = np.exp(b * z)
        return float(np.average((weights * z).sum(axis=1) / weights.sum(axis=1) - wanted, weights=weight))

    low, high = 1 / MOST, 1 / LEAST
    for _ in range(BISECTIONS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if derivative(middle) < 0 else (low, middle)
    return float((low * high) ** -0.5)


def logits(net: Network, X: Any) -> NDArray[np.float64]:
    """Return the weighted inputs of a network's output layer in float64, (n, n_outputs).

    Parameters
    ----------
    net : Network
    X : array_like, (n, n_inputs)
        Examples, one in a row.
    """
    below = net.activations(X)[-2].astype(np.float64)
    z: NDArray[np.float64] = below @ net.weights[-1].T.astype(np.float64) + net.biases[-1]
    return z


@overload
def calibrate(model: Network, X: Any, y: Any, sample_weight: Any = None) -> tuple[Network, float]: ...


@overload
def calibrate(model: TableModel, X: Any, y: Any, sample_weight: Any = None) -> tuple[TableModel, float]: ...


def calibrate(
    model: Network | TableModel, X: Any, y: Any, sample_weight: Any = None
) -> tuple[Network | TableModel, float]:
    """Return a copy of a model whose probabilities are calibrated on rows that it was not trained on.

    Parameters
    ----------
    model : Network or TableModel
        With softmax outputs, or one sigmoid output.
    X : array_like, or a table
        The rows, as the model takes them.
    y : array_like, (n,)
        Their classes: labels from 0 for a network, the classes in their own type for a table model.
    sample_weight : array_like, (n,), optional
        Weight of each row.

    Returns
    -------
    model : Network or TableModel
        Its last layer divided by the temperature; its answers are the same. A table model notes the temperature in
        `info`.
    temperature : float
        See `fit_temperature`.

    Raises
    ------
    ValueError
        If the outputs are not probabilities of classes that exclude each other, or `y` does not match.

    Examples
    --------
    >>> import fastnn
    >>> X, y = fastnn.datasets.load_digits()
    >>> net = fastnn.Network([64, 10], activation="softmax", loss="cross_entropy", input_scale=1 / 16, seed=0)
    >>> history = net.fit(X[:1000], y[:1000], epochs=20, learning_rate=1.0, progress=False)
    >>> calibrated, temperature = fastnn.calibration.calibrate(net, X[1000:], y[1000:])
    >>> bool((calibrated.classify(X) == net.classify(X)).all())
    True
    """
    if isinstance(model, TableModel):
        return _calibrated_table(model, X, y, sample_weight)
    temperature = fit_temperature(logits(checked_network(model), X), y, sample_weight)
    return with_temperature(model, temperature), temperature


def checked_network(net: Network) -> Network:
    """Return the network if a temperature calibrates it."""
    if not isinstance(net, Network):
        raise TypeError(f"model must be a Network or a TableModel, got {type(net).__name__}")
    outputs, n_outputs = net.activation[-1], net.sizes[-1]
    if not (outputs == "softmax" or (outputs == "sigmoid" and n_outputs == 1)):
        raise ValueError(
            f"a temperature calibrates softmax outputs, or one sigmoid output; the network has {n_outputs} {outputs!r}"
        )
    return net


def with_temperature(net: Network, temperature: float) -> Network:
    """Return a copy of a network with the last layer's weights and biases divided by a temperature."""
    copy = net.copy()
    copy.weights[-1][...] /= temperature
    copy.biases[-1][...] /= temperature
    return copy


def _calibrated_table(model: TableModel, X: Any, y: Any, sample_weight: Any) -> tuple[TableModel, float]:
    target = model.target
    if not isinstance(target, ClassTarget):
        raise ValueError("only probabilities are calibrated; this model predicts quantities")
    labels = target.labels(columns_of({target.name: y}))
    if (labels < 0).any():
        row = int(np.flatnonzero(labels < 0)[0])
        raise ValueError(f"y must hold classes of the model, got {np.asarray(y)[row].item()!r} in row {row}")
    rows = model.encoder.transform(X, model.network.dtype)
    network, temperature = calibrate(model.network, rows, labels, sample_weight)
    earlier = float(model.info.get("temperature", 1.0))
    return TableModel(network, model.encoder, target, {**model.info, "temperature": earlier * temperature}), temperature


def _checked(numbers: Any, y: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    table, labels = np.asarray(numbers, np.float64), np.asarray(y)
    table = table[:, np.newaxis] if table.ndim == 1 else table
    if table.ndim != 2 or not table.size or labels.shape != (len(table),) or labels.dtype.kind not in "iub":
        raise ValueError(
            f"a row of numbers and a whole number in y are needed for each example, got shapes {table.shape} and "
            f"{labels.shape}, y of {labels.dtype}"
        )
    n_classes = max(2, table.shape[1])
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"y must hold classes 0 to {n_classes - 1}, got {labels.min()} to {labels.max()}")
    return table, labels.astype(np.int64)
