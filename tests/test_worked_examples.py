"""Worked examples of the textbooks' introductions: each claim on the compiled kernels, through the public API."""

import itertools
import math
import os
from decimal import Decimal, localcontext

import numpy as np
import pytest
import scipy.stats
from helpers import BOTH, central_differences, differences_by_layer, gradient_by_differences

import fastnn
from fastnn import reference
from fastnn.kernels.activations import CODES as ACTIVATION_CODES
from fastnn.kernels.jit import COMPILED
from fastnn.kernels.losses import CODES as LOSS_CODES
from fastnn.preprocessing import MinMaxScaler, StandardScaler, train_test_split

ONE = Decimal(1)


def neuron(activation, weights, bias, **options):
    """A network of one neuron with these weights."""
    net = fastnn.Network([len(weights), 1], activation=activation, seed=0, **options)
    net.weights[0][0] = weights
    net.biases[0][0] = bias
    return net


def all_inputs(n):
    return np.array(list(itertools.product((0, 1), repeat=n)))


# ---- One neuron


@pytest.mark.parametrize("fan_in", [2, 5])
@pytest.mark.parametrize(("gate", "threshold"), [(all, lambda n: n), (any, lambda n: 1)], ids=["and", "or"])
def test_mcculloch_pitts_neurons_compute_and_and_or(gate, threshold, fan_in):
    net = neuron("step", np.ones(fan_in), -threshold(fan_in))
    X = all_inputs(fan_in)
    assert net.predict(X)[:, 0].tolist() == [float(gate(row)) for row in X]


GATES = [np.array(outputs) for outputs in itertools.product((0, 1), repeat=4)]
XOR, XNOR = np.array([0, 1, 1, 0]), np.array([1, 0, 0, 1])


def perceptron(seed=0):
    return fastnn.Network([2, 1], activation="step", loss="perceptron", seed=seed)


@pytest.mark.parametrize(
    "y", [y for y in GATES if not any((y == no).all() for no in (XOR, XNOR))], ids=lambda y: "".join(map(str, y))
)
def test_the_perceptron_learns_every_separable_gate(y):
    net = perceptron()
    net.fit(all_inputs(2), y, epochs=40, batch_size=1, learning_rate=0.5)
    assert net.classify(all_inputs(2)).tolist() == y.tolist()


@pytest.mark.parametrize("y", [XOR, XNOR], ids=["xor", "xnor"])
def test_the_perceptron_on_xor_stops_at_the_epoch_limit_and_says_so(y):
    history = perceptron().fit(all_inputs(2), y, epochs=40, batch_size=1, learning_rate=0.5)
    assert history.stop_reason == "epochs"
    assert history.epochs == 40
    assert max(history["accuracy"]) < 1


@pytest.mark.parametrize(
    ("bias", "x", "y", "weights_after", "bias_after"),
    [
        (1.0, [1.0, 2.0], 0, [0.5, -2.0], 0.5),  # z = 0 gives 1, target 0: w - x / 2, b - 1/2
        (0.5, [-1.0, 0.5], 1, [0.5, -0.75], 1.0),  # z = -1 gives 0, target 1: w + x / 2, b + 1/2
        (0.0, [1.0, 1.0], 1, [1.0, -1.0], 0.0),  # z = 0 gives 1, which is right
    ],
)
def test_the_perceptron_rule_by_hand(bias, x, y, weights_after, bias_after):
    net = neuron("step", [1.0, -1.0], bias, loss="perceptron")
    net.step([x], [y], 0.5)
    assert (net.weights[0][0].tolist(), net.biases[0].tolist()) == (weights_after, [bias_after])


# ---- Activations and layers

POINTS = [-1000.0, -90.0, -30.0, -10.5, -3.25, -1.0, -0.5, -1e-8, 0.0, 1e-8, 0.25, 1.0, 2.5, 15.0, 40.0, 90.0, 1000.0]
BY_ELEMENT = [name for name in ACTIVATION_CODES if name not in ("softmax", "exponential")]
SELU = Decimal("1.0507009873554804934193349852946"), Decimal("1.6732632423543772848170429916717")
SELU = *SELU, SELU[0] * SELU[1]


def normal(z):
    """Distribution and density of the normal law at z."""
    return Decimal(0.5 * math.erfc(-z / Decimal(2).sqrt())), Decimal(math.exp(-z * z / 2) / math.sqrt(2 * math.pi))


def exact(name, z):
    """Value and derivative of an activation at the double z, in 520 digits: enough for ln(1 + e^-1000)."""
    with localcontext() as context:
        context.prec = 520
        z = Decimal(float(z))
        e = z.exp()
        positive = z > 0
        value, derivative = {
            "identity": lambda: (z, ONE),
            "step": lambda: (int(z >= 0), 0),
            "sigmoid": lambda: (e / (1 + e), e / (1 + e) ** 2),
            "tanh": lambda: ((e - 1 / e) / (e + 1 / e), 4 / (e + 1 / e) ** 2),
            "arctan": lambda: (math.atan(z), 1 / (1 + z * z)),
            "relu": lambda: (z, ONE) if positive else (0, 0),
            "leaky_relu": lambda: (z, ONE) if positive else (z / 100, ONE / 100),
            "elu": lambda: (z, ONE) if positive else (e - 1, e),
            "softplus": lambda: ((1 + e).ln(), e / (1 + e)),
            "silu": lambda: (z * e / (1 + e), e / (1 + e) + z * e / (1 + e) ** 2),
            "mish": lambda: (z * (t := ((1 + e) ** 2 - 1) / ((1 + e) ** 2 + 1)), t + z * (1 - t * t) * e / (1 + e)),
            "gelu": lambda: (z * normal(z)[0], normal(z)[0] + z * normal(z)[1]),
            "selu": lambda: (
                (SELU[0] * z, SELU[0]) if positive else (SELU[0] * SELU[1] * (e - 1), SELU[0] * SELU[1] * e)
            ),
            "softsign": lambda: (z / (1 + abs(z)), 1 / (1 + abs(z)) ** 2),
            "hard_sigmoid": lambda: (min(max(z / 6 + ONE / 2, 0), 1), ONE / 6 if abs(z) < 3 else 0),
        }[name]()
        return float(value), float(derivative)


def side_by_side(name, dtype):
    """One neuron for each point, each with its point as the only input: z = POINTS."""
    net = fastnn.Network([len(POINTS)] * 2, activation=name, dtype=dtype, seed=0)
    net.weights[0][...] = np.eye(len(POINTS))
    return net, np.array([POINTS], dtype)


@BOTH
@pytest.mark.parametrize("name", BY_ELEMENT)
def test_activation_values(name, dtype):
    net, z = side_by_side(name, dtype)
    wanted = [exact(name, x)[0] for x in z[0]]
    limits = np.finfo(dtype)
    # sigmoid ends at the smallest normal numbers instead of 0, and silu takes that times z; gelu's erfc multiplies the
    # rounding of its argument by z^2, 110 at -10.5
    ulps, tiny = {"silu": (4, 2000), "mish": (8, 2000), "gelu": (120, 2)}.get(name, (4, 2))
    np.testing.assert_allclose(net.predict(z)[0], wanted, rtol=ulps * limits.eps, atol=tiny * limits.tiny)


@BOTH
@pytest.mark.parametrize("name", [name for name in BY_ELEMENT if name != "step"])
def test_activation_derivatives(name, dtype):
    net, z = side_by_side(name, dtype)
    targets = net.predict(z) - np.array(0.5, dtype)  # so that 2 (a - y) f' is f', to half a unit of a
    wanted = [exact(name, x)[1] for x in z[0]]
    limits = np.finfo(dtype)
    np.testing.assert_allclose(net.gradients(z, targets)[1][0], wanted, rtol=8 * limits.eps, atol=2 * limits.eps)


@BOTH
def test_softmax_values(dtype):
    z = np.array([[0.5, -1.25, 3.0], [1000.0, 999.0, -1000.0], [-1000.0, -1000.0, -1000.0]], dtype)
    net = fastnn.Network([3, 3], activation="softmax", loss="cross_entropy", dtype=dtype, seed=0)
    net.weights[0][...] = np.eye(3)
    e = [[Decimal(float(x)).exp() for x in row] for row in z]
    wanted = [[float(x / sum(row)) for x in row] for row in e]
    np.testing.assert_allclose(net.predict(z), wanted, rtol=8 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize("name", [name for name in BY_ELEMENT if name != "step"])
def test_each_layer_has_its_own_activation(name):
    net = fastnn.Network([4, 6, 3], activation=[name, "tanh"], dtype="float64", seed=2)
    other = fastnn.Network([4, 6, 3], activation=["tanh", name], dtype="float64", seed=2)
    X = np.random.default_rng(0).normal(size=(5, 4))
    f = reference.ACTIVATIONS[name][0]
    for layered, functions in ((net, (f, np.tanh)), (other, (np.tanh, f))):
        hidden = functions[0](X @ layered.weights[0].T)
        np.testing.assert_allclose(
            layered.predict(X), functions[1](hidden @ layered.weights[1].T), rtol=1e-13, atol=1e-15
        )


LAYERS = [[3, 2], [1, 1], [5, 1, 7], [4, 9, 17, 3, 33], [784, 16, 10], [2, 3, 4, 5, 6, 7, 8, 9], [300, 40, 1]]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("sizes", LAYERS, ids=str)
def test_layers_in_matrix_form(sizes, dtype, tolerance):
    net = fastnn.Network(sizes, activation="tanh", dtype=dtype, seed=3)
    for bias in net.biases:
        bias[...] = np.linspace(-0.5, 0.5, len(bias))
    X = np.random.default_rng(0).normal(size=(6, sizes[0])).astype(dtype)
    for x, output in zip(X, net.predict(X), strict=True):
        a = x.astype(np.float64)
        for W, b in zip(net.weights, net.biases, strict=True):
            a = np.tanh(W.astype(np.float64) @ a + b)  # W: rows = to, columns = from
        np.testing.assert_allclose(output, a, rtol=0, atol=tolerance)  # a few roundings of numbers up to 1


# ---- The networks of the texts


@pytest.mark.parametrize(("hidden", "count"), [(16, 12_730), (15, 11_935)])
def test_number_of_parameters_of_the_digit_networks(hidden, count):
    net = fastnn.Network([784, hidden, 10], seed=0)
    assert net.n_parameters == len(net.parameters) == count


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [16, 15])
def test_the_digit_networks_learn_mnist(hidden):
    if not os.environ.get("FASTNN_DATA"):
        pytest.skip("FASTNN_DATA names no folder with the MNIST files")
    (X, y), (X_test, y_test) = fastnn.datasets.load_mnist()
    epochs, least = (4, 0.92) if COMPILED else (2, 0.5)
    if not COMPILED:
        X, y, X_test, y_test = X[:400], y[:400], X_test[:300], y_test[:300]
    net = fastnn.Network([784, hidden, 10], seed=0, input_scale=1 / 255)
    net.fit(X, y, epochs=epochs, batch_size=10, learning_rate=1.5)
    assert np.mean(net.classify(X_test) == y_test) >= least


@BOTH
def test_the_example_of_a_1_2_1_relu_network(dtype):
    net = fastnn.Network([1, 2, 1], activation="relu", dtype=dtype, seed=0)
    net.weights[0][...] = [[1], [-1]]
    net.biases[0][...] = [0.5, 1]
    net.weights[1][...] = [[1, 0.5]]
    net.biases[1][...] = 0
    x, hidden, output = net.activations([[1]])
    assert (x.tolist(), hidden.tolist(), output.tolist()) == ([[1]], [[1.5, 0]], [[1.5]])
    assert net.predict([[1]]).tolist() == [[1.5]]


# ---- Loss, backpropagation, gradient


@BOTH
def test_squared_error_sums_over_outputs_and_averages_over_examples(dtype):
    net = fastnn.Network([2, 2], activation="identity", dtype=dtype, seed=0)
    net.weights[0][...] = np.eye(2)
    X, y = [[1, 2], [3, -1]], [[0, 4], [1, 1]]  # a - y: (1, -2), (2, -2)
    assert net.loss(X, y) == (1 + 4 + 4 + 4) / 2


@BOTH
def test_the_gradient_of_squared_error_is_twice_the_error(dtype):
    net = fastnn.Network([2, 2], activation="identity", dtype=dtype, seed=0)
    net.weights[0][...] = np.eye(2)
    (weights,), (biases,) = net.gradients([[1, 2], [3, -1]], [[0, 4], [1, 1]])
    assert biases.tolist() == [(2 * 1 + 2 * 2) / 2, (2 * -2 + 2 * -2) / 2]
    assert weights.tolist() == [[(2 * 1 + 4 * 3) / 2, (2 * 2 - 4 * 1) / 2], [(-4 * 1 - 4 * 3) / 2, (-4 * 2 + 4) / 2]]


def deep(n_rows=4):
    """A smooth network of three layers, rows for it, and their targets."""
    rng = np.random.default_rng(5)
    net = fastnn.Network([3, 4, 5, 2], activation=["tanh", "sigmoid", "arctan"], dtype="float64", seed=5)
    net.parameters = rng.normal(size=net.n_parameters)
    return net, rng.normal(size=(n_rows, 3)), rng.normal(size=(n_rows, 2))


CLOSE = {"rtol": 1e-7, "atol": 1e-9}  # the error of the differences


def test_backpropagation_equation_1_delta_of_the_last_layer():
    net, X, y = deep(1)
    a_below = net.activations(X)[-2][0]
    z = net.weights[-1] @ a_below + net.biases[-1]

    wanted = central_differences(lambda: np.sum((np.arctan(z) - y[0]) ** 2), z, 1e-5)
    np.testing.assert_allclose(net.gradients(X, y)[1][-1], wanted, **CLOSE)


@pytest.mark.parametrize("layer", [0, 1])
def test_backpropagation_equation_2_delta_from_the_next_layer(layer):
    net, X, y = deep(1)
    deltas = net.gradients(X, y)[1]
    a = net.activations(X)[layer + 1][0]
    derivative = 1 - a * a if layer == 0 else a * (1 - a)  # of tanh, of sigmoid
    np.testing.assert_allclose(deltas[layer], net.weights[layer + 1].T @ deltas[layer + 1] * derivative, rtol=1e-12)


def test_backpropagation_equation_3_gradient_of_a_bias_is_its_delta():
    net, X, y = deep()
    deltas = [net.gradients(X[[i]], y[[i]])[1] for i in range(len(X))]  # of single rows
    by_differences = differences_by_layer(lambda: net.loss(X, y), net)[1]
    for number, wanted in enumerate(by_differences):
        np.testing.assert_allclose(np.mean([delta[number] for delta in deltas], axis=0), wanted, **CLOSE)


def test_backpropagation_equation_4_gradient_of_a_weight_is_activation_times_delta():
    net, X, y = deep()
    a = net.activations(X)
    deltas = [net.gradients(X[[i]], y[[i]])[1] for i in range(len(X))]
    by_differences = differences_by_layer(lambda: net.loss(X, y), net)[0]
    for number, (gradient, wanted) in enumerate(zip(net.gradients(X, y)[0], by_differences, strict=True)):
        products = [np.outer(delta[number], a[number][i]) for i, delta in enumerate(deltas)]
        np.testing.assert_allclose(gradient, np.mean(products, axis=0), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(gradient, wanted, **CLOSE)


OUTPUT_FOR = {
    "squared_error": "arctan",
    "half_squared_error": "sigmoid",
    "cross_entropy": "softmax",
    "binary_cross_entropy": "sigmoid",
    "perceptron": "step",
    "absolute_error": "tanh",
    "huber": "softsign",
    "quantile": "identity",
    "poisson": "exponential",
}


def test_the_gradient_check_leaves_no_loss_out():
    assert set(OUTPUT_FOR) == set(LOSS_CODES)


@pytest.mark.parametrize("loss", LOSS_CODES)
def test_every_loss_passes_the_same_gradient_check(loss):
    net = fastnn.Network([3, 4, 3], activation=["tanh", OUTPUT_FOR[loss]], loss=loss, dtype="float64", seed=1)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5, 3)), np.eye(3)[[0, 2, 1, 1, 0]]
    z = net.activations(X)[1] @ net.weights[1].T
    assert np.abs(z).min() > 1e-3  # away from the perceptron's kink
    np.testing.assert_allclose(
        net.gradients(X, y, flat=True), gradient_by_differences(lambda: net.loss(X, y), net), **CLOSE
    )


def test_the_gradient_vector_is_as_long_as_there_are_parameters():
    net, X, y = deep()
    gradient = net.gradients(X, y, flat=True)
    assert gradient.shape == (net.n_parameters,) == (3 * 4 + 4 + 4 * 5 + 5 + 5 * 2 + 2,)


def test_the_gradient_vector_has_every_partial_derivative_in_order():
    net, X, y = deep()
    np.testing.assert_allclose(
        net.gradients(X, y, flat=True), gradient_by_differences(lambda: net.loss(X, y), net), **CLOSE
    )


def test_the_gradient_vector_agrees_with_the_gradients_by_layer():
    net, X, y = deep()
    weights, biases = net.gradients(X, y)
    parts = [part.ravel() for pair in zip(weights, biases, strict=True) for part in pair]
    assert [w.shape for w in weights] == [w.shape for w in net.weights]
    assert np.concatenate(parts).tolist() == net.gradients(X, y, flat=True).tolist()


# ---- Gradient descent


def worked_example(dtype):
    net = fastnn.Network([1, 1, 1], dtype=dtype, seed=0)
    net.parameters = [0.5, 1, 1, 0]  # w0, b0, w1, b1
    return net


@BOTH
def test_a_step_of_gradient_descent_by_hand_forward(dtype):
    net = worked_example(dtype)
    assert [round(float(a[0, 0]), 3) for a in net.activations([[1]])[1:]] == [0.818, 0.694]
    assert round(net.loss([[1]], [0]), 3) == 0.481


@BOTH
def test_a_step_of_gradient_descent_by_hand_gradient(dtype):
    w0, b0, w1, b1 = worked_example(dtype).gradients([[1]], [0], flat=True).tolist()
    assert (round(w1, 3), round(b1, 3), round(w0, 4), round(b0, 4)) == (0.241, 0.295, 0.0440, 0.0440)


@BOTH
def test_a_step_of_gradient_descent_by_hand_update(dtype):
    net = worked_example(dtype)
    cost = net.step([[1]], [0], 1)
    w0, b0, w1, b1 = net.parameters.tolist()
    assert round(cost, 3) == 0.481
    assert (round(w1, 3), round(b1, 3), round(w0, 3), round(b0, 3)) == (0.759, -0.295, 0.456, 0.956)
    assert round(net.loss([[1]], [0]), 3) == 0.334


def parabola():
    """The cost (b - 1)^2 of one bias, from b = -1: a neuron whose input is 0, whose target is 1."""
    return neuron("identity", [0.0], -1.0), [[0.0]], [1.0]


def test_a_learning_rate_of_1_on_a_parabola_oscillates_for_ever():
    net, X, y = parabola()
    history = net.fit(X, y, epochs=1, learning_rate=1)
    assert net.biases[0].tolist() == [3]
    history = net.fit(X, y, epochs=1001, learning_rate=1)  # not called diverged
    assert net.biases[0].tolist() == [-1]
    assert history["loss"] == [4.0] * 1001
    assert history.stop_reason == "epochs"


def test_a_learning_rate_of_a_tenth_on_a_parabola_converges():
    net, X, y = parabola()
    net.fit(X, y, epochs=1, learning_rate=0.1)
    assert net.biases[0][0] == np.float32(-0.6)
    net.fit(X, y, epochs=200, learning_rate=0.1)
    assert net.biases[0][0] == pytest.approx(1, abs=1e-6)  # 2 * 0.8^200 is 0, a unit of float32 is left


@pytest.mark.parametrize("batch_size", [1, 7, 16, 32, 45, 1000])
def test_batches_of_any_size_against_plain_numpy(batch_size):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(45, 4)), rng.normal(size=(45, 2))  # 45 = 6 * 7 + 3 = 2 * 16 + 13 = 32 + 13
    net = fastnn.Network([4, 5, 2], activation="tanh", dtype="float64", seed=2)
    W, b = [w.copy() for w in net.weights], [bias.copy() for bias in net.biases]
    net.fit(X, y, epochs=3, batch_size=batch_size, learning_rate=0.1, shuffle=False)
    for _ in range(3):
        for start in range(0, 45, batch_size):
            x, t = X[start : start + batch_size], y[start : start + batch_size]
            hidden = np.tanh(x @ W[0].T + b[0])
            a = np.tanh(hidden @ W[1].T + b[1])
            delta1 = 2 * (a - t) * (1 - a * a) / len(x)  # averaged over the batch's own rows
            delta0 = delta1 @ W[1] * (1 - hidden * hidden)
            W = [W[0] - 0.1 * delta0.T @ x, W[1] - 0.1 * delta1.T @ hidden]
            b = [b[0] - 0.1 * delta0.sum(axis=0), b[1] - 0.1 * delta1.sum(axis=0)]
    for got, wanted in zip((*net.weights, *net.biases), (*W, *b), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-13)  # rounding of 135 steps at most


# ---- Initial weights, scaled inputs, divergence


def test_initial_weights_are_normal_and_small():
    net = fastnn.Network([400, 300, 20], seed=0)
    for weight in net.weights:
        scaled = weight.ravel().astype(np.float64) * math.sqrt(weight.shape[1])
        assert scipy.stats.kstest(scaled, "norm").pvalue > 0.01


def test_initial_biases_are_zero():
    assert not any(bias.any() for bias in fastnn.Network([4, 30, 2], seed=0).biases)


def test_the_same_seed_gives_the_same_initial_weights():
    a, b = (fastnn.Network([4, 30, 2], seed=7).parameters for _ in range(2))
    assert a.tobytes() == b.tobytes()


def test_other_seeds_and_none_give_other_initial_weights():
    seeds = [7, 8, None, None]
    starts = {fastnn.Network([4, 30, 2], seed=seed).parameters.tobytes() for seed in seeds}
    assert len(starts) == 4


def test_min_max_scaling_fills_0_to_1_and_can_be_inverted():
    X = np.random.default_rng(0).normal([0, 1000, 5], [1, 300, 0.01], size=(50, 3))
    scaler = MinMaxScaler()
    Z = scaler.fit_transform(X)
    assert (Z.min(axis=0).tolist(), Z.max(axis=0).tolist()) == ([0] * 3, [1] * 3)
    np.testing.assert_allclose(scaler.inverse_transform(Z), X, rtol=1e-13)


def test_min_max_scaling_of_a_constant_column():
    assert MinMaxScaler().fit_transform([[3, 1], [3, 2]])[:, 0].tolist() == [0, 0]


def test_min_max_scaling_is_fitted_on_training_data_only():
    assert MinMaxScaler().fit([[0.0], [10.0]]).transform([[20.0], [-5.0]]).tolist() == [[2], [-0.5]]


def test_scaled_inputs_train_where_raw_ones_diverge():
    rng = np.random.default_rng(0)
    X = rng.uniform(1000, 3000, size=(64, 1))
    y = (X[:, 0] - 1000) / 2000
    net = neuron("identity", [0.0], 0.0)
    with pytest.raises(fastnn.DivergenceError):
        net.copy().fit(X, y, epochs=50, learning_rate=0.3)
    history = net.fit(MinMaxScaler().fit_transform(X), y, epochs=50, learning_rate=0.3)
    assert history["loss"][-1] < 1e-3


def test_a_training_that_diverges_says_so_and_keeps_the_last_finite_weights():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(64, 8)), rng.normal(size=64)
    net = fastnn.Network([8, 8, 1], activation=["relu", "identity"], seed=0)
    with pytest.raises(fastnn.DivergenceError, match="diverged") as caught:
        net.fit(X, y, epochs=200, learning_rate=1e4)
    assert np.isfinite(net.parameters).all()
    history = caught.value.history
    assert isinstance(history, fastnn.History)
    assert history.stop_reason == "diverged"
    assert history.epochs < 200
    assert isinstance(caught.value, ArithmeticError)


def test_a_training_that_does_not_diverge_says_why_it_stopped():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(64, 8)), rng.normal(size=64)
    history = fastnn.Network([8, 8, 1], seed=0).fit(X, y, epochs=5, learning_rate=0.1)
    assert history.stop_reason == "epochs"


# ---- What the networks are for


@pytest.fixture(scope="module")
def digits():
    """A trained network with the held-out digits."""
    X, y = fastnn.datasets.load_digits()
    X, X_test, y, y_test = train_test_split(X, y, seed=0, stratify=True)
    net = fastnn.Network([64, 32, 10], activation=["relu", "softmax"], loss="cross_entropy", seed=1, input_scale=1 / 16)
    net.fit(X, y, epochs=20 if COMPILED else 6, batch_size=8, learning_rate=0.3)
    return net, X_test, y_test


@pytest.mark.slow
def test_handwritten_digits_are_classified(digits):
    net, X, y = digits
    assert np.mean(net.classify(X) == y) >= 0.95


@pytest.mark.slow
def test_the_largest_output_is_the_answer_and_its_value_the_confidence(digits):
    net, X, y = digits
    outputs = net.predict(X)
    answers = net.classify(X)
    assert answers.tolist() == outputs.argmax(axis=1).tolist()
    confidence, right = outputs.max(axis=1), answers == y
    assert not right.all()
    assert confidence[right].mean() > confidence[~right].mean() + 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("f", "rate", "compiled", "plain"),
    [(lambda x: 2**x, 0.02, 0.05, 0.2), (lambda x: x * x, 0.05, 0.05, 0.25)],
    ids=["2^x", "x^2"],
)
def test_curves_are_approximated_with_relu(f, rate, compiled, plain):
    x = np.linspace(-1, 1, 64)[:, None]
    net = fastnn.Network([1, 32, 1], activation=["relu", "identity"], seed=0)
    net.fit(x, f(x), epochs=3000 if COMPILED else 100, batch_size=8, learning_rate=rate)
    between = np.linspace(-1, 1, 501)[:, None]
    largest = np.abs(net.predict(between) - f(between)).max()
    assert largest < (compiled if COMPILED else plain)  # the curves span 1.5 and 1


def houses(n):
    """Area (m^2), rooms, age (years); the price bends with age, and has a noise of 10."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(40, 200, n), rng.integers(1, 7, n), rng.uniform(0, 80, n)])
    price = 3 * X[:, 0] + 20 * X[:, 1] + 100 * np.exp(-X[:, 2] / 20) + rng.normal(0, 10, n)
    return X, price


@pytest.mark.slow
def test_regression_of_house_prices_with_one_output():
    X, X_test, y, y_test = train_test_split(*houses(400), seed=0)
    inputs, price = StandardScaler().fit(X), StandardScaler().fit(y[:, None])
    net = fastnn.Network([3, 16, 1], activation=["tanh", "identity"], seed=0)
    net.fit(
        inputs.transform(X),
        price.transform(y[:, None]),
        epochs=200 if COMPILED else 30,
        batch_size=16,
        learning_rate=0.05,
    )
    error = price.inverse_transform(net.predict(inputs.transform(X_test)))[:, 0] - y_test
    assert 1 - error.var() / y_test.var() > 0.95
    assert abs(error.mean()) < 10


@pytest.mark.slow
def test_classification_of_fruit_with_two_outputs():
    rng = np.random.default_rng(0)
    fruit = rng.integers(0, 2, 300)  # apples, oranges: grams and redness, in clouds that touch
    X = np.column_stack([rng.normal(150 + 40 * fruit, 20), rng.normal(0.8 - 0.5 * fruit, 0.15)])
    X, X_test, y, y_test = train_test_split(X, fruit, seed=0, stratify=True)
    scaler = StandardScaler().fit(X)
    net = fastnn.Network([2, 8, 2], activation=["tanh", "softmax"], loss="cross_entropy", seed=0)
    history = net.fit(scaler.transform(X), y, epochs=30 if COMPILED else 10, batch_size=16, learning_rate=0.3)
    assert np.mean(net.classify(scaler.transform(X_test)) == y_test) >= 0.95
    assert history["accuracy"][-1] >= 0.95


@pytest.mark.slow
def test_incoming_weights_of_a_hidden_neuron_are_a_picture_of_what_it_detects():
    X, y = fastnn.datasets.load_digits()
    net = fastnn.Network([64, 1, 1], loss="binary_cross_entropy", seed=0, input_scale=1 / 16)
    n = len(X) if COMPILED else 800
    net.fit(X[:n], (y == 0)[:n], epochs=3, batch_size=10, learning_rate=1)
    picture = net.weights[0][0].reshape(8, 8) * np.sign(net.weights[1][0, 0])
    zeros = X[y == 0].mean(axis=0).reshape(8, 8) - X.mean(axis=0).reshape(8, 8)
    assert np.corrcoef(picture.ravel(), zeros.ravel())[0, 1] > 0.8
    assert picture[3:5, 3:5].max() < 0  # a zero is empty in the middle


@pytest.mark.parametrize("n", [1, 3, 600])  # 600: more than one block of rows
def test_the_activation_of_every_neuron_can_be_read(n):
    net = fastnn.Network([3, 4, 5, 2], activation="tanh", dtype="float64", seed=0)
    X = np.random.default_rng(0).normal(size=(n, 3))
    seen = net.activations(X)
    wanted = reference.Network(net.weights, net.biases, net.activation).activations(X)
    assert [layer.shape for layer in seen] == [(n, size) for size in net.sizes]
    assert seen[0].tolist() == X.tolist()
    assert seen[-1].tolist() == net.predict(X).tolist()
    for got, layer in zip(seen, wanted, strict=True):
        np.testing.assert_allclose(got, layer, rtol=1e-12)
