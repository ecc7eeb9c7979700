"""The pass by weight: slope = a^T delta over the block, and the step of gradient descent in its epilogue."""

from __future__ import annotations

from .forward import tile_rows_left
from .jit import kernel
from .layout import BIASES, COLUMNS, COST, DELTAS, GROUP_TILES, INPUTS, LD, LD_IN, N_IN, WEIGHTS
from .pack import WORTH_PACKING, pack_narrow, pack_panel
from .simd import PANEL, TILE_ROWS, TILE_VECTORS, VECTOR_BYTES, gradient_tiles

ROW_GROUP = GROUP_TILES * TILE_ROWS  # rows of W for which the activations stay in the second-level cache


@kernel
def share_start(layer, total_cost, rank, n_threads):
    """First row of W that thread `rank` owns in this layer, when all weights are split evenly."""
    wanted = total_cost * rank // n_threads - layer[COST]
    rows = (wanted // layer[COLUMNS]) // TILE_ROWS * TILE_ROWS
    return min(max(rows, 0), layer[N_IN])


@kernel
def owned_rows(table, number, rank, team):
    """First and last row of W in this layer that thread `rank` owns."""
    layer, top = table[number], table[len(table) - 1]
    total_cost = top[COST] + top[N_IN] * top[COLUMNS]
    first = share_start(layer, total_cost, rank, team)
    return first, share_start(layer, total_cost, rank + 1, team) if rank + 1 < team else layer[N_IN]


@kernel
def gradient_column(
    out, at, ld, a_source, a, a_stride, packed, b_source, b, b_stride, n_weights, n_rows, vectors, rate
):
    """out[at:]: `n_weights` rows of W in one column of tiles, the taller tiles first.

    packed: the numbers of one panel of A^T, or 0 where A lies as it is.
    """
    tiles = (n_weights + TILE_ROWS - 1) // TILE_ROWS
    rows = (n_weights + tiles - 1) // tiles
    tall = n_weights - tiles * (rows - 1)
    step = packed if packed else rows
    gradient_tiles(
        rows, vectors, tall, out, at, ld, a_source, a, a_stride, step, b_source, b, b_stride, n_rows, rate
    )  # fmt: skip
    if tall < tiles:
        at, a, rows = at + tall * rows * ld, a + tall * step, rows - 1
        step = packed if packed else rows
        gradient_tiles(
            rows, vectors, tiles - tall, out, at, ld, a_source, a, a_stride, step, b_source, b, b_stride, n_rows, rate
        )  # fmt: skip


@kernel
def subtract_weight_gradient(out, numbers, scratch, layer, rate, first, last, n_rows):
    """out[WEIGHTS]: rows first..last of W, less rate * a^T delta summed over the block's rows in order.

    scratch: panels of a group of A^T, and a panel of deltas, where the block is large enough to pack.
    """
    columns, ld, ld_in = layer[COLUMNS], layer[LD], layer[LD_IN]
    lanes = VECTOR_BYTES // numbers.itemsize
    width = TILE_VECTORS * lanes
    packing = n_rows >= WORTH_PACKING and columns > 2 * width
    deltas = ROW_GROUP // TILE_ROWS * PANEL * n_rows
    for group in range(first, last, ROW_GROUP):
        end = min(last, group + ROW_GROUP)
        if packing:
            k, panel = group, 0
            while k < end:
                pack_narrow(scratch, panel, numbers, layer[INPUTS] + k, ld_in, n_rows)
                k += tile_rows_left(end - k, TILE_ROWS)
                panel += PANEL * n_rows
        for j in range(0, columns, width):
            vectors = min(width, columns - j) // lanes
            at, delta = layer[WEIGHTS] + group * ld + j, layer[DELTAS] + j
            if packing and vectors == TILE_VECTORS:
                pack_panel(scratch, deltas, numbers, delta, ld, n_rows)
                gradient_column(
                    out, at, ld, scratch, 0, PANEL, PANEL * n_rows, scratch, deltas, width,
                    end - group, n_rows, vectors, rate,
                )  # fmt: skip
            else:
                gradient_column(
                    out, at, ld, numbers, layer[INPUTS] + group, ld_in, 0, numbers, delta, ld,
                    end - group, n_rows, vectors, rate,
                )  # fmt: skip


@kernel
def subtract_bias_gradient(out, numbers, scratch, layer, rate, n_rows):
    """out[BIASES]: b less rate * delta summed over the block's rows in order; scratch[0]: 1, a bias's input."""
    columns, ld = layer[COLUMNS], layer[LD]
    lanes = VECTOR_BYTES // numbers.itemsize
    width = TILE_VECTORS * lanes
    scratch[0] = 1
    for j in range(0, columns, width):
        vectors = min(width, columns - j) // lanes
        gradient_tiles(
            1, vectors, 1, out, layer[BIASES] + j, ld, scratch, 0, 0, 0, numbers, layer[DELTAS] + j, ld, n_rows, rate
        )  # fmt: skip


@kernel
def clear(out, layer, first, last):
    """out: 0 in rows first..last of W, and in the biases of the owner of row 0."""
    out[layer[WEIGHTS] + first * layer[LD] : layer[WEIGHTS] + last * layer[LD]] = 0
    if first == 0:
        out[layer[BIASES] : layer[BIASES] + layer[LD]] = 0
