"""Sparse inputs: the same network as with plain ones, at the price of the numbers that are there."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import BOTH

import fastnn
from fastnn.parameters import BLOCK_ROWS


def bag_of_words(n_rows, n_columns, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    there = rng.uniform(size=(n_rows, n_columns)) < 0.2
    X = sp.csr_array(np.where(there, rng.uniform(0.01, 1, there.shape) - 0.3, 0).astype(dtype))
    y = (X.toarray() @ np.linspace(-1, 1, n_columns) > 0).astype(int)
    return X, y


def a_network(dtype, n_in, **settings):
    activation = ["tanh", "softmax"]
    return fastnn.Network([n_in, 11, 2], activation=activation, loss="cross_entropy", dtype=dtype, seed=4, **settings)


@BOTH
@pytest.mark.parametrize("n_rows", [1, 7, BLOCK_ROWS + 3])
@pytest.mark.parametrize("n_in", [40, 300], ids=["one chain", "chunks"])
def test_predictions_have_the_bits_of_dense_rows(dtype, n_rows, n_in):
    X, _ = bag_of_words(n_rows, n_in)
    net = a_network(dtype, n_in, input_scale=0.5)
    assert net.predict(X).tobytes() == net.predict(X.toarray()).tobytes()
    np.testing.assert_array_equal(net.classify(X), net.classify(X.toarray()))


@BOTH
@pytest.mark.parametrize("n_in", [40, 300], ids=["one chain", "chunks"])
def test_gradients_and_loss_have_the_bits_of_dense_rows(dtype, n_in):
    X, y = bag_of_words(33, n_in)
    net = a_network(dtype, n_in)
    assert net.loss(X, y) == net.loss(X.toarray(), y)
    assert net.gradients(X, y, flat=True).tobytes() == net.gradients(X.toarray(), y, flat=True).tobytes()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": BLOCK_ROWS + 40},
        {"optimizer": "adam", "learning_rate": 0.01},
        {"l2": 0.01, "clip_norm": 1.0},
        {"validation_split": 0.3},
        {"sample_weight": np.linspace(0, 1, 300)},
        {"shuffle": False, "class_weight": "balanced"},
    ],
    ids=["plain", "several blocks", "adam", "penalty", "validation", "weights", "classes"],
)
def test_training_agrees_with_that_on_dense_rows(options):
    X, y = bag_of_words(300, 40)
    sparse, plain = a_network("float64", 40, dropout=0.2), a_network("float64", 40, dropout=0.2)
    options = {"epochs": 3, "batch_size": 16, "learning_rate": 0.2} | options
    histories = [net.fit(rows, y, **options) for net, rows in ((sparse, X), (plain, X.toarray()))]
    # a step subtracts an example after the other instead of their sum
    np.testing.assert_allclose(sparse.parameters, plain.parameters, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-9)


def test_a_frozen_first_layer_stays():
    X, y = bag_of_words(30, 40)
    net = a_network("float32", 40)
    net.freeze(0)
    before = net.weights[0].copy()
    net.fit(X, y, epochs=2, learning_rate=0.5)
    np.testing.assert_array_equal(net.weights[0], before)


def test_one_layer_learns_from_sparse_rows():
    X, y = bag_of_words(400, 30)
    net = fastnn.Network([30, 2], activation="softmax", loss="cross_entropy", seed=0)
    assert net.fit(X, y, epochs=60, learning_rate=0.5)["accuracy"][-1] > 0.9


@pytest.mark.parametrize("form", ["csr_matrix", "csc_array", "coo_array", "lil_array"])
def test_every_sparse_class_of_scipy_is_accepted(form):
    X, _ = bag_of_words(9, 12)
    net = a_network("float32", 12)
    np.testing.assert_array_equal(net.predict(getattr(sp, form)(X)), net.predict(X.toarray()))


def test_unsorted_and_duplicate_indices_mean_what_they_mean_to_scipy():
    X = sp.csr_array((np.array([1.0, 2.0, 0.5]), np.array([2, 0, 2]), np.array([0, 3])), shape=(1, 3))
    net = a_network("float64", 3)
    np.testing.assert_allclose(net.predict(X), net.predict(X.toarray()), rtol=1e-12)


@pytest.mark.parametrize("kind", ["int64", "bool", "float32", "float64"])
@BOTH
def test_stored_numbers_of_any_dtype_are_read(dtype, kind):
    X = sp.csr_array(np.eye(3, dtype=kind))
    net = a_network(dtype, 3)
    assert net.predict(X).tobytes() == net.predict(np.eye(3)).tobytes()


@pytest.mark.parametrize("n_rows", [0, 4])
def test_empty_rows_give_the_outputs_of_zeros(n_rows):
    net = a_network("float32", 3)
    np.testing.assert_array_equal(net.predict(sp.csr_array((n_rows, 3))), net.predict(np.zeros((n_rows, 3))))


def test_the_workspace_does_not_grow_with_the_inputs():
    X = sp.csr_array((np.ones(3), ([0, 1, 2], [5, 70_000, 199_999])), shape=(3, 200_000))
    net = fastnn.Network([200_000, 4, 2], activation=["relu", "softmax"], loss="cross_entropy", seed=0)
    net.fit(X, [0, 1, 0], epochs=2, learning_rate=0.1)
    assert net.engine.workspace("train", 3, sparse=True)[1].buffer.size < 10_000


def broken(change, kind="csr"):
    X = sp.csr_array(np.eye(3)).asformat(kind)
    change(X)
    return X


def set_index(X):
    X.indices[1] = 3


def set_start(X):
    X.indptr[1] = 5


def set_row(X):
    X.coords[0][1] = 70_000


def set_count(X):
    X.indptr = X.indptr[:-1]


def set_nan(X):
    X.data[2] = np.nan


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (broken(set_index), "indices point outside"),
        (broken(set_start), "indices point outside"),
        (broken(set_count), "indices point outside"),
        (broken(set_index, "csc"), "indices point outside"),
        (broken(set_start, "bsr"), "indices point outside"),
        (broken(set_row, "coo"), "indices point outside"),
        (broken(set_nan), "X must hold finite numbers"),
        (sp.csr_array(np.eye(4)), r"X must have shape \(n, 3\), got \(4, 4\)"),
    ],
)
def test_an_invalid_matrix_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        a_network("float32", 3).predict(X)


@pytest.mark.parametrize(("settings", "options"), [({"dropout": [0.1, 0]}, {}), ({}, {"input_noise": 0.1})])
def test_input_noise_and_input_dropout_are_refused(settings, options):
    with pytest.raises(ValueError, match="sparse inputs are left as they are"):
        a_network("float32", 3, **settings).fit(sp.csr_array(np.eye(3)), [0, 1, 0], epochs=1, **options)


def test_numbers_that_the_scale_makes_infinite_are_refused():
    X = sp.csr_array(np.array([[1e38, 0.0]]))
    assert fastnn.Network([2, 1], activation="identity", seed=0).predict(X).shape == (1, 1)
    with pytest.raises(ValueError, match="X must hold finite numbers within float32"):
        fastnn.Network([2, 1], activation="identity", input_scale=10.0, seed=0).predict(X)


def test_activations_takes_dense_rows_only():
    with pytest.raises(TypeError, match="toarray"):
        a_network("float32", 3).activations(sp.csr_array(np.eye(3)))


def test_a_training_on_sparse_rows_resumes_from_its_checkpoint(tmp_path):
    X, y = bag_of_words(50, 20)
    whole, net = a_network("float32", 20), a_network("float32", 20)
    whole.fit(X, y, epochs=5, batch_size=8)
    net.fit(X, y, epochs=2, batch_size=8, checkpoint=tmp_path)
    net.fit(X, y, epochs=5, batch_size=8, checkpoint=tmp_path, resume=True)
    np.testing.assert_array_equal(net.parameters, whole.parameters)
    X.data[0] += 1
    with pytest.raises(ValueError, match="data="):
        net.fit(X, y, epochs=6, batch_size=8, checkpoint=tmp_path, resume=True)


def test_a_population_learns_from_sparse_rows():
    X, y = bag_of_words(50, 20)
    found = fastnn.fit_many(
        [{"seed": 1}, {"seed": 2}], X, y, sizes=[20, 5, 2], activation=["tanh", "softmax"], loss="cross_entropy",
        epochs=3, ensemble=2,
    )  # fmt: skip
    np.testing.assert_allclose(found.ensemble.predict(X), found.ensemble.predict(X.toarray()), rtol=1e-6)


def astray(kind):
    """A matrix (4, 3) whose indices point outside it."""
    matrix = sp.coo_matrix(np.eye(4, 3)).asformat(kind)
    if kind == "coo":
        matrix.row[:] = 50_000_000
    elif kind == "lil":
        matrix.rows[0] = [50_000_000]
    elif kind == "dia":
        matrix.offsets = np.array([0, 1, 2], np.int32)
    else:
        matrix.indices[:] = 50_000_000
    return matrix


@pytest.mark.parametrize("kind", ["csr", "csc", "bsr", "coo", "lil", "dia"])
@pytest.mark.parametrize("way", ["predict", "fit", "split", "many", "ensemble"])
def test_indices_that_point_outside_are_refused_whatever_the_format(kind, way):
    net, matrix, y = a_network("float32", 3), astray(kind), np.zeros(4, int)
    calls = {
        "predict": lambda: net.predict(matrix),
        "fit": lambda: net.fit(matrix, y, epochs=1),
        "split": lambda: net.fit(matrix, y, epochs=1, validation_split=0.25),
        "many": lambda: fastnn.fit_many([{"sizes": [3, 2], "epochs": 1}], matrix, y),
        "ensemble": lambda: fastnn.Ensemble([net]).predict(matrix),
    }
    with pytest.raises(ValueError, match="X is a sparse matrix whose indices point outside it"):
        calls[way]()


def test_lists_of_rows_and_of_numbers_that_differ_in_length_are_refused():
    matrix = sp.lil_matrix((4, 3))
    matrix.data[0] = [1.0] * 2_000_000
    with pytest.raises(ValueError, match="point outside"):
        a_network("float32", 3).predict(matrix)


def test_numbers_in_two_dimensions_are_refused():
    matrix = sp.csr_matrix(np.eye(4, 3))
    matrix.data = matrix.data.reshape(-1, 1)
    with pytest.raises(ValueError, match="point outside"):
        a_network("float32", 3).predict(matrix)


@pytest.mark.parametrize("kind", ["csr", "csc", "bsr", "coo", "lil", "dia", "dok"])
def test_every_format_is_read(kind):
    X = sp.coo_matrix(np.arange(12.0).reshape(4, 3) % 5).asformat(kind)
    net = a_network("float32", 3)
    assert (net.predict(X) == net.predict(X.toarray())).all()
