"""Gradients of the compiled kernels against finite differences, the NumPy specification and one another."""

import numpy as np
import pytest
from helpers import as_reference, gradient_by_differences
from training_cases import HIDDEN

import fastnn
from fastnn.kernels.jit import COMPILED
from fastnn.kernels.simd import TILE_ROWS

OUTPUTS = [
    *((name, "squared_error") for name in HIDDEN),
    ("softmax", "cross_entropy"),
    ("sigmoid", "binary_cross_entropy"),
    ("step", "perceptron"),
    ("identity", "absolute_error"),
    ("identity", "huber"),
    ("identity", "quantile"),
    ("exponential", "poisson"),
]
SQUARED = [(hidden, output) for hidden in HIDDEN for output in (hidden, "identity") if output != "exponential"]
PAIRS = [(hidden, output, "squared_error") for hidden, output in dict.fromkeys(SQUARED)] + [
    (hidden, output, loss) for hidden in HIDDEN for output, loss in OUTPUTS if loss != "squared_error"
]  # e to the power of e^z has third derivatives beyond the bound on differences below
IDS = ["-".join(pair) for pair in PAIRS]
EVEN, RAGGED = (2 * TILE_ROWS, 2 * TILE_ROWS + 1) if COMPILED else (4, 3)
H = 1e-5
DIFFERENCES = {"rtol": 1e-7, "atol": 5e-9}
"""At this h the rounding of a loss of about 10 leaves 2e-10, and a third derivative of about 100 leaves 2e-9."""


def targets(loss, rng, n_rows, n_outputs):
    if loss == "squared_error":
        return rng.normal(size=(n_rows, n_outputs))
    if loss == "cross_entropy":
        return rng.dirichlet(np.ones(n_outputs), n_rows)
    return rng.integers(0, 2, (n_rows, n_outputs)) if loss == "perceptron" else rng.random((n_rows, n_outputs))


def by_specification(net, X, y, weight):
    weights, biases = as_reference(net).gradients(X, y, weight)
    return np.concatenate([part.ravel() for pair in zip(weights, biases, strict=True) for part in pair])


def case(sizes, activation, loss, n_rows, dtype="float64", **options):
    """A network, rows, targets and weights: the first draw with a gradient to measure and away from every kink."""
    net = fastnn.Network(sizes, activation=activation, loss=loss, dtype=dtype, seed=0, **options)
    sound, seed = False, 0
    while not sound:
        rng = np.random.default_rng(seed)
        net.parameters = rng.normal(size=net.n_parameters).astype(np.float32)
        X = rng.normal(size=(n_rows, sizes[0])).astype(np.float32).astype(np.float64)
        y = targets(loss, rng, n_rows, sizes[-1])
        inputs = X * net.input_scale
        nearest = min(np.abs(z).min() for z in as_reference(net).forward(inputs)[0])
        sound = nearest > 20 * H and np.abs(by_specification(net, inputs, y, None)).max() > 0.01
        seed += 1
    return net, X, y, rng.random(n_rows) + 0.1


def by_differences(net, X, y, weight):
    return gradient_by_differences(lambda: net.loss(X, y, sample_weight=weight), net, H)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("n_rows", [EVEN, RAGGED], ids=["even", "ragged"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize(("hidden", "output", "loss"), PAIRS, ids=IDS)
def test_gradients_of_every_activation_and_loss(hidden, output, loss, n_outputs, n_rows, weighted):
    if (output, n_outputs) == ("softmax", 1):
        n_outputs = 2  # a softmax of one output is 1, whatever it sees
    net, X, y, weight = case([3, 4 if COMPILED else 2, n_outputs], [hidden, output], loss, n_rows)
    weight = weight if weighted else None
    gradient = net.gradients(X, y, sample_weight=weight, flat=True)
    np.testing.assert_allclose(gradient, by_differences(net, X, y, weight), **DIFFERENCES)
    np.testing.assert_allclose(gradient, by_specification(net, X, y, weight), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("levels", [[0.7], [0.5, 0.9, 0.1], list(np.linspace(0.01, 0.99, 37))], ids=len)
@pytest.mark.parametrize("column", [False, True], ids=["three targets", "one target"])
def test_gradients_of_quantiles_with_a_level_for_each_output(levels, column):
    loss = fastnn.losses.Quantile(levels)
    net, X, y, weight = case([3, 4, len(levels)], ["tanh", "identity"], loss, RAGGED)
    y = y[:, :1] if column else y
    gradient = net.gradients(X, y, sample_weight=weight, flat=True)
    np.testing.assert_allclose(gradient, by_differences(net, X, y, weight), **DIFFERENCES)
    np.testing.assert_allclose(gradient, by_specification(net, X, y, weight), rtol=1e-11, atol=1e-13)
    assert net.loss(X, y) == pytest.approx(as_reference(net).loss_of(X, y), rel=1e-13)


@pytest.mark.parametrize("n_rows", [1, RAGGED])
def test_gradients_of_a_deep_network_of_different_activations(n_rows):
    activation = ["tanh", "elu", "softplus", "leaky_relu", "softmax"]
    net, X, y, weight = case([4, 3, 5, 2, 4, 3], activation, "cross_entropy", n_rows)
    gradient = net.gradients(X, y, sample_weight=weight, flat=True)
    np.testing.assert_allclose(gradient, by_differences(net, X, y, weight), **DIFFERENCES)
    np.testing.assert_allclose(gradient, by_specification(net, X, y, weight), rtol=1e-11, atol=1e-13)


def test_gradients_of_probabilities_that_sum_to_nearly_1():
    net, X, y, _ = case([3, 4, 3], ["tanh", "softmax"], "cross_entropy", RAGGED)
    y *= np.linspace(0.9995, 1.0005, RAGGED)[:, None]
    gradient = net.gradients(X, y, flat=True)
    np.testing.assert_allclose(gradient, by_specification(net, X, y, None), rtol=1e-11, atol=1e-13)


def test_gradients_of_one_layer():
    net, X, y, _ = case([5, 3], "sigmoid", "squared_error", RAGGED)
    np.testing.assert_allclose(net.gradients(X, y, flat=True), by_differences(net, X, y, None), **DIFFERENCES)


def test_gradients_see_scaled_inputs():
    net, X, y, _ = case([3, 4, 2], "tanh", "squared_error", RAGGED, input_scale=0.25)
    np.testing.assert_allclose(net.gradients(X, y, flat=True), by_differences(net, X, y, None), **DIFFERENCES)


@pytest.mark.parametrize("n_rows", [1, RAGGED])
def test_gradients_of_learned_input_scales(n_rows):
    rng = np.random.default_rng(0)
    net = fastnn.Network([3, 4, 2], activation="tanh", dtype="float64", seed=0, learned_input_scale=True)
    net.parameters = rng.normal(size=net.n_parameters)
    X, y, weight = rng.normal(size=(n_rows, 3)), rng.normal(size=(n_rows, 2)), rng.random(n_rows) + 0.1
    gradient = net.gradients(X, y, sample_weight=weight, flat=True)
    np.testing.assert_allclose(gradient, by_differences(net, X, y, weight), **DIFFERENCES)


@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
def test_gradients_of_integer_labels_are_those_of_one_hot_rows(output, loss):
    net, X, _, _ = case([3, 4, 3], ["tanh", output], loss, RAGGED)
    labels = np.arange(RAGGED) % 3
    by_label = net.gradients(X, labels, flat=True)
    assert by_label.tobytes() == net.gradients(X, np.eye(3)[labels], flat=True).tobytes()


def test_a_weight_of_two_counts_as_two_rows():
    net, X, y, _ = case([3, 4, 2], "tanh", "squared_error", 3)
    twice = net.gradients(X[[0, 1, 2, 2]], y[[0, 1, 2, 2]], flat=True)
    np.testing.assert_allclose(net.gradients(X, y, sample_weight=[1, 1, 2], flat=True), twice, rtol=1e-13)


def test_a_row_of_weight_0_does_not_count():
    net, X, y, _ = case([3, 4, 2], "tanh", "squared_error", 3)
    without = net.gradients(X[[0, 2]], y[[0, 2]], flat=True)
    np.testing.assert_allclose(net.gradients(X, y, sample_weight=[1, 0, 1], flat=True), without, rtol=1e-13, atol=1e-15)


def test_gradients_change_nothing():
    net, X, y, weight = case([3, 4, 2], "tanh", "squared_error", 3)
    before = net.parameters.tobytes()
    net.gradients(X, y, sample_weight=weight)
    assert (net.parameters.tobytes(), net.epochs_trained) == (before, 0)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize(("hidden", "output", "loss"), PAIRS, ids=IDS)
def test_float32_gradients_are_those_of_float64_but_for_rounding(hidden, output, loss, n_outputs):
    if (output, n_outputs) == ("softmax", 1):
        n_outputs = 2
    sizes = [3, 4, n_outputs]
    single, X, y, weight = case(sizes, [hidden, output], loss, RAGGED, "float32")
    double = fastnn.Network(sizes, activation=[hidden, output], loss=loss, dtype="float64", seed=0)
    double.parameters = single.parameters
    wanted = double.gradients(X, y, sample_weight=weight, flat=True)
    got = single.gradients(X, y, sample_weight=weight, flat=True)
    assert got.dtype == np.float32
    # about ten roundings on the way of each product, whose sizes vary within a factor of a few
    np.testing.assert_allclose(got, wanted, rtol=0, atol=30 * np.finfo(np.float32).eps * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("activation", "derivative"), [("relu", 0.0), ("leaky_relu", 0.01), ("elu", 1.0), ("identity", 1.0)]
)
def test_gradients_where_the_activation_has_a_kink(activation, derivative):
    """z = 0 and y = 1: the derivative with respect to the hidden bias is 2 (a - y) * f'(0) = -2 f'(0)."""
    net = fastnn.Network([1, 1, 1], activation=[activation, "identity"], dtype="float64", seed=0)
    net.parameters = [1.0, 0.0, 1.0, 0.0]
    assert net.gradients([[0.0]], [1.0])[1][0][0] == pytest.approx(-2 * derivative, rel=1e-12)
