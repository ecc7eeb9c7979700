"""Compare fastnn's classifier with scikit-learn's: python -m benchmarks.estimators [--json FILE].

The arguments are the same, `random_state` included, hence the weights and batches too. Each library runs in its own
process, in turns; all of `fit` is timed, checks included, after an untimed turn that compiles. The final losses must
agree.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MODULES = {"scikit-learn": "sklearn.neural_network", "fastnn": "fastnn.sklearn"}
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}


@dataclass(frozen=True)
class Case:
    """Inputs, rows, hidden layers, batch size and epochs of one `fit`."""

    n_inputs: int
    rows: int
    hidden: tuple[int, ...]
    batch: int
    epochs: int


CASES = [
    Case(20, 2000, (16,), 32, 40),
    Case(20, 2000, (100,), 32, 40),
    Case(64, 1797, (16,), 32, 40),
    Case(64, 1797, (100,), 32, 40),
    Case(784, 10_000, (16,), 32, 6),
    Case(784, 10_000, (100,), 32, 6),
    Case(64, 1797, (512, 512), 200, 10),
    Case(784, 10_000, (512, 512), 200, 6),
]


def fit(library: str, case: Case, dtype: str, turns: int) -> list[list[float]]:
    """Return seconds and loss of each turn after the first."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(case.rows, case.n_inputs)).astype(dtype)
    y = (X[:, :10] + 0.5 * generator.normal(size=(case.rows, 10))).argmax(axis=1)
    classifier = importlib.import_module(MODULES[library]).MLPClassifier
    timings = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(turns + 1):
            model = classifier(
                case.hidden, batch_size=case.batch, max_iter=case.epochs, tol=0.0, n_iter_no_change=10**9,
                random_state=0,
            )  # fmt: skip
            began = time.perf_counter()
            model.fit(X, y)
            timings.append([time.perf_counter() - began, float(model.loss_)])
    return timings[1:]


def compare(number: int, dtype: str, rounds: int, turns: int) -> dict[str, object]:
    """Run all turns of both libraries on one case."""
    case = CASES[number]
    turns_of: dict[str, list[list[float]]] = {library: [] for library in MODULES}
    for _ in range(rounds):
        for library, timings in turns_of.items():
            command = [sys.executable, "-m", "benchmarks.estimators", "--one", library, "--turns", str(turns)]
            command += ["--case", str(number), "--dtype", dtype]
            completed = subprocess.run(command, capture_output=True, text=True, check=True)
            timings += json.loads(completed.stdout.splitlines()[-1])
    losses = {library: timings[0][1] for library, timings in turns_of.items()}
    if abs(losses["fastnn"] / losses["scikit-learn"] - 1) > TOLERANCE[dtype]:
        raise SystemExit(f"{case}, {dtype}: the losses are {losses}")
    speeds = {
        library: case.rows * case.epochs / statistics.median(seconds for seconds, _ in timings)
        for library, timings in turns_of.items()
    }
    name = f"{case.n_inputs} inputs, {case.hidden}, {case.batch}"
    ratio = speeds["fastnn"] / speeds["scikit-learn"]
    print(f"| {name} | {dtype} | {speeds['fastnn']:,.0f} | {speeds['scikit-learn']:,.0f} | {ratio:.1f}x |", flush=True)
    return {"case": name, "dtype": dtype, "examples_per_second": speeds, "turns": turns_of}


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=3, help="trainings in each process")
    parser.add_argument("--dtype", choices=tuple(TOLERANCE), help="only this dtype")
    parser.add_argument("--case", type=int, help="only this case, counted from 0")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--one", help="train with this library in this process")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(fit(arguments.one, CASES[arguments.case], arguments.dtype, arguments.turns)))
        return
    print("| inputs, hidden layers, batch | type | fastnn, examples/s | scikit-learn | ratio |")
    print("|---|---|---:|---:|---:|")
    numbers = range(len(CASES)) if arguments.case is None else [arguments.case]
    dtypes = [arguments.dtype] if arguments.dtype else list(TOLERANCE)
    results = [compare(number, dtype, arguments.rounds, arguments.turns) for number in numbers for dtype in dtypes]
    if arguments.json:
        from benchmarks.peers import machine

        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
