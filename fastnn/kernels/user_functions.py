"""Activations and losses of the user's own: compiled over a block of numbers, called by address.

The address's place in the kernel table, plus USER_FUNCTION_BASE, is the code of the activation or loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.core.errors import NumbaError

from .activations import CODES as ACTIVATION_CODES
from .activations import activate
from .intrinsics import USER_FUNCTIONS, call_at
from .jit import COMPILED, kernel, piece
from .layout import ACTIVATE, N_PIECES

USER_FUNCTION_BASE = 1000


@piece
def user_activation(a, slope):
    """The signature of an activation: a: (n,) z before, f(z) after; slope: (n,) f'(z). This one is the identity."""
    slope[:] = 1


@piece
def user_loss(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld):
    """The signature of a loss, as squared_error of losses.py. This one is 0."""
    row_loss[:n_rows] = 0
    delta[: n_rows * ld] = 0


@kernel
def apply_activation(a, slope, activation, code):
    """a: (n,) z before, f(z) after; slope: (n,) f'(z)."""
    if activation >= USER_FUNCTION_BASE:
        call_at(code[activation - USER_FUNCTION_BASE], user_activation, a, slope)
    else:
        call_at(code[ACTIVATE], activate, a, slope, activation)


def check_compiles(what: str, function: Callable[..., Any], n_numbers: int) -> None:
    """An error where Numba does not make machine code of it that takes such float64 and returns a real number."""
    if not COMPILED:
        return
    inner = kernel(function)
    found = kernel((lambda z: inner(z)) if n_numbers == 1 else (lambda a, y: inner(a, y)))  # defaults are left out
    try:
        found.compile((types.float64,) * n_numbers)
    except NumbaError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        reason = next((line for line in lines if line and not line.startswith("Failed in")), "")
        raise TypeError(f"{what} must be a function that Numba compiles: {reason:.200}") from None
    returned = found.overloads[(types.float64,) * n_numbers].signature.return_type
    if not isinstance(returned, types.Float | types.Integer | types.Boolean):
        raise TypeError(f"{what} must return a real number, compiled it returns {returned}")


def add_activation(name: str, value: Callable[..., Any], slope: Callable[..., Any]) -> None:
    """Give an activation, by its functions of one number, a name and a code."""
    f, rise = kernel(value), kernel(slope)

    def over_block(a, slopes):
        for i in range(len(a)):
            z = a[i]
            slopes[i] = rise(z)
            a[i] = f(z)

    ACTIVATION_CODES[name] = _add(over_block)


def add_loss(codes: dict[str, int], name: str, value: Callable[..., Any], slope: Callable[..., Any]) -> None:
    """Give a loss, by its functions of one activation and its target, a name and a code."""
    f, rise = kernel(value), kernel(slope)

    def over_block(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld):
        for r in range(n_rows):
            total = a.dtype.type(0)
            for i in range(r * ld, r * ld + n_out):
                total += a.dtype.type(f(a[i], targets[i]))
                delta[i] *= a.dtype.type(rise(a[i], targets[i])) * row_factor[r]
            row_loss[r] = total

    codes[name] = _add(over_block)


def _add(over_block: Callable[..., Any]) -> int:
    USER_FUNCTIONS.append(kernel(over_block))
    return USER_FUNCTION_BASE + N_PIECES + len(USER_FUNCTIONS) - 1
