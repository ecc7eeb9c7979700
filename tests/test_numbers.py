"""Numbers at the edges: not finite, subnormal, huge; the processor's mode; threads; float32; pinned curves."""

import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn.kernels.activations import CODES as ACTIVATION_CODES
from fastnn.kernels.jit import COMPILED
from fastnn.kernels.losses import CODES as LOSS_CODES
from fastnn.spec import LOSS_OUTPUT

HIDDEN = [name for name in ACTIVATION_CODES if name not in ("softmax", "step")]

# The bits of trainings on 1, 2, 3 and 8 threads, of layers wide and deep enough to be shared out.
THREADS = """
import hashlib, sys
import numpy as np
import fastnn
rng = np.random.default_rng(0)
X, labels = rng.normal(size=(300, 70)).astype("float32"), rng.integers(0, 5, 300)
numbers = rng.uniform(0.1, 1, (300, 5))

def digest(n_threads, activation, loss, output, optimizer, dtype, **fit):
    net = fastnn.Network([70, 130, 90, 5], activation=[activation, activation, output], loss=loss, dtype=dtype, seed=1,
                         dropout=fit.pop("dropout", 0.0), init="glorot_uniform")
    y = labels if loss == "cross_entropy" else numbers
    net.fit(X, y, epochs=2, batch_size=100, optimizer=optimizer, n_threads=n_threads, learning_rate=1e-3,
            on_divergence="continue", **fit)
    return hashlib.sha256(net.parameters.tobytes() + net.predict(X).tobytes()).hexdigest()

cases = []
for activation in %(hidden)r:
    cases.append((activation, "squared_error", "identity", "sgd", "float32", {}))
for loss, output in %(losses)r:
    cases.append(("tanh", loss, output, "sgd", "float32", {}))
for optimizer in ("adam", "adamw", "rmsprop", "adagrad", fastnn.SGD(momentum=0.9)):
    for dtype in ("float32", "float64"):
        cases.append(("relu", "cross_entropy", "softmax", optimizer, dtype, dict(dropout=0.2, l1=1e-4, l2=1e-3,
                     clip_norm=1.0, max_norm=3.0, input_noise=0.1, ema_decay=0.9, sample_weight=np.arange(1.0, 301.0))))
whole = hashlib.sha256()
for *case, fit in cases:
    digests = {digest(n, *case, **fit) for n in (1, 2, 3, 8)}
    assert len(digests) == 1, case
    whole.update(*[text.encode() for text in digests])
from fastnn.kernels import threads
print(threads.layer(), len(cases), whole.hexdigest())
"""
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


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="there are no threads without compilation")
def test_every_kind_of_training_has_the_same_bits_on_any_number_of_threads_of_every_layer(environment):
    pairs = [(loss, LOSS_OUTPUT.get(loss, "identity")) for loss in LOSS_CODES if loss != "perceptron"]
    code = THREADS % {"hidden": HIDDEN, "losses": pairs}
    printed = {}
    for layer in ("omp", "tbb", "workqueue"):
        completed = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False,
            env=environment(layer, NUMBA_NUM_THREADS="8"),
        )  # fmt: skip
        assert completed.returncode == 0, completed.stderr
        loaded, *printed[layer] = completed.stdout.split()
        assert loaded in (layer, "none")
    assert int(printed["omp"][0]) == len(HIDDEN) + len(pairs) + 10
    assert printed["omp"] == printed["tbb"] == printed["workqueue"]


def test_the_processors_floating_point_mode_stays():
    subprocess.run([sys.executable, "-c", MODE], check=True, timeout=300)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("where", ["X", "y", "validation X", "sample_weight"])
def test_what_is_not_finite_in_float32_is_refused_by_name(number, where):
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
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_subnormal_and_huge_inputs_give_numbers(activation, dtype):
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
def test_subnormal_and_huge_weights_of_examples_weigh_as_others_do(dtype, weight):
    X, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2
    nets = [fastnn.Network([3, 4, 2], activation="tanh", dtype=dtype, seed=0) for _ in range(2)]
    nets[0].fit(X, y, epochs=3, batch_size=5)
    nets[1].fit(X, y, epochs=3, batch_size=5, sample_weight=np.full(12, weight))
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-5)


def test_weights_without_a_finite_sum_are_refused():
    with pytest.raises(ValueError, match=r"sample_weight must have a sum of at most 1e\+300, got inf"):
        fastnn.Network([2, 1], dtype="float64").fit(np.ones((4, 2)), np.ones(4), epochs=1, sample_weight=[1e308] * 4)


def test_weights_that_are_not_finite_end_a_training_with_the_last_finite_ones():
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
def test_a_loss_curve_is_the_one_it_was(training):
    """In float64 other vectors and instruction sets change the last digits alone."""
    X, y = fastnn.datasets.load_digits()
    config = {"activation": ["tanh", "softmax"], "loss": "cross_entropy", "input_scale": 1 / 16}
    dropout = (0.1, 0.3) if training == "disturbed" else 0.0
    net = fastnn.Network([64, 20, 10], dtype="float64", seed=0, dropout=dropout, **config)
    history = net.fit(X, y, epochs=5, batch_size=30, **OPTIONS[training])
    assert history["loss"] == pytest.approx(PINNED[training], rel=1e-9)
