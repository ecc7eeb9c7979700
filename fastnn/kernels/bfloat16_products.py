"""The three products of a layer with operands in bfloat16 and sums in float32.

Activations, deltas and weights are rounded where they are packed into pairs along the inner dimension, see
bfloat16.py. Each is packed once for a step, in every order in which a product reads it: activations and deltas by the
thread that computed them, weights by the thread that updated them. What is added up, and everything between the
products, is float32. The order of sums depends on the sizes alone.

The inner dimension is rounded up to PAIR_STEP pairs; the surplus of both operands is 0.
"""

from __future__ import annotations

from .argument_types import Floats, Int64Matrix, Scalar
from .bfloat16 import (
    LANES,
    PAIR_STEP,
    PAIR_VECTORS,
    bfloat16_pair,
    pair_neighbours,
    pair_two_rows,
    square_of_neighbours,
    square_of_rows,
)
from .intrinsics import multiply_add
from .jit import kernel
from .layout import (
    BIASES,
    COLUMNS,
    DELTA_PAIRS,
    DELTAS,
    EXAMPLE_PAIRS,
    FROZEN,
    GRADIENT_INPUTS,
    INNER_BLOCK,
    INPUTS,
    LD,
    LD_EXAMPLE_PAIRS,
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
from .row_loops import multiply_vectors
from .tiling import pair_product_column

UPDATE_ROWS = 32  # rows of W that are updated, then packed, while they are in the first- or second-level cache


@kernel
def whole_steps(n_pairs):
    """Return a number of pairs rounded up to PAIR_STEP."""
    return (n_pairs + PAIR_STEP - 1) // PAIR_STEP * PAIR_STEP


@kernel
def pair_rows(out, start_out, stride_out, source, start, stride, n_rows, columns):
    """Compute out[start_out:]: (n_rows / 2, columns) pairs of two rows of `source` each; an odd last row beside 0.

    Rows begin at start + r * stride; columns: whole vectors.
    """
    for r in range(0, n_rows, 2):
        pairs = out[start_out + r // 2 * stride_out : start_out + r // 2 * stride_out + columns]
        first = source[start + r * stride : start + r * stride + columns]
        if r + 1 < n_rows:
            pair_two_rows(
                out, start_out + r // 2 * stride_out, source, start + r * stride, source, start + (r + 1) * stride,
                columns // LANES,
            )  # fmt: skip
        else:
            zero = out.dtype.type(0)
            for j in range(columns):
                pairs[j] = bfloat16_pair(first[j], zero)


@kernel
def pair_columns(out, start_out, stride_out, source, start, stride, n_rows, columns):
    """Compute out[start_out:]: (n_rows, columns / 2) pairs of two numbers of a row each; an odd last one beside 0.

    Whole steps of pairs are written.
    """
    n_pairs = whole_steps((columns + 1) // 2)
    for r in range(n_rows):
        pairs = out[start_out + r * stride_out : start_out + r * stride_out + n_pairs]
        pairs[columns // 2 :] = 0
        row = source[start + r * stride : start + r * stride + columns]
        rounds = columns // (2 * LANES)
        pair_neighbours(out, start_out + r * stride_out, source, start + r * stride, rounds)
        for p in range(rounds * LANES, columns // 2):
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
    n_pairs = whole_steps((n_in + 1) // 2)
    for k in range(0, n_pairs, INNER_BLOCK):
        depth = min(INNER_BLOCK, n_pairs - k)
        for j in range(0, columns, PAIR_VECTORS * LANES):
            z = layer[OUTPUTS] + first * ld + j
            start, s0, ld_start = (buffer, z, ld) if k else (parameters, layer[BIASES] + j, 0)
            pair_product_column(
                buffer, z, ld, start, s0, ld_start, buffer, rows + k, ld_pairs,
                buffer, layer[PAIRS] + k * ld + j, ld, last - first, min(PAIR_VECTORS, (columns - j) // LANES), depth,
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
    width = PAIR_VECTORS * LANES
    n_pairs = whole_steps((n_out + 1) // 2)
    scratch[:width] = 0
    for k in range(0, below[COLUMNS], width):
        vectors = min(width, below[COLUMNS] - k) // LANES
        for j in range(0, n_pairs, INNER_BLOCK):
            start, ld_start = (ZEROS, width) if j else (0, 0)
            pair_product_column(
                scratch, ZEROS, width, scratch, start, ld_start, buffer, rows + j, ld_pairs,
                buffer, layer[TRANSPOSED_PAIRS] + j * ld_below + k, ld_below,
                last - first, vectors, min(INNER_BLOCK, n_pairs - j),
            )  # fmt: skip
        delta = below[DELTAS] + first * ld_below + k
        multiply_vectors(vectors, buffer, delta, ld_below, scratch, ZEROS, width, last - first)


@kernel
def pack_transposed_weights(buffer, scratch, parameters, layer, first, last):
    """Compute buffer[TRANSPOSED_PAIRS]: columns first..last of W^T, two of its rows beside one another.

    scratch: a square of pairs.
    """
    ld, ld_in, columns = layer[LD], layer[LD_IN], layer[COLUMNS]
    for k in range(first, last, LANES):
        n_rows = min(LANES, last - k)
        for j in range(0, columns, 2 * LANES):
            n_pairs = min(2 * LANES, columns - j) // 2
            w, out = layer[WEIGHTS] + k * ld + j, layer[TRANSPOSED_PAIRS] + j // 2 * ld_in + k
            if n_rows == LANES and n_pairs == LANES:
                square_of_neighbours(buffer, out, ld_in, parameters, w, ld)
            else:
                pair_columns(scratch, 0, LANES, parameters, w, ld, n_rows, 2 * n_pairs)
                for p in range(n_pairs):
                    for i in range(n_rows):
                        buffer[out + p * ld_in + i] = scratch[i * LANES + p]


@kernel
def pack_weight_rows(buffer, scratch, parameters, layer, index, first, last):
    """Compute buffer[PAIRS] and, above the first layer, buffer[TRANSPOSED_PAIRS] from rows first..last of W.

    first is even, so that no pair has two owners; scratch: a square of pairs.
    """
    ld = layer[LD]
    pairs = layer[PAIRS] + first // 2 * ld
    pair_rows(buffer, pairs, ld, parameters, layer[WEIGHTS] + first * ld, ld, last - first, layer[COLUMNS])
    if index > 0:
        pack_transposed_weights(buffer, scratch, parameters, layer, first, last)


@linked_kernel(Slot.BFLOAT16_PACK_WEIGHTS, (Floats, Floats, Floats, Int64Matrix, int, int, int))
def bfloat16_pack_weights(buffer, scratch, parameters, table, index, first, last):
    """Compute buffer[PAIRS] and, above the first layer, buffer[TRANSPOSED_PAIRS] from rows first..last of W."""
    pack_weight_rows(buffer, scratch, parameters, table[index], index, first, last)


@kernel
def pair_rows_transposed(out, start_out, stride_out, scratch, source, start, stride, n_rows, columns):
    """Compute out[start_out:]: (columns, n_rows / 2), the transpose of what pair_rows makes; columns: whole vectors.

    scratch: a square of pairs.
    """
    for r in range(0, n_rows, 2 * LANES):
        rows = min(2 * LANES, n_rows - r)
        for k in range(0, columns, LANES):
            there, here = start + r * stride + k, start_out + k * stride_out + r // 2
            if rows == 2 * LANES:
                square_of_rows(out, here, stride_out, source, there, stride)
            else:
                pair_rows(scratch, 0, LANES, source, there, stride, rows, LANES)
                for i in range(LANES):
                    for p in range((rows + 1) // 2):
                        out[here + i * stride_out + p] = scratch[p * LANES + i]


@linked_kernel(Slot.BFLOAT16_PACK_EXAMPLES, (Floats, Floats, Int64Matrix, int, int, int))
def bfloat16_pack_examples(buffer, scratch, table, first, last, n_rows):
    """Compute buffer[EXAMPLE_PAIRS], buffer[DELTA_PAIRS]: rows first..last of a block of n_rows, for every gradient.

    first is even; scratch: a square of pairs.
    """
    for layer in table:
        if layer[FROZEN] or layer[PAIRS] < 0:
            continue
        ld, ld_in, ld_pairs, columns = layer[LD], layer[LD_IN], layer[LD_EXAMPLE_PAIRS], layer[COLUMNS]
        columns_in = (layer[N_IN] + LANES - 1) // LANES * LANES
        inputs, pairs = layer[GRADIENT_INPUTS] + first * ld_in, layer[EXAMPLE_PAIRS] + first // 2
        pair_rows_transposed(buffer, pairs, ld_pairs, scratch, buffer, inputs, ld_in, last - first, columns_in)
        deltas, pairs = layer[DELTAS] + first * ld, layer[DELTA_PAIRS] + first // 2 * ld
        pair_rows(buffer, pairs, ld, buffer, deltas, ld, last - first, columns)
        if last == n_rows:
            n_pairs = (n_rows + 1) // 2
            for p in range(n_pairs, whole_steps(n_pairs)):
                buffer[layer[DELTA_PAIRS] + p * ld : layer[DELTA_PAIRS] + p * ld + columns] = 0
                for k in range(columns_in):
                    buffer[layer[EXAMPLE_PAIRS] + k * ld_pairs + p] = 0


@linked_kernel(Slot.BFLOAT16_WEIGHT_GRADIENT, (Floats, Floats, Floats, Int64Matrix, int, Scalar, int, int, int, int))
def bfloat16_weight_gradient(out, buffer, scratch, table, index, rate, first, last, n_rows, pack):
    """Update out[WEIGHTS]: rows first..last of W, less rate * a^T delta, summed over pairs of examples.

    pack: 1 if `out` is the parameters: the rows are packed anew. scratch: zeros, then the products of one column of
    tiles.
    """
    layer = table[index]
    columns, ld, ld_pairs = layer[COLUMNS], layer[LD], layer[LD_EXAMPLE_PAIRS]
    width = PAIR_VECTORS * LANES
    depth = whole_steps((n_rows + 1) // 2)
    products = width
    scratch[:width] = 0
    for group in range(first, last, UPDATE_ROWS):
        end = min(last, group + UPDATE_ROWS)
        for j in range(0, columns, width):
            here = min(width, columns - j)
            pair_product_column(
                scratch, products, width, scratch, 0, 0, buffer, layer[EXAMPLE_PAIRS] + group * ld_pairs, ld_pairs,
                buffer, layer[DELTA_PAIRS] + j, ld, end - group, here // LANES, depth,
            )  # fmt: skip
            for i in range(end - group):
                w = out[layer[WEIGHTS] + (group + i) * ld + j : layer[WEIGHTS] + (group + i) * ld + j + here]
                gradient = scratch[products + i * width : products + i * width + here]
                for v in range(here):
                    w[v] = multiply_add(-rate, gradient[v], w[v])
        if pack:
            pack_weight_rows(buffer, scratch[products:], out, layer, index, group, end)
