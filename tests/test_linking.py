"""Kernels that call one another through the kernel table: every call finds its function, and what is called is there.

Run as a program it trains in every way with compiled code that checks each call (FASTNN_DEBUG_KERNELS); a kernel's
name as the argument is left out of its table.
"""

import itertools
import os
import signal
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from numba import njit, typeof

import fastnn
from fastnn.kernels import gather, layout, predict, registry, threads, train_loop
from fastnn.kernels.argument_types import Floats, Int64s, KernelTable, numba_type
from fastnn.kernels.jit import COMPILED, OPTIONS, kernel
from fastnn.kernels.kernel_table import (
    build_kernel_table,
    every_kernel,
    machine_code,
    required_for_prediction,
    required_for_training,
)
from fastnn.kernels.losses import CODES as LOSS_CODES
from fastnn.kernels.optimizer_steps import ADAGRAD, ADAM, PENALTY_CHUNK, RMSPROP, SGD
from fastnn.kernels.registry import LINKED_KERNELS, Slot, call, call_user_function, linked_kernel
from fastnn.kernels.user_functions import USER_FUNCTION_BASE, add_activation, add_loss, user_activation, user_loss

compiled_only = pytest.mark.skipif(not COMPILED, reason="there are no addresses without compilation")
BLOCK = 2  # rows
N_IN, N_HIDDEN, N_OUT = 3, 2, 1
DROPOUT = 1 << 23  # a half

# ---- Every way to train


class Way(NamedTuple):
    """One combination of options."""

    optimizer: str
    penalty: str
    clip_norm: float
    max_norm: float
    perturbations: tuple[str, ...]
    sparse: bool
    blocks: int
    validation: str
    by: str  # "steps", or as a rank does: its gradient, then the step


OPTIMIZERS = {
    "sgd": {"method": SGD},
    "momentum": {"method": SGD, "beta_1": 0.9},
    "nesterov": {"method": SGD, "beta_1": 0.9, "nesterov": 1},
    "adam": {"method": ADAM, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-6},
    "adamw": {"method": ADAM, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-6, "weight_decay": 0.1},
    "rmsprop": {"method": RMSPROP, "beta_2": 0.99, "epsilon": 1e-6},
    "adagrad": {"method": ADAGRAD, "epsilon": 1e-6},
    "averaged": {"method": SGD, "ema_decay": 0.5},
}
PENALTIES = {"none": {}, "l1": {"l1": 0.1}, "l2": {"l2": 0.1}, "l2 of the batch": {"l2": 0.1, "penalty_per_batch": 1.0}}
PERTURBATIONS = [
    chosen for n in range(4) for chosen in itertools.combinations(("dropout", "input_noise", "label_smoothing"), n)
]


def every_way():
    ways = itertools.product(
        OPTIMIZERS, PENALTIES, (0.0, 0.5), (0.0, 0.5), PERTURBATIONS, (False, True), (1, 2), ("none", "dense", "sparse"),
        ("steps", "gradient"),
    )  # fmt: skip
    # fastnn offers the penalty of a batch without clipping: both keep their sums in `norms`
    return [way for way in map(Way._make, ways) if not (way.penalty == "l2 of the batch" and way.clip_norm)]


def layer_table(sparse, dropout):
    """A layer table for N_IN, N_HIDDEN and N_OUT neurons, and the lengths of the parameters and the buffer."""
    columns, line = layout.columns_of(8, 4), 64
    table = np.zeros((2, layout.N_FIELDS), np.int64)
    parameters, buffer, below = 0, 0 if sparse else BLOCK * columns, 0
    for row, (n_in, n_out) in zip(table, ((N_IN, N_HIDDEN), (N_HIDDEN, N_OUT)), strict=True):
        row[layout.N_IN], row[layout.N_OUT], row[layout.COLUMNS], row[layout.LD] = n_in, n_out, columns, columns
        row[layout.WEIGHTS], row[layout.BIASES] = parameters, parameters + line * columns
        row[layout.ACTIVATION] = fastnn.kernels.activations.SIGMOID
        row[layout.LD_IN], row[layout.INPUTS] = columns, below
        row[layout.OUTPUTS], row[layout.DELTAS] = buffer, buffer + BLOCK * columns
        parameters, below, buffer = parameters + (line + 1) * columns, buffer, buffer + 2 * BLOCK * columns
    table[1, layout.COST] = N_IN * columns
    if dropout:
        table[0, layout.DROPPED_IN], table[0, layout.DROPPED] = (0 if sparse else DROPOUT), DROPOUT
    return table, parameters, buffer


def read_only(values, dtype):
    array = np.array(values, dtype).reshape(-1)
    array.flags.writeable = False
    return array


def examples_of(kind, n_rows):
    nothing, numbers = read_only([], "float32"), np.arange(n_rows * N_IN, dtype="float32") / 10
    sparse = kind == "sparse"
    return layout.Examples(
        inputs=read_only([] if sparse else numbers.view(np.uint8), "uint8"),
        kind=gather.CSR if sparse else gather.FLOAT32,
        stride=N_IN, scale=1.0, n_rows=n_rows, prefetch_distance=1,
        targets=read_only(np.ones(n_rows), "float32"), labels=read_only([], "int64"), weights=nothing,
        values=read_only(numbers, "float32") if sparse else nothing,
        columns=read_only(np.arange(n_rows * N_IN) % N_IN if sparse else [], "int32"),
        starts=read_only(np.arange(n_rows + 1) * N_IN if sparse else [], "int64"),
    )  # fmt: skip


def rule_of(way, n_parameters):
    nothing = np.zeros(0, "float32")
    values = {field: 0 if kind == "int" else 0.0 for field, kind in layout.UpdateRule.__annotations__.items()}
    values |= OPTIMIZERS[way.optimizer] | PENALTIES[way.penalty] | {"clip_norm": way.clip_norm, "max_norm": way.max_norm}
    values["plain"] = int(way.optimizer == "sgd" and way.penalty == "none" and not way.clip_norm)
    state = {"moment1": values["beta_1"] > 0, "moment2": values["method"] != SGD, "ema": values["ema_decay"] > 0}
    values |= {name: np.zeros(n_parameters, "float32") if kept else nothing for name, kept in state.items()}
    return layout.UpdateRule(**values | {"norms": np.zeros(n_parameters // PENALTY_CHUNK + N_IN + N_HIDDEN + 9)})


def train(way, without=None):
    """Train for one epoch of two batches; return the parameters and the kernels that were requested."""
    stochastic_regularization = layout.StochasticRegularization(
        int("dropout" in way.perturbations), 0.1 * ("input_noise" in way.perturbations),
        0.1 * ("label_smoothing" in way.perturbations), 7,
    )  # fmt: skip
    table, n_parameters, n_buffer = layer_table(way.sparse, stochastic_regularization.dropout)
    rule = rule_of(way, n_parameters)
    batch_size = BLOCK * way.blocks
    examples = examples_of("sparse" if way.sparse else "dense", 2 * batch_size)
    validation = examples_of(way.validation, 0 if way.validation == "none" else 3)
    kinds = [examples.kind] + [validation.kind] * (validation.n_rows > 0)
    by_gradient = way.blocks > 1 or way.by == "gradient"
    requested = required_for_training(rule, stochastic_regularization, kinds, gradient=by_gradient)
    kernel_table = build_kernel_table("float32", requested - {without}, (fastnn.kernels.activations.SIGMOID,) * 2)
    zeros = np.zeros(n_parameters if by_gradient or not rule.plain else 0, "float32")
    network = layout.NetworkView(
        table, LOSS_CODES["squared_error"], 0.0, np.full(n_parameters, 0.1, "float32"), zeros, kernel_table
    )
    size = layout.scratch_size(BLOCK, 4)
    row = np.zeros(BLOCK, "float32")
    work = layout.Workspace(
        np.zeros(n_buffer, "float32"), np.zeros(BLOCK * int(table[1, layout.LD]), "float32"), np.zeros(size, "float32"),
        size, row, row.copy(), row.copy(), BLOCK,
    )  # fmt: skip
    records = layout.Records(
        np.arange(examples.n_rows), np.array([-1, 0, 0]), np.zeros(3), np.zeros((1, 4)), np.full(2, 0.1, "float32")
    )
    regularized = (rule, stochastic_regularization)
    if way.by == "steps":
        step_range = layout.StepRange(0, 2, batch_size, 0, 1, 0, 1, 1)
        given = (network, work, examples, validation, step_range, *regularized, records)
        threads.run_on_team(train_loop.train, train_loop.train_steps, 1, *given)
    else:
        for step in range(2):
            barrier = threads.new_barrier(1)
            batch = (step * batch_size, batch_size)
            train_loop.batch_gradient(network, work, examples, records, *batch, *regularized, 0, barrier)
            train_loop.apply_gradient(network, work, rule, np.float32(0.1), step + 1)
    return network.parameters, requested


def predict_in(way, without=None):
    """Predict three rows; return the kernels that were requested."""
    table, n_parameters, n_buffer = layer_table(way == "sparse", False)
    parameters, buffer = np.full(n_parameters, 0.1, "float32"), np.zeros(n_buffer, "float32")
    examples, no_order = examples_of(way, 3), np.zeros(0, np.int64)
    requested = required_for_prediction(sparse=way == "sparse")
    code = build_kernel_table("float32", requested - {without}, (fastnn.kernels.activations.SIGMOID,) * 2)
    out = np.zeros(3 * N_OUT, "float32")
    if way == "sparse":
        predict.predict_sparse(out, examples, table, parameters, buffer, no_order, BLOCK, code)
    elif way == "few":
        X = np.ones((BLOCK, N_IN), "float32")
        predict.predict_few(out[:BLOCK].reshape(BLOCK, N_OUT), X, table, parameters, buffer, 1.0, code)
    else:
        source = (examples.inputs, examples.kind, examples.stride, 1.0)
        predict.predict_rows(out, *source, table, parameters, buffer, no_order, 0, 3, 0, BLOCK, code)
    return requested


# ---- What is requested covers what is called


@pytest.fixture
def called(monkeypatch):
    """The kernels that the twins of `call` look up, as they do so."""
    seen = set()

    class Recording(dict):
        def __getitem__(self, function):
            seen.add(function)
            return super().__getitem__(function)

    monkeypatch.setattr(registry, "LINKED_KERNELS", Recording(LINKED_KERNELS))
    return seen
