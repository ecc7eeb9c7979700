"""Children of a process that has trained: forked, forked again, spawned, of joblib."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import multiprocessing, os, sys, warnings
import numpy as np
import fastnn

def work(seed=3):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 80)).astype("float32"), rng.integers(0, 4, 300)
    net = fastnn.Network([80, 300, 4], activation=["relu", "softmax"], loss="cross_entropy", seed=seed)
    net.fit(X, y, epochs=2, batch_size=64, learning_rate=0.05)
    return net.parameters.tobytes() + net.predict(X).tobytes()

def in_a_child(generations, wanted):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sound = work() == wanted
            if generations > 1:
                sound = sound and in_a_child(generations - 1, wanted)
            code = 0 if sound else 2
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0

if __name__ == "__main__":
    how = sys.argv[1]
    wanted = work()
    if how == "fork and fork again":
        warnings.simplefilter("ignore")  # Python's own word on forking beside threads
        found = [in_a_child(2, wanted)]
    elif how.startswith("joblib"):
        from joblib import Parallel, delayed
        parallel = Parallel(n_jobs=2, backend=how.split()[1])
        found = [part == wanted for part in parallel(delayed(work)() for _ in range(4))]
    else:
        with multiprocessing.get_context(how).Pool(2) as pool:
            found = [part == wanted for part in pool.map(work, [3, 3, 3])]
    assert all(found), found
    assert work() == wanted
    print("the same")
"""
WAYS = [
    "fork and fork again",
    "fork",
    "spawn",
    "forkserver",
    "joblib threading",
    "joblib loky",
    "joblib multiprocessing",
]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_child_has_the_results_of_its_parent(way, tmp_path):
    if "fork" in way and not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    if "joblib" in way:
        pytest.importorskip("joblib")
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    environment = os.environ | {"NUMBA_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-W", "ignore", str(path), way]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert (found.returncode, found.stdout.strip()) == (0, "the same"), found.stderr
