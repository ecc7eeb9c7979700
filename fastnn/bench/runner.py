"""Measure libraries side by side, each in its own process, because their thread pools disturb each other.

The processes take turns, round after round, so that a drift of the machine's speed affects all of them. First each
trains one epoch in the order of the data from the same weights, and the losses must agree; then shuffled epochs are
timed.
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
from .libraries import MORE_LIBRARIES, UnsupportedError

TOLERANCE, ROUNDED_TOLERANCE = 0.01, 0.05
"""Relative difference allowed between losses after one epoch, from sums in different orders; in bfloat16."""

ROUNDED = ("bfloat16", "autocast")
"""Words in the names of libraries that round to bfloat16."""


def serve(name: str, case: Case) -> None:
    """Run in a library's process: read numbers of epochs line by line, answer each with a line of JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C and ends this one
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the library prints goes to stderr

    def send(**values: Any) -> None:
        output.write(json.dumps(values) + "\n")
        output.flush()

    try:
        train = MORE_LIBRARIES[name](case)
    except (ImportError, UnsupportedError) as error:
        send(missing=str(error))
        return
    send(loss=train(1, False))
    for line in sys.stdin:
        epochs = int(line)
        began = time.perf_counter()
        train(epochs, True)
        send(seconds=time.perf_counter() - began)


class LibraryProcess:
    """A process that trains with one library, seen from the parent."""

    def __init__(self, name: str, case: Case) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastnn.bench.runner", name, case.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.speeds: list[float] = []
        self.epochs = 1

    def read(self) -> dict[str, Any]:
        """Return the next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"missing": f"{self.name} ended early"}

    def time(self, epochs: int) -> float:
        """Train for so many epochs and return the seconds that they took."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{epochs}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has ended, which the missing answer will show
        answer = self.read()
        if "seconds" not in answer:
            raise RuntimeError(answer["missing"])
        return float(answer["seconds"])

    def close(self) -> None:
        """Let the process finish, and wait for it."""
        self.process.communicate()

    def kill(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()
        for pipe in filter(None, (self.process.stdin, self.process.stdout)):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def measure(
    case: Case, names: list[str], rounds: int, seconds: float, report: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Measure libraries on one case.

    Parameters
    ----------
    case : Case
    names : list of str
        Keys of `MORE_LIBRARIES`; "NumPy" must be among them.
    rounds : int
        Number of turns of each library.
    seconds : float
        Length of a turn.
    report : callable, optional
        Called with a line about what is measured next.

    Returns
    -------
    dict
        "case", "flops", and "entries": for each name the loss after one epoch and median, low and high of the examples
        per second; or under "missing" why it could not be measured.
    """
    started: list[LibraryProcess] = []
    try:
        return _measure(case, names, rounds, seconds, report, started)
    except BaseException:
        for process in started:
            process.kill()
        raise


def _measure(
    case: Case,
    names: list[str],
    rounds: int,
    seconds: float,
    report: Callable[[str], None],
    started: list[LibraryProcess],
) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    ready = []
    for name in names:
        report(f"{name} trains one epoch")
        process = LibraryProcess(name, case)
        started.append(process)
        first = process.read()
        if "missing" in first:
            entries[name] = first
            process.close()
            continue
        entries[name] = {"loss": first["loss"]}
        process.time(1)
        process.epochs = max(1, round(seconds / max(process.time(1), 1e-6)))
        ready.append(process)
    for number in range(rounds):
        for process in ready:
            report(f"turn {number + 1} of {rounds}: {process.name}")
            process.speeds.append(process.epochs * case.rows / process.time(process.epochs))
    for process in ready:
        process.close()
        speeds = process.speeds
        entries[process.name].update(median=statistics.median(speeds), low=min(speeds), high=max(speeds))
    check_losses(case, entries)
    return {"case": case.name, "flops": case.flops, "entries": entries}


def check_losses(case: Case, entries: dict[str, Any]) -> None:
    """Raise an error if a library did not reach the loss of the reference in NumPy."""
    expected = entries["NumPy"]["loss"]
    for name, entry in entries.items():
        tolerance = ROUNDED_TOLERANCE if name.endswith(ROUNDED) else TOLERANCE
        if "loss" in entry and abs(entry["loss"] - expected) > tolerance * abs(expected):
            raise RuntimeError(f"{case.name}: {name} reached loss {entry['loss']:.6g}, NumPy {expected:.6g}")


def print_case(result: dict[str, Any]) -> None:
    """Print one line for each library: examples per second, their range, and how many times faster fastnn is."""
    print(f"\n{result['case']}")
    fastnn_median = result["entries"]["fastnn"]["median"]
    for name, entry in result["entries"].items():
        if "median" not in entry:
            print(f"  {name:18s} {entry['missing']}")
            continue
        print(
            f"  {name:18s} {entry['median']:12,.0f} examples/s  {entry['low']:12,.0f} .. {entry['high']:12,.0f}"
            f"  loss {entry['loss']:.5f}  fastnn {fastnn_median / entry['median']:6.2f} x",
            flush=True,
        )


def main() -> None:
    """Run a library's process; its name and the case are on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("case", type=Case.from_json)
    arguments = parser.parse_args()
    serve(arguments.name, arguments.case)


if __name__ == "__main__":
    main()
