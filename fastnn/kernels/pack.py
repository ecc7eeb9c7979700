"""Copies of blocks into contiguous scratch: what many tiles read again and again, without strides between.

Rows of a wide layer lie a page apart. Read in place, a block of them needs an address translation for each row, and
the first-level cache holds few of them.
"""

from __future__ import annotations

from .jit import kernel
from .simd import PANEL, TILE_VECTORS, VECTOR_BYTES, transpose_square

WORTH_PACKING = 64  # tile passes over a block below which the copy costs more than it saves


@kernel
def pack_panel(out, at, source, start, stride, n_rows):
    """out[at:]: (n_rows, TILE_VECTORS vectors), from rows of `source` that lie `stride` apart."""
    width = TILE_VECTORS * VECTOR_BYTES // out.itemsize
    for r in range(n_rows):
        into = out[at + r * width : at + (r + 1) * width]
        row = source[start + r * stride : start + r * stride + width]
        for j in range(width):
            into[j] = row[j]


@kernel
def pack_narrow(out, at, source, start, stride, n_rows):
    """out[at:]: (n_rows, PANEL), from rows of `source` that lie `stride` apart."""
    for r in range(n_rows):
        into = out[at + r * PANEL : at + (r + 1) * PANEL]
        row = source[start + r * stride : start + r * stride + PANEL]
        for i in range(PANEL):
            into[i] = row[i]


@kernel
def pack_transposed(out, at, source, start, stride, vectors, depth):
    """out[at:]: (depth, TILE_VECTORS vectors), columns 0..depth of as many rows of `source` as `vectors` hold numbers.

    Both are worked on in whole squares: `depth` is rounded up.
    """
    lanes = VECTOR_BYTES // out.itemsize
    for v in range(vectors):
        for j in range(0, depth, lanes):
            into = at + (j * TILE_VECTORS + v) * lanes
            transpose_square(out, into, TILE_VECTORS * lanes, source, start + v * lanes * stride + j, stride)
