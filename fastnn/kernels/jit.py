"""The one decorator that owns every option of compilation."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numba.core import config
from numba.core.compiler_lock import global_compiler_lock

from .cache import KernelCache

SETTINGS: Any = config
COMPILED = not SETTINGS.DISABLE_JIT

if hasattr(os, "register_at_fork"):  # pragma: no branch - other systems
    # a child must not begin with the lock of a thread that compiles, for ever, in the parent alone
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )

# no reference counts: kernels neither make nor keep arrays, and counting took a third of a small network's step
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False, "cache": False, "_nrt": False}

# what only other kernels call needs no way in from Python: those took a seventh of the first call's compilation
INNER: dict[str, Any] = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def kernel(function: Callable[..., Any]) -> Any:
    """A serial function for the use of other kernels: unchecked, without the GIL, IEEE arithmetic as written."""
    return njit(**INNER)(function)


def piece(function: Callable[..., Any]) -> Any:
    """A serial kernel that others call by its address, see linking.py: kept on disk."""
    return _kept(njit(**INNER)(function))


def entry(function: Callable[..., Any]) -> Any:
    """A serial kernel that Python calls: kept on disk."""
    return _kept(njit(**OPTIONS)(function))


def parallel_entry(function: Callable[..., Any]) -> Any:
    """A kernel that Python calls and that hands out work to threads: kept on disk."""
    return _kept(njit(parallel=True, **OPTIONS | {"_nrt": True})(function))


def _kept(dispatcher: Any) -> Any:
    if not COMPILED:
        return np.errstate(all="ignore")(dispatcher)  # compiled arithmetic does not warn either
    dispatcher._cache = KernelCache(dispatcher.py_func)
    dispatcher.compile = defer_sigint()(dispatcher.compile)
    return dispatcher


@contextmanager
def defer_sigint() -> Iterator[None]:
    """Ctrl-C is answered at the end: what is raised in LLVM's callbacks is lost, or leaves half a kernel."""
    answer: Any = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(answer):
        yield
        return
    asked: list[Any] = []
    signal.signal(signal.SIGINT, lambda number, frame: asked.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, answer)
    if asked:
        answer(signal.SIGINT, asked[0])


@lru_cache
def from_python(kernel: Any) -> Any:
    """A way into a kernel from Python, kept nowhere: for tests and measurements."""
    return njit(**OPTIONS)(lambda *given: kernel(*given))
