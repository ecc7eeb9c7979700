"""The ONNX model, run by onnxruntime beside `predict`."""

import sys

import numpy as np
import pytest
from helpers import BOTH

import fastnn

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

HIDDEN = [
    "identity", "step", "sigmoid", "tanh", "arctan", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "selu",
    "mish", "softsign", "hard_sigmoid", "exponential",
]  # fmt: skip


def run(net, X, path):
    net.to_onnx(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["outputs"], {"X": X})[0]


@pytest.mark.parametrize("activation", HIDDEN)
def test_outputs_are_those_of_predict(activation, tmp_path):
    net = fastnn.Network([6, 9, 4], activation=[activation, "tanh"], seed=3, input_scale=0.5)
    X = np.random.default_rng(0).normal(size=(200, 6)).astype("float32")
    # some 20 eps of float32 for other sums and functions; onnxruntime's erf and tanh are approximations of 1e-6
    assert np.abs(run(net, X, tmp_path / "net.onnx") - net.predict(X)).max() < 5e-6


MORE = {
    "embedding": {"embedding": fastnn.PeriodicEmbedding((3, 1), n_frequencies=5, n_outputs=2, deviation=0.5)},
    "activation": {"learned_activation": True},
    "all": {
        "embedding": fastnn.PeriodicEmbedding(n_frequencies=3, n_outputs=4), "learned_activation": True,
        "learned_input_scale": True, "input_scale": 0.5,
    },
}  # fmt: skip


@pytest.mark.parametrize("rows", [0, 1, 200])
@pytest.mark.parametrize("options", MORE.values(), ids=MORE)
def test_embeddings_learned_activations_and_input_scales(options, rows, tmp_path):
    rng = np.random.default_rng(0)
    net = fastnn.Network([4, 9, 7, 3], activation=["selu", "tanh", "identity"], seed=0, **options)
    net.parameters = net.parameters + 0.3 * rng.normal(size=net.n_parameters)
    X = rng.normal(size=(rows, 4)).astype("float32")
    np.testing.assert_allclose(run(net, X, tmp_path / "net.onnx"), net.predict(X), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("rows", [1, 7, 300])
def test_any_number_of_rows(rows, tmp_path):
    net = fastnn.Network([5, 8, 3], activation=["relu", "softmax"], loss="cross_entropy", seed=1)
    X = np.random.default_rng(0).normal(size=(rows, 5)).astype("float32")
    found = run(net, X, tmp_path / "net.onnx")
    assert found.shape == (rows, 3)
    assert np.abs(found - net.predict(X)).max() < 1e-6


def test_float64_stays_float64(tmp_path):
    net = fastnn.Network([5, 8, 3], activation=["tanh", "identity"], dtype="float64", seed=1)
    X = np.random.default_rng(0).normal(size=(20, 5))
    found = run(net, X, tmp_path / "net.onnx")
    assert found.dtype == np.float64
    assert np.abs(found - net.predict(X)).max() < 1e-14


EMBEDDED = {
    "learned activations": {"learned_activation": True},
    "embedded numbers": {"embedding": fastnn.PeriodicEmbedding((4, 1), n_frequencies=5, deviation=2.0)},
    "categories": {"category_embedding": fastnn.CategoryEmbedding((3, 5), (2, 0), n_outputs=4)},
    "one number for each category": {"category_embedding": fastnn.CategoryEmbedding((3, 5), (2, 0), n_outputs=1)},
    "all": {
        "learned_activation": True,
        "learned_input_scale": True,
        "embedding": fastnn.PeriodicEmbedding((1, 3), n_frequencies=7, n_outputs=2),
        "category_embedding": fastnn.CategoryEmbedding((3, 5), (2, 0), n_outputs=4),
    },
}


@BOTH
@pytest.mark.parametrize("kind", EMBEDDED.values(), ids=EMBEDDED)
def test_embeddings_and_learned_activations(kind, dtype, tmp_path):
    names = ["mish", "selu"] if dtype == "float32" else ["tanh", "relu"]  # onnxruntime lacks those of float64
    net = fastnn.Network([5, 9, 6, 3], activation=[*names, "identity"], dtype=dtype, seed=3, **kind)
    rng = np.random.default_rng(0)
    net.parameters = net.parameters + 0.1 * rng.normal(size=net.n_parameters)
    X = rng.normal(size=(200, 5)).astype(dtype)
    X[:, 0], X[:, 2] = rng.integers(-1, 5, 200), rng.integers(-1, 3, 200)
    assert np.abs(run(net, X, tmp_path / "net.onnx") - net.predict(X)).max() < (5e-6 if dtype == "float32" else 1e-13)


def test_codes_alone_are_embedded(tmp_path):
    net = fastnn.Network([1, 2], category_embedding=fastnn.CategoryEmbedding(3), seed=0)
    codes = np.array([[0], [1], [2], [-1]], "float32")
    assert np.abs(run(net, codes, tmp_path / "net.onnx") - net.predict(codes)).max() < 1e-6


def test_versions_names_and_metadata(tmp_path):
    net = fastnn.Network([2, 3], seed=0)
    net.column_names, net.class_names = ("a", "b"), ("x", "y", "z")
    net.to_onnx(tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, model.opset_import[0].version) == (8, 17)
    assert [part.name for part in model.graph.initializer] == ["layers.0.weight", "layers.0.bias"]
    assert {part.key: part.value for part in model.metadata_props} == {"column_names": "a\nb", "class_names": "x\ny\nz"}
    assert np.array_equal(onnx.numpy_helper.to_array(model.graph.initializer[0]), net.weights[0])


def test_numeric_class_names_are_written_as_strings(tmp_path):
    net = fastnn.Network([2, 3], seed=0)
    net.class_names = (0, 1, 10)
    net.to_onnx(tmp_path / "net.onnx")
    assert [part.value for part in onnx.load(tmp_path / "net.onnx").metadata_props] == ["0\n1\n10"]


def test_without_onnx_the_error_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"fastnn\[onnx\]"):
        fastnn.Network([2, 1], seed=0).to_onnx(tmp_path / "net.onnx")


def test_a_network_that_cannot_be_exported_says_why(tmp_path):
    fastnn.register_activation("fourth", lambda z: z**4, lambda z: 4 * z**3)
    with pytest.raises(ValueError, match="'fourth' is a registered one"):
        fastnn.Network([2, 2], activation="fourth", seed=0).to_onnx(tmp_path / "net.onnx")
    net = fastnn.Network([2, 2], seed=0)
    net.biases[0][0] = np.inf
    with pytest.raises(ValueError, match="not finite"):
        net.to_onnx(tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
