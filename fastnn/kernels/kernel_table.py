"""The separately compiled kernels: their signatures, and the table of addresses through which they call each other.

Each is compiled once for a type of number and kept on disk; nothing is compiled before it is first needed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import typeof
from numba.core import types
from numba.core.compiler_lock import global_compiler_lock

from . import (
    activations,
    backward,
    gather,
    layout,
    losses,
    optimizer_steps,
    predict,
    sparse,
    stochastic_regularization,
    train_loop,
)
from .intrinsics import SIGNATURES, USER_FUNCTIONS
from .jit import COMPILED, defer_sigint
from .user_functions import USER_FUNCTION_BASE, user_activation, user_loss


def _samples(dtype: str) -> dict[str, Any]:
    """One value of each type that the kernels are given."""
    numbers, integers = np.zeros(1, dtype), np.zeros(1, np.int64)
    frozen, labels, inputs = np.zeros(1, dtype), np.zeros(1, np.int64), np.zeros(1, np.uint8)
    columns = np.zeros(1, np.int32)
    for array in (frozen, labels, inputs, columns):
        array.flags.writeable = False
    table = np.zeros((1, layout.N_FIELDS), np.int64)
    floats = np.zeros(1)
    state = (floats, numbers, numbers, numbers)
    rule = layout.UpdateRule(0, 1, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, *state)
    undisturbed = layout.StochasticRegularization(0, 0.0, 0.0, 0)
    return {
        "rule": rule,
        "distortion": undisturbed,
        "numbers": numbers,
        "integers": integers,
        "inputs": inputs,
        "table": table,
        "network": layout.NetworkView(table, 0, 0.0, numbers, numbers, integers),
        "work": layout.Workspace(numbers, numbers, numbers, 1, numbers, numbers, numbers, 1),
        "examples": layout.Examples(inputs, 0, 0, 1.0, 1, 0, frozen, labels, frozen, frozen, columns, labels),
        "plan": layout.StepRange(0, 0, 1, 0, 0, 0, 0, 0),
        "records": layout.Records(integers, integers, np.zeros(1), np.zeros((1, 4)), numbers),
        "number": numbers[0],
        "int": 0,
        "float": 0.0,
    }


PIECES: dict[int, tuple[Any, str]] = {
    layout.GATHER: (gather.gather_rows, "numbers inputs int int float integers int int int int int"),
    layout.ACTIVATE: (activations.activate, "numbers numbers int"),
    layout.OUTPUT: (
        losses.output_deltas,
        "numbers numbers numbers numbers numbers int float int int int int integers",
    ),
    layout.BACKWARD: (backward.backward, "numbers numbers numbers table int int"),
    layout.EXAMPLES: (train_loop.examples_forward, "network work examples integers int float int int distortion int"),
    layout.WEIGHT_PASS: (train_loop.weights_pass, "network work number int int int int int int"),
    layout.CLIPPED_PASS: (train_loop.clipped_pass, "network rule number int int int"),
    layout.LIMITS_PASS: (train_loop.limits_pass, "network work rule int int"),
    layout.DISTORT: (stochastic_regularization.distort, "numbers numbers table distortion int int int int"),
    layout.DROP: (stochastic_regularization.drop_hidden, "numbers table int distortion int int int int"),
    layout.DESCEND: (
        optimizer_steps.descend,
        "numbers numbers numbers numbers numbers rule number float float int int",
    ),
    layout.PENALTY_PASS: (train_loop.penalty_pass, "network work rule int int"),
    layout.RULE_PASS: (train_loop.rule_pass, "network rule number int int int float"),
    layout.STEPS: (
        train_loop.train_steps,
        "network work examples examples plan rule distortion records integers int int",
    ),
    layout.SPARSE_FORWARD: (
        sparse.sparse_forward,
        "numbers numbers table examples integers int int int integers",
    ),
    layout.SPARSE_PASS: (
        sparse.sparse_pass,
        "network work examples integers int number int int int int int",
    ),
    layout.FORWARD: (predict.forward_rows, "numbers numbers table int int int integers"),
    layout.PREDICT: (
        predict.predict_rows,
        "numbers inputs int int float table numbers numbers integers int int int int integers",
    ),
}
TRAINING = (
    layout.GATHER, layout.ACTIVATE, layout.OUTPUT, layout.EXAMPLES, layout.BACKWARD, layout.WEIGHT_PASS, layout.STEPS,
)  # fmt: skip
BY_RULE = (layout.DESCEND, layout.RULE_PASS, layout.CLIPPED_PASS, layout.LIMITS_PASS)
SPARSE = (layout.SPARSE_FORWARD, layout.SPARSE_PASS)
DISTURBED = (layout.DISTORT, layout.DROP)
PREDICTION = (layout.GATHER, layout.ACTIVATE, layout.FORWARD, layout.PREDICT)


def pieces_for(
    rule: layout.UpdateRule, distortion: layout.StochasticRegularization, kinds: tuple[int, int]
) -> tuple[int, ...]:
    """What a training needs beside plain descent: the first `fit` of a process compiles no more than it calls."""
    disturbed = distortion.dropout or distortion.input_noise or distortion.label_smoothing
    by_rule = not rule.plain or rule.max_norm
    pieces = (BY_RULE if by_rule else ()) + (DISTURBED if disturbed else ())
    pieces += (layout.PENALTY_PASS,) if rule.penalty_per_batch else ()
    return pieces + (SPARSE if gather.CSR in kinds else ())


ACTIVATION_OF_BLOCK = "numbers numbers"
LOSS_OF_BLOCK = "numbers numbers numbers numbers numbers int int int"


def signature(arguments: str, dtype: str) -> tuple[Any, ...]:
    """Numba's types of these arguments."""
    samples = _samples(dtype)
    return tuple(typeof(samples[name]) for name in arguments.split())


@lru_cache(maxsize=2)
def declare(dtype: str) -> None:
    """Say what every piece is called with, for the kernels that call it by its address."""
    own = [(user_activation, ACTIVATION_OF_BLOCK), (user_loss, LOSS_OF_BLOCK)]
    for dispatcher, arguments in [*PIECES.values(), *own]:
        SIGNATURES.setdefault(dispatcher, set()).add(signature(arguments, dtype))


@defer_sigint()
@global_compiler_lock  # of LLVM's own calls too, so that a fork finds no lock of theirs taken; see jit.py
def machine_code(dispatcher: Any, arguments: str, dtype: str) -> int:
    """Where the machine code of a kernel starts, compiled or fetched from disk where it is not there yet."""
    types_given = signature(arguments, dtype)
    dispatcher.compile(types_given)
    compiled = dispatcher.overloads[types_given]
    if compiled.signature.return_type != types.none:
        raise TypeError(f"{dispatcher.py_func.__name__} must return nothing")
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


@lru_cache(maxsize=64)
def addresses(dtype: str, pieces: tuple[int, ...], activations: tuple[int, ...] = (), loss: int = 0) -> np.ndarray:
    """The table of addresses of these kernels, and of the user's own by their codes; 0 for the others."""
    user_slots = {code - USER_FUNCTION_BASE: ACTIVATION_OF_BLOCK for code in activations if code >= USER_FUNCTION_BASE}
    if loss >= USER_FUNCTION_BASE:
        user_slots[loss - USER_FUNCTION_BASE] = LOSS_OF_BLOCK
    table = np.zeros(max([layout.N_PIECES, *[place + 1 for place in user_slots]]), np.int64)
    if COMPILED:
        declare(dtype)
        for piece in pieces:
            table[piece] = machine_code(*PIECES[piece], dtype)
    for place, arguments in user_slots.items():
        number = place - layout.N_PIECES
        table[place] = machine_code(USER_FUNCTIONS[number], arguments, dtype) if COMPILED else -1 - number
    return table


def required_for_prediction(sparse=False):
    return (*PREDICTION, layout.SPARSE_FORWARD) if sparse else PREDICTION


def required_for_training(rule, stochastic, kinds, gradient):
    return (BY_RULE if gradient else ()) + TRAINING + pieces_for(rule, stochastic, kinds)


def build_kernel_table(dtype, kernels, activations=(), loss=0):
    return addresses(dtype, kernels, activations, loss)
