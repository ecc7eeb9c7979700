"""How rows are cut into tiles and groups of tiles, and the columns of tiles of which products are made.

The tiles of all shapes are most of what a compiler has to do: they are compiled once, and others call them.
"""

from __future__ import annotations

from .amx import amx_product_column
from .argument_types import Floats, Scalar
from .bfloat16 import pair_forward_tile
from .jit import COMPILED, kernel
from .layout import GROUP_TILES
from .registry import Slot, linked_kernel
from .simd import TILE_ROWS, forward_tile, gradient_tiles
from .target import BFLOAT16_PATH

ROW_GROUP = GROUP_TILES * TILE_ROWS  # rows of W whose activations stay in the second-level cache


@kernel
def next_tile_size(left, most):
    """Return the rows, or the vectors, of the next tile: those of all that is left are nearly even, none is narrow."""
    if left <= most:
        return left
    tiles = (left + most - 1) // most
    return (left + tiles - 1) // tiles


@linked_kernel(
    Slot.PRODUCT_COLUMN,
    (Floats, int, int, Floats, int, int, Floats, int, int, Floats, int, int, int, int, int),
)
def product_column(c, c0, ld_c, start, s0, ld_start, a, a0, ld_a, b, b0, ld_b, n_rows, vectors, depth):
    """Compute c[c0:]: (n_rows, vectors) = start[s0:] + A B, one column of tiles; A: (n_rows, depth), B: b[b0:]."""
    r = 0
    while r < n_rows:
        rows = next_tile_size(n_rows - r, TILE_ROWS)
        forward_tile(
            rows, vectors, c, c0 + r * ld_c, ld_c, start, s0 + r * ld_start, ld_start,
            a, a0 + r * ld_a, ld_a, b, b0, ld_b, depth,
        )  # fmt: skip
        r += rows


@linked_kernel(Slot.GRADIENT_COLUMN, (Floats, int, int, Floats, int, int, int, Floats, int, int, int, int, int, Scalar))
def gradient_column(c, c0, ld, a, a0, ld_a, packed, b, b0, ld_b, n_weights, depth, vectors, rate):
    """Update c[c0:]: (n_weights, vectors) less rate * A^T B, one column of tiles, the taller tiles first.

    packed: numbers of one panel of A^T, or 0 if A is read in place; A: (depth, n_weights).
    """
    tiles = (n_weights + TILE_ROWS - 1) // TILE_ROWS
    rows = (n_weights + tiles - 1) // tiles
    tall = n_weights - tiles * (rows - 1)
    step = packed if packed else rows
    gradient_tiles(rows, vectors, tall, c, c0, ld, a, a0, ld_a, step, b, b0, ld_b, depth, rate)
    if tall < tiles:
        c0, a0, rows = c0 + tall * rows * ld, a0 + tall * step, rows - 1
        step = packed if packed else rows
        gradient_tiles(rows, vectors, tiles - tall, c, c0, ld, a, a0, ld_a, step, b, b0, ld_b, depth, rate)


@kernel
def compiled_pair_column(c, c0, ld_c, start, s0, ld_start, a, a0, ld_a, b, b0, ld_b, n_rows, vectors, depth):
    """Compute c[c0:] as product_column; A and B hold pairs."""
    r = 0
    while r < n_rows:
        rows = next_tile_size(n_rows - r, TILE_ROWS)
        pair_forward_tile(
            rows, vectors, c, c0 + r * ld_c, ld_c, start, s0 + r * ld_start, ld_start,
            a, a0 + r * ld_a, ld_a, b, b0, ld_b, depth,
        )  # fmt: skip
        r += rows


pair_product_column = amx_product_column if COMPILED and BFLOAT16_PATH == "amx" else compiled_pair_column
