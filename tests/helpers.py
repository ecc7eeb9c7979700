"""Builders, finite differences and child processes that several test modules share."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numba import njit

import fastnn
from fastnn import reference
from fastnn.kernels import threads
from fastnn.kernels.jit import OPTIONS, from_python
from fastnn.kernels.registry import call
from fastnn.kernels.threads import steps_by_team_size
from fastnn.kernels.train_loop import shuffle, train_steps

BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])
"""Runs a test for parameters of each type."""

in_checkout = pytest.mark.skipif(
    not (Path(__file__).parent.parent / "fastnn").is_dir(), reason="the package's sources are not beside the tests"
)


# ---- Networks and data


def regression(n_rows=23, n_inputs=4, n_outputs=2):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, n_inputs)), rng.normal(size=(n_rows, n_outputs))


def classification(n_rows=23, n_classes=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, 4)), rng.integers(0, n_classes, n_rows)


def regressor(dtype="float64", **options):
    return fastnn.Network([4, 6, 2], activation=["tanh", "identity"], dtype=dtype, seed=3, **options)


def classifier(dtype="float64", **options):
    return fastnn.Network(
        [4, 6, 3], activation=["relu", "softmax"], loss="cross_entropy", dtype=dtype, seed=3, **options
    )


def as_reference(net):
    """The executable specification with the network's parameters, copied."""
    setting = net.engine.spec.loss_setting
    q = setting if net.loss_name == "quantile" else 0.5
    return reference.Network(net.weights, net.biases, net.activation, net.loss_name, q=q)


def bits(*arrays):
    return [np.asarray(array).tobytes() for array in arrays]


def shuffled(n, seed, epoch):
    """The order in which an epoch visits `n` examples."""
    order = np.full(n, -1, np.int64)
    from_python(shuffle)(order, seed, epoch)
    return order


# ---- Finite differences


def central_differences(f, x, h):
    """Central differences of a number f() with respect to every element of the array x, moved in place."""
    differences = np.empty_like(x)
    for i in np.ndindex(x.shape):
        before = x[i]
        x[i] = before + h
        above = f()
        x[i] = before - h
        below = f()
        x[i] = before
        differences[i] = (above - below) / (2 * h)
    return differences


def differences_by_layer(f, net, h=1e-5):
    """Central differences of f() with respect to the weights and to the biases of a float64 network.

    At this h the rounding of f and the third derivative each leave an error of about 1e-10.
    """
    return [[central_differences(f, part, h) for part in parts] for parts in (net.weights, net.biases)]


def gradient_by_differences(f, net, h=1e-5):
    """Central differences with respect to every parameter, in the order of `net.parameters`."""
    pairs = zip(*differences_by_layer(f, net, h), strict=True)
    parts = [part.ravel() for pair in pairs for part in pair]
    further = [central_differences(f, part, h).ravel() for part in net.engine.further.values()]
    return np.concatenate([*parts, *further])


# ---- Replacing what modules import


def replace_everywhere(monkeypatch, function, replacement):
    """Put `replacement` in the place of a function in every module of the package that holds it."""
    holders = [module for name, module in sys.modules.items() if name.partition(".")[0] == "fastnn"]
    holders = [module for module in holders if getattr(module, function.__name__, None) is function]
    assert holders
    for module in holders:
        monkeypatch.setattr(module, function.__name__, replacement)


# ---- Threads and processes


def in_parallel(*calls):
    """Run each call in a thread; return their results, or raise the first error."""
    results, errors = [None] * len(calls), []

    def run(number, call):
        try:
            results[number] = call()
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    if errors:
        raise errors[0]
    return results


@njit(**OPTIONS)
def steps_of_thread(
    network, work, examples, validation, step_range, rule, stochastic_regularization, records, barrier, thread, size
):
    """Train as one thread of a team that is complete."""
    call(
        network.kernel_table, train_steps,
        network, work, examples, validation, step_range, rule, stochastic_regularization, records,
        barrier, thread, size,
    )  # fmt: skip


def team_of_python_threads(size):
    """What stands in for `threads.run_on_team`: `size` threads that begin together, whatever the machine has."""

    def run_on_team(parallel_kernel, member, n_threads, *arguments):
        barrier = threads.new_barrier(size)
        in_parallel(*[lambda rank=rank: steps_of_thread(*arguments, barrier, rank, size) for rank in range(size)])
        return steps_by_team_size(barrier)

    return run_on_team


def python_path():
    """Where a child process finds the package that is tested, and all that this one imports."""
    return os.pathsep.join([str(Path(fastnn.__file__).parents[1]), *filter(None, sys.path)])


def run_python(code, *arguments, timeout=300, **environment):
    """Run a program in a process of its own; return what it printed."""
    completed = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": python_path()} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def call_during_training(net, X, y, call):
    """Call in this thread while another one stands in the middle of `net.fit`; return the errors that it raised."""
    inside, leave, caught = threading.Event(), threading.Event(), []

    def wait(net, history):
        inside.set()
        return leave.wait(60)

    trainer = threading.Thread(target=lambda: net.fit(X, y, epochs=5, callbacks=[wait]))
    trainer.start()
    assert inside.wait(60)
    try:
        call()
    except RuntimeError as error:
        caught.append(str(error))
    finally:
        leave.set()
        trainer.join()
    return caught
