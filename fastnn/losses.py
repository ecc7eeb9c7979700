"""Losses that have a parameter, and registration of user-defined losses and activations.

With a an output and y its target; every loss is summed over the outputs and averaged over the examples::

    squared_error          (a - y)^2
    half_squared_error     (a - y)^2 / 2
    absolute_error         |a - y|
    huber                  (a - y)^2 / 2 if |a - y| <= delta, else delta (|a - y| - delta / 2)
    quantile               q (y - a) if y > a, else (1 - q) (a - y); q may differ from output to output
    poisson                a - y ln a, for "exponential" outputs
    cross_entropy          -y ln a, for "softmax" outputs
    binary_cross_entropy   -y ln a - (1 - y) ln (1 - a), for "sigmoid" outputs, each of which is a label by itself
    perceptron             max(0, -(2y - 1) z), for "step" outputs
"""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

from .checks import check_float, check_levels, check_number, check_positive
from .kernels import user_functions
from .kernels.activations import CODES as ACTIVATION_CODES
from .kernels.losses import CODES as LOSS_CODES


@dataclass(frozen=True)
class Huber:
    """The Huber loss, squared near 0 and absolute beyond (Huber 1964): give it as `loss`.

    Parameters
    ----------
    delta : float, default 1
        Error at which the loss changes from squared to absolute, in units of the targets.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Network([2, 1], activation="identity", loss=fastnn.losses.Huber(0.5), seed=0).loss_name
    'huber'
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        check_positive("delta", self.delta)


@dataclass(frozen=True)
class Quantile:
    """The quantile loss, which is least at a quantile of the targets (Koenker and Bassett 1978): give it as `loss`.

    Parameters
    ----------
    q : float or sequence of float, default 0.5
        Level: the fraction of the targets that should lie below the output. A sequence has one for each output, in
        order, and is kept as a tuple.

    Notes
    -----
    With one number, each output has a target of its own, and all have this level. With a sequence the outputs are
    quantiles of one quantity: targets have shape (n,) or (n, 1), and count for every output. Targets of shape
    (n, n_outputs) give each output its own. Integers of shape (n,) are then numbers, not labels.

    The loss is the sum over the outputs. Nothing keeps outputs of neighbouring levels from crossing; sorting each row
    undoes it, and never makes the mean loss larger (Chernozhukov, Fernandez-Val and Galichon 2010).

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Network([2, 1], activation="identity", loss=fastnn.losses.Quantile(0.9), seed=0).loss_name
    'quantile'

    >>> loss = fastnn.losses.Quantile([0.1, 0.5, 0.9])
    >>> net = fastnn.Network([2, 3], activation="identity", loss=loss, init="zeros", seed=0)
    >>> round(net.loss([[1.0, 2.0]], [10.0]), 6)
    15.0
    """

    q: float | Sequence[float] = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.q, Sequence | np.ndarray) and not isinstance(self.q, str | bytes):
            object.__setattr__(self, "q", check_levels("q", self.q))
        elif not 0 < check_float("q", self.q) < 1:
            raise ValueError(f"q must lie between 0 and 1, got {self.q!r}")


def register_activation(name: str, function: Callable[[float], float], derivative: Callable[[float], float]) -> None:
    """Register an activation f(z), which is compiled into the network and runs at its speed.

    Parameters
    ----------
    name : str
        Name for `activation=`. It must not be in use.
    function, derivative : functions of one number
        f(z) and f'(z), in Python that Numba can compile, decorated with `@njit` or not.

    Raises
    ------
    ValueError
        If `derivative` disagrees with finite differences of `function` at points from -4 to 4, or one of them contains
        a raise.
    TypeError
        If Numba cannot compile them, or they do not return real numbers.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.register_activation("square", lambda z: z * z, lambda z: 2 * z)
    >>> fastnn.Network([1, 1], activation="square", seed=0).activation
    ('square',)
    """
    _check_name(name, ACTIVATION_CODES)
    f, f_prime = _compilable("function", function, 1), _compilable("derivative", derivative, 1)
    for z in _points(64):
        _check_derivative(f"derivative({z:.4g})", f, z, f_prime(z))
    user_functions.add_activation(name, f, f_prime)


def register_loss(
    name: str, function: Callable[[float, float], float], derivative: Callable[[float, float], float]
) -> None:
    """Register a loss l(a, y) of one output a and its target y.

    Parameters
    ----------
    name : str
        Name for `loss=`. It must not be in use.
    function, derivative : functions of two numbers
        l(a, y) and dl/da, in Python that Numba can compile, decorated with `@njit` or not. The loss is summed over the
        outputs and averaged over the examples.

    Raises
    ------
    ValueError
        If `derivative` disagrees with finite differences of `function` by a, at points with a and y from 0 to 1, or one
        of them contains a raise.
    TypeError
        If Numba cannot compile them, or they do not return real numbers.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.register_loss("fourth_power", lambda a, y: (a - y) ** 4, lambda a, y: 4 * (a - y) ** 3)
    >>> fastnn.Network([1, 1], loss="fourth_power", seed=0).loss_name
    'fourth_power'
    """
    _check_name(name, LOSS_CODES)
    f, f_prime = _compilable("function", function, 2), _compilable("derivative", derivative, 2)
    for a, y in zip(_points(64) / 9 + 0.5, _points(64)[::-1] / 9 + 0.5, strict=True):
        _check_derivative(f"derivative({a:.4g}, {y:.4g})", functools.partial(_swapped, f, y), a, f_prime(a, y))
    user_functions.add_loss(LOSS_CODES, name, f, f_prime)


def _swapped(function: Callable[[float, float], float], y: float, a: float) -> float:
    return function(a, y)


def _compilable(name: str, function: Any, n_arguments: int) -> Callable[..., Any]:
    """Return the argument `name` as a function in plain Python that Numba compiles and that does not raise."""
    plain = getattr(function, "py_func", function)
    if isinstance(plain, BuiltinFunctionType | np.ufunc):
        plain = (lambda z: function(z)) if n_arguments == 1 else (lambda a, y: function(a, y))
    if not isinstance(plain, FunctionType):
        raise TypeError(f"{name} must be a function, got {function!r:.80}")
    if _raises(plain, set()):
        raise ValueError(f"{name} must not raise, since compiled code cannot report it: return math.nan instead")
    user_functions.check_compiles(name, plain, n_arguments)
    return plain


def _raises(function: Any, seen: set[Any]) -> bool:
    """Return whether the function, or a Python function that it calls, contains a raise or an assert."""
    function = getattr(function, "py_func", function)
    if not isinstance(function, FunctionType) or function in seen:
        return False
    seen.add(function)
    if any(instruction.opname == "RAISE_VARARGS" for instruction in dis.get_instructions(function)):
        return True
    outer = inspect.getclosurevars(function)
    return any(_raises(value, seen) for value in (*outer.nonlocals.values(), *outer.globals.values()))


def _check_name(name: Any, taken: dict[str, int]) -> None:
    if not isinstance(name, str) or not name:
        raise TypeError(f"name must be a text, got {name!r}")
    if name in taken:
        raise ValueError(f"name {name!r} is taken")


def _points(count: int) -> np.ndarray:
    return np.linspace(-4, 4, count) + 0.0137  # an offset, so that no point is a kink such as that of relu at 0


def _check_derivative(what: str, function: Callable[[float], float], x: float, derivative: float) -> None:
    """Raise a ValueError if `derivative` is not that of the function at x."""
    step = 1e-5
    above, below = function(x + step), function(x - step)
    for number in (above, below, derivative):
        check_number("what function and derivative return", number)
    difference = (above - below) / (2 * step)
    if not abs(difference - derivative) <= 1e-5 * max(1.0, abs(difference)):
        raise ValueError(
            f"{what} must be the derivative of function, {difference:.6g} by differences; it is {derivative:.6g}"
        )
