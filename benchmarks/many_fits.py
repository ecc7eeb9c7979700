"""Time one grid search on joblib's engines: python -m benchmarks.many_fits [--jobs 2] [--rounds 3] [--json FILE].

The same grid, folds and iterations for scikit-learn's MLPClassifier and for fastnn's, one fit after the other,
in threads of one process, and in processes of loky. Engines take turns; the processes are started before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import joblib
import sklearn.neural_network
from sklearn.model_selection import GridSearchCV

import fastnn.sklearn
from benchmarks.peers import machine
from fastnn.datasets import load_digits

GRID = {"hidden_layer_sizes": [(32,), (128,)], "alpha": [1e-5, 1e-4, 1e-3]}
FOLDS = 3
LIBRARIES = {"scikit-learn": sklearn.neural_network.MLPClassifier, "fastnn": fastnn.sklearn.MLPClassifier}
ENGINES = ("one after the other", "threading", "loky")


def search(kind: Any, engine: str, jobs: int, iterations: int) -> float:
    """Return the seconds of a grid search; every fit has the same number of iterations."""
    estimator = kind(max_iter=iterations, n_iter_no_change=iterations, tol=0.0, random_state=0)
    X, y = load_digits()
    if engine == ENGINES[0]:
        backend, jobs = "sequential", 1
    else:
        backend = engine
    with joblib.parallel_config(backend, n_jobs=jobs):
        found = GridSearchCV(estimator, GRID, cv=FOLDS, n_jobs=jobs, refit=False)
        began = time.perf_counter()
        found.fit(X / 16, y)
        return time.perf_counter() - began


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=40, help="of each fit")
    parser.add_argument("--json", type=Path, help="write the results here")
    chosen = parser.parse_args()
    os.environ["PYTHONWARNINGS"] = "ignore"  # of fits that end at their last iteration, also in other processes
    warnings.simplefilter("ignore")
    seconds: dict[str, dict[str, list[float]]] = {name: {engine: [] for engine in ENGINES} for name in LIBRARIES}
    for name, kind in LIBRARIES.items():
        for engine in ENGINES:
            search(kind, engine, chosen.jobs, 1)  # starts the processes, and loads the kernels
        for _ in range(chosen.rounds):
            for engine in ENGINES:
                seconds[name][engine].append(search(kind, engine, chosen.jobs, chosen.iterations))
    n_fits = FOLDS * len(GRID["hidden_layer_sizes"]) * len(GRID["alpha"])
    print(f"{n_fits} fits of {chosen.iterations} iterations, {chosen.jobs} jobs, medians of {chosen.rounds} rounds")
    for name, found in seconds.items():
        alone = statistics.median(found[ENGINES[0]])
        for engine in ENGINES:
            median = statistics.median(found[engine])
            print(f"  {name:14}{engine:22}{median:8.2f} s{alone / median:8.2f} x one after the other")
    if chosen.json:
        content = {"machine": machine(), "jobs": chosen.jobs, "iterations": chosen.iterations, "seconds": seconds}
        chosen.json.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
