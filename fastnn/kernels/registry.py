"""The kernels that call one another by address: their places in the kernel table, their arguments, and the call.

Numba would copy a called function's code into every caller and optimise it anew there. A linked kernel is compiled
once for a dtype instead. Its machine code's address stands in its slot of the kernel table, an array that every
caller is given; kernel_table.py builds it. The caller names the function alone: its slot and its argument types are
looked up here while the caller is compiled, so that the two cannot disagree. A slot that was not requested is 0. With
FASTNN_DEBUG_KERNELS a call through it ends the process with the kernel's name; without compilation it always raises.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import IntEnum, auto, unique
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils, config, types

from .argument_types import KernelTable, numba_type
from .bundles import ByReference, pointer_to
from .intrinsics import twin
from .jit import COMPILED, INNER, OPTIONS, compile_and_keep
from .target import DEBUG_KERNELS

if TYPE_CHECKING:
    import numpy as np

DTYPES = ("float32", "float64")
INT32, INT64, VOID = ir.IntType(32), ir.IntType(64), ir.VoidType()


@unique
class Slot(IntEnum):
    """Places in the kernel table; each stands in one decorator and nowhere else."""

    GATHER_ROWS = 0
    ACTIVATE = auto()
    OUTPUT_DELTAS = auto()
    FORWARD_EXAMPLES = auto()
    BACKWARD = auto()
    WEIGHT_GRADIENT_PASS = auto()
    TRAIN_STEPS = auto()
    PREDICT_ROWS = auto()
    FORWARD_ROWS = auto()
    OPTIMIZER_STEP = auto()
    UPDATE_PASS = auto()
    CLIPPED_UPDATE_PASS = auto()
    MAX_NORM_PASS = auto()
    PERTURB_EXAMPLES = auto()
    DROP_HIDDEN = auto()
    SPARSE_FORWARD = auto()
    SPARSE_GRADIENT_PASS = auto()
    PENALTY_PASS = auto()
    INPUT_SCALES_PASS = auto()
    FORWARD_STAGE = auto()
    ROW_NORMS_PASS = auto()
    DISTORT_EXAMPLES = auto()
    INPUT_GRADIENT_ROWS = auto()
    BFLOAT16_WEIGHTED_INPUTS = auto()
    BFLOAT16_DELTA_BELOW = auto()
    BFLOAT16_WEIGHT_GRADIENT = auto()
    BFLOAT16_PACK_WEIGHTS = auto()
    BFLOAT16_PACK_EXAMPLES = auto()
    PACK_WEIGHTS_PASS = auto()
    EMBED_INPUTS = auto()
    EMBEDDING_DELTAS = auto()
    EMBEDDING_GRADIENT_PASS = auto()
    EMBED_CATEGORIES = auto()
    CATEGORY_GRADIENT_PASS = auto()
    PRODUCT_COLUMN = auto()
    GRADIENT_COLUMN = auto()
    MULTIPLY_SHARE = auto()


Signature = tuple[Any, ...]
"""The annotations of a kernel's arguments, see argument_types.py."""


class LinkedKernel(NamedTuple):
    """What `call` needs to know of a kernel."""

    slot: Slot
    signature: Signature


class UserFunction(NamedTuple):
    """A user's activation or loss over a block of numbers, and the prototype whose signature it has."""

    prototype: Any
    kernel: Any


LINKED_KERNELS: dict[Any, LinkedKernel] = {}
"""Every linked kernel, by the function that callers name."""

PROTOTYPES: dict[Any, Signature] = {}
"""What each kind of user's function takes, by the function that callers name."""

ENTRIES: dict[Any, Signature] = {}
"""What the kernels that Python calls with bundles take, by the function."""

USER_FUNCTIONS: list[UserFunction] = []
"""The user's functions: the slots behind those of `Slot`, in the order of their registration."""


def linked_kernel(slot: Slot, signature: Signature, options: dict[str, Any] = INNER) -> Callable[[Any], Any]:
    """Compile a kernel that others reach through `call`, and keep it on disk."""

    def register(function: Callable[..., Any]) -> Any:
        _check_signature(function, signature)
        for other, linked in LINKED_KERNELS.items():
            if linked.slot == slot:
                raise TypeError(f"{function.__name__}: {slot!r} belongs to {other.__name__}")
        kernel = compile_and_keep(function, options)
        LINKED_KERNELS[kernel] = LinkedKernel(slot, signature)
        return kernel

    return register


def linked_entry(slot: Slot, signature: Signature) -> Callable[[Any], Any]:
    """Compile a kernel that others reach through `call`, and that Python calls, too; keep it on disk."""
    return linked_kernel(slot, signature, OPTIONS)


def user_prototype(signature: Signature) -> Callable[[Any], Any]:
    """Declare what one kind of user's function takes; `call_user_function` names the prototype in its place."""

    def register(function: Callable[..., Any]) -> Any:
        _check_signature(function, signature)
        prototype = compile_and_keep(function, INNER)
        PROTOTYPES[prototype] = signature
        return prototype

    return register


def declare_entry(kernel: Any, signature: Signature) -> None:
    """Say what a kernel takes that Python calls through `entry_point`."""
    _check_signature(kernel.py_func if COMPILED else kernel, signature)
    ENTRIES[kernel] = signature


@lru_cache(maxsize=64)
def entry_point(kernel: Any, dtype: np.dtype) -> Callable[..., Any]:
    """Return the function through which Python calls a kernel of declared arguments, for a network of this dtype.

    Numba's dispatcher looks at the type of every field of every bundle, which takes longer than a small network's step.
    The function that it would find is called directly instead: the bundles have the declared types.
    """
    if not COMPILED:
        return kernel
    exact = entry_types(ENTRIES[kernel], dtype.name)
    kernel.compile(exact)
    return kernel.overloads[exact].entry_point


def _check_signature(function: Callable[..., Any], signature: Signature) -> None:
    n_arguments = len(inspect.signature(function).parameters)
    if len(signature) != n_arguments:
        raise TypeError(f"{function.__name__} takes {n_arguments} arguments, its signature has {len(signature)}")


def entry_types(signature: Signature, dtype: str) -> tuple[Any, ...]:
    """Return Numba's types of what Python gives a kernel, for a network of this dtype."""
    return tuple(numba_type(annotation, dtype) for annotation in signature)


def argument_types(signature: Signature, dtype: str) -> tuple[Any, ...]:
    """Return Numba's types of a linked kernel's arguments, for a network of this dtype: bundles by reference."""
    return tuple(_by_reference(kind) for kind in entry_types(signature, dtype))


def _by_reference(kind: Any) -> Any:
    return ByReference(kind) if isinstance(kind, types.BaseNamedTuple) else kind


def add_user_function(prototype: Any, kernel: Any) -> int:
    """Give a kernel with the prototype's signature a slot; return it."""
    USER_FUNCTIONS.append(UserFunction(prototype, kernel))
    return len(Slot) + len(USER_FUNCTIONS) - 1


def missing(name: str) -> str:
    """Return what an error says of a kernel that was called although its slot is empty."""
    return f"kernel {name} was called, but its slot of the kernel table is empty: it was not requested"


def _call(table, function, *args):
    if table[LINKED_KERNELS[function].slot] == 0:
        raise RuntimeError(missing(function.__name__))
    function(*args)


@twin(_call)
def call(typingctx, table, function, *args):
    """Call a linked kernel through the kernel table; it returns nothing."""
    if function.dispatcher not in LINKED_KERNELS:
        raise TypeError(f"{function.dispatcher.py_func.__name__} is no linked kernel")
    slot, declared = LINKED_KERNELS[function.dispatcher]
    exact = _exact_types(table, function, args, declared)

    def codegen(context, builder, signature, values):
        return _emit_call(context, builder, signature, (values[0], ir.Constant(INT64, int(slot)), values[2]), exact)

    return types.none(table, function, types.StarArgTuple.from_types(exact)), codegen


def _call_user_function(table, slot, prototype, *args):
    if not len(Slot) <= slot < len(table) or table[slot] == 0:
        raise RuntimeError(missing(prototype.__name__))
    USER_FUNCTIONS[slot - len(Slot)].kernel(*args)


@twin(_call_user_function)
def call_user_function(typingctx, table, slot, prototype, *args):
    """Call the user's function in this slot, which has the prototype's signature, through the kernel table."""
    if prototype.dispatcher not in PROTOTYPES:
        raise TypeError(f"{prototype.dispatcher.py_func.__name__} is no prototype of the user's functions")
    exact = _exact_types(table, prototype, args, PROTOTYPES[prototype.dispatcher])

    def codegen(context, builder, signature, values):
        return _emit_call(context, builder, signature, (values[0], values[1], values[3]), exact)

    return types.none(table, types.int64, prototype, types.StarArgTuple.from_types(exact)), codegen


def _exact_types(table: Any, function: Any, args: Any, signature: Signature) -> tuple[Any, ...]:
    """Return the exact types of a call's arguments; TypeError if the kernel is compiled for others."""
    name = function.dispatcher.py_func.__name__
    if table != numba_type(KernelTable, DTYPES[0]):
        raise TypeError(f"{name} is called through {table}, which is no kernel table")
    given = args[0].types if isinstance(args[0], types.StarArgTuple | types.StarArgUniTuple) else args
    exact = tuple(types.int64 if isinstance(kind, types.Integer) else types.unliteral(kind) for kind in given)
    if tuple(map(_by_reference, exact)) not in [argument_types(signature, dtype) for dtype in DTYPES]:
        raise TypeError(f"{name} is called with {exact}")
    return exact


def _emit_call(context, builder, signature, values, exact):
    """Emit the call of the address in a slot; values: the table, the slot, the tuple of arguments.

    A bundle that the caller has by value is stored for as long as the caller runs, and the address given.
    """
    table, slot, arguments = values
    function = signature.args[-2].dispatcher.py_func.__name__
    array = context.make_array(signature.args[0])(context, builder, table)
    if DEBUG_KERNELS:
        end = builder.extract_value(array.shape, 0)
        _trap(builder, builder.icmp_unsigned(">=", slot, end), missing(function))
    address = builder.load(builder.gep(array.data, [slot]))
    if DEBUG_KERNELS:
        _trap(builder, builder.icmp_unsigned("==", address, ir.Constant(INT64, 0)), missing(function))
    taken = tuple(map(_by_reference, exact))
    kind = context.call_conv.get_function_type(types.none, taken)
    callee = builder.inttoptr(address, kind.as_pointer())
    unpacked = [builder.extract_value(arguments, i) for i in range(len(exact))]
    for i, (given, wanted) in enumerate(zip(exact, taken, strict=True)):
        if given != wanted:
            unpacked[i] = pointer_to(builder, unpacked[i])
    status, _ = context.call_conv.call_function(builder, callee, types.none, taken, unpacked)
    if config.BOUNDSCHECK:  # nothing else raises in there
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
    return context.get_dummy_value()


def _trap(builder, condition, message):
    """Emit the end of the process where the condition holds: an exception would not leave a thread of a team."""
    with cgutils.if_unlikely(builder, condition):
        cgutils.printf(builder, f"fastnn: {message}\n")
        pointer = ir.IntType(8).as_pointer()
        flush = cgutils.get_or_insert_function(builder.module, ir.FunctionType(INT32, [pointer]), "fflush")
        builder.call(flush, [pointer(None)])
        builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(VOID, []), "abort"), [])
