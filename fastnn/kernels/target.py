"""The processor that the kernels are generated for: vector width, registers, fused multiply-add.

Numba's own settings `NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` count, so that another processor's code can be
generated and tested here.
"""

from __future__ import annotations

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
        """Numbers of `itemsize` bytes that one vector register holds."""
        return self.vector_bytes // itemsize


def detect(machine: str, features: dict[str, bool]) -> Target:
    """The widest vectors that `features` (as LLVM names them) allow on a `machine` (as `platform` names it)."""
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
    """The features that Numba generates code for in this process."""
    if config.CPU_FEATURES is not None:
        return features_of(config.CPU_FEATURES)
    if config.CPU_NAME not in (None, "host"):
        return {}
    return dict(llvm.get_host_cpu_features())


TARGET = detect(platform.machine(), host_features())
