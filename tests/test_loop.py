"""The loop around the compiled epochs: how many there are, at which rates, and when a training has converged."""

import numpy as np
import pytest
from helpers import bits, regression, regressor, shuffled

import fastnn
from fastnn.kernels.jit import COMPILED
from fastnn.training import loop


def test_any_number_of_epochs_may_be_requested():
    net, (X, y) = regressor(), regression()
    history = net.fit(X, y, epochs=10**12, callbacks=[lambda net, history: history.epochs == 2])
    assert (history.epochs, history.stop_reason) == (2, "callback")


def test_no_epochs_change_nothing():
    net, (X, y) = regressor(), regression()
    before = bits(net.parameters)
    history = net.fit(X, y, epochs=0)
    assert (history.epochs, history.stop_reason, bits(net.parameters)) == (0, "epochs", before)


def test_the_default_learning_rate_is_a_tenth():
    X, y = regression()
    default, explicit = regressor(), regressor()
    default.fit(X, y, epochs=2)
    explicit.fit(X, y, epochs=2, learning_rate=0.1)
    assert bits(default.parameters) == bits(explicit.parameters)


def test_a_learning_rate_may_be_a_function_of_the_epoch_over_all_fits():
    X, y = regression()
    by_function, by_hand, epochs = regressor(), regressor(), []

    def rate(epoch):
        epochs.append(epoch)
        return 0.1 / (1 + epoch)

    by_function.fit(X, y, epochs=2, batch_size=5, learning_rate=rate)
    by_function.fit(X, y, epochs=1, batch_size=5, learning_rate=rate)
    for epoch in range(3):
        by_hand.fit(X, y, epochs=1, batch_size=5, learning_rate=0.1 / (1 + epoch))
    assert bits(by_function.parameters) == bits(by_hand.parameters)
    assert sorted(set(epochs)) == [0, 1, 2]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_factors_of_0_keep_every_parameter(optimizer):
    X, y = regression()
    net = fastnn.Network([4, 6, 2], activation="tanh", seed=0, learned_input_scale=True)
    before = bits(net.parameters)
    net.fit(X, y, epochs=2, optimizer=optimizer, lr_factors={"weights": 0, "biases": 0, "input_scales": 0})
    assert bits(net.parameters) == before


def test_a_factor_of_2_is_twice_the_learning_rate():
    X, y = regression()
    factors = {"weights": 2.0, "biases": 2.0}
    doubled, plain = regressor(), regressor()
    doubled.fit(X, y, epochs=2, batch_size=5, learning_rate=0.05, lr_factors=factors)
    plain.fit(X, y, epochs=2, batch_size=5, learning_rate=0.1)
    np.testing.assert_allclose(doubled.parameters, plain.parameters, rtol=1e-12)


@pytest.mark.parametrize("shuffle", [True, False])
def test_incomplete_batches_can_be_dropped(shuffle):
    X, y = regression()
    net, by_hand = regressor(), regressor()
    history = net.fit(X, y, epochs=1, batch_size=5, learning_rate=0.1, shuffle=shuffle, drop_last=True)
    rows = shuffled(23, net.seed, 0)[:20] if shuffle else np.arange(20)
    batches = [rows[start : start + 5] for start in range(0, 20, 5)]
    losses = [by_hand.step(X[batch], y[batch], 0.1) for batch in batches]
    np.testing.assert_allclose(net.parameters, by_hand.parameters, rtol=1e-12)
    assert history["loss"] == [pytest.approx(np.mean(losses), rel=1e-12)]


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


def test_a_perceptron_on_its_boundary_has_not_converged():
    net = fastnn.Network([1, 1], activation="step", loss="perceptron", seed=0)
    net.parameters = [0, 0]
    history = net.fit([[1.0]], [0.0], epochs=5, batch_size=1, learning_rate=0.5)
    assert history["loss"][0] == 0
    assert history.epochs > 1
    assert net.predict([[1.0]]) == 0


@pytest.mark.skipif(not COMPILED, reason="without compilation every first call is one step")
def test_the_first_call_takes_as_many_steps_as_surely_end_in_time(monkeypatch):
    steps, advance = [], loop.TrainingRun.advance

    def spy(run, count, n_threads):
        steps.append(count)
        return advance(run, count, n_threads)

    monkeypatch.setattr(loop.TrainingRun, "advance", spy)

    def first_call(sizes, **options):
        X, y = np.ones((64, sizes[0]), "float32"), np.ones((64, sizes[-1]))
        fastnn.Network(sizes, seed=0).fit(X, y, epochs=1, n_threads=1, **options)
        return steps.pop() if len(steps) == 1 else steps.clear()

    small = first_call([2, 2], batch_size=1)
    assert small > 1000
    assert first_call([2, 2], batch_size=64) < small
    assert first_call([2, 2], batch_size=1, validation_data=(np.ones((3000, 2)), np.ones((3000, 2)))) < small
    assert first_call([600, 600], batch_size=64) == 1
