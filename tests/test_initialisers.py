"""First weights."""

import math

import numpy as np
import pytest

import fastnn
from fastnn.initialisers import NAMES, Normal, Uniform

N_IN, N_OUT = 300, 200
SPREAD = {
    "glorot_uniform": 2 / (N_IN + N_OUT),
    "glorot_normal": 2 / (N_IN + N_OUT),
    "he_uniform": 2 / N_IN,
    "he_normal": 2 / N_IN,
    "lecun_uniform": 1 / N_IN,
    "lecun_normal": 1 / N_IN,
}


def first(init, sizes=(N_IN, N_OUT), **options):
    options = {"seed": 0, "dtype": "float64"} | options
    return fastnn.Network(sizes, init=init, **options).weights[0]


@pytest.mark.parametrize("init", SPREAD)
def test_mean_variance_and_range_follow_the_formulas(init):
    weights = first(init)
    variance = SPREAD[init]
    # of 60,000 draws the mean has a deviation of sd / 245, and the variance of at most 0.6%: five of each
    assert abs(weights.mean()) < 5 * math.sqrt(variance) / 245
    assert weights.var() == pytest.approx(variance, rel=0.03)
    reach = abs(weights).max() / math.sqrt(variance)
    if init.endswith("uniform"):
        assert 1.73 < reach <= math.sqrt(3)
    else:
        assert 3.5 < reach < 6  # the largest of 60,000 normal draws


def test_none_draws_normal_weights_by_the_number_of_inputs():
    expected = np.random.default_rng(0).standard_normal((N_OUT, N_IN)) / np.sqrt(N_IN)
    assert (first(None) == expected).all()


@pytest.mark.parametrize("sizes", [(20, 50), (50, 20), (30, 30), (1, 4)])
def test_orthogonal_rows_or_columns_are_orthonormal(sizes):
    weights = first("orthogonal", sizes)
    product = weights @ weights.T if weights.shape[0] <= weights.shape[1] else weights.T @ weights
    np.testing.assert_allclose(product, np.eye(min(sizes)), atol=1e-14)


def test_orthogonal_draws_have_no_preferred_sign():
    corners = [first("orthogonal", (2, 2), seed=seed)[0, 0] for seed in range(200)]
    assert 70 < sum(corner > 0 for corner in corners) < 130  # 100, give or take four deviations of 7


def test_zeros_are_zeros():
    assert not first("zeros").any()


def test_normal_and_uniform_have_the_size_requested():
    assert first(Normal(0.02)).std() == pytest.approx(0.02, rel=0.02)
    assert 0.69 < abs(first(Uniform(0.7))).max() <= 0.7


@pytest.mark.parametrize("init", [None, "auto", *NAMES, Normal(1.0), Uniform(1.0)])
def test_the_seed_decides_and_both_dtypes_get_the_same_draws(init):
    assert (first(init) == first(init)).all()
    assert (first(init, dtype="float32") == first(init).astype(np.float32)).all()
    if init != "zeros":
        assert (first(init, seed=1) != first(init)).any()


@pytest.mark.parametrize("init", [None, "he_normal", "orthogonal", Normal(1.0)])
def test_biases_are_zero(init):
    assert not fastnn.Network([3, 4], init=init, seed=0).biases[0].any()


def test_biases_can_be_drawn_and_the_weights_stay_those_of_the_seed_in_the_first_layer():
    plain = fastnn.Network([3, 4, 2], seed=0)
    drawn = fastnn.Network([3, 4, 2], bias_init=[Normal(1.0), None], seed=0)
    assert (drawn.weights[0] == plain.weights[0]).all()
    assert drawn.biases[0].all()
    assert not drawn.biases[1].any()


@pytest.mark.parametrize(
    ("bias_init", "error", "word"),
    [
        ("zeros", TypeError, "bias_init must be None, a function"),
        (Normal, TypeError, "bias_init must be None, a function"),
        ([None, None], ValueError, "bias_init must have one entry for each of the 1 layers, got 2"),
        (lambda generator, shape: np.zeros(3), ValueError, "bias_init must give an array of shape"),
        (lambda generator, shape: np.full(shape, np.inf), ValueError, "bias_init must give finite numbers"),
    ],
)
def test_invalid_initial_biases_are_refused(bias_init, error, word):
    with pytest.raises(error, match=word):
        fastnn.Network([3, 2], bias_init=bias_init, seed=0)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        *((name, "he_normal") for name in ("relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "mish")),
        ("selu", "lecun_normal"),
        *((name, "glorot_uniform") for name in ("identity", "sigmoid", "tanh", "arctan", "softsign", "hard_sigmoid")),
    ],
)
def test_auto_chooses_by_the_activation(activation, expected):
    assert (first("auto", activation=activation) == first(expected, activation=activation)).all()


def test_each_layer_may_have_its_own_initialiser():
    net = fastnn.Network([5, 4, 3], init=["zeros", Normal(1.0)], seed=0)
    assert not net.weights[0].any()
    assert net.weights[1].all()


def test_a_user_function_receives_generator_and_shape():
    weights = first(lambda generator, shape: np.full(shape, generator.integers(5, 6)), (3, 2))
    assert weights.tolist() == [[5, 5, 5], [5, 5, 5]]


@pytest.mark.parametrize(
    ("init", "error", "word"),
    [
        ("he", ValueError, "init must be None, auto, glorot_uniform"),
        (3, TypeError, "init must be a name"),
        (Normal, TypeError, "init must be a name"),
        ([None, None], ValueError, "1 layers of weights, got 2"),
        (lambda generator, shape: np.zeros(3), ValueError, "shape"),
        (lambda generator, shape: np.full(shape, np.nan), ValueError, "finite"),
        (lambda generator, shape: np.full(shape, 1e300), ValueError, "finite"),
    ],
)
def test_invalid_initialisers_are_refused(init, error, word):
    with pytest.raises(error, match=word):
        fastnn.Network([3, 2], init=init, seed=0)


@pytest.mark.parametrize("make", [lambda: Normal(0), lambda: Uniform(-1)])
def test_invalid_sizes_are_refused(make):
    with pytest.raises(ValueError, match="must be positive"):
        make()


def test_a_network_keeps_its_weights_through_copy_and_file(tmp_path):
    net = fastnn.Network([3, 2], init="he_normal", seed=0)
    net.save(tmp_path / "net.safetensors")
    assert (net.copy().weights[0] == net.weights[0]).all()
    assert (fastnn.load(tmp_path / "net.safetensors").weights[0] == net.weights[0]).all()


# ---- From data

ROWS = np.random.default_rng(5).normal(3, [0.01, 1, 100], (400, 3))


def from_data(seed=0, rows=ROWS, dtype="float64", **options):
    net = fastnn.Network([3, 30, 20, 2], activation=["tanh", "selu", "identity"], dtype=dtype, seed=4)
    fastnn.initialisers.from_data(net, rows, seed, **options)
    return net


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_from_data_give_every_neuron_deviation_1_and_a_zero_among_the_rows(dtype):
    net = from_data(dtype=dtype)
    drawn = fastnn.Network([3, 30, 20, 2], activation=["tanh", "selu", "identity"], dtype=dtype, seed=4)
    below = net.activations(ROWS)
    for layer, (weights, biases) in enumerate(zip(net.weights, net.biases, strict=True)):
        z = below[layer].astype(np.float64) @ weights.T.astype(np.float64) + biases
        np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-3 if dtype == "float32" else 1e-9)
        assert (z.min(axis=0) < 0).all()
        assert (z.max(axis=0) > 0).all()
        ratio = weights / drawn.weights[layer]
        assert (ratio > 0).all()
        np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-5)


def test_the_seed_of_a_start_from_data_decides():
    assert (from_data(1).parameters == from_data(1).parameters).all()
    assert (from_data(1).parameters != from_data(2).parameters).any()
    many = np.tile(ROWS, (60, 1))
    assert (from_data(1, many).parameters == from_data(1, many).parameters).all()


def test_layers_without_spread_or_not_named_stay_as_they_are():
    net = fastnn.Network([3, 4, 2], seed=0, init=["zeros", None])
    before = net.copy()
    fastnn.initialisers.from_data(net, ROWS, layers=[0])
    assert (net.parameters == before.parameters).all()
    fastnn.initialisers.from_data(net, np.full((5, 3), 2.0))
    assert (net.weights[1] == before.weights[1]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"X": np.zeros((0, 3))}, ValueError, "one row or more"),
        ({"X": np.zeros(3)}, ValueError, r"X must have the shape \(n, n_inputs\)"),
        ({"X": ROWS, "seed": -1}, ValueError, "seed must be"),
        ({"X": ROWS, "layers": [3]}, ValueError, r"layers must be below 2, got \[3\]"),
        ({"X": ROWS, "layers": [0.5]}, TypeError, "layers must be an integer"),
        ({"X": ROWS[:, :2]}, ValueError, "X must have shape"),
    ],
)
def test_invalid_arguments_of_a_start_from_data(arguments, error, message):
    with pytest.raises(error, match=message):
        fastnn.initialisers.from_data(fastnn.Network([3, 4, 2], seed=0), **arguments)
