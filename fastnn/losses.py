"""Losses with a setting, and losses and activations of one's own.

With a an output and y its target, summed over outputs and averaged over examples::

    squared_error          (a - y)^2
    half_squared_error     (a - y)^2 / 2
    absolute_error         |a - y|
    huber                  (a - y)^2 / 2 where |a - y| <= limit, else limit (|a - y| - limit / 2)
    quantile               q (y - a) where y > a, else (1 - q) (a - y)
    poisson                a - y ln a, for "exponential" outputs
    cross_entropy          -y ln a, for "softmax" outputs
    binary_cross_entropy   -y ln a - (1 - y) ln (1 - a), for "sigmoid" outputs; several outputs: several labels at once
    perceptron             max(0, -(2y - 1) z), for "step" outputs
"""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

from .kernels import user_functions
from .kernels.activations import CODES as ACTIVATION_CODES
from .kernels.losses import CODES as LOSS_CODES
from .spec import check_float, number_of


@dataclass(frozen=True)
class Huber:
    """Squared near 0, absolute beyond (Huber 1964): give it as `loss`.

    Parameters
    ----------
    limit : float, default 1
        Error at which the one becomes the other, in units of the targets.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Network([2, 1], activation="identity", loss=fastnn.losses.Huber(0.5), seed=0).loss_name
    'huber'
    """

    limit: float = 1.0

    def __post_init__(self) -> None:
        if check_float("limit", self.limit) <= 0:
            raise ValueError(f"limit must be positive, got {self.limit!r}")


@dataclass(frozen=True)
class Quantile:
    """The loss whose minimum is a quantile of the targets (Koenker and Bassett 1978): give it as `loss`.

    Parameters
    ----------
    q : float, default 0.5
        Share of the targets that should lie below the output.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Network([2, 1], activation="identity", loss=fastnn.losses.Quantile(0.9), seed=0).loss_name
    'quantile'
    """

    q: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < check_float("q", self.q) < 1:
            raise ValueError(f"q must lie between 0 and 1, got {self.q!r}")


def register_activation(name: str, value: Callable[[float], float], slope: Callable[[float], float]) -> None:
    """Add an activation of your own: f(z) and f'(z), compiled with the network and run at its speed.

    Parameters
    ----------
    name : str
        What `activation=` will call it. A name that is taken is refused.
    value, slope : functions of one number
        Plain Python that Numba compiles, decorated with `@njit` or not.

    Raises
    ------
    ValueError
        If `slope` is not the derivative of `value`, checked by differences at points from -4 to 4, or has a raise.
    TypeError
        If Numba does not compile them, or they return something other than real numbers.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.register_activation("square", lambda z: z * z, lambda z: 2 * z)
    >>> fastnn.Network([1, 1], activation="square", seed=0).activation
    ('square',)
    """
    _check_name(name, ACTIVATION_CODES)
    value, slope = (_plain(what, function, 1) for what, function in (("value", value), ("slope", slope)))
    for z in _points(64):
        _check_slope(f"slope({z:.4g})", value, z, slope(z))
    user_functions.add_activation(name, value, slope)


def register_loss(name: str, value: Callable[[float, float], float], slope: Callable[[float, float], float]) -> None:
    """Add a loss of your own: l(a, y) of one output and its target, and dl/da.

    Parameters
    ----------
    name : str
        What `loss=` will call it. A name that is taken is refused.
    value, slope : functions of two numbers
        Plain Python that Numba compiles, decorated with `@njit` or not; summed over outputs, averaged over examples.

    Raises
    ------
    ValueError
        If `slope` is not the derivative of `value` by a, checked by differences at points with a and y within 0 to 1,
        or has a raise.
    TypeError
        If Numba does not compile them, or they return something other than real numbers.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.register_loss("fourth_power", lambda a, y: (a - y) ** 4, lambda a, y: 4 * (a - y) ** 3)
    >>> fastnn.Network([1, 1], loss="fourth_power", seed=0).loss_name
    'fourth_power'
    """
    _check_name(name, LOSS_CODES)
    value, slope = (_plain(what, function, 2) for what, function in (("value", value), ("slope", slope)))
    for a, y in zip(_points(64) / 9 + 0.5, _points(64)[::-1] / 9 + 0.5, strict=True):
        _check_slope(f"slope({a:.4g}, {y:.4g})", functools.partial(_swapped, value, y), a, slope(a, y))
    user_functions.add_loss(LOSS_CODES, name, value, slope)


def _swapped(value: Callable[[float, float], float], y: float, a: float) -> float:
    return value(a, y)


def _plain(what: str, given: Any, n_numbers: int) -> Callable[..., Any]:
    """A function in plain Python that Numba compiles, and that does not raise."""
    function = getattr(given, "py_func", given)
    if isinstance(function, BuiltinFunctionType | np.ufunc):
        function = (lambda z: given(z)) if n_numbers == 1 else (lambda a, y: given(a, y))
    if not isinstance(function, FunctionType):
        raise TypeError(f"{what} must be a function, got {given!r:.80}")
    if _raises(function, set()):
        raise ValueError(f"{what} must not raise, for nobody hears it in compiled code: return math.nan instead")
    user_functions.check_compiles(what, function, n_numbers)
    return function


def _raises(function: Any, seen: set[Any]) -> bool:
    """Whether the function, or one of Python's that it calls, has a raise or an assert."""
    function = getattr(function, "py_func", function)
    if not isinstance(function, FunctionType) or function in seen:
        return False
    seen.add(function)
    if any(step.opname == "RAISE_VARARGS" for step in dis.get_instructions(function)):
        return True
    outside = inspect.getclosurevars(function)
    return any(_raises(value, seen) for value in (*outside.nonlocals.values(), *outside.globals.values()))


def _check_name(name: Any, taken: dict[str, int]) -> None:
    if not isinstance(name, str) or not name:
        raise TypeError(f"name must be a text, got {name!r}")
    if name in taken:
        raise ValueError(f"name {name!r} is taken")


def _points(count: int) -> np.ndarray:
    return np.linspace(-4, 4, count) + 0.0137  # none of them where functions are usually bent


def _check_slope(what: str, function: Callable[[float], float], at: float, given: float) -> None:
    step = 1e-5
    above, below = function(at + step), function(at - step)
    for number in (above, below, given):
        number_of("what value and slope return", number)
    found = (above - below) / (2 * step)
    if not abs(found - given) <= 1e-5 * max(1.0, abs(found)):
        raise ValueError(f"{what} must be the derivative of value, {found:.6g} by differences; it is {given:.6g}")
