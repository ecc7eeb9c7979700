"""Losses: the term of each output of each example, and the delta of the output layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .activations import Array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def squared_error(z: Array, a: Array, y: Array) -> Array:
    """Return (a - y)^2: no factor 1/2, so that dJ/da is 2 (a - y)."""
    return np.square(a - y)


def cross_entropy(z: Array, a: Array, y: Array) -> Array:
    """Return -y_j ln a_j for a = softmax(z), from z: y_j (ln sum_i e^z_i - z_j)."""
    largest = z.max(axis=1, keepdims=True)
    shifted = z - largest  # at most 0, so that no exponential overflows
    return y * (np.log(np.exp(shifted).sum(axis=1, keepdims=True)) - shifted)


def binary_cross_entropy(z: Array, a: Array, y: Array) -> Array:
    """Return -y ln a - (1 - y) ln(1 - a) for a = sigmoid(z), from z, so that small losses keep their digits."""
    return (np.maximum(z, 0) - z * y) + np.log1p(np.exp(-np.abs(z)))


def perceptron(z: Array, a: Array, y: Array) -> Array:
    """Return max(0, -(2y - 1) z): how far z lies on the wrong side of zero."""
    return np.maximum((1 - 2 * y) * z, 0)


def huber(z: Array, a: Array, y: Array, delta: float = 1.0) -> Array:
    """Return (a - y)^2 / 2 if |a - y| <= delta, else delta (|a - y| - delta / 2)."""
    error = np.abs(a - y)
    return np.where(error <= delta, 0.5 * error * error, delta * (error - 0.5 * delta))


def quantile(z: Array, a: Array, y: Array, q: ArrayLike = 0.5) -> Array:
    """Return q (y - a) if y > a, else (1 - q) (a - y); q: one level, or (n_outputs,) one for each output."""
    q = np.asarray(q, a.dtype)
    return np.maximum(q * (y - a), (1 - q) * (a - y))


def quantile_derivative(a: Array, y: Array, q: ArrayLike = 0.5) -> Array:
    """Return -q if y > a, 1 - q if y < a, 0 if they are equal; q as in `quantile`."""
    q = np.asarray(q, a.dtype)
    return np.where(a > y, 1 - q, np.where(a < y, -q, 0)).astype(a.dtype)


LossFunctions = tuple[Callable[[Array, Array, Array], Array], Callable[..., Array]]

LOSSES: dict[str, LossFunctions] = {
    "squared_error": (squared_error, lambda z, a, y, derivative: 2 * (a - y) * derivative(z, a)),
    "half_squared_error": (lambda z, a, y: (a - y) ** 2 / 2, lambda z, a, y, derivative: (a - y) * derivative(z, a)),
    "cross_entropy": (cross_entropy, lambda z, a, y, derivative: a * y.sum(axis=1, keepdims=True) - y),
    "binary_cross_entropy": (binary_cross_entropy, lambda z, a, y, derivative: a - y),
    "perceptron": (perceptron, lambda z, a, y, derivative: a - y),
    "absolute_error": (lambda z, a, y: np.abs(a - y), lambda z, a, y, derivative: np.sign(a - y) * derivative(z, a)),
    "huber": (huber, lambda z, a, y, derivative: np.clip(a - y, -1, 1) * derivative(z, a)),
    "quantile": (quantile, lambda z, a, y, derivative: quantile_derivative(a, y) * derivative(z, a)),
    "poisson": (lambda z, a, y: a - y * z, lambda z, a, y, derivative: a - y),
}
"""name -> (term(z, a, y), delta(z, a, y, derivative)), `derivative` being that of the output layer's activation.

Losses that require one activation have its derivative in their delta. The targets of cross_entropy need not sum to 1:
its loss is sum_j y_j (lse - z_j), its delta a_j sum_i y_i - y_j. The delta of perceptron, a - y, is 0 for a right
answer and -(2y - 1) for a wrong one, even at z = 0, where the loss is 0.
"""


def loss_functions(loss: str, q: ArrayLike = 0.5) -> LossFunctions:
    """Return the entry of `LOSSES` of a loss; that of "quantile" with the levels q."""
    if loss != "quantile":
        return LOSSES[loss]
    return (
        lambda z, a, y: quantile(z, a, y, q),
        lambda z, a, y, derivative: quantile_derivative(a, y, q) * derivative(z, a),
    )


OUTPUT_OF = {
    "cross_entropy": "softmax",
    "binary_cross_entropy": "sigmoid",
    "perceptron": "step",
    "poisson": "exponential",
}
"""Loss -> the only output activation it accepts."""
