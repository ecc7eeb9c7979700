"""exp, expm1, log, log1p, tanh and the logistic function as branch-free arithmetic that LLVM turns into vectors.

Each is one expression without a table or a branch, in float32 and float64, with errors of a few units in the last
place (`tests/test_elementary.py` measures them). NumPy's functions stand in when compilation is off.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba.core import types
from numba.extending import overload

from .intrinsics import multiply_add, polynomial, power_of_two, split_exponent
from .jit import OPTIONS as JIT_OPTIONS


class Format(NamedTuple):
    """Constants of one floating-point format."""

    number: Any
    low: Any  # exp underflows to 0 below
    high: Any  # exp overflows above
    round_magic: Any  # adding and subtracting it rounds to an integer
    ln2_high: Any  # few bits: n * ln2_high is exact
    ln2_low: Any
    exp_series: tuple[Any, ...]  # (exp(r) - 1 - r) / r^2, highest power first
    log_series: tuple[Any, ...]  # (2 atanh(s) - 2 s) / s^3 in s^2, highest power first
    tiny: Any  # smallest normal number
    fraction_bits: Any
    two_to_fraction_bits: Any
    logistic_low: Any  # exp of its negative is finite
    sine_series: tuple[Any, ...]  # sin(pi u) / u in u^2, highest power first
    cosine_series: tuple[Any, ...]  # cos(pi u) in u^2, highest power first


def _format(
    number, low, high, fraction_bits, ln2_high, ln2_low, exp_terms, log_terms, logistic_low, sine_terms
) -> Format:
    def series(first):
        degrees = range(2 * sine_terms + first, -1, -2)
        return tuple(number((-1) ** (n // 2) * math.pi**n / math.factorial(n)) for n in degrees)

    return Format(
        number,
        number(low),
        number(high),
        number(1.5 * 2.0**fraction_bits),
        number(ln2_high),
        number(ln2_low),
        tuple(number(1.0 / math.factorial(k)) for k in range(exp_terms, 1, -1)),
        tuple(number(2.0 / (2 * k + 1)) for k in range(log_terms, 0, -1)),
        np.finfo(number).tiny,
        number(fraction_bits),
        number(2.0**fraction_bits),
        number(logistic_low),
        series(1),
        series(0),
    )


FORMATS = {
    types.float32: _format(np.float32, -104.0, 89.0, 23, 0.693359375, -2.1219444005469057e-4, 7, 5, -87.0, 7),
    types.float64: _format(np.float64, -746.0, 710.0, 52, 0.693145751953125, 1.4286068203094172e-6, 14, 11, -708.0, 11),
}
LOG2_E = 1.4426950408889634
OPTIONS: Any = JIT_OPTIONS


def _reduced(x):
    """Return (n, r) with x = n ln 2 + r and |r| <= ln(2)/2."""
    raise RuntimeError("only compiled code calls this")


@overload(_reduced, jit_options=OPTIONS)
def _(x):
    f = FORMATS[x]
    magic, log2_e, high, low = f.round_magic, f.number(LOG2_E), f.ln2_high, f.ln2_low

    def compiled(x):
        n = multiply_add(x, log2_e, magic) - magic
        return n, multiply_add(n, -low, multiply_add(n, -high, x))

    return compiled


def exp(x):
    """Return e^x; 0 or infinity beyond the format."""
    with np.errstate(over="ignore", under="ignore"):
        return np.exp(x)


@overload(exp, jit_options=OPTIONS)
def _(x):
    f = FORMATS[x]
    low, high, magic, series, one, half = (
        f.low,
        f.high,
        f.round_magic,
        f.exp_series,
        f.number(1),
        f.number(0.5),
    )

    def compiled(x):
        x = low if x < low else x
        x = high if x > high else x
        n, r = _reduced(x)
        value = multiply_add(r * r, polynomial(r, series), r) + one
        part = multiply_add(n, half, magic) - magic  # two factors reach past the exponents of one
        return value * power_of_two(part) * power_of_two(n - part)

    return compiled


def expm1(x):
    """Return exp(x) - 1 without cancellation, for x up to where exp overflows."""
    with np.errstate(over="ignore", under="ignore"):
        return np.expm1(x)


@overload(expm1, jit_options=OPTIONS)
def _(x):
    f = FORMATS[x]
    series, one, low, high = f.exp_series, f.number(1), f.number(-40), f.number(f.high - 1)

    def compiled(x):
        x = low if x < low else x
        x = high if x > high else x
        n, r = _reduced(x)
        power = power_of_two(n)
        return multiply_add(power, multiply_add(r * r, polynomial(r, series), r), power - one)

    return compiled


def log(x):
    """Return the natural logarithm of a number that is not negative; log(0) is -infinity."""
    with np.errstate(divide="ignore"):
        return np.log(x)


@overload(log, jit_options=OPTIONS)
def _(x):
    f = FORMATS[x]
    number, series, tiny, scale, shift = (
        f.number,
        f.log_series,
        f.tiny,
        f.two_to_fraction_bits,
        f.fraction_bits,
    )
    high, low, zero, half, one, two = f.ln2_high, f.ln2_low, number(0), number(0.5), number(1), number(2)
    infinity, nan = number(np.inf), number(np.nan)

    def compiled(x):
        small = x < tiny
        m, exponent = split_exponent(x * scale if small else x)
        exponent = exponent - shift if small else exponent
        excess = m - one
        s = excess / (two + excess)
        square = half * excess * excess
        tail = multiply_add(s, square + s * s * polynomial(s * s, series), exponent * low)
        value = multiply_add(exponent, high, excess - (square - tail))
        value = value if x < infinity else x
        return value if x > zero else (-infinity if x == zero else nan)

    return compiled


def log1p(t):
    """Return log(1 + t) without cancellation, for t >= 0."""
    return np.log1p(t)


@overload(log1p, jit_options=OPTIONS)
def _(t):
    one = FORMATS[t].number(1)

    def compiled(t):
        total = one + t
        return log(total) + (t - (total - one)) / total

    return compiled


def tanh(x):
    """Return the hyperbolic tangent."""
    return np.tanh(x)


@overload(tanh, jit_options=OPTIONS)
def _(x):
    f = FORMATS[x]
    limit, two = f.number(20.0), f.number(2)

    def compiled(x):
        doubled = x + x
        doubled = -limit - limit if doubled < -limit - limit else doubled
        doubled = limit + limit if doubled > limit + limit else doubled
        e = expm1(doubled)
        return e / (e + two)

    return compiled


def cos_and_sin_of_turns(t):
    """Return cos(2 pi t) and sin(2 pi t), each to a few units in the last place of 1."""
    angle = t.dtype.type(2 * math.pi) * (t - np.round(t))
    return np.cos(angle), np.sin(angle)


@overload(cos_and_sin_of_turns, jit_options=OPTIONS)
def _(t):
    f = FORMATS[t]
    magic, sine, cosine, half, one, two = (
        f.round_magic,
        f.sine_series,
        f.cosine_series,
        f.number(0.5),
        f.number(1),
        f.number(2),
    )

    def compiled(t):
        u = t - ((t + magic) - magic)
        u = -half if u < -half else (half if u > half else u)  # numbers without a fraction are rounded elsewhere
        s, c = u * polynomial(u * u, sine), polynomial(u * u, cosine)  # of half the angle
        return one - two * s * s, two * s * c

    return compiled


def logistic(z):
    """Return s = 1 / (1 + exp(-z)) and s' = exp(-z) / (1 + exp(-z))^2, both to full relative accuracy."""
    e = np.exp(-np.maximum(z, -87.0 if z.dtype == np.float32 else -708.0)).astype(z.dtype)
    value = 1 / (1 + e)
    return value, value * e * value


@overload(logistic, jit_options=OPTIONS)
def _(z):
    f = FORMATS[z]
    low, one = f.logistic_low, f.number(1)

    def compiled(z):
        z = low if z < low else z
        e = exp(-z)
        value = one / (one + e)
        return value, value * e * value

    return compiled
