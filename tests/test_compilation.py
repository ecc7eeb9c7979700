"""Compilation shared among processes: what is claimed, waited for, and left to a second process."""

import errno
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastnn
from fastnn.kernels import cache, compilation, kernel_table, registry
from fastnn.kernels.argument_types import Floats
from fastnn.kernels.compilation import claim, compile_all, compile_unclaimed, is_kept, machine_code, wait_for
from fastnn.kernels.jit import COMPILED, INNER, compile_and_keep
from fastnn.kernels.registry import argument_types

pytestmark = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Keep kernels in a folder of the test's own."""
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path))
    cache._prepared.cache_clear()
    yield tmp_path
    cache._prepared.cache_clear()


def new_job():
    """Return a small kernel that is not compiled yet, with the types of its arguments."""

    def double(out):
        for i in range(len(out)):
            out[i] *= 2

    return compile_and_keep(double, INNER), argument_types((Floats,), "float32")


def test_a_kernel_is_compiled_and_kept_once():
    job = new_job()
    assert not is_kept(job)
    compile_all([job], "float32")
    assert is_kept(job)
    assert machine_code(*job) == machine_code(*job)


def test_one_claim_at_a_time():
    job = new_job()
    with claim(job) as first, claim(job) as second:
        assert (first, second) == (True, False)
    with claim(job) as again:
        assert again


def test_what_another_process_compiles_is_passed_over():
    job, other = new_job(), new_job()
    other[0]._cache.name = "other"
    with claim(other):
        assert compile_unclaimed([other, job]) == [other]
    assert is_kept(job)
    assert not is_kept(other)


def test_a_kernel_of_another_process_is_waited_for():
    job, finished = new_job(), []
    held = threading.Event()

    def compile_slowly():
        with claim(job):
            held.set()
            time.sleep(0.2)
            finished.append(True)

    thread = threading.Thread(target=compile_slowly)
    thread.start()
    held.wait()
    wait_for(job)
    assert finished
    thread.join()


def test_patience_with_another_process_ends(monkeypatch):
    monkeypatch.setattr(compilation, "PATIENCE", 0.05)
    job = new_job()
    with claim(job):
        wait_for(job)
    assert not is_kept(job)


@pytest.mark.skipif(sys.platform == "win32", reason="reads the locks of POSIX")
def test_the_claim_of_a_process_that_was_killed_is_free():
    job = new_job()
    hold = "import fcntl, os, sys, time; fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX); "
    hold += "print(flush=True); time.sleep(60)"
    path = f"{compilation.kernel_path(job)}.lock"
    with subprocess.Popen([sys.executable, "-c", hold, path], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with claim(job) as while_it_lives:
            pass
        process.kill()
    with claim(job) as after:
        assert (while_it_lives, after) == (False, True)


@pytest.mark.skipif(sys.platform == "win32", reason="the locks of POSIX fail")
def test_without_locks_a_kernel_is_compiled_all_the_same(monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(compilation.fcntl, "flock", refuse)
    with claim(new_job()) as claimed:
        assert claimed


@pytest.mark.parametrize(
    ("executable", "processors", "frozen", "possible"),
    [
        ("/usr/bin/python3.12", 2, False, True),
        ("C:/Python312/python.exe", 8, False, True),
        ("/usr/bin/python3", 1, False, False),
        ("/usr/bin/uwsgi", 2, False, False),
        ("/opt/program", 2, True, False),
        ("", 2, False, False),
        (None, 2, False, False),
    ],
)
def test_a_second_process_needs_a_processor_and_a_python(monkeypatch, executable, processors, frozen, possible):
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(processors)), raising=False)
    assert compilation.can_start_processes() is possible


def test_a_python_that_does_not_start_is_done_without(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr(compilation, "WORTH_A_PROCESS", 1)
    job = new_job()
    compile_all([job], "float32")
    assert is_kept(job)


def test_a_second_process_with_other_settings_does_nothing(monkeypatch):
    def fail(jobs):
        raise AssertionError("compiled for another folder")

    monkeypatch.setattr(kernel_table, "compile_unclaimed", fail)
    kernel_table.compile_named("float32", ["activate"], "/elsewhere")


@pytest.mark.slow
def test_a_second_process_compiles_what_it_is_named():
    kernel = kernel_table.activate
    job = kernel, argument_types(registry.LINKED_KERNELS[kernel].signature, "float64")
    with compilation.second_process([job], "float64"):
        end = time.monotonic() + 300
        while not compilation.kernel_path(job).exists() and time.monotonic() < end:
            time.sleep(0.05)
    assert compilation.kernel_path(job).exists()


COLD = """
import json
import fastnn.kernels.compilation as compilation
names = []
compiled = compilation.machine_code
def record(kernel, exact):
    names.append(kernel.py_func.__name__)
    return compiled(kernel, exact)
compilation.machine_code = record
import fastnn, numpy as np
net = fastnn.Network([4, 3, 2], seed=0)
net.fit(np.ones((9, 4)), np.zeros((9, 2)), epochs=1)
print(json.dumps([names, net.parameters.tolist()]))
"""


@pytest.mark.slow
def test_cold_processes_share_the_kernels_and_have_the_same_results():
    processes = [subprocess.Popen([sys.executable, "-c", COLD], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    results = [json.loads(process.communicate(timeout=600)[0]) for process in processes]
    (first, parameters), (second, others) = results
    assert parameters == others
    assert np.isfinite(parameters).all()
    assert not set(first) & set(second)  # each kernel was compiled by one, or by a second process


def test_a_later_training_does_not_look_for_its_kernels(monkeypatch):
    net = fastnn.Network([2, 2], seed=0)
    asked = []
    monkeypatch.setattr(compilation, "is_kept", lambda job: asked.append(job) or True)
    kernel_table.compile_kernels.cache_clear()
    net.fit(np.eye(2), [0, 1], epochs=1, progress=False)
    assert asked
    asked.clear()
    net.fit(np.eye(2), [0, 1], epochs=1, progress=False)
    assert not asked
