"""Pack blocks into contiguous scratch: tiles read them many times, without strides between their rows.

Rows of a wide layer lie a page apart. Read in place, a block of them needs an address translation for each row, and
the first-level cache holds few of them.
"""

from __future__ import annotations

from .jit import kernel
from .simd import TILE_VECTORS, VECTOR_BYTES, transpose_square

MIN_PACKED_ROWS = 64  # rows of a block below which the copy costs more than it saves


@kernel
def pack_transposed(out, start_out, source, start, stride, vectors, depth):
    """Copy out[start_out:]: (depth, TILE_VECTORS vectors), the transpose of `vectors` vectors' rows of `source`.

    The work is done in whole squares: `depth` is rounded up.
    """
    lanes = VECTOR_BYTES // out.itemsize
    for v in range(vectors):
        for j in range(0, depth, lanes):
            dst = start_out + (j * TILE_VECTORS + v) * lanes
            transpose_square(out, dst, TILE_VECTORS * lanes, source, start + v * lanes * stride + j, stride)
