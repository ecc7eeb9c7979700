"""The three products on one thread, at the shapes in which the time goes: pytest benchmarks --benchmark-only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numba import njit

from fastnn import Network, reference
from fastnn.kernels import backward, forward, layout, weight_gradient
from fastnn.kernels.kernel_table import build_kernel_table
from fastnn.kernels.tiling import gradient_column, product_column
from fastnn.parameters import make_workspace

SHAPES = [(10, 784, 16), (32, 64, 64), (128, 784, 128), (128, 512, 512), (256, 1024, 1024)]


@njit(nogil=True)
def run_forward(buffer, parameters, layer, rows, kernel_table):
    """Compute the weighted inputs of one layer."""
    forward.weighted_inputs(buffer, parameters, layer, 0, rows, 0, layer[layout.COLUMNS], kernel_table)


@njit(nogil=True)
def run_backward(buffer, scratch, parameters, layer, below, rows, kernel_table):
    """Compute the deltas of the layer below."""
    deltas, columns = below[layout.DELTAS], below[layout.COLUMNS]
    backward.delta_below(buffer, scratch, parameters, layer, deltas, -1, 0, rows, 0, columns, kernel_table)


@njit(nogil=True)
def run_weight_gradient(out, buffer, scratch, layer, rate, rows, kernel_table):
    """Compute the gradient by weights and take a step down it."""
    weight_gradient.subtract_weight_gradient(
        out, buffer, scratch, layer, rate, 0, layer[layout.N_IN], 0, layer[layout.COLUMNS], rows, kernel_table
    )


class Products:
    """A layer in the middle of a network, its operands, and plain copies of them."""

    def __init__(self, rows: int, n_in: int, n_out: int) -> None:
        self.rows = rows
        net = Network([1, n_in, n_out], activation="identity", seed=0)
        self.parameters = net.engine.buffer
        self.kernel_table = build_kernel_table("float32", frozenset({product_column, gradient_column}))
        memory = net.engine.memory(rows)
        work = make_workspace(memory, "float32")
        self.buffer, self.scratch = work.buffer, work.scratch
        self.below, self.layer = memory.table
        generator = np.random.default_rng(0)
        self.a = self.part(layout.INPUTS, layout.LD_IN, n_in)
        self.delta = self.part(layout.DELTAS, layout.LD, n_out)
        self.z = self.part(layout.OUTPUTS, layout.LD, n_out)
        self.a[:] = generator.standard_normal(self.a.shape)
        self.delta[:] = generator.standard_normal(self.delta.shape)
        self.weights = net.weights[1]
        self.gigaflops = 2e-9 * rows * n_in * n_out

    def part(self, offset: int, stride: int, columns: int) -> np.ndarray:
        """Return a view (rows, columns) of one part of the workspace."""
        start, ld = int(self.layer[offset]), int(self.layer[stride])
        return self.buffer[start : start + self.rows * ld].reshape(self.rows, ld)[:, :columns]


@pytest.fixture(params=SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def products(request: pytest.FixtureRequest) -> Products:
    """One shape: batch, neurons below, neurons."""
    return Products(*request.param)


def measure(benchmark: Callable, products: Products, call: Callable[[], None]) -> None:
    """Time the call and note its GFLOP/s."""
    benchmark(call)
    if benchmark.stats:
        benchmark.extra_info["gflops"] = products.gigaflops / benchmark.stats.stats.median


def test_forward(benchmark, products):
    def call():
        run_forward(products.buffer, products.parameters, products.layer, products.rows, products.kernel_table)

    call()
    np.testing.assert_allclose(products.z, products.a @ products.weights.T, rtol=1e-3, atol=1e-3)
    measure(benchmark, products, call)


def test_weight_gradient(benchmark, products):
    out = np.zeros_like(products.parameters)
    minus_one, zero = np.float32(-1), np.float32(0)
    operands = (out, products.buffer, products.scratch, products.layer)
    run_weight_gradient(*operands, minus_one, products.rows, products.kernel_table)
    start, ld = int(products.layer[layout.WEIGHTS]), int(products.layer[layout.LD])
    n_out, n_in = products.weights.shape
    found = out[start : start + n_in * ld].reshape(n_in, ld)[:, :n_out].T
    wanted = reference.weight_gradient(products.a, products.delta)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
    measure(
        benchmark,
        products,
        lambda: run_weight_gradient(*operands, zero, products.rows, products.kernel_table),
    )


def test_deltas_below(benchmark, products):
    below, ld = products.below, int(products.below[layout.LD])
    start, n_in = int(below[layout.DELTAS]), products.weights.shape[1]
    derivatives = products.buffer[start : start + products.rows * ld].reshape(products.rows, ld)

    def call():
        operands = (products.buffer, products.scratch, products.parameters, products.layer, below)
        run_backward(*operands, products.rows, products.kernel_table)

    derivatives[:] = 1
    call()
    np.testing.assert_allclose(derivatives[:, :n_in], products.delta @ products.weights, rtol=1e-3, atol=1e-3)
    derivatives[:] = 0
    measure(benchmark, products, call)
