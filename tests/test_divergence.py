"""A training that diverges: the error, its history, and the parameters that it leaves."""

import warnings

import numpy as np
import pytest
from helpers import BOTH, bits, regression, regressor

import fastnn


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


def test_divergence_leaves_a_network_that_can_be_trained():
    net, X, y = exploding()
    before = net.loss(X, y)
    with pytest.raises(fastnn.DivergenceError):
        net.fit(X, y, epochs=500, learning_rate=1)
    start = fastnn.Network([4, 2], activation="identity", seed=0)
    net.parameters = start.parameters
    net.fit(X, y, epochs=5, learning_rate=1e-6)
    assert net.loss(X, y) < before


def test_divergence_that_is_let_pass_warns_and_trains_all_epochs():
    net, X, y = exploding()
    with pytest.warns(RuntimeWarning, match="training diverged"):
        history = net.fit(X, y, epochs=60, batch_size=8, learning_rate=1, on_divergence="continue")
    assert (history.epochs, net.epochs_trained) == (60, 60)
    assert not np.isfinite(history["loss"][-1])


@BOTH
@pytest.mark.parametrize("n_outputs", [2, 20])
def test_a_network_full_of_nan_works_again_after_its_parameters_are_set(n_outputs, dtype):
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


def test_a_training_that_converges_does_not_warn_with_on_divergence_continue():
    X, y = regression()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert regressor().fit(X, y, epochs=3, on_divergence="continue").stop_reason == "epochs"
