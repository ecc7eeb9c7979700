"""Activations and losses that the user registers: compiled over a block of numbers, called by address.

A user's function has a slot of the kernel table behind those of fastnn's kernels, see registry.py. Its code, which
stands where those of fastnn's activations and losses do, is the slot plus USER_FUNCTION_BASE.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.core.errors import NumbaError

from .activations import CODES as ACTIVATION_CODES
from .activations import activate
from .argument_types import Floats
from .jit import COMPILED, kernel
from .registry import add_user_function, call, call_user_function, user_prototype

USER_FUNCTION_BASE = 1000


@user_prototype((Floats, Floats))
def user_activation(a, derivative):
    """Compute a: (n,) f(z) from z, and derivative: (n,) f'(z). A user's activation has this signature; this is z."""
    derivative[:] = 1


@user_prototype((Floats, Floats, Floats, Floats, Floats, int, int, int))
def user_loss(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld):
    """Compute delta, row_loss: as squared_error of losses.py. A user's loss has this signature; here l = 0."""
    row_loss[:n_rows] = 0
    delta[: n_rows * ld] = 0


@kernel
def apply_activation(a, derivative, activation, kernel_table):
    """Compute a: (n,) f(z) from z, and derivative: (n,) f'(z)."""
    if activation >= USER_FUNCTION_BASE:
        call_user_function(kernel_table, activation - USER_FUNCTION_BASE, user_activation, a, derivative)
    else:
        call(kernel_table, activate, a, derivative, activation)


def check_compiles(what: str, function: Callable[..., Any], n_numbers: int) -> None:
    """Raise a TypeError unless Numba compiles the function, for so many float64, and it returns a real number."""
    if not COMPILED:
        return
    inner = kernel(function)
    tried = kernel((lambda z: inner(z)) if n_numbers == 1 else (lambda a, y: inner(a, y)))  # defaults are left out
    try:
        tried.compile((types.float64,) * n_numbers)
    except NumbaError as error:
        without_colours = re.sub(r"\x1b\[[\d;]*m", "", str(error))  # Numba adds them if colorama is installed
        lines = [line.strip() for line in without_colours.splitlines()]
        reason = next((line for line in lines if line and not line.startswith("Failed in")), "")
        raise TypeError(f"{what} must be a function that Numba compiles: {reason:.200}") from None
    returned = tried.overloads[(types.float64,) * n_numbers].signature.return_type
    if not isinstance(returned, types.Float | types.Integer | types.Boolean):
        raise TypeError(f"{what} must return a real number, compiled it returns {returned}")


def add_activation(name: str, function: Callable[..., Any], derivative: Callable[..., Any]) -> None:
    """Add an activation, given by functions of one number, under this name."""
    f, f_prime = kernel(function), kernel(derivative)

    def over_block(a, derivative):
        for i in range(len(a)):
            z = a[i]
            derivative[i] = f_prime(z)
            a[i] = f(z)

    ACTIVATION_CODES[name] = USER_FUNCTION_BASE + add_user_function(user_activation, kernel(over_block))


def add_loss(codes: dict[str, int], name: str, function: Callable[..., Any], derivative: Callable[..., Any]) -> None:
    """Add a loss, given by functions of one output and its target, to the codes under this name."""
    f, f_prime = kernel(function), kernel(derivative)

    def over_block(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld):
        for r in range(n_rows):
            total = a.dtype.type(0)
            for i in range(r * ld, r * ld + n_out):
                total += a.dtype.type(f(a[i], targets[i]))
                delta[i] *= a.dtype.type(f_prime(a[i], targets[i])) * row_factor[r]
            row_loss[r] = total

    codes[name] = USER_FUNCTION_BASE + add_user_function(user_loss, kernel(over_block))
