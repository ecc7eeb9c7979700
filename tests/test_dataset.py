"""The data of one training: what is held out, and when an accuracy means something."""

import numpy as np
import pytest
from helpers import classification, classifier

import fastnn


@pytest.mark.parametrize(
    ("targets", "recorded"),
    [("labels", True), ("one-hot", True), ("numbers", False), ("one column", False)],
)
def test_accuracy_is_recorded_where_targets_are_classes(targets, recorded):
    X, labels = classification()
    y = {
        "labels": labels,
        "one-hot": np.eye(3)[labels],
        "numbers": np.eye(3)[labels] + 0.5,
        "one column": labels,
    }[targets]
    net = fastnn.Network([4, 1 if targets == "one column" else 3], seed=0)
    assert ("accuracy" in net.fit(X, y, epochs=1)) == recorded


def test_accuracy_of_a_loss_for_classification_is_recorded_for_one_output():
    X, labels = classification(n_classes=2)
    net = fastnn.Network([4, 1], loss="binary_cross_entropy", seed=0)
    assert "accuracy" in net.fit(X, labels, epochs=1)


@pytest.mark.parametrize("n_rows", [9, 700])  # 700: more than a block of rows
def test_validation_data_are_evaluated_after_every_epoch(n_rows):
    X, labels = classification(max(n_rows, 23))
    Xv, yv = X[:n_rows] + 0.1, labels[:n_rows]
    net, seen = classifier(), []

    def evaluate(net, history):
        seen.append((net.loss(Xv, yv), np.mean(net.classify(Xv) == yv)))

    history = net.fit(X[:23], labels[:23], epochs=3, learning_rate=0.3, validation_data=(Xv, yv), callbacks=[evaluate])
    np.testing.assert_allclose(list(zip(history["val_loss"], history["val_accuracy"], strict=True)), seen, rtol=1e-13)


def test_validation_data_may_be_weighted():
    X, labels = classification()
    weight, net = np.random.default_rng(1).random(23), classifier()
    history = net.fit(X, labels, epochs=1, validation_data=(X, labels, weight))
    assert history["val_loss"] == [pytest.approx(net.loss(X, labels, sample_weight=weight), rel=1e-13)]
    right = net.classify(X) == labels
    assert history["val_accuracy"] == [pytest.approx((right * weight).sum() / weight.sum(), rel=1e-13)]


def columns_moved(weighted=False, seed=0, **options):
    """Train a neuron on one-hot inputs: the columns of its weights that moved tell which rows were trained on."""
    net = fastnn.Network([20, 1], activation="identity", seed=seed)
    before = net.weights[0].copy()
    weight = np.full(20, 2.0) if weighted else None
    net.fit(np.eye(20), np.full(20, 100.0), epochs=2, batch_size=4, sample_weight=weight, **options)
    return np.flatnonzero(net.weights[0] != before).tolist()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("fraction", "held_out"), [(0.25, 5), (0.05, 1), (0.93, 19)])
def test_validation_split_holds_its_fraction_out_of_the_training(fraction, held_out, weighted):
    assert len(columns_moved(weighted, validation_split=fraction)) == 20 - held_out


def test_validation_split_is_drawn_with_the_seed():
    first, again, other = (columns_moved(seed=seed, validation_split=0.25) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_validation_split_evaluates_the_rows_held_out():
    X, labels = classification()
    net = classifier()
    history = net.fit(X, labels, epochs=1, validation_split=1 / 23)
    assert history["val_loss"][0] in [pytest.approx(net.loss(X[[i]], labels[[i]]), rel=1e-13) for i in range(23)]
