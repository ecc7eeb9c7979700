"""How rows are cut into tiles and groups of tiles."""

from __future__ import annotations

from .jit import kernel
from .layout import GROUP_TILES
from .simd import TILE_ROWS

ROW_GROUP = GROUP_TILES * TILE_ROWS  # rows of W whose activations stay in the second-level cache


@kernel
def next_tile_rows(rows_left, max_rows):
    """Return the rows of the next tile, so that the tiles of `rows_left` are nearly even and no narrow one remains."""
    tiles = (rows_left + max_rows - 1) // max_rows
    return (rows_left + tiles - 1) // tiles
