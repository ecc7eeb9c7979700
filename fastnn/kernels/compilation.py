"""Compile kernels: each once on a machine, and those of a first call in two processes at a time.

A process compiles a kernel while it holds the lock on a file beside the kernel's own. It passes over kernels that
another process compiles, and waits for them at the end. So workers that start together share the work, and a process
that has much to compile starts a second one that takes part of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from numba.core import types
from numba.core.compiler_lock import global_compiler_lock

from .cache import folder_in_use
from .jit import COMPILED, defer_sigint

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

WORTH_A_PROCESS = 3
"""Kernels to compile from which a second process, which takes half a second to start, saves time."""

PATIENCE = 120.0
"""Seconds to wait for another process's kernel before compiling it here, too."""

POLL = 0.02

PROGRAM = """
import json, sys
job = json.load(sys.stdin)
sys.path[:] = job["path"]
from fastnn.kernels.kernel_table import compile_named
compile_named(job["dtype"], job["names"], job["folder"])
"""

Job = tuple[Any, tuple[Any, ...]]
"""A kernel, and Numba's types of its arguments."""


@defer_sigint()
@global_compiler_lock  # of LLVM's own calls too, so that a fork finds none of its locks held; see jit.py
def machine_code(kernel: Any, exact: tuple[Any, ...]) -> int:
    """Return the address of a kernel's machine code for these types, compiling it or loading it if need be."""
    kernel.compile(exact)
    compiled = kernel.overloads[exact]
    if compiled.signature.return_type != types.none:
        raise TypeError(f"{kernel.py_func.__name__} must return nothing")
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


def compile_all(jobs: Sequence[Job], dtype: str) -> None:
    """Compile kernels, or load them, in their order; wait for those that other processes compile meanwhile.

    Parameters
    ----------
    jobs : sequence of Job
    dtype : str
        Of the network that they are for.
    """
    missing = [job for job in jobs if not is_kept(job)] if COMPILED else []
    if not missing or folder_in_use() is None:
        return  # `machine_code` loads what is kept when it is wanted
    helper = second_process(missing, dtype) if can_start_processes() and len(missing) >= WORTH_A_PROCESS else None
    with helper or nullcontext():
        for job in compile_unclaimed(missing):
            wait_for(job)


def compile_unclaimed(jobs: Sequence[Job]) -> list[Job]:
    """Compile the kernels that no other process is compiling; return the others."""
    others = []
    for job in jobs:
        with claim(job) as claimed:
            if not claimed:
                others.append(job)
            elif not is_kept(job):
                machine_code(*job)
    return others


def wait_for(job: Job) -> None:
    """Wait until no other process compiles this kernel, or patience ends."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with claim(job) as claimed:
            if claimed:
                return
        time.sleep(POLL)


def is_kept(job: Job) -> bool:
    """Return whether a kernel is compiled, or kept on disk."""
    kernel, exact = job
    if exact in kernel.overloads:
        return True
    path = kernel_path(job)
    return path is not None and path.exists()


def kernel_path(job: Job) -> Path | None:
    """Return where a kernel is kept; None where none is."""
    kernel, exact = job
    path: Path | None = kernel._cache.path(exact)
    return path


@contextmanager
def claim(job: Job) -> Iterator[bool]:
    """Hold the lock of a kernel's file, unless another process does; yield whether no other one does.

    Where the file system has no locks, nobody is seen to compile: the kernel is compiled twice, which does no harm.
    """
    try:
        handle = os.open(f"{kernel_path(job)}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield True
        return
    locked = _lock(handle)
    try:
        yield locked
    finally:
        if locked:
            _unlock(handle)
        os.close(handle)


def _lock(handle: int) -> bool:
    """Lock an open file for this process; return whether no other process has it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def _unlock(handle: int) -> None:
    """Release the lock, which closing alone would not while a forked child has a copy of the handle."""
    with suppress(OSError):
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_UN)


def can_start_processes() -> bool:
    """Return whether there is a second processor, and a Python that runs programs."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    name = os.path.basename(sys.executable or "").lower()
    return processors > 1 and name.startswith("python") and not getattr(sys, "frozen", False)


@contextmanager
def _running(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process with the block."""
    try:
        yield
    finally:
        process.kill()
        process.wait()


def second_process(jobs: Sequence[Job], dtype: str) -> AbstractContextManager[None] | None:
    """Start a process that compiles those kernels that it finds unclaimed; None where it cannot be started."""
    names = [kernel.py_func.__name__ for kernel, _ in jobs]
    job = {"path": sys.path, "dtype": dtype, "names": names, "folder": str(folder_in_use())}
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-c", PROGRAM],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, creationflags=flags,
        )  # fmt: skip
        with process.stdin:  # type: ignore[union-attr]
            process.stdin.write(json.dumps(job).encode())  # type: ignore[union-attr]
    except OSError:
        return None
    return _running(process)
