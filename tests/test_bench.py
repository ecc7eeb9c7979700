"""The comparison of libraries that `fastnn bench` and `benchmarks` run."""

import re
import sys

import pytest

from fastnn import cli
from fastnn.bench import runner
from fastnn.bench.case import Case
from fastnn.bench.libraries import LIBRARIES, MORE_LIBRARIES, UnsupportedError, jax_trainer
from fastnn.cli.bench import show

CASES = [
    Case((4, 6, 3), ("relu", "softmax"), "cross_entropy", 16, 50, 0.1),
    Case((5, 7, 2), ("tanh", "identity"), "squared_error", 16, 50, 0.02),
    Case((5, 7, 1), ("sigmoid", "identity"), "squared_error", 25, 50, 0.02),
    Case((5, 7, 2), ("tanh", "identity"), "squared_error", 16, 50, 0.02, "adam"),
]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # of torch.compile itself
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in LIBRARIES else pytest.mark.slow) for name in MORE_LIBRARIES]
)
def test_every_library_reaches_the_loss_of_the_specification(name, case):
    try:
        train = MORE_LIBRARIES[name](case)
    except (ImportError, UnsupportedError) as error:
        pytest.skip(str(error))
    expected = LIBRARIES["NumPy"](case)(1, False)
    # float32 sums in other orders; operands of 8 bits, whose errors cancel in part
    assert train(1, False) == pytest.approx(expected, rel=1e-2 if name.endswith(runner.ROUNDED) else 1e-4)
    assert train(5, True) < expected


def test_adam_in_numpy_is_that_of_the_package():
    """The mean of the losses that an epoch sees before its updates shows each of them."""
    case = CASES[3]
    ours, theirs = (MORE_LIBRARIES[name](case) for name in ("fastnn", "NumPy"))
    for _ in range(3):
        assert ours(4, False) == pytest.approx(theirs(4, False), rel=1e-4)


def test_the_older_runtime_of_jax_is_not_claimed_where_it_is_gone(monkeypatch):
    monkeypatch.setattr("fastnn.bench.libraries.metadata.version", lambda package: "0.10.2")
    with pytest.raises(UnsupportedError, match=r"JAX 0\.10\.2 has no older CPU runtime"):
        jax_trainer(CASES[0], older_runtime=True)


def test_a_network_that_a_library_cannot_train_is_reported():
    with pytest.raises(UnsupportedError, match="squared error"):
        LIBRARIES["scikit-learn"](Case((4, 3), ("sigmoid",), "squared_error", 16, 50, 0.1))


def test_a_case_goes_to_another_process_and_back():
    for case in CASES:
        assert Case.from_json(case.to_json()) == case
    # 4-6-3: forward and gradients 2 + 2 of 24 + 18, deltas 2 of 18
    assert CASES[0].flops == 4 * 42 + 2 * 18


@pytest.mark.slow
def test_each_library_is_measured_in_its_own_process():
    result = runner.measure(CASES[0], ["fastnn", "NumPy", "unknown"], 2, 0.01)
    assert result["case"] == "4-6-3 relu, cross_entropy, 16"
    assert result["entries"].pop("unknown") == {"missing": "unknown ended early"}
    for entry in result["entries"].values():
        assert 0 < entry["low"] <= entry["median"] <= entry["high"]
    assert result["entries"]["fastnn"]["loss"] == pytest.approx(result["entries"]["NumPy"]["loss"], rel=1e-4)


def test_a_library_that_reaches_another_loss_is_an_error():
    entries = {"NumPy": {"loss": 1.0}, "fastnn": {"loss": 1.001}, "other": {"missing": "not installed"}}
    runner.check_losses(CASES[0], entries)
    entries["fastnn"]["loss"] = 1.02
    with pytest.raises(RuntimeError, match=r"fastnn reached loss 1\.02, NumPy 1"):
        runner.check_losses(CASES[0], entries)


def test_the_command_prints_the_table(capsys, monkeypatch):
    monkeypatch.setattr("fastnn.cli.bench.LIBRARIES", {"fastnn": None, "NumPy": None})
    assert cli.main(["bench", "--sizes", "4,6,3", "--rows", "50", "--rounds", "1", "--seconds", "0.01"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["fastnn", "NumPy"]
    assert all("examples/s" in line for line in lines[-2:])


def test_a_library_that_cannot_train_or_dies_is_reported(capsys):
    case = Case((4, 3), ("sigmoid",), "squared_error", 16, 50, 0.1)
    result = runner.measure(case, ["fastnn", "NumPy", "scikit-learn"], 1, 0.01)
    runner.print_case(result)
    assert re.search("scikit-learn +.*squared error|scikit-learn +No module", capsys.readouterr().out)
    process = runner.LibraryProcess("NumPy", case)
    process.read()
    process.process.kill()
    process.process.wait()
    with pytest.raises(RuntimeError, match="NumPy ended early"):
        process.time(1)
    process.close()


def test_an_interrupted_comparison_kills_its_processes(monkeypatch):
    started = []

    def interrupt(text):
        if text.startswith("turn"):
            raise KeyboardInterrupt

    class Recorded(runner.LibraryProcess):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            started.append(self)

    monkeypatch.setattr(runner, "LibraryProcess", Recorded)
    with pytest.raises(KeyboardInterrupt):
        runner.measure(CASES[0], ["NumPy"], 1, 0.01, interrupt)
    assert [process.process.returncode not in (None, 0) for process in started] == [True]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_what_is_measured(terminal, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    show("turn 1 of 5: NumPy")
    assert ("turn 1 of 5: NumPy ..." in capsys.readouterr().err) == terminal
