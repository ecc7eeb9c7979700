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

from .intrinsics import twin
from .simd import (
    INT32,
    ONE_ROW_SHAPES,
    PRODUCT_SHAPES,
    Emitter,
    emit_forward,
    emit_gradient,
    forward_tile_of,
    gradient_tiles_of,
    tile_intrinsic,
)
from .target import BFLOAT16_PATH

UPPER_HALF = 0xFFFF0000


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


def emit_pair_forward(emitter: Emitter, args: list[ir.Value], rows: int, vectors: int) -> None:
    """Emit C = start + A.B, as emit_forward, of pairs along the inner dimension."""
    emit_forward(PairEmitter(emitter.builder, emitter.scalar, emitter.lanes), args, rows, vectors)


def emit_pair_gradient(emitter: Emitter, args: list[ir.Value], rows: int, vectors: int) -> None:
    """Emit C = C - rate * A^T.B, as emit_gradient, of pairs along the inner dimension."""
    emit_gradient(PairEmitter(emitter.builder, emitter.scalar, emitter.lanes), args, rows, vectors)


def _bfloat16_pair(first, second):
    def rounded(value):
        bits = int(np.float32(value).view(np.uint32))
        return (bits | 0x400000 if np.isnan(value) else bits + 0x7FFF + (bits >> 16 & 1)) & UPPER_HALF

    return np.uint32(rounded(first) >> 16 | rounded(second)).view(np.float32)


@twin(_bfloat16_pair)
def bfloat16_pair(typingctx, first, second):
    """Return two numbers, each rounded to bfloat16, as a pair."""

    def rounded(builder, value):
        bits = builder.bitcast(value, INT32)
        even = builder.and_(builder.lshr(bits, INT32(16)), INT32(1))
        nearest = builder.add(bits, builder.add(even, INT32(0x7FFF)))
        quiet = builder.or_(bits, INT32(0x400000))
        return builder.select(builder.fcmp_unordered("uno", value, value), quiet, nearest)

    def codegen(context, builder, signature, args):
        low, high = (rounded(builder, value) for value in args)
        pair = builder.or_(builder.lshr(low, INT32(16)), builder.and_(high, INT32(UPPER_HALF)))
        return builder.bitcast(pair, ir.FloatType())

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
    return tile_intrinsic("pair_forward", emit_pair_forward, PRODUCT_SHAPES + ONE_ROW_SHAPES, given)


@twin(partial(gradient_tiles_of, _add_products))
def pair_gradient_tiles(
    typingctx, rows, vectors, tiles, c, c0, c_stride, a, a0, a_stride, a_step, b, b0, b_stride, inner, rate
):
    """Compute C[i, v] = C[i, v] - rate * sum over k of A[k, i] . B[k, v], tiles one below the other; k: pairs."""
    given = (rows, vectors, tiles, c, c0, c_stride, a, a0, a_stride, a_step, b, b0, b_stride, inner, rate)
    return tile_intrinsic("pair_gradient", emit_pair_gradient, PRODUCT_SHAPES, given)
