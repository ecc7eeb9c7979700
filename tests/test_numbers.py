"""Numbers at the edges: not finite, subnormal, huge; the processor's mode; float32; pinned loss curves."""

import numpy as np
import pytest
from helpers import BOTH, run_python
from training_cases import HIDDEN

import fastnn
from fastnn.kernels.jit import COMPILED

MODE = """
import numpy as np
tiny = np.array([1e-45], np.float32)
def mode():
    return float(tiny[0] * np.float32(1)), float(np.float64(5e-324) * 1), 0.1 + 0.2, float((tiny + tiny)[0])
before = mode()
import fastnn
net = fastnn.Network([40, 300, 2], seed=0)
net.fit(np.ones((64, 40)), np.zeros((64, 2)), epochs=2, learning_rate=0.1, n_threads=2)
net.predict(np.ones((64, 40)))
assert mode() == before and before[0] > 0 and before[1] > 0
"""


def test_the_processors_floating_point_mode_is_left_alone():
    run_python(MODE)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("where", ["X", "y", "validation X", "sample_weight"])
def test_numbers_that_are_not_finite_in_float32_are_refused_by_name(number, where):
    data = {"X": np.ones((4, 3)), "y": np.ones((4, 2)), "validation X": np.ones((4, 3)), "sample_weight": np.ones(4)}
    data[where][(1,) * data[where].ndim] = number
    net = fastnn.Network([3, 2], seed=0)
    before = net.parameters
    with pytest.raises(ValueError, match=rf"{where} must hold finite numbers"):
        net.fit(
            data["X"], data["y"], epochs=1, sample_weight=data["sample_weight"],
            validation_data=(data["validation X"], np.ones((4, 2))),
        )  # fmt: skip
    assert np.array_equal(net.parameters, before)


@pytest.mark.parametrize("activation", HIDDEN)
@BOTH
def test_subnormal_and_huge_inputs_give_finite_outputs(activation, dtype):
    limits = np.finfo(dtype)
    net = fastnn.Network([2, 3, 2], activation=[activation, "sigmoid"], dtype=dtype, seed=0)
    huge = 80 if activation == "exponential" else float(limits.max) ** 0.25
    X = np.array(
        [[limits.smallest_subnormal, -limits.smallest_subnormal], [limits.tiny, 0], [huge, -huge], [huge, huge]]
    )
    outputs = net.predict(X)
    assert np.isfinite(outputs).all()
    assert ((outputs >= 0) & (outputs <= 1)).all()
    assert np.abs(outputs[0] - net.predict(np.zeros((1, 2)))).max() <= 2 * limits.eps


@pytest.mark.parametrize(
    ("dtype", "weight"), [("float32", 1e-42), ("float32", 3e38), ("float64", 5e-324), ("float64", 1e298)]
)
def test_subnormal_and_huge_sample_weights_weigh_as_others_do(dtype, weight):
    X, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2
    nets = [fastnn.Network([3, 4, 2], activation="tanh", dtype=dtype, seed=0) for _ in range(2)]
    nets[0].fit(X, y, epochs=3, batch_size=5)
    nets[1].fit(X, y, epochs=3, batch_size=5, sample_weight=np.full(12, weight))
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-5)


def test_sample_weights_without_a_finite_sum_are_refused():
    with pytest.raises(ValueError, match=r"sample_weight must have a sum of at most 1e\+300, got inf"):
        fastnn.Network([2, 1], dtype="float64").fit(np.ones((4, 2)), np.ones(4), epochs=1, sample_weight=[1e308] * 4)


def test_parameters_that_overflow_end_a_training_with_the_last_finite_ones():
    net = fastnn.Network([3, 4, 1], activation=["relu", "identity"], seed=0)
    with pytest.raises(fastnn.DivergenceError) as error:
        net.fit(1e15 * np.ones((20, 3)), np.zeros(20), epochs=5, learning_rate=1e3)
    assert np.isfinite(net.parameters).all()
    assert error.value.history.stop_reason == "diverged"


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_float32_stays_close_to_float64(optimizer):
    """Rounding of 6e-8 a step, 300 steps, which a smooth loss neither enlarges nor heals much: some 1e-5."""
    X, y = fastnn.datasets.load_digits()
    curves = []
    for dtype in ("float32", "float64"):
        config = {"activation": ["tanh", "softmax"], "loss": "cross_entropy", "input_scale": 1 / 16}
        net = fastnn.Network([64, 20, 10], dtype=dtype, seed=0, **config)
        rate = {"sgd": 0.1, "adam": 0.001}[optimizer]
        history = net.fit(X, y, epochs=5, batch_size=30, learning_rate=rate, optimizer=optimizer)
        curves.append(np.array(history["loss"]))
    assert np.abs(curves[0] / curves[1] - 1).max() < 5e-5


OPTIONS: dict[str, dict[str, object]] = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.1},
    "adam": {"optimizer": "adam", "learning_rate": 0.001},
    "disturbed": {"learning_rate": 0.1, "input_noise": 0.2, "label_smoothing": 0.1},
}
PINNED = {
    "sgd": [1.786562042183509, 1.0387536549143388, 0.678161346619861, 0.49859449362380254, 0.396438426247199],
    "disturbed": [2.0244504607214955, 1.5534511555783597, 1.3050725072609504, 1.182185219575735, 1.1163888052105833],
    "adam": [2.101419745644069, 1.6940930149568085, 1.3564633060400302, 1.0912906801175906, 0.8905235132513896],
}


@pytest.mark.parametrize("training", PINNED)
def test_a_loss_curve_is_that_of_earlier_versions(training):
    """In float64 other vectors and instruction sets change the last digits alone."""
    X, y = fastnn.datasets.load_digits()
    config = {"activation": ["tanh", "softmax"], "loss": "cross_entropy", "input_scale": 1 / 16}
    dropout = (0.1, 0.3) if training == "disturbed" else 0.0
    net = fastnn.Network([64, 20, 10], dtype="float64", seed=0, dropout=dropout, **config)
    history = net.fit(X, y, epochs=5, batch_size=30, **OPTIONS[training])
    assert history["loss"] == pytest.approx(PINNED[training], rel=1e-9)


TINY_NUMBERS = """
import numpy as np, fastnn
from fastnn.kernels.target import TARGET

tiny = np.finfo(np.float32).tiny
net = fastnn.Network([4, 3], activation="identity", seed=0)
net.weights[0][:] = 4 * tiny
few = net.predict(np.full((2, 4), 2.0**-10, np.float32))
many = net.predict(np.full((20_000, 4), 2.0**-10, np.float32))
net.fit(np.zeros((64, 4)), np.zeros((64, 3)), epochs=4, batch_size=16, l2=0.5, learning_rate=1.0, n_threads=%d)
numbers = np.concatenate([net.parameters, few.ravel(), many.ravel()])
print(TARGET.name == "neon" or not ((numbers != 0) & (np.abs(numbers) < tiny)).any())
half = np.float32(tiny) / np.float32(2)
print(bool(half > 0 and half + half == tiny))
"""


@pytest.mark.skipif(not COMPILED, reason="plain Python keeps the processor's mode")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_results_that_would_be_subnormal_are_0_and_the_mode_is_that_before(n_threads):
    assert run_python(TINY_NUMBERS % n_threads).split() == ["True", "True"]
