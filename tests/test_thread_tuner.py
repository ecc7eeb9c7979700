"""How many threads a training works on, which it measures; the results never depend on it."""

import numpy as np
import pytest
from helpers import bits, regression, regressor

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
