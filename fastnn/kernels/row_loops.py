"""Loops over the rows of a block as LLVM vector code, for rows of a few vectors: copy, multiply, clear, sum squares.

Of loops in Python LLVM checks in each row whether the arrays overlap, and calls a function to clear a part of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from .intrinsics import twin
from .jit import kernel
from .simd import INT, INT32, PANEL, TILE_VECTORS, VECTOR_BYTES, Emitter, block, loop, tile_intrinsic
from .target import TARGET

WIDTHS: list[tuple[int, ...]] = [(v,) for v in range(1, TILE_VECTORS + 1)]


def emit_copy(emitter: Emitter, args: list[ir.Value], vectors: int) -> None:
    """Emit C = A, for rows of that many vectors."""
    c, c_stride, a, a_stride, n_rows = args
    builder = emitter.builder

    def body(r: ir.Value, _: Any) -> list[ir.Value]:
        values = emitter.load_row(emitter.at(a, builder.mul(r, a_stride)), vectors)
        emitter.store_row(values, emitter.at(c, builder.mul(r, c_stride)))
        return []

    loop(builder, n_rows, [], body)


def emit_copy_panel(emitter: Emitter, args: list[ir.Value]) -> None:
    """Emit C = A, for rows of PANEL numbers."""
    emit_copy(Emitter(emitter.builder, emitter.scalar, PANEL), args, 1)


def emit_multiply(emitter: Emitter, args: list[ir.Value], vectors: int) -> None:
    """Emit C = C * A, number by number, for rows of that many vectors."""
    c, c_stride, a, a_stride, n_rows = args
    builder = emitter.builder

    def body(r: ir.Value, _: Any) -> list[ir.Value]:
        place = emitter.at(c, builder.mul(r, c_stride))
        factors = emitter.load_row(emitter.at(a, builder.mul(r, a_stride)), vectors)
        values = emitter.load_row(place, vectors)
        emitter.store_row([builder.fmul(x, y) for x, y in zip(values, factors, strict=True)], place)
        return []

    loop(builder, n_rows, [], body)


def emit_clear(emitter: Emitter, args: list[ir.Value]) -> None:
    """Emit C = 0 but for the first `kept` numbers of each row, for rows of 1 + `more` vectors; kept: less than one."""
    c, c_stride, n_rows, kept, more = args
    builder, lanes = emitter.builder, emitter.lanes
    kind = ir.VectorType(INT, lanes)
    limit = builder.insert_element(ir.Constant(kind, ir.Undefined), kept, INT32(0))
    limit = builder.shuffle_vector(limit, limit, ir.Constant(ir.VectorType(INT32, lanes), [0] * lanes))
    padding = builder.icmp_signed(">=", ir.Constant(kind, list(range(lanes))), limit)

    def body(r: ir.Value, _: Any) -> list[ir.Value]:
        place = emitter.at(c, builder.mul(r, c_stride))
        emitter.store(builder.select(padding, emitter.zero(), emitter.load(place)), place)

        def clear(v: ir.Value, _: Any) -> list[ir.Value]:
            emitter.store(emitter.zero(), emitter.at(place, builder.mul(builder.add(v, INT(1)), INT(lanes))))
            return []

        loop(builder, more, [], clear)
        return []

    loop(builder, n_rows, [], body)


def emit_column_squares(emitter: Emitter, args: list[ir.Value], vectors: int) -> None:
    """Emit C = the sum over A's rows, of that many vectors, of the squares of each column."""
    c, a, a_stride, n_rows = args

    def body(r: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
        values = emitter.load_row(emitter.at(a, emitter.builder.mul(r, a_stride)), vectors)
        return [emitter.multiply_add(value, value, total) for value, total in zip(values, sums, strict=True)]

    emitter.store_row(loop(emitter.builder, n_rows, [emitter.zero()] * vectors, body), c)


def emit_row_squares(emitter: Emitter, args: list[ir.Value]) -> None:
    """Emit C = the sum in float64 of the squares of each row of A, lane by lane, then of the lanes by halves."""
    c, a, a_stride, n_rows, vectors = args
    builder = emitter.builder
    wide = Emitter(builder, ir.DoubleType(), emitter.lanes)

    def row(r: ir.Value, _: Any) -> list[ir.Value]:
        start = emitter.at(a, builder.mul(r, a_stride))

        def body(v: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            value = emitter.load(emitter.at(start, builder.mul(v, INT(emitter.lanes))))
            if emitter.bytes < wide.bytes:
                value = builder.fpext(value, wide.vector)
            return [wide.multiply_add(value, value, sums[0])]

        total = loop(builder, vectors, [wide.zero()], body)[0]
        lanes = emitter.lanes
        while lanes > 1:
            lanes //= 2
            halves = [emitter.shuffle(total, total, list(range(first, first + lanes))) for first in (0, lanes)]
            total = builder.fadd(*halves)
        builder.store(builder.extract_element(total, INT32(0)), emitter.at(c, r))
        return []

    loop(builder, n_rows, [], row)


def _copy(vectors, c, c0, c_stride, a, a0, a_stride, n_rows):
    columns = vectors * TARGET.lanes(c.itemsize)
    block(c, c0, n_rows, c_stride, columns)[:] = block(a, a0, n_rows, a_stride, columns)


def _copy_panel(c, c0, c_stride, a, a0, a_stride, n_rows):
    block(c, c0, n_rows, c_stride, PANEL)[:] = block(a, a0, n_rows, a_stride, PANEL)


def _multiply(vectors, c, c0, c_stride, a, a0, a_stride, n_rows):
    columns = vectors * TARGET.lanes(c.itemsize)
    block(c, c0, n_rows, c_stride, columns)[:] *= block(a, a0, n_rows, a_stride, columns)


def _clear(c, c0, c_stride, n_rows, kept, more):
    block(c, c0, n_rows, c_stride, (1 + more) * TARGET.lanes(c.itemsize))[:, kept:] = 0


def _column_squares(vectors, c, c0, a, a0, a_stride, n_rows):
    columns = vectors * TARGET.lanes(c.itemsize)
    c[c0 : c0 + columns] = np.square(block(a, a0, n_rows, a_stride, columns)).sum(axis=0)


def _row_squares(c, c0, a, a0, a_stride, n_rows, vectors):
    columns = vectors * TARGET.lanes(a.itemsize)
    c[c0 : c0 + n_rows] = np.square(block(a, a0, n_rows, a_stride, columns), dtype=np.float64).sum(axis=1)


@twin(_copy)
def copy_vectors(typingctx, vectors, c, c0, c_stride, a, a0, a_stride, n_rows):
    """Copy C: (n_rows, vectors) = A."""
    return tile_intrinsic("copy", emit_copy, WIDTHS, (vectors, c, c0, c_stride, a, a0, a_stride, n_rows))


@twin(_copy_panel)
def copy_panel(typingctx, c, c0, c_stride, a, a0, a_stride, n_rows):
    """Copy C: (n_rows, PANEL) = A."""
    return tile_intrinsic("copy_panel", emit_copy_panel, [()], (c, c0, c_stride, a, a0, a_stride, n_rows))


@twin(_multiply)
def multiply_vectors(typingctx, vectors, c, c0, c_stride, a, a0, a_stride, n_rows):
    """Update C: (n_rows, vectors), times A, number by number."""
    return tile_intrinsic("multiply", emit_multiply, WIDTHS, (vectors, c, c0, c_stride, a, a0, a_stride, n_rows))


@twin(_clear)
def clear_after(typingctx, c, c0, c_stride, n_rows, kept, more):
    """Clear C: (n_rows, 1 + more vectors), but for the first `kept` numbers of each row, less than a vector."""
    return tile_intrinsic("clear", emit_clear, [()], (c, c0, c_stride, n_rows, kept, more))


@twin(_column_squares)
def column_squares(typingctx, vectors, c, c0, a, a0, a_stride, n_rows):
    """Compute C: (vectors,) = the sum of the squares of each column of A: (n_rows, vectors), in the order of rows."""
    return tile_intrinsic("column_squares", emit_column_squares, WIDTHS, (vectors, c, c0, a, a0, a_stride, n_rows))


@twin(_row_squares)
def row_squares(typingctx, c, c0, a, a0, a_stride, n_rows, vectors):
    """Compute C: (n_rows,) in float64 = the sum of the squares of each row of A: (n_rows, vectors)."""
    return tile_intrinsic("row_squares", emit_row_squares, [()], (c, c0, a, a0, a_stride, n_rows, vectors))


@kernel
def clear_padding(rows, n_rows, n_out, columns, ld):
    """Clear rows: (n_rows, ld), columns n_out..columns; `columns` is a multiple of a vector's lanes."""
    lanes = VECTOR_BYTES // rows.itemsize
    kept = n_out % lanes
    if n_out < columns:
        clear_after(rows, n_out - kept, ld, n_rows, kept, (columns - n_out + kept) // lanes - 1)
