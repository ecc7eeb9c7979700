"""Compare training in float32 with products of bfloat16: python -m benchmarks.precision [--turns 7].

Both networks train in turns in one process, from the same weights; all of `fit` is timed, after an untimed turn that
compiles.
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.cases import CASES
from fastnn.bench.case import Case
from fastnn.bench.libraries import fastnn_trainer
from fastnn.kernels.target import BFLOAT16_PATH

EPOCHS = 5
PRECISIONS = ("float32", "bfloat16")


def speeds(case: Case, turns: int) -> dict[str, float]:
    """Return the median of the examples per second of each precision."""
    trainers = {precision: fastnn_trainer(case, precision=precision) for precision in PRECISIONS}
    found: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for turn in range(turns + 1):
        for precision, train in trainers.items():
            began = time.perf_counter()
            train(EPOCHS, False)
            if turn:
                found[precision].append(EPOCHS * case.rows / (time.perf_counter() - began))
    return {precision: statistics.median(each) for precision, each in found.items()}


def main() -> None:
    """Print a row for each network that plain gradient descent trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7)
    turns = parser.parse_args().turns
    print(f"products of bfloat16: {BFLOAT16_PATH}; examples per second")
    for case in CASES:
        if case.optimizer == "sgd":
            found = speeds(case, turns)
            ratio = found["bfloat16"] / found["float32"]
            print(f"{case.name:55} {found['float32']:11,.0f} {found['bfloat16']:11,.0f} {ratio:6.2f}x", flush=True)


if __name__ == "__main__":
    main()
