"""Embeddings of categories: gradients, updates, files, and what is refused."""

import copy
import json
import pickle

import numpy as np
import pytest
from helpers import BOTH, gradient_by_differences
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fastnn
from fastnn import reference
from fastnn.embeddings import MOST_CATEGORIES, CategoryEmbedding, PeriodicEmbedding
from fastnn.kernels.jit import COMPILED
from fastnn.parameters import further_views, make_layout, views

RNG = np.random.default_rng(0)
N = 23
X = np.column_stack(
    [RNG.integers(-1, 5, N), RNG.normal(size=N), RNG.integers(0, 3, N), RNG.normal(size=N)]
)  # codes of 5 categories or none, and of 3
Y, WEIGHT = RNG.normal(size=(N, 2)), RNG.random(N) + 0.1
COUNTS = {2: 3, 0: 5}
CATEGORIES = CategoryEmbedding((3, 5), (2, 0), n_outputs=4)
KINDS = {
    "categories": {"category_embedding": CATEGORIES},
    "one number each": {"category_embedding": CategoryEmbedding(5, (0, 2), n_outputs=1)},
    "all": {
        "category_embedding": CATEGORIES,
        "embedding": PeriodicEmbedding((3, 1), n_frequencies=3, n_outputs=2),
        "learned_activation": True,
        "learned_input_scale": True,
    },
}
EVERY = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def network(dtype="float64", sizes=(4, 5, 6, 2), **options):
    hidden = ["tanh", "mish", "selu"][: len(sizes) - 2]
    return fastnn.Network(sizes, activation=[*hidden, "identity"], dtype=dtype, seed=1, **options)


def further_gradients(net):
    gradient = np.zeros_like(net.engine.buffer)
    examples, _ = fastnn.inputs.as_examples(X, Y, None, net.engine.spec, fastnn.training.dataset.NAMES)
    net.engine.gradient(examples, gradient)
    return further_views(gradient, make_layout(net.engine.spec).table, net.engine.spec)


# ---- Gradients


@EVERY
@pytest.mark.parametrize("n_rows", [1, N])
def test_gradients_by_differences(kind, n_rows):
    net = network(**kind)
    given = X[:n_rows], Y[:n_rows]
    gradient = net.gradients(*given, sample_weight=WEIGHT[:n_rows], flat=True)
    differences = gradient_by_differences(lambda: net.loss(*given, sample_weight=WEIGHT[:n_rows]), net)
    assert len(gradient) == net.n_parameters
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-7)


def test_codes_stand_anywhere_among_many_inputs():
    rows = np.random.default_rng(3).normal(size=(N, 40))
    rows[:, [1, 21]] = X[:, [0, 2]]
    net = network(sizes=(40, 5, 2), category_embedding=CategoryEmbedding((3, 5), (21, 1), n_outputs=2))
    differences = gradient_by_differences(lambda: net.loss(rows, Y), net)
    np.testing.assert_allclose(net.gradients(rows, Y, flat=True), differences, rtol=1e-6, atol=1e-7)


def test_vectors_are_those_of_the_specification():
    net = network(category_embedding=CATEGORIES)
    assert net.category_embedding.counts == COUNTS
    found = {column: reference.category_embedding(X[:, column], net.category_vectors[column]) for column in COUNTS}
    widened = np.hstack([X, *(found[column][:, 1:] for column in COUNTS)])
    for column in COUNTS:
        widened[:, column] = found[column][:, 0]
    assert not found[0][X[:, 0] < 0].any()
    assert (X[:, 0] < 0).any()
    plain = reference.Network(net.weights, net.biases, net.activation)
    np.testing.assert_allclose(net.predict(X), plain.predict(widened), rtol=1e-12)
    np.testing.assert_array_equal(net.activations(X)[0], widened)
    delta = plain.input_gradients(widened, Y) / len(X)
    gradients = further_gradients(net)
    for place, (column, count) in enumerate(COUNTS.items()):
        of_column = delta[:, [column, *range(4 + 3 * place, 7 + 3 * place)]]
        expected = reference.category_embedding_gradient(X[:, column], of_column, count)
        np.testing.assert_allclose(gradients[f"category_embedding.{column}"], expected, rtol=1e-11, atol=1e-14)


def test_codes_are_those_of_indicators_and_a_layer_of_their_own():
    embedded = fastnn.Network(
        [1, 3], activation="identity", category_embedding=CategoryEmbedding(4, n_outputs=2), dtype="float64", seed=0
    )
    codes = np.array([[0], [3], [2], [-1]])
    vectors = embedded.category_vectors[0]
    layers = [vectors.T, embedded.weights[0]], [np.zeros(2), embedded.biases[0]]
    plain = reference.Network(*layers, "identity")
    np.testing.assert_allclose(embedded.predict(codes), plain.predict(codes == np.arange(4)), rtol=1e-12, atol=1e-15)


# ---- Updates


@EVERY
@BOTH
def test_a_step_subtracts_the_gradient(kind, dtype):
    net = network(dtype, **kind)
    before, gradient = net.parameters, net.gradients(X, Y, flat=True)
    net.step(X, Y, 0.05)
    np.testing.assert_allclose(net.parameters, before - 0.05 * gradient, rtol=1e-5, atol=1e-6)
    trained = network(dtype, **kind)
    trained.fit(X, Y, epochs=1, batch_size=len(X), learning_rate=0.05)
    assert trained.parameters.tobytes() == net.parameters.tobytes()


@EVERY
def test_a_batch_of_several_blocks_is_one_step(kind):
    rows = np.tile(X, (30 if COMPILED else 12, 1))
    net, once = network(**kind), network(**kind)
    net.step(rows, np.tile(Y, (len(rows) // len(Y), 1)), 0.05)
    once.step(X, Y, 0.05)
    np.testing.assert_allclose(net.parameters, once.parameters, rtol=1e-9, atol=1e-12)


@EVERY
@BOTH
def test_any_number_of_threads_gives_the_same_bits(kind, dtype):
    found = set()
    for n_threads in (1, 2, 3):
        net = network(dtype, **kind)
        net.fit(X, Y, epochs=4, batch_size=9, optimizer=fastnn.AdamW(weight_decay=0.1), n_threads=n_threads)
        found.add(net.parameters.tobytes())
    assert len(found) == 1


@EVERY
def test_clipping_measures_every_parameter(kind):
    net = network(**kind)
    before, gradient = net.parameters, net.gradients(X, Y, flat=True)
    net.fit(X, Y, epochs=1, batch_size=len(X), learning_rate=0.1, clip_norm=0.01)
    norm = np.linalg.norm(gradient)
    np.testing.assert_allclose(net.parameters, before - 0.1 * gradient * 0.01 / norm, rtol=1e-9, atol=1e-12)


def test_factors_of_rate_and_decay():
    net = network(**KINDS["all"])
    before, gradients = net.copy(), further_gradients(net)
    still = {"weights": 0, "biases": 0, "input_scales": 0, "alphas": 0, "embedding": 0}
    net.fit(X, Y, epochs=1, batch_size=N, learning_rate=0.1, lr_factors={**still, "category_embedding": 0.5})
    for column in COUNTS:
        expected = before.category_vectors[column] - 0.05 * gradients[f"category_embedding.{column}"]
        np.testing.assert_allclose(net.category_vectors[column], expected, rtol=1e-12)
    assert all((net.embedding_parameters[name] == part).all() for name, part in before.embedding_parameters.items())
    decayed = before.copy()
    decayed.fit(
        X, Y, epochs=1, batch_size=N, learning_rate=0.1, lr_factors={**still, "category_embedding": 0},
        optimizer=fastnn.AdamW(weight_decay=0.5), decay_factors={"weights": 0.0, "category_embedding": 0.4},
    )  # fmt: skip
    for column in COUNTS:
        expected = before.category_vectors[column] * (1 - 0.05 * 0.4)
        np.testing.assert_allclose(decayed.category_vectors[column], expected, rtol=1e-12)


@EVERY
def test_frozen_layers_keep_the_vectors(kind):
    net = network(**kind)
    net.freeze(0)
    before = net.copy()
    net.fit(X, Y, epochs=2, batch_size=7, optimizer="adam")
    assert all((net.category_vectors[column] == vectors).all() for column, vectors in before.category_vectors.items())
    assert (net.weights[1] != before.weights[1]).any()


@EVERY
def test_padding_stays_zero(kind):
    net = network("float32", **kind)
    net.fit(X, Y, epochs=3, batch_size=7, optimizer=fastnn.AdamW(weight_decay=0.1), clip_norm=1.0)
    buffer, table = net.engine.buffer.copy(), make_layout(net.engine.spec).table
    of_layers = views(buffer, table)
    for part in (*of_layers[0], *of_layers[1], *further_views(buffer, table, net.engine.spec).values()):
        part[...] = 0
    assert not buffer.any()


@EVERY
def test_lbfgs_learns_every_parameter(kind):
    net = network(**kind)
    before = net.copy()
    history = net.fit(X, Y, epochs=20, optimizer="lbfgs")
    assert history["loss"][-1] < before.loss(X, Y)
    assert (net.category_vectors[0] != before.category_vectors[0]).any()


def test_populations_hold_them():
    options = {"sizes": (4, 5, 2), "activation": ["tanh", "identity"], "epochs": 3, "batch_size": 7}
    population = fastnn.fit_many([{"seed": 1}, {"seed": 2}], X, Y, category_embedding=CATEGORIES, **options)
    alone = fastnn.Network((4, 5, 2), activation=["tanh", "identity"], seed=2, category_embedding=CATEGORIES)
    alone.fit(X, Y, epochs=3, batch_size=7)
    assert population.networks[1].parameters.tobytes() == alone.parameters.tobytes()


# ---- Files and copies


@EVERY
@BOTH
def test_files_copies_and_pickles_hold_everything(kind, dtype, tmp_path):
    net = network(dtype, **kind)
    net.fit(X, Y, epochs=2, batch_size=7, optimizer="adam")
    net.save(tmp_path / "net.safetensors")
    for again in (fastnn.load(tmp_path / "net.safetensors"), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert again.engine.spec == net.engine.spec
        assert again.parameters.tobytes() == net.parameters.tobytes()
        assert again.predict(X).tobytes() == net.predict(X).tobytes()
        assert repr(again) == repr(net)
    net.parameters = np.arange(net.n_parameters)
    assert (net.parameters == np.arange(net.n_parameters)).all()


@EVERY
def test_a_checkpoint_is_resumed_from(kind, tmp_path):
    options = {"batch_size": 7, "optimizer": "adam", "checkpoint": tmp_path, "checkpoint_seconds": 0}
    whole, part, rest = network(**kind), network(**kind), network(**kind)
    whole.fit(X, Y, epochs=4, batch_size=7, optimizer="adam")
    part.fit(X, Y, epochs=2, **options)
    rest.fit(X, Y, epochs=4, resume=True, **options)
    assert rest.parameters.tobytes() == whole.parameters.tobytes()


def test_first_vectors():
    net = fastnn.Network([3, 2], category_embedding=CategoryEmbedding(900, (1,), deviation=0.5), seed=0)
    assert net.weights[0].shape == (2, 10)
    assert net.category_vectors[1].shape == (900, 8)
    assert net.category_vectors[1].std() == pytest.approx(0.5, rel=0.05)
    other = fastnn.Network([3, 2], category_embedding=CategoryEmbedding(900, (1,), deviation=0.5), seed=1)
    assert (net.category_vectors[1] != other.category_vectors[1]).any()


# ---- What is refused


def with_code(code):
    rows = X.copy()
    rows[3, 2] = code
    return rows


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: CategoryEmbedding(0), ValueError, "n_categories must be 1 or more"),
        (lambda: CategoryEmbedding("many"), TypeError, "n_categories must be an integer"),
        (lambda: CategoryEmbedding((3, 4), (1,)), ValueError, "one for each of 1 inputs"),
        (lambda: CategoryEmbedding(MOST_CATEGORIES + 1), ValueError, "n_categories must be at most"),
        (lambda: CategoryEmbedding(3, (1, 1)), ValueError, "none twice"),
        (lambda: CategoryEmbedding(3, n_outputs=0), ValueError, "n_outputs must be 1 or more"),
        (lambda: CategoryEmbedding(3, deviation=0), ValueError, "deviation must be positive"),
        (lambda: network(category_embedding=CategoryEmbedding(3, (4,))), ValueError, "columns from 0 to 3, got 4"),
        (lambda: network(category_embedding=CategoryEmbedding((3, 2))), ValueError, "one for each of 4 inputs"),
        (lambda: network(category_embedding=CategoryEmbedding(MOST_CATEGORIES)), ValueError, "must be at most"),
        (lambda: network(category_embedding=3), TypeError, "category_embedding must be a fastnn.CategoryEmbedding"),
        (lambda: network("float32", precision="bfloat16", **KINDS["categories"]), ValueError, "bfloat16"),
        (lambda: network(input_scale=0.5, **KINDS["categories"]), ValueError, "input_scale must be 1"),
        (lambda: network(dropout=[0.5, 0, 0], **KINDS["categories"]), ValueError, "the dropout of inputs 0"),
        (
            lambda: network(embedding=PeriodicEmbedding((2, 3)), **KINDS["categories"]),
            ValueError,
            r"different inputs, got \[2\] in both",
        ),
        (lambda: network(**KINDS["categories"]).fit(X, Y, epochs=1, input_noise=0.1), ValueError, "input_noise"),
        (
            lambda: network().fit(X, Y, epochs=1, lr_factors={"category_embedding": 1}),
            ValueError,
            "networks with category_embedding",
        ),
        (lambda: network(**KINDS["categories"]).input_gradients(X, Y), ValueError, "input_gradients"),
        (lambda: network(**KINDS["categories"]).compiled(), ValueError, "takes no network with category_embedding"),
        (
            lambda: network(**KINDS["categories"]).predict(with_code(3)),
            ValueError,
            "below 3 in column 2.*got 3.0 at row 3",
        ),
        (lambda: network(**KINDS["categories"]).predict(with_code(0.5)), ValueError, "whole numbers below 3"),
        (lambda: network(**KINDS["categories"]).predict(with_code(7)[3:4]), ValueError, "got 7.0 at row 0"),
        (lambda: network(**KINDS["categories"]).fit(with_code(3), Y, epochs=1), ValueError, "below 3 in column 2"),
        (
            lambda: network(**KINDS["categories"]).fit(X, Y, epochs=1, validation_data=(with_code(3), Y)),
            ValueError,
            "below 3 in column 2",
        ),
    ],
)
def test_invalid_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_negative_number_is_no_category():
    net = network(**KINDS["categories"])
    assert (net.predict(with_code(-1)) == net.predict(with_code(-2.5))).all()
    assert not net.activations(with_code(-1))[0][3, 2]


def test_sparse_rows_are_refused():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="X must be dense rows for a network with category_embedding"):
        network(**KINDS["categories"]).predict(scipy_sparse.csr_array(X))


def test_a_damaged_description_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    network(**KINDS["categories"]).save(path)
    with safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["fastnn"])
    for change in ({"inputs": [7, 1]}, {"n_categories": [3]}, {"n_categories": [3, 6]}, {"speed": 1}):
        damaged = description | {"category_embedding": description["category_embedding"] | change}
        save_file(load_file(path), path, {"fastnn": json.dumps(damaged)})
        with pytest.raises(fastnn.FileFormatError, match=r"net\.safetensors"):
            fastnn.load(path)
