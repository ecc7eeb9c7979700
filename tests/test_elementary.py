"""Errors of the compiled elementary functions, in units in the last place, over all that the formats can hold."""

import numpy as np
import pytest

from fastnn.kernels import elementary, intrinsics
from fastnn.kernels.jit import COMPILED, from_python, kernel

pytestmark = pytest.mark.skipif(not COMPILED, reason="without compilation NumPy's own functions stand in")

BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])
LARGEST_EXPM1 = {np.float32: 88, np.float64: 709}  # it ends just below where exp overflows
LOWEST_LOGISTIC = {np.float32: -87, np.float64: -708}  # below, it stays at a value near the smallest normal number
EXACT = np.longdouble


def loop_over(function):
    @kernel
    def over(x, out):
        for i in range(len(x)):
            out[i] = function(x[i])

    return from_python(over)


@from_python
@kernel
def logistic_loop(z, value, derivative):
    for i in range(len(z)):
        value[i], derivative[i] = elementary.logistic(z[i])


LOOPS = {name: loop_over(getattr(elementary, name)) for name in ("exp", "expm1", "log", "log1p", "tanh")}


def compiled(name, x):
    out = np.empty_like(x)
    LOOPS[name](x, out)
    return out


def compiled_logistic(z):
    value, derivative = np.empty_like(z), np.empty_like(z)
    logistic_loop(z, value, derivative)
    return value, derivative


def points(dtype):
    """Numbers of every exponent, those near 0 and 1 and where exp lives, subnormal ones, and the ends."""
    rng = np.random.default_rng(0)
    n = 100_000
    whole = np.frombuffer(rng.bytes(n * np.dtype(dtype).itemsize), dtype)
    limits = np.finfo(dtype)
    edges = [0, limits.smallest_subnormal, limits.tiny, limits.eps, 0.5, 1, limits.max, np.inf]
    spread = np.concatenate(
        [
            rng.uniform(-800, 800, n),
            rng.uniform(-110, 110, n),
            rng.uniform(-2, 2, n),
            1 + rng.normal(0, 1e-4, n),
            rng.normal(0, 1e-3, n),
            rng.uniform(0, 2, 1000) * limits.tiny,
            edges,
            np.negative(edges),
        ]
    ).astype(dtype)
    return np.concatenate([whole[~np.isnan(whole)], spread])


def most_ulps(got, exact, dtype):
    """The largest error in units of the last place of the exact result; infinities must be the same."""
    if np.finfo(EXACT).eps >= np.finfo(dtype).eps:
        pytest.skip("long double is no longer than double here")
    with np.errstate(over="ignore", under="ignore"):
        rounded = exact.astype(dtype)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    return float((np.abs(got[finite] - exact[finite]) / np.spacing(np.abs(rounded[finite]))).max())


# The bounds lie a few hundredths above the largest error in millions of numbers, with and without fused multiply-add.


@BOTH
@pytest.mark.parametrize(
    ("name", "bound"), [("exp", 1.1), ("expm1", 2.0), ("log", 0.85), ("log1p", 1.3), ("tanh", 2.7)]
)
def test_error_in_units_in_the_last_place(name, bound, dtype):
    x = points(dtype)
    if name == "expm1":
        x = x[x <= LARGEST_EXPM1[dtype]]
    if name in ("log", "log1p"):
        x = np.abs(x)
    if name == "log1p":
        x = x[np.isfinite(x)]
    with np.errstate(all="ignore"):
        exact = getattr(np, name)(x.astype(EXACT))
    assert most_ulps(compiled(name, x), exact, dtype) < bound


def exact_logistic(z):
    with np.errstate(all="ignore"):
        e = np.exp(-np.abs(z.astype(EXACT)))
    return np.where(z < 0, e, 1) / (1 + e), e / (1 + e) ** 2


@BOTH
def test_error_of_the_logistic_function_and_its_derivative(dtype):
    z = points(dtype)
    z = z[z >= LOWEST_LOGISTIC[dtype]]
    for got, exact, bound in zip(compiled_logistic(z), exact_logistic(z), (2.6, 5.0), strict=True):
        assert most_ulps(got, exact, dtype) < bound


@from_python
@kernel
def wave_loop(t, cosines, sines):
    for i in range(len(t)):
        cosines[i], sines[i] = elementary.cos_and_sin_of_turns(t[i])


@BOTH
def test_error_of_cosine_and_sine_of_turns(dtype):
    rng = np.random.default_rng(0)
    t = np.concatenate([rng.uniform(-100, 100, 100_000), rng.uniform(-0.6, 0.6, 100_000), np.arange(-8, 9) / 8])
    t = t.astype(dtype)
    cosines, sines = np.empty_like(t), np.empty_like(t)
    wave_loop(t, cosines, sines)
    angle = 2 * np.arctan2(EXACT(0), EXACT(-1)) * t.astype(EXACT)
    for got, exact in ((cosines, np.cos(angle)), (sines, np.sin(angle))):
        assert np.abs(got - exact).max() < 10 * np.finfo(dtype).eps


@BOTH
def test_cosine_and_sine_of_numbers_without_a_fraction_are_bounded(dtype):
    t = np.array([1e10, -3e30, np.finfo(dtype).max, np.nan], dtype)
    cosines, sines = np.empty_like(t), np.empty_like(t)
    wave_loop(t, cosines, sines)
    assert (np.abs([cosines[:3], sines[:3]]) <= 1 + 4 * np.finfo(dtype).eps).all()
    assert np.isnan([cosines[3], sines[3]]).all()


@BOTH
def test_the_logistic_function_far_below_zero_is_next_to_nothing(dtype):
    z = points(dtype)
    z = z[z < LOWEST_LOGISTIC[dtype]]
    assert len(z) > 1000
    for part in compiled_logistic(z):
        assert (part >= 0).all()
        assert (part < 2 * np.finfo(dtype).tiny).all()


@BOTH
@pytest.mark.parametrize("name", LOOPS)
def test_nan_passes_through(name, dtype):
    assert np.isnan(compiled(name, np.array([np.nan, -np.nan], dtype))).all()


@BOTH
def test_nan_passes_through_the_logistic_function(dtype):
    assert np.isnan(compiled_logistic(np.array([np.nan], dtype))).all()


@BOTH
def test_the_logarithm_of_a_negative_number_is_nan(dtype):
    assert np.isnan(compiled("log", np.array([-1, -np.finfo(dtype).smallest_subnormal, -np.inf], dtype))).all()


@BOTH
@pytest.mark.parametrize(
    ("name", "x", "wanted"),
    [
        ("exp", [0, -np.inf, np.inf], [1, 0, np.inf]),
        ("expm1", [0, -np.inf], [0, -1]),
        ("log", [1, 0, np.inf], [0, -np.inf, np.inf]),
        ("log1p", [0], [0]),
        ("tanh", [0, -np.inf, np.inf], [0, -1, 1]),
    ],
)
def test_exact_values(name, x, wanted, dtype):
    assert compiled(name, np.array(x, dtype)).tolist() == wanted


def test_horners_rule_by_hand():
    """3 x^2 + 2 x + 5 at 2 is 12 + 4 + 5."""
    assert intrinsics._polynomial(2.0, (3.0, 2.0, 5.0)) == 21
    if COMPILED:
        assert from_python(intrinsics.polynomial)(2.0, (3.0, 2.0, 5.0)) == 21
