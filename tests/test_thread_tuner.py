"""How many threads a training works on, which it measures; the results never depend on it."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import bits, regression, regressor, team_of_python_threads

import fastnn
from fastnn.kernels import threads
from fastnn.kernels.jit import COMPILED
from fastnn.training import thread_tuner
from fastnn.training.thread_tuner import ThreadTuner


def test_measuring_changes_no_bit():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(256 if COMPILED else 64, 32)), rng.normal(size=(256 if COMPILED else 64, 8))
    measured, fixed = (fastnn.Network([32, 64, 8], seed=0) for _ in range(2))
    histories = [
        net.fit(X, y, epochs=30 if COMPILED else 2, batch_size=32, learning_rate=0.1, n_threads=n_threads)
        for net, n_threads in ((measured, None), (fixed, 1))
    ]
    assert bits(measured.parameters) == bits(fixed.parameters)
    assert dict(histories[0]) == dict(histories[1])


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


@pytest.mark.skipif(threads.max_threads() == 1, reason="there is one thread to choose from")
def test_trainings_of_networks_of_the_same_layers_share_a_choice_and_its_intervals(monkeypatch):
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
    for interval in (1, 2, 4):  # short trainings measure again as a long one does
        now[0] += interval * thread_tuner.FIRST_INTERVAL
        before = len(measured)
        assert fit([32, 64, 8]) == before + 1
        assert fit([32, 64, 8]) == before + 1
    now[0] += thread_tuner.VALID_SECONDS
    assert fit([32, 64, 8]) == 6


def test_measuring_again_takes_at_most_a_tenth_of_the_steps(clock):
    assert ThreadTuner(ScriptedRun({1: [1e-3], 2: [6e-4]})).choose() == 2
    clock[0] += thread_tuner.FIRST_INTERVAL
    run = ScriptedRun({1: [6e-4], 2: [1e-3]}, steps_per_epoch=100, epochs=1)
    assert ThreadTuner(run).choose() == 1
    assert 0 < run.position <= 10


def test_a_choice_is_kept_where_few_steps_remain_to_measure_again(clock):
    assert ThreadTuner(ScriptedRun({1: [1e-3], 2: [6e-4]})).choose() == 2
    clock[0] += thread_tuner.FIRST_INTERVAL
    run = ScriptedRun({}, steps_per_epoch=4, epochs=1)
    assert ThreadTuner(run).choose() == 2
    assert run.calls == []


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


class ScriptedRun:
    """A run whose steps take the time that a script says: by threads, one number for each call in turn."""

    def __init__(self, script, *, by_epoch=False, steps_per_epoch=1000, epochs=1000):
        network = SimpleNamespace(parameters=np.zeros(10_000, "float32"), table=np.zeros((1, 1), np.int64))
        self.arguments = SimpleNamespace(network=network, examples=SimpleNamespace(n_rows=1000))
        n_steps = epochs * steps_per_epoch
        self.plan = SimpleNamespace(batch_size=10, n_threads=None, steps_per_epoch=steps_per_epoch, n_steps=n_steps)
        self.script = {count: itertools.cycle(seconds) for count, seconds in script.items()}
        self.by_epoch, self.position, self.calls = by_epoch, 0, []

    def advance(self, steps, n_threads):
        self.position += steps
        self.calls.append(n_threads)
        return steps * next(self.script[n_threads])


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(thread_tuner, "MEASURED", {})
    monkeypatch.setattr(thread_tuner.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(threads, "max_threads", lambda: 2)
    return now


def test_the_median_of_alternating_turns_decides(clock):
    quick_once = [1e-3, 1e-5, 2e-3, 2e-3, 2e-3, 2e-3]
    run = ScriptedRun({1: [1e-3], 2: quick_once})
    tuner = ThreadTuner(run)
    assert tuner.choose() == 1
    assert run.calls == [1, 1, *[1, 2] * 6]
    slow_twice = [1e-3, 6e-4, 6e-4, 9e-3, 6e-4, 9e-3]
    assert (
        ThreadTuner(ScriptedRun({1: [1e-3], 2: slow_twice}, steps_per_epoch=1001)).choose() == 1
    )  # as measured before
    clock[0] += thread_tuner.VALID_SECONDS
    assert ThreadTuner(ScriptedRun({1: [1e-3], 2: slow_twice})).choose() == 2


@pytest.mark.parametrize(("n_steps", "rounds"), [(13, None), (14, 2), (18, 3), (26, 5)])
def test_where_few_steps_remain_fewer_turns_take_half_of_them(n_steps, rounds, clock):
    run = ScriptedRun({1: [1e-3], 2: [6e-4]}, steps_per_epoch=n_steps, epochs=1)
    assert ThreadTuner(run).choose() == (2 if rounds else 1)  # a guess: a step of 300,000 multiply-adds
    assert run.calls == [1, 1, *[1, 2] * (rounds + 1 if rounds else 0)]
    assert 2 * (run.position - 2) <= n_steps - 2


def test_a_training_measures_again_and_again_ever_more_seldom(clock):
    run = ScriptedRun({1: [1e-3], 2: [2e-3] * 6 + [5e-4] * 12 + [2e-3]})
    tuner, interval, chosen = ThreadTuner(run), thread_tuner.FIRST_INTERVAL, []
    for _ in range(3):
        clock[0] += interval * 0.9
        before = len(run.calls)
        chosen.append(tuner.choose())
        assert len(run.calls) == before
        clock[0] += interval * 0.2
        tuner.choose()
        assert len(run.calls) == before + 12
        interval *= 2
    assert [*chosen, tuner.choose()] == [1, 2, 2, 1]


def test_a_team_that_became_slower_than_one_thread_is_measured_anew(clock):
    run = ScriptedRun({1: [1e-3], 2: [5e-4] * 6 + [2e-3] * 6})
    tuner = ThreadTuner(run)
    assert tuner.choose() == 2
    tuner.observe(9e-4)
    assert tuner.choose() == 2
    tuner.observe(1.1e-3)
    assert tuner.choose() == 1


def test_calls_that_end_with_short_epochs_are_turns(clock):
    run = ScriptedRun({1: [1e-3], 2: [6e-4]}, by_epoch=True, steps_per_epoch=2)
    tuner, sizes = ThreadTuner(run), []
    assert not run.calls
    for _ in range(20):
        sizes.append(tuner.choose())
        tuner.observe(run.advance(2, sizes[-1]) / 2)
    assert sizes == [1, 2] * 6 + [2] * 8
    few = ThreadTuner(ScriptedRun({}, by_epoch=True, steps_per_epoch=2, epochs=20))
    assert few.choose() == 2  # measured a moment ago
    clock[0] += thread_tuner.VALID_SECONDS
    few = ThreadTuner(ScriptedRun({}, by_epoch=True, steps_per_epoch=2, epochs=20))
    assert few.choose() == 1  # a step of 300,000 multiply-adds, and too few epochs to compare


def test_callbacks_see_the_end_of_their_epoch_while_threads_are_measured_again(monkeypatch):
    """A measurement takes steps of the next epoch: it comes after the callbacks of the last."""
    monkeypatch.setattr(thread_tuner, "MIN_TEAM_WORK", 0)
    monkeypatch.setattr(thread_tuner, "TRIAL_SECONDS", 0)
    monkeypatch.setattr(threads, "max_threads", lambda: 2)
    monkeypatch.setattr(ThreadTuner, "observe", lambda tuner, seconds: setattr(tuner, "_due", -np.inf))
    monkeypatch.setattr(threads, "run_on_team", team_of_python_threads(1))
    X, y = regression(600)
    seen = {None: [], 1: []}
    for n_threads, parameters in seen.items():
        net = regressor()
        net.fit(
            X, y, epochs=3, batch_size=10, learning_rate=0.01, n_threads=n_threads,
            callbacks=[lambda net, history, parameters=parameters: parameters.append(bits(net.parameters))],
        )  # fmt: skip
    assert seen[None] == seen[1]
