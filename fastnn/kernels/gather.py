"""The rows of a block, fetched from the caller's data and converted to the network's numbers."""

from __future__ import annotations

import numpy as np

from .intrinsics import half_to_single
from .jit import entry, kernel

FLOAT32, FLOAT64, UINT8, FLOAT16 = range(4)
KINDS = {"float32": FLOAT32, "float64": FLOAT64, "uint8": UINT8, "float16": FLOAT16}


@kernel
def copy_row(out, row, scale):
    """out: (n_in,) = row * scale."""
    for k in range(len(row)):
        out[k] = out.dtype.type(row[k]) * scale


@kernel
def copy_halves(out, row, scale):
    """As copy_row, from float16 given as their bits."""
    for k in range(len(row)):
        out[k] = half_to_single(row[k]) * scale


@kernel
def gather_row(out, inputs, kind, start, n_in, scale):
    """out: (n_in,) = scale * the numbers of this kind from place `start` on."""
    if kind == FLOAT32:
        copy_row(out, inputs.view(np.float32)[start : start + n_in], scale)
    elif kind == FLOAT64:
        copy_row(out, inputs.view(np.float64)[start : start + n_in], scale)
    elif kind == UINT8:
        copy_row(out, inputs[start : start + n_in], scale)
    else:
        copy_halves(out, inputs.view(np.uint16)[start : start + n_in], scale)


@kernel
def gather_rows(out, inputs, kind, stride, scale, first, n_rows, n_in, ld):
    """out: (n_rows, ld) inputs * scale, of rows first..first + n_rows."""
    factor = out.dtype.type(scale)
    for r in range(n_rows):
        gather_row(out[r * ld : r * ld + n_in], inputs, kind, (first + r) * stride, n_in, factor)


@kernel
def gather_inputs(out, examples, order, first, n_rows, n_in, ld):
    """out: (n_rows, ld) inputs * scale, of the examples order[first..first + n_rows)."""
    scale = out.dtype.type(examples.scale)
    for r in range(n_rows):
        start = order[first + r] * examples.stride
        gather_row(out[r * ld : r * ld + n_in], examples.inputs, examples.kind, start, n_in, scale)


@kernel
def first_bad_row(values, stride, n_rows, n_in, limit):
    """The first row with a number that is NaN or larger than `limit` either way; -1 where all are sound."""
    for r in range(n_rows):
        row = values[r * stride : r * stride + n_in]
        sound = 0
        for k in range(n_in):
            sound += 1 if abs(row[k]) <= limit else 0
        if sound < n_in:
            return r
    return -1


@entry
def find_bad_row(inputs, kind, stride, n_rows, n_in, limit):
    """As first_bad_row, for rows of any kind of number."""
    if kind == FLOAT32:
        return first_bad_row(inputs.view(np.float32), stride, n_rows, n_in, np.float32(limit))
    if kind == FLOAT64:
        return first_bad_row(inputs.view(np.float64), stride, n_rows, n_in, limit)
    if kind == FLOAT16:
        halves = inputs.view(np.uint16)
        for r in range(n_rows):
            for k in range(r * stride, r * stride + n_in):
                if halves[k] & 0x7C00 == 0x7C00:
                    return r
    return -1


@kernel
def gather_targets(out, examples, order, first, n_rows, n_out, ld):
    """out: (n_rows, ld) targets; a label stands for a one-hot row."""
    zero = out.dtype.type(0)
    one = out.dtype.type(1)
    for r in range(n_rows):
        row = out[r * ld : (r + 1) * ld]
        i = order[first + r]
        if len(examples.labels):
            for j in range(ld):
                row[j] = zero
            row[examples.labels[i]] = one
        else:
            y = examples.targets[i * n_out : (i + 1) * n_out]
            for j in range(n_out):
                row[j] = y[j]
            for j in range(n_out, ld):
                row[j] = zero


@kernel
def sum_of_weights(examples, order, first, n_rows):
    """Sum of the weights of the examples order[first..first + n_rows); without weights each counts 1."""
    if len(examples.weights) == 0:
        return float(n_rows)
    total = 0.0
    for r in range(n_rows):
        total += examples.weights[order[first + r]]
    return total


@kernel
def gather_factors(out, examples, order, first, n_rows, inverse_sum):
    """out: (n_rows,) each example's weight over the batch's sum."""
    inverse = out.dtype.type(inverse_sum)
    for r in range(n_rows):
        out[r] = inverse * examples.weights[order[first + r]] if len(examples.weights) else inverse
