"""What the kernels are generated for: the processor's vector width, registers and fused multiply-add; or debugging.

Numba's own settings `NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` count, so that another processor's code can be
generated and tested here.
"""

from __future__ import annotations

import os
import platform
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


def detect_bfloat16(target: Target, features: dict[str, bool]) -> str:
    """Return how products of bfloat16 pairs are computed on a target: "avx512_bf16" by `vdpbf16ps`, or "emulated"."""
    return "avx512_bf16" if target.name == "avx512" and features.get("avx512bf16") else "emulated"


TARGET = detect(platform.machine(), host_features())

BFLOAT16_PATH = detect_bfloat16(TARGET, host_features())

DEBUG_KERNELS = os.environ.get("FASTNN_DEBUG_KERNELS", "0") not in ("", "0")
"""Whether calls through the kernel table are checked, see registry.py."""
