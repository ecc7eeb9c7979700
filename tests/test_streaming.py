"""Data that does not fit: files read where they lie, batches that come one after the other."""

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastnn
from fastnn.callbacks import EarlyStopping
from fastnn.kernels.jit import COMPILED
from fastnn.schedules import Cosine, ReduceOnPlateau

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 4))
Y = X[:, :1] * X[:, 1:2]


def a_network(**settings):
    return fastnn.Network([4, 9, 1], activation=["tanh", "identity"], dtype="float64", seed=3, **settings)


def sixteens():
    for start in range(0, 96, 16):
        yield X[start : start + 16], Y[start : start + 16]


@pytest.mark.parametrize("options", [{}, {"optimizer": "adam"}, {"l2": 0.1}], ids=str)
def test_streamed_batches_train_as_an_unshuffled_fit(options):
    stream, whole = a_network(), a_network()
    histories = [
        stream.fit_stream(sixteens, epochs=3, learning_rate=0.05, **options),
        whole.fit(X, Y, epochs=3, batch_size=16, learning_rate=0.05, shuffle=False, **options),
    ]
    assert stream.parameters.tobytes() == whole.parameters.tobytes()
    np.testing.assert_allclose(*(history["loss"] for history in histories), rtol=1e-12)
    assert stream.epochs_trained == whole.epochs_trained == 3


def test_a_schedule_is_followed_from_batch_to_batch():
    stream, whole = a_network(), a_network()
    # the length of an epoch is known once one has passed
    for net in (stream, whole):
        net.fit(X, Y, epochs=1, batch_size=16, learning_rate=0.05, shuffle=False)
    stream.fit_stream(sixteens, epochs=2, learning_rate=Cosine(0.1, epochs=5))
    flat = Cosine(0.1, epochs=5).at(np.ones(1))[0]
    whole.fit(X, Y, epochs=1, batch_size=16, learning_rate=flat, shuffle=False)
    whole.fit(X, Y, epochs=1, batch_size=16, learning_rate=Cosine(0.1, epochs=5), shuffle=False)
    np.testing.assert_allclose(stream.parameters, whole.parameters, rtol=1e-13)


def test_a_plateau_is_read_from_the_epochs():
    net = a_network()
    rate = ReduceOnPlateau(0.1, patience=1, min_delta=1e9)
    assert net.fit_stream(sixteens, epochs=3, learning_rate=rate).learning_rates == pytest.approx([0.1, 0.1, 0.01])


def test_larger_chunks_are_cut_into_batches_and_weights_count():
    weight = np.linspace(0, 1, 96)
    stream, whole = a_network(), a_network()
    stream.fit_stream(lambda: [(X, Y, weight)], epochs=2, batch_size=10, learning_rate=0.05)
    whole.fit(X, Y, epochs=2, batch_size=10, learning_rate=0.05, shuffle=False, sample_weight=weight)
    assert stream.parameters.tobytes() == whole.parameters.tobytes()


def test_every_batch_draws_its_own_dropout():
    X0, losses = np.ones((8, 4)), []
    net = fastnn.Network([4, 50, 1], activation=["tanh", "identity"], seed=3, dropout=0.5)

    def same():
        for _ in range(3):
            losses.append(net.parameters)
            yield X0, np.zeros(8)

    history = net.fit_stream(same, epochs=1, learning_rate=1e-30, prefetch=1)
    one = net.copy().fit_stream([(X0, np.zeros(8))], learning_rate=1e-30)
    assert history["loss"][0] != one["loss"][0]


def test_validation_and_callbacks_see_epochs():
    net = a_network()
    stop = EarlyStopping(patience=1, min_delta=1e9)
    history = net.fit_stream(sixteens, epochs=50, learning_rate=0.05, validation_data=(X, Y), callbacks=[stop])
    assert (history.epochs, history.stop_reason, list(history)) == (2, "early_stopping", ["loss", "val_loss"])
    assert stop.best_epoch == 1


def test_classes_have_an_accuracy():
    net = fastnn.Network([4, 2], activation="softmax", loss="cross_entropy", seed=0)
    labels = (X[:, 0] > 0).astype(int)
    history = net.fit_stream([(X, labels)], epochs=3, validation_data=(X, labels))
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history["val_accuracy"][-1] == np.mean(net.classify(X) == labels)


def test_an_error_in_the_batches_reaches_the_caller_and_ends_the_thread():
    def batches():
        yield X[:16], Y[:16]
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"):
        a_network().fit_stream(batches())
    assert "fastnn batches" not in [thread.name for thread in threading.enumerate()]


def test_a_bad_batch_is_refused_and_the_thread_ends():
    net = a_network()
    with pytest.raises(ValueError, match=r"X must have shape \(n, 4\)"):
        net.fit_stream(lambda: iter([(X[:, :3], Y)] * 100))
    assert net.epochs_trained == 0
    assert "fastnn batches" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.usefixtures("default_sigint")
def test_ctrl_c_ends_a_stream():
    def endless():
        yield X[:16], Y[:16]
        signal.raise_signal(signal.SIGINT)
        while True:
            yield X[:16], Y[:16]

    net = a_network()
    history = net.fit_stream(endless, epochs=2, prefetch=1)  # the first Ctrl-C is noted, not raised
    assert (history.stop_reason, history.epochs, net.epochs_trained) == ("interrupted", 0, 0)


@pytest.mark.usefixtures("default_sigint")
def test_ctrl_c_ends_a_stream_that_waits_for_a_batch():
    waiting = threading.Event()

    def stuck():
        yield X[:16], Y[:16]
        signal.raise_signal(signal.SIGINT)
        waiting.wait(30)
        yield X[:16], Y[:16]

    try:
        history = a_network().fit_stream(stuck, prefetch=1)
    finally:
        waiting.set()
    assert history.stop_reason == "interrupted"


@pytest.mark.parametrize(
    ("batches", "options", "error", "message"),
    [
        (3, {}, TypeError, "batches must be an iterable"),
        ([], {}, ValueError, "at least one batch"),
        ([X], {}, TypeError, "pairs"),
        (iter([(X, Y)]), {"epochs": 2}, ValueError, "can be read once"),
        ([(X, Y)], {"shuffle": True}, TypeError, "got shuffle"),
        ([(X, Y)], {"prefetch": 0}, ValueError, "prefetch"),
        ([(X, Y)], {"batch_size": 0}, ValueError, "batch_size"),
        ([(X, Y)], {"learning_rate": -1}, ValueError, "learning_rate"),
    ],
)
def test_invalid_arguments_are_refused(batches, options, error, message):
    with pytest.raises(error, match=message):
        a_network().fit_stream(batches, **options)


IN_LITTLE_MEMORY = """
import sys, threading, time
import numpy as np, fastnn

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) // 1024

def train(X, y):
    net = fastnn.Network([256, 8, 2], activation=["relu", "softmax"], loss="cross_entropy", seed=0)
    net.fit(X, y, epochs=2, batch_size=64, learning_rate=0.01, validation_data=(X, y), n_threads=1)
    net.predict(X[:1000])
    return net

X = np.memmap(sys.argv[1], dtype=sys.argv[2], mode="r").reshape(-1, 256)
y = np.arange(len(X)) % 2
train(np.array(X[:512]), y[:512])
before, peak, over = anonymous(), 0, threading.Event()

def watch():
    global peak
    while not over.wait(0.002):
        peak = max(peak, anonymous())

watcher = threading.Thread(target=watch)
watcher.start()
train(X, y)
over.set()
watcher.join()
print(X.nbytes // 2**20, peak - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.skipif(not COMPILED, reason="too slow without compilation")
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_a_memory_mapped_file_is_trained_on_in_a_quarter_of_its_size(dtype, tmp_path):
    path = tmp_path / "rows.bin"
    RNG.integers(0, 60, (64 << 20) // np.dtype(dtype).itemsize).astype(dtype).tofile(path)
    command = [sys.executable, "-c", IN_LITTLE_MEMORY, str(path), dtype]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    size, grown = map(int, found.stdout.split())
    assert size == 64
    assert grown <= size // 4


def test_a_source_may_reuse_its_arrays():
    kept = np.empty((16, 4)), np.empty((16, 1))

    def again():
        for rows, targets in sixteens():
            kept[0][:], kept[1][:] = rows, targets
            yield kept

    nets = [a_network(), a_network()]
    for net, source in zip(nets, (sixteens, again), strict=True):
        net.fit_stream(source, epochs=3, learning_rate=0.05)
    assert nets[0].parameters.tobytes() == nets[1].parameters.tobytes()


LINEAR = {"activation": "identity", "seed": 0}


@pytest.mark.parametrize(
    ("rate", "words"),
    [(1.2, "the loss rose from"), (lambda epoch: (1e-3, 1e30)[epoch > 0], "the loss is not finite in epoch 2")],
)
def test_a_stream_that_diverges_is_an_error_with_its_own_history(rate, words):
    net = fastnn.Network([4, 1], **LINEAR)
    with pytest.raises(fastnn.DivergenceError, match=words) as error:
        net.fit_stream(lambda: [(X, Y)] * 2, epochs=99, learning_rate=rate)
    assert error.value.history.stop_reason == "diverged"
    assert error.value.history.epochs >= 1
    assert np.isfinite(net.parameters).all()


def test_a_stream_that_diverges_and_continues_warns_once():
    net = fastnn.Network([4, 1], **LINEAR)
    with pytest.warns(RuntimeWarning, match="training diverged: the loss is not finite in epoch") as seen:
        history = net.fit_stream(lambda: [(X, Y)] * 40, epochs=4, learning_rate=9.0, on_divergence="continue")
    assert (history.stop_reason, history.epochs, len(seen)) == ("diverged", 4, 1)


def test_a_schedule_may_end_at_0():
    net = a_network()
    history = net.fit_stream(sixteens, epochs=4, learning_rate=Cosine(0.1, epochs=2))
    assert history.learning_rates[-1] == 0


@pytest.mark.parametrize(
    ("batch", "message"),
    [((X, 3), "at least one row"), ((X[:0], Y[:0]), "at least one row"), ((X, None), "at least one row")],
    ids=["a number", "empty", "nothing"],
)
def test_batches_without_rows_are_refused(batch, message):
    with pytest.raises((ValueError, TypeError), match=message):
        a_network().fit_stream([batch])


def test_a_function_that_returns_no_batches_is_refused():
    with pytest.raises(TypeError, match="batches must return an iterable"):
        a_network().fit_stream(lambda: None)


def test_validation_data_is_checked_before_the_first_batch():
    def never():
        raise AssertionError

    with pytest.raises(ValueError, match="validation y must have one entry"):
        a_network().fit_stream(never, validation_data=(X, Y[:3]))
