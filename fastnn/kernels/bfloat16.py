"""bfloat16: pairs of rounded numbers, and register tiles that multiply them with sums in float32.

A pair is two numbers rounded to bfloat16, to the nearest, ties to even, in the bits of one float32: the first in the
lower half. It stands in an array of float32, which nothing but these intrinsics may read. A product of pairs adds two
products to each sum, so the tiles of simd.py serve with half the inner dimension. `vdpbf16ps` takes subnormal numbers
for 0; elsewhere the two products are two multiply-adds in float32.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from .amx import AMX_DEPTH
from .intrinsics import twin
from .simd import (
    INT,
    INT32,
    TILE_ROWS,
    VECTOR_BYTES,
    Emitter,
    block,
    emit_forward,
    forward_tile_of,
    loop,
    store_transposed,
    tile_intrinsic,
)
from .target import BFLOAT16_PATH

UPPER_HALF = 0xFFFF0000
LANES = VECTOR_BYTES // 4  # float32 numbers, or pairs, in a vector
PAIR_VECTORS = 2  # of a tile of sums: two of AMX lie side by side
PAIR_SHAPES = [(m, v) for m in range(1, TILE_ROWS + 1) for v in range(1, PAIR_VECTORS + 1)]
PAIR_STEP = AMX_DEPTH if BFLOAT16_PATH == "amx" else 1  # pairs of which a product's inner dimension has a multiple


def rounded_pair(builder: ir.IRBuilder, first: ir.Value, second: ir.Value) -> ir.Value:
    """Return two numbers, or each two of two vectors, rounded to bfloat16, as pairs."""
    lanes = getattr(first.type, "count", 0)
    kind = ir.VectorType(INT32, lanes) if lanes else INT32

    def constant(value: int) -> ir.Constant:
        return ir.Constant(kind, [value] * lanes if lanes else value)

    def rounded(value: ir.Value) -> ir.Value:
        bits = builder.bitcast(value, kind)
        even = builder.and_(builder.lshr(bits, constant(16)), constant(1))
        nearest = builder.add(bits, builder.add(even, constant(0x7FFF)))
        quiet = builder.or_(bits, constant(0x400000))
        return builder.select(builder.fcmp_unordered("uno", value, value), quiet, nearest)

    low, high = rounded(first), rounded(second)
    pair = builder.or_(builder.lshr(low, constant(16)), builder.and_(high, constant(UPPER_HALF)))
    return builder.bitcast(pair, first.type)


class PairEmitter(Emitter):
    """Vector code for pairs: the outer product adds both products of each pair to the sums."""

    def outer(self, a: list[ir.Value], b: list[ir.Value], sums: list[ir.Value]) -> list[ir.Value]:
        """Return sums + a b^T, row by row, the second numbers of the pairs first."""
        if BFLOAT16_PATH == "avx512_bf16":
            pairs = ((x, y) for x in a for y in b)
            return [self._dot(total, x, y) for (x, y), total in zip(pairs, sums, strict=True)]
        for half in (self._second, self._first):
            sums = super().outer([half(x) for x in a], [half(y) for y in b], sums)
        return sums

    def _dot(self, total: ir.Value, a: ir.Value, b: ir.Value) -> ir.Value:
        integers = ir.VectorType(INT32, self.lanes)
        kind = ir.FunctionType(self.vector, [self.vector, integers, integers])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.x86.avx512bf16.dpbf16ps.512")
        bits = [self.builder.bitcast(value, integers) for value in (a, b)]
        return self.builder.call(function, [total, *bits])

    def _first(self, pairs: ir.Value) -> ir.Value:
        integers = ir.VectorType(INT32, self.lanes)
        bits = self.builder.shl(self.builder.bitcast(pairs, integers), ir.Constant(integers, [16] * self.lanes))
        return self.builder.bitcast(bits, self.vector)

    def _second(self, pairs: ir.Value) -> ir.Value:
        integers = ir.VectorType(INT32, self.lanes)
        mask = ir.Constant(integers, [UPPER_HALF] * self.lanes)
        return self.builder.bitcast(self.builder.and_(self.builder.bitcast(pairs, integers), mask), self.vector)

    def pairs(self, first: ir.Value, second: ir.Value) -> ir.Value:
        """Return, lane by lane, the pairs of two vectors' numbers."""
        if BFLOAT16_PATH == "emulated":
            return rounded_pair(self.builder, first, second)
        order = [number for lane in range(self.lanes) for number in (lane, self.lanes + lane)]
        both = self._rounded(first, second)
        return self.builder.bitcast(self.shuffle(both, both, order), self.vector)

    def neighbours(self, left: ir.Value, right: ir.Value) -> ir.Value:
        """Return the pairs of each two adjacent numbers of two adjacent vectors."""
        if BFLOAT16_PATH == "emulated":
            even, odd = ([2 * lane + place for lane in range(self.lanes)] for place in (0, 1))
            return self.pairs(self.shuffle(left, right, even), self.shuffle(left, right, odd))
        return self.builder.bitcast(self._rounded(left, right), self.vector)

    def _rounded(self, lower: ir.Value, upper: ir.Value) -> ir.Value:
        """Return two vectors of float32 as one of bfloat16, those of `lower` first."""
        kind = ir.FunctionType(ir.VectorType(ir.IntType(16), 2 * self.lanes), [self.vector, self.vector])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.x86.avx512bf16.cvtne2ps2bf16.512")
        return self.builder.call(function, [upper, lower])


def emit_pair_forward(emitter: Emitter, args: list[ir.Value], rows: int, vectors: int) -> None:
    """Emit C = start + A.B, as emit_forward, of pairs along the inner dimension."""
    emit_forward(PairEmitter(emitter.builder, emitter.scalar, emitter.lanes), args, rows, vectors)


def _bfloat16_pair(first, second):
    def rounded(value):
        bits = int(np.float32(value).view(np.uint32))
        return (bits | 0x400000 if np.isnan(value) else bits + 0x7FFF + (bits >> 16 & 1)) & UPPER_HALF

    return np.uint32(rounded(first) >> 16 | rounded(second)).view(np.float32)


@twin(_bfloat16_pair)
def bfloat16_pair(typingctx, first, second):
    """Return two numbers, each rounded to bfloat16, as a pair."""

    def codegen(context, builder, signature, args):
        return rounded_pair(builder, *args)

    return types.float32(types.float32, types.float32), codegen


def _halves(pairs):
    bits = pairs.view(np.uint32)
    return (bits << np.uint32(16)).view(np.float32), (bits & np.uint32(UPPER_HALF)).view(np.float32)


def _add_products(total, a, b):
    for x, y in zip(_halves(a)[::-1], _halves(b)[::-1], strict=True):
        total += x * y


@twin(partial(forward_tile_of, _add_products))
def pair_forward_tile(
    typingctx, rows, vectors, c, c0, c_stride, start, s0, s_stride, a, a0, a_stride, b, b0, b_stride, inner
):
    """Compute C[r, v] = start[r, v] + sum over k of A[r, k] . B[k, v], one tile; each k is a pair."""
    given = (rows, vectors, c, c0, c_stride, start, s0, s_stride, a, a0, a_stride, b, b0, b_stride, inner)
    return tile_intrinsic("pair_forward", emit_pair_forward, PAIR_SHAPES, given)


def pair_emitter(emitter: Emitter) -> PairEmitter:
    """Return the emitter of pairs of these numbers."""
    return PairEmitter(emitter.builder, emitter.scalar, emitter.lanes)


def emit_pair_two_rows(emitter: Emitter, args: list[ir.Value]) -> None:
    """Emit C = the pairs of two rows of `rounds` vectors."""
    c, first, second, rounds = args
    pairs = pair_emitter(emitter)

    def body(index, _):
        here = emitter.builder.mul(index, INT(emitter.lanes))
        pairs.store(pairs.pairs(*(pairs.load(pairs.at(row, here)) for row in (first, second))), pairs.at(c, here))
        return []

    loop(emitter.builder, rounds, [], body)


def emit_pair_neighbours(emitter: Emitter, args: list[ir.Value]) -> None:
    """Emit C = the pairs of the adjacent numbers of a row, `rounds` vectors of pairs."""
    c, row, rounds = args
    pairs = pair_emitter(emitter)

    def body(index, _):
        here = emitter.builder.mul(index, INT(emitter.lanes))
        both = pairs.load_row(pairs.at(row, emitter.builder.mul(here, INT(2))), 2)
        pairs.store(pairs.neighbours(*both), pairs.at(c, here))
        return []

    loop(emitter.builder, rounds, [], body)


def emit_square_of_rows(emitter: Emitter, args: list[ir.Value]) -> None:
    """Emit C = the transpose of the pairs of each two rows of A, a square of pairs."""
    c, c_stride, a, a_stride = args
    pairs = pair_emitter(emitter)
    rows = [pairs.load(pairs.row(a, a_stride, i)) for i in range(2 * pairs.lanes)]
    store_transposed(pairs, [pairs.pairs(*rows[i : i + 2]) for i in range(0, len(rows), 2)], c, c_stride)


def emit_square_of_neighbours(emitter: Emitter, args: list[ir.Value]) -> None:
    """Emit C = the transpose of the pairs of each two adjacent numbers in the rows of A, a square of pairs."""
    c, c_stride, a, a_stride = args
    pairs = pair_emitter(emitter)
    rows = [pairs.neighbours(*pairs.load_row(pairs.row(a, a_stride, i), 2)) for i in range(pairs.lanes)]
    store_transposed(pairs, rows, c, c_stride)


def _pairs(first, second):
    lower, upper = (
        np.array([np.float32(value) for value in values], np.float32) for values in (first.ravel(), second.ravel())
    )
    return np.array([_bfloat16_pair(x, y) for x, y in zip(lower, upper, strict=True)], np.float32).reshape(first.shape)


def _pair_two_rows(c, c0, first, f0, second, s0, rounds):
    count = rounds * LANES
    c[c0 : c0 + count] = _pairs(first[f0 : f0 + count], second[s0 : s0 + count])


def _pair_neighbours(c, c0, row, r0, rounds):
    values = row[r0 : r0 + 2 * rounds * LANES]
    c[c0 : c0 + rounds * LANES] = _pairs(values[::2], values[1::2])


def _square_of_rows(c, c0, c_stride, a, a0, a_stride):
    rows = block(a, a0, 2 * LANES, a_stride, LANES)
    block(c, c0, LANES, c_stride, LANES)[:] = _pairs(rows[::2], rows[1::2]).T


def _square_of_neighbours(c, c0, c_stride, a, a0, a_stride):
    rows = block(a, a0, LANES, a_stride, 2 * LANES)
    block(c, c0, LANES, c_stride, LANES)[:] = _pairs(rows[:, ::2], rows[:, 1::2]).T


@twin(_pair_two_rows)
def pair_two_rows(typingctx, c, c0, first, f0, second, s0, rounds):
    """Compute C: the pairs of two rows, `rounds` vectors of them."""
    return tile_intrinsic("pair_two_rows", emit_pair_two_rows, [()], (c, c0, first, f0, second, s0, rounds))


@twin(_pair_neighbours)
def pair_neighbours(typingctx, c, c0, row, r0, rounds):
    """Compute C: the pairs of the adjacent numbers of a row, `rounds` vectors of pairs."""
    return tile_intrinsic("pair_neighbours", emit_pair_neighbours, [()], (c, c0, row, r0, rounds))


@twin(_square_of_rows)
def square_of_rows(typingctx, c, c0, c_stride, a, a0, a_stride):
    """Compute C: (LANES, LANES), the transpose of the pairs of each two rows of A: (2 LANES, LANES)."""
    return tile_intrinsic("square_of_rows", emit_square_of_rows, [()], (c, c0, c_stride, a, a0, a_stride))


@twin(_square_of_neighbours)
def square_of_neighbours(typingctx, c, c0, c_stride, a, a0, a_stride):
    """Compute C: (LANES, LANES), the transpose of the pairs of adjacent numbers in A's rows: (LANES, 2 LANES)."""
    return tile_intrinsic("square_of_neighbours", emit_square_of_neighbours, [()], (c, c0, c_stride, a, a0, a_stride))
