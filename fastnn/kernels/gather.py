"""The rows of a block, fetched from the caller's data and converted to the network's numbers."""

from __future__ import annotations

import numpy as np

from .intrinsics import half_to_single, prefetch
from .jit import kernel, piece
from .layout import CACHE_LINE

FLOAT32, FLOAT64, UINT8, FLOAT16, CSR = range(5)
KINDS = {"float32": FLOAT32, "float64": FLOAT64, "uint8": UINT8, "float16": FLOAT16}


@kernel
def example_at(order, place):
    """The example that stands at a place of the order; an empty order is 0, 1, 2, ..."""
    return order[place] if len(order) else place


@kernel
def prefetch_example(inputs, stride, n_in, itemsize, order, place):
    """Ask for the bytes of the example at a place of the order, where there is one."""
    if place < len(order):
        start = order[place] * stride * itemsize
        for byte in range(start, start + n_in * itemsize, CACHE_LINE):
            prefetch(inputs, byte)


@kernel
def copy_rows(out, source, inputs, stride, scale, order, first, n_rows, ahead, n_in, ld):
    """out: (n_rows, ld) = scale * rows of `source`, `stride` apart, of the examples at places first..first + n_rows.

    Meanwhile the examples `ahead` places later are fetched: shuffled rows are where no processor expects them.
    """
    for r in range(n_rows):
        prefetch_example(inputs, stride, n_in, source.itemsize, order, first + r + ahead)
        start = example_at(order, first + r) * stride
        into = out[r * ld : r * ld + n_in]
        row = source[start : start + n_in]
        for k in range(n_in):
            into[k] = out.dtype.type(row[k]) * scale


@kernel
def copy_halves(out, source, stride, scale, order, first, n_rows, n_in, ld):
    """As copy_rows, from float16 given as their bits."""
    for r in range(n_rows):
        start = example_at(order, first + r) * stride
        for k in range(n_in):
            out[r * ld + k] = half_to_single(source[start + k]) * scale


@piece
def gather_rows(out, inputs, kind, stride, scale, order, first, n_rows, ahead, n_in, ld):
    """out: (n_rows, ld) inputs * scale, of the examples at places first..first + n_rows of the order.

    `ahead`: places from an example to the one that this thread will want a step later.
    """
    factor = out.dtype.type(scale)
    if kind == FLOAT32:
        copy_rows(out, inputs.view(np.float32), inputs, stride, factor, order, first, n_rows, ahead, n_in, ld)
    elif kind == FLOAT64:
        copy_rows(out, inputs.view(np.float64), inputs, stride, factor, order, first, n_rows, ahead, n_in, ld)
    elif kind == UINT8:
        copy_rows(out, inputs, inputs, stride, factor, order, first, n_rows, ahead, n_in, ld)
    else:
        copy_halves(out, inputs.view(np.uint16), stride, factor, order, first, n_rows, n_in, ld)


@kernel
def gather_targets(out, examples, order, first, n_rows, n_out, ld):
    """out: (n_rows, ld) targets; a label stands for a one-hot row."""
    one = out.dtype.type(1)
    out[: n_rows * ld] = 0
    for r in range(n_rows):
        i = example_at(order, first + r)
        if len(examples.labels):
            out[r * ld + examples.labels[i]] = one
        else:
            row, y = out[r * ld : r * ld + n_out], examples.targets[i * n_out : (i + 1) * n_out]
            for j in range(n_out):
                row[j] = y[j]


@kernel
def sum_of_weights(examples, order, first, n_rows):
    """Sum of the weights of the examples order[first..first + n_rows); without weights each counts 1."""
    if len(examples.weights) == 0:
        return float(n_rows)
    total = 0.0
    for r in range(n_rows):
        total += float(examples.weights[example_at(order, first + r)])
    return total


@kernel
def gather_factors(out, examples, order, first, n_rows, total):
    """out: (n_rows,) each example's weight over `total`, the batch's sum; a small sum's inverse may be infinite."""
    even = out.dtype.type(1.0 / total)
    for r in range(n_rows):
        weighted = len(examples.weights) > 0
        out[r] = float(examples.weights[example_at(order, first + r)]) / total if weighted else even
