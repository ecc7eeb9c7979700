"""Backward: delta^(l-1) = (delta^l W^T) * f'(z^(l-1)), from the output down to the first hidden layer."""

from __future__ import annotations

from .forward import tile_rows_left
from .jit import entry, kernel
from .layout import COLUMNS, DELTAS, LD, LD_IN, WEIGHTS
from .simd import DOT_COLUMNS, DOT_ROWS, VECTOR_BYTES, dot_tile

ROW_BLOCK = 48  # rows of deltas that stay in the second-level cache while W streams by


@kernel
def delta_below(numbers, parameters, layer, below, first, last):
    """numbers[DELTAS] of `below`: rows first..last, f'(z) before, deltas after; from the deltas of `layer` and W."""
    columns, ld, ld_below = layer[COLUMNS], layer[LD], layer[LD_IN]
    vectors = columns // (VECTOR_BYTES // numbers.itemsize)
    for block in range(first, last, ROW_BLOCK):
        end = min(last, block + ROW_BLOCK)
        for k in range(0, below[COLUMNS], DOT_COLUMNS):
            weights = layer[WEIGHTS] + k * ld
            r = block
            while r < end:
                rows = tile_rows_left(end - r, DOT_ROWS)
                out = below[DELTAS] + r * ld_below + k
                delta = layer[DELTAS] + r * ld
                dot_tile(rows, numbers, out, ld_below, numbers, delta, ld, parameters, weights, ld, vectors)
                r += rows


@entry
def backward(numbers, parameters, table, first, last):
    """numbers: deltas of every hidden layer, for rows first..last, from the deltas of the output layer."""
    for number in range(len(table) - 1, 0, -1):
        delta_below(numbers, parameters, table[number], table[number - 1], first, last)
