"""Many fits on the engines that users have: joblib's, Dask's and Ray's, with the results of serial ones."""

import ast
import os
import shutil
import subprocess
import sys

import pytest
from helpers import python_path

from fastnn.kernels import cache

pytest.importorskip("sklearn")

NEEDS = {
    "loky": "joblib",
    "threading": "joblib",
    "dask processes": "distributed",
    "dask threads": "distributed",
    "ray": "ray",
}

PROGRAM = '''
import os, sys, warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path

import joblib
import numpy as np
from sklearn.model_selection import GridSearchCV, cross_val_score

import fastnn
from fastnn.kernels import threads
from fastnn.sklearn import MLPClassifier, TabularClassifier

warnings.simplefilter("ignore")
N_WORKERS = 2
X = np.random.default_rng(0).normal(size=(240, 4))
y = (X[:, 0] * X[:, 1] > 0).astype(int)
GRID = {"hidden_layer_sizes": [(8,), (200, 100)], "alpha": [1e-4, 1e-2]}
CONFIGS = [{"sizes": [4, 5, 2], "seed": seed} for seed in range(3)]
SHARED = {"epochs": 3, "batch_size": 20, "learning_rate": 0.1}
SHARED |= {"activation": ["tanh", "softmax"], "loss": "cross_entropy"}


@contextmanager
def engine(name):
    """Yield the arguments of joblib.parallel_config and, where there is one, an executor for fit_many."""
    with ExitStack() as stack:
        if name == "loky":
            yield "loky", None  # test_population.py has its executor
        elif name == "threading":
            yield "threading", None
        elif name.startswith("dask"):
            from distributed import Client, LocalCluster

            processes = name == "dask processes"
            workers = LocalCluster(
                n_workers=N_WORKERS if processes else 1, threads_per_worker=1 if processes else N_WORKERS,
                processes=processes, dashboard_address=":0",
            )
            client = stack.enter_context(Client(stack.enter_context(workers)))
            yield "dask", client.get_executor()
        else:
            import ray
            from ray.util.joblib import register_ray

            ray.init(num_cpus=N_WORKERS, include_dashboard=False, log_to_driver=False, configure_logging=False)
            stack.callback(ray.shutdown)
            register_ray()
            yield "ray", None


def limits():
    return os.getpid(), threads.default_threads()


def scores(n_jobs):
    search = GridSearchCV(MLPClassifier(max_iter=3, random_state=0), GRID, n_jobs=n_jobs, cv=2).fit(X, y)
    table = TabularClassifier(hidden_layer_sizes=(16,), max_iter=3, random_state=0)
    return [*search.cv_results_["mean_test_score"], *cross_val_score(table, X, y, cv=2, n_jobs=n_jobs)]


def kernels():
    folder = Path(os.environ["FASTNN_CACHE_DIR"])
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix == ".kernel"}


def main():
    serial, here = scores(1), fastnn.fit_many(CONFIGS, X, y, **SHARED)
    TabularClassifier(hidden_layer_sizes=(16,), max_iter=3, random_state=0).fit(X, y)
    before = kernels()
    with engine(sys.argv[1]) as (backend, executor), joblib.parallel_config(backend, n_jobs=N_WORKERS):
        found = scores(N_WORKERS)
        told = joblib.Parallel()(joblib.delayed(limits)() for _ in range(8))
        there = fastnn.fit_many(CONFIGS, X, y, executor=executor, **SHARED)
    after = kernels()
    pairs = zip(here.networks, there.networks)
    print({
        "scores": found == serial,
        "networks": [a.parameters.tobytes() == b.parameters.tobytes() for a, b in pairs],
        "compiled": [path for path in after if path not in before or after[path] != before[path]],
        "any": len(before) > 0,
        "others": os.getpid() not in {pid for pid, _ in told},
        "threads": max(count for _, count in told),
    })


if __name__ == "__main__":
    main()
'''


@pytest.mark.slow
@pytest.mark.parametrize("engine", NEEDS)
def test_searches_and_populations_have_the_serial_results_and_compile_nothing(engine, tmp_path):
    pytest.importorskip(NEEDS[engine])
    program = tmp_path / "engine.py"
    program.write_text(PROGRAM, "utf-8")
    left_out = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    shared, own = cache.folder_in_use(), tmp_path / "cache"
    if shared is not None:  # other tests compile there meanwhile
        shutil.copytree(shared, own / shared.name, ignore=shutil.ignore_patterns("*.lock", "*.tmp*"))
    environment |= {"PYTHONPATH": python_path(), "FASTNN_CACHE_DIR": str(own)}
    done = subprocess.run(
        [sys.executable, program, engine], env=environment, capture_output=True, text=True, timeout=280, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    found = ast.literal_eval(done.stdout.splitlines()[-1])
    in_process = engine in ("threading", "dask threads")
    assert found["scores"]
    assert found["networks"] == [True] * 3
    assert found["any"]
    assert found["compiled"] == []
    assert found["others"] != in_process
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert in_process or 2 * found["threads"] <= max(2, processors)
