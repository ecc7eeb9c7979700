"""The race between libraries that `fastnn bench` and `benchmarks` run."""

import re
import sys

import pytest

from fastnn import cli
from fastnn.bench import runner
from fastnn.bench.case import Case
from fastnn.bench.libraries import CONTESTANTS, UnfitError
from fastnn.cli.bench import tell

CASES = [
    Case((4, 6, 3), ("relu", "softmax"), "cross_entropy", 16, 50, 0.1),
    Case((5, 7, 2), ("tanh", "identity"), "squared_error", 16, 50, 0.02),
    Case((5, 7, 1), ("sigmoid", "identity"), "squared_error", 25, 50, 0.02),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("name", CONTESTANTS)
def test_every_library_reaches_the_loss_of_the_specification(name, case):
    try:
        train = CONTESTANTS[name](case)
    except (ImportError, UnfitError) as error:
        pytest.skip(str(error))
    expected = CONTESTANTS["NumPy"](case)(1, False)
    assert train(1, False) == pytest.approx(expected, rel=1e-4)  # float32 sums in other orders
    assert train(5, True) < expected


def test_what_a_library_cannot_train_is_told():
    with pytest.raises(UnfitError, match="squared error"):
        CONTESTANTS["scikit-learn"](Case((4, 3), ("sigmoid",), "squared_error", 16, 50, 0.1))


def test_a_case_goes_to_another_process_and_back():
    for case in CASES:
        assert Case.from_json(case.to_json()) == case
    # 4-6-3: forward and slopes 2 + 2 of 24 + 18, deltas 2 of 18
    assert CASES[0].flops == 4 * 42 + 2 * 18


@pytest.mark.slow
def test_the_race_measures_each_in_a_process_of_its_own():
    result = runner.measure(CASES[0], ["fastnn", "NumPy", "nobody"], 2, 0.01)
    assert result["case"] == "4-6-3 relu, cross_entropy, 16"
    assert result["entries"].pop("nobody") == {"missing": "nobody ended early"}
    for entry in result["entries"].values():
        assert 0 < entry["low"] <= entry["median"] <= entry["high"]
    assert result["entries"]["fastnn"]["loss"] == pytest.approx(result["entries"]["NumPy"]["loss"], rel=1e-4)


def test_a_library_that_learned_something_else_is_no_contestant():
    entries = {"NumPy": {"loss": 1.0}, "fastnn": {"loss": 1.001}, "other": {"missing": "not installed"}}
    runner.check_losses(CASES[0], entries)
    entries["fastnn"]["loss"] = 1.02
    with pytest.raises(RuntimeError, match=r"fastnn reached loss 1\.02, NumPy 1"):
        runner.check_losses(CASES[0], entries)


def test_the_command_prints_the_table(capsys, monkeypatch):
    monkeypatch.setattr("fastnn.cli.bench.CONTESTANTS", {"fastnn": None, "NumPy": None})
    assert cli.main(["bench", "--sizes", "4,6,3", "--rows", "50", "--rounds", "1", "--seconds", "0.01"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["fastnn", "NumPy"]
    assert all("examples/s" in line for line in lines[-2:])


def test_who_cannot_or_dies_is_told(capsys):
    case = Case((4, 3), ("sigmoid",), "squared_error", 16, 50, 0.1)
    result = runner.measure(case, ["fastnn", "NumPy", "scikit-learn"], 1, 0.01)
    runner.print_case(result)
    assert re.search("scikit-learn +.*squared error|scikit-learn +No module", capsys.readouterr().out)
    contestant = runner.Contestant("NumPy", case)
    contestant.read()
    contestant.process.kill()
    contestant.process.wait()
    with pytest.raises(RuntimeError, match="NumPy ended early"):
        contestant.turn(1)
    contestant.close()


def test_what_ends_a_race_ends_its_processes(monkeypatch):
    started = []

    def tell(text):
        if text.startswith("turn"):
            raise KeyboardInterrupt

    class Watched(runner.Contestant):
        def __init__(self, *given):
            super().__init__(*given)
            started.append(self)

    monkeypatch.setattr(runner, "Contestant", Watched)
    with pytest.raises(KeyboardInterrupt):
        runner.measure(CASES[0], ["NumPy"], 1, 0.01, tell)
    assert [contestant.process.returncode not in (None, 0) for contestant in started] == [True]


@pytest.mark.parametrize("watched", [True, False])
def test_a_terminal_sees_what_is_under_way(watched, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: watched, raising=False)
    tell("turn 1 of 5: NumPy")
    assert ("turn 1 of 5: NumPy ..." in capsys.readouterr().err) == watched
