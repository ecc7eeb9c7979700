"""How rows are cut into tiles and groups of tiles, and the columns of tiles of which products are made."""

from __future__ import annotations

from typing import Any

from .amx import amx_product_column
from .bfloat16 import pair_forward_tile
from .jit import COMPILED, kernel
from .layout import GROUP_TILES
from .simd import TILE_ROWS, forward_tile, gradient_tiles
from .target import BFLOAT16_PATH

ROW_GROUP = GROUP_TILES * TILE_ROWS  # rows of W whose activations stay in the second-level cache


@kernel
def next_tile_rows(rows_left, max_rows):
    """Return the rows of the next tile, so that the tiles of `rows_left` are nearly even and no narrow one remains."""
    tiles = (rows_left + max_rows - 1) // max_rows
    return (rows_left + tiles - 1) // tiles


def product_column_of(tile: Any) -> Any:
    """Return the kernel that computes a column of these tiles."""

    @kernel
    def product_column(c, c0, ld_c, start, s0, ld_start, a, a0, ld_a, b, b0, ld_b, n_rows, vectors, depth):
        """Compute c[c0:]: (n_rows, vectors) = start[s0:] + A B, one column of tiles; A: (n_rows, depth), B: b[b0:]."""
        r = 0
        while r < n_rows:
            rows = next_tile_rows(n_rows - r, TILE_ROWS)
            tile(
                rows, vectors, c, c0 + r * ld_c, ld_c, start, s0 + r * ld_start, ld_start,
                a, a0 + r * ld_a, ld_a, b, b0, ld_b, depth,
            )  # fmt: skip
            r += rows

    return product_column


@kernel
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


product_column = product_column_of(forward_tile)
pair_product_column = (
    amx_product_column if COMPILED and BFLOAT16_PATH == "amx" else product_column_of(pair_forward_tile)
)


@kernel
def multiply_tiles(buffer, first, ld, products, start, width, n_rows, columns):
    """Update buffer[first:]: (n_rows, columns), times the products of one column of tiles, (n_rows, width)."""
    for r in range(n_rows):
        factor = products[start + r * width : start + r * width + columns]
        out = buffer[first + r * ld : first + r * ld + columns]
        for i in range(columns):
            out[i] *= factor[i]
