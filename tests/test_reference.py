"""The NumPy specification, checked by hand-worked numbers, exact arithmetic and finite differences."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from helpers import central_differences

from fastnn import reference
from fastnn.reference import ACTIVATIONS, LOSSES, Network

BY_ELEMENT = ["identity", "sigmoid", "tanh", "arctan", "relu", "leaky_relu", "elu", "softplus"]
OUTPUTS = [
    *((name, "squared_error") for name in BY_ELEMENT),
    ("softmax", "cross_entropy"),
    ("sigmoid", "binary_cross_entropy"),
]
DTYPES = [np.float64, np.float32]
H = 1e-6
"""Of the central differences."""

POINTS = [
    -1000.0,
    -90.0,
    -40.0,
    -10.5,
    -3.25,
    -1.0,
    -0.5,
    -1e-8,
    1e-8,
    0.25,
    1.0,
    2.5,
    15.0,
    40.0,
    90.0,
    1000.0,
]
ONE = Decimal(1)


def exact(name, z):
    """Value and derivative of an activation at the double z, in 520 digits: enough for ln(1 + e^-1000)."""
    with localcontext() as context:
        context.prec = 520
        z = Decimal(float(z))
        e = z.exp()
        positive = z > 0
        value, derivative = {
            "identity": lambda: (z, ONE),
            "step": lambda: (int(positive), math.nan),
            "sigmoid": lambda: (e / (1 + e), e / (1 + e) ** 2),
            "tanh": lambda: ((e - 1 / e) / (e + 1 / e), 4 / (e + 1 / e) ** 2),
            "arctan": lambda: (math.atan(z), 1 / (1 + z * z)),
            "relu": lambda: (z, ONE) if positive else (0, 0),
            "leaky_relu": lambda: (z, ONE) if positive else (z / 100, ONE / 100),
            "elu": lambda: (z, ONE) if positive else (e - 1, e),
            "softplus": lambda: ((1 + e).ln(), e / (1 + e)),
        }[name]()
        return float(value), float(derivative)


def batch(n, n_inputs, n_outputs, loss="squared_error", seed=0):
    """Random rows and targets; those of cross_entropy are positive and sum to anything."""
    rng = np.random.default_rng(seed)
    y = rng.random((n, n_outputs)) if loss != "squared_error" else rng.normal(size=(n, n_outputs))
    return rng.normal(size=(n, n_inputs)), y


def away_from_kinks(z, least=1e-4):
    """No weighted input so near 0 that a difference would reach across the kink of a rectifier."""
    return min(np.abs(layer).min() for layer in z) > least


# ---- Activations


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["step", *BY_ELEMENT])
def test_activation_value_agrees_with_exact_arithmetic(name, dtype):
    z = np.array(POINTS, dtype)
    value = ACTIVATIONS[name][0](z)
    tiny = np.finfo(dtype).tiny  # below it numbers lose digits
    np.testing.assert_allclose(value, [exact(name, x)[0] for x in z], rtol=4 * np.finfo(dtype).eps, atol=tiny)
    assert value.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BY_ELEMENT)
def test_activation_derivative_agrees_with_exact_arithmetic(name, dtype):
    z = np.array(POINTS, dtype)
    value, derivative = ACTIVATIONS[name]
    expected = [exact(name, x)[1] for x in z]
    for got in (derivative(z), derivative(z, value(z))):
        np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)
        assert got.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_agrees_with_exact_arithmetic(dtype):
    z = np.array([[0.5, -1.25, 3.0], [1000.0, 999.0, -1000.0], [-1000.0, -1000.0, -1000.0]], dtype)
    e = [[Decimal(float(x)).exp() for x in row] for row in z]
    expected = [[float(x / sum(row)) for x in row] for row in e]
    got = ACTIVATIONS["softmax"][0](z)
    np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)
    assert got.dtype == dtype


@pytest.mark.parametrize(
    ("name", "value", "derivative"),
    [
        ("step", 1, None),
        ("relu", 0, 0),
        ("leaky_relu", 0, 0.01),
        ("elu", 0, 1),
        ("softplus", math.log(2), 0.5),
    ],
)
def test_activation_at_zero(name, value, derivative):
    z = np.zeros((1, 1))
    assert ACTIVATIONS[name][0](z) == value
    assert derivative is None or ACTIVATIONS[name][1](z) == derivative


@pytest.mark.parametrize("name", ["step", "softmax"])
def test_activation_without_derivative_refuses(name):
    with pytest.raises(ValueError, match="step learns only with perceptron"):
        ACTIVATIONS[name][1](np.zeros((1, 1)))


# ---- Losses


@pytest.mark.parametrize(
    ("loss", "z", "y", "expected"),
    [
        ("squared_error", [0.5, -2.0], [0.25, 1.0], 0.0625 + 9.0),
        ("cross_entropy", [0.0, 0.0], [1.0, 0.0], math.log(2)),
        ("cross_entropy", [0.0, math.log(3)], [0.5, 1.0], 0.5 * math.log(4) + math.log(4 / 3)),
        ("binary_cross_entropy", [0.0, math.log(3)], [1.0, 0.0], math.log(2) + math.log(4)),
        ("binary_cross_entropy", [math.log(3)], [0.25], 0.25 * math.log(4 / 3) + 0.75 * math.log(4)),
        ("perceptron", [2.0, -3.0, 2.0, -3.0], [1.0, 1.0, 0.0, 0.0], 0 + 3 + 2 + 0),
    ],
)
def test_loss_by_hand(loss, z, y, expected):
    output = reference.OUTPUT_OF.get(loss, "identity")
    network = Network([np.eye(len(z))], [np.zeros(len(z))], output, loss)
    assert network.loss_of([z], [y]) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("loss", "z", "y", "expected", "delta"),
    [
        ("cross_entropy", [1000.0, -1000.0], [0.0, 1.0], 2000, [1, -1]),
        ("cross_entropy", [1000.0, -1000.0], [1.0, 0.0], 0, [0, 0]),
        ("binary_cross_entropy", [1000.0, -1000.0], [0.0, 1.0], 2000, [1, -1]),
        ("binary_cross_entropy", [1000.0, -1000.0], [1.0, 0.0], 0, [0, 0]),
        ("perceptron", [1000.0, -1000.0], [0.0, 1.0], 2000, [1, -1]),
    ],
)
def test_loss_and_delta_at_extremes_are_finite_and_exact(loss, z, y, expected, delta, dtype):
    network = Network([np.eye(2, dtype=dtype)], [np.zeros(2, dtype)], reference.OUTPUT_OF[loss], loss)
    assert network.loss_of([z], [y]) == expected
    assert network.gradients([z], [y])[1][0].tolist() == delta


def test_binary_cross_entropy_keeps_the_digits_of_a_small_loss():
    z, y = np.array([[10.0]], np.float32), np.ones((1, 1), np.float32)
    term = LOSSES["binary_cross_entropy"][0](z, z, y)
    assert term.dtype == np.float32
    assert float(term[0, 0]) == pytest.approx(math.log1p(math.exp(-10)), rel=1e-6)


# ---- The four equations


@pytest.mark.parametrize(("activation", "loss"), OUTPUTS)
def test_equation_1_delta_of_the_last_layer(activation, loss):
    z, y = batch(4, 3, 3, loss)
    f, term = ACTIVATIONS[activation][0], LOSSES[loss][0]
    assert away_from_kinks([z])
    delta = reference.delta_of_last_layer(z, f(z), y, activation, loss)
    np.testing.assert_allclose(delta, central_differences(lambda: term(z, f(z), y).sum(), z, H), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("activation", BY_ELEMENT)
def test_equation_2_delta_from_the_next_layer(activation):
    rng = np.random.default_rng(1)
    z, w_next, delta_next = rng.normal(size=(4, 3)), rng.normal(size=(2, 3)), rng.normal(size=(4, 2))
    f = ACTIVATIONS[activation][0]
    assert away_from_kinks([z])
    delta = reference.delta_from_next_layer(w_next, delta_next, z, f(z), activation)
    # A cost that is linear in z of the next layer, with the gradient delta_next there.
    differences = central_differences(lambda: (delta_next * (f(z) @ w_next.T)).sum(), z, H)
    np.testing.assert_allclose(delta, differences, rtol=1e-7, atol=1e-8)


def test_equation_3_bias_gradient():
    rng = np.random.default_rng(2)
    a, w, b, delta = (rng.normal(size=shape) for shape in [(4, 3), (2, 3), 2, (4, 2)])
    differences = central_differences(lambda: (delta * (a @ w.T + b)).sum(), b, H)
    np.testing.assert_allclose(reference.bias_gradient(delta), differences, rtol=1e-7)


def test_equation_4_weight_gradient():
    rng = np.random.default_rng(3)
    a, w, b, delta = (rng.normal(size=shape) for shape in [(4, 3), (2, 3), 2, (4, 2)])
    differences = central_differences(lambda: (delta * (a @ w.T + b)).sum(), w, H)
    np.testing.assert_allclose(reference.weight_gradient(a, delta), differences, rtol=1e-7)


# ---- Gradients of the whole network


def assert_gradients_agree_with_differences(network, X, y, weight=None):
    assert away_from_kinks(network.forward(X)[0])
    weight_gradients, bias_gradients = network.gradients(X, y, weight)
    for gradient, parameters in zip(weight_gradients + bias_gradients, network.weights + network.biases, strict=True):
        differences = central_differences(lambda: network.loss_of(X, y, weight), parameters, H)
        np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True], ids=["mean", "weighted"])
@pytest.mark.parametrize(("activation", "loss"), OUTPUTS)
@pytest.mark.parametrize("hidden", BY_ELEMENT)
def test_gradients_agree_with_finite_differences(hidden, activation, loss, weighted):
    network = Network.random([3, 4, 3, 2], [hidden, hidden, activation], loss, seed=4)
    for b in network.biases:
        b += 0.3
    X, y = batch(5, 3, 2, loss, seed=5)
    weight = np.array([1.0, 0.5, 0.0, 3.0, 2.0]) if weighted else None
    assert_gradients_agree_with_differences(network, X, y, weight)


def test_gradients_with_a_different_activation_in_every_layer():
    network = Network.random([3, 4, 3, 4, 2], ["relu", "tanh", "softplus", "sigmoid"], seed=17)
    X, y = batch(5, 3, 2, seed=20)
    assert_gradients_agree_with_differences(network, X, y)


def test_float32_gradients_are_float32_and_near_those_of_float64():
    single, double = (Network.random([5, 8, 3], "tanh", seed=6, dtype=dtype) for dtype in (np.float32, np.float64))
    X, y = batch(7, 5, 3, seed=6)
    for gradient32, gradient64 in zip(single.gradients(X, y)[0], double.gradients(X, y)[0], strict=True):
        assert gradient32.dtype == np.float32
        np.testing.assert_allclose(gradient32, gradient64, rtol=1e-5, atol=1e-6)
    assert [a.dtype for a in single.activations(X)] == [np.float32] * 3
    weighted = single.gradients(X, y, np.ones(7))[0] + single.gradients(X, y, np.ones(7))[1]
    assert {gradient.dtype for gradient in weighted} == {np.dtype(np.float32)}


# ---- Worked examples


def test_relu_network_1_2_1():
    network = Network([[[1], [-1]], [[1, 0.5]]], [[0.5, 1], [0]], "relu")
    assert [a.tolist() for a in network.activations([[1]])] == [[[1]], [[1.5, 0]], [[1.5]]]
    assert network.logits([[-3]]).tolist() == [[2.0]]
    network.biases[1][0] = -5
    assert network.logits([[1]]).tolist() == [[-3.5]]
    assert network.predict([[1]]).tolist() == [[0]]


def test_worked_step():
    network = Network([[[0.5]], [[1.0]]], [[1.0], [0.0]])
    x, y = [[1.0]], [[0.0]]
    a = network.activations(x)
    assert [round(float(v.item()), 3) for v in a[1:]] == [0.818, 0.694]
    (dw0, dw1), (db0, db1) = network.gradients(x, y)
    assert [round(float(v.item()), 3) for v in (dw1, db1)] == [0.241, 0.295]
    assert [round(float(v.item()), 4) for v in (dw0, db0)] == [0.0440, 0.0440]
    assert round(network.step(x, y, 1.0), 3) == 0.481
    (w0, w1), (b0, b1) = network.weights, network.biases
    assert [round(float(v.item()), 3) for v in (w1, b1, w0, b0)] == [0.759, -0.295, 0.456, 0.956]
    assert round(network.loss_of(x, y), 3) == 0.334


def test_learning_rate():
    def path(rate, steps):
        network = Network([[[0.0]]], [[-1.0]], "identity")
        places = []
        for _ in range(steps):
            network.step([[0.0]], [[1.0]], rate)
            places.append(float(network.biases[0][0]))
        return places

    assert path(1.0, 4) == [3.0, -1.0, 3.0, -1.0]
    assert path(0.1, 1) == [pytest.approx(-0.6, rel=1e-15)]
    assert path(0.1, 200)[-1] == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize(
    ("y", "w", "b", "expected_w", "expected_b", "expected_loss"),
    [
        (1.0, [1.0, -2.0], 0.5, [1.5, -1.0], 1.0, 2.5),  # z = -2.5: wrong, w += 0.5 x
        (0.0, [1.0, 2.0], 0.5, [0.5, 1.0], 0.0, 5.5),  # z = 5.5: wrong, w -= 0.5 x
        (0.0, [0.0, 0.0], 0.0, [-0.5, -1.0], -0.5, 0.0),  # z = 0 answers 1: wrong, though its loss is 0
        (1.0, [0.0, 0.0], 0.0, [0.0, 0.0], 0.0, 0.0),  # z = 0 answers 1: right
        (1.0, [1.0, 2.0], 0.5, [1.0, 2.0], 0.5, 0.0),  # right
    ],
)
def test_perceptron_rule_by_hand(y, w, b, expected_w, expected_b, expected_loss):
    network = Network([[w]], [[b]], "step", "perceptron")
    assert network.step([[1.0, 2.0]], [y], 0.5) == expected_loss
    assert network.weights[0].tolist() == [expected_w]
    assert network.biases[0].tolist() == [expected_b]


def test_perceptron_learns_and():
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 0, 0, 1])
    network = Network([[[0.0, 0.0]]], [[0.0]], "step", "perceptron")
    losses = network.train(X, y, epochs=20, batch_size=1, learning_rate=1.0)
    assert losses[-1] == 0
    assert network.classify(X).tolist() == y.tolist()


# ---- Averages, weights, batches


def test_loss_sums_over_outputs_and_averages_over_rows():
    network = Network([np.eye(2)], [np.zeros(2)], "identity")
    X, y = [[1.0, 2.0], [3.0, 4.0]], np.zeros((2, 2))
    assert network.loss_of(X, y) == (1 + 4 + 9 + 16) / 2
    assert network.loss_of(X, y, [3.0, 1.0]) == (3 * 5 + 1 * 25) / 4
    assert network.gradients(X, y)[1][0].tolist() == [(2 + 6) / 2, (4 + 8) / 2]
    assert network.gradients(X, y, [3.0, 1.0])[1][0].tolist() == [(3 * 2 + 6) / 4, (3 * 4 + 8) / 4]


def test_step_is_rate_times_gradient_in_place():
    network = Network.random([3, 4, 2], "tanh", seed=7)
    X, y = batch(5, 3, 2, seed=7)
    weight = [1.0, 2.0, 0.0, 1.0, 4.0]
    parameters = network.weights + network.biases
    before = [p.copy() for p in parameters]
    weight_gradients, bias_gradients = network.gradients(X, y, weight)
    loss = network.loss_of(X, y, weight)
    assert network.step(X, y, 0.25, weight) == loss
    for p, q, gradient in zip(parameters, before, weight_gradients + bias_gradients, strict=True):
        np.testing.assert_allclose(p, q - 0.25 * gradient, rtol=1e-14)
    assert all(p is q for p, q in zip(parameters, network.weights + network.biases, strict=True))


def test_batch_of_weight_zero_makes_no_update():
    network = Network.random([3, 2], seed=8)
    X, y = batch(4, 3, 2, seed=8)
    before = network.weights[0].copy()
    assert math.isnan(network.step(X, y, 1.0, np.zeros(4)))
    assert math.isnan(network.loss_of(X, y, np.zeros(4)))
    assert not any(gradient.any() for gradient in network.gradients(X, y, np.zeros(4))[0])
    assert np.array_equal(network.weights[0], before)


def test_train_in_batches_with_a_ragged_last_one():
    network, by_hand = (Network.random([3, 4, 2], "tanh", seed=9) for _ in range(2))
    X, y = batch(7, 3, 2, seed=9)
    orders = np.random.default_rng(9).permuted(np.tile(np.arange(7), (2, 1)), axis=1)
    losses = network.train(X, y, epochs=2, batch_size=3, learning_rate=0.1, order=lambda epoch: orders[epoch])
    expected = []
    for order in orders:
        first, second, third = order[:3], order[3:6], order[6:]
        steps = [by_hand.step(X[rows], y[rows], 0.1) for rows in (first, second, third)]
        expected.append((3 * steps[0] + 3 * steps[1] + 1 * steps[2]) / 7)
    assert losses == pytest.approx(expected, rel=1e-14)
    for p, q in zip(network.weights, by_hand.weights, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-13)


def test_train_without_an_order_takes_the_rows_in_theirs():
    network, by_hand = (Network.random([3, 2], seed=10) for _ in range(2))
    X, y = batch(5, 3, 2, seed=10)
    network.train(X, y, epochs=1, batch_size=2, learning_rate=0.5)
    for rows in (slice(0, 2), slice(2, 4), slice(4, 5)):
        by_hand.step(X[rows], y[rows], 0.5)
    np.testing.assert_allclose(network.weights[0], by_hand.weights[0], rtol=1e-13)


def test_train_weights_the_mean_of_the_losses():
    network, by_hand = (Network.random([3, 2], seed=11) for _ in range(2))
    X, y = batch(5, 3, 2, seed=11)
    weight = np.array([1.0, 4.0, 0.0, 0.0, 3.0])
    (loss,) = network.train(X, y, epochs=1, batch_size=2, learning_rate=0.5, sample_weight=weight)
    first = by_hand.step(X[:2], y[:2], 0.5, weight[:2])
    last = by_hand.step(X[4:], y[4:], 0.5, weight[4:])  # the batch between has weight 0
    assert loss == pytest.approx((5 * first + 3 * last) / 8, rel=1e-14)
    np.testing.assert_allclose(network.weights[0], by_hand.weights[0], rtol=1e-13)


def test_train_on_weights_of_zero_reports_nan():
    network = Network.random([3, 2], seed=12)
    X, y = batch(4, 3, 2, seed=12)
    losses = network.train(X, y, epochs=2, batch_size=3, learning_rate=0.5, sample_weight=np.zeros(4))
    assert np.isnan(losses).tolist() == [True, True]


# ---- Building, targets, answers


def test_labels_stand_for_one_hot_rows():
    network = Network.random([2, 3], "softmax", "cross_entropy", seed=13)
    X = batch(4, 2, 3)[0]
    assert network.loss_of(X, np.array([2, 0, 1, 1])) == network.loss_of(X, np.eye(3)[[2, 0, 1, 1]])


def test_one_output_takes_integers_as_numbers():
    network = Network([[[0.0]]], [[0.0]], "identity")
    assert network.loss_of([[0.0], [0.0]], np.array([3, 1])) == (9 + 1) / 2


@pytest.mark.parametrize("y", [[0, 3], [-1, 0], [0.0, 1.0], np.zeros((2, 1)), np.zeros((3, 3)), [1, 0, 2]])
def test_targets_that_do_not_fit_are_refused(y):
    network = Network.random([2, 3], seed=14)
    with pytest.raises(ValueError, match="y: expected"):
        network.loss_of(np.zeros((2, 2)), y)


@pytest.mark.parametrize("X", [np.zeros(2), np.zeros((2, 1))])
def test_inputs_that_do_not_fit_are_refused(X):
    with pytest.raises(ValueError, match="X: expected"):
        Network.random([2, 3], seed=15).predict(X)


def test_classify_takes_the_largest_output():
    network = Network([np.eye(3)], [np.zeros(3)], "identity")
    assert network.classify([[1, 5, 2], [7, 0, 7]]).tolist() == [1, 0]


def test_classify_one_output_at_one_half():
    network = Network([[[1.0]]], [[0.0]], "identity")
    assert network.classify([[0.49], [0.5], [0.51], [-3.0]]).tolist() == [0, 1, 1, 0]


def test_random_draws_weights_of_the_documented_deviation_and_biases_of_zero():
    network = Network.random([400, 300, 100], seed=16, dtype=np.float32)
    for w, b in zip(network.weights, network.biases, strict=True):
        n_out, n_in = w.shape
        spread = 1 / math.sqrt(n_in)
        assert w.std() == pytest.approx(spread, rel=5 / math.sqrt(2 * n_out * n_in))
        assert w.mean() == pytest.approx(0, abs=5 * spread / math.sqrt(n_out * n_in))
        assert b.tolist() == [0] * n_out
        assert w.dtype == b.dtype == np.float32


def test_random_is_reproducible_by_seed():
    one, same, other = (Network.random([3, 2], seed=seed).weights[0] for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_network_copies_what_it_is_given():
    w, b = np.ones((1, 1), np.float32), np.zeros(1, np.float32)
    network = Network([w], [b], "identity")
    network.step([[1.0]], [0.0], 0.5)
    assert (w.item(), b.item(), network.dtype) == (1, 0, np.float32)
    assert network.weights[0].item() == 0


@pytest.mark.parametrize(
    ("weights", "biases", "activation", "loss", "message"),
    [
        ([np.eye(2)], [], "sigmoid", "squared_error", "one of each per layer"),
        ([np.eye(2)], [np.zeros(2)], ["tanh", "tanh"], "squared_error", "one of each per layer"),
        ([], [], "sigmoid", "squared_error", "one of each per layer"),
        ([np.eye(2)], [np.zeros(3)], "sigmoid", "squared_error", "shapes"),
        ([np.ones((3, 2)), np.ones((1, 2))], [np.zeros(3), np.zeros(1)], "tanh", "squared_error", "shapes"),
        ([np.eye(2)], [np.zeros(2)], "swish", "squared_error", "unknown .'swish'"),
        ([np.eye(2)], [np.zeros(2)], "tanh", "hinge", "unknown .'hinge'"),
        ([np.eye(2)], [np.zeros(2)], "softmax", "squared_error", "does not take"),
        ([np.eye(2)], [np.zeros(2)], "sigmoid", "cross_entropy", "does not take"),
        ([np.eye(2)], [np.zeros(2)], "tanh", "binary_cross_entropy", "does not take"),
        ([np.eye(2)], [np.zeros(2)], "sigmoid", "perceptron", "does not take"),
        ([np.eye(2)] * 2, [np.zeros(2)] * 2, "softmax", "cross_entropy", "last layer"),
    ],
)
def test_invalid_networks_are_refused(weights, biases, activation, loss, message):
    with pytest.raises(ValueError, match=message):
        Network(weights, biases, activation, loss)


def test_hidden_step_is_refused_by_gradients_but_predicts():
    network = Network([[[1.0]], [[1.0]]], [[0.0], [0.0]], ["step", "identity"])
    assert network.predict([[-1.0], [2.0]]).tolist() == [[0], [1]]
    with pytest.raises(ValueError, match="step learns only with perceptron"):
        network.gradients([[1.0]], [0.0])
