"""Networks called from functions that the user compiles."""

import pickle

import numpy as np
import pytest
from helpers import BOTH
from numba import njit

import fastnn
from fastnn.training.engine import FEW_ROWS


@njit
def called(out, X, model):
    fastnn.compiled.predict(out, X, model)


def a_network(dtype, **settings):
    return fastnn.Network([5, 7, 3], activation=["tanh", "softmax"], loss="cross_entropy", dtype=dtype, **settings)


@BOTH
@pytest.mark.parametrize("n_rows", [0, 1, FEW_ROWS, 2 * FEW_ROWS + 1])
def test_compiled_predict_has_the_bits_of_predict(dtype, n_rows):
    net = a_network(dtype, seed=0, input_scale=0.5)
    X = np.random.default_rng(0).normal(size=(n_rows, 5)).astype(dtype)
    out = np.empty((n_rows, 3), dtype)
    called(out, X, net.compiled())
    assert out.tobytes() == net.predict(X).tobytes()


def test_compiled_predict_takes_views_and_other_dtypes():
    net = a_network("float32", seed=0)
    wide = np.arange(60).reshape(6, 10)
    out = np.zeros((3, 6)).T
    called(out, wide[:, ::2], net.compiled())
    np.testing.assert_array_equal(out, net.predict(wide[:, ::2]))


def test_compiled_predict_sees_what_training_changes():
    net = a_network("float64", seed=0)
    model, X, out = net.compiled(), np.ones((1, 5)), np.empty((1, 3))
    net.fit(X, [2], epochs=5, learning_rate=1.0)
    called(out, X, model)
    np.testing.assert_array_equal(out, net.predict(X))


@pytest.mark.parametrize(("out", "X"), [((1, 3), (1, 4)), ((2, 3), (1, 5)), ((1, 2), (1, 5))])
def test_wrong_shapes_are_an_error(out, X):
    with pytest.raises(ValueError, match="X must be"):
        called(np.zeros(out), np.zeros(X), a_network("float32", seed=0).compiled())


def test_a_compiled_network_cannot_be_pickled():
    with pytest.raises(TypeError, match="compiled"):
        pickle.dumps(a_network("float32", seed=0).compiled())


@njit
def all_three(out, gradients, weights, biases, X, y, rate, workspace):
    fastnn.compiled.forward(out, X, weights, biases, workspace)
    value = fastnn.compiled.backward(gradients[0], gradients[1], X, y, weights, biases, workspace)
    return value, fastnn.compiled.sgd_step(weights, biases, X, y, rate, workspace)


@BOTH
@pytest.mark.parametrize("orientation", ["out_in", "in_out"])
@pytest.mark.parametrize("n_rows", [1, 33, 300])
def test_functions_on_plain_arrays_have_the_bits_of_the_network(dtype, orientation, n_rows):
    net = fastnn.Network([5, 17, 3], activation=["tanh", "sigmoid"], dtype=dtype, seed=0)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_rows, 5)).astype(dtype), rng.uniform(size=(n_rows, 3)).astype(dtype)
    weights = tuple((w if orientation == "out_in" else w.T).copy() for w in net.weights)
    biases = tuple(b.copy() for b in net.biases)
    gradients = tuple(np.empty_like(w) for w in weights), tuple(np.empty_like(b) for b in biases)
    out = np.empty((n_rows, 3), dtype)
    workspace = fastnn.compiled.workspace(
        net.sizes, 300, activation=net.activation, dtype=dtype, orientation=orientation
    )
    values = all_three(out, gradients, weights, biases, X, y, 0.25, workspace)
    assert np.array_equal(out, net.predict(X))
    wanted = net.gradients(X, y)
    for found, right in zip(gradients[0], wanted[0], strict=True):
        assert np.array_equal(found if orientation == "out_in" else found.T, right)
    assert all(np.array_equal(found, right) for found, right in zip(gradients[1], wanted[1], strict=True))
    assert values == (net.step(X, y, 0.25),) * 2
    for found, right in zip(weights, net.weights, strict=True):
        assert np.array_equal(found if orientation == "out_in" else found.T, right)
    assert all(np.array_equal(found, right) for found, right in zip(biases, net.biases, strict=True))


@pytest.mark.parametrize(
    ("weights", "biases", "X", "y", "message"),
    [
        (((3, 2),), ((3,),), (5, 2), (5, 3), "no more than the workspace"),
        (((3, 2),), ((3,),), (0, 2), (0, 3), "at least one row"),
        (((3, 2),), ((3,),), (4, 3), (4, 3), "X must be"),
        (((3, 2),), ((3,),), (4, 2), (3, 3), "X must be"),
        (((2, 3),), ((3,),), (4, 2), (4, 3), "in its orientation"),
        (((3, 2),), ((2,),), (4, 2), (4, 3), "in its orientation"),
        (((3, 2), (3, 2)), ((3,), (3,)), (4, 2), (4, 3), "one array for each layer"),
    ],
)
def test_arrays_that_do_not_fit_the_workspace_are_an_error(weights, biases, X, y, message):
    workspace = fastnn.compiled.workspace([2, 3], 4, dtype="float64")
    weights, biases = (tuple(np.zeros(shape) for shape in shapes) for shapes in (weights, biases))
    with pytest.raises(ValueError, match=message):
        fastnn.compiled.sgd_step(weights, biases, np.zeros(X), np.zeros(y), 0.1, workspace)


@pytest.mark.parametrize(("given", "message"), [({"rows": 0}, "rows must be"), ({"orientation": "x"}, "orientation")])
def test_an_invalid_workspace_is_an_error(given, message):
    with pytest.raises(ValueError, match=message):
        fastnn.compiled.workspace([2, 3], **{"rows": 4} | given)


def test_a_workspace_cannot_be_pickled():
    with pytest.raises(TypeError, match="another workspace"):
        pickle.dumps(fastnn.compiled.workspace([2, 3], 4))
