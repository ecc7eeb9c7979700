"""Losses on the output layer: each row's loss l, and its slope by z, the delta of the last layer.

Cross-entropies and the perceptron's loss are computed from z itself, so that nothing overflows or cancels.
Every loss sums over the outputs of a row.
"""

from __future__ import annotations

from .activations import SOFTMAX, activate
from .elementary import exp, log, log1p, logistic
from .intrinsics import call_at
from .jit import entry, kernel
from .layout import ACTIVATE

SQUARED_ERROR, CROSS_ENTROPY, BINARY_CROSS_ENTROPY, PERCEPTRON = range(4)

CODES = {
    "squared_error": SQUARED_ERROR,
    "cross_entropy": CROSS_ENTROPY,
    "binary_cross_entropy": BINARY_CROSS_ENTROPY,
    "perceptron": PERCEPTRON,
}


@kernel
def exponentials(a):
    """a: (n,) z before, exp(z) after."""
    for i in range(len(a)):
        a[i] = exp(a[i])


@kernel
def softmax(a, log_sum, n_rows, n_out, ld):
    """a: (n_rows, ld) z before, softmax after; log_sum: (n_rows,) log of the sum of exp(z).

    softmax_j = exp(z_j - max) / sum_k exp(z_k - max).
    """
    for r in range(n_rows):
        row = a[r * ld : (r + 1) * ld]
        largest = row[0]
        for j in range(1, n_out):
            largest = row[j] if row[j] > largest else largest
        for j in range(n_out):
            row[j] -= largest
        for j in range(n_out, ld):
            row[j] = 0
        log_sum[r] = largest
    exponentials(a[: n_rows * ld])
    for r in range(n_rows):
        row = a[r * ld : (r + 1) * ld]
        total = row[0]
        for j in range(1, n_out):
            total += row[j]
        inverse = a.dtype.type(1) / total
        for j in range(n_out):
            row[j] *= inverse
        log_sum[r] += log(total)


@kernel
def finish_outputs(a, slope, log_sum, activation, n_rows, n_out, ld, code):
    """a: (n_rows, ld) z before, output activations after; slope: (n_rows, ld), log_sum: (n_rows,) overwritten."""
    if activation == SOFTMAX:
        softmax(a, log_sum, n_rows, n_out, ld)
    else:
        call_at(code[ACTIVATE], activate, a[: n_rows * ld], slope[: n_rows * ld], activation)


@entry
def output_deltas(a, delta, row_loss, targets, row_factor, loss, activation, n_rows, n_out, ld, code):
    """a: (n_rows, ld) z before, activations after; delta: (n_rows, ld) dl/dz * factor; row_loss: (n_rows,) l.

    targets: (n_rows, ld) y; row_factor: (n_rows,) the row's weight over the batch's sum of weights.

    squared error          l = sum (a - y)^2                        dl/dz = 2 (a - y) f'(z)
    cross-entropy          l = sum y (log sum exp z - z)            dl/dz = a sum y - y
    binary cross-entropy   l = sum max(z, 0) - y z + log(1 + exp(-|z|))   dl/dz = a - y
    perceptron             l = sum max(0, -(2y - 1) z)              rule: a - y
    """
    zero = a.dtype.type(0)
    one = a.dtype.type(1)
    if loss == SQUARED_ERROR:
        finish_outputs(a, delta, row_loss, activation, n_rows, n_out, ld, code)
    elif loss == CROSS_ENTROPY:
        for i in range(n_rows * ld):
            delta[i] = a[i]
        softmax(a, row_loss, n_rows, n_out, ld)
    for r in range(n_rows):
        y = targets[r * ld : (r + 1) * ld]
        out = a[r * ld : (r + 1) * ld]
        d = delta[r * ld : (r + 1) * ld]
        factor = row_factor[r]
        total = zero
        if loss == SQUARED_ERROR:
            for j in range(n_out):
                error = out[j] - y[j]
                total += error * error
                d[j] *= (error + error) * factor
        elif loss == CROSS_ENTROPY:
            mass = zero
            for j in range(n_out):
                total += y[j] * (row_loss[r] - d[j]) if y[j] != zero else zero
                mass += y[j]
            for j in range(n_out):
                d[j] = (out[j] * mass - y[j]) * factor
        elif loss == BINARY_CROSS_ENTROPY:
            for j in range(n_out):
                z = out[j]
                total += (z if z > zero else zero) - y[j] * z + log1p(exp(-abs(z)))
                out[j] = logistic(z)[0]
                d[j] = (out[j] - y[j]) * factor
        else:
            for j in range(n_out):
                z = out[j]
                wrong_side = -(y[j] + y[j] - one) * z
                total += wrong_side if wrong_side > zero else zero
                out[j] = one if z >= zero else zero
                d[j] = (out[j] - y[j]) * factor
        for j in range(n_out, ld):
            d[j] = zero
        row_loss[r] = total


@kernel
def hits(row_hit, a, targets, n_rows, n_out, ld):
    """row_hit: (n_rows,) 1 where the brightest output is the target's, for one output: on its side of 1/2.

    a, targets: (n_rows, ld).
    """
    half = a.dtype.type(0.5)
    for r in range(n_rows):
        best = 0
        wanted = 0
        first = r * ld
        if n_out == 1:
            best = 1 if a[first] >= half else 0
            wanted = 1 if targets[first] >= half else 0
        else:
            for j in range(1, n_out):
                best = j if a[first + j] > a[first + best] else best
                wanted = j if targets[first + j] > targets[first + wanted] else wanted
        row_hit[r] = 1 if best == wanted else 0
