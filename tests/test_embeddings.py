"""Periodic embeddings, and learned activations: gradients, updates, files, and what is refused."""

import copy
import json
import pickle

import numpy as np
import pytest
from helpers import BOTH, gradient_by_differences
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from training_cases import HIDDEN

import fastnn
from fastnn import reference
from fastnn.embeddings import MOST_FREQUENCIES, PeriodicEmbedding
from fastnn.kernels import stochastic_regularization
from fastnn.kernels.jit import COMPILED, from_python
from fastnn.parameters import buffer_to_vector, further_views, make_layout

RNG = np.random.default_rng(0)
X, Y, WEIGHT = RNG.normal(size=(19, 3)), RNG.normal(size=(19, 2)), RNG.random(19) + 0.1
PARTS = ("frequencies", "phases", "weights", "biases")
FEW = PeriodicEmbedding(n_frequencies=5, n_outputs=2)
KINDS = {
    "activation": {"learned_activation": True},
    "embedding": {"embedding": FEW},
    "embedding of two inputs": {"embedding": PeriodicEmbedding((2, 0), n_frequencies=3, n_outputs=4)},
    "all": {"embedding": FEW, "learned_activation": True, "learned_input_scale": True},
}
EVERY = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def network(dtype="float64", sizes=(3, 4, 5, 2), **options):
    hidden = ["tanh", "mish", "selu"][: len(sizes) - 2]
    net = fastnn.Network(sizes, activation=[*hidden, "identity"], dtype=dtype, seed=1, **options)
    for alphas in net.alphas:
        alphas[:] = np.random.default_rng(2).uniform(-0.5, 1.5, alphas.shape)
    return net


# ---- Gradients


@EVERY
@pytest.mark.parametrize("n_rows", [1, 19])
def test_gradients_by_differences(kind, n_rows):
    net = network(**kind)
    given = X[:n_rows], Y[:n_rows]
    gradient = net.gradients(*given, sample_weight=WEIGHT[:n_rows], flat=True)
    differences = gradient_by_differences(lambda: net.loss(*given, sample_weight=WEIGHT[:n_rows]), net)
    assert len(gradient) == net.n_parameters
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-7)


def further_gradients(net):
    gradient = np.zeros_like(net.engine.buffer)
    examples, _ = fastnn.inputs.as_examples(X, Y, None, net.engine.spec, fastnn.training.dataset.NAMES)
    net.engine.gradient(examples, gradient)
    return further_views(gradient, make_layout(net.engine.spec).table, net.engine.spec)


@pytest.mark.parametrize("columns", [(0, 1, 2), (2, 0)])
def test_embeddings_are_those_of_the_specification(columns):
    net = network(embedding=PeriodicEmbedding(columns, n_frequencies=5, n_outputs=2))
    assert net.embedding.inputs == columns
    parameters = [net.embedding_parameters[name] for name in PARTS]
    embedded = X[:, columns]
    widened = np.hstack([X, reference.periodic_embedding(embedded, *parameters)])
    plain = reference.Network(net.weights, net.biases, net.activation)
    np.testing.assert_allclose(net.predict(X), plain.predict(widened), rtol=1e-12)
    np.testing.assert_allclose(net.activations(X)[0], widened, rtol=1e-12, atol=1e-14)
    delta = plain.input_gradients(widened, Y)[:, 3:] / len(X)
    expected = reference.periodic_embedding_gradients(embedded, delta, *parameters[:3])
    found = further_gradients(net)
    for name, gradient in zip(PARTS, expected, strict=True):
        np.testing.assert_allclose(found[f"embedding.{name}"], gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", HIDDEN)
def test_learned_activations_are_those_of_the_specification(name):
    net = fastnn.Network(
        [3, 6, 2],
        activation=[name, "identity"],
        dtype="float64",
        seed=0,
        learned_activation=True,
        init="glorot_uniform",
    )
    alpha = net.alphas[0]
    assert (alpha == 1).all()
    plain = fastnn.Network([3, 6, 2], activation=[name, "identity"], dtype="float64", seed=0, init="glorot_uniform")
    np.testing.assert_allclose(net.predict(X), plain.predict(X), rtol=1e-12, atol=1e-14)
    alpha[:] = np.linspace(-0.5, 1.5, 6)
    z = X @ net.weights[0].T + net.biases[0]
    a = reference.mix(name, z, alpha)
    np.testing.assert_allclose(net.activations(X)[1], a, rtol=1e-12, atol=1e-14)
    upper = 2 * (a @ net.weights[1].T + net.biases[1] - Y) / len(X) @ net.weights[1]
    delta = upper * reference.mixed_derivative(name, z, alpha)
    gradients = net.gradients(X, Y)
    np.testing.assert_allclose(gradients[0][0], delta.T @ X, rtol=1e-9, atol=1e-11)
    by_alpha = (upper * (reference.ACTIVATIONS[name][0](z) - z)).sum(axis=0)
    np.testing.assert_allclose(further_gradients(net)["layers.0.alpha"], by_alpha, rtol=1e-9, atol=1e-11)


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
    rows = np.tile(X, (30 if COMPILED else 14, 1))
    net, once = network(**kind), network(**kind)
    net.step(rows, np.tile(Y, (len(rows) // len(Y), 1)), 0.05)
    once.step(X, Y, 0.05)
    np.testing.assert_allclose(net.parameters, once.parameters, rtol=1e-9, atol=1e-12)


@EVERY
def test_clipping_measures_every_parameter(kind):
    net = network(**kind)
    before, gradient = net.parameters, net.gradients(X, Y, flat=True)
    net.fit(X, Y, epochs=1, batch_size=len(X), learning_rate=0.1, clip_norm=0.01)
    norm = np.linalg.norm(gradient)
    np.testing.assert_allclose(net.parameters, before - 0.1 * gradient * 0.01 / norm, rtol=1e-9, atol=1e-12)


def test_factors_of_alphas_and_embedding():
    still = {"weights": 0, "biases": 0, "input_scales": 0, "alphas": [0, 1.0], "embedding": 0.5}
    net = network(**KINDS["all"])
    before = net.copy()
    net.fit(X, Y, epochs=1, batch_size=19, learning_rate=0.1, lr_factors=still)
    gradient = further_gradients(before)
    assert (net.weights[0] == before.weights[0]).all()
    assert (net.alphas[0] == before.alphas[0]).all()
    np.testing.assert_allclose(net.alphas[1], before.alphas[1] - 0.1 * gradient["layers.1.alpha"], rtol=1e-12)
    for name in PARTS:
        expected = before.embedding_parameters[name] - 0.05 * gradient[f"embedding.{name}"]
        np.testing.assert_allclose(net.embedding_parameters[name], expected, rtol=1e-12)


def test_decay_of_alphas_and_embedding():
    kinds = ("weights", "biases", "input_scales", "alphas", "embedding")
    net = network(**KINDS["all"])
    before = net.copy()
    net.fit(
        X, Y, epochs=1, batch_size=19, learning_rate=0.1, lr_factors=dict.fromkeys(kinds, 0),
        optimizer=fastnn.AdamW(weight_decay=0.5), decay_factors={"weights": 0.0, "alphas": 0.2, "embedding": 0.4},
    )  # fmt: skip
    assert (net.weights[1] == before.weights[1]).all()
    np.testing.assert_allclose(net.alphas[1], before.alphas[1] * (1 - 0.05 * 0.2), rtol=1e-12)
    for name in PARTS:
        expected = before.embedding_parameters[name] * (1 - 0.05 * 0.4)
        np.testing.assert_allclose(net.embedding_parameters[name], expected, rtol=1e-12)


def test_a_step_with_dropout_is_that_of_the_thinned_network():
    net = network(sizes=(3, 6, 2), dropout=0.5, learned_activation=True)
    before = net.copy()
    net.fit(X, Y, epochs=1, batch_size=19, learning_rate=0.1, shuffle=False)
    z = X @ before.weights[0].T + before.biases[0]
    a = reference.mix("tanh", z, before.alphas[0])
    draws = fastnn.training.update_rule.make_stochastic_regularization(
        net.engine.spec, fastnn.training.update_rule.Regularization(), net.seed, 1
    )
    mask = np.ones(19 * 6)
    from_python(stochastic_regularization.drop_alone)(mask, 1 << 23, draws.seed, 1, 0, 19, 0, 6, 6, 6)
    mask = mask.reshape(19, 6)
    assert set(np.unique(mask)) == {0.0, 2.0}
    upper = 2 * ((a * mask) @ before.weights[1].T + before.biases[1] - Y) / 19 @ before.weights[1] * mask
    by_alpha = (upper * (np.tanh(z) - z)).sum(axis=0)
    np.testing.assert_allclose(net.alphas[0], before.alphas[0] - 0.1 * by_alpha, rtol=1e-10)


@EVERY
def test_frozen_layers_keep_alphas_and_embedding(kind):
    net = network(**kind)
    net.freeze(0)
    before = net.copy()
    net.fit(X, Y, epochs=2, batch_size=7, optimizer="adam")
    assert all(
        (net.embedding_parameters[name] == before.embedding_parameters[name]).all() for name in net.embedding_parameters
    )
    if net.alphas:
        assert (net.alphas[0] == before.alphas[0]).all()
        assert (net.alphas[1] != before.alphas[1]).any()


@EVERY
def test_padding_stays_zero(kind):
    net = network("float32", **kind)
    net.fit(X, Y, epochs=3, batch_size=7, optimizer=fastnn.AdamW(weight_decay=0.1), clip_norm=1.0)
    vector = buffer_to_vector(net.engine.buffer, net.engine.spec)
    buffer = net.engine.buffer.copy()
    buffer_views = fastnn.parameters.views(buffer, make_layout(net.engine.spec).table)
    for part in (*buffer_views[0], *buffer_views[1]):
        part[...] = 0
    for part in further_views(buffer, make_layout(net.engine.spec).table, net.engine.spec).values():
        part[...] = 0
    assert not buffer.any()
    assert np.isfinite(vector).all()


@EVERY
def test_lbfgs_learns_every_parameter(kind):
    net = network(**kind)
    before = net.copy()
    history = net.fit(X, Y, epochs=20, optimizer="lbfgs")
    assert history["loss"][-1] < before.loss(X, Y)
    assert (net.parameters != before.parameters).all()


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
    vector = net.parameters
    net.parameters = np.arange(net.n_parameters)
    assert (net.parameters == np.arange(net.n_parameters)).all()
    net.parameters = vector


@EVERY
def test_a_checkpoint_is_resumed_from(kind, tmp_path):
    options = {"batch_size": 7, "optimizer": "adam", "checkpoint": tmp_path, "checkpoint_seconds": 0}
    whole, part, rest = network(**kind), network(**kind), network(**kind)
    whole.fit(X, Y, epochs=4, batch_size=7, optimizer="adam")
    part.fit(X, Y, epochs=2, **options)
    rest.fit(X, Y, epochs=4, resume=True, **options)
    assert rest.parameters.tobytes() == whole.parameters.tobytes()


def test_first_values_of_an_embedding():
    net = fastnn.Network([400, 2], activation="identity", embedding=PeriodicEmbedding(), seed=0)
    found = net.embedding_parameters
    assert net.weights[0].shape == (2, 400 + 3 * 400)
    assert found["frequencies"].std() == pytest.approx(0.1, rel=0.05)
    for name, limit in (("phases", np.pi), ("weights", 0.25), ("biases", 0.25)):
        assert np.abs(found[name]).max() == pytest.approx(limit, rel=0.01)
    assert (
        found["phases"]
        != fastnn.Network([400, 2], embedding=PeriodicEmbedding(), seed=1).embedding_parameters["phases"]
    ).any()
    plain = fastnn.Network([1600, 2], activation="identity", seed=0)
    assert (net.weights[0] == plain.weights[0]).all()


# ---- What is refused


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: PeriodicEmbedding(3), TypeError, "inputs must be a sequence"),
        (lambda: PeriodicEmbedding("all"), TypeError, "inputs must be a sequence"),
        (lambda: PeriodicEmbedding(()), ValueError, "at least one column"),
        (lambda: PeriodicEmbedding((1, 1)), ValueError, "none twice"),
        (lambda: PeriodicEmbedding((-1,)), ValueError, "inputs must be 0 or more"),
        (lambda: PeriodicEmbedding(n_frequencies=0), ValueError, "n_frequencies must be 1 or more"),
        (lambda: PeriodicEmbedding(n_frequencies=MOST_FREQUENCIES + 1), ValueError, "n_frequencies must be at most"),
        (lambda: PeriodicEmbedding(n_outputs=1.5), TypeError, "n_outputs must be an integer"),
        (lambda: PeriodicEmbedding(deviation=0), ValueError, "deviation must be positive"),
        (lambda: network(embedding=PeriodicEmbedding((3,))), ValueError, "columns from 0 to 2, got 3"),
        (lambda: network(embedding=True), TypeError, "embedding must be a fastnn.PeriodicEmbedding"),
        (lambda: network("float32", embedding=FEW, precision="bfloat16"), ValueError, "embedding takes"),
        (lambda: network("float32", learned_activation=True, precision="bfloat16"), ValueError, "learned_activation"),
        (lambda: network(learned_activation=1), TypeError, "learned_activation must be True or False"),
        (lambda: network().fit(X, Y, epochs=1, lr_factors={"alphas": 1}), ValueError, "learned_activation"),
        (lambda: network().fit(X, Y, epochs=1, lr_factors={"embedding": 1}), ValueError, "networks with embedding"),
        (lambda: network(embedding=FEW).input_gradients(X, Y), ValueError, "input_gradients"),
    ],
)
def test_invalid_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("kind", ["activation", "embedding"])
def test_what_holds_only_layers_refuses_by_name(kind):
    net = fastnn.Network([3, 4, 2], activation=["tanh", "identity"], seed=0, **KINDS[kind])
    name = "learned_activation" if kind == "activation" else "embedding"
    for export in (net.compiled, net.to_sklearn):
        with pytest.raises(ValueError, match=rf"takes no network with {name}, got Network"):
            export()


def test_sparse_rows_are_refused_for_an_embedding():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="X must be dense rows for a network with embedding"):
        network(embedding=FEW).predict(scipy_sparse.csr_array(X))


def test_sparse_rows_and_learned_activations():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    dense, sparse = network(learned_activation=True), network(learned_activation=True)
    dense.fit(X, Y, epochs=2, batch_size=7)
    sparse.fit(scipy_sparse.csr_array(X), Y, epochs=2, batch_size=7)
    np.testing.assert_allclose(sparse.parameters, dense.parameters, rtol=1e-10, atol=1e-12)


def test_a_damaged_embedding_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    network(embedding=FEW).save(path)
    with safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["fastnn"])
    for change in ({"inputs": [7]}, {"n_frequencies": 0}, {"speed": 1}, {"n_outputs": 9}):
        damaged = description | {"embedding": description["embedding"] | change}
        save_file(load_file(path), path, {"fastnn": json.dumps(damaged)})
        with pytest.raises(fastnn.FileFormatError, match=r"net\.safetensors"):
            fastnn.load(path)
