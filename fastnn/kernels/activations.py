"""Activations a = f(z) and their slopes f'(z), in place over contiguous numbers; one code for each."""

from __future__ import annotations

import math

from .elementary import exp, expm1, log1p, logistic, tanh
from .jit import kernel, piece

IDENTITY, STEP, SIGMOID, TANH, ARCTAN, RELU, LEAKY_RELU, ELU, SOFTPLUS, SOFTMAX = range(10)
SILU, GELU, SELU, SOFTSIGN, HARD_SIGMOID, EXPONENTIAL = range(10, 16)

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
}
LEAK = 0.01
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
ROOT_HALF, ROOT_TAU = 0.70710678118654752440, 2.50662827463100050242


@kernel
def activate_smooth(a, slope, code):
    """As activate, for the younger ones: silu z s(z), gelu z Phi(z), selu, softsign z / (1 + |z|), e^z, hard sigmoid.

    Sources: gelu and silu Hendrycks and Gimpel 2016, selu Klambauer and others 2017; hard sigmoid is z/6 + 1/2 cut off
    at 0 and 1.
    """
    number = a.dtype.type
    zero, half, one = number(0), number(0.5), number(1)
    n = len(a)
    if code == SILU:
        for i in range(n):
            z = a[i]
            s, rise = logistic(z)
            slope[i] = s + z * rise
            a[i] = z * s
    elif code == GELU:
        for i in range(n):
            z = a[i]
            below = number(0.5 * math.erfc(-z * ROOT_HALF))  # keeps its digits far below 0, unlike 1 + erf
            slope[i] = below + z * exp(-half * z * z) / number(ROOT_TAU)
            a[i] = z * below
    elif code == SELU:
        scale, alpha = number(SELU_SCALE), number(SELU_SCALE * SELU_ALPHA)
        for i in range(n):
            z = a[i]
            below = alpha * expm1(z if z < zero else zero)
            slope[i] = scale if z > zero else below + alpha
            a[i] = scale * z if z > zero else below
    elif code == SOFTSIGN:
        for i in range(n):
            z = a[i]
            share = one / (one + abs(z))
            slope[i] = share * share
            a[i] = z * share
    elif code == HARD_SIGMOID:
        sixth = number(1 / 6)
        for i in range(n):
            z = a[i]
            value = z * sixth + half
            inside = (value > zero) & (value < one)
            slope[i] = sixth if inside else zero
            a[i] = zero if value <= zero else (one if value >= one else value)
    else:  # EXPONENTIAL
        for i in range(n):
            value = exp(a[i])
            slope[i] = value
            a[i] = value


@piece
def activate(a, slope, code):
    """a: (n,) z before, f(z) after; slope: (n,) f'(z). Softmax is by row and lives in losses.py.

    The slope of relu at 0 is 0, of step everywhere 0; sigmoid' = f (1 - f), tanh' = 1 - f^2,
    arctan' = 1 / (1 + z^2), elu' = f + 1 below 0, softplus' = sigmoid.
    """
    zero = a.dtype.type(0)
    one = a.dtype.type(1)
    leak = a.dtype.type(LEAK)
    n = len(a)
    if code == SIGMOID:
        for i in range(n):
            value, rise = logistic(a[i])
            slope[i] = rise
            a[i] = value
    elif code == RELU:
        for i in range(n):
            z = a[i]
            slope[i] = one if z > zero else zero
            a[i] = zero if z <= zero else z
    elif code == TANH:
        for i in range(n):
            value = tanh(a[i])
            slope[i] = (one - value) * (one + value)
            a[i] = value
    elif code == IDENTITY:
        for i in range(n):
            slope[i] = one
    elif code == STEP:
        for i in range(n):
            slope[i] = zero
            a[i] = one if a[i] >= zero else zero
    elif code == LEAKY_RELU:
        for i in range(n):
            z = a[i]
            slope[i] = one if z > zero else leak
            a[i] = z if z > zero else leak * z
    elif code == ELU:
        for i in range(n):
            z = a[i]
            below = expm1(z if z < zero else zero)
            slope[i] = one if z > zero else below + one
            a[i] = z if z > zero else below
    elif code == SOFTPLUS:
        for i in range(n):
            z = a[i]
            slope[i] = logistic(z)[0]
            a[i] = (z if z > zero else zero) + log1p(exp(-abs(z)))
    elif code == ARCTAN:
        for i in range(n):
            z = a[i]
            slope[i] = one / (one + z * z)
            a[i] = math.atan(z)
    else:
        activate_smooth(a, slope, code)
