"""The three products of a layer with operands in bfloat16 and sums in float32.

Activations, deltas and weights are rounded where they are packed into pairs along the inner dimension, see
bfloat16.py. The weights are packed once for an update, in both orders, by the thread that made it. What is added up,
and everything between the products, is float32. The order of sums depends on the sizes alone.
"""

from __future__ import annotations

from .argument_types import Floats, Int64Matrix, Scalar
from .bfloat16 import bfloat16_pair
from .jit import kernel
from .layout import (
    BIASES,
    COLUMNS,
    DELTAS,
    GRADIENT_INPUTS,
    INNER_BLOCK,
    INPUTS,
    LD,
    LD_IN,
    LD_ROW_PAIRS,
    N_IN,
    N_OUT,
    OUTPUTS,
    PAIRS,
    ROW_PAIRS,
    TRANSPOSED_PAIRS,
    WEIGHTS,
    ZEROS,
)
from .registry import Slot, linked_kernel
from .simd import PANEL, TILE_ROWS, TILE_VECTORS, VECTOR_BYTES, transpose_square
from .tiling import ROW_GROUP, multiply_tiles, next_tile_rows, pair_gradient_column, pair_product_column


@kernel
def pair_rows(out, start_out, stride_out, source, start, stride, n_rows, columns):
    """Compute out[start_out:]: (n_rows / 2, columns) pairs of two rows of `source` each; an odd last row beside 0.

    Rows begin at start + r * stride.
    """
    for r in range(0, n_rows, 2):
        pairs = out[start_out + r // 2 * stride_out : start_out + r // 2 * stride_out + columns]
        first = source[start + r * stride : start + r * stride + columns]
        if r + 1 < n_rows:
            second = source[start + (r + 1) * stride : start + (r + 1) * stride + columns]
            for j in range(columns):
                pairs[j] = bfloat16_pair(first[j], second[j])
        else:
            zero = out.dtype.type(0)
            for j in range(columns):
                pairs[j] = bfloat16_pair(first[j], zero)


@kernel
def pair_columns(out, start_out, stride_out, source, start, stride, n_rows, columns):
    """Compute out[start_out:]: (n_rows, columns / 2) pairs of two numbers of a row each; an odd last one beside 0."""
    for r in range(n_rows):
        pairs = out[start_out + r * stride_out : start_out + r * stride_out + (columns + 1) // 2]
        row = source[start + r * stride : start + r * stride + columns]
        for p in range(columns // 2):
            pairs[p] = bfloat16_pair(row[2 * p], row[2 * p + 1])
        if columns % 2:
            pairs[columns // 2] = bfloat16_pair(row[columns - 1], out.dtype.type(0))


@linked_kernel(Slot.BFLOAT16_WEIGHTED_INPUTS, (Floats, Floats, Int64Matrix, int, int, int))
def bfloat16_weighted_inputs(buffer, parameters, table, index, first, last):
    """Compute buffer[OUTPUTS]: rows first..last of z = a W + b; a: buffer[INPUTS], W: buffer[PAIRS]."""
    layer = table[index]
    n_in, columns, ld, ld_pairs = layer[N_IN], layer[COLUMNS], layer[LD], layer[LD_ROW_PAIRS]
    rows = layer[ROW_PAIRS] + first * ld_pairs
    pair_columns(buffer, rows, ld_pairs, buffer, layer[INPUTS] + first * layer[LD_IN], layer[LD_IN], last - first, n_in)
    lanes = VECTOR_BYTES // buffer.itemsize
    n_pairs = (n_in + 1) // 2
    for k in range(0, n_pairs, INNER_BLOCK):
        depth = min(INNER_BLOCK, n_pairs - k)
        for j in range(0, columns, TILE_VECTORS * lanes):
            z = layer[OUTPUTS] + first * ld + j
            start, s0, ld_start = (buffer, z, ld) if k else (parameters, layer[BIASES] + j, 0)
            pair_product_column(
                buffer, z, ld, start, s0, ld_start, buffer, rows + k, ld_pairs,
                buffer, layer[PAIRS] + k * ld + j, ld, last - first, min(TILE_VECTORS, (columns - j) // lanes), depth,
            )  # fmt: skip


@linked_kernel(Slot.BFLOAT16_DELTA_BELOW, (Floats, Floats, Int64Matrix, int, int, int))
def bfloat16_delta_below(buffer, scratch, table, index, first, last):
    """Compute buffer[DELTAS] below layer `index`: rows first..last of (delta W^T) * f'(z), from f'(z).

    W^T: buffer[TRANSPOSED_PAIRS]; scratch: zeros, then the products of one column of tiles, (rows, width).
    """
    layer, below = table[index], table[index - 1]
    n_out, ld, ld_below, ld_pairs = layer[N_OUT], layer[LD], layer[LD_IN], layer[LD_ROW_PAIRS]
    rows = layer[ROW_PAIRS] + first * ld_pairs
    pair_columns(buffer, rows, ld_pairs, buffer, layer[DELTAS] + first * ld, ld, last - first, n_out)
    lanes = VECTOR_BYTES // buffer.itemsize
    width = TILE_VECTORS * lanes
    n_pairs = (n_out + 1) // 2
    scratch[:width] = 0
    for k in range(0, below[COLUMNS], width):
        vectors = min(width, below[COLUMNS] - k) // lanes
        for j in range(0, n_pairs, INNER_BLOCK):
            start, ld_start = (ZEROS, width) if j else (0, 0)
            pair_product_column(
                scratch, ZEROS, width, scratch, start, ld_start, buffer, rows + j, ld_pairs,
                buffer, layer[TRANSPOSED_PAIRS] + j * ld_below + k, ld_below,
                last - first, vectors, min(INNER_BLOCK, n_pairs - j),
            )  # fmt: skip
        delta = below[DELTAS] + first * ld_below + k
        multiply_tiles(buffer, delta, ld_below, scratch, ZEROS, width, last - first, vectors * lanes)


@kernel
def pack_transposed_weights(buffer, scratch, parameters, layer, first, last):
    """Compute buffer[TRANSPOSED_PAIRS]: columns first..last of W^T, two of its rows beside one another.

    scratch: a square of pairs.
    """
    ld, ld_in, columns = layer[LD], layer[LD_IN], layer[COLUMNS]
    lanes = VECTOR_BYTES // buffer.itemsize
    for k in range(first, last, lanes):
        n_rows = min(lanes, last - k)
        for j in range(0, columns, 2 * lanes):
            n_pairs = min(2 * lanes, columns - j) // 2
            pair_columns(scratch, 0, lanes, parameters, layer[WEIGHTS] + k * ld + j, ld, n_rows, 2 * n_pairs)
            out = layer[TRANSPOSED_PAIRS] + j // 2 * ld_in + k
            if n_rows == lanes:
                transpose_square(buffer, out, ld_in, scratch, 0, lanes)
            else:
                for p in range(n_pairs):
                    for i in range(n_rows):
                        buffer[out + p * ld_in + i] = scratch[i * lanes + p]


@linked_kernel(Slot.BFLOAT16_PACK_WEIGHTS, (Floats, Floats, Floats, Int64Matrix, int, int, int))
def bfloat16_pack_weights(buffer, scratch, parameters, table, index, first, last):
    """Compute buffer[PAIRS] and, above the first layer, buffer[TRANSPOSED_PAIRS] from rows first..last of W.

    first is even, so that no pair has two owners.
    """
    layer = table[index]
    ld = layer[LD]
    pairs = layer[PAIRS] + first // 2 * ld
    pair_rows(buffer, pairs, ld, parameters, layer[WEIGHTS] + first * ld, ld, last - first, layer[COLUMNS])
    if index > 0:
        pack_transposed_weights(buffer, scratch, parameters, layer, first, last)


@linked_kernel(Slot.BFLOAT16_WEIGHT_GRADIENT, (Floats, Floats, Floats, Int64Matrix, int, Scalar, int, int, int))
def bfloat16_weight_gradient(out, buffer, scratch, table, index, rate, first, last, n_rows):
    """Update out[WEIGHTS]: rows first..last of W, less rate * a^T delta, summed over pairs of examples.

    scratch: panels of a group of A^T, and a panel of deltas.
    """
    layer = table[index]
    columns, ld, ld_in = layer[COLUMNS], layer[LD], layer[LD_IN]
    lanes = VECTOR_BYTES // buffer.itemsize
    width = TILE_VECTORS * lanes
    n_pairs = (n_rows + 1) // 2
    deltas = ROW_GROUP // TILE_ROWS * PANEL * n_pairs
    for group in range(first, last, ROW_GROUP):
        end = min(last, group + ROW_GROUP)
        k, panel = group, 0
        while k < end:
            rows = next_tile_rows(end - k, TILE_ROWS)
            pair_rows(scratch, panel, PANEL, buffer, layer[GRADIENT_INPUTS] + k, ld_in, n_rows, rows)
            k += rows
            panel += PANEL * n_pairs
        for j in range(0, columns, width):
            vectors = min(width, columns - j) // lanes
            pair_rows(scratch, deltas, width, buffer, layer[DELTAS] + j, ld, n_rows, vectors * lanes)
            pair_gradient_column(
                out, layer[WEIGHTS] + group * ld + j, ld, scratch, 0, PANEL, PANEL * n_pairs, scratch, deltas, width,
                end - group, n_pairs, vectors, rate,
            )  # fmt: skip
