"""What the kernels are generated for: the processor's vector width, registers and fused multiply-add; or debugging.

Numba's own settings `NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` count, so that another processor's code can be
generated and tested here.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from numba.core import config as numba_config

config: Any = numba_config


class Target(NamedTuple):
    """What the shapes of the register tiles depend on."""

    name: str
    vector_bytes: int
    registers: int
    fused: bool

    def lanes(self, itemsize: int) -> int:
        """Return how many numbers of `itemsize` bytes one vector register holds."""
        return self.vector_bytes // itemsize


def detect(machine: str, features: dict[str, bool]) -> Target:
    """Return the widest target that `features` (LLVM's names) allow on a `machine` (`platform.machine`'s name)."""
    if machine.lower() in ("aarch64", "arm64"):
        return Target("neon", 16, 32, True)
    if features.get("avx512f"):
        return Target("avx512", 64, 32, True)
    if features.get("avx"):
        return Target("avx2" if features.get("fma") else "avx", 32, 16, bool(features.get("fma")))
    return Target("baseline", 16, 16, bool(features.get("fma")))


def features_of(text: str) -> dict[str, bool]:
    """Parse LLVM's feature string, `+avx2,-fma`."""
    return {item[1:]: item[0] == "+" for item in text.split(",") if item}


def host_features() -> dict[str, bool]:
    """Return the features that Numba generates code for in this process."""
    if config.CPU_FEATURES is not None:
        return features_of(config.CPU_FEATURES)
    if config.CPU_NAME not in (None, "host"):
        return {}
    return dict(llvm.get_host_cpu_features())


BFLOAT16_PATHS = ("amx", "avx512_bf16", "emulated")
"""How products of bfloat16 pairs are computed: in AMX tiles, by `vdpbf16ps`, or in float32 arithmetic."""

ARCH_PRCTL, SUPPORTED, REQUEST, TILE_DATA = 158, 0x1021, 0x1023, 18
"""Linux on x86-64: the number of the system call, what to ask for, and the part of a thread's state."""


def arch_prctl(request: int, argument: Any) -> int:
    """Return what Linux's system call `arch_prctl` does: 0 where it succeeds."""
    try:
        return int(ctypes.CDLL(None).syscall(ARCH_PRCTL, request, argument))
    except (OSError, AttributeError, TypeError):  # no such library, or no such function in it
        return -1


def system_has_tiles() -> bool:
    """Return whether the operating system gives a process the tiles of AMX if it asks for them."""
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return False
    supported = ctypes.c_uint64(0)
    return arch_prctl(SUPPORTED, ctypes.byref(supported)) == 0 and bool(supported.value >> TILE_DATA & 1)


def request_tiles() -> None:
    """Ask the operating system for the tiles, for this process; RuntimeError if it refuses."""
    if arch_prctl(REQUEST, TILE_DATA) != 0:
        raise RuntimeError(
            "the operating system refuses the AMX tiles that it said this process may have, perhaps since a signal "
            "stack of the program is too small: set FASTNN_BFLOAT16=avx512_bf16 before fastnn is imported"
        )


def detect_bfloat16(target: Target, features: dict[str, bool], tiles: bool, limit: str | None = None) -> str:
    """Return how products of bfloat16 pairs are computed on a target, see BFLOAT16_PATHS.

    Parameters
    ----------
    target : Target
    features : dict of str to bool
        Of the processor, by LLVM's names.
    tiles : bool
        Whether the operating system gives tiles to a process.
    limit : str, optional
        The best path to take.
    """
    if limit and limit not in BFLOAT16_PATHS:
        raise ValueError(f"FASTNN_BFLOAT16 must be one of {', '.join(BFLOAT16_PATHS)}; got {limit!r}")
    wide = target.name == "avx512"
    has = {
        "amx": wide and tiles and bool(features.get("amx-tile")) and bool(features.get("amx-bf16")),
        "avx512_bf16": wide and bool(features.get("avx512bf16")),
        "emulated": True,
    }
    allowed = BFLOAT16_PATHS[BFLOAT16_PATHS.index(limit) if limit else 0 :]
    return next(path for path in allowed if has[path])


TARGET = detect(platform.machine(), host_features())

BFLOAT16_PATH = detect_bfloat16(TARGET, host_features(), system_has_tiles(), os.environ.get("FASTNN_BFLOAT16"))

DEBUG_KERNELS = os.environ.get("FASTNN_DEBUG_KERNELS", "0") not in ("", "0")
"""Whether calls through the kernel table are checked, see registry.py."""
