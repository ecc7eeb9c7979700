"""Many threads of Python at once, on every threading layer, beside other users of Numba's pool."""

import os
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn.kernels.jit import COMPILED

pytestmark = pytest.mark.skipif(not COMPILED, reason="there are no threads without compilation")

# Eight threads train and predict; the results must be those of the same work done one after the other.
CROWD = """
import sys, threading
import numpy as np
import fastnn
from fastnn.kernels import threads

def work(number, rounds, found):
    rng = np.random.default_rng(number)
    X, y = rng.normal(size=(256, 60)).astype("float32"), rng.integers(0, 4, 256)
    net = fastnn.Network([60, 300, 4], activation=["relu", "softmax"], loss="cross_entropy", seed=number)
    total = np.zeros((256, 4))
    for _ in range(rounds):
        net.fit(X, y, epochs=1, batch_size=64, learning_rate=0.05, n_threads=None if number % 2 else 2)
        total += net.predict(X)
    found[number] = net.parameters.tobytes() + total.tobytes()

rounds = int(sys.argv[1])
alone, together = {}, {}
for number in range(8):
    work(number, rounds, alone)
crowd = [threading.Thread(target=work, args=(number, rounds, together)) for number in range(8)]
for thread in crowd:
    thread.start()
for thread in crowd:
    thread.join()
assert alone == together
print(threads.layer())
"""
# Another library's parallel function runs all the while; under workqueue a second caller of the pool ends the process.
NEIGHBOUR = """
import threading
import numpy as np
from numba import njit, prange
import fastnn

@njit(parallel=True, nogil=True)
def busy(a):
    for i in prange(len(a)):
        a[i] = a[i] * 1.0000001 + 1e-9

a, done = np.ones(1_000_000), threading.Event()
busy(a)
def neighbour():
    while not done.is_set():
        busy(a)
thread = threading.Thread(target=neighbour)
thread.start()
X, y = np.random.default_rng(0).normal(size=(512, 100)), np.arange(512) % 4
net = fastnn.Network([100, 400, 4], activation=["relu", "softmax"], loss="cross_entropy", seed=0)
try:
    for _ in range(30):
        net.fit(X, y, epochs=1, batch_size=128, learning_rate=0.05, n_threads=2)
        net.predict(X)
finally:
    done.set()
    thread.join()
print("alive")
"""
NO_OPENMP = """
import sys
sys.modules["numba.np.ufunc.omppool"] = sys.modules["numba.np.ufunc.tbbpool"] = None
import fastnn
from fastnn.cli import main
net = fastnn.Network([100, 400, 4], seed=0)
net.fit([[0.5] * 100] * 64, [0] * 64, epochs=2, learning_rate=0.1, n_threads=2)
main(["doctor"])
"""


def run(code, environment, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["omp", "workqueue", "tbb"])
def test_eight_threads_have_the_results_of_one(layer, environment):
    found = run(CROWD, environment(layer), os.environ.get("FASTNN_ROUNDS", "100"))
    assert found.returncode == 0, found.stderr
    if found.stdout.strip() == "none":
        pytest.skip(f"{layer} cannot be loaded here: one thread each, and the same results")
    assert found.stdout.strip() == layer


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["omp", "workqueue", "tbb"])
def test_training_beside_another_librarys_parallel_function_works(layer, environment):
    found = run(NEIGHBOUR, environment(layer))
    if "No threading layer could be loaded" in found.stderr:
        pytest.skip(f"{layer} cannot be loaded here, and Numba runs nothing in parallel")
    assert (found.returncode, found.stdout.strip()) == (0, "alive"), found.stderr


@pytest.mark.slow
def test_without_any_threading_layer_threads_of_python_train(environment):
    none = ' = sys.modules["numba.np.ufunc.workqueue"] = None'
    found = run(NO_OPENMP.replace(" = None", none, 1), environment(NUMBA_NUM_THREADS="2"))
    assert (found.returncode, "LOST" in found.stdout) == (0, False), found.stderr
    assert "none, 2 threads give the same bits as one" in found.stdout


@pytest.mark.slow
def test_without_openmp_threads_of_python_train(environment):
    found = run(NO_OPENMP, environment(NUMBA_NUM_THREADS="2"))
    assert (found.returncode, "LOST" in found.stdout) == (0, False), found.stderr
    assert "workqueue, 2 threads give the same bits as one" in found.stdout


def test_training_leaves_the_thread_settings_of_the_process_alone():
    import numba

    def outside():
        names = ("NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        settings = {name: os.environ.get(name) for name in names}
        return numba.get_num_threads(), numba.config.THREADING_LAYER, numba.config.NUMBA_NUM_THREADS, settings

    before = outside()
    net = fastnn.Network([100, 400, 4], seed=0)
    for n_threads in (1, 2, None):
        net.fit(np.zeros((64, 100)), np.zeros(64, int), epochs=2, learning_rate=0.1, n_threads=n_threads)
        net.predict(np.zeros((2000, 100)))
        assert outside() == before


PYTHON_THREADS = """
import os, sys, warnings
import numpy as np
import fastnn
from fastnn.kernels import threads
warnings.simplefilter("ignore")  # Python's own word on forking beside threads

def work(n_threads):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(600, 80)).astype("float32"), rng.integers(0, 4, 600)
    net = fastnn.Network([80, 300, 4], activation=["relu", "softmax"], loss="cross_entropy", seed=1)
    history = net.fit(X, y, epochs=20, batch_size=64, learning_rate=0.05, n_threads=n_threads)
    return net.parameters.tobytes() + net.predict(np.repeat(X, 10, axis=0)).tobytes(), history.n_threads

assert threads.layer() == "workqueue"
wanted, _ = work(1)
for n_threads in (2, 3, None):
    assert work(n_threads)[0] == wanted
print(max(work(2)[1] for _ in range(5)), flush=True)
child = os.fork()
if child == 0:
    os._exit(work(2)[0] != wanted)
assert os.waitpid(child, 0)[1] == 0
assert work(2)[0] == wanted
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_under_workqueue_threads_of_python_make_the_team_in_children_too(environment):
    found = run(PYTHON_THREADS, environment("workqueue"))
    assert (found.returncode, found.stdout.strip()) == (0, "2"), found.stderr
