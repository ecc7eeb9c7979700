"""Activations a = f(z) and their derivatives f'(z), in place over contiguous numbers; one code for each."""

from __future__ import annotations

import math

from .argument_types import Floats
from .elementary import exp, expm1, log1p, logistic, tanh
from .jit import kernel
from .registry import Slot, linked_kernel

IDENTITY, STEP, SIGMOID, TANH, ARCTAN, RELU, LEAKY_RELU, ELU, SOFTPLUS, SOFTMAX = range(10)
SILU, GELU, SELU, SOFTSIGN, HARD_SIGMOID, EXPONENTIAL, MISH = range(10, 17)

CODES = {
    "identity": IDENTITY,
    "step": STEP,
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "arctan": ARCTAN,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "elu": ELU,
    "softplus": SOFTPLUS,
    "softmax": SOFTMAX,
    "silu": SILU,
    "gelu": GELU,
    "selu": SELU,
    "softsign": SOFTSIGN,
    "hard_sigmoid": HARD_SIGMOID,
    "exponential": EXPONENTIAL,
    "mish": MISH,
}
LEAKY_SLOPE = 0.01
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
MISH_LIMIT = 40.0  # from here on mish and its derivative are z and 1 in float64, whatever z
ROOT_HALF, ROOT_TAU = 0.70710678118654752440, 2.50662827463100050242


@kernel
def activate_smooth(a, derivative, activation):
    """Compute a: (n,) f(z) from z, and derivative: (n,) f'(z), as activate, for the later codes.

    silu is z s(z), gelu z Phi(z), softsign z / (1 + |z|), hard sigmoid z/6 + 1/2 clipped to 0..1, exponential e^z, mish
    z tanh(softplus(z)). Sources: gelu and silu Hendrycks and Gimpel 2016, selu Klambauer and others 2017, mish Misra
    2019.
    """
    cast = a.dtype.type
    zero, half, one = cast(0), cast(0.5), cast(1)
    n = len(a)
    if activation == SILU:
        for i in range(n):
            z = a[i]
            s, s_prime = logistic(z)
            derivative[i] = s + z * s_prime
            a[i] = z * s
    elif activation == GELU:
        for i in range(n):
            z = a[i]
            phi = cast(0.5 * math.erfc(-z * ROOT_HALF))  # keeps its digits far below 0, unlike 1 + erf
            derivative[i] = phi + z * exp(-half * z * z) / cast(ROOT_TAU)
            a[i] = z * phi
    elif activation == SELU:
        scale, alpha = cast(SELU_SCALE), cast(SELU_SCALE * SELU_ALPHA)
        for i in range(n):
            z = a[i]
            below = alpha * expm1(z if z < zero else zero)
            derivative[i] = scale if z > zero else below + alpha
            a[i] = scale * z if z > zero else below
    elif activation == SOFTSIGN:
        for i in range(n):
            z = a[i]
            inverse = one / (one + abs(z))
            derivative[i] = inverse * inverse
            a[i] = z * inverse
    elif activation == HARD_SIGMOID:
        sixth = cast(1 / 6)
        for i in range(n):
            z = a[i]
            value = z * sixth + half
            inside = (value > zero) & (value < one)
            derivative[i] = sixth if inside else zero
            a[i] = zero if value <= zero else (one if value >= one else value)
    elif activation == MISH:
        two, limit = cast(2), cast(MISH_LIMIT)
        for i in range(n):
            z = a[i]
            e = exp(z if z < limit else limit)
            n_z = e * (e + two)  # tanh(log(1 + e)) = n / (n + 2)
            inverse = one / (n_z + two)
            t = n_z * inverse
            derivative[i] = t + z * two * inverse * (one + t) * e / (one + e)
            a[i] = z * t
    else:  # EXPONENTIAL
        for i in range(n):
            value = exp(a[i])
            derivative[i] = value
            a[i] = value


@linked_kernel(Slot.ACTIVATE, (Floats, Floats, int))
def activate(a, derivative, activation):
    """Compute a: (n,) f(z) from z, and derivative: (n,) f'(z); softmax works by rows, see losses.py.

    The derivative of relu at 0 is 0, that of step is 0 everywhere; sigmoid' = f (1 - f), tanh' = 1 - f^2,
    arctan' = 1 / (1 + z^2), elu' = f + 1 below 0, softplus' = sigmoid.
    """
    zero = a.dtype.type(0)
    one = a.dtype.type(1)
    slope = a.dtype.type(LEAKY_SLOPE)
    n = len(a)
    if activation == SIGMOID:
        for i in range(n):
            value, value_prime = logistic(a[i])
            derivative[i] = value_prime
            a[i] = value
    elif activation == RELU:
        for i in range(n):
            z = a[i]
            derivative[i] = one if z > zero else zero
            a[i] = zero if z <= zero else z
    elif activation == TANH:
        for i in range(n):
            value = tanh(a[i])
            derivative[i] = (one - value) * (one + value)
            a[i] = value
    elif activation == IDENTITY:
        for i in range(n):
            derivative[i] = one
    elif activation == STEP:
        for i in range(n):
            derivative[i] = zero
            a[i] = one if a[i] >= zero else zero
    elif activation == LEAKY_RELU:
        for i in range(n):
            z = a[i]
            derivative[i] = one if z > zero else slope
            a[i] = z if z > zero else slope * z
    elif activation == ELU:
        for i in range(n):
            z = a[i]
            below = expm1(z if z < zero else zero)
            derivative[i] = one if z > zero else below + one
            a[i] = z if z > zero else below
    elif activation == SOFTPLUS:
        for i in range(n):
            z = a[i]
            derivative[i] = logistic(z)[0]
            a[i] = (z if z > zero else zero) + log1p(exp(-abs(z)))
    elif activation == ARCTAN:
        for i in range(n):
            z = a[i]
            derivative[i] = one / (one + z * z)
            a[i] = math.atan(z)
    else:
        activate_smooth(a, derivative, activation)
