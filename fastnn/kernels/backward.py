"""Backward: delta^(l-1) = (delta^l W^T) * f'(z^(l-1)), from the output down to the first hidden layer."""

from __future__ import annotations

from .forward import tile_rows_left
from .jit import entry, kernel
from .layout import COLUMNS, DELTAS, LD, LD_IN, N_OUT, NARROW, WEIGHTS, ZEROS
from .simd import DOT_COLUMNS, DOT_ROWS, TILE_ROWS, TILE_VECTORS, VECTOR_BYTES, dot_tile, forward_tile

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


@kernel
def delta_below_narrow(numbers, scratch, parameters, layer, below, first, last):
    """As delta_below, for few outputs: a dot product over them is too short, so W is transposed first.

    scratch: zeros, then W^T (n_out, ld_below), then the rows of one tile.
    """
    n_out, ld, ld_below, columns = layer[N_OUT], layer[LD], layer[LD_IN], below[COLUMNS]
    lanes = VECTOR_BYTES // numbers.itemsize
    width = TILE_VECTORS * lanes
    scratch[:width] = 0
    for j in range(n_out):
        row = scratch[ZEROS + j * ld_below : ZEROS + j * ld_below + columns]
        for k in range(columns):
            row[k] = parameters[layer[WEIGHTS] + k * ld + j]
    tile = ZEROS + n_out * ld_below
    r = first
    while r < last:
        rows = tile_rows_left(last - r, TILE_ROWS)
        delta = layer[DELTAS] + r * ld
        for k in range(0, columns, width):
            vectors = min(width, columns - k) // lanes
            forward_tile(
                rows, vectors, scratch, tile + k, ld_below, scratch, 0, 0, numbers, delta, ld,
                scratch, ZEROS + k, ld_below, n_out,
            )  # fmt: skip
        slopes = numbers[below[DELTAS] + r * ld_below : below[DELTAS] + (r + rows) * ld_below]
        sums = scratch[tile : tile + rows * ld_below]
        for i in range(rows * ld_below):
            slopes[i] *= sums[i]
        r += rows


@entry
def backward(numbers, scratch, parameters, table, first, last):
    """numbers: deltas of every hidden layer, for rows first..last, from the deltas of the output layer."""
    for number in range(len(table) - 1, 0, -1):
        layer, below = table[number], table[number - 1]
        if layer[N_OUT] <= NARROW:
            delta_below_narrow(numbers, scratch, parameters, layer, below, first, last)
        else:
            delta_below(numbers, parameters, layer, below, first, last)
