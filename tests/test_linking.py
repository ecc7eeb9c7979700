"""Kernels that call one another through the kernel table: every call finds its function, and what is called is there.

Run as a program it trains in every way with compiled code that checks each call (FASTNN_DEBUG_KERNELS), then without
one kernel after the other.
"""

import dataclasses
import functools
import itertools
import os
import random
import signal
import subprocess
import sys
from typing import NamedTuple, get_type_hints

import numpy as np
import pytest
from helpers import in_parallel, steps_of_thread
from numba import njit, typeof
from numba.core.errors import TypingError
from scipy import sparse

import fastnn
from fastnn import inputs
from fastnn.augmentation import Images, pack_perturbations
from fastnn.kernels import gather, input_gradient, layout, predict, registry, threads, train_loop
from fastnn.kernels import kernel_table as kernel_table_module
from fastnn.kernels.activations import activate
from fastnn.kernels.argument_types import Floats, Int64s, KernelTable, Scalar, numba_type
from fastnn.kernels.compilation import machine_code
from fastnn.kernels.forward import forward_layer
from fastnn.kernels.jit import COMPILED, OPTIONS
from fastnn.kernels.kernel_table import (
    BFLOAT16,
    build_kernel_table,
    every_kernel,
    required_for_input_gradients,
    required_for_prediction,
    required_for_training,
)
from fastnn.kernels.losses import SQUARED_ERROR
from fastnn.kernels.optimizer_steps import ADAGRAD, ADAM, PENALTY_CHUNK, RMSPROP, SGD
from fastnn.kernels.registry import LINKED_KERNELS, Slot, call, call_user_function, linked_kernel
from fastnn.kernels.user_functions import USER_FUNCTION_BASE, add_activation, add_loss, user_activation
from fastnn.parameters import make_workspace
from fastnn.training.engine import Engine
from fastnn.training.update_rule import no_stochastic_regularization, plain_sgd_rule

compiled_only = pytest.mark.skipif(not COMPILED, reason="there are no addresses without compilation")
interpreted_only = pytest.mark.skipif(COMPILED, reason="machine code records nothing: its own checks are tested")
BLOCK = 2  # rows
N_IN, N_HIDDEN, N_OUT = 3, 2, 1
IMAGES = Images(height=1, width=N_IN, shift=1, elastic_alpha=2)

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
    input_scales: bool
    embedded: bool  # and with learned activations
    by: str  # steps; with a layer split by columns, or with products of bfloat16; or, as a rank, a gradient and then
    # the step


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
    *(chosen for n in range(4) for chosen in itertools.combinations(("dropout", "input_noise", "label_smoothing"), n)),
    ("augmentation",),
    ("augmentation", "dropout"),
]


def every_way():
    ways = itertools.product(
        OPTIMIZERS, PENALTIES, (0.0, 0.5), (0.0, 0.5), PERTURBATIONS, (False, True), (1, 2),
        ("none", "dense", "sparse"), (False, True), (False, True), ("steps", "columns", "gradient", "bfloat16"),
    )  # fmt: skip
    return [way for way in map(Way._make, ways) if is_offered(way)]


def is_offered(way):
    """A batch's penalty and clipping both keep sums in `norms`; sparse rows have no scales; a rank evaluates later."""
    dense = way.input_scales or way.embedded
    if (way.penalty == "l2 of the batch" and way.clip_norm) or (dense and "sparse" in kinds_of(way)):
        return False
    if way.embedded and way.by == "bfloat16":
        return False
    if way.sparse and "augmentation" in way.perturbations:
        return False
    if way.by == "columns":
        return not way.sparse and not dense and way.validation != "sparse"
    return way.by in ("steps", "bfloat16") or way.validation == "none"


def kinds_of(way):
    """The examples to train and to evaluate on."""
    return ("sparse" if way.sparse else "dense", way.validation)


@functools.cache
def engine(dropout, input_scales=False, embedded=False):
    sizes = [N_IN, N_HIDDEN, N_OUT]
    further = {"learned_activation": True, "embedding": fastnn.PeriodicEmbedding((1,), 2, 1)} if embedded else {}
    engine = fastnn.Network(sizes, dropout=dropout, learned_input_scale=input_scales, seed=0, **further).engine
    if embedded:  # codes are embedded beside dropout of inputs here, which a network refuses: one engine has all
        engine = Engine(dataclasses.replace(engine.spec, category_embedding=fastnn.CategoryEmbedding((3,), (0,))))
        engine.set_parameters(np.random.default_rng(0).normal(size=engine.spec.n_parameters))
    return engine


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
    values = {field: 0 if kind is int else 0.0 for field, kind in get_type_hints(layout.UpdateRule).items()}
    values |= (
        OPTIMIZERS[way.optimizer] | PENALTIES[way.penalty] | {"clip_norm": way.clip_norm, "max_norm": way.max_norm}
    )
    values["plain"] = int(way.optimizer == "sgd" and way.penalty == "none" and not way.clip_norm)
    state = {"moment1": values["beta_1"] > 0, "moment2": values["method"] != SGD, "ema": values["ema_decay"] > 0}
    values |= {name: np.zeros(n_parameters, "float32") if kept else nothing for name, kept in state.items()}
    norms = np.zeros(n_parameters // PENALTY_CHUNK + N_IN + N_HIDDEN + 20)
    return layout.UpdateRule(
        **values
        | {"norms": norms, **{name: np.zeros(0) for name in ("rate_factors", "decay_factors", "decay_schedule")}}
    )


def train(way, without=None):
    """Train for one epoch of two batches; return the parameters and the kernels that were requested."""
    stochastic_regularization = pack_perturbations(
        IMAGES if "augmentation" in way.perturbations else None, "float32", n_rows=BLOCK,
        dropout="dropout" in way.perturbations, input_noise=0.1 * ("input_noise" in way.perturbations),
        label_smoothing=0.1 * ("label_smoothing" in way.perturbations), seed=7,
    )  # fmt: skip
    net = engine(
        (0.0 if way.sparse else 0.5, 0.5) if "dropout" in way.perturbations else 0.0, way.input_scales, way.embedded
    )
    memory = net.memory(BLOCK, way.sparse, rounded=way.by == "bfloat16")
    rule = rule_of(way, net.buffer.size)
    batch_size = BLOCK * way.blocks
    examples = examples_of(kinds_of(way)[0], 2 * batch_size)
    validation = examples_of(way.validation, 0 if way.validation == "none" else 3)
    kinds = [examples.kind] + [validation.kind] * (validation.n_rows > 0)
    by_gradient = way.blocks > 1 or way.by == "gradient" or way.input_scales or way.embedded
    table = memory.table.copy()
    table[0, layout.BY_COLUMNS] = way.by == "columns"
    requested = required_for_training(rule, stochastic_regularization, kinds, by_gradient, table)
    gradient = np.zeros(net.buffer.size if by_gradient or not rule.plain else 0, "float32")
    network = layout.NetworkView(
        table,
        SQUARED_ERROR,
        read_only([0] * N_OUT, "float32"),
        net.buffer.copy(),
        gradient,
        build_kernel_table("float32", requested - {without}),
    )
    work = make_workspace(memory, "float32")
    records = layout.Records(
        np.arange(examples.n_rows), np.array([-1, 0, 0]), np.zeros(3), np.zeros((1, 4)), np.full(2, 0.1, "float32")
    )
    regularized = (rule, stochastic_regularization)
    step_range = layout.StepRange(
        first=0,
        last=2,
        batch_size=batch_size,
        start_epoch=0,
        steps_per_epoch=2,
        shuffle=1,
        seed=0,
        update=1,
        stop_on_nan=1,
    )
    given = (network, work, examples, validation, step_range, *regularized, records)
    if way.by in ("steps", "columns", "bfloat16"):
        train_loop.train_member(*given, threads.new_barrier(1), 1)
    else:
        for step in range(2):
            barrier = threads.new_barrier(1)
            batch = (step * batch_size, batch_size)
            train_loop.batch_gradient(network, work, examples, records, *batch, *regularized, 0, barrier)
            train_loop.apply_gradient(network, work, rule, np.float32(0.1), step + 1)
    return network.parameters, requested


def predict_in(way, without=None):
    """Predict three rows, dense or sparse, as few, or as a team's member; return the kernels that were requested."""
    embedded = way == "embedded"
    net, requested = engine(0.0, embedded=embedded), required_for_prediction(way == "sparse", embedded, embedded)
    memory = net.memory(BLOCK, way == "sparse")
    kernel_table, buffer = (
        build_kernel_table("float32", requested - {without}),
        make_workspace(memory, "float32").buffer,
    )
    examples, no_order, out = examples_of(way, 3), np.zeros(0, np.int64), np.zeros(3 * N_OUT, "float32")
    if way == "sparse":
        predict.predict_sparse(out, examples, memory.table, net.buffer, buffer, no_order, BLOCK, kernel_table)
    elif way == "team":
        source = (examples.inputs, examples.kind, examples.stride, 1.0, 3, memory.table, net.buffer)
        predict.predict_member(out, *source, buffer, no_order, BLOCK, kernel_table, threads.new_barrier(1), 1)
    elif way == "few":
        X, out = np.ones((BLOCK, N_IN), "float32"), out[:BLOCK].reshape(BLOCK, N_OUT)
        assert predict.predict_few(out, X, memory.table, net.buffer, buffer, 1.0, kernel_table) == -1
    else:
        source = (examples.inputs, examples.kind, examples.stride, 1.0, memory.table, net.buffer)
        predict.predict_rows(out, *source, buffer, no_order, 0, 3, 0, BLOCK, kernel_table)
    return requested


def differentiate(loss, without=None):
    """Differentiate three rows, of their loss or of an output; return the kernels that were requested."""
    net, requested = engine(0.0), required_for_input_gradients(loss)
    memory, examples = net.memory(BLOCK), examples_of("dense", 3)
    outputs = np.zeros(0 if loss else 3, np.int64)
    kernel_table = build_kernel_table("float32", requested - {without})
    parameters = read_only([0] * N_OUT, "float32"), net.buffer
    view = layout.NetworkView(memory.table, SQUARED_ERROR, *parameters, np.zeros(0, "float32"), kernel_table)
    work, out, below = make_workspace(memory, "float32"), np.zeros(3 * N_IN, "float32"), memory.table[:1].copy()
    below[0, layout.DELTAS] = below[0, layout.INPUTS]
    below[0, layout.COLUMNS] = layout.columns_of(N_IN, 4)
    barrier = threads.new_barrier(1)
    input_gradient.input_gradients_member(out, view, work, examples, outputs, below, BLOCK, barrier, 1)
    return requested


def share_inputs(without=None):
    """Train one step on two threads that share the inputs."""
    net = fastnn.Network([300, N_HIDDEN, N_OUT], seed=0).engine
    memory, names = net.memory(BLOCK), ("X", "y", "sample_weight")
    examples, _ = inputs.as_examples(np.ones((BLOCK, 300)), np.ones((BLOCK, N_OUT)), None, net.spec, names)
    given = plain_sgd_rule(net.buffer), no_stochastic_regularization(net.buffer)
    requested = required_for_training(*given, [examples.kind], gradient=False, table=memory.table)
    network = net.network_view(memory, np.zeros(0, "float32"), requested - {without})
    work, steps = make_workspace(memory, "float32", 2), layout.StepRange(0, 1, BLOCK, 0, 1, 0, 0, 1, 0)
    records = layout.Records(
        np.arange(BLOCK), np.zeros(3, np.int64), np.zeros(3), np.zeros((1, 4)), np.full(1, 0.1, "float32")
    )
    bundles = (network, work, examples, inputs.empty_examples(net.spec), steps, *given, records)
    barrier = threads.new_barrier(2)
    team = range(2) if without is None else range(1)  # one is enough to stop, and says so once
    in_parallel(*[lambda rank=rank: steps_of_thread(*bundles, barrier, rank, 2) for rank in team])


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


FULL = Way("adam", "l2", 0.5, 0.5, PERTURBATIONS[-1], False, 2, "dense", True, True, "steps")
NEVER_CALLED = {
    "train_steps": "a rank, which adds up gradients",
    "sparse_gradient_pass": "sparse rows that are only evaluated",
    "gradient_column": "sparse rows below layers that multiply in bfloat16",
    "product_column": "likewise, and nothing dense to evaluate",
    "forward_examples": "a layer split by columns, and nothing to evaluate",
}


@interpreted_only
def test_what_a_training_requests_is_what_it_calls(called):
    for way in random.Random(0).sample(every_way(), 1000):  # compiled code is tried with all of them
        called.clear()
        parameters, requested = train(way)
        assert np.isfinite(parameters).all(), way
        assert called <= requested, way
        assert {kernel.__name__ for kernel in requested - called} <= NEVER_CALLED.keys(), way


@interpreted_only
@pytest.mark.parametrize("way", ["dense", "embedded", "sparse", "few", "team"])
def test_what_a_prediction_requests_is_what_it_calls(way, called):
    requested = predict_in(way)
    others = {"few": {"predict_rows", "gather_rows"}, "dense": {"predict_rows"}, "embedded": {"predict_rows"}}
    assert called <= requested
    assert {kernel.__name__ for kernel in requested - called} == others.get(way, set())


@interpreted_only
@pytest.mark.parametrize("loss", [False, True])
def test_what_an_input_gradient_requests_is_what_it_calls(loss, called):
    assert differentiate(loss) == called


def use(name, without):
    """Train, predict or differentiate in a way that calls this kernel."""
    if name in ("predict_rows", "forward_rows"):
        predict_in("team" if name == "predict_rows" else "few", without)
    elif name == "input_gradient_rows":
        differentiate(False, without)
    elif name == "multiply_share":
        share_inputs(without)
    elif name == "penalty_pass":
        train(FULL._replace(penalty="l2 of the batch", clip_norm=0.0), without)
    elif name in ("forward_stage", "row_norms_pass"):
        train(FULL._replace(by="columns", input_scales=False, embedded=False), without)
    elif "bfloat16" in name or name == "pack_weights_pass":
        train(FULL._replace(by="bfloat16", embedded=False), without)
    else:
        sparse_rows = name.startswith("sparse")
        train(FULL._replace(sparse=sparse_rows, input_scales=not sparse_rows, embedded=not sparse_rows), without)


KERNELS = {kernel.__name__: kernel for kernel in sorted(every_kernel() | BFLOAT16, key=lambda each: each.__name__)}


@interpreted_only
@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_that_was_not_requested_is_an_error(name):
    use(name, None)
    with pytest.raises(RuntimeError, match=f"kernel {name} was called, but its slot of the kernel table is empty"):
        use(name, KERNELS[name])


def program():
    environment = os.environ | {"FASTNN_DEBUG_KERNELS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, __file__],
        capture_output=True,
        text=True,
        timeout=900,
        env=environment,
        check=False,
    )


@compiled_only
@pytest.mark.slow
def test_compiled_calls_find_what_was_requested_and_stop_at_what_was_not():
    found = program()
    lines = found.stdout.splitlines()
    assert lines[0] == f"{len(every_way())} ways", found.stderr
    if hasattr(os, "fork"):
        assert lines[1:] == [
            line for name in KERNELS for line in (f"fastnn: {registry.missing(name)}", f"{name} {-signal.SIGABRT}")
        ]


def stop_at_each_kernel():
    """Leave out one kernel after the other, each in a child, and print how the child ended."""
    for name in KERNELS:
        child = os.fork()
        if child == 0:
            use(name, KERNELS[name])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(name, os.waitstatus_to_exitcode(status), flush=True)


# ---- A call and its function


def test_every_slot_is_one_kernels():
    assert sorted(linked.slot for linked in LINKED_KERNELS.values()) == list(Slot)
    assert [Slot[kernel.__name__.upper()] for kernel in LINKED_KERNELS] == [
        linked.slot for linked in LINKED_KERNELS.values()
    ]


@pytest.mark.parametrize("swapped", [False, True])
def test_kernels_of_one_signature_whose_slots_are_swapped_are_still_found(swapped, monkeypatch):
    registered = {}
    for module in (registry, kernel_table_module):
        monkeypatch.setattr(module, "LINKED_KERNELS", registered)
    slots = (Slot.PENALTY_PASS, Slot.MAX_NORM_PASS)[:: -1 if swapped else 1]

    @linked_kernel(slots[0], (Floats,))
    def set_to_one(out):
        out[:] = 1

    @linked_kernel(slots[1], (Floats,))
    def set_to_two(out):
        out[:] = 2

    @njit(**OPTIONS)
    def set_both(out, kernel_table):
        call(kernel_table, set_to_one, out[:1])
        call(kernel_table, set_to_two, out[1:])

    out = np.zeros(2, "float32")
    set_both(out, build_kernel_table("float32", frozenset({set_to_one, set_to_two})))
    assert out.tolist() == [1, 2]
    with pytest.raises(TypeError, match=r"another_one: <Slot.PENALTY_PASS: \d+> belongs to set_to_"):

        @linked_kernel(Slot.PENALTY_PASS, (Floats,))
        def another_one(out):
            pass


@pytest.mark.parametrize("declare", [lambda given: linked_kernel(Slot.BACKWARD, given), registry.user_prototype])
def test_a_signature_is_as_long_as_the_arguments(declare):
    with pytest.raises(TypeError, match="two takes 2 arguments, its signature has 1"):

        @declare((Floats,))
        def two(out, a):
            pass


@compiled_only
def test_what_returns_something_has_no_place_in_the_table():
    constant = njit(**OPTIONS)(lambda a, derivative: 1.0)
    with pytest.raises(TypeError, match="must return nothing"):
        machine_code(constant, registry.argument_types((Floats, Floats), "float32"))


@compiled_only
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda t, a: call(t, activate, a, a, 1.5), "activate is called with"),
        (lambda t, a: call(t, activate, a, a), "activate is called with"),
        (lambda t, a: call(t, activate, a, t, 1), "activate is called with"),
        (
            lambda t, a: call(a, activate, a, a, 1),
            "activate is called through array.float32.*, which is no kernel table",
        ),
        (lambda t, a: call(t, forward_layer, a, a, 1), "forward_layer is no linked kernel"),
        (lambda t, a: call(t, user_activation, a, a), "user_activation is no linked kernel"),
        (lambda t, a: call_user_function(t, 20, activate, a, a, 1), "activate is no prototype of the user's functions"),
        (lambda t, a: call_user_function(t, 20, user_activation, a), "user_activation is called with"),
    ],
)
def test_a_call_that_does_not_fit_is_an_error_not_a_jump(wrong, error):
    with pytest.raises(TypeError, match=error):
        njit(**OPTIONS)(wrong).compile(registry.argument_types((KernelTable, Floats), "float32"))


# ---- The user's functions


@pytest.fixture
def codes(monkeypatch):
    """Codes of an activation and a loss of a user's, in tables of this test."""
    monkeypatch.setattr("fastnn.kernels.user_functions.ACTIVATION_CODES", activations := {})
    losses = {}
    add_activation("double", lambda z: 2 * z, lambda z: 2.0)
    add_loss(losses, "cubic", lambda a, y: (a - y) ** 3, lambda a, y: 3 * (a - y) ** 2)
    yield activations["double"], losses["cubic"]
    del registry.USER_FUNCTIONS[-2:]
    build_kernel_table.cache_clear()


@njit(**OPTIONS)
def call_activation(out, derivative, kernel_table, slot):
    call_user_function(kernel_table, slot, user_activation, out, derivative)


def test_a_users_function_is_found_by_its_code(codes):
    activation, loss = codes
    assert (activation, loss) == (USER_FUNCTION_BASE + len(Slot) + len(registry.USER_FUNCTIONS) - 2, activation + 1)
    kernel_table = build_kernel_table("float32", frozenset(), (0, activation), loss)
    assert np.flatnonzero(kernel_table).tolist() == [activation - USER_FUNCTION_BASE, loss - USER_FUNCTION_BASE]
    out, derivative = np.array([1, 3], "float32"), np.zeros(2, "float32")
    call_activation(out, derivative, kernel_table, activation - USER_FUNCTION_BASE)
    assert (out.tolist(), derivative.tolist()) == ([2, 6], [2, 2])


def test_the_code_of_a_loss_is_no_activations(codes):
    activation, loss = codes
    with pytest.raises(TypeError, match=f"code {loss} is not that of a user_activation"):
        build_kernel_table("float32", frozenset(), (loss,))
    with pytest.raises(TypeError, match=f"code {activation} is not that of a user_loss"):
        build_kernel_table("float32", frozenset(), (), activation)


@interpreted_only
def test_a_users_function_that_was_not_requested_is_an_error(codes):
    a = np.zeros(1, "float32")
    for slot in (codes[0] - USER_FUNCTION_BASE, 0, 10_000):
        with pytest.raises(RuntimeError, match="kernel user_activation was called, but its slot"):
            call_activation(a, a, build_kernel_table("float32", every_kernel()), slot)


# ---- Types of arguments


class Inner(NamedTuple):
    number: float
    places: Int64s


class Outer(NamedTuple):
    inner: Inner
    count: int
    values: Floats
    kernel_table: KernelTable


@pytest.mark.parametrize("dtype", registry.DTYPES)
def test_the_type_of_a_bundle_comes_from_its_fields(dtype):
    table = np.zeros(2, np.int64)
    table.flags.writeable = False
    value = Outer(Inner(1.0, np.zeros(3, np.int64)), 3, np.zeros(2, dtype), table)
    assert numba_type(Outer, dtype) == typeof(value)
    assert numba_type(Scalar, dtype) == typeof(np.dtype(dtype).type(1))


def test_a_bundle_that_is_given_by_value_is_passed_on_by_reference(monkeypatch):
    registered = {}
    for module in (registry, kernel_table_module):
        monkeypatch.setattr(module, "LINKED_KERNELS", registered)

    @linked_kernel(Slot.PENALTY_PASS, (Outer, Floats))
    def write(bundle, out):
        out[0] = bundle.inner.number
        out[1] = bundle.inner.places[2]
        out[2] = bundle.count
        out[3] = bundle.values[1]

    @linked_kernel(Slot.MAX_NORM_PASS, (Outer, Floats))
    def pass_on(bundle, out):
        call(bundle.kernel_table, write, bundle, out)

    @njit(**OPTIONS)
    def begin(bundle, out):
        call(bundle.kernel_table, pass_on, bundle, out)

    table = build_kernel_table("float32", frozenset({write, pass_on}))
    out = np.zeros(4, "float32")
    begin(Outer(Inner(1.5, np.arange(3)), 3, np.array([0, 4], "float32"), table), out)
    assert out.tolist() == [1.5, 2, 3, 4]


@compiled_only
def test_a_field_that_a_bundle_lacks_is_an_error():
    with pytest.raises(TypingError, match="Unknown attribute 'gradients'"):
        njit(**OPTIONS)(lambda network: network.gradients).compile(
            registry.argument_types((layout.NetworkView,), "float32")
        )


@pytest.mark.parametrize("dtype", registry.DTYPES)
@pytest.mark.parametrize("rows", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_what_python_gives_has_the_declared_types(rows, dtype, monkeypatch):
    given, launch = [], threads.run_on_team

    def record(parallel, member, wanted, *arguments):
        given.append(arguments)
        return launch(parallel, member, wanted, *arguments)

    monkeypatch.setattr(threads, "run_on_team", record)
    net = fastnn.Network([2, 2], dtype=dtype, seed=0)
    X, y = rows(np.eye(2)), np.eye(2)
    net.loss(X, y)
    net.fit(X, y, epochs=1, optimizer="adam", clip_norm=1.0, validation_data=(X, y))
    signature = LINKED_KERNELS[train_loop.train_steps].signature
    assert len(given) == 2
    for arguments in given:
        types = registry.entry_types(signature[: len(arguments)], dtype)
        assert tuple(typeof(argument) for argument in arguments) == types


def test_python_calls_declared_kernels_past_the_dispatcher():
    entry = registry.entry_point(predict.predict_few, np.dtype("float32"))
    assert (entry is predict.predict_few) == (not COMPILED)
    assert registry.entry_point(predict.predict_few, np.dtype("float32")) is entry
    with pytest.raises(TypeError, match="predict_few takes 7 arguments, its signature has 1"):
        registry.declare_entry(predict.predict_few, (Floats,))
    assert len(registry.ENTRIES[predict.predict_few]) == 7
    assert threads.function_of(len, ()) is len


if __name__ == "__main__":
    for way in every_way():
        train(way)
    for kind in ("dense", "sparse", "few", "team"):
        predict_in(kind)
    print(len(every_way()), "ways", flush=True)
    stop_at_each_kernel()
