"""Readers of files against thousands of damaged ones; the command for a hundred thousand is in README.md here."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn.io import checkpoint_file

fuzzing = pytest.importorskip("tools.fuzz_files")


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_files_are_refused_or_harmless(seed):
    assert fuzzing.fuzz(1500, seed) == []


def test_the_fuzzer_can_fail(monkeypatch):
    monkeypatch.setattr(fuzzing.fastnn.datasets, "read_idx", lambda path: path.read_bytes()[10_000])
    assert fuzzing.fuzz(50, 0)


def trained(folder, **options):
    net = fastnn.Network([3, 4, 2], seed=0)
    net.fit(np.eye(3), np.eye(3)[:, :2], epochs=4, learning_rate=0.1, checkpoint=folder, **options)
    return net


def rewrite(folder, change, tensors_too=None):
    """The checkpoint with other values, and a checksum that holds."""
    from safetensors.numpy import load_file, save_file

    path = folder / checkpoint_file.NAME
    tensors = load_file(path)
    with open(path, "rb") as file:
        texts = json.loads(file.read(int.from_bytes(file.read(8), "little")))["__metadata__"]
    progress = json.loads(texts["fastnn_training"])
    change(progress)
    if tensors_too:
        tensors_too(tensors)
    texts = {"fastnn": texts["fastnn"], "fastnn_training": json.dumps(progress)}
    save_file(tensors, path, texts | {"sha256": checkpoint_file.checksum(texts, tensors)})


def setting(**values):
    return lambda progress: progress.update(values)


@pytest.mark.parametrize(
    ("change", "tensors", "message"),
    [
        (setting(position=-1), None, "position must be a count"),
        (setting(position=1 << 70), None, "position must be a count"),
        (setting(position=True), None, "position must be a count"),
        (setting(steps="4"), None, "steps must be a count"),
        (setting(seconds=None), None, "seconds must be a number"),
        (setting(stop_reason=3), None, "stop_reason must be a text"),
        (setting(terms=[]), None, "terms must have values"),
        (setting(callbacks=[["a"]]), None, "callbacks must be names"),
        (setting(callbacks={}), None, "callbacks must be names"),
        (setting(callbacks=[[5, {}]]), None, "callbacks must be names"),
        (setting(callbacks=[["a", 5]]), None, "callbacks must be names"),
        (setting(format=2), None, "format 2"),
        (setting(), lambda t: t.pop("training.sums"), "sums must be there"),
        (setting(), lambda t: t.update({"training.sums": np.zeros(4)}), "sums must be there"),
        (setting(), lambda t: t.update({"training.history.loss": np.zeros(9)}), "one number for each epoch"),
        (setting(), lambda t: t.update({"training.history.loss": np.zeros(4, "f4")}), "one number for each epoch"),
        (setting(), lambda t: t.update({"training.state.first": np.zeros(3, "f4")}), "one of float32 for each"),
        (setting(), lambda t: t.pop("training.state.second"), "state.second must have"),
    ],
)
def test_a_wrong_checkpoint_with_a_valid_checksum_is_refused(change, tensors, message, tmp_path):
    trained(tmp_path)
    (tmp_path / checkpoint_file.PREVIOUS).unlink(missing_ok=True)
    rewrite(tmp_path, change, tensors)
    with pytest.raises(fastnn.FileFormatError, match=message):
        checkpoint_file.read(tmp_path)


def test_a_state_that_the_optimizer_does_not_have_is_refused(tmp_path):
    """Without it the kernels would read beyond an empty array."""
    trained(tmp_path, optimizer="adam")
    rewrite(tmp_path, setting(), lambda t: t.update({"training.state.first": np.empty(0, "f4")}))
    (tmp_path / checkpoint_file.PREVIOUS).unlink(missing_ok=True)
    net = fastnn.Network([3, 4, 2], seed=0)
    with pytest.raises(ValueError, match=r"state\.\w+ is not that of Adam"):
        net.fit(
            np.eye(3), np.eye(3)[:, :2], epochs=8, learning_rate=0.1, optimizer="adam", checkpoint=tmp_path, resume=True
        )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
@pytest.mark.parametrize("call", ["open", "write", "flush", "fsync", "replace", "replace again"])
def test_an_error_at_any_step_of_a_write_leaves_the_last_good_checkpoint(call, number, tmp_path, monkeypatch):
    trained(tmp_path)
    saved = checkpoint_file.read(tmp_path)
    calls = []

    def fail(*given, **named):
        calls.append(call)
        raise OSError(number, os.strerror(number))

    from fastnn.io import files

    if call == "open":
        monkeypatch.setattr(files.Path, "open", fail)
    elif call == "fsync":
        monkeypatch.setattr(files.os, call, fail)
    elif call.startswith("replace"):
        real, after = files.Path.replace, 1 if call.endswith("again") else 0

        def replace(path, target):
            calls.append(call)
            return real(path, target) if len(calls) <= after else fail()

        monkeypatch.setattr(files.Path, "replace", replace)
    else:
        real_open = files.Path.open

        def opened(*given):
            file = real_open(*given)

            class Failing:
                def __enter__(self):
                    return self

                def __exit__(self, *error):
                    file.close()

                def __getattr__(self, name):
                    return fail if name == call else getattr(file, name)

            return Failing()

        monkeypatch.setattr(files.Path, "open", opened)
    with pytest.raises(OSError, match=os.strerror(number)):
        checkpoint_file.write(tmp_path, saved)
    assert calls
    monkeypatch.undo()
    found = checkpoint_file.read(tmp_path)
    assert found.progress == saved.progress
    assert np.array_equal(found.model.parameters, saved.model.parameters)
    assert {path.name for path in tmp_path.iterdir()} <= {checkpoint_file.NAME, checkpoint_file.PREVIOUS}


# A checkpoint is written over another, and the writer killed before each line of the code that writes, and stopped by
# a limit on the size of files at each part of its bytes. What is read then is the one or the other, whole.
WRITERS = """
import os, pathlib, resource, shutil, signal, sys
import numpy as np, fastnn
from fastnn.io import checkpoint_file, files

folder = pathlib.Path(sys.argv[1])
net = fastnn.Network([3, 4, 2], seed=0)
given = dict(learning_rate=0.1, checkpoint=folder / "kept", n_threads=1)
net.fit(np.eye(3), np.eye(3)[:, :2], epochs=1, **given)
old = checkpoint_file.read(folder / "kept")
net.fit(np.eye(3), np.eye(3)[:, :2], epochs=2, resume=True, **given)
new = checkpoint_file.read(folder / "kept")
size = (folder / "kept" / checkpoint_file.NAME).stat().st_size
assert old.progress["position"] != new.progress["position"]

def write_in_a_child(place, before):
    shutil.copytree(folder / "first", place)
    child = os.fork()
    if child == 0:
        before()
        try:
            checkpoint_file.write(place, new)
        except OSError:
            os._exit(3)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    found = checkpoint_file.read(place)
    same = lambda one: found.progress == one.progress and (found.model.parameters == one.model.parameters).all()
    sound = [bool(same(one)) for one in (old, new)]
    assert any(sound), (place, status)
    return status, sound[1]

def killed_before(number):
    lines = []
    def look(frame, event, argument):
        if event == "line":
            lines.append(frame.f_lineno)
            if len(lines) == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return look
    return lambda: sys.settrace(lambda frame, *_: look if frame.f_code.co_filename == files.__file__ else None)

checkpoint_file.write(folder / "first", old) if (folder / "first").mkdir() is None else None
outcomes = []
for number in range(1, 1000):
    status, is_new = write_in_a_child(folder / f"line {number}", killed_before(number))
    if not os.WIFSIGNALED(status):
        break
    outcomes.append(is_new)
assert outcomes == sorted(outcomes) and True in outcomes and False in outcomes, outcomes
for part in (0, 1, 100, size // 2, size - 1):
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (part, part))
    status, is_new = write_in_a_child(folder / f"part {part}", limit)
    assert os.waitstatus_to_exitcode(status) == 3 and not is_new
net.fit(np.eye(3), np.eye(3)[:, :2], epochs=3, resume=True, **given | {"checkpoint": folder / "line 5"})
print(len(outcomes), "kills;", *sorted(path.name for path in (folder / "line 5").iterdir()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test forks")
def test_a_writer_killed_at_any_line_or_stopped_at_any_byte_leaves_the_old_or_the_new_checkpoint(tmp_path):
    found = subprocess.run(
        [sys.executable, "-c", WRITERS, str(tmp_path)], capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 0, found.stderr
    kills, names = found.stdout.split(" kills; ")
    assert int(kills) > 10
    assert names.split() == [checkpoint_file.PREVIOUS, checkpoint_file.NAME]
