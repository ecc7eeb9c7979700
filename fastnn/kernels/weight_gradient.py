"""The gradient by weights: a^T delta, summed over a block, and the step of plain gradient descent in its epilogue."""

from __future__ import annotations

from .bfloat16 import PAIR_STEP
from .jit import kernel
from .layout import (
    ALPHA_DELTAS,
    ALPHAS,
    BIASES,
    BY_COLUMNS,
    COLUMNS,
    COST,
    DELTAS,
    GRADIENT_INPUTS,
    INPUT_CHUNKS,
    LD,
    LD_IN,
    N_IN,
    N_OUT,
    PAIRS,
    PARTIAL_SUMS,
    WEIGHTS,
    chunk_start,
    contiguous_runs,
)
from .pack import MIN_PACKED_ROWS
from .registry import call
from .row_loops import copy_panel, copy_vectors
from .simd import CACHE_LINE, PANEL, TILE_ROWS, TILE_VECTORS, VECTOR_BYTES, gradient_row
from .tiling import ROW_GROUP, gradient_column, next_tile_size


@kernel
def partition_start(n_rows, thread, team_size):
    """Return the first of `n_rows` that a thread takes; the next thread's first is where it ends."""
    return n_rows * thread // team_size


@kernel
def owned_examples(table, n_rows, thread, team_size):
    """Return the range of a block's rows whose activations a thread computes.

    Of examples that are packed in pairs, whole pairs; whole tiles of them, if every thread has some.
    """
    unit = 1
    if table[len(table) - 1, PAIRS] >= 0:
        unit = 2 * PAIR_STEP if n_rows >= 2 * PAIR_STEP * team_size else 2
    units = (n_rows + unit - 1) // unit
    first = partition_start(units, thread, team_size) * unit
    return first, min(partition_start(units, thread + 1, team_size) * unit, n_rows)


@kernel
def first_owned_row(layer, total_cost, thread, team_size):
    """Return the first row of W that a thread owns in this layer, when all weights are split evenly."""
    cost = total_cost * thread // team_size - layer[COST]
    rows = (cost // layer[COLUMNS]) // TILE_ROWS * TILE_ROWS
    return min(max(rows, 0), layer[N_IN])


@kernel
def owned_inputs(n_in, thread, team_size):
    """Return the range of inputs that a thread owns in a layer of chunks: whole ones, if that is even."""
    if INPUT_CHUNKS % team_size == 0:
        chunks = INPUT_CHUNKS // team_size
        return chunk_start(n_in, chunks * thread), chunk_start(n_in, chunks * (thread + 1))
    tiles = n_in // TILE_ROWS
    last = partition_start(tiles, thread + 1, team_size) * TILE_ROWS
    return partition_start(tiles, thread, team_size) * TILE_ROWS, last if thread + 1 < team_size else n_in


@kernel
def owned_rows(table, index, thread, team_size):
    """Return the range of rows of W that a thread owns in a layer that is split by rows."""
    if table[index, PARTIAL_SUMS] >= 0:
        return owned_inputs(table[index, N_IN], thread, team_size)
    layer, top = table[index], table[len(table) - 1]
    total_cost = top[COST] + top[N_IN] * top[COLUMNS]
    first = first_owned_row(layer, total_cost, thread, team_size)
    return first, first_owned_row(layer, total_cost, thread + 1, team_size) if thread + 1 < team_size else layer[N_IN]


@kernel
def owned_columns(layer, itemsize, thread, team_size):
    """Return the range of columns of W, whole cache lines, that a thread owns in a layer that is split by columns."""
    width = max(VECTOR_BYTES, CACHE_LINE) // itemsize
    lines = (layer[COLUMNS] + width - 1) // width
    right = partition_start(lines, thread + 1, team_size) * width
    return partition_start(lines, thread, team_size) * width, min(right, layer[COLUMNS])


@kernel
def owned_part(table, index, itemsize, thread, team_size):
    """Return the ranges of rows and of columns of W that a thread owns in a layer; one is empty if nothing is."""
    layer = table[index]
    if layer[BY_COLUMNS]:
        left, right = owned_columns(layer, itemsize, thread, team_size)
        return 0, layer[N_IN] if left < right else 0, left, right
    first, last = owned_rows(table, index, thread, team_size)
    return first, last, 0, layer[COLUMNS]


@kernel
def subtract_weight_gradient_of_one(out, buffer, scratch, layer, rate, first, last, n_rows):
    """Update out[WEIGHTS]: rows first..last of W, as subtract_weight_gradient, of a layer of one output; scratch: W.

    A vector holds the weights of many inputs, where a tile would have one number of use in each.
    """
    ld, ld_in = layer[LD], layer[LD_IN]
    lanes = VECTOR_BYTES // buffer.itemsize
    width = TILE_VECTORS * lanes
    for k in range(first // lanes * lanes, last, width):
        begin, end = max(first, k), min(last, k + width)
        for i in range(begin, end):
            scratch[i - k] = out[layer[WEIGHTS] + i * ld]
        gradient_row(
            1, (end - k + lanes - 1) // lanes, 1, scratch, 0, 0, buffer, layer[DELTAS], ld, 0,
            buffer, layer[GRADIENT_INPUTS] + k, ld_in, n_rows, rate,
        )  # fmt: skip
        for i in range(begin, end):
            out[layer[WEIGHTS] + i * ld] = scratch[i - k]


@kernel
def subtract_weight_gradient(out, buffer, scratch, layer, rate, first, last, left, right, n_rows, kernel_table):
    """Update out[WEIGHTS]: rows first..last, columns left..right of W, less rate * a^T delta, summed in order.

    scratch: panels of a group of A^T, and a panel of deltas, if the block is large enough to pack.
    """
    columns, ld, ld_in = layer[COLUMNS], layer[LD], layer[LD_IN]
    if layer[N_OUT] == 1:
        subtract_weight_gradient_of_one(out, buffer, scratch, layer, rate, first, last, n_rows)
        return
    lanes = VECTOR_BYTES // buffer.itemsize
    width = TILE_VECTORS * lanes
    packing = n_rows >= MIN_PACKED_ROWS and columns > 2 * width
    deltas = ROW_GROUP // TILE_ROWS * PANEL * n_rows
    for group in range(first, last, ROW_GROUP):
        end = min(last, group + ROW_GROUP)
        if packing:
            k, panel = group, 0
            while k < end:
                copy_panel(scratch, panel, PANEL, buffer, layer[GRADIENT_INPUTS] + k, ld_in, n_rows)
                k += next_tile_size(end - k, TILE_ROWS)
                panel += PANEL * n_rows
        j = left
        while j < right:
            vectors = next_tile_size((right - j) // lanes, TILE_VECTORS)
            w, delta, here = layer[WEIGHTS] + group * ld + j, layer[DELTAS] + j, vectors * lanes
            if packing:
                copy_vectors(vectors, scratch, deltas, here, buffer, delta, ld, n_rows)
                call(
                    kernel_table, gradient_column,
                    out, w, ld, scratch, 0, PANEL, PANEL * n_rows, scratch, deltas, here,
                    end - group, n_rows, vectors, rate,
                )  # fmt: skip
            else:
                call(
                    kernel_table, gradient_column,
                    out, w, ld, buffer, layer[GRADIENT_INPUTS] + group, ld_in, 0, buffer, delta, ld,
                    end - group, n_rows, vectors, rate,
                )  # fmt: skip
            j += here


@kernel
def subtract_bias_gradient(out, buffer, scratch, layer, rate, left, right, n_rows):
    """Update out[BIASES]: columns left..right of b, less rate * delta, summed in order; scratch[0]: 1, its input.

    Likewise out[ALPHAS], from buffer[ALPHA_DELTAS].
    """
    ld = layer[LD]
    lanes = VECTOR_BYTES // buffer.itemsize
    width = TILE_VECTORS * lanes
    scratch[0] = 1
    for j in range(left, right, width):
        vectors = min(width, right - j) // lanes
        for part in range(2 if layer[ALPHAS] >= 0 else 1):
            place, deltas = (layer[ALPHAS], layer[ALPHA_DELTAS]) if part else (layer[BIASES], layer[DELTAS])
            gradient_row(1, vectors, 1, out, place + j, ld, scratch, 0, 0, 0, buffer, deltas + j, ld, n_rows, rate)


@kernel
def clear_gradient(out, layer, first, last, left, right):
    """Clear out: 0 in rows first..last, columns left..right of W, and in the biases if row 0 is among them."""
    start, n_runs, width, distance = contiguous_runs(layer, first, last, left, right)
    for run in range(start, start + n_runs * distance, distance):
        out[run : run + width] = 0
    if first == 0:
        out[layer[BIASES] + left : layer[BIASES] + right] = 0
        if layer[ALPHAS] >= 0:
            out[layer[ALPHAS] + left : layer[ALPHAS] + right] = 0
