"""The separately compiled kernels: their signatures, and the table of addresses through which they call each other.

Each is compiled once for a type of number and kept on disk; nothing is compiled before it is first needed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import typeof
from numba.core import types

from . import activations, backward, epoch, gather, layout, losses, predict, rules
from .intrinsics import OWN_BLOCKS
from .jit import COMPILED
from .own import OWN

N_PIECES = layout.PREDICT + 1


def _samples(dtype: str) -> dict[str, Any]:
    """One value of each type that the kernels are given."""
    numbers, integers = np.zeros(1, dtype), np.zeros(1, np.int64)
    frozen, labels, inputs = np.zeros(1, dtype), np.zeros(1, np.int64), np.zeros(1, np.uint8)
    for array in (frozen, labels, inputs):
        array.flags.writeable = False
    table = np.zeros((1, layout.N_FIELDS), np.int64)
    floats = np.zeros(1)
    rule = layout.Rule(0, 1, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, floats, numbers, numbers, numbers)
    distortion = layout.Distortion(0, 0.0, 0.0, 0)
    return {
        "rule": rule,
        "distortion": distortion,
        "numbers": numbers,
        "integers": integers,
        "inputs": inputs,
        "table": table,
        "network": layout.Network(table, 0, 0.0, numbers, numbers, integers),
        "work": layout.Workspace(numbers, numbers, numbers, 1, numbers, numbers, numbers, 1),
        "examples": layout.Examples(inputs, 0, 0, 1.0, 1, 0, frozen, labels, frozen),
        "plan": layout.Plan(0, 0, 1, 0, 0, 0, 0, 0),
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
    layout.EXAMPLES: (epoch.examples_forward, "network work examples integers int float int int distortion int"),
    layout.WEIGHT_PASS: (epoch.weights_pass, "network work number int int int int int"),
    layout.DESCEND: (rules.descend, "numbers numbers numbers numbers numbers rule number float int int"),
    layout.RULE_PASS: (epoch.rule_pass, "network rule number int int int"),
    layout.STEPS: (epoch.work_steps, "network work examples examples plan rule distortion records integers int int"),
    layout.PREDICT: (
        predict.predict_rows,
        "numbers inputs int int float table numbers numbers integers int int int int integers",
    ),
}
TRAINING = tuple(piece for piece in PIECES if piece != layout.PREDICT)
PREDICTION = (layout.GATHER, layout.ACTIVATE, layout.PREDICT)


ACTIVATION_OF_BLOCK = "numbers numbers"
LOSS_OF_BLOCK = "numbers numbers numbers numbers numbers int int int"


def machine_code(dispatcher: Any, arguments: str, dtype: str) -> int:
    """Where the machine code of a kernel starts, compiled or fetched from disk where it is not there yet."""
    samples = _samples(dtype)
    signature = tuple(typeof(samples[name]) for name in arguments.split())
    dispatcher.compile(signature)
    compiled = dispatcher.overloads[signature]
    if len(dispatcher.overloads) > len({"float32", "float64"}) or compiled.signature.return_type != types.none:
        raise RuntimeError(f"{dispatcher.py_func.__name__} was compiled for types that are not its own")
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


@lru_cache(maxsize=64)
def addresses(dtype: str, pieces: tuple[int, ...], activations: tuple[int, ...] = (), loss: int = 0) -> np.ndarray:
    """The table of addresses of these kernels, and of the user's own by their codes; 0 for the others."""
    own_places = {code - OWN: ACTIVATION_OF_BLOCK for code in activations if code >= OWN}
    if loss >= OWN:
        own_places[loss - OWN] = LOSS_OF_BLOCK
    table = np.zeros(max([N_PIECES, *[place + 1 for place in own_places]]), np.int64)
    if COMPILED:
        for piece in pieces:
            table[piece] = machine_code(*PIECES[piece], dtype)
    for place, arguments in own_places.items():
        number = place - N_PIECES
        table[place] = machine_code(OWN_BLOCKS[number], arguments, dtype) if COMPILED else -1 - number
    return table
