"""`Network.input_gradients`: beside finite differences, the specification, and itself on other rows and threads."""

import numpy as np
import pytest
from helpers import BOTH, as_reference, bits, central_differences

import fastnn

H = 1e-5
CASES = [
    (["tanh", "softmax"], "cross_entropy", 3),
    (["silu", "identity"], "squared_error", 2),
    (["sigmoid", "sigmoid"], "binary_cross_entropy", 1),
]


def network(activation, loss, n_outputs, dtype="float64", **options):
    net = fastnn.Network([5, 7, n_outputs], activation=activation, loss=loss, dtype=dtype, seed=1, **options)
    net.parameters = np.random.default_rng(2).normal(size=net.n_parameters)
    return net


def rows(n=9, n_inputs=5):
    return np.random.default_rng(3).normal(size=(n, n_inputs))


def by_differences(f, X):
    """Of a function of each row alone: the sum over the rows has the same gradient."""
    return central_differences(lambda: float(f(X).sum()), X, H)


@pytest.mark.parametrize("options", [{}, {"input_scale": 0.25}, {"learned_input_scale": True, "input_scale": 2.0}])
@pytest.mark.parametrize(("activation", "loss", "n_outputs"), CASES)
def test_of_an_output_by_differences(activation, loss, n_outputs, options):
    net, X = network(activation, loss, n_outputs, **options), rows()
    for j in range(n_outputs):
        expected = by_differences(lambda X, j=j: net.predict(X)[:, j], X)
        np.testing.assert_allclose(net.input_gradients(X, output=j), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("activation", "loss", "n_outputs"), CASES)
def test_of_each_rows_loss_by_differences(activation, loss, n_outputs):
    net, X = network(activation, loss, n_outputs, input_scale=0.5), rows()
    y = np.random.default_rng(4).dirichlet(np.ones(n_outputs), len(X)) * (1 if loss == "cross_entropy" else 0.9)
    expected = by_differences(lambda X: np.array([net.loss(X, y) * len(X)]), X)
    np.testing.assert_allclose(net.input_gradients(X, y), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("activation", "loss", "n_outputs"), CASES)
def test_as_the_specification_has_them(activation, loss, n_outputs):
    net, X = network(activation, loss, n_outputs), rows()
    y = np.full((len(X), n_outputs), 1 / n_outputs if n_outputs > 1 else 0.3)
    twin = as_reference(net)
    np.testing.assert_allclose(net.input_gradients(X, y), twin.input_gradients(X, y), rtol=1e-11, atol=1e-13)
    expected = twin.input_gradients(X, output=n_outputs - 1)
    np.testing.assert_allclose(net.input_gradients(X, output=-1), expected, rtol=1e-11, atol=1e-13)


def test_float32_ones_are_those_of_float64_but_for_rounding():
    single, double = (network(*CASES[0], dtype=dtype) for dtype in ("float32", "float64"))
    X = rows()
    found = single.input_gradients(X, output=1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, double.input_gradients(X, output=1), rtol=1e-4, atol=1e-5)


def test_of_one_layer_they_are_its_weights():
    net = fastnn.Network([37, 3], activation="identity", dtype="float64", seed=0)
    found = net.input_gradients(np.ones((2, 37)), output=2)
    np.testing.assert_array_equal(found, np.tile(net.weights[0][2], (2, 1)))


def test_one_output_for_each_row():
    net, X = network(*CASES[0]), rows()
    chosen = net.classify(X)
    found = net.input_gradients(X, output=chosen)
    for i, j in enumerate(chosen):
        assert bits(found[i]) == bits(net.input_gradients(X[i : i + 1], output=int(j))[0])


@BOTH
def test_same_bits_for_any_number_of_threads(dtype, monkeypatch):
    net = fastnn.Network([40, 130, 4], activation=["relu", "softmax"], loss="cross_entropy", dtype=dtype, seed=0)
    X = np.random.default_rng(0).normal(size=(1003, 40))
    y = np.arange(1003) % 4
    together = net.input_gradients(X, output=1), net.input_gradients(X, y)
    monkeypatch.setattr("fastnn.kernels.threads.max_threads", lambda: 1)
    alone = net.input_gradients(X, output=1), net.input_gradients(X, y)
    assert bits(*together) == bits(*alone)


def test_no_rows():
    assert network(*CASES[0]).input_gradients(np.empty((0, 5)), output=0).shape == (0, 5)


def test_what_it_refuses():
    net, X = network(*CASES[0]), rows()
    with pytest.raises(ValueError, match="which of the 3 outputs"):
        net.input_gradients(X)
    with pytest.raises(ValueError, match="from -3 to 2, got 3"):
        net.input_gradients(X, output=3)
    with pytest.raises(ValueError, match="one for each of 9 rows"):
        net.input_gradients(X, output=[0, 1])
    with pytest.raises(ValueError, match="not both"):
        net.input_gradients(X, np.zeros(9, int), output=1)
    step = fastnn.Network([5, 1], activation="step", loss="perceptron", seed=0)
    with pytest.raises(ValueError, match="'step'"):
        step.input_gradients(X)


def test_sparse_rows_are_refused():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"X\.toarray"):
        network(*CASES[0]).input_gradients(scipy_sparse.csr_matrix(rows()), output=0)
