"""Arithmetic on the caller's own arrays: the network's bits, whatever the layout; nothing else is touched."""

import threading

import numpy as np
import pytest
from helpers import BOTH

import fastnn
from fastnn import functional
from fastnn.kernels.layout import columns_of
from fastnn.spec import make_spec
from fastnn.training.array_engine import ArrayEngine

SIZES = [(5, 3), (5, 32, 3), (7, 64, 32, 16), (20, 48, 5, 16), (3, 16, 16)]
ARGUMENTS = {"activation": "tanh", "loss": "squared_error"}
GUARD = -7.25


def guarded(matrix, layout):
    """The numbers of a matrix in an array of that layout, inside memory full of guards; and that memory."""
    memory = np.full(4 * matrix.size + 4096, GUARD, matrix.dtype)
    start = (-memory.ctypes.data % 64) // memory.itemsize + 64
    n, m = matrix.shape
    if layout == "C":
        view = memory[start : start + n * m].reshape(n, m)
    elif layout == "F":
        view = memory[start : start + n * m].reshape(m, n).T
    elif layout == "strided":
        view = memory[start : start + 4 * n * m].reshape(2 * n, 2 * m)[::2, ::2]
    else:
        view = memory[start : start + n * m].reshape(n, m)[::-1, ::-1]
    view[...] = matrix
    return view, memory


def problem(sizes, dtype, orientation="out_in", layout="C", column_biases=False):
    net = fastnn.Network(sizes, activation="tanh", dtype=dtype, seed=1)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, sizes[0])).astype(dtype), rng.normal(size=(40, sizes[-1])).astype(dtype)
    weights, biases, memories = [], [], []
    for weight, bias in zip(net.weights, net.biases, strict=True):
        bias[:] = rng.normal(size=bias.shape)
        array, memory = guarded(weight if orientation == "out_in" else weight.T, layout)
        weights.append(array)
        biases.append(bias.reshape(-1, 1).copy() if column_biases else bias.copy())
        memories.append(memory)
    return net, weights, biases, X, y, memories


def assert_guards_stand(weights, memories):
    for weight, memory in zip(weights, memories, strict=True):
        weight[...] = GUARD
        assert (memory == GUARD).all()


LAYOUTS = pytest.mark.parametrize("layout", ["C", "F", "strided", "reversed"])
ORIENTATIONS = pytest.mark.parametrize("orientation", ["out_in", "in_out"])


@BOTH
@LAYOUTS
@ORIENTATIONS
@pytest.mark.parametrize("sizes", SIZES)
def test_all_four_functions_have_the_bits_of_the_network(sizes, orientation, layout, dtype):
    net, weights, biases, X, y, memories = problem(sizes, dtype, orientation, layout, column_biases=True)
    given = {**ARGUMENTS, "orientation": orientation}
    out = functional.forward(weights, biases, X, activation="tanh", orientation=orientation)
    assert np.array_equal(out, net.predict(X))
    assert functional.loss(weights, biases, X, y, **given) == net.loss(X, y)
    value, by_weight, by_bias = functional.backward(weights, biases, X, y, **given)
    assert value == pytest.approx(net.loss(X, y))
    turned = [part.T if orientation == "in_out" else part for part in by_weight]
    for found, wanted in zip(turned + by_bias, net.gradients(X, y)[0] + net.gradients(X, y)[1], strict=True):
        assert np.array_equal(found.reshape(wanted.shape), wanted)
    assert functional.sgd_step(weights, biases, X, y, 0.1, **given) == net.step(X, y, 0.1)
    for found, wanted in zip(weights, net.weights, strict=True):
        assert np.array_equal(found.T if orientation == "in_out" else found, wanted)
    for found, wanted in zip(biases, net.biases, strict=True):
        assert np.array_equal(found[:, 0], wanted)
    assert_guards_stand(weights, memories)


@BOTH
def test_weights_laid_out_as_the_kernels_need_them_are_used_in_place(dtype):
    lanes = columns_of(1, np.dtype(dtype).itemsize)
    weights = [np.ones((7, 2 * lanes), dtype), np.ones((2 * lanes, lanes), dtype), np.ones((lanes, 3), dtype)]
    biases = [np.zeros(weight.shape[1], dtype) for weight in weights]
    sizes = [7, 2 * lanes, lanes, 3]
    for n_layers, copied in ((2, 0), (3, int(lanes > 1 and 3 % lanes > 0))):
        layers, vectors = weights[:n_layers], biases[:n_layers]
        spec = make_spec(sizes[: n_layers + 1], "tanh", "squared_error", dtype)
        assert ArrayEngine(spec, layers, vectors, (*layers, *vectors), False).n_copied_layers == copied


@pytest.mark.parametrize("sizes", [(5, 32, 3), (5, 32, 16)])
def test_a_batch_of_several_blocks_has_the_bits_of_the_network(sizes):
    net, weights, biases, _, _, memories = problem(sizes, "float32", "in_out")
    X, y = np.random.default_rng(1).normal(size=(2, 700, 5)).astype("float32")
    y = np.resize(y, (700, sizes[-1]))
    assert functional.sgd_step(weights, biases, X, y, 0.1, orientation="in_out", **ARGUMENTS) == net.step(X, y, 0.1)
    assert all(np.array_equal(a.T, b) for a, b in zip(weights, net.weights, strict=True))
    assert_guards_stand(weights, memories)


def test_changes_of_the_arrays_between_calls_are_seen():
    net, weights, biases, X, _, _ = problem((5, 16, 3), "float32")
    for _ in range(3):
        for number in range(2):
            weights[number] *= 1.5
            net.weights[number][...] = weights[number]
            biases[number] += 1
            net.biases[number][...] = biases[number]
        assert np.array_equal(functional.forward(weights, biases, X, activation="tanh"), net.predict(X))


def test_new_arrays_at_old_addresses_are_noticed():
    for seed in range(30):
        net = fastnn.Network([4, 16, 2], seed=seed)
        weights, biases = [w.copy() for w in net.weights], [b.copy() for b in net.biases]
        X = np.full((3, 4), 0.5)
        assert np.array_equal(functional.forward(weights, biases, X), net.predict(X))


@pytest.mark.parametrize("kind", ["whole", "strided", "X itself"])
def test_out_is_written_where_it_lies(kind):
    _, weights, biases, X, _, _ = problem((5, 32, 5), "float32")
    wanted = functional.forward(weights, biases, X, activation="tanh")
    out = {"whole": np.zeros((40, 5), "float32"), "strided": np.zeros((80, 10), "float32")[::2, ::2], "X itself": X}[
        kind
    ]
    assert functional.forward(weights, biases, X, activation="tanh", out=out) is out
    assert np.array_equal(out, wanted)


def test_gradients_are_written_into_out():
    _, weights, biases, X, y, _ = problem((5, 4, 3), "float64")
    wanted = functional.backward(weights, biases, X, y, **ARGUMENTS)
    out = [np.zeros_like(w, order="F") for w in weights], [np.zeros_like(b) for b in biases]
    found = functional.backward(weights, biases, X, y, out=out, **ARGUMENTS)
    assert all(a is b for a, b in zip(found[1] + found[2], out[0] + out[1], strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(found[1] + found[2], wanted[1] + wanted[2], strict=True))


def test_sample_weights_count():
    net, weights, biases, X, y, _ = problem((5, 4, 3), "float64")
    share = np.random.default_rng(2).uniform(size=40)
    assert functional.loss(weights, biases, X, y, sample_weight=share, **ARGUMENTS) == net.loss(
        X, y, sample_weight=share
    )


def test_labels_and_softmax():
    net = fastnn.Network([5, 16, 3], activation=["relu", "softmax"], loss="cross_entropy", seed=0)
    weights, biases = [w.copy() for w in net.weights], [b.copy() for b in net.biases]
    X, labels = np.random.default_rng(0).normal(size=(9, 5)), np.arange(9) % 3
    given = {"activation": ["relu", "softmax"], "loss": "cross_entropy"}
    assert functional.sgd_step(weights, biases, X, labels, 0.5, **given) == net.step(X, labels, 0.5)
    assert np.array_equal(functional.forward(weights, biases, X, activation=["relu", "softmax"]), net.predict(X))


def test_threads_do_not_share_workspaces():
    problems = [problem((5, 32, 3), "float32", "in_out") for _ in range(4)]

    def descend(number):
        _, weights, biases, X, y, _ = problems[number]
        for _ in range(50):
            functional.sgd_step(weights, biases, X, y, 0.01, orientation="in_out", **ARGUMENTS)

    threads = [threading.Thread(target=descend, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(problems[0][1][0], other[1][0]) for other in problems[1:])


W, B = [np.ones((3, 2)), np.ones((1, 3))], [np.zeros(3), np.zeros(1)]
X = np.zeros((4, 2))
TIED = np.ones((3, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: functional.forward([], [], X), ValueError, "one array for each layer"),
        (lambda: functional.forward(W, B[:1], X), ValueError, "one array for each layer"),
        (lambda: functional.forward([[[1.0, 2.0]]], B[1:], X), TypeError, r"weights\[0\] must be an ndarray"),
        (lambda: functional.forward([W[0].astype(int), W[1]], B, X), TypeError, r"weights\[0\] must be an ndarray"),
        (lambda: functional.forward([W[0], W[1].astype("f4")], B, X), TypeError, r"weights\[1\] must have the dtype"),
        (lambda: functional.forward([W[0].astype(">f8"), W[1]], B, X), TypeError, r"weights\[0\]"),
        (lambda: functional.forward([W[0], np.ones((1, 4))], B, X), ValueError, r"weights\[1\] must have 3 inputs"),
        (lambda: functional.forward(W, B, X, orientation="in_out"), ValueError, r"biases\[0\] must have shape \(2,\)"),
        (lambda: functional.forward(W, B, X, orientation="up"), ValueError, "orientation must be"),
        (lambda: functional.forward([W[0][:0], W[1]], B, X), ValueError, "none empty"),
        (lambda: functional.forward(W, [np.zeros(4), B[1]], X), ValueError, r"biases\[0\] must have shape \(3,\)"),
        (lambda: functional.forward(W, B, np.zeros((4, 3))), ValueError, r"X must have shape \(n, 2\)"),
        (lambda: functional.forward(W, B, X, out=np.zeros((4, 2))), ValueError, "out must be"),
        (lambda: functional.forward(W, B, X, out=np.zeros((8, 2), "f4")[::2, ::2]), ValueError, "out must be"),
        (lambda: functional.forward([W[0]], [B[0]], X[:3], out=W[0]), ValueError, r"out must not overlap weights\[0\]"),
        (lambda: functional.sgd_step([TIED, TIED], [B[0], B[0].copy()], np.ones((1, 3)), np.ones((1, 3)), 0.1),
         ValueError, "must not overlap one another"),
        (lambda: functional.backward(W, B, X, X[:, :1], out=(W, B)), ValueError, "arrays of out must not overlap"),
        (lambda: functional.backward(W, B, X, X[:, :1], out=(W[:1], B[:1])), ValueError, "out must hold arrays"),
        (lambda: functional.sgd_step(W, B, X, X[:, :1], 0.0), ValueError, "learning_rate must be"),
        (lambda: functional.sgd_step([np.broadcast_to(1.0, (1, 2))], [np.zeros(1)], X, X[:, :1], 0.1),
         ValueError, r"weights\[0\] must be writable"),
        (lambda: functional.loss(W, B, np.full((4, 2), np.nan), X[:, :1]), ValueError, "X must hold finite numbers"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_arrays_are_checked_once(monkeypatch):
    """A call with the arrays of an earlier one finds the engine that was made for them, whatever was called between."""
    made = []
    monkeypatch.setattr(functional, "ArrayEngine", lambda *given: made.append(given) or ArrayEngine(*given))
    several = [problem((5, 3), "float32") for _ in range(functional.MAX_CACHED)]
    for _ in range(2):
        for _net, weights, biases, X, _y, _rooms in several:
            functional.forward(weights, biases, X, activation="tanh")
    assert len(made) == len(several)


def test_a_project_with_layer_classes_of_its_own_learns_digits():
    """A layer class of a user's project keeps its arrays; fastnn does the arithmetic on them."""

    class Layer:
        def __init__(self, n_in, n_out, rng):
            self.W, self.b = rng.normal(size=(n_in, n_out)) / np.sqrt(n_in), np.zeros((1, n_out))

    rng = np.random.default_rng(0)
    images, labels = fastnn.datasets.load_digits()
    images = images / 16.0
    layers = [Layer(64, 32, rng), Layer(32, 10, rng)]
    weights, biases = [layer.W for layer in layers], [layer.b for layer in layers]
    given = {"activation": ["relu", "softmax"], "loss": "cross_entropy", "orientation": "in_out"}
    for start in [*range(0, 1500, 10)] * 2:
        functional.sgd_step(weights, biases, images[start : start + 10], labels[start : start + 10], 0.3, **given)
    hidden = np.maximum(images @ layers[0].W + layers[0].b, 0)
    accuracy = ((hidden @ layers[1].W + layers[1].b).argmax(axis=1) == labels).mean()
    assert accuracy > 0.85


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        ("forward", {"weights": 5}, "weights must be a list of arrays"),
        ("sgd_step", {"weights": None}, "weights must be a list of arrays"),
        ("backward", {"out": 5}, "out must be a pair of sequences"),
        ("backward", {"out": ([np.ones((1, 1))],)}, "out must be a pair of sequences"),
        ("backward", {"out": (5, 5)}, r"out\[0\] must be a list of arrays"),
        ("forward", {"activation": 5}, "activation must be a name"),
        ("sgd_step", {"X": 5}, "X must have shape"),
        ("sgd_step", {"X": None}, "X must"),
        ("forward", {"orientation": np.ones(2)}, "orientation must be 'out_in'"),
        ("backward", {"loss": ["a"]}, "loss must be a name"),
        ("loss", {"loss": np.ones(2)}, "loss must be a name"),
    ],
)
def test_arguments_of_wrong_types_are_refused_by_name(call, arguments, message):
    given = {"weights": [np.ones((1, 1))], "biases": [np.zeros(1)], "X": [[1.0]], "activation": "identity"}
    given |= {} if call == "forward" else {"y": [1.0]}
    given |= {"learning_rate": 0.1} if call == "sgd_step" else {}
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(fastnn.functional, call)(**given | arguments)


def test_an_output_that_is_strided_and_read_only_is_refused():
    out = np.zeros((2, 2))[:, :1]
    out.flags.writeable = False
    with pytest.raises(ValueError, match=r"out must be a writable .* got read-only"):
        fastnn.functional.forward([np.ones((1, 1))], [np.zeros(1)], [[1.0], [2.0]], activation="identity", out=out)
