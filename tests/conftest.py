"""What several tests share; `programs/` are written for other libraries: `test_sklearn.py` and others run them."""

import importlib.metadata
import os
from pathlib import Path

import pytest

collect_ignore = ["programs"]


def tbb_folder():
    """Where the package tbb put its library: in the environment's `lib`, where the loader does not look by itself."""
    try:
        files = importlib.metadata.files("tbb") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((str(Path(file.locate()).resolve().parent) for file in files if file.name == "libtbb.so.12"), None)


@pytest.fixture
def environment():
    """Variables of a process whose pool has four threads, or as many as asked for, of the threading layer of a name."""

    def variables(layer=None, **settings):
        found = os.environ | {"NUMBA_NUM_THREADS": "4"} | settings
        if layer is not None:
            found["NUMBA_THREADING_LAYER"] = layer
        folders = [tbb_folder() if layer == "tbb" else None, found.get("LD_LIBRARY_PATH")]
        return found | {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, folders))}

    return variables
