"""Nothing is read or written where it does not belong, whatever comes in, and nothing is kept that grows."""

import contextlib
import gc
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from helpers import BOTH, replace_everywhere
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastnn
import fastnn.compiled
from fastnn.kernels.jit import COMPILED
from fastnn.parameters import aligned_zeros

GUARD_BYTES, PATTERN = 4096, 0xA5
OPTIMIZERS = ["sgd", fastnn.SGD(momentum=0.9), "adam", fastnn.RMSprop(momentum=0.5), "adagrad", "adamw", "lbfgs"]


class Guards:
    """Buffers between bytes that nobody may touch."""

    def __init__(self):
        self.memories = []

    def aligned_zeros(self, count, dtype):
        size = count * dtype.itemsize
        memory = np.full(size + 2 * GUARD_BYTES + 64, PATTERN, np.uint8)
        start = GUARD_BYTES + -(memory.ctypes.data + GUARD_BYTES) % 64
        memory[start : start + size] = 0
        self.memories.append((memory, start, start + size))
        return memory[start : start + size].view(dtype)

    def stand(self):
        return all(
            (memory[:start] == PATTERN).all() and (memory[end:] == PATTERN).all()
            for memory, start, end in self.memories
        )


@pytest.fixture
def guards(monkeypatch):
    found = Guards()
    replace_everywhere(monkeypatch, aligned_zeros, found.aligned_zeros)
    return found


def exercise(sizes, dtype, optimizer, batch, rows, seed=0, n_threads=None, sparse=False):
    """A little of everything."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(rows, sizes[0])).astype(dtype), rng.uniform(size=(rows, sizes[-1])).astype(dtype)
    dropout = 0.0 if optimizer == "lbfgs" or sparse or len(sizes) == 2 else 0.3
    net = fastnn.Network(sizes, activation="tanh", dtype=dtype, seed=seed, dropout=dropout)
    options = {} if optimizer in ("lbfgs", "sgd") else {"clip_norm": 1.0, "max_norm": 2.0, "l1": 1e-3, "ema_decay": 0.9}
    rows_given = scipy.sparse.csr_array(X) if sparse else X
    options |= {} if optimizer == "lbfgs" else {"batch_size": batch}
    net.fit(
        rows_given, y, epochs=2, optimizer=optimizer, n_threads=n_threads, on_divergence="continue",
        validation_data=(rows_given, y), **options,
    )  # fmt: skip
    net.predict(rows_given)
    net.loss(rows_given, y)
    net.gradients(rows_given, y)
    if not sparse:
        net.activations(X)
    return net


def test_the_guards_notice_a_write_outside_a_buffer(guards):
    net = fastnn.Network([3, 2], seed=0)
    assert guards.stand()
    whole = next(memory for memory, start, end in guards.memories if np.shares_memory(memory, net.engine.buffer))
    whole[GUARD_BYTES - 1] = 0
    assert not guards.stand()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
@BOTH
def test_no_training_writes_outside_a_buffer(optimizer, dtype, guards):
    for sizes in ([1, 1], [3, 5, 2], [17, 33, 16, 9], [64, 15, 10]):
        for batch in (1, 7, 40):
            exercise(sizes, dtype, optimizer, batch, 41)
            assert guards.stand(), (sizes, batch)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_wide_layers_and_many_blocks_write_within_their_buffers(n_threads, guards):
    exercise([40, 300, 130, 3], "float32", "adam", 300, 700, n_threads=n_threads)
    exercise([300, 20, 3], "float32", "sgd", 64, 300, n_threads=n_threads, sparse=True)
    assert guards.stand()


@pytest.mark.parametrize("label", [-1, 900])
def test_labels_that_change_during_the_training_have_no_effect(label, guards):
    X, y = np.eye(3), np.arange(3)
    nets = [fastnn.Network([3, 3], activation="softmax", loss="cross_entropy", seed=0) for _ in range(2)]
    nets[0].fit(X, y.copy(), epochs=5, batch_size=3)
    nets[1].fit(X, y, epochs=5, batch_size=3, callbacks=[lambda net, history: y.fill(label)])
    assert guards.stand()
    assert np.array_equal(nets[0].parameters, nets[1].parameters)


# ---- whatever shape, type, stride, offset and flag an input has

DTYPES = ["f4", "f8", "f2", "u1", "?", "i1", "i2", "i4", "i8", "u2", "u4", "u8", ">f4", ">f8", ">i4"]


COLUMNS = st.integers(0, 6)


@st.composite
def arrays(draw, n_columns=COLUMNS):
    """An array of any layout, and the same numbers as plain float64."""
    shape = draw(st.integers(0, 9)), draw(n_columns)
    kind = draw(st.sampled_from(DTYPES))
    steps = [draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in shape]
    offsets = [draw(st.integers(0, 2)) for _ in shape]
    whole = tuple(size * abs(step) + offset + 3 for size, step, offset in zip(shape, steps, offsets, strict=True))
    numbers = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 2 if kind == "?" else 5, whole)
    base = np.array(numbers, dtype=kind, order=draw(st.sampled_from("CF")))
    if draw(st.booleans()):  # an address that is no multiple of the number's size
        raw = np.zeros(base.nbytes + 1, np.uint8)[1:]
        base = np.ndarray(base.shape, base.dtype, raw, strides=base.strides)
        base[...] = numbers
    parts = []
    for size, step, offset in zip(shape, steps, offsets, strict=True):
        taken = (
            slice(offset, offset + size * step, step)
            if step > 0
            else slice(offset + size * -step, offset or None, step)
        )
        parts.append(taken if size else slice(0, 0))
    view = base[tuple(parts)][: shape[0], : shape[1]]
    view.flags.writeable = draw(st.booleans())
    return view


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(X=arrays(), dtype=st.sampled_from(["float32", "float64"]), n_in=st.integers(1, 5))
def test_any_array_is_read_correctly_or_refused(X, dtype, n_in):
    net = fastnn.Network([n_in, 3, 2], dtype=dtype, seed=0)
    if X.ndim != 2 or X.shape[1] != n_in:
        with pytest.raises(ValueError, match="X must have shape"):
            net.predict(X)
        return
    plain = np.ascontiguousarray(X, dtype=np.float64)
    assert np.array_equal(net.predict(X), net.predict(plain))


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    X=arrays(n_columns=st.just(3)),
    y=arrays(n_columns=st.integers(1, 3)),
    weight=st.one_of(st.none(), arrays(n_columns=st.just(1))),
    labels=st.booleans(),
    batch=st.integers(1, 10),
)
def test_a_training_on_any_arrays_is_correct_or_refused(X, y, weight, labels, batch):
    targets = y[:, 0] if labels else y
    share = None if weight is None else weight[:, 0]
    nets = [fastnn.Network([3, 2], dtype="float64", seed=0) for _ in range(2)]
    found = []
    for net, plain in zip(nets, (False, True), strict=True):
        given_now = [X, targets, share]
        if plain:
            label_type = np.int64 if labels and targets.dtype.kind in "iu" else np.float64
            given_now = [
                np.ascontiguousarray(X, np.float64), np.ascontiguousarray(targets, label_type),
                None if share is None else np.ascontiguousarray(share, np.float64),
            ]  # fmt: skip
        try:
            net.fit(*given_now[:2], sample_weight=given_now[2], epochs=2, batch_size=batch, learning_rate=1e-3)
            found.append(net.parameters.tobytes())
        except (ValueError, TypeError) as error:
            found.append(type(error))
    assert found[0] == found[1]
    assert np.isfinite(nets[0].parameters).all()


# ---- the kernels under Numba's bounds checking, and the process's size

CHECKED = """
import numpy as np
from numba import njit
import fastnn
from fastnn.kernels.jit import OPTIONS

@njit(**OPTIONS)
def beyond(a):
    return a[len(a)]

try:
    beyond(np.zeros(3))
except IndexError:
    print("bounds are checked")
rng = np.random.default_rng(0)
for sizes in ([1, 1], [3, 5, 2], [17, 33, 16, 9]):
    X, y = rng.normal(size=(41, sizes[0])), rng.uniform(size=(41, sizes[-1]))
    net = fastnn.Network(sizes, activation="tanh", seed=0, dropout=0.2 if len(sizes) > 2 else 0)
    net.fit(X, y, epochs=2, batch_size=7, optimizer="adam", n_threads=1, l2=1e-3, validation_data=(X, y))
    net.predict(X), net.loss(X, y), net.gradients(X, y)
print("and nothing lies beyond them")
"""


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="plain Python checks its bounds anyway")
def test_the_serial_kernels_pass_bounds_checking(tmp_path):
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "FASTNN_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", CHECKED], capture_output=True, text=True, timeout=600, env=environment, check=False
    )
    assert found.stdout.splitlines() == ["bounds are checked", "and nothing lies beyond them"], found.stderr


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the size of a process is read from /proc")
@pytest.mark.skipif(not COMPILED, reason="too slow without compilation")
def test_thousands_of_calls_do_not_grow_the_process():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 20)).astype("float32"), rng.integers(0, 3, 200)

    def calls(rounds):
        for number in range(rounds):
            net = fastnn.Network([20, 30, 3], activation=["relu", "softmax"], loss="cross_entropy", seed=number % 7)
            net.fit(
                X,
                y,
                epochs=2,
                learning_rate=0.1,
                optimizer="adam" if number % 2 else "sgd",
                n_threads=number % 3 or None,
            )
            for _ in range(20):
                net.predict(X)
                net.predict(X[:1])
            with contextlib.suppress(ValueError):
                net.fit(X[:, :3], y, epochs=1)
        gc.collect()

    calls(100)
    before = resident()
    calls(int(os.environ.get("FASTNN_SOAK", "500")))
    assert resident() - before < 4 << 20
