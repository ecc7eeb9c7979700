"""Warnings point at the line of the program that called, however deep in the package they arise."""

import inspect
import os
import runpy
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import regression, regressor, run_python

import fastnn
from fastnn.caller import warn_caller

X, Y = 1e3 * regression(64)[0], regression(64)[1]
CONTINUE = {"learning_rate": 1.0, "on_divergence": "continue"}


def exploding():
    return fastnn.Network([4, 2], activation="identity", seed=0)


def diverge_in_fit():
    exploding().fit(X, Y, epochs=60, **CONTINUE)  # warns


def diverge_in_a_stream():
    exploding().fit_stream(lambda: [(X, Y)] * 40, epochs=2, **CONTINUE)  # warns


def diverge_in_a_search():
    net = fastnn.Network([4, 3, 2], activation=["exponential", "identity"], seed=0)
    net.fit(X, 1e25 * Y, epochs=5, optimizer="lbfgs", on_divergence="continue")  # warns


def diverge_under_a_callback():
    exploding().fit(X, Y, epochs=60, callbacks=[lambda net, history: None], **CONTINUE)  # warns


def test_a_program_that_is_run_as_a_module_is_warned_too(tmp_path, monkeypatch):
    (tmp_path / "program_that_warns.py").write_text("from fastnn.caller import warn_caller\nwarn_caller('careful')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(RuntimeWarning, match="careful"):
        runpy.run_module("program_that_warns", run_name="__main__")


CALLS = [diverge_in_fit, diverge_in_a_stream, diverge_in_a_search, diverge_under_a_callback]


def warning_line(call):
    lines, first = inspect.getsourcelines(call)
    return first + next(number for number, line in enumerate(lines) if line.rstrip().endswith("# warns"))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_a_divergence_that_is_let_pass_is_warned_of_at_the_callers_line(call):
    with pytest.warns(RuntimeWarning, match="training diverged") as seen:
        call()
    divergences = [warning for warning in seen if warning.category is RuntimeWarning]
    assert [(warning.filename, warning.lineno) for warning in divergences] == [(__file__, warning_line(call))]


def test_a_disk_that_fails_is_warned_of_at_the_callers_line(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    net, (rows, targets) = regressor(), regression()

    def train():
        net.fit(rows, targets, epochs=1, checkpoint=tmp_path)  # warns

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(RuntimeWarning, match="could not write a checkpoint") as seen:
        train()
    assert [(warning.filename, warning.lineno) for warning in seen] == [(__file__, warning_line(train))]


def test_a_programs_filter_by_module_finds_the_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=__name__.replace(".", r"\."))
        diverge_in_fit()


def test_called_from_outside_the_package_the_warning_points_at_the_call():
    with pytest.warns(FutureWarning, match="^soon$") as seen:
        warn_caller("soon", FutureWarning)
    assert seen[0].filename == __file__


def test_a_program_on_the_command_line_is_warned_too():
    """Python's loader of such a program has no source, and raises when it is asked for some."""
    program = "import warnings; from fastnn.caller import warn_caller\n"
    program += "with warnings.catch_warnings(record=True) as seen:\n    warn_caller('careful', UserWarning)\n"
    assert run_python(program + "print(seen[0].filename, seen[0].lineno, seen[0].message)") == "<string> 3 careful\n"


def test_in_a_thread_that_only_runs_the_package_the_outermost_frame_is_named():
    with ThreadPoolExecutor(1) as pool, pytest.warns(RuntimeWarning, match="^late$") as seen:
        pool.submit(warn_caller, "late").result()
    assert "fastnn" + os.sep not in seen[0].filename


def test_every_training_that_diverges_warns_once():
    counts = []
    for _ in range(3):
        with pytest.warns(RuntimeWarning, match="diverged") as seen:
            diverge_in_fit()
        counts.append(sum(warning.category is RuntimeWarning for warning in seen))
    assert counts == [1, 1, 1]
