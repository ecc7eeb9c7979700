"""The course of a training is that of the executable specification."""

import numpy as np
import pytest
from helpers import as_reference, bits, classification, classifier, regression, regressor, shuffled

import fastnn

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
    twin = as_reference(net)
    history = net.fit(X, labels, batch_size=batch_size, shuffle=False, **SETTINGS)
    losses = twin.train(X, labels, batch_size=batch_size, **SETTINGS)
    assert_same_course(net, history, twin, losses)


def test_trajectory_with_sample_weights_is_that_of_the_specification():
    net, (X, y) = regressor(), regression()
    twin, weight = as_reference(net), np.random.default_rng(1).random(23)
    history = net.fit(X, y, batch_size=5, shuffle=False, sample_weight=weight, **SETTINGS)
    assert_same_course(net, history, twin, twin.train(X, y, batch_size=5, sample_weight=weight, **SETTINGS))


def test_trajectory_with_shuffling_is_that_of_the_specification_in_the_same_orders():
    net, (X, y) = regressor(), regression()
    twin = as_reference(net)
    history = net.fit(X, y, batch_size=5, **SETTINGS)
    losses = twin.train(X, y, batch_size=5, order=lambda epoch: shuffled(23, net.seed, epoch), **SETTINGS)
    assert_same_course(net, history, twin, losses)


def test_trajectory_in_float32_stays_close_to_that_in_float64():
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
    correct = 0.0
    for start in range(0, 23, 5):
        rows = slice(start, start + 5)
        correct += ((by_hand.classify(X[rows]) == labels[rows]) * weight[rows]).sum()
        by_hand.step(X[rows], labels[rows], 1, sample_weight=weight[rows])
    assert history["accuracy"] == [pytest.approx(correct / weight.sum(), rel=1e-13)]


def test_the_loss_of_an_epoch_does_not_include_earlier_epochs():
    net, (X, y) = regressor(), regression()
    history = net.fit(X, y, epochs=3, batch_size=23, learning_rate=1e-300)
    np.testing.assert_allclose(history["loss"], [net.loss(X, y)] * 3, rtol=1e-14)
