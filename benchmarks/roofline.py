"""Measure the limits of this machine, multiply-adds and memory reads per second: python -m benchmarks.roofline."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import numpy as np
from numba import njit

from fastnn.kernels.simd import TILE_ROWS, TILE_VECTORS, VECTOR_BYTES, forward_tile

INNER = 256


@njit(nogil=True)
def multiply_adds(c, a, b, rounds):
    """Compute one product tile repeatedly, on operands that stay in the first-level cache."""
    width = TILE_VECTORS * VECTOR_BYTES // c.itemsize
    for _ in range(rounds):
        forward_tile(TILE_ROWS, TILE_VECTORS, c, 0, width, c, 0, width, a, 0, INNER, b, 0, width, INNER)


@njit(nogil=True)
def read_all(numbers):
    """Sum integers: each is read once, and the additions may be reordered."""
    total = 0
    for number in numbers:
        total += number
    return total


def rate_of_all_cores(work: Callable[[int], None], amount: float, rounds: int = 5) -> float:
    """Run `work`, which does `amount`, on every core at once; return the total amount per second in the best round."""
    cores = os.cpu_count() or 1
    best = 0.0
    for _ in range(rounds):
        threads = [threading.Thread(target=work, args=(core,)) for core in range(cores)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        best = max(best, cores * amount / (time.perf_counter() - began))
    return best


def measure_limits(dtype: str = "float32") -> dict[str, float]:
    """Return GFLOP/s and GB/s of all cores together."""
    cores = os.cpu_count() or 1
    operands = [np.zeros(8192, dtype) for _ in range(3 * cores)]
    repeats = 100_000
    multiply_adds(*operands[:3], 1)
    width = TILE_VECTORS * VECTOR_BYTES // np.dtype(dtype).itemsize
    flops = 2.0 * repeats * TILE_ROWS * width * INNER
    gflops = rate_of_all_cores(lambda core: multiply_adds(*operands[3 * core : 3 * core + 3], repeats), flops)
    blocks = [np.ones(1 << 24, np.int64) for _ in range(cores)]
    read_all(blocks[0][:8])
    read_rate = rate_of_all_cores(lambda core: read_all(blocks[core]), blocks[0].nbytes)
    return {"gflops": gflops * 1e-9, "read_gbytes": read_rate * 1e-9}


if __name__ == "__main__":
    for name, value in measure_limits().items():
        print(f"{name}: {value:.1f}")
