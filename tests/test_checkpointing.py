"""Trainings that are interrupted and go on."""

import itertools
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn.callbacks import Callback, CSVLogger, EarlyStopping
from fastnn.io import checkpoint_file as files
from fastnn.kernels.jit import COMPILED
from fastnn.training import loop

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 4))
Y = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1)


def a_network(**settings):
    return fastnn.Network([4, 9, 2], activation=["tanh", "identity"], **{"seed": 3} | settings)


def bits(net, history):
    columns = {name: history[name] for name in history}
    return net.parameters.tobytes(), columns, history.learning_rates, history.stop_reason, net.epochs_trained


class Killed(BaseException):
    """Stands for what no program survives."""


@pytest.fixture
def killed_at(monkeypatch):
    """Returns to Python after every step, each written; the training dies at the return of that number."""
    monkeypatch.setattr(loop, "CALL_SECONDS", 0.0)

    def fit(net, returns, **options):
        write, count = files.write, iter(range(1, 10**9))

        def write_or_die(folder, checkpoint):
            write(folder, checkpoint)
            if next(count) == returns:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(files, "write", write_or_die)
            try:
                return net.fit(X, Y, batch_size=8, checkpoint_seconds=0, **options)
            except Killed:
                return None

    return fit


OPTIONS = {
    "sgd": {},
    "no shuffle": {"shuffle": False},
    "validation": {"validation_split": 0.3},
    "momentum": {"optimizer": fastnn.SGD(momentum=0.9), "learning_rate": 0.02},
    "adam": {"optimizer": "adam", "ema_decay": 0.9, "clip_norm": 0.5},
    "rmsprop": {"optimizer": fastnn.RMSprop(momentum=0.5), "l2": 0.01},
    "schedule": {"learning_rate": fastnn.schedules.Cosine(0.2, epochs=6)},
    "plateau": {"learning_rate": fastnn.schedules.ReduceOnPlateau(0.1, patience=1, min_delta=0.2)},
    "noise": {"input_noise": 0.1},
}


@pytest.mark.parametrize("returns", [1, 5, 9, 30])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_killed_training_resumes_with_the_same_bits(name, returns, killed_at, tmp_path):
    whole = a_network(dropout=0.2)
    expected = bits(whole, whole.fit(X, Y, batch_size=8, epochs=6, **OPTIONS[name]))
    assert killed_at(a_network(dropout=0.2), returns, checkpoint=tmp_path, epochs=6, **OPTIONS[name]) is None
    net = a_network(dropout=0.2, seed=99)
    history = killed_at(net, -1, checkpoint=tmp_path, resume=True, epochs=6, **OPTIONS[name])
    assert bits(net, history) == expected
    again = a_network(dropout=0.2)
    history = killed_at(again, -1, checkpoint=tmp_path, resume=True, epochs=6, **OPTIONS[name])
    assert bits(again, history) == expected


@pytest.mark.parametrize("returns", [2, 3, 6])
def test_callbacks_resume(returns, killed_at, tmp_path):
    def options(folder):
        folder.mkdir()
        stop = EarlyStopping("loss", patience=2, min_delta=0.05)
        return {"callbacks": [stop, CSVLogger(folder / "log.csv")], "learning_rate": 0.3, "epochs": 40}

    first, second = options(tmp_path / "a"), options(tmp_path / "b")
    whole = a_network()
    expected = bits(whole, whole.fit(X, Y, batch_size=8, **first))
    assert expected[3] == "early_stopping"
    assert killed_at(a_network(), returns, checkpoint=tmp_path, **second) is None
    net = a_network()
    second["callbacks"] = [EarlyStopping("loss", patience=2, min_delta=0.05), CSVLogger(tmp_path / "b" / "log.csv")]
    assert bits(net, killed_at(net, -1, checkpoint=tmp_path, resume=True, **second)) == expected
    rows = [(tmp_path / name / "log.csv").read_text().splitlines() for name in "ab"]
    assert [row.split(",")[0] for row in rows[0]] == [row.split(",")[0] for row in rows[1]]
    again = a_network()
    assert bits(again, killed_at(again, -1, checkpoint=tmp_path, resume=True, **second)) == expected


def test_a_finished_training_resumes_for_more_epochs(tmp_path):
    whole, net = a_network(), a_network()
    expected = bits(whole, whole.fit(X, Y, epochs=7, batch_size=8))
    net.fit(X, Y, epochs=3, batch_size=8, checkpoint=tmp_path)
    other = a_network()
    assert bits(other, other.fit(X, Y, epochs=7, batch_size=8, checkpoint=tmp_path, resume=True)) == expected


def test_a_resumed_second_fit_has_the_epochs_and_the_state_of_the_first(killed_at, tmp_path):
    whole, net = a_network(), a_network()
    for one in (whole, net):
        one.fit(X, Y, epochs=2, batch_size=8, optimizer="adam")
    expected = bits(whole, whole.fit(X, Y, epochs=4, batch_size=8, optimizer="adam"))
    assert killed_at(net, 4, checkpoint=tmp_path, epochs=4, optimizer="adam") is None
    other = a_network()
    history = killed_at(other, -1, checkpoint=tmp_path, resume=True, epochs=4, optimizer="adam")
    assert bits(other, history) == expected


def test_a_training_that_a_callback_stopped_does_not_resume(tmp_path):
    nets = [a_network(), a_network()]
    for net, resume in zip(nets, (False, True), strict=True):
        stop = EarlyStopping("loss", patience=1, min_delta=1e9)
        history = net.fit(X, Y, epochs=9, batch_size=8, callbacks=[stop], checkpoint=tmp_path, resume=resume)
        assert (history.epochs, history.stop_reason) == (2, "early_stopping")
    np.testing.assert_array_equal(*(net.parameters for net in nets))


def test_without_a_checkpoint_the_training_begins(tmp_path):
    net, other = a_network(), a_network()
    history = net.fit(X, Y, epochs=2, checkpoint=tmp_path / "new" / "folder", resume=True)
    assert bits(net, history) == bits(other, other.fit(X, Y, epochs=2))


def test_the_network_can_be_loaded_from_a_checkpoint(tmp_path):
    net = a_network()
    net.fit(X, Y, epochs=2, checkpoint=tmp_path)
    np.testing.assert_array_equal(fastnn.load(tmp_path / files.NAME).parameters, net.parameters)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 9}, "batch_size=8, not 9"),
        ({"shuffle": False}, "shuffle=True, not False"),
        ({"optimizer": "adam"}, "optimizer=.*SGD.*not.*Adam"),
        ({"X": X + 1}, "data="),
        ({"X": X[:60], "y": Y[:60]}, "rows=70, not 60"),
        ({"callbacks": [EarlyStopping("loss")]}, "callbacks"),
    ],
    ids=["batch size", "shuffle", "optimizer", "other numbers", "fewer rows", "callbacks"],
)
def test_another_training_does_not_resume_from_the_checkpoint(change, message, killed_at, tmp_path):
    assert killed_at(a_network(), 3, checkpoint=tmp_path, epochs=4) is None
    net = a_network(seed=5)
    before = net.parameters
    given = {"X": X, "y": Y, "epochs": 4, "batch_size": 8} | change
    with pytest.raises(ValueError, match=message):
        net.fit(**given, checkpoint=tmp_path, resume=True)
    if "callbacks" not in change:
        np.testing.assert_array_equal(net.parameters, before)


def test_a_network_that_cannot_be_saved_is_refused_before_the_first_step(tmp_path):
    net = a_network()
    before, net.class_names = net.parameters, ["one of two"]
    with pytest.raises(ValueError, match="class_names must have 2 names"):
        net.fit(X, Y, epochs=1, checkpoint=tmp_path)
    np.testing.assert_array_equal(net.parameters, before)


def test_another_network_does_not_resume_from_the_checkpoint(killed_at, tmp_path):
    assert killed_at(a_network(), 3, checkpoint=tmp_path, epochs=4) is None
    with pytest.raises(ValueError, match=r"is of a network with sizes=\(4, 9, 2\), not \(4, 8, 2\); "):
        fastnn.Network([4, 8, 2], seed=0).fit(X, Y, epochs=4, batch_size=8, checkpoint=tmp_path, resume=True)


def test_an_unfinished_training_is_not_overwritten(killed_at, tmp_path):
    assert killed_at(a_network(), 30, checkpoint=tmp_path, epochs=4) is None
    with pytest.raises(ValueError, match=r"unfinished training \(3 epochs\): pass resume=True"):
        a_network().fit(X, Y, epochs=1, checkpoint=tmp_path)
    a_network().fit(X, Y, epochs=4, batch_size=8, checkpoint=tmp_path, resume=True)
    a_network().fit(X, Y, epochs=1, checkpoint=tmp_path)
    assert fastnn.load(tmp_path / files.PREVIOUS).epochs_trained == 4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"resume": True}, ValueError, "checkpoint=..."),
        ({"checkpoint": 3}, TypeError, "checkpoint must be the path"),
        ({"checkpoint": __file__}, NotADirectoryError, "checkpoint must be the path of a directory, got the file"),
        ({"checkpoint": "x", "checkpoint_seconds": -1}, ValueError, "checkpoint_seconds must be 0 or more"),
        ({"checkpoint": "x", "optimizer": "lbfgs"}, ValueError, "lbfgs"),
    ],
)
def test_invalid_arguments_are_refused(options, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        a_network().fit(X, Y, epochs=1, **options)


@pytest.mark.usefixtures("default_sigint")
def test_ctrl_c_leaves_a_checkpoint_of_that_moment(tmp_path):
    class Press(Callback):
        def on_epoch_end(self, net, history):
            if history.epochs == 2:
                signal.raise_signal(signal.SIGINT)

    net = a_network()
    history = net.fit(X, Y, epochs=5, batch_size=8, checkpoint=tmp_path, callbacks=[Press()])
    assert (history.stop_reason, history.epochs, net.epochs_trained) == ("interrupted", 2, 2)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    whole, other = a_network(), a_network()
    expected = bits(whole, whole.fit(X, Y, epochs=5, batch_size=8, callbacks=[Callback()]))
    Press.on_epoch_end = Callback.on_epoch_end
    found = other.fit(X, Y, epochs=5, batch_size=8, checkpoint=tmp_path, resume=True, callbacks=[Press()])
    assert bits(other, found) == expected


def test_a_failing_disk_is_a_warning_and_the_last_checkpoint_stays(tmp_path, monkeypatch):
    net = a_network()
    net.fit(X, Y, epochs=2, batch_size=8, checkpoint=tmp_path)
    kept = (tmp_path / files.NAME).read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(RuntimeWarning, match="could not write a checkpoint: .*No space left"):
        net.fit(X, Y, epochs=4, batch_size=8, checkpoint=tmp_path, resume=True)
    assert (tmp_path / files.NAME).read_bytes() == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == [files.NAME]


def test_parameters_that_are_not_finite_are_not_saved(tmp_path):
    net = a_network()
    net.fit(X, Y, epochs=1, batch_size=8, checkpoint=tmp_path)
    kept = (tmp_path / files.NAME).read_bytes()
    with pytest.warns(RuntimeWarning, match="diverged"):
        net.fit(1e30 * X, Y, epochs=2, learning_rate=1e30, on_divergence="continue", checkpoint=tmp_path)
    assert not np.isfinite(net.parameters).all()
    assert (tmp_path / files.NAME).read_bytes() == kept


def test_damaged_files_do_not_count_as_an_unfinished_training(tmp_path):
    for name in (files.NAME, files.PREVIOUS):
        (tmp_path / name).write_bytes(b"damaged")
    net = a_network()
    net.fit(X, Y, epochs=1, checkpoint=tmp_path)
    np.testing.assert_array_equal(fastnn.load(tmp_path / files.NAME).parameters, net.parameters)


@pytest.mark.parametrize("damage", ["truncated", "bit", "gone"])
def test_if_the_newest_checkpoint_is_damaged_the_previous_one_is_used(damage, tmp_path):
    whole = a_network()
    expected = bits(whole, whole.fit(X, Y, epochs=4, batch_size=8))
    for epochs in (1, 2):
        a_network().fit(X, Y, epochs=epochs, batch_size=8, checkpoint=tmp_path, resume=True)
    newest = tmp_path / files.NAME
    content = bytearray(newest.read_bytes())
    if damage == "gone":
        newest.unlink()
    elif damage == "truncated":
        newest.write_bytes(content[: len(content) // 2])
    else:
        content[-5] ^= 1
        newest.write_bytes(content)
    net = a_network()
    assert bits(net, net.fit(X, Y, epochs=4, batch_size=8, checkpoint=tmp_path, resume=True)) == expected


def test_if_all_checkpoints_are_damaged_resuming_is_an_error(tmp_path):
    a_network().fit(X, Y, epochs=1, checkpoint=tmp_path)
    (tmp_path / files.NAME).write_bytes(b"nothing")
    with pytest.raises(fastnn.FileFormatError, match="sound"):
        a_network().fit(X, Y, epochs=1, checkpoint=tmp_path, resume=True)


KILLS = """
import os, pathlib, random, signal, sys, tempfile, time
import numpy as np, fastnn
from fastnn.training import loop
random.seed(int(sys.argv[2]))
loop.CALL_SECONDS = 0.002
rng = np.random.default_rng(0)
X, y = rng.normal(size=(500, 12)), rng.integers(0, 3, 500)

def train(folder):
    net = fastnn.Network([12, 20, 3], activation=["relu", "softmax"], loss="cross_entropy", seed=1, dropout=0.1)
    options = {"checkpoint": folder, "resume": True, "checkpoint_seconds": 0} if folder else {}
    history = net.fit(X, y, epochs=200, batch_size=16, optimizer="adam", validation_split=0.2, n_threads=1, **options)
    return net.parameters.tobytes() + repr({name: history[name] for name in history}).encode()

expected, kills, finished = train(None), 0, 0
with tempfile.TemporaryDirectory() as folder:
    began = time.perf_counter()
    assert train(folder) == expected
    longest = (time.perf_counter() - began) / 2
while kills < int(sys.argv[1]):
    with tempfile.TemporaryDirectory() as folder:
        answer, patience = pathlib.Path(folder, "answer"), longest
        while not answer.exists():
            child = os.fork()
            if child == 0:
                found = train(folder)
                pathlib.Path(folder, "part").write_bytes(found)
                os.rename(os.path.join(folder, "part"), answer)
                os._exit(0)
            time.sleep(random.uniform(0, patience))
            patience *= 1.02  # a busy machine may not come to the first checkpoint in the time that an idle one takes
            os.kill(child, signal.SIGKILL)
            kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert answer.read_bytes() == expected
        finished += 1
print(kills, "kills,", finished, "trainings")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test forks")
@pytest.mark.skipif(not COMPILED, reason="too slow without compilation")
def test_a_training_killed_a_hundred_times_ends_with_the_same_bits():
    wanted = os.environ.get("FASTNN_KILLS", "100")
    found = subprocess.run([sys.executable, "-c", KILLS, wanted, "1"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    kills, trainings = (int(word) for word in found.stdout.split() if word.isdigit())
    assert kills >= int(wanted)
    assert trainings >= 1


@pytest.mark.parametrize("kind", ["BF16", "F8_E5M2"])
def test_tensors_of_types_that_numpy_lacks_are_refused(kind, tmp_path):
    a_network().fit(X, Y, epochs=1, checkpoint=tmp_path)
    path = tmp_path / files.NAME
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    size = len(content) - 8 - length
    header["more"] = {"dtype": kind, "shape": [4], "data_offsets": [size, size + (8 if kind == "BF16" else 4)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :] + bytes(8 if kind == "BF16" else 4))
    with pytest.raises(fastnn.FileFormatError, match="must hold F32 or F64 tensors"):
        a_network().fit(X, Y, epochs=2, checkpoint=tmp_path, resume=True)


def test_checkpoints_take_no_more_than_a_twentieth_of_the_time(tmp_path, monkeypatch):
    now, written = [0.0], []
    monkeypatch.setattr("fastnn.training.checkpointing.time.monotonic", lambda: now[0])

    def slowly(folder, checkpoint):
        now[0] += 3
        written.append(now[0])

    monkeypatch.setattr(files, "write", slowly)
    monkeypatch.setattr(loop, "CALL_SECONDS", 0.0)

    def second(net, history):
        now[0] += 1

    a_network().fit(X, Y, epochs=200, batch_size=70, checkpoint=tmp_path, callbacks=[second])
    assert written[0] == 13  # of the default, 10 seconds
    assert all(60 <= later - earlier <= 64 for earlier, later in itertools.pairwise(written[:-1]))


def test_unfinished_files_of_killed_writers_are_removed(tmp_path):
    left = [tmp_path / f".{files.NAME}-0123456789abcdef", tmp_path / f".{files.NAME}-mine"]
    for path in left:
        path.touch()
    a_network().fit(X, Y, epochs=1, checkpoint=tmp_path)
    assert [path.exists() for path in left] == [False, True]


def test_a_loaded_checkpoint_counts_the_epochs_of_its_training(tmp_path):
    X, y = np.eye(4), np.eye(4)
    net = fastnn.Network([4, 4], seed=0)
    net.fit(X, y, epochs=3)
    net.fit(X, y, epochs=5, checkpoint=tmp_path)
    assert net.epochs_trained == fastnn.load(tmp_path / "checkpoint.safetensors").epochs_trained == 8
    again = fastnn.Network([4, 4], seed=0)
    again.fit(X, y, epochs=7, checkpoint=tmp_path, resume=True)
    assert (again.epochs_trained, fastnn.load(tmp_path / "checkpoint.safetensors").epochs_trained) == (10, 10)
