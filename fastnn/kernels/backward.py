"""Backward: delta^(l-1) = (delta^l W^T) * f'(z^(l-1)), from the output down to the first hidden layer."""

from __future__ import annotations

from .forward import product_column
from .jit import kernel, piece
from .layout import COLUMNS, DELTAS, INNER_BLOCK, LD, LD_IN, N_OUT, WEIGHTS, ZEROS
from .pack import pack_transposed
from .simd import TILE_VECTORS, VECTOR_BYTES


@kernel
def delta_below(numbers, scratch, parameters, layer, below, first, last):
    """numbers[DELTAS] of `below`: rows first..last, f'(z) before, deltas after; from the deltas of `layer` and W.

    scratch: zeros, then a panel of W^T, (INNER_BLOCK, width), then its products, (rows, width).
    """
    n_out, ld, ld_below, columns = layer[N_OUT], layer[LD], layer[LD_IN], below[COLUMNS]
    lanes = VECTOR_BYTES // numbers.itemsize
    width = TILE_VECTORS * lanes
    sums = ZEROS + INNER_BLOCK * width
    scratch[:width] = 0
    for k in range(0, columns, width):
        vectors = min(width, columns - k) // lanes
        for j in range(0, n_out, INNER_BLOCK):
            depth = min(INNER_BLOCK, n_out - j)
            pack_transposed(scratch, ZEROS, parameters, layer[WEIGHTS] + k * ld + j, ld, vectors, depth)
            start, start_stride = (sums, width) if j else (0, 0)
            product_column(
                scratch, sums, width, scratch, start, start_stride, numbers, layer[DELTAS] + first * ld + j, ld,
                scratch, ZEROS, width, last - first, vectors, depth,
            )  # fmt: skip
        for r in range(last - first):
            slope = below[DELTAS] + (first + r) * ld_below + k
            delta = numbers[slope : slope + vectors * lanes]
            total = scratch[sums + r * width : sums + (r + 1) * width]
            for i in range(vectors * lanes):
                delta[i] *= total[i]


@piece
def backward(numbers, scratch, parameters, table, first, last):
    """numbers: deltas of every hidden layer, for rows first..last, from the deltas of the output layer."""
    for number in range(len(table) - 1, 0, -1):
        delta_below(numbers, scratch, parameters, table[number], table[number - 1], first, last)
