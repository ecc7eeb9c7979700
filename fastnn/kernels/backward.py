"""Backward: delta^(l-1) = (delta^l W^T) * f'(z^(l-1)), from the output down to the first hidden layer."""

from __future__ import annotations

from .argument_types import Floats, Int64Matrix, KernelTable
from .bfloat16_products import bfloat16_delta_below
from .jit import kernel
from .layout import ALPHA_DELTAS, COLUMNS, DELTAS, INNER_BLOCK, LD, LD_IN, N_IN, N_OUT, PAIRS, WEIGHTS, ZEROS
from .pack import pack_transposed
from .registry import Slot, call, linked_kernel
from .row_loops import multiply_vectors
from .simd import TILE_VECTORS, VECTOR_BYTES
from .tiling import next_tile_size, product_column

ALL_COLUMNS = 1 << 62  # more than any layer has


@kernel
def multiply_outer(buffer, place, ld, delta, ld_delta, w, n_rows):
    """Update buffer[place:]: (n_rows, len(w)), times delta w^T, one delta for each row; w: (columns,)."""
    for r in range(n_rows):
        factor = buffer[delta + r * ld_delta]
        out = buffer[place + r * ld : place + r * ld + len(w)]
        for k in range(len(w)):
            out[k] *= factor * w[k]


@kernel
def delta_below_one(buffer, scratch, parameters, layer, deltas, alpha_deltas, first, last, left, right):
    """Compute buffer[deltas:], buffer[alpha_deltas:]: as delta_below, of one output; scratch: zeros, then W."""
    ld, ld_below = layer[LD], layer[LD_IN]
    for k in range(left, right, INNER_BLOCK):
        w = scratch[ZEROS : ZEROS + min(INNER_BLOCK, right - k)]
        n_weights = min(len(w), max(layer[N_IN] - k, 0))
        for i in range(n_weights):
            w[i] = parameters[layer[WEIGHTS] + (k + i) * ld]
        for i in range(n_weights, len(w)):
            w[i] = 0
        delta, place = layer[DELTAS] + first * ld, first * ld_below + k
        multiply_outer(buffer, deltas + place, ld_below, delta, ld, w, last - first)
        if alpha_deltas >= 0:
            multiply_outer(buffer, alpha_deltas + place, ld_below, delta, ld, w, last - first)


@kernel
def delta_below(buffer, scratch, parameters, layer, deltas, alpha_deltas, first, last, left, right, kernel_table):
    """Compute buffer[deltas:]: rows first..last, columns left..right of (delta W^T) * f'(z), from f'(z).

    delta: that of `layer`. buffer[alpha_deltas:] likewise, from the derivative by alpha; -1: there is none.

    scratch: zeros, then a panel of W^T, (INNER_BLOCK, width), then its products, (rows, width).
    """
    n_out, ld, ld_below = layer[N_OUT], layer[LD], layer[LD_IN]
    if n_out == 1:
        delta_below_one(buffer, scratch, parameters, layer, deltas, alpha_deltas, first, last, left, right)
        return
    lanes = VECTOR_BYTES // buffer.itemsize
    width = TILE_VECTORS * lanes
    sums = ZEROS + INNER_BLOCK * width
    scratch[:width] = 0
    k = left
    while k < right:
        vectors = next_tile_size((right - k) // lanes, TILE_VECTORS)
        for j in range(0, n_out, INNER_BLOCK):
            depth = min(INNER_BLOCK, n_out - j)
            pack_transposed(scratch, ZEROS, parameters, layer[WEIGHTS] + k * ld + j, ld, vectors, depth)
            start, ld_start = (sums, width) if j else (0, 0)
            call(
                kernel_table, product_column,
                scratch, sums, width, scratch, start, ld_start, buffer, layer[DELTAS] + first * ld + j, ld,
                scratch, ZEROS, width, last - first, vectors, depth,
            )  # fmt: skip
        place = first * ld_below + k
        multiply_vectors(vectors, buffer, deltas + place, ld_below, scratch, sums, width, last - first)
        if alpha_deltas >= 0:
            multiply_vectors(vectors, buffer, alpha_deltas + place, ld_below, scratch, sums, width, last - first)
        k += vectors * lanes


@linked_kernel(Slot.BACKWARD, (Floats, Floats, Floats, Int64Matrix, int, int, int, int, int, int, KernelTable))
def backward(buffer, scratch, parameters, table, highest, lowest, first, last, left, right, kernel_table):
    """Compute buffer[DELTAS] of the layers below highest..lowest, both included, from those of `highest`.

    Rows first..last, columns left..right, as far as a layer has them.
    """
    for index in range(highest, lowest - 1, -1):
        if table[index, PAIRS] >= 0:
            call(kernel_table, bfloat16_delta_below, buffer, scratch, table, index, first, last)
        else:
            below = table[index - 1]
            delta_below(
                buffer, scratch, parameters, table[index], below[DELTAS], below[ALPHA_DELTAS], first, last,
                left, min(right, below[COLUMNS]), kernel_table,
            )  # fmt: skip
