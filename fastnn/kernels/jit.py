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
    # a thread that compiles holds the lock: a child forked meanwhile would wait for it for ever
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )

# no reference counts: kernels neither make nor keep arrays, and counting took a third of a small network's step
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False, "cache": False, "_nrt": False}

# without the wrappers through which Python calls: they took a seventh of the first call's compilation
INNER: dict[str, Any] = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial function that other kernels call: unchecked, without the GIL, IEEE arithmetic as written."""
    return njit(**INNER)(function)


def entry(function: Callable[..., Any]) -> Any:
    """Compile a serial kernel that Python calls, and keep it on disk."""
    return compile_and_keep(function, OPTIONS)


def parallel_entry(function: Callable[..., Any]) -> Any:
    """Compile a kernel that Python calls and that hands out work to threads, and keep it on disk."""
    return compile_and_keep(function, OPTIONS | {"_nrt": True, "parallel": True})


def compile_and_keep(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Compile a function when it is first called; load and save its machine code with `KernelCache`."""
    dispatcher = njit(**options)(function)
    if not COMPILED:
        return np.errstate(all="ignore")(dispatcher)  # compiled arithmetic does not warn either
    dispatcher._cache = KernelCache(dispatcher.py_func)
    dispatcher.compile = defer_sigint()(dispatcher.compile)
    return dispatcher


@contextmanager
def defer_sigint() -> Iterator[None]:
    """Defer SIGINT until compilation finishes: an exception in LLVM's callbacks is lost, or leaves half a kernel."""
    handler: Any = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    frames: list[Any] = []
    signal.signal(signal.SIGINT, lambda number, frame: frames.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if frames:
        handler(signal.SIGINT, frames[0])


@lru_cache
def from_python(kernel: Any) -> Any:
    """Return a function through which Python calls a kernel, kept nowhere: for tests and measurements."""
    return njit(**OPTIONS)(lambda *args: kernel(*args))
