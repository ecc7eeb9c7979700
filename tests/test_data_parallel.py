"""One training on several ranks: threads that stand for processes, and real ones where there is MPI."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import fastnn
from fastnn.callbacks import Callback, EarlyStopping
from fastnn.io import checkpoint_file as files
from fastnn.training.data_parallel import MAX_POLLS, DisagreementError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(103, 6))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
HELD = (X[:20], Y[:20])


class Aborted(BaseException):
    """What ends every rank."""


class World:
    """The meeting place of ranks that are threads."""

    def __init__(self, size):
        self.size, self.barrier, self.given = size, threading.Barrier(size, timeout=30), [None] * size

    def exchange(self, rank, value):
        try:
            self.given[rank] = value
            self.barrier.wait()
            found = list(self.given)
            self.barrier.wait()
        except threading.BrokenBarrierError:
            raise Aborted from None
        return found


class Comm:
    """The part of mpi4py's communicator that is used."""

    def __init__(self, world, rank):
        self.world, self.rank = world, rank

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return self.world.size

    def allgather(self, value):
        return self.world.exchange(self.rank, value)

    def bcast(self, value):
        return self.allgather(value)[0]

    def Bcast(self, array, root):
        array[:] = self.allgather(array.copy())[root]

    def Iallreduce(self, sent, added):
        comm = self

        class Request:
            looks = 0

            def Test(self):
                self.looks += 1
                if self.looks <= MAX_POLLS + 1:
                    return False
                with np.errstate(all="ignore"):
                    added[:] = np.sum(comm.allgather(sent.copy()), axis=0)
                return True

        return Request()

    def Abort(self, code):
        self.world.barrier.abort()


def on_ranks(size, work):
    """What work(comm) returned or raised on each rank."""
    world, results = World(size), [None] * size

    def run(rank):
        try:
            results[rank] = work(Comm(world, rank))
        except BaseException as error:
            results[rank] = error

    ranks = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(60)
    return results


def a_network(**settings):
    settings = {"dtype": "float64", "seed": 5} | settings
    return fastnn.Network([6, 20, 2], activation=["tanh", "softmax"], loss="cross_entropy", **settings)


def trained(comm, X=X, Y=Y, seed=5, **options):
    net = a_network(seed=seed)
    size = comm.Get_size() if comm else 1
    history = net.fit(X, Y, **{"epochs": 4, "batch_size": 12 // size, "learning_rate": 0.1, "comm": comm} | options)
    return net, history


def assert_same(net, history, other, expected):
    np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-10, atol=1e-13)
    assert list(history) == list(expected)
    for name in history:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-10)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "adam", "learning_rate": 0.01},
        {"shuffle": False, "clip_norm": 0.1, "l2": 0.01},
        {"max_norm": 0.5, "ema_decay": 0.9},
        {"learning_rate": fastnn.schedules.Cosine(0.2, epochs=4)},
        {"sample_weight": np.linspace(0, 1, 103)},
        {"sample_weight": np.arange(103) >= 30, "shuffle": False},
        {"validation_data": HELD},
        {"validation_split": 0.2},
        {"X": sp.csr_array(X)},
        {"batch_size": 40},
    ],
    ids=[
        "plain",
        "adam",
        "clip",
        "norm",
        "schedule",
        "weights",
        "no weights",
        "validation",
        "split",
        "sparse",
        "large",
    ],
)
def test_ranks_with_parts_of_each_batch_train_as_one_rank_with_the_batch(size, options):
    whole = options | ({"batch_size": 40 * size} if "batch_size" in options else {})
    other, expected = trained(None, **whole)
    results = on_ranks(size, lambda comm: trained(comm, **options))
    assert len({net.parameters.tobytes() for net, _ in results}) == 1
    for net, history in results:
        assert_same(net, history, other, expected)
        assert net.epochs_trained == 4


@pytest.mark.filterwarnings("ignore:this processor does not multiply bfloat16")
def test_ranks_round_to_bfloat16_what_one_rank_rounds():
    def rounded(comm):
        net = a_network(dtype="float32", precision="bfloat16")
        batch_size = 12 // comm.Get_size() if comm else 12
        return net, net.fit(X, Y, epochs=4, batch_size=batch_size, learning_rate=0.1, comm=comm)

    other, _ = rounded(None)
    results = on_ranks(2, rounded)
    assert len({net.parameters.tobytes() for net, _ in results}) == 1
    for net, _ in results:
        # float32 sums of two parts of a batch; a few operands are then rounded to the other neighbour, 2^-8 away
        np.testing.assert_allclose(net.parameters, other.parameters, atol=1e-3)


@pytest.mark.parametrize("size", [2, 3])
def test_interleaved_shards_train_as_one_rank_with_all_rows(size):
    n = len(X) // size * size
    other, expected = trained(None, X[:n], Y[:n], shuffle=False, validation_data=HELD)

    def own(comm):
        mine, held = slice(comm.rank, n, size), slice(comm.rank, 20, size)
        validation = (HELD[0][held], HELD[1][held])
        return trained(comm, X[mine], Y[mine], data="sharded", shuffle=False, validation_data=validation)

    for net, history in on_ranks(size, own):
        assert_same(net, history, other, expected)


def test_shards_of_unequal_size_and_order_train_one_network():
    def own(comm):
        mine = slice(0, 10) if comm.rank else slice(10, 103)
        return trained(comm, X[mine], Y[mine], data="sharded", epochs=30)

    results = on_ranks(2, own)
    assert len({net.parameters.tobytes() for net, _ in results}) == 1
    assert results[0][1]["accuracy"][-1] > results[0][1]["accuracy"][0]


def test_all_ranks_start_from_the_parameters_of_rank_0():
    results = on_ranks(2, lambda comm: trained(comm, seed=comm.rank + 5))
    for net, history in results:
        assert_same(net, history, *trained(None))
        assert net.seed == 5


def test_rank_0_calls_the_callbacks_and_all_ranks_follow():
    called = []

    class Note(Callback):
        def on_epoch_end(self, net, history):
            called.append(threading.get_ident())

    def fit(comm):
        stop = EarlyStopping("loss", patience=1, min_delta=1e9)
        return trained(comm, callbacks=[Note(), stop])

    results = on_ranks(3, fit)
    assert len(set(called)) == 1
    assert [history.stop_reason for _, history in results] == ["early_stopping"] * 3
    other, _ = trained(None, epochs=1)  # the best epoch, which is put back
    for net, _ in results:
        np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-10)


def test_layers_that_rank_0_freezes_are_frozen_on_all_ranks():
    def gradually(net, history):
        net.freeze(0) if history.epochs == 2 else None

    results = on_ranks(2, lambda comm: trained(comm, callbacks=[gradually]))
    other, _ = trained(None, callbacks=[gradually])
    plain, _ = trained(None)
    for net, _ in results:
        np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-10)
        assert net.frozen == (0,)
    assert np.abs(other.parameters - plain.parameters).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"X": X[:, :5]}, r"rank 1 of 2 could not begin: ValueError: X must have shape \(n, 6\)"),
        ({"epochs": 5}, "rank 1 of 2 would train .*'epochs': 5.*rank 0 .*'epochs': 4"),
        ({"batch_size": 7}, "rank 1 of 2 would train .*'batch_size': 7"),
        ({"X": X[:50], "Y": Y[:50]}, "'examples': 50"),
    ],
    ids=["bad data", "epochs", "batches", "rows"],
)
def test_an_error_on_one_rank_before_the_training_is_raised_on_all(options, message):
    results = on_ranks(2, lambda comm: trained(comm, **(options if comm.rank else {})))
    assert isinstance(results[0], DisagreementError)
    with pytest.raises(DisagreementError, match=message):
        raise results[0]
    assert isinstance(results[1], ValueError | DisagreementError)


def test_divergence_is_the_same_error_on_all_ranks():
    def fit(comm):
        net = fastnn.Network([6, 1], activation="identity", seed=0)
        return net.fit(X, Y, epochs=50, batch_size=6, learning_rate=9.0, comm=comm)

    results = on_ranks(2, fit)
    assert [type(result) for result in results] == [fastnn.DivergenceError] * 2


def test_a_rank_that_fails_ends_all_ranks(capsys):
    def fail(net, history):
        raise ZeroDivisionError

    results = on_ranks(2, lambda comm: trained(comm, callbacks=[fail]))
    assert isinstance(results[0], ZeroDivisionError)
    assert isinstance(results[1], Aborted)
    assert "rank 0 of 2 failed; all are ended" in capsys.readouterr().out


def test_a_keyboard_interrupt_on_one_rank_ends_all_ranks(capsys):
    def press(net, history):
        raise KeyboardInterrupt

    results = on_ranks(2, lambda comm: trained(comm, callbacks=[press]))
    assert isinstance(results[0], KeyboardInterrupt)
    assert isinstance(results[1], Aborted)
    assert "rank 0 of 2 failed; all are ended" in capsys.readouterr().out


def test_ranks_whose_parameters_differ_are_detected(capsys):
    def spoil(net, history):
        net.engine.buffer[0] += 1

    results = on_ranks(2, lambda comm: trained(comm, callbacks=[spoil]))
    assert all(isinstance(result, RuntimeError | Aborted) for result in results)
    assert "no longer have the same parameters" in capsys.readouterr().err


def test_a_training_on_ranks_resumes_from_its_checkpoint(tmp_path):
    options = {"optimizer": "adam", "learning_rate": 0.01}
    whole = on_ranks(2, lambda comm: trained(comm, epochs=6, **options))
    on_ranks(2, lambda comm: trained(comm, epochs=2, checkpoint=tmp_path, **options))
    parts = on_ranks(2, lambda comm: trained(comm, epochs=6, checkpoint=tmp_path, resume=True, **options))
    for (net, history), (other, expected) in zip(parts, whole, strict=True):
        assert net.parameters.tobytes() == other.parameters.tobytes()
        assert dict(history) == dict(expected)
    (error, _) = on_ranks(2, lambda comm: trained(comm, epochs=7, checkpoint=tmp_path, resume=True))
    assert isinstance(error, ValueError)
    assert "optimizer=" in str(error)
    with pytest.raises(ValueError, match="ranks=2, not 1"):
        trained(None, batch_size=6, epochs=6, checkpoint=tmp_path, resume=True, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"data": "some"}, ValueError, "data must be"),
        ({"optimizer": "lbfgs", "learning_rate": None}, ValueError, "lbfgs"),
        ({"n_threads": 2}, ValueError, "one thread"),
    ],
)
def test_invalid_arguments_are_refused(options, error, message):
    (result,) = on_ranks(1, lambda comm: trained(comm, **options))
    with pytest.raises(error, match=message):
        raise result


def test_an_object_that_is_not_a_communicator_is_refused():
    with pytest.raises(TypeError, match="comm must be a communicator of mpi4py, got 3"):
        a_network().fit(X, Y, epochs=1, comm=3)


# ---- Real ranks


REAL = r"""
import sys, time
import numpy as np, fastnn
from mpi4py import MPI

comm = MPI.COMM_WORLD
rng = np.random.default_rng(0)
X = rng.normal(size=(400, 6))
y = (X[:, 0] * X[:, 1] > 0).astype(int)
net = fastnn.Network([6, 20, 2], activation=["tanh", "softmax"], loss="cross_entropy", dtype="float64", seed=5)
folder, epochs = sys.argv[1], int(sys.argv[2])
slow = (lambda net, history: time.sleep(0.02)) if len(sys.argv) > 3 else (lambda net, history: None)
history = net.fit(X, y, epochs=epochs, batch_size=10, learning_rate=0.1, comm=comm, callbacks=[slow],
                  checkpoint=folder, resume=True, checkpoint_seconds=0)
sys.stdout.write(f"{comm.Get_rank()} {history.epochs} {net.parameters.tobytes().hex()}\n")
"""


def mpiexec():
    found = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if found is None:
        pytest.skip("there is no mpiexec")
    pytest.importorskip("mpi4py")
    return found


def start(*arguments, ranks=2):
    script = ["-n", str(ranks), sys.executable, "-c", REAL, *map(str, arguments)]
    return subprocess.Popen([mpiexec(), *script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def lines_of(process):
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    return dict(line.split(" ", 1) for line in sorted(output.splitlines()))


@pytest.mark.slow
def test_real_ranks_end_with_the_same_bits(tmp_path):
    answers = lines_of(start(tmp_path, 5))
    assert sorted(answers) == ["0", "1"]
    assert answers["0"] == answers["1"]


def descendants(pid):
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [grandchild for child in children for grandchild in descendants(child)]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_real_rank_that_is_killed_ends_all_and_the_checkpoint_resumes(tmp_path):
    whole = lines_of(start(tmp_path / "whole", 60))
    process = start(tmp_path / "parts", 60, "slowly")
    newest, deadline = tmp_path / "parts" / files.NAME, time.monotonic() + 60
    while not newest.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = [pid for pid in descendants(process.pid) if "mpi4py" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(workers[-1], signal.SIGKILL)
    output = process.communicate(timeout=60)[0]
    assert process.returncode != 0
    assert "KILLED" in output or "signal 9" in output.lower(), output
    assert lines_of(start(tmp_path / "parts", 60)) == whole


@pytest.mark.slow
def test_the_command_trains_on_real_ranks(tmp_path):
    command = [mpiexec(), "-n", "2", sys.executable, "-m", "fastnn", "train", "digits", "--epochs", "2"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("held-out accuracy") == 1
    assert fastnn.load(tmp_path / "runs" / "digits" / "model.safetensors").epochs_trained == 2


def test_data_is_checked_without_ranks_too():
    with pytest.raises(ValueError, match="data must be 'replicated' or 'sharded', got 'some'"):
        fastnn.Network([1, 1]).fit([[1.0]], [1.0], epochs=1, data="some")
