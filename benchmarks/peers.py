"""Compare training speed with other libraries: python -m benchmarks.peers [--cases 1,4] [--json FILE].

Every library runs in a process of its own, because their thread pools disturb each other. The processes take turns,
round after round, so that a drift of the machine meets all of them. First each trains one epoch in the order of the
data from the same weights, and the losses must agree; then shuffled epochs are timed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, Case
from benchmarks.contestants import CONTESTANTS, UnfitError

TOLERANCE = 0.01
"""Relative difference allowed between losses after one epoch: float32 sums in other orders, grown by training."""


def serve(name: str, number: int) -> None:
    """One library's process: answers a line of JSON to each line read."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**values: Any) -> None:
        answer.write(json.dumps(values) + "\n")
        answer.flush()

    case = CASES[number]
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

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.rows = CASES[number].rows
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers", "--serve", name, "--cases", str(number)],
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
        self.process.stdin.write(f"{epochs}\n")
        self.process.stdin.flush()
        return float(self.read()["seconds"])

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def measure(number: int, names: list[str], rounds: int, seconds: float) -> dict[str, Any]:
    """Medians and spreads of one case, in examples per second."""
    case = CASES[number]
    entries: dict[str, Any] = {}
    field = []
    for name in names:
        contestant = Contestant(name, number)
        first = contestant.read()
        if "missing" in first:
            entries[name] = first
            contestant.close()
            continue
        entries[name] = {"loss": first["loss"]}
        contestant.turn(1)
        contestant.epochs = max(1, round(seconds / max(contestant.turn(1), 1e-6)))
        field.append(contestant)
    for _ in range(rounds):
        for contestant in field:
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
            raise SystemExit(f"{case.name}: {name} reached loss {entry['loss']:.6g}, NumPy {wanted:.6g}")


def machine() -> dict[str, Any]:
    """Processor, cores, versions, commit, date."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next(
            (line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line), model
        )
    versions = {}
    for package in ("fastnn", "numpy", "numba", "llvmlite", "scikit-learn", "torch", "jax"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
        "commit": commit,
        "date": time.strftime("%Y-%m-%d"),
    }


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
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default=",".join(map(str, range(len(CASES)))), help="numbers of cases")
    parser.add_argument("--peers", default=",".join(CONTESTANTS), help="names of libraries")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.7, help="length of one turn")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    numbers = [int(text) for text in chosen.cases.split(",")]
    if chosen.serve:
        serve(chosen.serve, numbers[0])
        return
    results = []
    for number in numbers:
        results.append(measure(number, chosen.peers.split(","), chosen.rounds, chosen.seconds))
        print_case(results[-1])
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
