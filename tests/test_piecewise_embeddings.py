"""Piecewise linear embeddings of numbers: bins, gradients, updates, files, exports, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from helpers import BOTH, central_differences
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from test_convert_c_source import run as run_c
from test_convert_onnx import run as run_onnx

import fastnn
from fastnn import reference
from fastnn.embeddings import MOST_FREQUENCIES, PiecewiseLinearEmbedding
from fastnn.initialisers import bins_from_data
from fastnn.parameters import further_views, make_layout, views

RNG = np.random.default_rng(0)
N = 21
X, Y = 2 * RNG.normal(size=(N, 4)), RNG.normal(size=(N, 2))
SOME = PiecewiseLinearEmbedding((2, 0), n_bins=5, n_outputs=3)
KINDS = {
    "some": {"embedding": SOME},
    "one bin": {"embedding": PiecewiseLinearEmbedding(n_bins=1, n_outputs=1)},
    "all": {
        "embedding": SOME,
        "category_embedding": fastnn.CategoryEmbedding(3, (1,), n_outputs=2),
        "learned_activation": True,
        "learned_input_scale": True,
    },
}
EVERY = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
X[:, 1] = RNG.integers(0, 3, N)


def network(dtype="float64", sizes=(4, 5, 6, 2), **options):
    hidden = ["tanh", "mish", "selu"][: len(sizes) - 2]
    net = fastnn.Network(sizes, activation=[*hidden, "identity"], dtype=dtype, seed=1, **options)
    if net.embedding:
        bins_from_data(net, X)
    return net


def further_gradients(net):
    gradient = np.zeros_like(net.engine.buffer)
    examples, _ = fastnn.inputs.as_examples(X, Y, None, net.engine.spec, fastnn.training.dataset.NAMES)
    net.engine.gradient(examples, gradient)
    return further_views(gradient, make_layout(net.engine.spec).table, net.engine.spec)


# ---- Bins


def test_a_number_is_how_far_it_has_come_through_each_bin():
    net = fastnn.Network([1, 1], embedding=PiecewiseLinearEmbedding(n_bins=3, n_outputs=3), dtype="float64", seed=0)
    bins_from_data(net, np.array([[0.0], [1.0], [3.0], [7.0]]))
    net.embedding_parameters["weights"][:], net.embedding_parameters["biases"][:] = np.eye(3), 0
    found = net.activations([[0.0], [0.5], [1.0], [5.0], [-2.0], [11.0]])[0]
    expected = [[0, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 1, 0.5], [-2, 0, 0], [1, 1, 2]]
    np.testing.assert_allclose(found[:, 1:], expected, rtol=1e-14, atol=1e-15)


def test_first_bins_divide_the_range_evenly():
    net = fastnn.Network([2, 1], embedding=PiecewiseLinearEmbedding((1,), n_bins=4, limit=2.0), seed=0)
    np.testing.assert_array_equal(net.embedding_parameters["slopes"], np.ones((1, 4)))
    np.testing.assert_array_equal(net.embedding_parameters["offsets"], [[2, 1, 0, -1]])
    assert np.abs(net.embedding_parameters["weights"]).max() <= 0.5
    assert net.weights[0].shape == (1, 2 + 8)


def test_equal_quantiles_are_one_end_and_a_constant_is_nothing():
    net = fastnn.Network([2, 1], embedding=PiecewiseLinearEmbedding(n_bins=5, n_outputs=1), seed=0)
    bins_from_data(net, np.column_stack([np.repeat([0.0, 1.0, 3.0], 20), np.ones(60)]))
    slopes = net.embedding_parameters["slopes"]
    np.testing.assert_allclose(slopes[0], [1, 0, 0, 0, 0.5])
    assert not slopes[1].any()
    assert np.isfinite(net.predict([[50.0, 50.0]])).all()


# ---- Gradients and updates


@pytest.mark.parametrize("columns", [(0, 1, 2, 3), (2, 0)])
def test_embeddings_are_those_of_the_specification(columns):
    net = network(embedding=PiecewiseLinearEmbedding(columns, n_bins=5, n_outputs=3))
    slopes, offsets, weights, biases = (net.embedding_parameters[name] for name in net.embedding.shapes())
    embedded = X[:, columns]
    widened = np.hstack([X, reference.piecewise_linear_embedding(embedded, slopes, offsets, weights, biases)])
    np.testing.assert_allclose(net.activations(X)[0], widened, rtol=1e-12, atol=1e-14)
    plain = reference.Network(net.weights, net.biases, net.activation)
    np.testing.assert_allclose(net.predict(X), plain.predict(widened), rtol=1e-12)
    delta = plain.input_gradients(widened, Y)[:, 4:] / len(X)
    expected = reference.piecewise_linear_embedding_gradients(embedded, delta, slopes, offsets, 3)
    found = further_gradients(net)
    for name, gradient in zip(("weights", "biases"), expected, strict=True):
        np.testing.assert_allclose(found[f"embedding.{name}"], gradient, rtol=1e-10, atol=1e-12)
    assert not found["embedding.slopes"].any()
    assert not found["embedding.offsets"].any()


@EVERY
def test_gradients_of_weights_by_differences(kind):
    net = network(**kind)
    found = further_gradients(net)
    for name in ("weights", "biases"):
        expected = central_differences(lambda: net.loss(X, Y), net.embedding_parameters[name], 1e-5)
        np.testing.assert_allclose(found[f"embedding.{name}"], expected, rtol=1e-6, atol=1e-7)
    expected = central_differences(lambda: net.loss(X, Y), net.weights[0], 1e-5)
    np.testing.assert_allclose(net.gradients(X, Y)[0][0], expected, rtol=1e-6, atol=1e-7)


@EVERY
@BOTH
def test_bins_stay_and_all_else_is_learned_by_any_number_of_threads(kind, dtype):
    found = set()
    for n_threads in (1, 2, 3):
        net = network(dtype, **kind)
        before = net.copy()
        net.fit(
            X, Y, epochs=3, batch_size=8, n_threads=n_threads, clip_norm=1.0, ema_decay=0.9,
            optimizer=fastnn.AdamW(weight_decay=0.1), decay_factors={"embedding": 1.0},
        )  # fmt: skip
        for name, part in before.embedding_parameters.items():
            changed = (net.embedding_parameters[name] != part).all()
            assert changed == (name in ("weights", "biases"))
            if not changed:
                assert (net.embedding_parameters[name] == part).all()
                assert (net.averaged().embedding_parameters[name] == part).all()
        found.add(net.parameters.tobytes())
    assert len(found) == 1


@EVERY
def test_a_step_subtracts_the_gradient(kind):
    net = network(**kind)
    before, gradient = net.parameters, net.gradients(X, Y, flat=True)
    net.step(X, Y, 0.05)
    np.testing.assert_allclose(net.parameters, before - 0.05 * gradient, rtol=1e-12, atol=1e-14)


@EVERY
def test_padding_stays_zero(kind):
    net = network("float32", **kind)
    net.fit(X, Y, epochs=3, batch_size=7, optimizer=fastnn.AdamW(weight_decay=0.1))
    buffer, table = net.engine.buffer.copy(), make_layout(net.engine.spec).table
    of_layers = views(buffer, table)
    for part in (*of_layers[0], *of_layers[1], *further_views(buffer, table, net.engine.spec).values()):
        part[...] = 0
    assert not buffer.any()


# ---- Files and exports


@EVERY
@BOTH
def test_files_hold_everything(kind, dtype, tmp_path):
    net = network(dtype, **kind)
    net.fit(X, Y, epochs=2, batch_size=7, optimizer="adam")
    net.save(tmp_path / "net.safetensors")
    again = fastnn.load(tmp_path / "net.safetensors")
    assert again.engine.spec == net.engine.spec
    assert again.predict(X).tobytes() == net.predict(X).tobytes()


def test_a_damaged_description_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    network(embedding=SOME).save(path)
    with safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["fastnn"])
    key = "piecewise_linear_embedding"
    for change in ({"inputs": [7]}, {"n_bins": 0}, {"speed": 1}, {"n_outputs": 9}):
        save_file(load_file(path), path, {"fastnn": json.dumps(description | {key: description[key] | change})})
        with pytest.raises(fastnn.FileFormatError, match=r"net\.safetensors"):
            fastnn.load(path)


@pytest.mark.parametrize("kind", ["some", "one bin"])
def test_onnx_gives_the_same_answers(kind, tmp_path):
    net = network("float32", **KINDS[kind])
    rows = 3 * np.random.default_rng(1).normal(size=(100, 4)).astype("float32")
    assert np.abs(run_onnx(net, rows, tmp_path / "net.onnx") - net.predict(rows)).max() < 2e-5


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("kind", ["some", "one bin"])
def test_c_gives_the_same_answers(kind, tmp_path):
    net = network(**KINDS[kind])
    rows = 3 * np.random.default_rng(1).normal(size=(100, 4))
    assert np.abs(run_c(net, rows, tmp_path)[0] - net.predict(rows)).max() < 1e-12


# ---- What is refused


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: PiecewiseLinearEmbedding("all"), TypeError, "inputs must be a sequence"),
        (lambda: PiecewiseLinearEmbedding(n_bins=0), ValueError, "n_bins must be 1 or more"),
        (lambda: PiecewiseLinearEmbedding(n_bins=MOST_FREQUENCIES + 1), ValueError, "n_bins must be at most"),
        (lambda: PiecewiseLinearEmbedding(limit=0), ValueError, "limit must be positive"),
        (lambda: fastnn.Network([2, 1], embedding=PiecewiseLinearEmbedding((2,))), ValueError, "columns from 0 to 1"),
        (lambda: fastnn.Network([2, 1], embedding=3), TypeError, "fastnn.PiecewiseLinearEmbedding, or None, got 3"),
        (lambda: bins_from_data(fastnn.Network([2, 1], seed=0), X), ValueError, "must have a fastnn.Piecewise"),
        (lambda: bins_from_data(network(embedding=SOME), X[:, :1]), ValueError, "X must have the shape"),
        (lambda: bins_from_data(network(embedding=SOME), np.full((3, 4), np.nan)), ValueError, "all finite"),
    ],
)
def test_invalid_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
