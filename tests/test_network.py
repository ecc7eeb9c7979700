"""Network's face: what it is built with and shows, what it refuses and how it says so, copies, safety."""

import copy
import itertools
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from helpers import BOTH

import fastnn
from fastnn.kernels.activations import CODES as ACTIVATION_CODES
from fastnn.kernels.losses import CODES as LOSS_CODES
from fastnn.preprocessing import MinMaxScaler

OUTPUT_OF = {
    "cross_entropy": "softmax",
    "binary_cross_entropy": "sigmoid",
    "perceptron": "step",
    "poisson": "exponential",
}


def small(**options):
    return fastnn.Network([3, 4, 2], seed=0, **options)


def rows(n=5):
    return np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)


LABELS = np.array([0, 1, 1, 0, 1])

# ---- What it was built with


@BOTH
def test_a_network_shows_what_it_was_built_with(dtype):
    net = fastnn.Network(
        [784, 16, 10], activation=["relu", "softmax"], loss="cross_entropy", dtype=dtype, seed=5, input_scale=1 / 255
    )
    assert (net.sizes, net.activation, net.loss_name) == ((784, 16, 10), ("relu", "softmax"), "cross_entropy")
    assert (net.dtype, net.seed, net.input_scale) == (np.dtype(dtype), 5, 1 / 255)
    assert (net.n_parameters, net.epochs_trained) == (12730, 0)
    assert (net.scaler, net.column_names, net.class_names) == (None, None, None)


def test_defaults():
    net = fastnn.Network([3, 4, 2])
    assert (net.activation, net.loss_name, net.dtype) == (("sigmoid",) * 2, "squared_error", np.float32)
    assert net.input_scale == 1


@pytest.mark.parametrize("sizes", [(3, 4, 2), np.array([3, 4, 2]), range(3, 5), [np.int64(3), np.uint8(2)]], ids=str)
def test_sizes_may_be_any_sequence_of_integers(sizes):
    assert fastnn.Network(sizes, seed=0).sizes == tuple(int(size) for size in sizes)


@pytest.mark.parametrize("dtype", [np.float64, np.dtype("float64"), "f8", float], ids=str)
def test_dtype_may_be_anything_that_numpy_takes_for_it(dtype):
    assert small(dtype=dtype).predict(rows()).dtype == np.float64


@pytest.mark.parametrize("name", ["sizes", "activation", "loss_name", "dtype", "n_parameters", "weights", "biases"])
def test_what_a_network_was_built_with_cannot_be_changed(name):
    with pytest.raises(AttributeError):
        setattr(small(), name, None)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "Network([3, 4, 2], activation='sigmoid', loss='squared_error', dtype='float32', seed=0)"),
        (
            {"activation": ["relu", "softmax"], "loss": "cross_entropy", "dtype": "float64"},
            "Network([3, 4, 2], activation=['relu', 'softmax'], loss='cross_entropy', dtype='float64', seed=0)",
        ),
    ],
)
def test_repr(options, text):
    assert repr(small(**options)) == text


@pytest.mark.parametrize("options", [{"input_scale": 0.25}, {"activation": ["relu", "tanh"], "dtype": "float64"}])
def test_repr_builds_the_same_network(options):
    net = small(**options)
    again = eval(repr(net), {"Network": fastnn.Network})
    assert again.predict(rows()).tobytes() == net.predict(rows()).tobytes()


# ---- What the constructor refuses


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"sizes": "34"}, TypeError, "sizes"),
        ({"sizes": b"34"}, TypeError, "sizes"),
        ({"sizes": 3}, TypeError, "sizes"),
        ({"sizes": None}, TypeError, "sizes"),
        ({"sizes": []}, ValueError, "sizes"),
        ({"sizes": [3]}, ValueError, "sizes"),
        ({"sizes": [3, 0]}, ValueError, "sizes"),
        ({"sizes": [3, -2, 1]}, ValueError, "sizes"),
        ({"sizes": [3, 2.0]}, TypeError, "sizes"),
        ({"sizes": [3, "2"]}, TypeError, "sizes"),
        ({"sizes": [3, None]}, TypeError, "sizes"),
        ({"sizes": [[3, 2]]}, TypeError, "sizes"),
        ({"sizes": [1 << 40, 1 << 40]}, ValueError, "sizes"),
        ({"sizes": [10**400, 2]}, ValueError, "sizes"),
        ({"activation": "sigmoidal"}, ValueError, "activation"),
        ({"activation": ["relu"]}, ValueError, "activation"),
        ({"activation": ["relu"] * 3}, ValueError, "activation"),
        ({"activation": ["relu", "relux"]}, ValueError, "activation"),
        ({"activation": ["relu", None]}, TypeError, "activation"),
        ({"activation": None}, TypeError, "activation"),
        ({"activation": np.tanh}, TypeError, "activation"),
        ({"loss": "absolute"}, ValueError, "loss"),
        ({"loss": None}, ValueError, "loss"),
        ({"loss": ["squared_error"]}, ValueError, "loss"),
        ({"init": "he"}, ValueError, "init"),
        ({"dtype": "float16"}, ValueError, "dtype"),
        ({"dtype": "int32"}, ValueError, "dtype"),
        ({"dtype": "single precision"}, ValueError, "dtype"),
        ({"dtype": np.longdouble}, ValueError, "dtype"),
        ({"dtype": None}, ValueError, "dtype"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 1 << 63}, ValueError, "seed"),
        ({"seed": 1.5}, TypeError, "seed"),
        ({"seed": "1"}, TypeError, "seed"),
        ({"seed": True}, TypeError, "seed"),
        ({"input_scale": 0}, ValueError, "input_scale"),
        ({"input_scale": np.nan}, ValueError, "input_scale"),
        ({"input_scale": np.inf}, ValueError, "input_scale"),
        ({"input_scale": 1e300}, ValueError, "input_scale"),  # infinite in float32
        ({"input_scale": 1e-300}, ValueError, "input_scale"),  # 0 in float32
        ({"input_scale": "1"}, TypeError, "input_scale"),
        ({"input_scale": True}, TypeError, "input_scale"),
        ({"input_scale": None}, TypeError, "input_scale"),
    ],
    ids=str,
)
def test_constructor_refuses(arguments, error, name):
    with pytest.raises(error, match=name):
        fastnn.Network(**{"sizes": [3, 4, 2], **arguments})


def test_options_of_the_constructor_are_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        fastnn.Network([3, 2], "tanh")


PAIRS = list(itertools.product(ACTIVATION_CODES, LOSS_CODES))


def makes_sense(activation, loss):
    return activation == OUTPUT_OF[loss] if loss in OUTPUT_OF else activation != "softmax"


@pytest.mark.parametrize(("activation", "loss"), [pair for pair in PAIRS if makes_sense(*pair)])
def test_valid_pairs_of_activation_and_loss_are_built(activation, loss):
    net = small(activation=["tanh", activation], loss=loss)
    assert np.isfinite(net.predict(rows())).all()


@pytest.mark.parametrize(("activation", "loss"), [pair for pair in PAIRS if not makes_sense(*pair)])
def test_invalid_pairs_of_activation_and_loss_are_refused(activation, loss):
    with pytest.raises(ValueError, match=f"loss .*{loss}|{loss}.* loss") as caught:
        small(activation=["tanh", activation], loss=loss)
    assert repr(activation) in str(caught.value)


def test_softmax_in_a_hidden_layer_is_refused():
    with pytest.raises(ValueError, match=r"'softmax' is for the output layer"):
        small(activation=["softmax", "sigmoid"])


# ---- Parameters


def test_weights_have_a_row_for_each_neuron():
    net = small()
    assert [weight.shape for weight in net.weights] == [(4, 3), (2, 4)]
    assert [bias.shape for bias in net.biases] == [(4,), (2,)]
    net.weights[0][...] = 0
    net.weights[0][2] = [1, 10, 100]  # those into neuron 2
    net.biases[0][...] = 0
    assert net.activations([[3, 2, 1]])[1][0].tolist() == [0.5, 0.5, 1, 0.5]


def test_weights_and_biases_are_writable_views_that_stay_valid():
    net = small()
    weights, biases = net.weights, net.biases
    net.fit(rows(), LABELS, epochs=2)
    net.parameters = net.parameters
    assert net.weights is weights
    assert net.biases is biases
    for part in (*weights, *biases):
        before = net.predict(rows())
        part += 1
        assert (net.predict(rows()) != before).any()


def test_parameters_go_layer_by_layer_weights_by_row_then_biases():
    net = small()
    net.parameters = np.arange(26)
    assert net.weights[0].tolist() == np.arange(12).reshape(4, 3).tolist()
    assert net.biases[0].tolist() == [12, 13, 14, 15]
    assert net.weights[1].tolist() == np.arange(16, 24).reshape(2, 4).tolist()
    assert net.biases[1].tolist() == [24, 25]
    assert net.parameters.tolist() == list(range(26))


def test_parameters_are_read_as_a_copy():
    net = small()
    vector = net.parameters
    before = vector.tobytes()
    vector += 1
    assert net.parameters.tobytes() == before


@pytest.mark.parametrize("kind", [list, np.float64, np.int8, np.float16], ids=str)
def test_parameters_accept_numbers_of_any_type(kind):
    net, numbers = small(), np.arange(26) - 9
    net.parameters = numbers.tolist() if kind is list else numbers.astype(kind)
    assert net.parameters.tolist() == numbers.tolist()


@pytest.mark.parametrize(
    ("vector", "error"),
    [
        (np.zeros(25), ValueError),
        (np.zeros(27), ValueError),
        (np.zeros((2, 13)), ValueError),
        (0.0, ValueError),
        (np.full(26, np.nan), ValueError),
        (np.full(26, -np.inf), ValueError),
        (np.full(26, 1e300), ValueError),  # infinite in float32
        (["a"] * 26, TypeError),
        (np.zeros(26, complex), TypeError),
        (None, (TypeError, ValueError)),
    ],
)
def test_parameters_refuse(vector, error):
    net = small()
    before = net.parameters.tobytes()
    with pytest.raises(error, match="parameters"):
        net.parameters = vector
    assert net.parameters.tobytes() == before


# ---- Input that is refused, by every method that takes it

METHODS = {
    "predict": lambda net, X: net.predict(X),
    "classify": lambda net, X: net.classify(X),
    "activations": lambda net, X: net.activations(X),
    "loss": lambda net, X: net.loss(X, LABELS),
    "gradients": lambda net, X: net.gradients(X, LABELS),
    "step": lambda net, X: net.step(X, LABELS, 0.1),
    "fit": lambda net, X: net.fit(X, LABELS, epochs=1),
    "fit on a part": lambda net, X: net.fit(X, LABELS, epochs=1, validation_split=0.4),
    "validation": lambda net, X: net.fit(rows(), LABELS, epochs=1, validation_data=(X, LABELS)),
}


def with_one(number, kind=np.float64):
    X = rows().astype(kind)
    X[3, 1] = number
    return X


BAD_INPUTS = {
    "one row, flat": (np.zeros(3), ValueError),
    "too few columns": (np.zeros((5, 2)), ValueError),
    "too many columns": (np.zeros((5, 4)), ValueError),
    "three dimensions": (np.zeros((5, 3, 1)), ValueError),
    "a number": (1.0, ValueError),
    "None": (None, (TypeError, ValueError)),
    "ragged": ([[1, 2, 3]] * 4 + [[1, 2]], ValueError),
    "NaN": (with_one(np.nan), ValueError),
    "NaN in float32": (with_one(np.nan, np.float32), ValueError),
    "NaN in float16": (with_one(np.nan, np.float16), ValueError),
    "infinity": (with_one(np.inf), ValueError),
    "infinity in float32": (with_one(np.inf, np.float32), ValueError),
    "-infinity in float16": (with_one(-np.inf, np.float16), ValueError),
    "beyond float32": (with_one(1e300), ValueError),
    "None among numbers": (np.array([[1, 2, None]] * 5, object), (TypeError, ValueError)),
    "texts": ([["a", "b", "c"]] * 5, TypeError),
    "numbers as texts": ([["1", "2", "3"]] * 5, TypeError),
    "bytes": (np.zeros((5, 3), "S1"), TypeError),
    "objects": ([[object()] * 3] * 5, TypeError),
    "complex": (np.zeros((5, 3), complex), TypeError),
    "dates": (np.zeros((5, 3), "datetime64[s]"), TypeError),
    "time spans": (np.zeros((5, 3), "timedelta64[s]"), TypeError),
    "records": (np.zeros((5, 3), [("a", "f4")]), TypeError),
    "long doubles": (np.zeros((5, 3), np.longdouble), TypeError),
    "sparse, too wide": (scipy.sparse.csr_array(np.zeros((5, 4))), (ValueError, TypeError)),
}
if np.dtype(np.longdouble).itemsize == 8:
    del BAD_INPUTS["long doubles"]


def assert_refused(net, act, error, name):
    """Refused with the argument's name, and as if nothing had been asked."""
    before = net.parameters.tobytes()
    with pytest.raises(error) as caught:
        act()
    assert re.search(rf"\b{name}\b", str(caught.value)), str(caught.value)
    assert (net.parameters.tobytes(), net.epochs_trained) == (before, 0)
    net.fit(rows(), LABELS, epochs=1)  # and nothing is left locked


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what", BAD_INPUTS)
def test_bad_inputs_are_refused(what, method):
    X, error = BAD_INPUTS[what]
    net = small()
    assert_refused(net, lambda: METHODS[method](net, X), error, "validation X" if method == "validation" else "X")


@BOTH
def test_the_largest_numbers_are_not_refused(dtype):
    net = small(dtype=dtype, activation="tanh")
    net.parameters = np.zeros(26)
    X = np.full((5, 3), np.finfo(dtype).max)
    assert net.predict(X).tolist() == [[0, 0]] * 5


def test_a_number_that_the_scale_makes_infinite_is_refused():
    net = small(input_scale=100)
    assert_refused(net, lambda: net.predict(with_one(3e37)), ValueError, "X")


def test_the_message_says_where_the_bad_number_is():
    with pytest.raises(ValueError, match=r"X must .* got nan at row 3, column 1"):
        small().predict(with_one(np.nan))


def test_the_message_for_one_row_says_how_to_make_a_row_of_it():
    with pytest.raises(ValueError, match=r"X must have shape \(n, 3\), got \(3,\).*X\.reshape\(1, -1\)"):
        small().predict(np.zeros(3))


def test_the_message_for_one_feature_says_how_to_make_a_column_of_it():
    with pytest.raises(ValueError, match=r"X must have shape \(n, 1\), got \(7,\).*X\.reshape\(-1, 1\)"):
        fastnn.Network([1, 2]).predict(np.zeros(7))


def test_no_rows_have_no_outputs():
    net, nothing = small(), np.zeros((0, 3))
    assert net.predict(nothing).shape == (0, 2)
    assert net.classify(nothing).shape == (0,)
    assert [layer.shape for layer in net.activations(nothing)] == [(0, 3), (0, 4), (0, 2)]


@pytest.mark.parametrize("method", ["loss", "gradients", "step", "fit", "fit on a part", "validation"])
def test_no_rows_cannot_be_learned_from(method):
    net = small()
    act = {
        "loss": lambda: net.loss(np.zeros((0, 3)), []),
        "gradients": lambda: net.gradients(np.zeros((0, 3)), []),
        "step": lambda: net.step(np.zeros((0, 3)), [], 0.1),
        "fit": lambda: net.fit(np.zeros((0, 3)), [], epochs=1),
        "fit on a part": lambda: net.fit(np.zeros((0, 3)), [], epochs=1, validation_split=0.5),
        "validation": lambda: net.fit(rows(), LABELS, epochs=1, validation_data=(np.zeros((0, 3)), [])),
    }[method]
    assert_refused(net, act, ValueError, "X")


# ---- Targets and weights that are refused

LEARNING = {
    "loss": lambda net, y: net.loss(rows(), y),
    "gradients": lambda net, y: net.gradients(rows(), y),
    "step": lambda net, y: net.step(rows(), y, 0.1),
    "fit": lambda net, y: net.fit(rows(), y, epochs=1),
    "validation": lambda net, y: net.fit(rows(), LABELS, epochs=1, validation_data=(rows(), y)),
}


def targets_with_one(number):
    y = np.zeros((5, 2))
    y[3, 1] = number
    return y


BAD_TARGETS = {
    "too few labels": ([0, 1, 1, 0], ValueError),
    "too many rows": (np.zeros((6, 2)), ValueError),
    "too many columns": (np.zeros((5, 3)), ValueError),
    "one column for two outputs": (np.zeros((5, 1)), ValueError),
    "three dimensions": (np.zeros((5, 2, 1)), ValueError),
    "a number": (1, ValueError),
    "None": (None, (TypeError, ValueError)),
    "label too large": ([0, 1, 2, 0, 1], ValueError),
    "label below 0": ([0, 1, -1, 0, 1], ValueError),
    "label beyond int64": (np.array([0, 1, 2**64 - 1, 0, 1], np.uint64), ValueError),
    "labels as floats": ([0.0, 1.0, 1.0, 0.0, 1.0], TypeError),
    "labels as texts": (list("abbab"), TypeError),
    "NaN": (targets_with_one(np.nan), ValueError),
    "infinity": (targets_with_one(np.inf), ValueError),
    "beyond float32": (targets_with_one(1e300), ValueError),
    "complex": (np.zeros((5, 2), complex), TypeError),
    "ragged": ([[1, 2]] * 4 + [[1]], ValueError),
    "sparse": (scipy.sparse.csr_array(np.zeros((5, 2))), TypeError),
}


@pytest.mark.parametrize("method", LEARNING)
@pytest.mark.parametrize("what", BAD_TARGETS)
def test_bad_targets_are_refused(what, method):
    y, error = BAD_TARGETS[what]
    net = small()
    assert_refused(net, lambda: LEARNING[method](net, y), error, "validation y" if method == "validation" else "y")


@pytest.mark.parametrize(("labels", "worst"), [([0, 1, 2, 0, 1], 2), ([0, 1, -1, 0, 1], -1), ([0, -3, 7, 0, 1], -3)])
def test_the_worst_label_is_named(labels, worst):
    with pytest.raises(ValueError, match=rf"y must hold labels 0\.\.1 for 2 outputs, got {worst}$"):
        small().fit(rows(), labels, epochs=1)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("cross_entropy", np.full((5, 2), 0.4)),
        ("cross_entropy", np.tile([1.5, -0.5], (5, 1))),
        ("cross_entropy", np.zeros((5, 2))),
        ("binary_cross_entropy", np.full((5, 2), 1.01)),
        ("binary_cross_entropy", np.full((5, 2), -0.01)),
        ("perceptron", np.full((5, 2), 0.5)),
        ("perceptron", np.full((5, 2), -1)),
    ],
)
def test_targets_out_of_the_range_of_the_loss_are_refused(loss, y):
    net = small(activation=["tanh", OUTPUT_OF[loss]], loss=loss)
    assert_refused(net, lambda: net.fit(rows(), y, epochs=1), ValueError, "y")


@pytest.mark.parametrize(
    ("y", "error"),
    [
        (np.zeros((5, 2)), ValueError),
        (np.zeros((5, 1, 1)), ValueError),
        ([0, 1, 1, 0], ValueError),
        (list("abbab"), TypeError),
        ([0, 1, np.nan, 0, 1], ValueError),
    ],
)
def test_bad_targets_of_one_output_are_refused(y, error):
    net = fastnn.Network([3, 1], seed=0)
    assert_refused(net, lambda: net.fit(rows(), y, epochs=1), error, "y")


BAD_WEIGHTS = {
    "too few": (np.ones(4), ValueError),
    "a column": (np.ones((5, 1)), ValueError),
    "a number": (1.0, ValueError),
    "negative": ([1, 1, -1, 1, 1], ValueError),
    "NaN": ([1, 1, np.nan, 1, 1], ValueError),
    "infinity": ([1, 1, np.inf, 1, 1], ValueError),
    "beyond float32": ([1, 1, 1e300, 1, 1], ValueError),
    "all 0": (np.zeros(5), ValueError),
    "texts": (list("abbab"), TypeError),
    "complex": (np.ones(5, complex), TypeError),
}


@pytest.mark.parametrize("method", ["loss", "gradients", "step", "fit", "fit on a part", "validation"])
@pytest.mark.parametrize("what", BAD_WEIGHTS)
def test_bad_sample_weights_are_refused(what, method):
    weight, error = BAD_WEIGHTS[what]
    net, X = small(), rows()
    act = {
        "loss": lambda: net.loss(X, LABELS, sample_weight=weight),
        "gradients": lambda: net.gradients(X, LABELS, sample_weight=weight),
        "step": lambda: net.step(X, LABELS, 0.1, sample_weight=weight),
        "fit": lambda: net.fit(X, LABELS, epochs=1, sample_weight=weight),
        "fit on a part": lambda: net.fit(X, LABELS, epochs=1, sample_weight=weight, validation_split=0.4),
        "validation": lambda: net.fit(X, LABELS, epochs=1, validation_data=(X, LABELS, weight)),
    }[method]
    assert_refused(net, act, error, "validation sample_weight" if method == "validation" else "sample_weight")


# ---- Settings that are refused


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({"epochs": -1}, ValueError, "epochs"),
        ({"epochs": 1.5}, TypeError, "epochs"),
        ({"epochs": "3"}, TypeError, "epochs"),
        ({"epochs": True}, TypeError, "epochs"),
        ({"epochs": None}, TypeError, "epochs"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batch_size": -5}, ValueError, "batch_size"),
        ({"batch_size": 2.0}, TypeError, "batch_size"),
        ({"learning_rate": 0}, ValueError, "learning_rate"),
        ({"learning_rate": -0.1}, ValueError, "learning_rate"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate"),
        ({"learning_rate": np.inf}, ValueError, "learning_rate"),
        ({"learning_rate": 1e300}, ValueError, "learning_rate"),  # infinite in float32
        ({"learning_rate": "fast"}, TypeError, "learning_rate"),
        ({"learning_rate": True}, TypeError, "learning_rate"),
        ({"learning_rate": [0.1]}, TypeError, "learning_rate"),
        ({"learning_rate": lambda epoch: 0.0}, ValueError, "learning_rate"),
        ({"learning_rate": lambda epoch: None}, TypeError, "learning_rate"),
        ({"optimizer": "adamant"}, ValueError, "optimizer"),
        ({"optimizer": None}, (TypeError, ValueError), "optimizer"),
        ({"validation_data": rows()}, (TypeError, ValueError), "validation_data"),
        ({"validation_data": (rows(),)}, (TypeError, ValueError), "validation_data"),
        ({"validation_data": (rows(), LABELS, None, None)}, (TypeError, ValueError), "validation_data"),
        ({"validation_data": "abc"}, (TypeError, ValueError), "validation_data"),
        ({"validation_split": 0.0}, ValueError, "validation_split"),
        ({"validation_split": 1.0}, ValueError, "validation_split"),
        ({"validation_split": -0.2}, ValueError, "validation_split"),
        ({"validation_split": 0.01}, ValueError, "validation_split"),  # not one of five rows
        ({"validation_split": 0.99}, ValueError, "validation_split"),
        ({"validation_split": np.nan}, ValueError, "validation_split"),
        ({"validation_split": "0.2"}, TypeError, "validation_split"),
        ({"validation_split": 0.4, "validation_data": (rows(), LABELS)}, ValueError, "validation_split"),
        ({"shuffle": "no"}, TypeError, "shuffle"),
        ({"callbacks": [3]}, TypeError, "callbacks"),
        ({"callbacks": print}, TypeError, "callbacks"),
        ({"callbacks": None}, TypeError, "callbacks"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"n_threads": -1}, ValueError, "n_threads"),
        ({"n_threads": 1.0}, TypeError, "n_threads"),
        ({"n_threads": "2"}, TypeError, "n_threads"),
        ({"on_divergence": "ignore"}, ValueError, "on_divergence"),
        ({"on_divergence": None}, (TypeError, ValueError), "on_divergence"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_fit_refuses(settings, error, name):
    net = small()
    assert_refused(net, lambda: net.fit(rows(), LABELS, **{"epochs": 1, **settings}), error, name)


@pytest.mark.parametrize(
    ("rate", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (np.nan, ValueError),
        (np.inf, ValueError),
        (1e300, ValueError),
        ("1", TypeError),
        (None, TypeError),
        (True, TypeError),
    ],
)
def test_step_refuses_rates(rate, error):
    net = small()
    assert_refused(net, lambda: net.step(rows(), LABELS, rate), error, "learning_rate")


@pytest.mark.parametrize(
    ("out", "error"),
    [
        (np.empty((4, 2), np.float32), ValueError),
        (np.empty((5, 3), np.float32), ValueError),
        (np.empty(10, np.float32), ValueError),
        (np.empty((5, 2), np.float64), ValueError),
        (np.empty((5, 2), ">f4"), ValueError),
        (np.empty((2, 5), np.float32).T, ValueError),
        (np.empty((5, 4), np.float32)[:, ::2], ValueError),
        (np.broadcast_to(np.float32(0), (5, 2)), ValueError),
        ([[0.0, 0.0]] * 5, (TypeError, ValueError)),
        ("here", (TypeError, ValueError)),
    ],
)
def test_predict_refuses_an_out_that_does_not_fit(out, error):
    net = small()
    assert_refused(net, lambda: net.predict(rows(), out=out), error, "out")


@BOTH
def test_predict_writes_into_out(dtype):
    net, out = small(dtype=dtype), np.full((5, 2), np.nan, dtype)
    assert net.predict(rows(), out=out) is out
    assert out.tobytes() == net.predict(rows()).tobytes()


# ---- Networks that cannot be trained

UNTRAINABLE = {
    "hidden step": (
        {"activation": ["step", "sigmoid"]},
        r"hidden layer 1 has activation 'step', whose derivative is 0",
    ),
    "all step": ({"activation": "step", "loss": "perceptron"}, r"hidden layer 1 has activation 'step'"),
    "step output": ({"activation": ["tanh", "step"]}, r"output layer has activation 'step', whose derivative is 0"),
}


@pytest.mark.parametrize("method", ["fit", "step", "gradients"])
@pytest.mark.parametrize("what", UNTRAINABLE)
def test_a_network_without_a_gradient_refuses_to_be_trained_and_says_why(what, method):
    options, reason = UNTRAINABLE[what]
    net = small(**options)
    before = net.parameters.tobytes()
    with pytest.raises(ValueError, match=reason):
        LEARNING[method](net, LABELS)
    assert net.parameters.tobytes() == before


@pytest.mark.parametrize("what", UNTRAINABLE)
def test_a_network_without_a_gradient_can_predict(what):
    net = small(**UNTRAINABLE[what][0])
    assert net.predict(rows()).shape == (5, 2)
    assert net.loss(rows(), LABELS) >= 0


def test_a_hidden_step_computes_xor():
    net = fastnn.Network([2, 2, 1], activation="step", seed=0)
    net.parameters = [1, 1, 1, 1, -1, -2, 1, -1, -1]  # or, and; or and not and
    assert net.predict([[0, 0], [0, 1], [1, 0], [1, 1]])[:, 0].tolist() == [0, 1, 1, 0]


# ---- Answers


def one_layer(weights, biases=0.0, **options):
    n_out, n_in = np.shape(weights)
    net = fastnn.Network([n_in, n_out], seed=0, **{"activation": "identity", **options})
    net.weights[0][...] = weights
    net.biases[0][...] = biases
    return net


def test_classify_gives_the_index_of_the_largest_output():
    answers = one_layer(np.eye(3)).classify([[1, 2, 3], [3, 1, 2], [-1, 0, -5]])
    assert answers.tolist() == [2, 0, 1]
    assert answers.dtype == np.int64


def test_classify_gives_the_first_of_equal_outputs():
    assert one_layer(np.eye(3)).classify([[1, 2, 2], [0, 0, 0]]).tolist() == [1, 0]


def test_classify_splits_one_output_at_a_half():
    answers = one_layer([[1.0]]).classify([[0.49], [0.5], [0.51], [-3], [2]])
    assert answers.tolist() == [0, 1, 1, 0, 1]
    assert answers.dtype == np.int64


def test_activations_begin_with_the_scaled_input():
    net = small(input_scale=0.25)
    layers = net.activations(rows())
    assert layers[0].tobytes() == (rows() * np.float32(0.25)).tobytes()
    assert layers[2].tobytes() == net.predict(rows()).tobytes()


def test_activations_are_copies():
    net = small()
    first = net.activations(rows())
    kept = [layer.tobytes() for layer in first]
    net.activations(-rows())
    assert [layer.tobytes() for layer in first] == kept


def test_inputs_are_left_alone():
    X, y = rows(), np.eye(2, dtype=np.float32)[LABELS]
    kept = X.tobytes(), y.tobytes()
    small(input_scale=3).fit(X, y, epochs=2, batch_size=2)
    assert (X.tobytes(), y.tobytes()) == kept


@pytest.mark.parametrize("sizes", [[1, 1], [3, 2], [784, 30, 10], [2, 3, 4, 5]], ids=str)
def test_number_of_parameters(sizes):
    net = fastnn.Network(sizes, seed=0)
    assert net.n_parameters == sum(part.size for part in (*net.weights, *net.biases))


# ---- Safety at large weighted inputs


@BOTH
@pytest.mark.parametrize(
    ("loss", "y", "value", "derivatives"),
    [
        ("cross_entropy", [0, 1], 2000, [1, -1]),
        ("cross_entropy", [1, 0], 0, [0, 0]),
        ("cross_entropy", [0.5, 0.5], 1000, [0.5, -0.5]),
        ("binary_cross_entropy", [0, 1], 2000, [1, -1]),
        ("binary_cross_entropy", [1, 0], 0, [0, 0]),
        ("binary_cross_entropy", [0.5, 0.5], 1000, [0.5, -0.5]),
        ("perceptron", [0, 1], 2000, [1, -1]),
        ("perceptron", [1, 0], 0, [0, 0]),
    ],
)
def test_losses_at_a_thousand_are_exact(loss, y, value, derivatives, dtype):
    net = one_layer(np.eye(2), activation=OUTPUT_OF[loss], loss=loss, dtype=dtype)
    X = [[1000, -1000]]
    assert net.loss(X, [y]) == pytest.approx(value, rel=0, abs=1e-30)
    np.testing.assert_allclose(net.gradients(X, [y])[1][0], derivatives, rtol=0, atol=1e-30)


@BOTH
@pytest.mark.parametrize("name", [name for name in ACTIVATION_CODES if name not in ("step", "softmax", "exponential")])
def test_squared_error_at_a_thousand_is_finite(name, dtype):
    net = one_layer(np.eye(2), activation=name, dtype=dtype)
    X = [[1000, -1000]]
    with np.errstate(all="raise"):
        assert np.isfinite(net.loss(X, [[0.25, 0.75]]))
        assert np.isfinite(net.gradients(X, [[0.25, 0.75]], flat=True)).all()


@BOTH
@pytest.mark.parametrize("level", [0, 1000])
def test_a_small_cross_entropy_keeps_its_digits(level, dtype):
    net = one_layer([[10], [0]], level, activation="softmax", loss="cross_entropy", dtype=dtype)
    eps = float(np.finfo(dtype).eps)  # of the sum of exponentials, 1 + exp(-10)
    assert net.loss([[1]], [[1, 0]]) == pytest.approx(np.log1p(np.exp(-10)), rel=0, abs=2 * eps)


@BOTH
def test_a_small_binary_cross_entropy_keeps_its_digits(dtype):
    net = one_layer([[10]], activation="sigmoid", loss="binary_cross_entropy", dtype=dtype)
    assert net.loss([[1]], [1]) == pytest.approx(np.log1p(np.exp(-10)), rel=8 * float(np.finfo(dtype).eps), abs=0)


# ---- Copies


def trained(**options):
    net = small(**options)
    net.scaler = MinMaxScaler().fit(rows())
    net.column_names, net.class_names = ("a", "b", "c"), ("no", "yes")
    net.fit(rows(), LABELS, epochs=2, batch_size=2)
    return net


COPIES = {
    "copy": lambda net: net.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {p}": lambda net, p=p: pickle.loads(pickle.dumps(net, p)) for p in (2, pickle.HIGHEST_PROTOCOL)},
}


@BOTH
@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_equal(how, dtype):
    net = trained(dtype=dtype, activation=["relu", "softmax"], loss="cross_entropy", input_scale=0.5)
    twin = COPIES[how](net)
    assert twin.predict(rows()).tobytes() == net.predict(rows()).tobytes()
    assert repr(twin) == repr(net)
    names = ("sizes", "activation", "loss_name", "dtype", "seed", "input_scale")
    names += ("epochs_trained", "column_names", "class_names")
    assert [getattr(twin, name) for name in names] == [getattr(net, name) for name in names]
    assert twin.scaler.state() == net.scaler.state()


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_trains_on_as_the_original_would(how):
    net = trained()
    twin = COPIES[how](net)
    for each in (net, twin):
        each.fit(rows(), LABELS, epochs=2, batch_size=2)
    assert twin.parameters.tobytes() == net.parameters.tobytes()


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_independent(how):
    net = trained()
    before = net.parameters.tobytes()
    twin = COPIES[how](net)
    twin.fit(rows(), LABELS, epochs=3)
    twin.weights[0][...] = 0
    twin.class_names = None
    assert (net.parameters.tobytes(), net.epochs_trained, net.class_names) == (before, 2, ("no", "yes"))


def test_a_network_in_training_can_be_copied():
    copies = []
    net = small()
    net.fit(rows(), LABELS, epochs=3, callbacks=[lambda net, history: copies.append(net.copy())])
    assert [twin.fit(rows(), LABELS, epochs=1).epochs for twin in copies] == [1, 1, 1]


def test_softmax_outputs_by_hand():
    net = fastnn.Network([1, 3], activation="softmax", loss="cross_entropy", dtype="float64", seed=0)
    net.parameters = [0, 0, 0, 0, np.log(2), np.log(5)]  # weights, then biases: e^z = 1, 2, 5
    np.testing.assert_allclose(net.predict([[7.0]]), [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-15)


def test_the_columns_of_a_table_are_remembered_and_checked():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(np.eye(3), columns=["a", "b", "c"])
    net = fastnn.Network([3, 1], seed=0)
    net.predict(table.iloc[:, ::-1])  # nothing is known of it yet
    net.fit(table, [0.0, 1.0, 0.0], epochs=1)
    assert net.column_names == ("a", "b", "c")
    assert (net.predict(table) == net.predict(np.eye(3))).all()
    wrong = table.iloc[:, ::-1]
    for call in (net.predict, net.classify, lambda X: net.fit(X, [0.0, 1.0, 0.0], epochs=1)):
        with pytest.raises(ValueError, match=r"X must have the columns \['a', 'b', 'c'\] in this order, got \['c'"):
            call(wrong)
    net.predict(pd.DataFrame(np.eye(3)))  # columns that are numbers have no names


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["x", "y", "x"], r"numpy.unique\(y, return_inverse=True\)"),
        ([[0], [1], [0]], r"for labels use y.reshape\(-1\)"),
    ],
    ids=["texts", "a column"],
)
def test_labels_in_other_forms_are_refused_with_the_remedy(y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fastnn.Network([3, 2], seed=0).fit(np.eye(3), y, epochs=1)


def test_sizes_that_are_not_in_a_list_name_network_in_the_error():
    with pytest.raises(TypeError, match=r"Network\.__init__\(\) takes"):
        fastnn.Network(4, 3, 2)


def test_optional_modules_are_imported_on_first_use():
    code = (
        "import sys, fastnn; assert 'fastnn.plots' not in sys.modules; fastnn.plots.first_layer; 'plots' in dir(fastnn)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'pictures'"):
        fastnn.pictures  # noqa: B018


def test_an_integer_beyond_every_float_is_refused():
    with pytest.raises(ValueError, match="learning_rate must be within float64, got an integer of 1329 bits"):
        fastnn.Network([3, 1], seed=0).fit(np.eye(3), [0.0, 1.0, 0.0], epochs=1, learning_rate=10**400)
