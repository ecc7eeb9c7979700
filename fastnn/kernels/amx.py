"""Products of bfloat16 pairs in the tiles of AMX: sums in float32, 32 rows by two vectors of them at a time.

A tile has up to 16 rows of 64 bytes. `tdpbf16ps` adds to each of a tile's 16 x 16 sums the products of 16 pairs. The
even and the odd numbers of the pairs are added up apart, and subnormal numbers count as 0. Which tile holds what:

    0 1   sums of the upper 16 rows, of the left and of the right vector
    2 3   of the lower rows
    4 5   operand A, its upper and its lower rows
    6 7   operand B, its left and its right columns

A thread configures the tiles before a product and releases them after it, so that no other code meets them.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import kernel
from .simd import INT, INT32, VOID, Emitter, loop, tile_intrinsic

INT8 = ir.IntType(8)
POINTER = INT8.as_pointer()
TILE_BYTES = 64  # of a row
AMX_ROWS = 16
AMX_DEPTH = 16  # pairs along the inner dimension of one product of tiles
SUMS, LEFT, RIGHT = 0, 4, 6  # the first tile of the sums, of A, of B


def _call(builder: ir.IRBuilder, name: str, *args: ir.Value) -> None:
    kind = ir.FunctionType(VOID, [arg.type for arg in args])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), list(args))


@intrinsic
def configure_tiles(typingctx, upper, lower):
    """Configure the tiles for products of `upper` and, below them, `lower` rows, 1 to 16 each."""

    def codegen(context, builder, signature, args):
        # 64 bytes: palette, 15 of 0, the bytes of a row of each tile as 16 bits, then the rows of each as 8 bits
        words = ir.VectorType(INT32, 16)
        rows = [builder.trunc(arg, INT32) for arg in args]
        columns = INT32(TILE_BYTES << 16 | TILE_BYTES)
        first_four = builder.mul(builder.or_(rows[0], builder.shl(rows[1], INT32(16))), INT32(0x101))
        last_four = builder.or_(
            builder.or_(rows[0], builder.shl(rows[1], INT32(8))), INT32(AMX_DEPTH << 24 | AMX_DEPTH << 16)
        )
        layout = ir.Constant(words, [1, 0, 0, 0, *[columns.constant] * 4, *[0] * 8])
        for place, value in ((12, first_four), (13, last_four)):
            layout = builder.insert_element(layout, value, INT32(place))
        memory = cgutils.alloca_once(builder, words)
        builder.store(layout, memory)
        _call(builder, "ldtilecfg", builder.bitcast(memory, POINTER))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def release_tiles(typingctx):
    """Put the tiles back into the state in which other code expects them."""

    def codegen(context, builder, signature, args):
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), codegen


def emit_amx(emitter: Emitter, args: list[ir.Value], row_tiles: int, vectors: int) -> None:
    """Emit C = start + A.B for row_tiles x vectors tiles of sums; `rounds` times AMX_DEPTH pairs of inner dimension."""
    c, c_stride, start, start_stride, a, a_stride, b, b_stride, rounds = args
    builder = emitter.builder

    def move(name, tile, pointer, stride):
        in_bytes = builder.mul(stride, INT(4))
        _call(builder, name, INT8(tile), builder.bitcast(pointer, POINTER), in_bytes)

    def each_sum(name, pointer, stride):
        for i in range(row_tiles):
            row = emitter.row(pointer, builder.mul(stride, INT(AMX_ROWS)), i)
            for j in range(vectors):
                move(name, SUMS + 2 * i + j, emitter.at(row, AMX_ROWS * j), stride)

    each_sum("tileloadd64", start, start_stride)
    a_lower, b_step = builder.mul(a_stride, INT(AMX_ROWS)), builder.mul(b_stride, INT(AMX_DEPTH))

    def body(k, _):
        a_here, b_here = emitter.at(a, builder.mul(k, INT(AMX_DEPTH))), emitter.at(b, builder.mul(k, b_step))
        for i in range(row_tiles):
            move("tileloadd64", LEFT + i, emitter.at(a_here, a_lower) if i else a_here, a_stride)
            for j in range(vectors):
                if i == 0:
                    move("tileloadd64", RIGHT + j, emitter.at(b_here, AMX_ROWS * j), b_stride)
                _call(builder, "tdpbf16ps", *(INT8(tile) for tile in (SUMS + 2 * i + j, LEFT + i, RIGHT + j)))
        return []

    loop(builder, rounds, [], body)
    each_sum("tilestored64", c, c_stride)


@intrinsic
def amx_tiles(typingctx, row_tiles, vectors, c, c0, c_stride, start, s0, s_stride, a, a0, a_stride, b, b0, b_stride, n):
    """Compute C = start + A B, up to two by two tiles, over n times AMX_DEPTH pairs; the tiles are configured."""
    given = (row_tiles, vectors, c, c0, c_stride, start, s0, s_stride, a, a0, a_stride, b, b0, b_stride, n)
    return tile_intrinsic("amx", emit_amx, [(rows, columns) for rows in (1, 2) for columns in (1, 2)], given)


@kernel
def amx_product_column(c, c0, ld_c, start, s0, ld_start, a, a0, ld_a, b, b0, ld_b, n_rows, vectors, depth):
    """Compute c[c0:]: (n_rows, vectors) = start[s0:] + A B, one column of tiles; A: (n_rows, depth), B: b[b0:].

    depth: pairs, a multiple of AMX_DEPTH.
    """
    rounds = depth // AMX_DEPTH
    whole = n_rows // (2 * AMX_ROWS) * (2 * AMX_ROWS)
    if whole:
        configure_tiles(AMX_ROWS, AMX_ROWS)
        for r in range(0, whole, 2 * AMX_ROWS):
            amx_tiles(
                2, vectors, c, c0 + r * ld_c, ld_c, start, s0 + r * ld_start, ld_start,
                a, a0 + r * ld_a, ld_a, b, b0, ld_b, rounds,
            )  # fmt: skip
    rows = n_rows - whole
    if rows:
        configure_tiles(min(rows, AMX_ROWS), max(rows - AMX_ROWS, 1))
        amx_tiles(
            2 if rows > AMX_ROWS else 1, vectors, c, c0 + whole * ld_c, ld_c, start, s0 + whole * ld_start, ld_start,
            a, a0 + whole * ld_a, ld_a, b, b0, ld_b, rounds,
        )  # fmt: skip
    release_tiles()
