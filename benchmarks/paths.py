"""Compare every way to train with plain gradient descent: python -m benchmarks.paths [--cases 2,3] [--json FILE].

Prints a table in Markdown: the time of an example over that of plain gradient descent on the same network and data.
All take turns, round after round, and a number is the median of its rounds. More than 1 must be explained by more
arithmetic:

- Momentum, Adam and RMSprop read and write one or two more numbers for each weight and step, and Adam takes a root and
  a quotient; plain descent subtracts the gradient while it is in registers. That counts where a batch has few examples
  for each weight: 32 multiply-adds or so for each weight of a small network and step, 384 in batches of 128.
- A clipped or limited norm is a sum over all weights before, or after, the update, behind one more barrier.
- Dropout draws a random number for each neuron and example, and multiplies twice.
- float64 has half as many numbers in a vector, and in a cache.
- Validation on a tenth of the rows is a forward pass more, a third of a step's work, for each of them.
- Sparse rows multiply the stored numbers alone, one in ten here, one at a time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from benchmarks.cases import CASES
from benchmarks.peers import machine
from fastnn import Network
from fastnn.bench.case import Case
from fastnn.optimizers import SGD

PLAIN = "plain"
PATHS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "momentum": {"optimizer": SGD(momentum=0.9)},
    "Adam": {"optimizer": "adam"},
    "RMSprop": {"optimizer": "rmsprop"},
    "l2": {"l2": 1e-4},
    "clipped": {"clip_norm": 1.0},
    "max_norm": {"max_norm": 3.0},
    "averaged": {"ema_decay": 0.99},
    "weighted": {"sample_weight": True},
    "dropout": {"dropout": 0.5},
    "validation": {"validation_split": 0.1},
    "float64": {"dtype": "float64"},
    "sparse": {"density": 0.1},
}
"""Name -> options of `fit`, of the network, and of the data."""


def trainer(case: Case, name: str, n_threads: int | None) -> Callable[[int], float]:
    """Return a function that trains for so many epochs; it returns nanoseconds for each example."""
    options = dict(PATHS[name])
    X, y = case.data()
    dtype, density, dropout = options.pop("dtype", "float32"), options.pop("density", None), options.pop("dropout", 0.0)
    if density:
        X = csr_array(np.where(np.random.default_rng(0).random(X.shape) < density, X, np.float32(0)))
    elif dtype == "float64":
        X = X.astype(dtype)
    if "sample_weight" in options:
        options["sample_weight"] = np.linspace(0.5, 1.5, case.rows)
    net = Network(case.sizes, activation=case.activation, loss=case.loss, dtype=dtype, dropout=dropout, seed=0)

    def train(epochs: int) -> float:
        history = net.fit(
            X, y, epochs=epochs, batch_size=case.batch_size, learning_rate=1e-4, n_threads=n_threads, progress=False,
            **options,
        )  # fmt: skip
        return 1e9 / history.examples_per_second

    return train


def measure(case: Case, n_threads: int | None, rounds: int, seconds: float) -> dict[str, float]:
    """Return the time of each path over that of plain gradient descent; of that itself, nanoseconds for an example."""
    trainers = {name: trainer(case, name, n_threads) for name in PATHS}
    epochs = {}
    for name, train in trainers.items():
        train(1)
        began = time.perf_counter()
        train(1)
        epochs[name] = max(1, round(seconds / (time.perf_counter() - began)))
    spent: dict[str, list[float]] = {name: [] for name in PATHS}
    for _ in range(rounds):
        for name, train in trainers.items():
            spent[name].append(train(epochs[name]))
    plain = statistics.median(spent[PLAIN])
    ratios = {name: statistics.median(times) / plain for name, times in spent.items()}
    return ratios | {PLAIN: plain}


def table(results: dict[str, dict[str, float]]) -> str:
    """Return Markdown: a row for each path, a column for each network."""
    lines = [f"| | {' | '.join(results)} |", f"|---|{'---:|' * len(results)}"]
    lines.append("| plain, ns | " + " | ".join(f"{found[PLAIN]:,.0f}" for found in results.values()) + " |")
    for name in list(PATHS)[1:]:
        lines.append(f"| {name} | " + " | ".join(f"{found[name]:.2f}" for found in results.values()) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="6,7,2,3,4", help="numbers of cases in benchmarks/cases.py")
    parser.add_argument("--threads", type=int, help="default: tuned, as `fit` does")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2, help="length of one turn")
    parser.add_argument("--json", type=Path, help="write the results here")
    chosen = parser.parse_args()
    cases = [CASES[int(number)] for number in chosen.cases.split(",")]
    results = {case.name: measure(case, chosen.threads, chosen.rounds, chosen.seconds) for case in cases}
    print(table(results))
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
