"""Engine: spec and buffers in, predictions, losses, gradients and updates out."""

import threading

import numpy as np
import pytest
from helpers import BOTH, bits, classification, in_parallel, regression, replace_everywhere

import fastnn
from fastnn import inputs, reference
from fastnn.inputs import as_examples
from fastnn.kernels import kernel_table, layout, threads
from fastnn.kernels.jit import COMPILED
from fastnn.kernels.registry import LINKED_KERNELS
from fastnn.parameters import BLOCK_ROWS, buffer_to_vector, make_layout, make_workspace, views
from fastnn.spec import make_spec
from fastnn.training.dataset import NAMES
from fastnn.training.engine import MAX_BUNDLES, Engine

SIZES = [4, 6, 2]


def make_engine(dtype="float64", sizes=SIZES, activation="tanh", loss="squared_error"):
    engine = Engine(make_spec(sizes, activation, loss, dtype))
    engine.set_parameters(np.random.default_rng(3).normal(size=engine.spec.n_parameters))
    return engine


def make_examples(engine, X, y, weight=None):
    return inputs.as_examples(X, y, weight, engine.spec, NAMES)[0]


# ---- Parameters


@BOTH
def test_parameters_are_set_and_read_in_one_order(dtype):
    engine = make_engine(dtype)
    vector = np.arange(engine.spec.n_parameters, dtype=dtype)
    engine.set_parameters(vector)
    assert engine.parameters.tolist() == vector.tolist()
    assert engine.weights[0].tolist() == np.arange(24).reshape(6, 4).tolist()
    assert engine.biases[1].tolist() == vector[-2:].tolist()


@BOTH
def test_setting_parameters_clears_the_padding(dtype):
    engine = make_engine(dtype)
    assert engine.buffer.size > engine.spec.n_parameters
    engine.buffer[:] = np.nan
    engine.set_parameters(np.ones(engine.spec.n_parameters))
    assert np.count_nonzero(engine.buffer) == engine.spec.n_parameters
    assert np.isfinite(engine.buffer).all()


def test_weights_and_biases_are_views_of_the_buffer():
    engine = make_engine()
    for part in (*engine.weights, *engine.biases):
        assert np.shares_memory(part, engine.buffer)
    assert not np.shares_memory(engine.parameters, engine.buffer)


# ---- What it computes


@BOTH
@pytest.mark.parametrize("n_rows", [1, 23, BLOCK_ROWS + 5])
def test_it_computes_what_the_specification_computes(n_rows, dtype):
    engine = make_engine(dtype)
    X, y = regression(n_rows)
    weight = np.random.default_rng(1).random(n_rows) + 0.1
    expected = reference.Network(engine.weights, engine.biases, engine.spec.activation, engine.spec.loss)
    examples, gradient = make_examples(engine, X, y, weight), np.zeros_like(engine.buffer)
    close = {"rtol": 1e-11, "atol": 1e-13} if dtype == "float64" else {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(engine.predict(X), expected.predict(X), **close)
    for found, wanted in zip(engine.activations(X), expected.activations(X), strict=True):
        np.testing.assert_allclose(found, wanted, **close)
    loss = expected.loss_of(X, y, weight)
    np.testing.assert_allclose([engine.evaluate(examples)[0], engine.gradient(examples, gradient)[0]], loss, **close)
    for found, wanted in zip(
        views(gradient, make_layout(engine.spec).table), expected.gradients(X, y, weight), strict=True
    ):
        for part, right in zip(found, wanted, strict=True):
            np.testing.assert_allclose(part, right, **close)
    before = engine.parameters
    assert engine.step(examples, 0.1) == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(engine.parameters, before - 0.1 * buffer_to_vector(gradient, engine.spec), **close)


@BOTH
def test_the_padding_of_a_gradient_stays_zero(dtype):
    engine, (X, y) = make_engine(dtype), regression()
    gradient = np.zeros_like(engine.buffer)
    engine.gradient(make_examples(engine, X, y), gradient)
    assert np.count_nonzero(gradient) == engine.spec.n_parameters < gradient.size


def test_accuracy_is_the_weighted_fraction_of_correct_answers():
    X, labels = classification()
    weight = np.random.default_rng(1).random(23)
    engine = make_engine(sizes=[4, 3], activation="softmax", loss="cross_entropy")
    correct = engine.predict(X).argmax(axis=1) == labels
    wanted = (correct * weight).sum() / weight.sum()
    examples = make_examples(engine, X, labels, weight)
    assert engine.evaluate(examples)[1] == pytest.approx(wanted, rel=1e-13)
    assert engine.gradient(examples, np.zeros_like(engine.buffer))[1] == pytest.approx(wanted, rel=1e-13)


@pytest.mark.parametrize("n_rows", [23, BLOCK_ROWS + 5])
def test_a_step_leaves_frozen_layers_as_they_are(n_rows):
    engine, (X, y) = make_engine(), regression(n_rows)
    before = [part.copy() for part in (*engine.weights, *engine.biases)]
    engine.step(make_examples(engine, X, y), 0.1, frozen={0})
    after = (*engine.weights, *engine.biases)
    assert [bool((a == b).all()) for a, b in zip(before, after, strict=True)] == [True, False, True, False]


def test_a_network_without_a_gradient_is_refused_with_its_reason():
    make_engine().check_trainable()
    with pytest.raises(ValueError, match="cannot be trained by gradient descent: hidden layer 1 has activation 'step'"):
        make_engine(activation=["step", "tanh"]).check_trainable()


# ---- What it gives to the kernels


def test_frozen_layers_are_marked_in_a_copy_of_the_layer_table():
    engine = make_engine()
    memory, kernels = engine.memory(8), kernel_table.required_for_prediction()
    marked = engine.network_view(memory, engine.buffer[:0], kernels, frozen={1}).table
    assert marked[:, layout.FROZEN].tolist() == [0, 1]
    assert not memory.table[:, layout.FROZEN].any()
    plain = engine.network_view(memory, engine.buffer[:0], kernels)
    assert plain.table is memory.table
    assert plain.parameters is engine.buffer


def test_the_gradient_takes_no_memory_where_the_update_is_fused_with_it():
    engine = make_engine()
    assert engine.gradient_buffer(BLOCK_ROWS).size == 0
    assert engine.gradient_buffer(BLOCK_ROWS + 1).size == engine.buffer.size
    assert engine.gradient_buffer(BLOCK_ROWS, fused=False).size == engine.buffer.size


def test_a_workspace_is_kept_until_another_size_is_needed():
    engine = make_engine()
    first = engine.workspace("train", 8)
    assert engine.workspace("train", 8) is first
    assert engine.workspace("predict", 8) is not first
    assert engine.workspace("train", 8, sparse=True) is not first
    other = engine.workspace("train", 16)
    assert (first[0].block, other[0].block, other[1].block) == (8, 16, 16)
    assert engine.workspace("train", 16) is other


def test_a_workspace_grows_with_the_number_of_threads(monkeypatch):
    engine = make_engine()
    first = engine.workspace("train", 8)
    more = threads.max_threads() + 3
    monkeypatch.setattr(threads, "max_threads", lambda: more)
    _, work = engine.workspace("train", 8)
    assert work is not first[1]
    assert work.scratch.size == more * work.scratch_size


def test_each_thread_has_workspaces_of_its_own():
    engine = make_engine()
    first, second = in_parallel(*[lambda: engine.workspace("train", 8)] * 2)
    assert not np.shares_memory(first[1].buffer, second[1].buffer)


def test_the_kernel_table_holds_what_was_requested():
    engine = make_engine()
    kernels = kernel_table.required_for_prediction()
    table = engine.kernel_table(kernels)
    assert table.dtype == np.int64
    if COMPILED:
        assert all(table[LINKED_KERNELS[kernel].slot] for kernel in kernels)
        assert np.count_nonzero(table) == len(kernels)


def test_what_compiled_code_is_given_shares_the_parameters():
    engine = make_engine()
    model = engine.compiled()
    assert np.shares_memory(model.parameters, engine.buffer)
    assert not np.shares_memory(model.workspace, engine.compiled().workspace)


# ---- What it must not depend on


def full_of_nan(*given):
    """A workspace in which nothing is sound but the zeros that it keeps."""
    work = make_workspace(*given)
    for part in work:
        if isinstance(part, np.ndarray):
            part[...] = np.nan
    for start in range(0, work.scratch.size, work.scratch_size):
        work.scratch[start : start + layout.ZEROS] = 0
    return work


EVERY_LOSS = pytest.mark.parametrize(
    ("activation", "loss"),
    [
        ("sigmoid", "squared_error"),
        (["softplus", "relu", "softmax"], "cross_entropy"),
        (["elu", "arctan", "sigmoid"], "binary_cross_entropy"),
        (["tanh", "leaky_relu", "step"], "perceptron"),
    ],
    ids=["squared_error", "cross_entropy", "binary_cross_entropy", "perceptron"],
)


def everything_it_computes(net):
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(23, 4)), rng.integers(0, 3, 23)
    y = np.eye(3)[labels]
    parts = [
        net.predict(X),
        net.predict(X.astype(net.dtype)),
        *net.activations(X),
        net.gradients(X, y, flat=True),
        net.loss(X, labels),
    ]
    parts += [net.gradients(X, labels, sample_weight=np.arange(23), flat=True), net.step(X[:7], labels[:7], 0.1)]
    for target, size in ((labels, 5), (y, 8)):
        history = net.fit(X, target, epochs=2, batch_size=size, validation_split=0.3, learning_rate=0.1)
        parts += [np.array(history[name]) for name in history]
    return bits(*parts, net.parameters)


@BOTH
@EVERY_LOSS
def test_nothing_leaks_from_a_workspace_full_of_nan(activation, loss, dtype, monkeypatch):
    clean, spoilt = (
        fastnn.Network([4, 17, 5, 3], activation=activation, loss=loss, dtype=dtype, seed=3) for _ in range(2)
    )
    wanted = everything_it_computes(clean)
    replace_everywhere(monkeypatch, make_workspace, full_of_nan)
    assert everything_it_computes(spoilt) == wanted


@BOTH
@EVERY_LOSS
def test_nothing_leaks_from_what_was_computed_before(activation, loss, dtype):
    clean, used = (
        fastnn.Network([4, 17, 5, 3], activation=activation, loss=loss, dtype=dtype, seed=3) for _ in range(2)
    )
    kept = used.parameters
    for part in (*used.weights, *used.biases):
        part[...] = np.nan
    for n_rows in (5, 7, 8, 23):  # the blocks of the rows that follow
        X, y = np.full((n_rows, 4), 1e30), np.zeros(n_rows, int)
        used.predict(X)
        used.loss(X, y)
        used.gradients(X, y)
    used.parameters = kept
    assert everything_it_computes(used) == everything_it_computes(clean)


def test_threads_share_a_network_for_predict():
    n_inputs, n_rows, rounds = (64, 600, 20) if COMPILED else (4, 12, 3)
    net = fastnn.Network([n_inputs, 96, 64, 5], activation="tanh", seed=0)  # large enough for a team
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(n_rows, n_inputs)).astype(np.float32) for _ in range(4)]
    wanted = [net.predict(X).tobytes() for X in batches]
    start = threading.Barrier(4)

    def predict_often(X):
        start.wait()
        return [net.predict(X).tobytes() for _ in range(rounds)]

    found = in_parallel(*[lambda X=X: predict_often(X) for X in batches])
    assert found == [[output] * rounds for output in wanted]


def test_bundles_are_kept_by_thread_for_a_few_sizes_of_batches():
    engine = make_engine()
    X, y = regression(20)
    for n_rows in range(1, 21):
        examples, _ = as_examples(X[:n_rows], y[:n_rows], None, engine.spec, ("X", "y", "weight"))
        engine.step(examples, 0.1)
        kept = engine._workspaces.bundles
        assert 0 < len(kept) <= MAX_BUNDLES
    before = dict(kept)
    engine.step(examples, 0.1)
    assert dict(kept) == before
    assert in_parallel(lambda: (engine.step(examples, 0.1), engine._workspaces.bundles)[1] is kept) == [False]
