"""Activations: f(z) and its derivative f'(z), element by element, in the dtype of z."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@np.errstate(over="ignore")
def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + e^-z); if e^-z overflows to infinity, the quotient is 0, as it should be."""
    return 1 / (1 + np.exp(-z))


def sigmoid_derivative(z: Array, a: Array | None = None) -> Array:
    """Return f (1 - f)."""
    a = sigmoid(z) if a is None else a
    return a * (1 - a)


def tanh_derivative(z: Array, a: Array | None = None) -> Array:
    """Return 1 - f^2."""
    a = np.tanh(z) if a is None else a
    return 1 - a * a


def leaky_relu_derivative(z: Array, a: Array | None = None) -> Array:
    """Return 1 above zero, and 0.01 at zero and below."""
    return np.maximum((z > 0).astype(z.dtype), 0.01)


def softplus(z: Array) -> Array:
    """Return ln(1 + e^z) as max(z, 0) + ln(1 + e^-|z|)."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def softmax(z: Array) -> Array:
    """Return e^z_j / sum_i e^z_i for each row; subtracting the largest z only prevents overflow."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    return e


def no_derivative(z: Array, a: Array | None = None) -> NoReturn:
    """Raise: the derivative of step is 0, and every output of softmax depends on every z."""
    raise ValueError("step learns only with perceptron as loss, softmax only with cross_entropy")


def silu_derivative(z: Array, a: Array | None = None) -> Array:
    """Return s + z s (1 - s), s = sigmoid(z)."""
    s = sigmoid(z)
    return s + z * s * (1 - s)


def tanh_of_softplus(z: Array) -> Array:
    """Return tanh(log(1 + e^z)) = n / (n + 2) for n = e^z (e^z + 2); above 40 it is 1."""
    e = np.exp(np.minimum(z, 40))
    n = e * (e + 2)
    return n / (n + 2)


def mish_derivative(z: Array, a: Array | None = None) -> Array:
    """Return t + z (1 - t^2) sigmoid(z), t = tanh(softplus(z))."""
    t = tanh_of_softplus(z)
    e = np.exp(np.minimum(z, 40))
    complement = 2 / (e * (e + 2) + 2)  # 1 - t, without its cancellation
    return t + z * complement * (1 + t) * sigmoid(z)


def normal_distribution(z: Array) -> Array:
    """Return Phi(z) = erfc(-z / sqrt 2) / 2."""
    from scipy.special import erfc

    return 0.5 * erfc(-z / np.sqrt(z.dtype.type(2)))


def gelu_derivative(z: Array, a: Array | None = None) -> Array:
    """Return Phi(z) + z phi(z)."""
    return (normal_distribution(z) + z * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)).astype(z.dtype)


ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[..., Array]]] = {
    "identity": (lambda z: z, lambda z, a=None: np.ones_like(z)),
    "step": (lambda z: (z >= 0).astype(z.dtype), no_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
    "tanh": (np.tanh, tanh_derivative),
    "arctan": (np.arctan, lambda z, a=None: 1 / (1 + z * z)),
    "relu": (lambda z: np.maximum(z, 0), lambda z, a=None: (z > 0).astype(z.dtype)),
    "leaky_relu": (lambda z: np.maximum(z, 0.01 * z), leaky_relu_derivative),
    "elu": (
        lambda z: np.maximum(z, 0) + np.expm1(np.minimum(z, 0)),
        lambda z, a=None: np.exp(np.minimum(z, 0)),
    ),
    "softplus": (softplus, lambda z, a=None: sigmoid(z)),
    "softmax": (softmax, no_derivative),
    "silu": (lambda z: z * sigmoid(z), silu_derivative),
    "gelu": (lambda z: z * normal_distribution(z), gelu_derivative),
    "selu": (
        lambda z: SELU_SCALE * (np.maximum(z, 0) + SELU_ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z, a=None: SELU_SCALE * np.where(z > 0, 1, SELU_ALPHA * np.exp(np.minimum(z, 0))).astype(z.dtype),
    ),
    "mish": (lambda z: z * tanh_of_softplus(z), mish_derivative),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z, a=None: 1 / np.square(1 + np.abs(z))),
    "hard_sigmoid": (
        lambda z: np.clip(z / 6 + 0.5, 0, 1),
        lambda z, a=None: ((np.abs(z) < 3) / 6).astype(z.dtype),
    ),
    "exponential": (np.exp, lambda z, a=None: np.exp(z)),
}
"""name -> (function(z), derivative(z, a=None)); a derivative uses a = f(z) where it is given.

step(0) is 1. At 0 relu and leaky_relu have the derivatives that they have below 0.
"""


def mix(name: str, z: Array, alpha: Array | float = 1.0) -> Array:
    """Return z + alpha (f(z) - z): of each neuron a part of its activation."""
    a: Array = z + alpha * (ACTIVATIONS[name][0](z) - z)
    return a


def mixed_derivative(name: str, z: Array, alpha: Array | float = 1.0) -> Array:
    """Return 1 + alpha (f'(z) - 1)."""
    derivative: Array = 1 + alpha * (ACTIVATIONS[name][1](z, ACTIVATIONS[name][0](z)) - 1)
    return derivative
