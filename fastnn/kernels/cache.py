"""The store of compiled kernels: private to the user, keyed by everything that shapes the code.

Numba's own cache leaves the sources of callees and the code-generation settings out of its key, and raises on a
damaged file. Here a file is used only if its checksum is right; otherwise the kernel is compiled again.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import stat
import sys
import tempfile
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import compiler, config
from numba.core.compiler_lock import global_compiler_lock
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

from .target import BFLOAT16_PATH, DEBUG_KERNELS

IRRELEVANT_SETTINGS = (
    "CUDA_", "FORCE_CUDA_", "DISABLE_CUDA", "ENABLE_CUDASIM", "NUMBA_", "THREADING_LAYER", "CACHE_", "COLOR_SCHEME",
    "FULL_TRACEBACKS", "SHOW_HELP", "DEVELOPER_MODE", "DISABLE_PERFORMANCE_WARNINGS", "GDB_BINARY", "_",
)  # fmt: skip
"""Prefixes of Numba's settings that leave the code as it is; every other setting counts, future ones included."""


def default_folder() -> Path:
    """Return where kernels are kept: `FASTNN_CACHE_DIR`, or this user's cache folder on the platform."""
    if chosen := os.environ.get("FASTNN_CACHE_DIR"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "fastnn" / "kernels"


@lru_cache(maxsize=1)
def sources() -> bytes:
    """Return a digest of the sources of all that is compiled, subfolders included."""
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for source in sorted(folder.rglob("*.py")):
        content = source.read_bytes()
        digest.update(f"{source.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.digest()


def settings() -> dict[str, Any]:
    """Return the settings that may shape the code, as they are now: a program may change Numba's at any time."""
    names = (name for name in dir(config) if name.isupper() and not name.startswith(IRRELEVANT_SETTINGS))
    return {name: getattr(config, name) for name in names} | {
        "FASTNN_DEBUG_KERNELS": DEBUG_KERNELS,
        "FASTNN_BFLOAT16": BFLOAT16_PATH,
    }


def code_key() -> str:
    """Return a digest of the sources, the compiler's versions and settings, and the processor."""
    from numba.core.registry import cpu_target

    compiler_and_processor = cpu_target.target_context.codegen().magic_tuple()
    versions = (numba.__version__, llvmlite.__version__, sys.version, platform.machine())
    return hashlib.sha256(repr((sources(), versions, settings(), compiler_and_processor)).encode()).hexdigest()[:32]


def prepare(folder: Path) -> None:
    """Create `folder` for this user alone; OSError if it belongs to another or cannot be written."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid"):
        status = folder.stat()
        if status.st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            folder.chmod(0o700)
    tempfile.TemporaryFile(dir=folder).close()


def folder_in_use() -> Path | None:
    """Return the folder for the kernels as they are compiled now; None, with one warning, if it cannot be used."""
    with global_compiler_lock:  # the key asks LLVM, whose lock a child forked meanwhile would find taken for ever
        key = code_key()
    return _prepared(key)


@lru_cache(maxsize=8)
def _prepared(key: str) -> Path | None:
    try:
        folder = default_folder() / key
        prepare(folder)
    except (OSError, RuntimeError) as error:
        warnings.warn(
            f"fastnn cannot keep its compiled kernels ({error}); they are compiled again in every process. "
            "Set FASTNN_CACHE_DIR to a folder that only you can write.",
            RuntimeWarning,
            stacklevel=3,
        )
        return None
    return folder


def checksum(path: Path, content: bytes) -> bytes:
    """Return the checksum of a file's content in its place: a file moved to another name or folder fails it."""
    return hashlib.sha256(f"{path.parent.name}/{path.name}\0".encode() + content).digest()


def read_private(path: Path) -> bytes:
    """Return a file's bytes; OSError if it does not exist or another user owns it: its content will be executed."""
    with path.open("rb") as file:
        if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
            raise PermissionError(f"{path} belongs to another user")
        return file.read()


class KernelCache:
    """A Numba dispatcher's cache: one file for each function and signature."""

    gave_up = False
    """Whether a kernel could not be written: after one warning no other is tried."""

    def __init__(self, function: Any) -> None:
        self.name = f"{function.__module__}.{function.__qualname__}"
        self.cache_path = None

    def path(self, signature: Any) -> Path | None:
        """Return the file for one signature."""
        folder = folder_in_use()
        if folder is None:
            return None
        return folder / f"{self.name}-{hashlib.sha256(repr(signature).encode()).hexdigest()[:24]}.kernel"

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return the compiled function, or None if no valid file holds it."""
        path = self.path(signature)
        if path is None:
            return None
        try:
            content = read_private(path)
        except OSError:
            return None
        if checksum(path, content[32:]) != content[:32]:
            return None
        # not `target_context.refresh()`, as Numba's own cache does: the typing of all of Numba's functions, for which
        # SciPy's linear algebra is imported, is of use to the compiler alone, which loads it itself
        rtsys.initialize(target_context)
        return compiler.CompileResult._rebuild(target_context, *pickle.loads(content[32:]))

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Save the compiled function; if the folder fails, only the next process's time is lost."""
        path = self.path(signature)
        if path is None or KernelCache.gave_up:
            return
        content = dumps(compiled._reduce())
        try:
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix="writing-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(checksum(path, content) + content)
                Path(temporary).replace(path)
            except OSError:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            KernelCache.gave_up = True
            warnings.warn(
                f"fastnn could not keep a compiled kernel ({error}); those that are not kept are compiled again in "
                "every process. Set FASTNN_CACHE_DIR to a folder with room.",
                RuntimeWarning,
                stacklevel=2,
            )

    def enable(self) -> None:
        """Part of the interface that Numba expects."""

    def disable(self) -> None:
        """Part of the interface that Numba expects."""

    def flush(self) -> None:
        """Part of the interface that Numba expects."""
