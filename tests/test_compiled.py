"""Networks called from functions that the user compiles."""

import pickle

import numpy as np
import pytest
from numba import njit

import fastnn
from fastnn.model import FEW_ROWS


@njit
def called(out, X, model):
    fastnn.compiled.predict(out, X, model)


def a_network(dtype, **settings):
    return fastnn.Network([5, 7, 3], activation=["tanh", "softmax"], loss="cross_entropy", dtype=dtype, **settings)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_rows", [0, 1, FEW_ROWS, 2 * FEW_ROWS + 1])
def test_has_the_bits_of_predict(dtype, n_rows):
    net = a_network(dtype, seed=0, input_scale=0.5)
    X = np.random.default_rng(0).normal(size=(n_rows, 5)).astype(dtype)
    out = np.empty((n_rows, 3), dtype)
    called(out, X, net.compiled())
    assert out.tobytes() == net.predict(X).tobytes()


def test_takes_views_and_other_numbers():
    net = a_network("float32", seed=0)
    wide = np.arange(60).reshape(6, 10)
    out = np.zeros((3, 6)).T
    called(out, wide[:, ::2], net.compiled())
    np.testing.assert_array_equal(out, net.predict(wide[:, ::2]))


def test_sees_what_training_changes():
    net = a_network("float64", seed=0)
    model, X, out = net.compiled(), np.ones((1, 5)), np.empty((1, 3))
    net.fit(X, [2], epochs=5, learning_rate=1.0)
    called(out, X, model)
    np.testing.assert_array_equal(out, net.predict(X))


@pytest.mark.parametrize(("out", "X"), [((1, 3), (1, 4)), ((2, 3), (1, 5)), ((1, 2), (1, 5))])
def test_the_wrong_shape_is_an_error(out, X):
    with pytest.raises(ValueError, match="X must be"):
        called(np.zeros(out), np.zeros(X), a_network("float32", seed=0).compiled())


def test_its_addresses_do_not_leave_the_process():
    with pytest.raises(TypeError, match="compiled"):
        pickle.dumps(a_network("float32", seed=0).compiled())
