"""The pass by weight: slope = a^T delta over the block, and the step of gradient descent in its epilogue."""

from __future__ import annotations

from .forward import tile_rows_left
from .intrinsics import multiply_add
from .jit import kernel
from .layout import BIASES, COLUMNS, COST, DELTAS, INPUTS, LD, LD_IN, N_IN, WEIGHTS
from .simd import TILE_ROWS, TILE_VECTORS, VECTOR_BYTES, slope_tile

ROW_GROUP = 16 * TILE_ROWS  # rows of W for which the activations stay in the second-level cache


@kernel
def share_start(layer, total_cost, rank, n_threads):
    """First row of W that thread `rank` owns in this layer, when all weights are split evenly."""
    wanted = total_cost * rank // n_threads - layer[COST]
    rows = (wanted // layer[COLUMNS]) // TILE_ROWS * TILE_ROWS
    return min(max(rows, 0), layer[N_IN])


@kernel
def subtract_weight_slopes(out, numbers, layer, rate, first, last, n_rows):
    """out[WEIGHTS]: rows first..last of W, less rate * a^T delta summed over the block's rows in order."""
    columns, ld, ld_in = layer[COLUMNS], layer[LD], layer[LD_IN]
    lanes = VECTOR_BYTES // numbers.itemsize
    width = TILE_VECTORS * lanes
    for group in range(first, last, ROW_GROUP):
        end = min(last, group + ROW_GROUP)
        for j in range(0, columns, width):
            vectors = min(width, columns - j) // lanes
            k = group
            while k < end:
                rows = tile_rows_left(end - k, TILE_ROWS)
                slope_tile(
                    rows,
                    vectors,
                    out,
                    layer[WEIGHTS] + k * ld + j,
                    ld,
                    numbers,
                    layer[INPUTS] + k,
                    ld_in,
                    numbers,
                    layer[DELTAS] + j,
                    ld,
                    n_rows,
                    rate,
                )
                k += rows


@kernel
def subtract_bias_slopes(out, numbers, ones, layer, rate, n_rows):
    """out[BIASES]: b less rate * delta summed over the block's rows in order; ones[0] is 1, the input of a bias."""
    columns, ld = layer[COLUMNS], layer[LD]
    lanes = VECTOR_BYTES // numbers.itemsize
    width = TILE_VECTORS * lanes
    for j in range(0, columns, width):
        vectors = min(width, columns - j) // lanes
        slope_tile(
            1, vectors, out, layer[BIASES] + j, ld, ones, 0, 0, numbers, layer[DELTAS] + j, ld, n_rows, rate
        )  # fmt: skip


@kernel
def clear(out, layer, first, last):
    """out: 0 in rows first..last of W, and in the biases of the owner of row 0."""
    out[layer[WEIGHTS] + first * layer[LD] : layer[WEIGHTS] + last * layer[LD]] = 0
    if first == 0:
        out[layer[BIASES] : layer[BIASES] + layer[LD]] = 0


@kernel
def subtract_gradient(parameters, gradient, layer, rate, first, last):
    """parameters: rows first..last of W, and the biases of the owner of row 0, less rate * gradient."""
    for i in range(layer[WEIGHTS] + first * layer[LD], layer[WEIGHTS] + last * layer[LD]):
        parameters[i] = multiply_add(-rate, gradient[i], parameters[i])
    if first == 0:
        for i in range(layer[BIASES], layer[BIASES] + layer[LD]):
            parameters[i] = multiply_add(-rate, gradient[i], parameters[i])
