"""Decide how many threads a call may use, and make the call.

fastnn never sets a threading layer or the process's thread count. It does not enter Numba's pool if that would end the
process: under workqueue, and in a child forked after OpenMP ran here.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
from numba.np.ufunc import parallel

from ..locks import ForkSafeLock
from .barrier import barrier_size
from .jit import COMPILED, SETTINGS

_one_team = ForkSafeLock()
_counting = ForkSafeLock()
_pool: dict[str, Any] = {"layer": None, "entered": False, "forked": False, "calls": 0}


def _after_fork() -> None:
    # Numba's process lock is shared: a child killed while it holds it would stop its parent and siblings
    parallel._backend_init_process_lock = None  # Numba makes another when it needs one
    parallel._backend_init_thread_lock = threading.RLock()
    _pool["calls"] = 0
    _pool["forked"] = _pool["forked"] or _pool["entered"]


if hasattr(os, "register_at_fork"):  # pragma: no branch - other systems
    os.register_at_fork(after_in_child=_after_fork)


def layer() -> str:
    """Return Numba's threading layer in this process, starting it if need be; "none" if none can be loaded."""
    if _pool["layer"] is None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                parallel._launch_threads()
            _pool["layer"] = numba.threading_layer()  # type: ignore[attr-defined]
        except (ValueError, ImportError, RuntimeError):
            _pool["layer"] = "none"
    return str(_pool["layer"])


def _allowed() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def n_processors() -> int:
    """Return how many calls can run in parallel: this process's processors, or Numba's limit if that is lower."""
    return min(SETTINGS.NUMBA_NUM_THREADS, _allowed())


def max_threads() -> int:
    """Return how many threads one call can use: at most this process's processors and Numba's limit."""
    if not COMPILED or _pool["forked"]:
        return 1
    if SETTINGS.NUMBA_NUM_THREADS == 1 or layer() not in ("omp", "tbb"):
        return 1
    return int(numba.get_num_threads())


def new_barrier(n_threads: int) -> np.ndarray:
    """Return a zeroed barrier for up to `n_threads` threads, see barrier.py."""
    return np.zeros(barrier_size(n_threads), np.int64)


@contextmanager
def team_of(wanted: int) -> Iterator[int]:
    """Reserve threads for one call: `wanted`, less those of other calls in progress; only one call has a team."""
    with _counting:
        others = _pool["calls"]
        _pool["calls"] += 1
    try:
        size = min(wanted, max_threads() - others) if wanted > 1 else 1
        if size <= 1 or not _one_team.acquire():
            yield 1
            return
        before = numba.get_num_threads()
        try:
            _pool["entered"] = True
            numba.set_num_threads(min(size, SETTINGS.NUMBA_NUM_THREADS))
            yield size
        finally:
            numba.set_num_threads(before)
            _one_team.release()
    finally:
        with _counting:
            _pool["calls"] -= 1


def run_on_team(parallel_kernel: Callable[..., Any], serial: Callable[..., Any], wanted: int, *arguments: Any) -> None:
    """Call a kernel with up to `wanted` threads.

    `parallel_kernel` takes the arguments and (barrier, n_threads); `serial`, called instead if one thread is to be had,
    takes them and (barrier, thread, team_size).
    """
    with team_of(wanted) as n_threads:
        if n_threads == 1:
            serial(*arguments, new_barrier(1), 0, 1)
        else:
            parallel_kernel(*arguments, new_barrier(n_threads), n_threads)
