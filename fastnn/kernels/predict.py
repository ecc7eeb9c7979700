"""Outputs for rows of input, without targets: the forward pass alone."""

from __future__ import annotations

import numpy as np
from numba import prange

from .barrier import join_team
from .forward import forward
from .gather import gather_rows
from .intrinsics import call_at
from .jit import entry, parallel_entry, piece
from .layout import (
    ACTIVATION,
    DELTAS,
    FORWARD,
    GATHER,
    INPUTS,
    LD,
    LD_IN,
    N_IN,
    N_OUT,
    OUTPUTS,
    PREDICT,
    SPARSE_FORWARD,
)
from .losses import finish_outputs
from .sparse import sparse_forward


@piece
def forward_rows(numbers, parameters, table, lowest, first, last, code):
    """numbers: activations of layer `lowest` and all above, the outputs included, for rows first..last."""
    forward(numbers, parameters, table, lowest, first, last, code)
    top = table[len(table) - 1]
    ld = top[LD]
    a = numbers[top[OUTPUTS] + first * ld : top[OUTPUTS] + last * ld]
    slope = numbers[top[DELTAS] + first * ld : top[DELTAS] + last * ld]
    finish_outputs(a, slope, top[ACTIVATION], last - first, top[N_OUT], ld, code)


@entry
def predict_rows(
    out,
    inputs,
    kind,
    stride,
    scale,
    table,
    parameters,
    numbers,
    no_order,
    begin,
    end,
    at,
    size,
    code,
):
    """out: (n * n_out,) outputs of rows begin..end; the workspace's rows at..at + size serve as room."""
    bottom, top = table[0], table[len(table) - 1]
    n_out, ld, ld_in = top[N_OUT], top[LD], bottom[LD_IN]
    for start in range(begin, end, size):
        n_rows = min(size, end - start)
        rows = numbers[bottom[INPUTS] + at * ld_in : bottom[INPUTS] + (at + n_rows) * ld_in]
        call_at(
            code[GATHER], gather_rows,
            rows, inputs, kind, stride, scale, no_order, start, n_rows, 0, bottom[N_IN], ld_in,
        )  # fmt: skip
        call_at(code[FORWARD], forward_rows, numbers, parameters, table, 0, at, at + n_rows, code)
        a = numbers[top[OUTPUTS] + at * ld : top[OUTPUTS] + (at + n_rows) * ld]
        for r in range(n_rows):
            for j in range(n_out):
                out[(start + r) * n_out + j] = a[r * ld + j]


@entry
def predict_few(out, X, table, parameters, numbers, scale, code):
    """out: (n, n_out) outputs of X: (n, n_in), n rows that the workspace holds; the first row not finite, or -1."""
    bottom, top = table[0], table[len(table) - 1]
    n_rows, n_in, n_out, ld, ld_in = len(X), bottom[N_IN], top[N_OUT], top[LD], bottom[LD_IN]
    factor = numbers.dtype.type(scale)
    for r in range(n_rows):
        into = numbers[bottom[INPUTS] + r * ld_in : bottom[INPUTS] + r * ld_in + n_in]
        row = X[r]
        sound = 0
        for k in range(n_in):
            into[k] = row[k] * factor
            sound += 1 if abs(into[k]) < np.inf else 0
        if sound < n_in:
            return r
    call_at(code[FORWARD], forward_rows, numbers, parameters, table, 0, 0, n_rows, code)
    a = numbers[top[OUTPUTS] : top[OUTPUTS] + n_rows * ld]
    for r in range(n_rows):
        for j in range(n_out):
            out[r, j] = a[r * ld + j]
    return -1


@entry
def predict_sparse(out, examples, table, parameters, numbers, no_order, block, code):
    """out: (n * n_out,) outputs of sparse rows; the workspace holds `block` of them."""
    top = table[len(table) - 1]
    n_out, ld = top[N_OUT], top[LD]
    for start in range(0, examples.n_rows, block):
        n_rows = min(block, examples.n_rows - start)
        call_at(
            code[SPARSE_FORWARD], sparse_forward,
            numbers, parameters, table, examples, no_order, start, 0, n_rows, code,
        )  # fmt: skip
        call_at(code[FORWARD], forward_rows, numbers, parameters, table, 1, 0, n_rows, code)
        a = numbers[top[OUTPUTS] : top[OUTPUTS] + n_rows * ld]
        for r in range(n_rows):
            for j in range(n_out):
                out[(start + r) * n_out + j] = a[r * ld + j]


@parallel_entry
def predict(
    out, inputs, kind, stride, scale, n_rows, table, parameters, numbers, no_order, block, code,
    sync, n_threads,
):  # fmt: skip
    """out: (n_rows * n_out,) outputs. Each thread takes a run of rows and a part of the workspace."""
    for _ in prange(n_threads):
        rank, team = join_team(sync, n_threads)
        if team > 0:
            size = block // team
            begin, end = n_rows * rank // team, n_rows * (rank + 1) // team
            call_at(
                code[PREDICT], predict_rows,
                out, inputs, kind, stride, scale, table, parameters, numbers, no_order,
                begin, end, rank * size, size, code,
            )  # fmt: skip
