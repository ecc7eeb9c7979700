"""Numbers of every width mean the same to every entry, and coefficients stay those of the network."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn.base import clone

import fastnn
import fastnn.sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.default_rng(0).normal(size=(40, 3))
Y = X[:, 1].copy()
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}


def net(dtype):
    return fastnn.Network([3, 4, 1], activation=["tanh", "identity"], dtype=dtype, seed=0)


ENTRIES = {
    "fit": lambda net, rows: net.fit(rows, Y, epochs=1),
    "predict": lambda net, rows: net.predict(rows),
    "activations": lambda net, rows: net.activations(rows),
    "loss": lambda net, rows: net.loss(rows, Y),
    "gradients": lambda net, rows: net.gradients(rows, Y),
    "step": lambda net, rows: net.step(rows, Y, 0.01),
    "fit_stream": lambda net, rows: net.fit_stream([(rows, Y)]),
    "fit_many": lambda net, rows: fastnn.fit_many([{"sizes": [3, 1], "epochs": 1}], rows, Y, n_threads=1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_of_a_network_refuses_numbers_that_are_not_real(entry, dtype):
    with pytest.raises(TypeError, match="X must hold real numbers of at most 8 bytes"):
        ENTRIES[entry](net(dtype), X.astype(complex))


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_estimators_take_long_numbers_in_every_method(solver, kind):
    long = kind(X.astype(np.longdouble))
    model, same = (ours.MLPRegressor(solver=solver, **SMALL).fit(rows, Y) for rows in (long, kind(X)))
    assert np.array_equal(model.coefs_[0], same.coefs_[0])
    assert np.array_equal(model.predict(long), same.predict(kind(X)))
    assert model.score(long, Y) == same.score(kind(X), Y)
    if solver == "adam":
        assert np.array_equal(model.partial_fit(long, Y).coefs_[0], same.partial_fit(kind(X), Y).coefs_[0])


def test_sparse_float32_in_a_float64_model_gives_no_warning():
    rows = sparse.csr_matrix(X.astype("float32"))
    model = ours.MLPRegressor(**SMALL).fit(sparse.csr_matrix(X), Y)
    assert np.allclose(model.predict(rows), model.predict(X), rtol=1e-5, atol=1e-6)  # inputs rounded to 2^-24


@pytest.mark.parametrize("way", [lambda model: model, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("change", ["write", "element", "list"])
def test_what_is_written_to_the_coefficients_is_predicted(change, way):
    model = way(ours.MLPRegressor(**SMALL).fit(X, Y))
    doubled = [2 * model.coefs_[0], model.coefs_[1]]
    if change == "write":
        model.coefs_[0][...] = doubled[0]
    elif change == "element":
        model.coefs_[0] = doubled[0]
    else:
        model.coefs_ = doubled
    hidden = np.maximum(X @ doubled[0] + model.intercepts_[0], 0)
    expected = (hidden @ doubled[1] + model.intercepts_[1])[:, 0]
    assert np.allclose(model.predict(X), expected, atol=1e-12)
    assert not hasattr(clone(model), "coefs_")
