"""Kernels that call one another by address."""

import pytest
from numba import njit

from fastnn.kernels import kernel_table
from fastnn.kernels.activations import activate
from fastnn.kernels.intrinsics import call_at
from fastnn.kernels.jit import COMPILED, OPTIONS

pytestmark = pytest.mark.skipif(not COMPILED, reason="there are no addresses without compilation")


def test_what_returns_something_has_no_place_in_the_table():
    constant = njit(**OPTIONS)(lambda a, slope: 1.0)
    with pytest.raises(TypeError, match="must return nothing"):
        kernel_table.machine_code(constant, kernel_table.ACTIVATION_OF_BLOCK, "float32")


def test_a_call_with_types_that_a_piece_is_not_compiled_for_is_an_error_not_a_jump():
    kernel_table.declare("float32")
    wrong = njit(**OPTIONS)(lambda a: call_at(0, activate, a, a, 1.5))
    with pytest.raises(TypeError, match="activate is called with"):
        wrong.compile(kernel_table.signature("numbers", "float32"))
