"""Forward: a^l = f(a^(l-1) W + b), layer by layer, over rows of one block."""

from __future__ import annotations

from .jit import kernel
from .layout import (
    ACTIVATION,
    BIASES,
    COLUMNS,
    DELTAS,
    INNER_BLOCK,
    INPUTS,
    LD,
    LD_IN,
    N_IN,
    N_OUT,
    OUTPUTS,
    WEIGHTS,
)
from .simd import ONE_ROW_VECTORS, TILE_ROWS, TILE_VECTORS, VECTOR_BYTES, forward_tile
from .user_functions import apply_activation


@kernel
def tile_rows_left(rows_left, most):
    """Rows of the next tile, so that all tiles of `rows_left` are nearly even: no narrow one is left over."""
    tiles = (rows_left + most - 1) // most
    return (rows_left + tiles - 1) // tiles


@kernel
def product_column(
    out, at, ld_out, starts, start, start_stride, numbers, a, ld_a, factors, b, ld_b, n_rows, vectors, depth
):
    """out[at:]: one column of tiles, start + A B, for n_rows rows of A, numbers[a:]; factors[b:]: `depth` rows of B."""
    r = 0
    while r < n_rows:
        rows = tile_rows_left(n_rows - r, TILE_ROWS)
        forward_tile(
            rows, vectors, out, at + r * ld_out, ld_out, starts, start + r * start_stride, start_stride,
            numbers, a + r * ld_a, ld_a, factors, b, ld_b, depth,
        )  # fmt: skip
        r += rows


@kernel
def weighted_inputs(numbers, parameters, layer, first, last):
    """numbers[OUTPUTS]: rows first..last of z = a W + b, all columns; a: numbers[INPUTS], W and b: parameters.

    The inner dimension goes in blocks, carried on from z itself: every sum is one chain in the order of the inputs.
    """
    n_in, columns, ld, ld_in = layer[N_IN], layer[COLUMNS], layer[LD], layer[LD_IN]
    lanes = VECTOR_BYTES // numbers.itemsize
    width = (TILE_VECTORS if last - first > 1 else ONE_ROW_VECTORS) * lanes
    for k in range(0, n_in, INNER_BLOCK):
        depth = min(INNER_BLOCK, n_in - k)
        a = layer[INPUTS] + first * ld_in + k
        for j in range(0, columns, width):
            vectors = min(width, columns - j) // lanes
            z = layer[OUTPUTS] + first * ld + j
            starts, start, start_stride = (numbers, z, ld) if k else (parameters, layer[BIASES] + j, 0)
            b = layer[WEIGHTS] + k * ld + j
            product_column(
                numbers, z, ld, starts, start, start_stride, numbers, a, ld_in,
                parameters, b, ld, last - first, vectors, depth,
            )  # fmt: skip


@kernel
def activate_hidden(numbers, layer, first, last, code):
    """numbers[OUTPUTS]: rows first..last, z before, f(z) after; numbers[DELTAS]: f'(z), 0 in the padding."""
    n_out, columns, ld = layer[N_OUT], layer[COLUMNS], layer[LD]
    a = numbers[layer[OUTPUTS] + first * ld : layer[OUTPUTS] + last * ld]
    slope = numbers[layer[DELTAS] + first * ld : layer[DELTAS] + last * ld]
    apply_activation(a, slope, layer[ACTIVATION], code)
    if columns > n_out:
        for r in range(last - first):
            for j in range(r * ld + n_out, r * ld + columns):
                slope[j] = 0


@kernel
def forward_layer(numbers, parameters, table, number, first, last, code):
    """numbers: activations of layer `number`, or z where it is the output layer, for rows first..last."""
    weighted_inputs(numbers, parameters, table[number], first, last)
    if number + 1 < len(table):
        activate_hidden(numbers, table[number], first, last, code)


@kernel
def forward(numbers, parameters, table, lowest, first, last, code):
    """numbers: activations of every hidden layer from `lowest` on, and z of the output layer, for rows first..last."""
    for number in range(lowest, len(table)):
        forward_layer(numbers, parameters, table, number, first, last, code)
