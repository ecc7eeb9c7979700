"""Gather the rows of a block from the caller's data, converted to the network's dtype."""

from __future__ import annotations

import numpy as np

from .argument_types import Floats, Int64s, ReadOnlyBytes
from .intrinsics import half_to_single, prefetch
from .jit import kernel
from .registry import Slot, linked_kernel
from .simd import CACHE_LINE

FLOAT32, FLOAT64, UINT8, FLOAT16, CSR = range(5)
KINDS = {"float32": FLOAT32, "float64": FLOAT64, "uint8": UINT8, "float16": FLOAT16}


@kernel
def example_at(order, position):
    """Return the example at a position of the order; an empty order is 0, 1, 2, ..."""
    return order[position] if len(order) else position


@kernel
def prefetch_example(inputs, stride, n_in, itemsize, order, position):
    """Prefetch the bytes of the example at a position of the order, if the order is that long."""
    if position < len(order):
        start = order[position] * stride * itemsize
        for byte in range(start, start + n_in * itemsize, CACHE_LINE):
            prefetch(inputs, byte)


@kernel
def copy_rows(out, source, inputs, stride, scale, order, first, n_rows, prefetch_distance, n_in, ld):
    """Compute out: (n_rows, ld) = scale * the rows of `source` at positions first..first + n_rows of the order.

    Row i starts at source[i * stride]. The examples `prefetch_distance` positions later are prefetched: no processor
    foresees the order of shuffled rows.
    """
    for r in range(n_rows):
        prefetch_example(inputs, stride, n_in, source.itemsize, order, first + r + prefetch_distance)
        start = example_at(order, first + r) * stride
        dst = out[r * ld : r * ld + n_in]
        row = source[start : start + n_in]
        for k in range(n_in):
            dst[k] = out.dtype.type(row[k]) * scale


@kernel
def copy_half_rows(out, source, stride, scale, order, first, n_rows, n_in, ld):
    """Compute out: (n_rows, ld), as copy_rows, from the bits of float16 numbers."""
    for r in range(n_rows):
        start = example_at(order, first + r) * stride
        for k in range(n_in):
            out[r * ld + k] = half_to_single(source[start + k]) * scale


@linked_kernel(Slot.GATHER_ROWS, (Floats, ReadOnlyBytes, int, int, float, Int64s, int, int, int, int, int))
def gather_rows(out, inputs, kind, stride, scale, order, first, n_rows, prefetch_distance, n_in, ld):
    """Gather out: (n_rows, ld) = inputs * scale, of the examples at positions first..first + n_rows of the order.

    prefetch_distance: positions from an example to the one that this thread will read a step later.
    """
    factor = out.dtype.type(scale)
    if kind == FLOAT32:
        source = inputs.view(np.float32)
        copy_rows(out, source, inputs, stride, factor, order, first, n_rows, prefetch_distance, n_in, ld)
    elif kind == FLOAT64:
        source = inputs.view(np.float64)
        copy_rows(out, source, inputs, stride, factor, order, first, n_rows, prefetch_distance, n_in, ld)
    elif kind == UINT8:
        copy_rows(out, inputs, inputs, stride, factor, order, first, n_rows, prefetch_distance, n_in, ld)
    else:
        copy_half_rows(out, inputs.view(np.uint16), stride, factor, order, first, n_rows, n_in, ld)


@kernel
def bytes_of(kind):
    """Return the bytes of a number of dense rows."""
    return 4 if kind == FLOAT32 else (8 if kind == FLOAT64 else (1 if kind == UINT8 else 2))


@kernel
def gather_targets(out, examples, order, first, n_rows, n_out, ld):
    """Gather out: (n_rows, ld) the targets of the examples at positions first..first + n_rows; labels one-hot."""
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
    """Return the sum of the weights of the examples order[first..first + n_rows]; without weights each counts 1."""
    if len(examples.weights) == 0:
        return float(n_rows)
    total = 0.0
    for r in range(n_rows):
        total += float(examples.weights[example_at(order, first + r)])
    return total


@kernel
def gather_factors(out, examples, order, first, n_rows, total):
    """Gather out: (n_rows,) = each example's weight / total, the batch's sum; a tiny sum's inverse may be infinite."""
    even = out.dtype.type(1.0 / total)
    for r in range(n_rows):
        weighted = len(examples.weights) > 0
        out[r] = float(examples.weights[example_at(order, first + r)]) / total if weighted else even
