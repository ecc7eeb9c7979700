"""fastnn's own store of compiled kernels: private to the user, keyed by everything that shapes the code.

Numba's key leaves out the sources of callees and the code-generation settings, and a damaged file is an error
there. Here a file is used only where its checksum holds; all else compiles anew.
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
from numba.core.serialize import dumps

CODE_SETTINGS = (
    "OPT",
    "LOOP_VECTORIZE",
    "SLP_VECTORIZE",
    "BOUNDSCHECK",
    "ENABLE_AVX",
    "CPU_NAME",
    "CPU_FEATURES",
    "DISABLE_INTEL_SVML",
    "DEBUGINFO_DEFAULT",
    "LLVM_REFPRUNE_PASS",
)


def default_folder() -> Path:
    """Where kernels are kept: `FASTNN_CACHE_DIR`, or the platform's cache folder of this user."""
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
def code_key() -> str:
    """Digest of the sources of all that is compiled, the compiler's versions and settings, and the processor."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    from numba.core.registry import cpu_target

    settings = [(name, getattr(config, name, None)) for name in CODE_SETTINGS]
    compiler_and_processor = cpu_target.target_context.codegen().magic_tuple()
    versions = (numba.__version__, llvmlite.__version__, sys.version, platform.machine())
    digest.update(repr((versions, settings, compiler_and_processor)).encode())
    return digest.hexdigest()[:32]


def prepare(folder: Path) -> None:
    """Make `folder` for this user alone; OSError where it is another's or cannot be written."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid"):
        found = folder.stat()
        if found.st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            folder.chmod(0o700)
    tempfile.TemporaryFile(dir=folder).close()


@lru_cache(maxsize=1)
def folder_in_use() -> Path | None:
    """The folder for this process's kernels; None, with one warning, where there is none to be had."""
    try:
        folder = default_folder() / code_key()
        prepare(folder)
    except (OSError, RuntimeError) as error:
        warnings.warn(
            f"fastnn cannot keep its compiled kernels ({error}); they are compiled again in every process. "
            "Set FASTNN_CACHE_DIR to a folder that only you can write.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return folder


class KernelCache:
    """What a Numba dispatcher asks for compiled code, one file for each function and signature."""

    def __init__(self, function: Any) -> None:
        self.name = f"{function.__module__}.{function.__qualname__}"
        self.cache_path = None
        self.hits = 0

    def path(self, signature: Any) -> Path | None:
        """The file for one signature."""
        folder = folder_in_use()
        if folder is None:
            return None
        return folder / f"{self.name}-{hashlib.sha256(repr(signature).encode()).hexdigest()[:24]}.kernel"

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled function, or None where there is none that is sound."""
        path = self.path(signature)
        if path is None:
            return None
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return None
        target_context.refresh()
        self.hits += 1
        return compiler.CompileResult._rebuild(target_context, *pickle.loads(content[32:]))

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep the compiled function; a folder that fails costs only the next process's time."""
        path = self.path(signature)
        if path is None:
            return
        content = dumps(compiled._reduce())
        try:
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix="writing-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(content).digest() + content)
                Path(temporary).replace(path)
            except OSError:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            warnings.warn(f"fastnn could not keep a compiled kernel: {error}", RuntimeWarning, stacklevel=2)

    def enable(self) -> None:
        """Part of the interface that Numba expects."""

    def disable(self) -> None:
        """Part of the interface that Numba expects."""

    def flush(self) -> None:
        """Part of the interface that Numba expects."""
