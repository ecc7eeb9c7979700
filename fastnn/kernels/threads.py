"""Decide how many threads a call may use, and make the call.

fastnn never sets a threading layer or the process's thread count. It does not enter Numba's pool if that would end the
process: under workqueue, where threads of Python make the team, and in a child forked after OpenMP ran here.
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
from .barrier import FLAGS, LINE, STEPS, barrier_size
from .jit import COMPILED, SETTINGS, defer_sigint
from .registry import ENTRIES, entry_point

POOLS = ("omp", "tbb")
"""Threading layers of Numba that any thread may enter at any time."""


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


def _openmp_limit() -> int | None:
    """Return OMP_NUM_THREADS, which Dask and Ray set for their workers; None without it, or if Numba's is set."""
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if "NUMBA_NUM_THREADS" in os.environ or not text.isdigit() or int(text) == 0:
        return None
    return int(text)


OPENMP_LIMIT = _openmp_limit()


def _at_most_openmp(count: int) -> int:
    return count if OPENMP_LIMIT is None else min(count, OPENMP_LIMIT)


def n_processors() -> int:
    """Return how many calls run in parallel by default: this process's processors, or a lower limit."""
    return _at_most_openmp(min(SETTINGS.NUMBA_NUM_THREADS, _allowed()))


def default_threads() -> int:
    """Return how many threads a call uses at most if it is not told: `max_threads`, or OpenMP's limit if lower."""
    return _at_most_openmp(max_threads())


def max_threads() -> int:
    """Return how many threads one call can use: at most this process's processors and Numba's limit."""
    if not COMPILED or _pool["forked"] or SETTINGS.NUMBA_NUM_THREADS == 1:
        return 1
    return int(SETTINGS.NUMBA_NUM_THREADS if layer() == "none" else numba.get_num_threads())


def new_barrier(n_threads: int) -> np.ndarray:
    """Return a zeroed barrier for up to `n_threads` threads, see barrier.py."""
    return np.zeros(barrier_size(n_threads), np.int64)


class team_of:  # noqa: N801 - a context, and cheaper than a generator's: a small network's step takes 3 us
    """Reserve threads for one call: `wanted`, less those of other calls in progress; only one call has a team."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.team: ForkSafeLock | None = None

    def __enter__(self) -> int:
        with _counting:
            others = _pool["calls"]
            _pool["calls"] += 1
        size = min(self.wanted, max_threads() - others) if self.wanted > 1 else 1
        if size <= 1 or not _one_team.acquire():
            return 1
        self.team = _one_team
        return size

    def __exit__(self, *error: object) -> None:
        if self.team is not None:
            self.team.release()
        with _counting:
            _pool["calls"] -= 1


@contextmanager
def _pool_of(n_threads: int) -> Iterator[None]:
    """Let Numba's next launch have so many threads."""
    before = numba.get_num_threads()
    _pool["entered"] = True
    try:
        numba.set_num_threads(min(n_threads, SETTINGS.NUMBA_NUM_THREADS))
        yield
    finally:
        numba.set_num_threads(before)


def launch(
    parallel_kernel: Callable[..., Any], member: Callable[..., Any], n_threads: int, *arguments: Any
) -> np.ndarray:
    """Call a kernel with the `n_threads` of `team_of`; return the barrier.

    `parallel_kernel`, which starts Numba's threads, and `member`, which is called by threads of Python where those must
    not be started, take the arguments and (barrier, n_threads).
    """
    barrier = new_barrier(n_threads)
    given = (*arguments, barrier, n_threads)
    if layer() in POOLS:
        call = function_of(parallel_kernel, arguments)
        with _pool_of(n_threads):
            call(*given)
        return barrier
    member = function_of(member, arguments)
    others = [threading.Thread(target=member, args=given, daemon=True) for _ in range(n_threads - 1)]
    with defer_sigint():
        for other in others:
            other.start()
        member(*given)
        for other in others:
            other.join()
    return barrier


def run_on_team(
    parallel_kernel: Callable[..., Any], member: Callable[..., Any], wanted: int, *arguments: Any
) -> np.ndarray:
    """Call a kernel with up to `wanted` threads; return how many steps ran on one thread, on two, and so on.

    `parallel_kernel` and `member`, which is called alone if one thread is to be had, are as in `launch`.
    """
    with team_of(wanted) as n_threads:
        if n_threads == 1:
            barrier = new_barrier(1)
            function_of(member, arguments)(*arguments, barrier, 1)
        else:
            barrier = launch(parallel_kernel, member, n_threads, *arguments)
    return steps_by_team_size(barrier)


def function_of(kernel: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """Return the function through which to call a kernel: if its arguments are declared, past Numba's dispatcher."""
    return entry_point(kernel, arguments[0].parameters.dtype) if kernel in ENTRIES else kernel


def steps_by_team_size(barrier: np.ndarray) -> np.ndarray:
    """Return how many steps of a call ran on one thread, on two, and so on."""
    return barrier[FLAGS + STEPS :: LINE]
