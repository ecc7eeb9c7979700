"""Single instructions that Python has no words for, each with its plain-Python twin for runs without compilation."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import COMPILED
from .target import TARGET

INT64 = ir.IntType(64)
MASK64 = (1 << 64) - 1


def twin(plain: Callable[..., Any]) -> Callable[[Any], Any]:
    """Pair an intrinsic's typing function with its plain twin, which is used when compilation is off."""

    def choose(typed: Any) -> Any:
        return intrinsic(typed) if COMPILED else plain

    return choose


def _multiply_add(a, b, c):
    return a * b + c


@twin(_multiply_add)
def multiply_add(typingctx, a, b, c):
    """Return a * b + c, rounded once if the processor can."""

    def codegen(context, builder, signature, args):
        kind = args[0].type
        suffix = "f32" if isinstance(kind, ir.FloatType) else "f64"
        name = f"llvm.fma.{suffix}" if TARGET.fused else f"llvm.fmuladd.{suffix}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
        return builder.call(function, args)

    return a(a, a, a), codegen


def _polynomial(x, coefficients):
    total = coefficients[0]
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


@twin(_polynomial)
def polynomial(typingctx, x, coefficients):
    """Return a polynomial by Horner's rule, highest power first: one multiply-add for each further coefficient."""

    def codegen(context, builder, signature, args):
        kind = args[0].type
        suffix = "f32" if isinstance(kind, ir.FloatType) else "f64"
        name = f"llvm.fma.{suffix}" if TARGET.fused else f"llvm.fmuladd.{suffix}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
        total = builder.extract_value(args[1], 0)
        for i in range(1, len(signature.args[1])):
            total = builder.call(function, [total, args[0], builder.extract_value(args[1], i)])
        return total

    return x(x, coefficients), codegen


def float_layout(kind: Any) -> tuple[ir.IntType, int, int]:
    """Return, of a floating-point type, the integer of its size, its fraction's bits and its exponent's bias."""
    return (ir.IntType(32), 23, 127) if kind == types.float32 else (INT64, 52, 1023)


@intrinsic
def power_of_two(typingctx, n):
    """Return 2^n for an integral n in the normal exponent range."""

    def codegen(context, builder, signature, args):
        integer, fraction_bits, bias = float_layout(n)
        magic = ir.Constant(args[0].type, 1.5 * 2.0**fraction_bits)  # adding it leaves n in the low bits
        bits = builder.bitcast(builder.fadd(args[0], magic), integer)
        exponent = builder.add(bits, ir.Constant(integer, bias))
        return builder.bitcast(builder.shl(exponent, ir.Constant(integer, fraction_bits)), args[0].type)

    return n(n), codegen


@intrinsic
def split_exponent(typingctx, x):
    """Return (m, e) with x = m * 2^e and sqrt(1/2) <= m < sqrt(2), for a positive normal x."""

    def codegen(context, builder, signature, args):
        integer, fraction_bits, _ = float_layout(x)
        number = args[0].type
        root_half = float_bits(x, 0.5**0.5)
        offset = builder.sub(builder.bitcast(args[0], integer), ir.Constant(integer, root_half))
        exponent = builder.sitofp(builder.ashr(offset, ir.Constant(integer, fraction_bits)), number)
        fraction = builder.and_(offset, ir.Constant(integer, (1 << fraction_bits) - 1))
        mantissa = builder.bitcast(builder.add(fraction, ir.Constant(integer, root_half)), number)
        return context.make_tuple(builder, signature.return_type, [mantissa, exponent])

    return types.UniTuple(x, 2)(x), codegen


def float_bits(kind: Any, value: float) -> int:
    """Return the bits of `value` in the format `kind`."""
    single = kind == types.float32
    return int(np.float32(value).view(np.int32) if single else np.float64(value).view(np.int64))


def _half_to_single(bits):
    return np.float32(np.uint16(bits).view(np.float16))


@twin(_half_to_single)
def half_to_single(typingctx, bits):
    """Return the finite float16 with these bits as float32: shifted into place and scaled by 2^112."""

    def codegen(context, builder, signature, args):
        int32 = ir.IntType(32)
        wide = builder.zext(args[0], int32)
        sign = builder.shl(builder.and_(wide, int32(0x8000)), int32(16))
        size = builder.shl(builder.and_(wide, int32(0x7FFF)), int32(13))
        scaled = builder.fmul(builder.bitcast(size, ir.FloatType()), ir.Constant(ir.FloatType(), 2.0**112))
        return builder.bitcast(builder.or_(builder.bitcast(scaled, int32), sign), ir.FloatType())

    return types.float32(types.uint16), codegen


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK64
    return value ^ (value >> 31)


def _random_below(seed, stream, index, bound):
    key = _mix((int(seed) + int(stream) * 0x9E3779B97F4A7C15) & MASK64)
    bits = _mix((key + int(index) * 0xD1342543DE82EF95) & MASK64)
    return (bits * int(bound)) >> 64


@twin(_random_below)
def random_below(typingctx, seed, stream, index, bound):
    """Return a number in 0..bound-1 that depends on (seed, stream, index) alone.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014) applied to a key and a counter.
    """

    def codegen(context, builder, signature, args):
        def constant(value):
            return ir.Constant(INT64, value)

        def mix(value):
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                value = builder.mul(builder.xor(value, builder.lshr(value, constant(shift))), constant(factor))
            return builder.xor(value, builder.lshr(value, constant(31)))

        seed, stream, index, bound = args
        key = mix(builder.add(seed, builder.mul(stream, constant(0x9E3779B97F4A7C15))))
        bits = mix(builder.add(key, builder.mul(index, constant(0xD1342543DE82EF95))))
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(bits, wide), builder.zext(bound, wide))
        return builder.trunc(builder.lshr(product, wide(64)), INT64)

    return types.int64(types.int64, types.int64, types.int64, types.int64), codegen


def _address(context, builder, array_type, array, index):
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _atomic_add(array, index, amount):
    before = array[index]
    array[index] += amount
    return before


@twin(_atomic_add)
def atomic_add(typingctx, array, index, amount):
    """Add to an int64 atomically, sequentially consistent; return its value before."""

    def codegen(context, builder, signature, args):
        address = _address(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("add", address, args[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), codegen


def _atomic_load(array, index):
    return array[index]


@twin(_atomic_load)
def atomic_load(typingctx, array, index):
    """Read an int64 with acquire order: what its writer wrote before is visible afterwards."""

    def codegen(context, builder, signature, args):
        address = _address(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(address, "acquire", 8)

    return types.int64(array, types.int64), codegen


def _atomic_store(array, index, value):
    array[index] = value


@twin(_atomic_store)
def atomic_store(typingctx, array, index, value):
    """Write an int64 with release order: after all writes before it."""

    def codegen(context, builder, signature, args):
        address = _address(context, builder, signature.args[0], args[0], args[1])
        builder.store_atomic(args[2], address, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


def _pause():
    time.sleep(0)


@twin(_pause)
def pause(typingctx):
    """Tell the processor that this is a waiting loop."""

    def codegen(context, builder, signature, args):
        if TARGET.name == "neon":  # pragma: no cover - other processors
            name, args = "llvm.aarch64.hint", [ir.IntType(32)(1)]  # yield
        else:
            name, args = "llvm.x86.sse2.pause", []
        kind = ir.FunctionType(ir.VoidType(), [arg.type for arg in args])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)
        return context.get_dummy_value()

    return types.void(), codegen


@twin(_pause)
def yield_thread(typingctx):
    """Yield this processor to another thread."""

    def codegen(context, builder, signature, args):
        if sys.platform != "win32":  # pragma: no branch - other systems
            kind = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen


def _prefetch(array, index):
    pass


@twin(_prefetch)
def prefetch(typingctx, array, index):
    """Prefetch the cache line of `array[index]`, an address that need not be valid, for a single use.

    It does not push what is used again out of the second-level cache.
    """

    def codegen(context, builder, signature, args):
        address = _address(context, builder, signature.args[0], args[0], args[1])
        byte = builder.bitcast(address, ir.IntType(8).as_pointer())
        int32 = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte.type, int32, int32, int32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [byte, int32(0), int32(0), int32(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


FLUSH_RESULTS = 0x8000
"""The bit of x86's MXCSR by which results that would be subnormal become 0."""


def _keep_mode():
    return 0


@twin(_keep_mode)
def flush_subnormals(typingctx):
    """Let results that would be subnormal become 0, and return the mode before, which `restore_mode` takes.

    Intel's processors take a hundred times as long for a subnormal result as for another. A training in which neurons
    die, and Adam's moments of what no longer moves, are full of them. ARM's processors are as fast, and keep them.
    """

    def codegen(context, builder, signature, args):
        if TARGET.name == "neon":  # pragma: no cover - other processors
            return ir.Constant(ir.IntType(32), 0)
        memory = cgutils.alloca_once(builder, ir.IntType(32))
        _mxcsr(builder, "stmxcsr", memory)
        before = builder.load(memory)
        builder.store(builder.or_(before, ir.Constant(ir.IntType(32), FLUSH_RESULTS)), memory)
        _mxcsr(builder, "ldmxcsr", memory)
        return before

    return types.int32(), codegen


def _leave_mode(mode):
    pass


@twin(_leave_mode)
def restore_mode(typingctx, mode):
    """Set the mode that `flush_subnormals` returned."""

    def codegen(context, builder, signature, args):
        if TARGET.name != "neon":  # pragma: no branch - other processors
            memory = cgutils.alloca_once(builder, ir.IntType(32))
            builder.store(args[0], memory)
            _mxcsr(builder, "ldmxcsr", memory)
        return context.get_dummy_value()

    return types.void(types.int32), codegen


def _mxcsr(builder, name, memory):
    """Move MXCSR to memory or from it."""
    pointer = builder.bitcast(memory, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [pointer.type])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}"), [pointer])
