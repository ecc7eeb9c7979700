"""L-BFGS on the compiled gradient."""

import numpy as np
import pytest

import fastnn

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (60, 2))
Y = np.stack([X[:, 0] - 2 * X[:, 1] + 0.5, X[:, 0] * X[:, 1]], axis=1)


def linear(seed=0):
    return fastnn.Network([2, 2], activation="identity", dtype="float64", seed=seed)


def bent(**options):
    return fastnn.Network([2, 12, 2], activation=["tanh", "identity"], dtype="float64", seed=0, **options)


def test_a_linear_network_reaches_the_least_squares_solution():
    net = linear()
    history = net.fit(X, Y, epochs=100, optimizer=fastnn.LBFGS(tolerance=1e-10))
    wanted, *_ = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), Y, rcond=None)
    np.testing.assert_allclose(net.weights[0], wanted[:2].T, atol=1e-7)
    np.testing.assert_allclose(net.biases[0], wanted[2], atol=1e-7)
    assert history.stop_reason == "converged"


def test_l2_is_half_the_sum_of_squared_weights_and_leaves_the_biases():
    net = linear()
    net.fit(X, Y, epochs=100, optimizer=fastnn.LBFGS(tolerance=1e-10), l2=0.3)
    inputs = np.column_stack([X, np.ones(len(X))])
    # the gradient of mean |a - y|^2 + 0.3 / 2 |w|^2 is 0 where (2/n A'A + 0.3 D) w = 2/n A'y
    wanted = np.linalg.solve(2 / 60 * inputs.T @ inputs + 0.3 * np.diag([1, 1, 0]), 2 / 60 * inputs.T @ Y)
    np.testing.assert_allclose(net.weights[0], wanted[:2].T, atol=1e-7)
    np.testing.assert_allclose(net.biases[0], wanted[2], atol=1e-7)


def test_the_history_has_the_loss_after_each_iteration_without_penalty():
    net = bent()
    seen = []
    history = net.fit(
        X, Y, epochs=7, optimizer="lbfgs", l2=0.01, validation_data=(X[:9], Y[:9]),
        callbacks=[lambda net, history: seen.append((net.loss(X, Y), net.loss(X[:9], Y[:9])))],
    )  # fmt: skip
    np.testing.assert_allclose(history["loss"], [loss for loss, _ in seen], rtol=1e-12)
    np.testing.assert_allclose(history["val_loss"], [loss for _, loss in seen], rtol=1e-12)
    assert (history.epochs, history.stop_reason, net.epochs_trained) == (7, "epochs", 7)
    assert history["loss"][-1] < history["loss"][0]


def test_a_callback_ends_the_search_at_its_iteration():
    net = bent()
    history = net.fit(X, Y, epochs=50, optimizer="lbfgs", callbacks=[lambda net, history: history.epochs == 3])
    assert (history.epochs, history.stop_reason) == (3, "callback")
    assert net.loss(X, Y) == pytest.approx(history["loss"][-1], rel=1e-12)


def test_frozen_layers_stay():
    net = bent()
    net.freeze(0)
    before = [part.copy() for part in (*net.weights, *net.biases)]
    net.fit(X, Y, epochs=5, optimizer="lbfgs", l2=0.1)
    after = [*net.weights, *net.biases]
    assert [(a == b).all() for a, b in zip(before, after, strict=True)] == [True, False, True, False]


def test_accuracy_is_recorded_for_labels():
    net = fastnn.Network([2, 8, 2], activation=["tanh", "softmax"], loss="cross_entropy", seed=0)
    history = net.fit(X, (X[:, 0] > X[:, 1]).astype(int), epochs=50, optimizer="lbfgs")
    assert history["accuracy"][-1] == 1


def test_float32_converges_as_far_as_its_precision_allows():
    net = fastnn.Network([2, 2], activation="identity", seed=0)
    net.fit(X, Y, epochs=100, optimizer="lbfgs")
    best = linear()
    best.fit(X, Y, epochs=100, optimizer="lbfgs")
    assert net.loss(X, Y) == pytest.approx(best.loss(X, Y), rel=1e-4)


def test_zero_iterations_change_nothing():
    net = bent()
    before = net.parameters
    assert net.fit(X, Y, epochs=0, optimizer="lbfgs").epochs == 0
    assert (net.parameters == before).all()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"learning_rate": 0.1}, "learning_rate"),
        ({"l1": 0.1}, "l1"),
        ({"clip_norm": 1.0}, "clip_norm"),
        ({"input_noise": 0.1}, "input_noise"),
        ({"ema_decay": 0.9}, "ema_decay"),
    ],
)
def test_options_that_make_the_loss_rough_or_random_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        bent().fit(X, Y, epochs=1, optimizer="lbfgs", **options)


def test_dropout_is_refused():
    with pytest.raises(ValueError, match="dropout"):
        bent(dropout=0.5).fit(X, Y, epochs=1, optimizer="lbfgs")


def test_validation_accuracy_is_recorded_too():
    net = fastnn.Network([2, 8, 2], activation=["tanh", "softmax"], loss="cross_entropy", seed=0)
    labels = (X[:, 0] > X[:, 1]).astype(int)
    history = net.fit(X, labels, epochs=5, optimizer="lbfgs", validation_data=(X[:9], labels[:9]))
    right = (net.predict(X[:9]).argmax(axis=1) == labels[:9]).mean()
    assert history["val_accuracy"][-1] == pytest.approx(right)


def test_ctrl_c_keeps_the_last_iteration():
    net = bent()
    before = net.loss(X, Y)

    def press(net, history):
        if history.epochs == 3:
            raise KeyboardInterrupt

    history = net.fit(X, Y, epochs=50, optimizer="lbfgs", callbacks=[press])
    assert (history.stop_reason, history.epochs) == ("interrupted", 3)
    assert net.loss(X, Y) < before


@pytest.mark.parametrize("factor", [1e25, 1e5], ids=["targets", "inputs"])
def test_a_loss_that_is_not_finite_is_divergence(factor):
    def network():
        return fastnn.Network([2, 4, 2], activation=["exponential", "identity"], seed=0)

    rows, targets = (X, Y * factor) if factor == 1e25 else (X * factor, Y)
    net = network()
    before = net.parameters
    with pytest.raises(fastnn.DivergenceError, match="not finite in iteration 1") as error:
        net.fit(rows, targets, epochs=5, optimizer="lbfgs")
    assert error.value.history.stop_reason == "diverged"
    assert net.epochs_trained == 0
    assert (net.parameters == before).all()
    with pytest.warns(RuntimeWarning, match="not finite in iteration 1"):
        history = network().fit(rows, targets, epochs=5, optimizer="lbfgs", on_divergence="continue")
    assert history.stop_reason == "diverged"


def test_callbacks_see_the_iterations_as_epochs():
    net, seen = bent(), []
    net.fit(X, Y, epochs=3, optimizer="lbfgs", callbacks=[lambda net, history: seen.append(net.copy().epochs_trained)])
    assert seen == [1, 2, 3]
