"""The same seed and data give the same bits: on any number of threads, of any layer, in any cut of the work."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import (
    BOTH,
    bits,
    classification,
    classifier,
    python_path,
    regression,
    regressor,
    run_python,
    team_of_python_threads,
)
from training_cases import CASES, OPTIMIZERS, train

import fastnn
from fastnn.kernels import threads
from fastnn.kernels.jit import COMPILED
from fastnn.kernels.losses import CODES as LOSS_CODES
from fastnn.parameters import BLOCK_ROWS

COMPILED_ONLY = pytest.mark.skipif(not COMPILED, reason="without compilation there is one thread")
THREAD_COUNTS = {"omp": (1, 2, 3, 8), "tbb": (2, 3, 8), "workqueue": (2, 3, 8)}
"""Numbers of threads to train on by threading layer; under workqueue, which takes one caller, they are Python's."""


# ---- Every kind of training on any number of threads


@pytest.fixture(scope="session")
def digests(environment):
    """What the trainings of `training_cases` gave in one process for each threading layer."""
    found = {}
    for layer, counts in THREAD_COUNTS.items():
        program = Path(__file__).with_name("training_cases.py")
        completed = subprocess.run(
            [sys.executable, "-W", "ignore", program, *map(str, counts)],
            capture_output=True, text=True, timeout=900, check=False,
            env=environment(layer, NUMBA_NUM_THREADS="8", PYTHONPATH=python_path()),
        )  # fmt: skip
        assert completed.returncode == 0, completed.stderr
        found[layer] = json.loads(completed.stdout)
        assert found[layer]["layer"] in (layer, "none")
    return found


@pytest.mark.slow
@COMPILED_ONLY
@pytest.mark.parametrize("layer", THREAD_COUNTS)
@BOTH
@pytest.mark.parametrize("case", CASES)
def test_a_training_has_the_same_bits_on_any_number_of_threads(case, dtype, layer, digests):
    name = f"{case}, {dtype}"
    _, wanted = digests["omp"]["results"][name]["1"]
    results = digests[layer]["results"][name]
    assert sorted(results) == sorted(str(count) for count in THREAD_COUNTS[layer])
    assert {digest for _, digest in results.values()} == {wanted}


@pytest.mark.slow
@COMPILED_ONLY
@pytest.mark.parametrize("layer", THREAD_COUNTS)
def test_a_training_uses_no_more_threads_than_it_is_told_to(layer, digests):
    """Fewer where threads came late: there are more of them than processors here."""
    results = digests[layer]["results"].values()
    used = {(int(count), size) for by_count in results for count, (size, _) in by_count.items()}
    assert all(1 <= size <= count for count, size in used)
    assert any(size > 1 for _, size in used)


@pytest.mark.slow
@COMPILED_ONLY
def test_different_trainings_have_different_bits(digests):
    results = [by_count["1"][1] for by_count in digests["omp"]["results"].values()]
    assert len(set(results)) == len(results) == 2 * len(CASES)


@pytest.mark.skipif(threads.max_threads() == 1, reason="there is one thread to train on")
@BOTH
@pytest.mark.parametrize("case", CASES)
def test_a_training_has_the_same_bits_on_one_thread_and_on_all(case, dtype):
    results = []
    for n_threads in (1, threads.max_threads()):
        net, _, _, history = train(case, dtype, n_threads)
        results.append((net.parameters.tobytes(), repr({name: history[name] for name in history})))
    assert results[0] == results[1]


def test_the_cases_leave_no_loss_and_no_optimizer_out():
    assert set(LOSS_CODES) <= set(CASES)
    assert set(OPTIMIZERS) | {f"{name}, regularized" for name in OPTIMIZERS} <= set(CASES)


def results_on_a_team(dtype, sizes, n_rows, batch_size):
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
    alone = results_on_a_team(dtype, sizes, n_rows, batch_size)
    monkeypatch.setattr(threads, "run_on_team", team_of_python_threads(size))
    monkeypatch.setattr(threads, "max_threads", lambda: size)
    assert results_on_a_team(dtype, sizes, n_rows, batch_size) == alone


MORE_AND_FEWER = """
import numba, numpy as np, fastnn

rng = np.random.default_rng(0)
X, y = rng.normal(size=(2500, 40)), rng.integers(0, 10, 2500)
net = fastnn.Network([40, 33, 20, 10], seed=1)
for n_threads in (1, 2, 8, 3, 1):
    numba.set_num_threads(n_threads)
    print(hash((net.predict(X).tobytes(), net.gradients(X, y, flat=True).tobytes(), net.loss(X, y))))
"""


@pytest.mark.slow
@COMPILED_ONLY
def test_numba_may_be_given_more_or_fewer_threads_between_calls():
    lines = run_python(MORE_AND_FEWER, NUMBA_NUM_THREADS="8").splitlines()
    assert len(lines) == 5
    assert lines == [lines[0]] * 5


# ---- One training cut into parts


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


# ---- What must not matter


def test_validation_changes_no_bit_of_the_training():
    X, labels = classification()
    watched, alone = classifier(), classifier()
    watched.fit(X, labels, epochs=3, batch_size=5, validation_data=(X[:9], labels[:9]))
    alone.fit(X, labels, epochs=3, batch_size=5)
    assert bits(watched.parameters) == bits(alone.parameters)


def test_callbacks_change_no_bit():
    X, y = regression()
    watched, alone = regressor(), regressor()
    watched.fit(X, y, epochs=5, batch_size=5, callbacks=[lambda net, history: None])
    alone.fit(X, y, epochs=5, batch_size=5)
    assert bits(watched.parameters) == bits(alone.parameters)


def test_scaling_all_sample_weights_changes_nothing():
    X, y = regression()
    weight = np.random.default_rng(1).random(23)
    one, eight = regressor(), regressor()
    one.fit(X, y, epochs=3, batch_size=5, learning_rate=0.1, sample_weight=weight)
    eight.fit(X, y, epochs=3, batch_size=5, learning_rate=0.1, sample_weight=8 * weight)  # a power of two: exactly
    assert bits(one.parameters) == bits(eight.parameters)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    X, y = regression()
    nets = [fastnn.Network([4, 6, 2], seed=seed, dropout=0.3) for seed in (7, 7, 8)]
    for net in nets:
        net.fit(X, y, epochs=2, batch_size=5, input_noise=0.1)
    assert bits(nets[0].parameters) == bits(nets[1].parameters)
    assert bits(nets[0].parameters) != bits(nets[2].parameters)
