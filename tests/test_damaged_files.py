"""Readers of files against thousands of damaged ones; the command for a hundred thousand is in README.md here."""

import errno
import json
import os

import numpy as np
import pytest

import fastnn
from fastnn.io import checkpoint

fuzzing = pytest.importorskip("tools.fuzz_files")


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_files_are_refused_or_harmless(seed):
    assert fuzzing.fuzz(1500, seed) == []


def test_the_fuzzing_can_fail(monkeypatch):
    monkeypatch.setattr(fuzzing.fastnn.datasets, "read_idx", lambda path: path.read_bytes()[10_000])
    assert fuzzing.fuzz(50, 0)


def trained(folder, **options):
    net = fastnn.Network([3, 4, 2], seed=0)
    net.fit(np.eye(3), np.eye(3)[:, :2], epochs=4, learning_rate=0.1, checkpoint=folder, **options)
    return net


def rewrite(folder, change, tensors_too=None):
    """The checkpoint with other values, and a checksum that holds."""
    from safetensors.numpy import load_file, save_file

    path = folder / checkpoint.NAME
    tensors = load_file(path)
    with open(path, "rb") as file:
        texts = json.loads(file.read(int.from_bytes(file.read(8), "little")))["__metadata__"]
    about = json.loads(texts["fastnn_training"])
    change(about)
    if tensors_too:
        tensors_too(tensors)
    texts = {"fastnn": texts["fastnn"], "fastnn_training": json.dumps(about)}
    save_file(tensors, path, texts | {"sha256": checkpoint.checksum(texts, tensors)})


def setting(**values):
    return lambda about: about.update(values)


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
def test_a_checkpoint_that_lies_with_a_sound_checksum_is_refused(change, tensors, message, tmp_path):
    trained(tmp_path)
    (tmp_path / checkpoint.PREVIOUS).unlink(missing_ok=True)
    rewrite(tmp_path, change, tensors)
    with pytest.raises(fastnn.FileFormatError, match=message):
        checkpoint.read(tmp_path)


def test_a_state_that_the_optimizer_does_not_keep_is_refused(tmp_path):
    """Without it the kernels would read beyond an empty array."""
    trained(tmp_path, optimizer="adam")
    rewrite(tmp_path, setting(), lambda t: t.update({"training.state.first": np.empty(0, "f4")}))
    (tmp_path / checkpoint.PREVIOUS).unlink(missing_ok=True)
    net = fastnn.Network([3, 4, 2], seed=0)
    with pytest.raises(ValueError, match=r"state\.first is not that of Adam"):
        net.fit(
            np.eye(3), np.eye(3)[:, :2], epochs=8, learning_rate=0.1, optimizer="adam", checkpoint=tmp_path, resume=True
        )


@pytest.mark.parametrize("call", ["mkstemp", "fdopen", "write", "flush", "fsync", "chmod", "replace", "replace again"])
def test_an_error_at_any_step_of_a_write_leaves_the_last_good_checkpoint(call, tmp_path, monkeypatch):
    trained(tmp_path)
    saved = checkpoint.read(tmp_path)
    failing = OSError(errno.ENOSPC, "No space left on device")
    calls = []

    def fail(*given, **named):
        calls.append(call)
        raise failing

    from fastnn.io import files

    if call == "mkstemp":
        monkeypatch.setattr(files.tempfile, "mkstemp", fail)
    elif call in ("fdopen", "fsync"):
        monkeypatch.setattr(files.os, call, fail)
    elif call == "chmod":
        monkeypatch.setattr(files.Path, "chmod", fail)
    elif call.startswith("replace"):
        real, after = files.Path.replace, 1 if call.endswith("again") else 0

        def replace(path, target):
            calls.append(call)
            if len(calls) > after:
                raise failing
            return real(path, target)

        monkeypatch.setattr(files.Path, "replace", replace)
    else:
        real_open = os.fdopen

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

        monkeypatch.setattr(files.os, "fdopen", opened)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.write(tmp_path, saved)
    assert calls
    monkeypatch.undo()
    found = checkpoint.read(tmp_path)
    assert found.about == saved.about
    assert np.array_equal(found.net.parameters, saved.net.parameters)
    assert {path.name for path in tmp_path.iterdir()} <= {checkpoint.NAME, checkpoint.PREVIOUS}
