"""Training: the trajectory, its independence of everything but seed and data, and what `fit` reports and obeys."""

import _thread
import csv
import os
import signal
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import scipy.stats

import fastnn
from fastnn import reference
from fastnn.kernels import layout, threads
from fastnn.kernels.jit import COMPILED, from_python
from fastnn.kernels.train_loop import shuffle
from fastnn.parameters import BLOCK_ROWS, make_workspace
from fastnn.training import thread_tuner
from fastnn.training.thread_tuner import ThreadTuner

BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])


def regression(n_rows=23, n_inputs=4, n_outputs=2):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, n_inputs)), rng.normal(size=(n_rows, n_outputs))


def classification(n_rows=23, n_classes=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, 4)), rng.integers(0, n_classes, n_rows)


def regressor(dtype="float64", **options):
    return fastnn.Network([4, 6, 2], activation=["tanh", "identity"], dtype=dtype, seed=3, **options)


def classifier(dtype="float64"):
    return fastnn.Network([4, 6, 3], activation=["relu", "softmax"], loss="cross_entropy", dtype=dtype, seed=3)


def bits(*parts):
    return [np.asarray(part).tobytes() for part in parts]


def specification(net):
    return reference.Network(net.weights, net.biases, net.activation, net.loss_name)


# ---- The trajectory

SETTINGS = {"epochs": 3, "learning_rate": 0.1}


def assert_same_course(net, history, twin, losses):
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-12)
    for got, wanted in zip((*net.weights, *net.biases), twin.weights + twin.biases, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-13)  # the rounding of at most 69 steps


@pytest.mark.parametrize("batch_size", [1, 5, 8, 23, 100])  # 23 = 4 * 5 + 3 = 2 * 8 + 7
@pytest.mark.parametrize(
    ("sizes", "activation", "loss"),
    [
        ([4, 2], "sigmoid", "squared_error"),
        ([4, 6, 2], ["relu", "softmax"], "cross_entropy"),
        ([4, 3, 5, 2], ["tanh", "elu", "sigmoid"], "binary_cross_entropy"),
        ([4, 2], "step", "perceptron"),
    ],
    ids=["squared_error", "cross_entropy", "binary_cross_entropy", "perceptron"],
)
def test_trajectory_is_that_of_the_specification(sizes, activation, loss, batch_size):
    net = fastnn.Network(sizes, activation=activation, loss=loss, dtype="float64", seed=3)
    X, labels = classification(n_classes=2)
    twin = specification(net)
    history = net.fit(X, labels, batch_size=batch_size, shuffle=False, **SETTINGS)
    losses = twin.train(X, labels, batch_size=batch_size, **SETTINGS)
    assert_same_course(net, history, twin, losses)


def test_trajectory_with_sample_weights_is_that_of_the_specification():
    net, (X, y) = regressor(), regression()
    twin, weight = specification(net), np.random.default_rng(1).random(23)
    history = net.fit(X, y, batch_size=5, shuffle=False, sample_weight=weight, **SETTINGS)
    assert_same_course(net, history, twin, twin.train(X, y, batch_size=5, sample_weight=weight, **SETTINGS))


def test_trajectory_with_shuffling_is_that_of_the_specification_in_the_same_orders():
    net, (X, y) = regressor(), regression()
    twin = specification(net)
    history = net.fit(X, y, batch_size=5, **SETTINGS)
    losses = twin.train(X, y, batch_size=5, order=lambda epoch: shuffled(23, net.seed, epoch), **SETTINGS)
    assert_same_course(net, history, twin, losses)


def test_trajectory_in_float32_stays_beside_that_in_float64():
    X, y = regression()
    single, double = regressor("float32"), regressor("float64")
    for net in (single, double):
        net.fit(X, y, batch_size=5, **SETTINGS)
    np.testing.assert_allclose(single.parameters, double.parameters, rtol=0, atol=1e-5)  # 15 steps, eps 1.2e-7


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_batch_of_weight_0_makes_no_update(place):
    X, y = regression(6)
    weight, others = np.ones(6), np.delete(np.arange(6), [place, place + 1])
    weight[place : place + 2] = 0
    with_it, without = regressor(), regressor()
    options = {"epochs": 2, "batch_size": 2, "learning_rate": 0.1, "shuffle": False}
    with_it.fit(X, y, sample_weight=weight, **options)
    without.fit(X[others], y[others], sample_weight=weight[others], **options)
    assert bits(with_it.parameters) == bits(without.parameters)


def test_a_batch_of_weight_0_leaves_the_mean_loss_alone():
    X, y = regression(6)
    weight = [0, 0, 0.5, 1, 2, 3]
    with_it, without = (
        regressor().fit(
            X[i:], y[i:], epochs=2, batch_size=2, learning_rate=0.1, sample_weight=weight[i:], shuffle=False
        )
        for i in (0, 2)
    )
    assert with_it["loss"] == without["loss"]


def test_scaling_all_sample_weights_changes_nothing():
    X, y = regression()
    weight = np.random.default_rng(1).random(23)
    one, eight = regressor(), regressor()
    one.fit(X, y, batch_size=5, sample_weight=weight, **SETTINGS)
    eight.fit(X, y, batch_size=5, sample_weight=8 * weight, **SETTINGS)  # a power of two: exactly
    assert bits(one.parameters) == bits(eight.parameters)


# ---- Bit for bit


@BOTH
@pytest.mark.parametrize("batch_size", [1, 5, 23])
@pytest.mark.parametrize("shuffled", [True, False])
def test_two_fits_of_2_epochs_are_one_of_4(batch_size, shuffled, dtype):
    X, y = regression()
    options = {"batch_size": batch_size, "learning_rate": 0.1, "shuffle": shuffled, "validation_data": (X[:5], y[:5])}
    once, twice = regressor(dtype), regressor(dtype)
    whole = once.fit(X, y, epochs=4, **options)
    parts = [twice.fit(X, y, epochs=2, **options) for _ in range(2)]
    assert bits(twice.parameters) == bits(once.parameters)
    assert {name: parts[0][name] + parts[1][name] for name in whole} == dict(whole)
    assert twice.epochs_trained == once.epochs_trained == 4


@BOTH
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [1, 23, BLOCK_ROWS + 5])
def test_a_step_is_a_fit_of_one_batch(n_rows, weighted, dtype):
    X, y = regression(n_rows)
    weight = np.random.default_rng(1).random(n_rows) if weighted else None
    stepped, fitted = regressor(dtype), regressor(dtype)
    loss = stepped.step(X, y, 0.1, sample_weight=weight)
    history = fitted.fit(X, y, epochs=1, batch_size=n_rows, learning_rate=0.1, sample_weight=weight)
    assert bits(stepped.parameters) == bits(fitted.parameters)
    assert [loss] == history["loss"]


@BOTH
def test_steps_on_the_batches_are_a_fit_without_shuffling(dtype):
    X, y = regression()
    stepped, fitted = regressor(dtype), regressor(dtype)
    for start in range(0, 23, 5):
        stepped.step(X[start : start + 5], y[start : start + 5], 0.1)
    fitted.fit(X, y, epochs=1, batch_size=5, learning_rate=0.1, shuffle=False)
    assert bits(stepped.parameters) == bits(fitted.parameters)


@BOTH
@pytest.mark.parametrize("sizes", [[4, 6, 3], [70, 150, 40]], ids=str)
@pytest.mark.parametrize(("output", "loss"), [("sigmoid", "squared_error"), ("softmax", "cross_entropy")])
def test_a_row_has_the_same_bits_alone_and_among_others(output, loss, sizes, dtype):
    net = fastnn.Network(sizes, activation=["tanh", output], loss=loss, dtype=dtype, seed=3)
    n_rows = 300 if COMPILED else 40
    X = np.random.default_rng(0).normal(size=(n_rows, sizes[0])).astype(dtype)
    outputs, layers = net.predict(X), net.activations(X)
    for i in range(0, n_rows, 13):
        assert bits(net.predict(X[i : i + 1])[0]) == bits(outputs[i])
        assert bits(*net.activations(X[i : i + 1])) == bits(*(layer[i] for layer in layers))
    for cut in (2, 7, 31, 32, 33):
        assert bits(np.vstack([net.predict(X[:cut]), net.predict(X[cut:])])) == bits(outputs)


def a_team_of(size):
    """What calls a serial kernel in so many threads of Python: all of the team is there, whatever the machine has."""

    def run(parallel_kernel, serial, wanted, *arguments):
        sync, failed = threads.new_barrier(size), []

        def work(rank):
            try:
                serial(*arguments, sync, rank, size)
            except BaseException as error:
                failed.append(error)

        team = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
        for member in team:
            member.start()
        for member in team:
            member.join(60)
        assert failed == []

    return run


def trained_in_a_team(dtype, sizes, n_rows, batch_size):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_rows, sizes[0])), rng.integers(0, sizes[-1], n_rows)
    weight = rng.random(n_rows)
    activation = ["relu", "tanh", "softmax"][-len(sizes) + 1 :]
    net = fastnn.Network(sizes, activation=activation, loss="cross_entropy", dtype=dtype, seed=1)
    options = {"epochs": 2, "learning_rate": 0.1, "sample_weight": weight, "n_threads": 1}
    history = net.fit(X, y, batch_size=batch_size, validation_data=(X[:50], y[:50]), **options)
    parts = [net.gradients(X, y, flat=True), net.loss(X, y), net.step(X, y, 0.1), net.parameters]
    return bits(*parts, *(history[name] for name in history))


@BOTH
@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize(
    ("sizes", "n_rows", "batch_size"),
    [([5, 9, 4, 3], 23, 5), ([5, 9, 3], 30, 1), ([5, 4, 3], BLOCK_ROWS + 40, BLOCK_ROWS + 30), ([30, 70, 40], 150, 70)],
    ids=["small", "one by one", "several blocks", "wide"],
)
def test_a_team_of_any_size_gives_the_same_bits(sizes, n_rows, batch_size, size, dtype, monkeypatch):
    alone = trained_in_a_team(dtype, sizes, n_rows, batch_size)
    monkeypatch.setattr(threads, "run_on_team", a_team_of(size))
    monkeypatch.setattr(threads, "max_threads", lambda: size)
    assert trained_in_a_team(dtype, sizes, n_rows, batch_size) == alone


WORKER = """
import hashlib, sys
import numba, numpy as np, fastnn

rng = np.random.default_rng(0)
X, y = rng.normal(size=(2500, 40)).astype("float32"), rng.integers(0, 10, 2500)
for dtype in ("float32", "float64"):
    for batch_size in (7, 64, 2200):
        for n_threads in map(int, sys.argv[1:]):
            numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
            net = fastnn.Network(
                [40, 33, 20, 10], activation=["relu", "tanh", "softmax"], loss="cross_entropy", dtype=dtype, seed=1
            )
            history = net.fit(
                X, y, epochs=2, batch_size=batch_size, n_threads=n_threads, validation_data=(X[:999], y[:999])
            )
            numba.set_num_threads(n_threads)  # the most that the other methods take
            parts = net.parameters, net.predict(X), net.gradients(X, y, flat=True)
            said = repr((dict(history), net.loss(X, y), net.step(X, y, 0.1)))
            digest = hashlib.sha256(b"".join(part.tobytes() for part in parts) + said.encode()).hexdigest()
            print(dtype, batch_size, n_threads, history.n_threads, digest)
"""


MORE_AND_FEWER = """
import numba, numpy as np, fastnn

rng = np.random.default_rng(0)
X, y = rng.normal(size=(2500, 40)), rng.integers(0, 10, 2500)
net = fastnn.Network([40, 33, 20, 10], seed=1)
for n_threads in (1, 2, 8, 3, 1):
    numba.set_num_threads(n_threads)
    print(hash((net.predict(X).tobytes(), net.gradients(X, y, flat=True).tobytes(), net.loss(X, y))))
"""


def in_a_process_of_its_own(code, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", code, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="without compilation there is one thread")
def test_any_number_of_threads_gives_the_same_bits():
    if threads.layer() not in ("omp", "tbb"):
        pytest.skip(f"the threading layer here is {threads.layer()}, which fastnn does not enter")
    lines = in_a_process_of_its_own(WORKER, 1, 2, 3, 8, NUMBA_NUM_THREADS="8")
    assert [wanted for _, _, wanted, _, _ in lines] == [used for _, _, _, used, _ in lines]
    results = {}
    for dtype, batch_size, *_, digest in lines:
        results.setdefault((dtype, batch_size), set()).add(digest)
    assert len(results) == 6
    assert [len(digests) for digests in results.values()] == [1] * 6


def test_measuring_again_after_the_last_step_takes_no_step(monkeypatch):
    def observe(tuner, seconds_per_step):
        tuner.measure()

    net, expected = regressor(), regressor()
    X, y = regression(600)
    expected.fit(X, y, epochs=3, batch_size=10)
    monkeypatch.setattr(thread_tuner, "TRIAL_SECONDS", 0)  # a turn is then one step
    monkeypatch.setattr(ThreadTuner, "observe", observe)
    monkeypatch.setattr(thread_tuner, "MEASURED", dict.fromkeys(range(thread_tuner.MAX_MEASURED)))
    history = net.fit(X, y, epochs=3, batch_size=10, callbacks=[lambda net, history: None])
    assert (net.parameters == expected.parameters).all()
    assert (history.epochs, net.epochs_trained) == (3, 3)
    assert len(thread_tuner.MEASURED) == thread_tuner.MAX_MEASURED


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="without compilation there is one thread")
def test_numba_may_be_given_more_or_fewer_threads_between_calls():
    lines = in_a_process_of_its_own(MORE_AND_FEWER, NUMBA_NUM_THREADS="8")
    assert len(lines) == 5
    assert lines == [lines[0]] * 5


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="without compilation there is one thread")
def test_a_threading_layer_that_is_not_entered_gives_the_same_bits():
    own = in_a_process_of_its_own(WORKER, 2)
    other = in_a_process_of_its_own(WORKER, 2, NUMBA_THREADING_LAYER="workqueue")
    assert {used for _, _, _, used, _ in other} == {"1"}
    assert [line[4] for line in own] == [line[4] for line in other]


def test_measuring_the_threads_changes_nothing():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(256 if COMPILED else 64, 32)), rng.normal(size=(256 if COMPILED else 64, 8))
    measured, told = (fastnn.Network([32, 64, 8], seed=0) for _ in range(2))
    histories = [
        net.fit(X, y, epochs=30 if COMPILED else 2, batch_size=32, learning_rate=0.1, n_threads=n_threads)
        for net, n_threads in ((measured, None), (told, 1))
    ]
    assert bits(measured.parameters) == bits(told.parameters)
    assert dict(histories[0]) == dict(histories[1])


@pytest.mark.skipif(threads.max_threads() == 1, reason="there is one thread to choose from")
def test_the_choice_of_threads_holds_for_a_minute_for_networks_of_the_same_layers(monkeypatch):
    measured, now = [], [1000.0]
    measure = ThreadTuner.measure
    monkeypatch.setattr(ThreadTuner, "measure", lambda tuner: (measured.append(tuner), measure(tuner)))
    monkeypatch.setattr(ThreadTuner, "observe", lambda tuner, seconds_per_step: None)
    monkeypatch.setattr(thread_tuner, "MEASURED", {})
    monkeypatch.setattr(thread_tuner.time, "monotonic", lambda: now[0])
    X, y = np.ones((4096, 32)), np.ones((4096, 8))

    def fit(sizes):
        fastnn.Network(sizes, seed=0).fit(X, y, epochs=100, batch_size=32)
        return len(measured)

    assert fit([32, 64, 8]) == 1
    assert fit([32, 64, 8]) == 1
    assert fit([32, 65, 8]) == 2
    now[0] += thread_tuner.VALID_SECONDS
    assert fit([32, 64, 8]) == 3


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


def all_that_it_computes(net):
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
    wanted = all_that_it_computes(clean)
    makers = [module for name, module in sys.modules.items() if name.startswith("fastnn.")]
    makers = [module for module in makers if getattr(module, "make_workspace", None) is make_workspace]
    assert makers
    for module in makers:
        monkeypatch.setattr(module, "make_workspace", full_of_nan)
    assert all_that_it_computes(spoilt) == wanted


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
    assert all_that_it_computes(used) == all_that_it_computes(clean)


# ---- What a history holds


def test_history_of_a_regression():
    X, y = regression()
    history = regressor().fit(X, y, epochs=3)
    assert list(history) == ["loss"]
    assert len(history["loss"]) == history.epochs == 3


def test_history_of_a_classification_with_validation():
    X, labels = classification()
    history = classifier().fit(X, labels, epochs=3, validation_data=(X, labels))
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert {len(column) for column in history.values()} == {3}


@pytest.mark.parametrize(
    ("targets", "judged"),
    [("labels", True), ("one-hot", True), ("numbers", False), ("one column", False)],
)
def test_accuracy_is_recorded_where_targets_are_classes(targets, judged):
    X, labels = classification()
    y = {
        "labels": labels,
        "one-hot": np.eye(3)[labels],
        "numbers": np.eye(3)[labels] + 0.5,
        "one column": labels,
    }[targets]
    net = fastnn.Network([4, 1 if targets == "one column" else 3], seed=0)
    assert ("accuracy" in net.fit(X, y, epochs=1)) == judged


def test_accuracy_of_a_loss_for_classification_is_recorded_for_one_output():
    X, labels = classification(n_classes=2)
    net = fastnn.Network([4, 1], loss="binary_cross_entropy", seed=0)
    assert "accuracy" in net.fit(X, labels, epochs=1)


@pytest.mark.parametrize("weighted", [False, True])
def test_training_loss_is_the_running_mean_of_each_batch_before_its_update(weighted):
    X, y = regression()
    weight = np.random.default_rng(1).random(23) if weighted else np.ones(23)
    net, by_hand = regressor(), regressor()
    history = net.fit(
        X, y, epochs=1, batch_size=5, learning_rate=0.1, shuffle=False, sample_weight=weight if weighted else None
    )
    total = 0.0
    for start in range(0, 23, 5):
        rows = slice(start, start + 5)
        total += by_hand.step(X[rows], y[rows], 0.1, sample_weight=weight[rows]) * weight[rows].sum()
    assert history["loss"] == [pytest.approx(total / weight.sum(), rel=1e-13)]


@pytest.mark.parametrize("weighted", [False, True])
def test_training_accuracy_is_the_running_mean_of_each_batch_before_its_update(weighted):
    X, labels = classification()
    weight = np.random.default_rng(1).random(23) if weighted else np.ones(23)
    net, by_hand = classifier(), classifier()
    history = net.fit(
        X, labels, epochs=1, batch_size=5, learning_rate=1, shuffle=False, sample_weight=weight if weighted else None
    )
    hits = 0.0
    for start in range(0, 23, 5):
        rows = slice(start, start + 5)
        hits += ((by_hand.classify(X[rows]) == labels[rows]) * weight[rows]).sum()
        by_hand.step(X[rows], labels[rows], 1, sample_weight=weight[rows])
    assert history["accuracy"] == [pytest.approx(hits / weight.sum(), rel=1e-13)]


def test_the_loss_of_an_epoch_forgets_the_one_before():
    net, (X, y) = regressor(), regression()
    history = net.fit(X, y, epochs=3, batch_size=23, learning_rate=1e-300)
    np.testing.assert_allclose(history["loss"], [net.loss(X, y)] * 3, rtol=1e-14)


@pytest.mark.parametrize("n_rows", [9, 700])  # 700: more than a block of rows
def test_validation_data_are_judged_after_every_epoch(n_rows):
    X, labels = classification(max(n_rows, 23))
    Xv, yv = X[:n_rows] + 0.1, labels[:n_rows]
    net, seen = classifier(), []

    def judge(net, history):
        seen.append((net.loss(Xv, yv), np.mean(net.classify(Xv) == yv)))

    history = net.fit(X[:23], labels[:23], epochs=3, learning_rate=0.3, validation_data=(Xv, yv), callbacks=[judge])
    np.testing.assert_allclose(list(zip(history["val_loss"], history["val_accuracy"], strict=True)), seen, rtol=1e-13)


def test_validation_data_may_be_weighted():
    X, labels = classification()
    weight, net = np.random.default_rng(1).random(23), classifier()
    history = net.fit(X, labels, epochs=1, validation_data=(X, labels, weight))
    assert history["val_loss"] == [pytest.approx(net.loss(X, labels, sample_weight=weight), rel=1e-13)]
    right = net.classify(X) == labels
    assert history["val_accuracy"] == [pytest.approx((right * weight).sum() / weight.sum(), rel=1e-13)]


def test_validation_changes_no_bit_of_the_training():
    X, labels = classification()
    watched, alone = classifier(), classifier()
    watched.fit(X, labels, epochs=3, batch_size=5, validation_data=(X[:9], labels[:9]))
    alone.fit(X, labels, epochs=3, batch_size=5)
    assert bits(watched.parameters) == bits(alone.parameters)


def columns_moved(weighted=False, seed=0, **options):
    """Train a neuron on one-hot inputs: the columns of its weights that moved tell which rows were trained on."""
    net = fastnn.Network([20, 1], activation="identity", seed=seed)
    before = net.weights[0].copy()
    weight = np.full(20, 2.0) if weighted else None
    net.fit(np.eye(20), np.full(20, 100.0), epochs=2, batch_size=4, sample_weight=weight, **options)
    return np.flatnonzero(net.weights[0] != before).tolist()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("share", "held_out"), [(0.25, 5), (0.05, 1), (0.93, 19)])
def test_validation_split_holds_its_share_out_of_the_training(share, held_out, weighted):
    assert len(columns_moved(weighted, validation_split=share)) == 20 - held_out


def test_validation_split_is_drawn_with_the_seed():
    first, again, other = (columns_moved(seed=seed, validation_split=0.25) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_validation_split_judges_the_rows_held_out():
    X, labels = classification()
    net = classifier()
    history = net.fit(X, labels, epochs=1, validation_split=1 / 23)
    assert history["val_loss"][0] in [pytest.approx(net.loss(X[[i]], labels[[i]]), rel=1e-13) for i in range(23)]


def test_history_says_how_fast_it_was():
    X, y = regression()
    history = regressor().fit(X, y, epochs=4)
    assert history.seconds > 0
    assert history.examples_per_second == pytest.approx(4 * 23 / history.seconds)
    assert history.n_threads == 1


def test_history_prints_its_last_values():
    X, y = regression()
    history = regressor().fit(X, y, epochs=2)
    assert repr(history) == f"History(2 epochs, loss={history['loss'][-1]:.4g}, stop_reason='epochs')"


def test_history_is_written_as_csv(tmp_path):
    X, labels = classification()
    history = classifier().fit(X, labels, epochs=2, validation_split=0.5)
    history.to_csv(tmp_path / "history.csv")
    with open(tmp_path / "history.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for name in history:
        assert [float(row[name]) for row in rows] == history[name]


def test_epochs_without_end_may_be_asked_for():
    net, (X, y) = regressor(), regression()
    history = net.fit(X, y, epochs=10**12, callbacks=[lambda net, history: history.epochs == 2])
    assert (history.epochs, history.stop_reason) == (2, "callback")


def test_no_epochs_change_nothing():
    net, (X, y) = regressor(), regression()
    before = bits(net.parameters)
    history = net.fit(X, y, epochs=0)
    assert (history.epochs, history.stop_reason, bits(net.parameters)) == (0, "epochs", before)


# ---- Rates


def test_the_default_rate_is_a_tenth():
    X, y = regression()
    default, told = regressor(), regressor()
    default.fit(X, y, epochs=2)
    told.fit(X, y, epochs=2, learning_rate=0.1)
    assert bits(default.parameters) == bits(told.parameters)


def test_a_rate_may_be_a_function_of_the_epoch_over_all_fits():
    X, y = regression()
    by_function, by_hand, asked = regressor(), regressor(), []

    def rate(epoch):
        asked.append(epoch)
        return 0.1 / (1 + epoch)

    by_function.fit(X, y, epochs=2, batch_size=5, learning_rate=rate)
    by_function.fit(X, y, epochs=1, batch_size=5, learning_rate=rate)
    for epoch in range(3):
        by_hand.fit(X, y, epochs=1, batch_size=5, learning_rate=0.1 / (1 + epoch))
    assert bits(by_function.parameters) == bits(by_hand.parameters)
    assert sorted(set(asked)) == [0, 1, 2]


# ---- Callbacks, divergence, interruption


@pytest.mark.parametrize("batch_size", [5, 23])
@pytest.mark.parametrize("n_threads", [None, 1])
def test_callbacks_are_called_after_every_epoch(n_threads, batch_size):
    net, (X, y), calls = regressor(), regression(), []
    history = net.fit(
        X,
        y,
        epochs=6,
        batch_size=batch_size,
        n_threads=n_threads,
        callbacks=[lambda *given: calls.append((*given, len(given[1]["loss"])))],
    )
    assert [n_epochs for _, _, n_epochs in calls] == [1, 2, 3, 4, 5, 6]
    assert all(given is net and record is history for given, record, _ in calls)


@pytest.mark.parametrize("steps_per_epoch", [1, 2, 10])
def test_callbacks_are_called_after_every_epoch_of_a_training_that_measures_threads(steps_per_epoch):
    n_rows, calls = 64 * steps_per_epoch, []
    rng = np.random.default_rng(0)
    net = fastnn.Network([16, 64, 8], seed=0)
    net.fit(
        rng.normal(size=(n_rows, 16)),
        rng.normal(size=(n_rows, 8)),
        epochs=8,
        batch_size=64,
        callbacks=[lambda net, history: calls.append(history.epochs)],
    )
    assert calls == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_callback_sees_the_parameters_of_its_epoch():
    net, (X, y), seen = regressor(), regression(), []
    net.fit(X, y, epochs=4, batch_size=5, callbacks=[lambda net, history: seen.append(bits(net.parameters))])
    by_hand = regressor()
    for parameters in seen:
        by_hand.fit(X, y, epochs=1, batch_size=5)
        assert bits(by_hand.parameters) == parameters


def test_a_true_result_of_any_callback_stops_the_training():
    net, (X, y), late = regressor(), regression(), []
    history = net.fit(
        X,
        y,
        epochs=9,
        callbacks=[lambda net, history: history.epochs == 3, lambda net, history: late.append(history.epochs)],
    )
    assert (history.stop_reason, history.epochs, net.epochs_trained) == ("callback", 3, 3)
    assert late == [1, 2, 3]


def test_callbacks_change_no_bit():
    X, y = regression()
    watched, alone = regressor(), regressor()
    watched.fit(X, y, epochs=5, batch_size=5, callbacks=[lambda net, history: None])
    alone.fit(X, y, epochs=5, batch_size=5)
    assert bits(watched.parameters) == bits(alone.parameters)


def test_what_a_callback_writes_into_the_parameters_counts():
    net, (X, y) = regressor(), regression()

    def clip(net, history):
        net.weights[1][...] = 0

    net.fit(X, y, epochs=3, callbacks=[clip])
    assert not net.weights[1].any()


def test_an_error_in_a_callback_comes_through_and_frees_the_network():
    net, (X, y) = regressor(), regression()

    def fail(net, history):
        raise LookupError("from the callback")

    with pytest.raises(LookupError, match="from the callback"):
        net.fit(X, y, epochs=3, callbacks=[fail])
    assert net.epochs_trained == 1
    assert net.fit(X, y, epochs=1).stop_reason == "epochs"


def exploding(dtype="float32"):
    rng = np.random.default_rng(0)
    return (
        fastnn.Network([4, 2], activation="identity", dtype=dtype, seed=0),
        100 * rng.normal(size=(64, 4)),
        regression(64)[1],
    )


@BOTH
@pytest.mark.parametrize("batch_size", [8, 64])
def test_divergence_is_raised_with_the_history_and_finite_parameters(batch_size, dtype):
    net, X, y = exploding(dtype)
    with pytest.raises(fastnn.DivergenceError, match=r"diverged.*learning_rate") as caught:
        net.fit(X, y, epochs=500, batch_size=batch_size, learning_rate=1)
    assert caught.value.history.stop_reason == "diverged"
    assert np.isfinite(net.parameters).all()
    assert np.isfinite(net.loss(X, y))


def test_a_loss_far_above_that_of_the_first_epoch_has_diverged():
    net = fastnn.Network([1, 1], activation="identity", dtype="float64", seed=0)
    net.parameters = [0, 1]
    with pytest.raises(fastnn.DivergenceError, match="rose from") as caught:
        net.fit([[0.0]], [0.0], epochs=500, learning_rate=1.1)  # the bias grows by 1.2, its square by 1.44
    losses = caught.value.history["loss"]
    assert losses[-1] > 1e4 * losses[0]
    assert np.isfinite(net.parameters).all()


def test_divergence_leaves_a_network_that_trains_on():
    net, X, y = exploding()
    before = net.loss(X, y)
    with pytest.raises(fastnn.DivergenceError):
        net.fit(X, y, epochs=500, learning_rate=1)
    start = fastnn.Network([4, 2], activation="identity", seed=0)
    net.parameters = start.parameters
    net.fit(X, y, epochs=5, learning_rate=1e-6)
    assert net.loss(X, y) < before


def test_divergence_continued_warns_and_goes_on():
    net, X, y = exploding()
    with pytest.warns(RuntimeWarning, match="training diverged"):
        history = net.fit(X, y, epochs=60, batch_size=8, learning_rate=1, on_divergence="continue")
    assert (history.epochs, net.epochs_trained) == (60, 60)
    assert not np.isfinite(history["loss"][-1])


@BOTH
@pytest.mark.parametrize("n_outputs", [2, 20])
def test_a_network_that_went_to_nan_is_sound_again_with_sound_parameters(n_outputs, dtype):
    rng = np.random.default_rng(0)
    X, y = 1e3 * rng.normal(size=(64, 4)), rng.normal(size=(64, n_outputs))
    net = fastnn.Network([4, 7, n_outputs], activation=["relu", "identity"], dtype=dtype, seed=0)
    fresh = net.copy()
    with pytest.warns(RuntimeWarning, match="training diverged"):
        net.fit(X, y, epochs=60, batch_size=8, learning_rate=1, on_divergence="continue")
    assert not np.isfinite(net.parameters).any()
    net.parameters = fresh.parameters
    assert bits(net.predict(X), net.gradients(X, y, flat=True)) == bits(
        fresh.predict(X), fresh.gradients(X, y, flat=True)
    )


def test_a_sound_training_does_not_warn_when_divergence_may_continue():
    X, y = regression()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert regressor().fit(X, y, epochs=3, on_divergence="continue").stop_reason == "epochs"


def test_interruption_returns_the_history_and_a_network_that_goes_on():
    X, y = regression()
    net, whole = regressor(), regressor()

    def interrupt(net, history):
        if history.epochs == 2:
            raise KeyboardInterrupt

    history = net.fit(X, y, epochs=9, batch_size=5, callbacks=[interrupt])
    assert (history.stop_reason, history.epochs, net.epochs_trained) == ("interrupted", 2, 2)
    net.fit(X, y, epochs=2, batch_size=5)
    whole.fit(X, y, epochs=4, batch_size=5)
    assert bits(net.parameters) == bits(whole.parameters)


@pytest.fixture
def python_handles_interrupts():
    """As in a terminal; a process started in the background ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("python_handles_interrupts")
def test_interruption_from_the_keyboard_ends_a_long_training_soon():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(512, 4)), rng.normal(size=(512, 2))
    net = regressor()
    net.fit(X, y, epochs=1)  # what is compiled or loaded is so
    timer = threading.Timer(0.5, _thread.interrupt_main)
    timer.start()
    try:
        history = net.fit(X, y, epochs=500_000, learning_rate=0.01)
    finally:
        timer.cancel()
    assert history.stop_reason == "interrupted"
    assert history.seconds < 5  # calls of a quarter of a second, on a machine that may be busy
    assert net.predict(X).shape == (512, 2)
    assert net.epochs_trained == 1 + history.epochs


# ---- Several threads of Python


def while_training(net, X, y, act):
    """Call `act` while another thread stands in the middle of net.fit; what it raised."""
    inside, leave, caught = threading.Event(), threading.Event(), []

    def wait(net, history):
        inside.set()
        return leave.wait(60)

    trainer = threading.Thread(target=lambda: net.fit(X, y, epochs=5, callbacks=[wait]))
    trainer.start()
    assert inside.wait(60)
    try:
        act()
    except RuntimeError as error:
        caught.append(str(error))
    finally:
        leave.set()
        trainer.join()
    return caught


@pytest.mark.parametrize("act", ["fit", "step"])
def test_a_second_training_of_one_network_at_the_same_time_is_refused(act):
    net, (X, y) = regressor(), regression()
    second = {"fit": lambda: net.fit(X, y, epochs=1), "step": lambda: net.step(X, y, 0.1)}[act]
    (message,) = while_training(net, X, y, second)
    assert "another thread is training this network" in message
    second()  # afterwards it is welcome


def test_predictions_are_welcome_during_a_training():
    net, (X, y) = regressor(), regression()
    assert while_training(net, X, y, lambda: net.predict(X)) == []


def test_networks_train_side_by_side_in_threads():
    X, y = regression()
    alone = regressor()
    alone.fit(X, y, epochs=20)
    nets = [regressor() for _ in range(4)]
    workers = [threading.Thread(target=net.fit, args=(X, y), kwargs={"epochs": 20}) for net in nets]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {net.parameters.tobytes() for net in nets} == {alone.parameters.tobytes()}


def test_threads_share_a_network_for_predict():
    n_inputs, n_rows, rounds = (64, 600, 20) if COMPILED else (4, 12, 3)
    net = fastnn.Network([n_inputs, 96, 64, 5], activation="tanh", seed=0)  # large enough for a team
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(n_rows, n_inputs)).astype(np.float32) for _ in range(4)]
    wanted = [net.predict(X).tobytes() for X in batches]
    start, wrong = threading.Barrier(4), []

    def work(X, output):
        start.wait()
        wrong.extend(i for i in range(rounds) if net.predict(X).tobytes() != output)

    workers = [threading.Thread(target=work, args=pair) for pair in zip(batches, wanted, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


# ---- The order of the examples


def shuffled(n, seed, epoch):
    order = np.full(n, -1, np.int64)
    from_python(shuffle)(order, seed, epoch)
    return order


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_shuffle_is_a_permutation(n):
    assert sorted(shuffled(n, 3, 5)) == list(range(n))


def test_shuffle_depends_on_seed_and_epoch_alone():
    order = np.arange(50)[::-1].copy()
    from_python(shuffle)(order, 3, 5)  # whatever was there before
    assert order.tolist() == shuffled(50, 3, 5).tolist()


def test_shuffle_is_the_same_with_and_without_compilation():
    assert shuffled(10, 3, 5).tolist() == [2, 5, 3, 0, 6, 1, 7, 4, 9, 8]
    assert shuffled(10, (1 << 63) - 1, 1000).tolist() == [9, 1, 2, 8, 6, 7, 4, 3, 5, 0]


def test_shuffle_differs_with_seed_and_with_epoch():
    assert len({shuffled(50, seed, epoch).tobytes() for seed in range(20) for epoch in range(20)}) == 400


def test_shuffle_puts_every_example_in_every_place_equally_often():
    counts = np.zeros((6, 6))
    for epoch in range(3000):
        counts[np.arange(6), shuffled(6, 1, epoch)] += 1
    assert scipy.stats.chi2.sf(((counts - 500) ** 2 / 500).sum(), 25) > 0.01


@pytest.mark.parametrize("vary", ["seed", "epoch"])
def test_shuffle_gives_every_permutation_equally_often(vary):
    counts = {}
    for i in range(2400):
        order = shuffled(4, *((i, 0) if vary == "seed" else (0, i))).tobytes()
        counts[order] = counts.get(order, 0) + 1
    deviation = sum((count - 100) ** 2 / 100 for count in counts.values())
    assert len(counts) == 24
    assert scipy.stats.chi2.sf(deviation, 23) > 0.01


def test_shuffles_of_neighbouring_epochs_are_unrelated():
    places = np.array([shuffled(500, 1, epoch) for epoch in range(20)], float)
    correlations = np.corrcoef(places)[np.triu_indices(20, 1)]
    assert np.abs(correlations).max() < 0.2  # 4.5 standard deviations of 1/sqrt(500)


def test_fit_shuffles_by_default():
    X, y = regression()
    default, told, plain = regressor(), regressor(), regressor()
    default.fit(X, y, epochs=1, batch_size=5)
    told.fit(X, y, epochs=1, batch_size=5, shuffle=True)
    plain.fit(X, y, epochs=1, batch_size=5, shuffle=False)
    assert bits(default.parameters) == bits(told.parameters) != bits(plain.parameters)


def test_the_seed_shuffles():
    X, y = regression()
    nets = [fastnn.Network([4, 2], seed=seed) for seed in (1, 2)]
    for net in nets:
        net.parameters = nets[0].parameters
        net.fit(X, y, epochs=1, batch_size=5)
    assert bits(nets[0].parameters) != bits(nets[1].parameters)


# ---- Progress


def test_progress_is_shown_where_it_is_asked_for(capsys):
    X, y = regression()
    regressor().fit(X, y, epochs=3, progress=True)
    text = capsys.readouterr().err
    assert "3/3 epochs" in text
    assert "loss=" in text


@pytest.mark.parametrize("progress", [None, False])
def test_progress_is_silent_outside_a_terminal_and_where_it_is_refused(progress, capsys):
    X, y = regression()
    regressor().fit(X, y, epochs=3, progress=progress)
    assert capsys.readouterr() == ("", "")


# ---- Converged


def test_a_perceptron_that_makes_no_mistake_has_converged():
    X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
    net = fastnn.Network([2, 1], activation="step", loss="perceptron", seed=0)
    history = net.fit(X, y, epochs=500, batch_size=1, learning_rate=0.3)
    assert (history.stop_reason, history["accuracy"][-1]) == ("converged", 1.0)
    assert history.epochs == net.epochs_trained < 500
    before = bits(net.parameters)
    net.fit(X, y, epochs=3, batch_size=1, learning_rate=0.3)
    assert bits(net.parameters) == before


def test_a_perceptron_on_xor_does_all_its_epochs():
    net = fastnn.Network([2, 1], activation="step", loss="perceptron", seed=0)
    history = net.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], epochs=50, batch_size=1, learning_rate=0.3)
    assert (history.stop_reason, history.epochs) == ("epochs", 50)


def test_on_the_boundary_a_perceptron_has_not_converged():
    net = fastnn.Network([1, 1], activation="step", loss="perceptron", seed=0)
    net.parameters = [0, 0]
    history = net.fit([[1.0]], [0.0], epochs=5, batch_size=1, learning_rate=0.5)
    assert history["loss"][0] == 0
    assert history.epochs > 1
    assert net.predict([[1.0]]) == 0
