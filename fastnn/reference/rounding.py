"""Rounding to bfloat16: the sign, the exponent and the first 7 bits of the fraction of a float32."""

from __future__ import annotations

import numpy as np

from .activations import Array


def round_to_bfloat16(values: Array) -> Array:
    """Return float32 numbers rounded to the nearest bfloat16, ties to even, in the dtype given; NaN stays NaN."""
    bits = np.asarray(values, np.float32).view(np.uint32).astype(np.uint64)
    even = bits >> 16 & 1
    rounded = ((bits + 0x7FFF + even) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return np.where(np.isnan(values), values, rounded).astype(values.dtype)


def unrounded(values: Array) -> Array:
    """Return numbers as they are."""
    return values


OPERANDS = {"float32": unrounded, "float64": unrounded, "bfloat16": round_to_bfloat16}
"""Precision -> what becomes of the operands of the three products."""
