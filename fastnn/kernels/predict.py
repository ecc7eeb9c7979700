"""Outputs for rows of input, without targets: the forward pass alone."""

from __future__ import annotations

import numpy as np
from numba import prange

from .argument_types import FloatMatrix, Floats, Int64Matrix, Int64s, KernelTable, ReadOnlyBytes
from .barrier import join_team
from .forward import forward
from .gather import gather_rows
from .intrinsics import flush_subnormals, restore_mode
from .jit import entry, kernel, parallel_entry
from .layout import ACTIVATION, DELTAS, GRADIENT_INPUTS, LD, LD_IN, N_GATHERED, N_OUT, OUTPUTS
from .losses import activate_outputs
from .registry import Slot, call, declare_entry, linked_entry, linked_kernel
from .sparse import sparse_forward


@linked_kernel(Slot.FORWARD_ROWS, (Floats, Floats, Int64Matrix, int, int, int, KernelTable))
def forward_rows(buffer, parameters, table, lowest, first, last, kernel_table):
    """Compute buffer[OUTPUTS]: rows first..last of the activations of layers `lowest` and above, outputs included."""
    forward(buffer, parameters, table, lowest, first, last, kernel_table)
    top = table[len(table) - 1]
    ld = top[LD]
    a = buffer[top[OUTPUTS] + first * ld : top[OUTPUTS] + last * ld]
    derivative = buffer[top[DELTAS] + first * ld : top[DELTAS] + last * ld]
    activate_outputs(a, derivative, top[ACTIVATION], last - first, top[N_OUT], ld, kernel_table)


@linked_entry(
    Slot.PREDICT_ROWS,
    (Floats, ReadOnlyBytes, int, int, float, Int64Matrix, Floats, Floats, Int64s, int, int, int, int, KernelTable),
)
def predict_rows(
    out, inputs, kind, stride, scale, table, parameters, buffer, no_order, first, last, first_block_row, block,
    kernel_table,
):  # fmt: skip
    """Compute out: (n * n_out,) outputs of rows first..last, `block` of them at a time.

    They are computed in rows first_block_row..first_block_row + block of the buffer; no_order: an empty order.
    """
    mode = flush_subnormals()
    bottom, top = table[0], table[len(table) - 1]
    n_out, ld, ld_in = top[N_OUT], top[LD], bottom[LD_IN]
    row = first_block_row
    for start in range(first, last, block):
        n_rows = min(block, last - start)
        rows = buffer[bottom[GRADIENT_INPUTS] + row * ld_in : bottom[GRADIENT_INPUTS] + (row + n_rows) * ld_in]
        call(
            kernel_table, gather_rows,
            rows, inputs, kind, stride, scale, no_order, start, n_rows, 0, bottom[N_GATHERED], ld_in,
        )  # fmt: skip
        call(kernel_table, forward_rows, buffer, parameters, table, 0, row, row + n_rows, kernel_table)
        a = buffer[top[OUTPUTS] + row * ld : top[OUTPUTS] + (row + n_rows) * ld]
        for r in range(n_rows):
            for j in range(n_out):
                out[(start + r) * n_out + j] = a[r * ld + j]
    restore_mode(mode)


@entry
def predict_few(out, X, table, parameters, buffer, scale, kernel_table):
    """Compute out: (n, n_out) outputs of X: (n, n_in), at most a block; return the first row not finite, or -1."""
    bottom, top = table[0], table[len(table) - 1]
    n_rows, n_in, n_out, ld, ld_in = len(X), bottom[N_GATHERED], top[N_OUT], top[LD], bottom[LD_IN]
    factor = buffer.dtype.type(scale)
    for r in range(n_rows):
        dst = buffer[bottom[GRADIENT_INPUTS] + r * ld_in : bottom[GRADIENT_INPUTS] + r * ld_in + n_in]
        row = X[r]
        n_finite = 0
        for k in range(n_in):
            dst[k] = row[k] * factor
            n_finite += 1 if abs(dst[k]) < np.inf else 0
        if n_finite < n_in:
            return r
    mode = flush_subnormals()
    call(kernel_table, forward_rows, buffer, parameters, table, 0, 0, n_rows, kernel_table)
    restore_mode(mode)
    a = buffer[top[OUTPUTS] : top[OUTPUTS] + n_rows * ld]
    for r in range(n_rows):
        for j in range(n_out):
            out[r, j] = a[r * ld + j]
    return -1


declare_entry(predict_few, (FloatMatrix, FloatMatrix, Int64Matrix, Floats, Floats, float, KernelTable))


@entry
def predict_sparse(out, examples, table, parameters, buffer, no_order, block, kernel_table):
    """Compute out: (n * n_out,) outputs of sparse rows, `block` of them at a time; no_order: an empty order."""
    mode = flush_subnormals()
    top = table[len(table) - 1]
    n_out, ld = top[N_OUT], top[LD]
    for start in range(0, examples.n_rows, block):
        n_rows = min(block, examples.n_rows - start)
        call(
            kernel_table, sparse_forward,
            buffer, parameters, table, examples, no_order, start, 0, n_rows, kernel_table,
        )  # fmt: skip
        call(kernel_table, forward_rows, buffer, parameters, table, 1, 0, n_rows, kernel_table)
        a = buffer[top[OUTPUTS] : top[OUTPUTS] + n_rows * ld]
        for r in range(n_rows):
            for j in range(n_out):
                out[(start + r) * n_out + j] = a[r * ld + j]
    restore_mode(mode)


@kernel
def join_and_predict(
    out, inputs, kind, stride, scale, n_rows, table, parameters, buffer, no_order, block, kernel_table,
    barrier, n_threads,
):  # fmt: skip
    """Compute out: (n_rows * n_out,) this thread's range of rows, in a part of the buffer's block."""
    thread, team_size = join_team(barrier, n_threads, 1)
    if team_size > 0:
        size = block // team_size
        first, last = n_rows * thread // team_size, n_rows * (thread + 1) // team_size
        call(
            kernel_table, predict_rows,
            out, inputs, kind, stride, scale, table, parameters, buffer, no_order,
            first, last, thread * size, size, kernel_table,
        )  # fmt: skip


@entry
def predict_member(
    out, inputs, kind, stride, scale, n_rows, table, parameters, buffer, no_order, block, kernel_table,
    barrier, n_threads,
):  # fmt: skip
    """Compute out as one of `n_threads` threads of Python, each of which makes this call."""
    join_and_predict(
        out, inputs, kind, stride, scale, n_rows, table, parameters, buffer, no_order, block, kernel_table,
        barrier, n_threads,
    )  # fmt: skip


@parallel_entry
def predict(
    out, inputs, kind, stride, scale, n_rows, table, parameters, buffer, no_order, block, kernel_table,
    barrier, n_threads,
):  # fmt: skip
    """Compute out: (n_rows * n_out,) outputs; each thread takes a range of rows and a part of the buffer's block."""
    for _ in prange(n_threads):
        join_and_predict(
            out, inputs, kind, stride, scale, n_rows, table, parameters, buffer, no_order, block, kernel_table,
            barrier, n_threads,
        )  # fmt: skip
