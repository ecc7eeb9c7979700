"""The race: every library in a process of its own, because their thread pools disturb each other.

The processes take turns, round after round, so that a drift of the machine meets all of them. First each trains one
epoch in the order of the data from the same weights, and the losses must agree; then shuffled epochs are timed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from .case import Case
from .libraries import CONTESTANTS, UnfitError

TOLERANCE = 0.01
"""Relative difference allowed between losses after one epoch: float32 sums in other orders, grown by training."""


def serve(name: str, case: Case) -> None:
    """One library's process: answers a line of JSON to each line read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks, which ends this one
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**values: Any) -> None:
        answer.write(json.dumps(values) + "\n")
        answer.flush()

    try:
        train = CONTESTANTS[name](case)
    except (ImportError, UnfitError) as error:
        say(missing=str(error))
        return
    say(loss=train(1, False))
    for line in sys.stdin:
        epochs = int(line)
        began = time.perf_counter()
        train(epochs, True)
        say(seconds=time.perf_counter() - began)


class Contestant:
    """The other end of such a process."""

    def __init__(self, name: str, case: Case) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastnn.bench.runner", name, case.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.paces: list[float] = []
        self.epochs = 1

    def read(self) -> dict[str, Any]:
        """The next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"missing": f"{self.name} ended early"}

    def turn(self, epochs: int) -> float:
        """Seconds that so many epochs take."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{epochs}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # nothing comes back either
        answer = self.read()
        if "seconds" not in answer:
            raise RuntimeError(answer["missing"])
        return float(answer["seconds"])

    def close(self) -> None:
        """End the process."""
        self.process.communicate()

    def kill(self) -> None:
        """End it in whatever it does."""
        self.process.kill()
        self.process.wait()
        for end in filter(None, (self.process.stdin, self.process.stdout)):
            with contextlib.suppress(BrokenPipeError):
                end.close()


def measure(
    case: Case, names: list[str], rounds: int, seconds: float, tell: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Medians and spreads of one case, in examples per second; `tell` is told what is under way."""
    started: list[Contestant] = []
    try:
        return _measured(case, names, rounds, seconds, tell, started)
    except BaseException:
        for contestant in started:
            contestant.kill()
        raise


def _measured(
    case: Case, names: list[str], rounds: int, seconds: float, tell: Callable[[str], None], started: list[Contestant]
) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    field = []
    for name in names:
        tell(f"{name} trains one epoch")
        contestant = Contestant(name, case)
        started.append(contestant)
        first = contestant.read()
        if "missing" in first:
            entries[name] = first
            contestant.close()
            continue
        entries[name] = {"loss": first["loss"]}
        contestant.turn(1)
        contestant.epochs = max(1, round(seconds / max(contestant.turn(1), 1e-6)))
        field.append(contestant)
    for number in range(rounds):
        for contestant in field:
            tell(f"turn {number + 1} of {rounds}: {contestant.name}")
            spent = contestant.turn(contestant.epochs)
            contestant.paces.append(contestant.epochs * case.rows / spent)
    for contestant in field:
        contestant.close()
        entries[contestant.name].update(
            median=statistics.median(contestant.paces), low=min(contestant.paces), high=max(contestant.paces)
        )
    check_losses(case, entries)
    return {"case": case.name, "flops": case.flops, "entries": entries}


def check_losses(case: Case, entries: dict[str, Any]) -> None:
    """Every library must have reached the loss of the specification."""
    wanted = entries["NumPy"]["loss"]
    for name, entry in entries.items():
        if "loss" in entry and abs(entry["loss"] - wanted) > TOLERANCE * abs(wanted):
            raise RuntimeError(f"{case.name}: {name} reached loss {entry['loss']:.6g}, NumPy {wanted:.6g}")


def print_case(result: dict[str, Any]) -> None:
    """One line for each library: examples per second, spread, how many times slower than fastnn."""
    print(f"\n{result['case']}")
    ours = result["entries"]["fastnn"]["median"]
    for name, entry in result["entries"].items():
        if "median" not in entry:
            print(f"  {name:18s} {entry['missing']}")
            continue
        print(
            f"  {name:18s} {entry['median']:12,.0f} examples/s  {entry['low']:12,.0f} .. {entry['high']:12,.0f}"
            f"  loss {entry['loss']:.5f}  fastnn {ours / entry['median']:6.2f} x",
            flush=True,
        )


def main() -> None:
    """One library's process: name and case on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("case", type=Case.from_json)
    chosen = parser.parse_args()
    serve(chosen.name, chosen.case)


if __name__ == "__main__":
    main()
