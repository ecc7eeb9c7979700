"""Losses with a setting, and losses and activations of the user's own."""

import functools
import math

import numpy as np
import pytest
import scipy.special
from helpers import BOTH
from numba import njit

import fastnn
from fastnn import losses, reference
from fastnn.kernels import user_functions
from fastnn.kernels.activations import CODES as ACTIVATION_CODES
from fastnn.kernels.jit import COMPILED, from_python
from fastnn.kernels.layout import ACTIVATION
from fastnn.kernels.losses import CODES as LOSS_CODES
from fastnn.parameters import make_layout


@pytest.fixture
def own_names():
    """Forgets the names that a test registers; the compiled blocks stay, as their places are handed out once."""
    codes_before = dict(ACTIVATION_CODES), dict(LOSS_CODES)
    yield
    for codes, before in zip((ACTIVATION_CODES, LOSS_CODES), codes_before, strict=True):
        for name in set(codes) - set(before):
            del codes[name]


def one_output(loss, a, dtype="float64", activation="identity"):
    """A network without inputs to speak of, whose output is a."""
    net = fastnn.Network([1, 1], activation=activation, loss=loss, dtype=dtype, seed=0)
    net.weights[0][...] = 0
    net.biases[0][...] = a
    return net


@BOTH
@pytest.mark.parametrize(
    ("loss", "a", "y", "value", "gradient"),
    [
        ("half_squared_error", 4.0, 1.0, 4.5, 3.0),  # 3^2 / 2
        ("absolute_error", 3.0, 1.0, 2.0, 1.0),
        ("absolute_error", -1.0, 1.0, 2.0, -1.0),
        ("absolute_error", 1.0, 1.0, 0.0, 0.0),
        ("huber", 1.5, 1.0, 0.125, 0.5),  # within the limit of 1: e^2 / 2
        ("huber", 4.0, 1.0, 2.5, 1.0),  # beyond it: 1 (3 - 1/2)
        (losses.Huber(2.0), 4.0, 1.0, 4.0, 2.0),  # 2 (3 - 1)
        (losses.Huber(4.0), -2.0, 1.0, 4.5, -3.0),
        ("quantile", 3.0, 1.0, 1.0, 0.5),
        (losses.Quantile(0.75), 3.0, 1.0, 0.5, 0.25),  # above the target: 1 - q
        (losses.Quantile(0.75), 1.0, 3.0, 1.5, -0.75),  # below it: q
        (losses.Quantile(0.75), 1.0, 1.0, 0.0, 0.0),
    ],
)
def test_a_loss_of_one_output_by_hand(loss, a, y, value, gradient, dtype):
    net = one_output(loss, a, dtype)
    assert net.loss([[0.0]], [y]) == value
    assert net.gradients([[0.0]], [y])[1][0].tolist() == [gradient]


@BOTH
def test_poisson_by_hand(dtype):
    net = one_output("poisson", math.log(4), dtype, "exponential")
    assert net.predict([[0.0]])[0, 0] == pytest.approx(4, rel=1e-6)
    assert net.loss([[0.0]], [3.0]) == pytest.approx(4 - 3 * math.log(4), rel=1e-6)  # e^z - y z
    assert net.gradients([[0.0]], [3.0])[1][0][0] == pytest.approx(1, rel=1e-5)  # e^z - y


def test_the_quantile_loss_finds_the_quantile():
    y = np.arange(1.0, 101.0)
    net = one_output(losses.Quantile(0.8), 50.0)
    net.fit(np.zeros((100, 1)), y, epochs=300, batch_size=100, learning_rate=5.0)
    assert 79.5 < net.predict([[0.0]])[0, 0] < 81.5  # any number from 80 to 81; a step there is at most 5 * 0.01


@pytest.mark.parametrize(
    "loss", ["huber", losses.Huber(0.25), losses.Quantile(0.9), losses.Quantile([0.9, 0.1]), "poisson"], ids=str
)
def test_a_loss_and_its_setting_are_saved_and_loaded(loss, tmp_path):
    output = "exponential" if loss == "poisson" else "identity"
    net = fastnn.Network([2, 2], activation=output, loss=loss, seed=0)
    net.save(tmp_path / "net.safetensors")
    again = fastnn.load(tmp_path / "net.safetensors")
    assert (again.loss_name, again.engine.spec) == (net.loss_name, net.engine.spec)


@pytest.mark.parametrize(
    ("make", "error", "word"),
    [
        (lambda: losses.Huber(0), ValueError, "delta"),
        (lambda: losses.Huber("1"), TypeError, "delta"),
        (lambda: losses.Quantile(1.0), ValueError, "q must lie between"),
        (lambda: losses.Quantile(math.nan), ValueError, "q must be finite"),
        (lambda: losses.Quantile([]), ValueError, "q must hold levels between 0 and 1"),
        (lambda: losses.Quantile([0.1, 1.0]), ValueError, "q must hold levels between 0 and 1"),
        (lambda: losses.Quantile(["a"]), TypeError, "q must be a number"),
        (lambda: losses.Quantile("0.5"), TypeError, "q must be a number"),
        (lambda: fastnn.Network([2, 1], loss=losses.Quantile([0.1, 0.9])), ValueError, "each of the 1 outputs, got 2"),
        (lambda: fastnn.Network([2, 1], loss=("quantile", [0.5, 2])), ValueError, "loss_setting must hold levels"),
        (lambda: fastnn.Network([2, 1], loss=losses.Huber), ValueError, "loss must be one of"),
        (lambda: fastnn.Network([2, 1], loss="poisson"), ValueError, "exponential"),
        (lambda: fastnn.Network([2, 1], loss=("huber", -1.0)), ValueError, "loss_setting"),
        (lambda: fastnn.Network([2, 1], loss=("squared_error", 1.0)), ValueError, "loss_setting"),
    ],
)
def test_invalid_settings_are_refused(make, error, word):
    with pytest.raises(error, match=word):
        make()


def test_negative_counts_are_refused():
    net = fastnn.Network([1, 1], activation="exponential", loss="poisson", seed=0)
    with pytest.raises(ValueError, match="y must be 0 or more for loss 'poisson', got -1"):
        net.fit([[0.0]], [-1.0], epochs=1)


def softplus(z):
    return math.log1p(math.exp(-abs(z))) + max(z, 0.0)


def logistic(z):
    return 1 / (1 + math.exp(-z))


def cube(a, y):
    return abs(a - y) ** 3


def cube_derivative(a, y):
    return 3 * (a - y) * abs(a - y)


@BOTH
@pytest.mark.parametrize("decorate", [lambda f: f, njit], ids=["plain", "njit"])
@pytest.mark.usefixtures("own_names")
def test_a_registered_activation_equals_the_built_in_one(decorate, dtype):
    fastnn.register_activation("my_softplus", decorate(softplus), decorate(logistic))
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = np.random.default_rng(1).normal(size=(40, 2))
    nets = [
        fastnn.Network([3, 21, 2], activation=[name, "identity"], dtype=dtype, seed=2)
        for name in ("softplus", "my_softplus")
    ]
    for net in nets:
        net.fit(X, y, epochs=5, learning_rate=0.05)
    # two ways to compute the same function, a few roundings apart in each of ten steps
    tolerance = 2000 * np.finfo(dtype).eps
    np.testing.assert_allclose(nets[1].parameters, nets[0].parameters, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(nets[1].predict(X), nets[0].predict(X), rtol=tolerance, atol=tolerance)
    assert (nets[1].predict(X[:1]) == nets[1].predict(X)[:1]).all()


@BOTH
@pytest.mark.usefixtures("own_names")
def test_a_registered_loss_has_its_value_and_its_derivative(dtype):
    fastnn.register_loss("cube", cube, cube_derivative)
    net = one_output("cube", 3.0, dtype)
    assert net.loss([[0.0]], [1.0]) == 8
    assert net.gradients([[0.0]], [1.0])[1][0].tolist() == [12]
    assert net.gradients([[0.0], [0.0]], [1.0, 3.0])[1][0].tolist() == [6]


@pytest.mark.usefixtures("own_names")
def test_two_registered_activations_and_a_registered_loss_work_together():
    fastnn.register_activation("double", lambda z: 2 * z, lambda z: 2.0)
    fastnn.register_activation("treble", lambda z: 3 * z, lambda z: 3.0)
    fastnn.register_loss("cube", cube, cube_derivative)
    net = fastnn.Network([1, 1, 1], activation=["double", "treble"], loss="cube", dtype="float64", seed=0)
    for weight in net.weights:
        weight[...] = 1
    assert net.predict([[1.0]]).tolist() == [[6.0]]
    assert net.loss([[1.0]], [4.0]) == 8
    # dl/da = 3 * 2 * 2 = 12; the output's bias moves z by 1, so a by 3; the hidden one's z by 1, a by 2
    assert [bias.tolist() for bias in net.gradients([[1.0]], [4.0])[1]] == [[72.0], [36.0]]


@pytest.mark.usefixtures("own_names")
def test_a_wrong_derivative_is_refused_and_registers_no_name():
    with pytest.raises(ValueError, match="derivative of function"):
        fastnn.register_activation("wrong", lambda z: z * z, lambda z: z)
    with pytest.raises(ValueError, match="derivative of function"):
        fastnn.register_loss("wrong", lambda a, y: (a - y) ** 2, lambda a, y: a - y)
    assert "wrong" not in ACTIVATION_CODES
    assert "wrong" not in LOSS_CODES


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("relu", abs, ValueError), ("", abs, TypeError), (3, abs, TypeError), ("new", 3, TypeError)],
)
def test_invalid_names_and_functions_are_refused(name, value, error):
    with pytest.raises(error, match=r"name|function"):
        fastnn.register_activation(name, value, value)


@pytest.mark.usefixtures("own_names")
def test_an_activation_that_is_not_registered_in_this_process_is_named():
    fastnn.register_activation("mine", lambda z: 2 * z, lambda z: 2.0)
    net = fastnn.Network([1, 1], activation="mine", seed=0)
    del ACTIVATION_CODES["mine"]
    with pytest.raises(ValueError, match="activation 'mine' is not known in this process"):
        net.predict([[1.0]])


@pytest.mark.usefixtures("own_names")
def test_a_name_that_is_registered_anew_calls_the_new_function():
    outputs = []
    for factor in (2.0, 3.0):
        fastnn.register_activation("mine", lambda z, factor=factor: factor * z, lambda z, factor=factor: factor)
        net = fastnn.Network([1, 1], activation="mine", dtype="float64", seed=0)
        net.weights[0][...] = 1
        assert make_layout(net.engine.spec).table[0, ACTIVATION] == ACTIVATION_CODES["mine"]
        outputs.append(net.predict([[1.0]]).tolist())
        del ACTIVATION_CODES["mine"]
    assert outputs == [[[2.0]], [[3.0]]]


def test_the_functions_that_give_user_functions_their_signature_do_what_they_document():
    a, derivative = np.array([2.0, 3.0]), np.zeros(2)
    from_python(user_functions.user_activation)(a, derivative)
    assert (a.tolist(), derivative.tolist()) == ([2.0, 3.0], [1.0, 1.0])
    delta, row_loss = np.ones(2), np.ones(1)
    from_python(user_functions.user_loss)(a, delta, row_loss, a, np.ones(1), 1, 2, 2)
    assert (delta.tolist(), row_loss.tolist()) == ([0.0, 0.0], [0.0])


@pytest.mark.parametrize("loss", sorted(set(LOSS_CODES) - set(reference.OUTPUT_OF)))
def test_several_outputs_are_summed(loss):
    net = fastnn.Network([1, 3], activation="identity", loss=loss, dtype="float64", seed=0)
    parts = [one_output(loss, 0.0) for _ in range(3)]
    for number, part in enumerate(parts):
        part.weights[0][...] = net.weights[0][number]
    y = np.array([[0.3, -2.0, 5.0]])
    singles = [part.loss([[1.0]], [target]) for part, target in zip(parts, y[0], strict=True)]
    assert net.loss([[1.0]], y) == pytest.approx(sum(singles), rel=1e-14)


def test_several_labels_per_example_are_learned():
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    labels = np.stack([X[:, 0], X[:, 1], X.max(axis=1)], axis=1)
    net = fastnn.Network([2, 3], activation="sigmoid", loss="binary_cross_entropy", seed=0)
    net.fit(X, labels, epochs=300, batch_size=4, learning_rate=2.0)
    assert ((net.predict(X) > 0.5) == labels).all()


@pytest.mark.parametrize(
    ("outputs", "targets", "right"),
    [
        ([0.4, 0.6, 0.5, 0.49], [0.0, 1.0, 1.0, 1.0], 3),  # an output of exactly 1/2 counts as 1
        ([0.5, 0.5], [0.5, 0.49], 1),  # and so does a target
        ([0.2, 0.9, 0.7], [1.0, 0.0, 0.0], 0),
    ],
)
def test_accuracy_of_one_output_is_split_at_one_half(outputs, targets, right):
    """Identity of one input each, so that the outputs are the inputs; the rate is too small to move them."""
    net = fastnn.Network([1, 1], activation=["sigmoid"], loss="binary_cross_entropy", dtype="float64", seed=0)
    net.parameters = [1.0, 0.0]
    logits = np.log(np.array(outputs) / (1 - np.array(outputs))).reshape(-1, 1)
    history = net.fit(logits, targets, epochs=1, batch_size=9, learning_rate=1e-12)
    assert history["accuracy"] == [pytest.approx(right / len(outputs))]


def raises_beyond(z):
    if z > 1e9:
        raise ValueError
    return z


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (raises_beyond, ValueError, "function must not raise"),
        (lambda z: raises_beyond(z), ValueError, "function must not raise"),
        (lambda z: None, TypeError, "must"),
        (lambda z: complex(z), TypeError, "must"),
        (functools.partial(pow, 2), TypeError, "function must be a function, got functools.partial"),
    ],
    ids=["raises", "calls what raises", "nothing", "complex", "partial"],
)
def test_functions_that_would_fail_in_compiled_code_are_not_registered(value, error, message):
    with pytest.raises(error, match=message):
        fastnn.register_activation("unfit", value, lambda z: 1.0)
    assert "unfit" not in ACTIVATION_CODES


@pytest.mark.skipif(not COMPILED, reason="without compilation every function does")
def test_a_function_that_does_not_compile_is_not_registered():
    with pytest.raises(TypeError, match="function must be a function that Numba compiles: Unknown attribute 'expit'"):
        fastnn.register_activation("unfit", lambda z: scipy.special.expit(z), lambda z: 1.0)
    assert "unfit" not in ACTIVATION_CODES


@pytest.mark.usefixtures("own_names")
def test_functions_of_the_standard_library_and_of_numpy_can_be_registered():
    fastnn.register_activation("of math", math.sin, math.cos)
    fastnn.register_loss("of numpy", np.hypot, lambda a, y: a / math.hypot(a, y))
    net = fastnn.Network([1, 1], activation="of math", loss="of numpy", dtype="float64", seed=0)
    net.parameters = [1.0, 0.0]
    assert net.loss([[0.5]], [1.0]) == pytest.approx(math.hypot(math.sin(0.5), 1.0))


@pytest.mark.parametrize("loss", [("huber",), (["a"], 0), fastnn.Adam()], ids=str)
def test_losses_of_wrong_types_are_refused_by_name(loss):
    with pytest.raises((TypeError, ValueError), match="loss must be"):
        fastnn.Network([1, 1], loss=loss)


@pytest.mark.usefixtures("own_names")
def test_a_registered_loss_is_checked_between_0_and_1():
    def value(a, y):
        return math.sqrt(a * (1 - a)) + math.sqrt(y * (1 - y))  # of other numbers an error of Python's

    fastnn.register_loss("half a circle", value, lambda a, y: (1 - 2 * a) / (2 * math.sqrt(a * (1 - a))))


@pytest.mark.usefixtures("own_names")
def test_a_registered_activation_is_checked_between_minus_4_and_4():
    def value(z):
        return math.sqrt(16.2 - z * z)  # beyond 4.02 an error of Python's

    fastnn.register_activation("half a circle", value, lambda z: -z / math.sqrt(16.2 - z * z))
