"""Fixtures of several test modules."""

import importlib.metadata
import os
import signal
from pathlib import Path

import pytest

from fastnn.kernels import threads

threads.OPENMP_LIMIT = None  # a limit of whoever runs the tests would take from the teams that they are about

collect_ignore = ["programs"]  # written for other libraries: test_sklearn.py and others run them


def tbb_directory():
    """Where the package tbb put its library: in the environment's `lib`, where the loader does not look by itself."""
    try:
        files = importlib.metadata.files("tbb") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((str(Path(file.locate()).resolve().parent) for file in files if file.name == "libtbb.so.12"), None)


@pytest.fixture(scope="session")
def environment():
    """Variables of a process whose pool has four threads, or as many as requested, of a named threading layer."""

    def variables(layer=None, **settings):
        found = os.environ | {"NUMBA_NUM_THREADS": "4"} | settings
        if layer is not None:
            found["NUMBA_THREADING_LAYER"] = layer
        paths = [tbb_directory() if layer == "tbb" else None, found.get("LD_LIBRARY_PATH")]
        return found | {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, paths))}

    return variables


@pytest.fixture(autouse=True)
def no_limit_on_threads():
    """Let the processes that a test starts use every processor; Dask leaves its workers' limit in this process."""
    os.environ.pop("OMP_NUM_THREADS", None)


@pytest.fixture(autouse=True)
def default_sigint():
    """Let Python handle Ctrl-C as in a terminal; a process started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
