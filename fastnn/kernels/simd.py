"""Register tiles: the three products in which nearly all of the time goes, as LLVM vector code.

Each intrinsic computes one tile of C = A.B (or A^T.B) with all of C's numbers in vector registers and the whole inner
dimension in one loop. Every number of C is one chain of multiply-adds in the order of the inner index, so the shape of
the tile does not change the result. The plain twins stand in when compilation is off.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from .intrinsics import twin
from .target import TARGET

INT: Any = ir.IntType(64)
INT32: Any = ir.IntType(32)
BOOL = ir.IntType(1)
VOID = ir.VoidType()


def tile_shape(registers: int) -> tuple[int, int]:
    """Return the rows and vectors of a product tile: the most that stay in registers."""
    return (8, 3) if registers >= 32 else (6, 2)


TILE_ROWS, TILE_VECTORS = tile_shape(TARGET.registers)
PANEL = 8  # numbers of a packed row of A^T: no tile has more rows
PREFETCHED_ROWS = 12  # of B ahead of a tile of full width: two hyperthreads' panels overflow the first-level cache
VECTOR_BYTES = TARGET.vector_bytes
CACHE_LINE = 64


class Emitter:
    """Vector code for one number type of the target: loads, stores, broadcasts and multiply-adds."""

    def __init__(self, builder: ir.IRBuilder, scalar: ir.Type, lanes: int, fused: bool = TARGET.fused) -> None:
        self.builder = builder
        self.scalar = scalar
        self.lanes = lanes
        self.vector = ir.VectorType(scalar, lanes)
        self.bytes = 4 if isinstance(scalar, ir.FloatType) else 8
        suffix = f"v{lanes}f{8 * self.bytes}"
        name = f"llvm.fma.{suffix}" if fused else f"llvm.fmuladd.{suffix}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        self.fma = cgutils.get_or_insert_function(builder.module, kind, name)

    def at(self, pointer: ir.Value, index: ir.Value | int) -> ir.Value:
        """Return the address of the number `index` places after `pointer`."""
        return self.builder.gep(pointer, [INT(index) if isinstance(index, int) else index])

    def load(self, pointer: ir.Value) -> ir.Value:
        """Load one vector, aligned to its numbers only."""
        value = self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()))
        value.align = self.bytes
        return value

    def store(self, value: ir.Value, pointer: ir.Value) -> None:
        """Store one vector, aligned to its numbers only."""
        self.builder.store(value, self.builder.bitcast(pointer, self.vector.as_pointer())).align = self.bytes

    def broadcast(self, number: ir.Value) -> ir.Value:
        """Return the number in every lane."""
        one = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), number, INT32(0))
        mask = ir.Constant(ir.VectorType(INT32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, one, mask)

    def row(self, base: ir.Value, stride: ir.Value, i: int) -> ir.Value:
        """Return the address of row `i`."""
        return self.at(base, self.builder.mul(stride, INT(i)))

    def load_row(self, pointer: ir.Value, vectors: int) -> list[ir.Value]:
        """Load that many adjacent vectors."""
        return [self.load(self.at(pointer, v * self.lanes)) for v in range(vectors)]

    def store_row(self, values: list[ir.Value], pointer: ir.Value) -> None:
        """Store adjacent vectors."""
        for v, value in enumerate(values):
            self.store(value, self.at(pointer, v * self.lanes))

    def prefetch_row(self, pointer: ir.Value, vectors: int, *, to_write: bool = False) -> None:
        """Prefetch the cache lines of that many vectors, to be read or written soon."""
        for v in range(0, vectors, max(1, CACHE_LINE // VECTOR_BYTES)):
            byte = self.builder.bitcast(self.at(pointer, v * self.lanes), ir.IntType(8).as_pointer())
            kind = ir.FunctionType(VOID, [byte.type, INT32, INT32, INT32])
            function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
            self.builder.call(function, [byte, INT32(int(to_write)), INT32(3), INT32(1)])

    def load_panel_row(self, panel: ir.Value, stride: ir.Value, k: ir.Value, vectors: int) -> list[ir.Value]:
        """Load row k of a panel; prefetch a later one if the panel is as wide as tiles get."""
        if vectors == TILE_VECTORS:
            ahead = self.builder.add(k, INT(PREFETCHED_ROWS))
            self.prefetch_row(self.at(panel, self.builder.mul(ahead, stride)), vectors)
        return self.load_row(self.at(panel, self.builder.mul(k, stride)), vectors)

    def outer(self, a: list[ir.Value], b: list[ir.Value], sums: list[ir.Value]) -> list[ir.Value]:
        """Return sums + a b^T, row by row."""
        pairs = [(x, y) for x in a for y in b]
        return [self.multiply_add(x, y, total) for (x, y), total in zip(pairs, sums, strict=True)]

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """Return a * b + c."""
        return self.builder.call(self.fma, [a, b, c])

    def zero(self) -> ir.Constant:
        """Return the vector of zeros."""
        return ir.Constant(self.vector, [0.0] * self.lanes)

    def shuffle(self, a: ir.Value, b: ir.Value, lanes: list[int]) -> ir.Value:
        """Return the lanes with these numbers, counted through a, then b."""
        mask = ir.Constant(ir.VectorType(INT32, len(lanes)), lanes)
        return self.builder.shuffle_vector(a, b, mask)


def loop(builder: ir.IRBuilder, count: ir.Value, start: list[ir.Value], body) -> list[ir.Value]:
    """Emit `count` rounds of values = body(index, values), kept in registers; return the values after the last."""
    before = builder.block
    head, rounds, after = (builder.append_basic_block(name) for name in ("head", "round", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(INT)
    carried = [builder.phi(value.type) for value in start]
    index.add_incoming(INT(0), before)
    for phi, value in zip(carried, start, strict=True):
        phi.add_incoming(value, before)
    builder.cbranch(builder.icmp_signed("<", index, count), rounds, after)
    builder.position_at_end(rounds)
    values = body(index, carried)
    following = builder.add(index, INT(1))
    for phi, value in zip([index, *carried], [following, *values], strict=True):
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return carried


def emit_forward(emitter: Emitter, args: list[ir.Value], rows: int, vectors: int) -> None:
    """Emit C = start + A.B for rows x vectors registers; A's rows are `a_stride` apart."""
    c, c_stride, start, start_stride, a, a_stride, b, b_stride, inner = args
    builder = emitter.builder
    row_starts = [emitter.at(a, builder.mul(a_stride, INT(i))) for i in range(rows)]

    def body(k, sums):
        b_values = emitter.load_panel_row(b, b_stride, k, vectors)
        a_values = [emitter.broadcast(builder.load(emitter.at(row, k))) for row in row_starts]
        return emitter.outer(a_values, b_values, sums)

    sums = [value for i in range(rows) for value in emitter.load_row(emitter.row(start, start_stride, i), vectors)]
    sums = loop(builder, inner, sums, body)
    for i in range(rows):
        emitter.store_row(sums[i * vectors : (i + 1) * vectors], emitter.row(c, c_stride, i))


def emit_gradient(emitter: Emitter, args: list[ir.Value], rows: int, vectors: int) -> None:
    """Emit C = C - rate * A^T.B for `tiles` tiles of rows x vectors registers, one below the other.

    A's rows, columns of A^T, are `a_stride` apart; those of the next tile start `a_step` later.
    """
    tiles, c, c_stride, a, a_stride, a_step, b, b_stride, inner, rate = args
    builder = emitter.builder
    minus_rate = emitter.broadcast(builder.fneg(rate))

    def tile(t, _):
        a_tile = emitter.at(a, builder.mul(t, a_step))
        c_tile = emitter.at(c, builder.mul(t, builder.mul(c_stride, INT(rows))))

        for i in range(rows):
            emitter.prefetch_row(emitter.row(c_tile, c_stride, i), vectors, to_write=True)

        def body(k, sums):
            b_values = emitter.load_panel_row(b, b_stride, k, vectors)
            a_row = emitter.at(a_tile, builder.mul(k, a_stride))
            a_values = [emitter.broadcast(builder.load(emitter.at(a_row, i))) for i in range(rows)]
            return emitter.outer(a_values, b_values, sums)

        sums = loop(builder, inner, [emitter.zero()] * (rows * vectors), body)
        for i in range(rows):
            address = emitter.row(c_tile, c_stride, i)
            before = emitter.load_row(address, vectors)
            gradient = sums[i * vectors : (i + 1) * vectors]
            after = [emitter.multiply_add(minus_rate, g, w) for g, w in zip(gradient, before, strict=True)]
            emitter.store_row(after, address)
        return []

    loop(builder, tiles, [], tile)


SQUARE_VECTORS = 4  # parallel sums that hide a multiply-add's latency


def emit_squares(emitter: Emitter, args: list[ir.Value]) -> None:
    """Emit C = sums, lane by lane, of the squares of A's numbers in `rounds` rounds of SQUARE_VECTORS vectors."""
    c, a, rounds = args
    step = SQUARE_VECTORS * emitter.lanes

    def body(index, sums):
        values = emitter.load_row(emitter.at(a, emitter.builder.mul(index, INT(step))), SQUARE_VECTORS)
        return [emitter.multiply_add(value, value, total) for value, total in zip(values, sums, strict=True)]

    emitter.store_row(loop(emitter.builder, rounds, [emitter.zero()] * SQUARE_VECTORS, body), c)


def emit_transpose(emitter: Emitter, args: list[ir.Value]) -> None:
    """Emit C = A^T for a square of as many rows as a vector has lanes."""
    c, c_stride, a, a_stride = args
    store_transposed(emitter, [emitter.load(emitter.row(a, a_stride, i)) for i in range(emitter.lanes)], c, c_stride)


def store_transposed(emitter: Emitter, rows: list[ir.Value], c: ir.Value, c_stride: ir.Value) -> None:
    """Emit C = the transpose of a square of vectors, by swapping ever smaller off-diagonal blocks."""
    lanes = emitter.lanes
    distance = lanes // 2
    while distance:
        upper = [i + lanes - distance if i & distance else i for i in range(lanes)]
        lower = [i + lanes if i & distance else i + distance for i in range(lanes)]
        for i in range(lanes):
            if not i & distance:
                pair = rows[i], rows[i + distance]
                rows[i], rows[i + distance] = emitter.shuffle(*pair, upper), emitter.shuffle(*pair, lower)
        distance //= 2
    for i, row in enumerate(rows):
        emitter.store(row, emitter.row(c, c_stride, i))


def tile_function(module: ir.Module, name: str, kinds: list[ir.Type], write: Callable[..., None]) -> ir.Function:
    """Return the module's function `name`, written by `write(builder, args)` if it does not exist yet."""
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(VOID, kinds), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    write(builder, list(function.args))
    builder.ret_void()
    return function


def call_shape(builder: ir.IRBuilder, code: ir.Value, functions: dict[int, ir.Function], args: list) -> None:
    """Emit a call of the function of the tile whose shape has this code."""
    end = builder.append_basic_block("end")
    switch = builder.switch(code, end)
    for shape, function in functions.items():
        case = builder.append_basic_block(f"shape{shape}")
        switch.add_case(INT(shape), case)
        builder.position_at_end(case)
        builder.call(function, args)
        builder.branch(end)
    builder.position_at_end(end)


def tile_intrinsic(
    name: str, emit: Callable[..., None], shapes: list[tuple[int, ...]], given: tuple[Any, ...]
) -> tuple[Any, Callable[..., Any]]:
    """Return signature and code of a tile; its arguments: shape, then (array, offset, stride) triples and scalars.

    One function of each shape is emitted into the module; a switch on the shape calls it.
    """
    signature = types.void(*[types.int64 if isinstance(kind, types.Integer) else kind for kind in given])
    n_shape = len(shapes[0])

    def codegen(context, builder, signature, values):
        kinds = signature.args
        number = [kind.dtype for kind in kinds if isinstance(kind, types.Array)][-1]  # the result may be wider
        scalar = ir.FloatType() if number.bitwidth == 32 else ir.DoubleType()
        lanes = TARGET.lanes(number.bitwidth // 8)
        args = []
        rest = iter(zip(kinds[n_shape:], values[n_shape:], strict=True))
        for kind, value in rest:
            if isinstance(kind, types.Array):
                data = context.make_array(kind)(context, builder, value).data
                value = builder.gep(data, [next(rest)[1]])
            args.append(value)

        def writer(shape):
            return lambda inside, parameters: emit(Emitter(inside, scalar, lanes), parameters, *shape)

        functions = {
            shape_code(*shape): tile_function(
                builder.module,
                "_".join(["fastnn", name, str(scalar), *map(str, shape)]),
                [arg.type for arg in args],
                writer(shape),
            )
            for shape in shapes
        }
        code = INT(0)
        for value in values[:n_shape]:
            code = builder.add(builder.mul(code, INT(16)), value)
        call_shape(builder, code, functions, args)
        return context.get_dummy_value()

    return signature, codegen


def shape_code(*shape: int) -> int:
    """Return one number for a tile's shape."""
    code = 0
    for part in shape:
        code = code * 16 + part
    return code


PRODUCT_SHAPES = [(m, v) for m in range(1, TILE_ROWS + 1) for v in range(1, TILE_VECTORS + 1)]
ONE_ROW_VECTORS = 8  # a tile of one row needs so many parallel sums to hide a multiply-add's latency
ONE_ROW_SHAPES = [(1, v) for v in range(TILE_VECTORS + 1, ONE_ROW_VECTORS + 1)]


def block(array, offset, rows, stride, columns):
    """Return the view of a block of a flat array."""
    steps = (stride * array.itemsize, array.itemsize)
    return np.lib.stride_tricks.as_strided(array[offset:], (rows, columns), steps)


def _add_product(total, a, b):
    total += a * b


def forward_tile_of(add, rows, vectors, c, c0, c_stride, start, s0, s_stride, a, a0, a_stride, b, b0, b_stride, inner):
    """Compute C = start + A.B, one tile, by add(total, a, b) for each inner index: the plain twin of a tile."""
    columns = vectors * TARGET.lanes(c.itemsize)
    total = block(start, s0, rows, s_stride, columns).copy()
    inputs, weights = block(a, a0, rows, a_stride, inner), block(b, b0, inner, b_stride, columns)
    for k in range(inner):
        add(total, inputs[:, k, None], weights[k])
    block(c, c0, rows, c_stride, columns)[:] = total


def gradient_tiles_of(
    add, rows, vectors, tiles, c, c0, c_stride, a, a0, a_stride, a_step, b, b0, b_stride, inner, rate
):
    """Compute C = C - rate * A^T.B, for tiles one below the other, by add(total, a, b): the plain twin of tiles."""
    columns = vectors * TARGET.lanes(c.itemsize)
    deltas = block(b, b0, inner, b_stride, columns)
    for t in range(tiles):
        inputs = block(a, a0 + t * a_step, inner, a_stride, rows)
        total = np.zeros((rows, columns), c.dtype)
        for k in range(inner):
            add(total, inputs[k, :, None], deltas[k])
        block(c, c0 + t * rows * c_stride, rows, c_stride, columns)[:] -= rate * total


def _transpose_square(c, c0, c_stride, a, a0, a_stride):
    lanes = TARGET.lanes(c.itemsize)
    block(c, c0, lanes, c_stride, lanes)[:] = block(a, a0, lanes, a_stride, lanes).T


def _squares(c, c0, a, a0, rounds):
    step = SQUARE_VECTORS * TARGET.lanes(c.itemsize)
    parts = a[a0 : a0 + rounds * step].reshape(rounds, step)
    c[c0 : c0 + step] = 0
    for part in parts:
        c[c0 : c0 + step] += part * part


@twin(partial(forward_tile_of, _add_product))
def forward_tile(
    typingctx, rows, vectors, c, c0, c_stride, start, s0, s_stride, a, a0, a_stride, b, b0, b_stride, inner
):
    """Compute C[i, v] = start[i, v] + sum over k of A[i, k] B[k, v]."""
    given = (rows, vectors, c, c0, c_stride, start, s0, s_stride, a, a0, a_stride, b, b0, b_stride, inner)
    return tile_intrinsic("forward", emit_forward, PRODUCT_SHAPES + ONE_ROW_SHAPES, given)


@twin(partial(gradient_tiles_of, _add_product))
def gradient_tiles(
    typingctx, rows, vectors, tiles, c, c0, c_stride, a, a0, a_stride, a_step, b, b0, b_stride, inner, rate
):
    """Compute C[i, v] = C[i, v] - rate * sum over k of A[k, i] B[k, v], for tiles one below the other."""
    given = (rows, vectors, tiles, c, c0, c_stride, a, a0, a_stride, a_step, b, b0, b_stride, inner, rate)
    return tile_intrinsic("gradient", emit_gradient, PRODUCT_SHAPES, given)


@twin(partial(gradient_tiles_of, _add_product))
def gradient_row(
    typingctx, rows, vectors, tiles, c, c0, c_stride, a, a0, a_stride, a_step, b, b0, b_stride, inner, rate
):
    """Compute C as gradient_tiles, of tiles of one row, which are compiled soon."""
    given = (rows, vectors, tiles, c, c0, c_stride, a, a0, a_stride, a_step, b, b0, b_stride, inner, rate)
    return tile_intrinsic("gradient", emit_gradient, [(1, v) for v in range(1, TILE_VECTORS + 1)], given)


@twin(_transpose_square)
def transpose_square(typingctx, c, c0, c_stride, a, a0, a_stride):
    """Compute C[i, k] = A[k, i] for a square of as many rows as a vector has lanes."""
    return tile_intrinsic("transpose", emit_transpose, [()], (c, c0, c_stride, a, a0, a_stride))


@twin(_squares)
def squares(typingctx, c, c0, a, a0, rounds):
    """Compute C[i] = sum over k of A[k n + i]^2, for `rounds` rounds of n = SQUARE_VECTORS vectors."""
    return tile_intrinsic("squares", emit_squares, [()], (c, c0, a, a0, rounds))
