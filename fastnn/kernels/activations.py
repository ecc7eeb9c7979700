"""Activations a = f(z) and their slopes f'(z), in place over contiguous numbers; one code for each."""

from __future__ import annotations

import math

from .elementary import exp, expm1, log1p, logistic, tanh
from .jit import entry

IDENTITY, STEP, SIGMOID, TANH, ARCTAN, RELU, LEAKY_RELU, ELU, SOFTPLUS, SOFTMAX = range(10)

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
}
LEAK = 0.01


@entry
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
