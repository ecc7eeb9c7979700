"""How rows are cut into tiles and groups of tiles, and the columns of tiles of which products are made."""

from __future__ import annotations

from typing import Any

from .bfloat16 import pair_forward_tile, pair_gradient_tiles
from .jit import kernel
from .layout import GROUP_TILES
from .simd import TILE_ROWS, forward_tile, gradient_tiles

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


def gradient_column_of(tiles_below: Any) -> Any:
    """Return the kernel that updates a column of these tiles."""

    @kernel
    def gradient_column(c, c0, ld, a, a0, ld_a, packed, b, b0, ld_b, n_weights, depth, vectors, rate):
        """Update c[c0:]: (n_weights, vectors) less rate * A^T B, one column of tiles, the taller tiles first.

        packed: numbers of one panel of A^T, or 0 if A is read in place; A: (depth, n_weights).
        """
        tiles = (n_weights + TILE_ROWS - 1) // TILE_ROWS
        rows = (n_weights + tiles - 1) // tiles
        tall = n_weights - tiles * (rows - 1)
        step = packed if packed else rows
        tiles_below(rows, vectors, tall, c, c0, ld, a, a0, ld_a, step, b, b0, ld_b, depth, rate)
        if tall < tiles:
            c0, a0, rows = c0 + tall * rows * ld, a0 + tall * step, rows - 1
            step = packed if packed else rows
            tiles_below(rows, vectors, tiles - tall, c, c0, ld, a, a0, ld_a, step, b, b0, ld_b, depth, rate)

    return gradient_column


product_column, pair_product_column = product_column_of(forward_tile), product_column_of(pair_forward_tile)
gradient_column, pair_gradient_column = gradient_column_of(gradient_tiles), gradient_column_of(pair_gradient_tiles)


@kernel
def multiply_tiles(buffer, first, ld, products, start, width, n_rows, columns):
    """Update buffer[first:]: (n_rows, columns), times the products of one column of tiles, (n_rows, width)."""
    for r in range(n_rows):
        factor = products[start + r * width : start + r * width + columns]
        out = buffer[first + r * ld : first + r * ld + columns]
        for i in range(columns):
            out[i] *= factor[i]
