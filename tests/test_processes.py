"""Children of a process that has trained: forked, forked again, spawned, of joblib."""

import os
import subprocess
import sys

import pytest

from fastnn.kernels.jit import COMPILED

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


# An empty cache: the other thread compiles for seconds, and the child is forked at several moments of it.
WHILE_COMPILING = """
import os, signal, threading, time, warnings
import numpy as np
import fastnn
warnings.simplefilter("ignore")  # Python's own word on forking beside threads
a, b = (fastnn.Network([5, 3, 1], dtype=dtype, seed=0) for dtype in ("float32", "float64"))
X = np.zeros((200, 5), "f4")
fitting = threading.Thread(target=lambda: b.fit(X, np.zeros(200), epochs=1, n_threads=1))
fitting.start()
children = []
while fitting.is_alive() and len(children) < 8:
    time.sleep(0.5)
    child = os.fork()
    if child == 0:
        signal.alarm(120)
        a.predict(X)
        b.fit(X, np.zeros(200), epochs=1, n_threads=1)  # the lock on b was of a thread that is not here
        os._exit(0)
    children.append(child)
fitting.join()
assert len(children) > 1
print({os.waitpid(child, 0)[1] for child in children})
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_a_child_forked_while_another_thread_compiles_and_trains_does_both(tmp_path):
    found = subprocess.run(
        [sys.executable, "-c", WHILE_COMPILING], capture_output=True, text=True, timeout=600, check=False,
        env=os.environ | {"FASTNN_CACHE_DIR": str(tmp_path)},
    )  # fmt: skip
    assert (found.returncode, found.stdout.strip()) == (0, "{0}"), found.stderr


# Numba looks at the number of threads under a lock that a forked child has in common with its parent.
KILLED = """
import os, signal, sys, warnings
import numpy as np
import fastnn
from numba.np.ufunc import parallel
warnings.simplefilter("ignore")
net = fastnn.Network([5, 3, 1], seed=0)
net.fit(np.zeros((20, 5)), np.zeros(20), epochs=1, n_threads=1)
child = os.fork()
if child == 0:
    net.fit(np.zeros((20, 5)), np.zeros(20), epochs=1, n_threads=1)
    parallel._launch_threads()
    parallel._backend_init_process_lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)
assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
signal.alarm(60)
net.fit(np.zeros((20, 5)), np.zeros(20), epochs=1, n_threads=1)
print("alive")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.skipif(not COMPILED, reason="there are no threads without compilation")
def test_a_child_killed_while_it_holds_numbas_lock_does_not_stop_its_parent():
    found = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=300, check=False)
    assert (found.returncode, found.stdout.strip()) == (0, "alive"), found.stderr
