"""Losses on the output layer: each row's loss l, and its slope by z, the delta of the last layer.

Cross-entropies and the perceptron's loss are computed from z itself, so that nothing overflows or cancels.
Every loss sums over the outputs of a row.
"""

from __future__ import annotations

from .activations import SOFTMAX
from .elementary import exp, log, log1p, logistic
from .intrinsics import call_at
from .jit import kernel, piece
from .user_functions import USER_FUNCTION_BASE, apply_activation, user_loss

SQUARED_ERROR, CROSS_ENTROPY, BINARY_CROSS_ENTROPY, PERCEPTRON = range(4)
ABSOLUTE_ERROR, HUBER, QUANTILE, POISSON, HALF_SQUARED_ERROR = range(4, 9)

CODES = {
    "squared_error": SQUARED_ERROR,
    "cross_entropy": CROSS_ENTROPY,
    "binary_cross_entropy": BINARY_CROSS_ENTROPY,
    "perceptron": PERCEPTRON,
    "absolute_error": ABSOLUTE_ERROR,
    "huber": HUBER,
    "quantile": QUANTILE,
    "poisson": POISSON,
    "half_squared_error": HALF_SQUARED_ERROR,
}


@kernel
def exponentials(a):
    """a: (n,) z before, exp(z) after."""
    for i in range(len(a)):
        a[i] = exp(a[i])


@kernel
def largest(row):
    """The largest number of a row."""
    most = row[0]
    for j in range(1, len(row)):
        most = row[j] if row[j] > most else most
    return most


@kernel
def softmax(a, n_rows, n_out, ld):
    """a: (n_rows, ld) z before, softmax after: exp(z_j - max) / sum_k exp(z_k - max)."""
    for r in range(n_rows):
        row = a[r * ld : r * ld + n_out]
        most = largest(row)
        for j in range(n_out):
            row[j] -= most
    exponentials(a[: n_rows * ld])
    for r in range(n_rows):
        row = a[r * ld : r * ld + n_out]
        total = a.dtype.type(0)
        for j in range(n_out):
            total += row[j]
        inverse = a.dtype.type(1) / total
        for j in range(n_out):
            row[j] *= inverse


@kernel
def finish_outputs(a, slope, activation, n_rows, n_out, ld, code):
    """a: (n_rows, ld) z before, output activations after; slope: (n_rows, ld) overwritten."""
    if activation == SOFTMAX:
        softmax(a, n_rows, n_out, ld)
    else:
        apply_activation(a[: n_rows * ld], slope[: n_rows * ld], activation, code)


@kernel
def cross_entropy(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld):
    """As output_deltas: l = log sum exp z * sum y - sum y z, dl/dz = a sum y - y.

    As softmax, with the loss taken along in the loops that pass over the rows anyway.
    """
    zero = a.dtype.type(0)
    for r in range(n_rows):
        z, y = a[r * ld : r * ld + n_out], targets[r * ld : r * ld + n_out]
        most = largest(z)
        chosen = zero
        for j in range(n_out):
            z[j] -= most
            chosen += y[j] * z[j]
        row_loss[r] = -chosen
    exponentials(a[: n_rows * ld])
    for r in range(n_rows):
        out, y = a[r * ld : r * ld + n_out], targets[r * ld : r * ld + n_out]
        d = delta[r * ld : r * ld + n_out]
        total = zero
        mass = zero
        for j in range(n_out):
            total += out[j]
            mass += y[j]
        inverse = a.dtype.type(1) / total
        for j in range(n_out):
            out[j] *= inverse
            d[j] = (out[j] * mass - y[j]) * row_factor[r]
        row_loss[r] += mass * log(total)


@kernel
def squared_error(a, delta, row_loss, targets, row_factor, times, n_rows, n_out, ld):
    """As output_deltas, from slopes f'(z) in delta: l = times/2 sum (a - y)^2, dl/dz = times (a - y) f'(z)."""
    share, twice = a.dtype.type(times) / a.dtype.type(2), a.dtype.type(times)
    for r in range(n_rows):
        out, y = a[r * ld : r * ld + n_out], targets[r * ld : r * ld + n_out]
        d = delta[r * ld : r * ld + n_out]
        total = a.dtype.type(0)
        factor = twice * row_factor[r]
        for j in range(n_out):
            error = out[j] - y[j]
            total += error * error
            d[j] *= error * factor
        row_loss[r] = share * total


@kernel
def binary_cross_entropy(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld):
    """As output_deltas: l = sum max(z, 0) - y z + log(1 + exp(-|z|)), dl/dz = a - y."""
    zero = a.dtype.type(0)
    for r in range(n_rows):
        out, y = a[r * ld : r * ld + n_out], targets[r * ld : r * ld + n_out]
        d = delta[r * ld : r * ld + n_out]
        total = zero
        for j in range(n_out):
            z = out[j]
            total += (z if z > zero else zero) - y[j] * z + log1p(exp(-abs(z)))
            out[j] = logistic(z)[0]
            d[j] = (out[j] - y[j]) * row_factor[r]
        row_loss[r] = total


@kernel
def perceptron(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld):
    """As output_deltas: l = sum max(0, -(2y - 1) z); in place of a slope the perceptron's rule, a - y."""
    zero = a.dtype.type(0)
    one = a.dtype.type(1)
    for r in range(n_rows):
        total = zero
        for i in range(r * ld, r * ld + n_out):
            z = a[i]
            wrong_side = -(targets[i] + targets[i] - one) * z
            total += wrong_side if wrong_side > zero else zero
            a[i] = one if z >= zero else zero
            delta[i] = (a[i] - targets[i]) * row_factor[r]
        row_loss[r] = total


@kernel
def robust_error(a, delta, row_loss, targets, row_factor, loss, setting, n_rows, n_out, ld):
    """As squared_error, for e = a - y: |e|; huber's e^2/2 within d, else d (|e| - d/2); max(-q e, (1 - q) e)."""
    number = a.dtype.type
    zero, half, one, limit = number(0), number(0.5), number(1), number(setting)
    above, below = (one - limit, -limit) if loss == QUANTILE else (one, -one)
    for r in range(n_rows):
        out, y = a[r * ld : r * ld + n_out], targets[r * ld : r * ld + n_out]
        d = delta[r * ld : r * ld + n_out]
        total = zero
        for j in range(n_out):
            error = out[j] - y[j]
            rise = above if error > zero else (below if error < zero else zero)
            value = rise * error
            if loss == HUBER:
                rise = error if abs(error) <= limit else limit * rise
                value = half * error * error if abs(error) <= limit else limit * (abs(error) - half * limit)
            total += value
            d[j] *= rise * row_factor[r]
        row_loss[r] = total


@kernel
def poisson(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld):
    """As output_deltas: l = sum e^z - y z, dl/dz = e^z - y, for outputs e^z."""
    for r in range(n_rows):
        out, y = a[r * ld : r * ld + n_out], targets[r * ld : r * ld + n_out]
        d = delta[r * ld : r * ld + n_out]
        total = a.dtype.type(0)
        for j in range(n_out):
            z = out[j]
            out[j] = exp(z)
            total += out[j] - y[j] * z
            d[j] = (out[j] - y[j]) * row_factor[r]
        row_loss[r] = total


@piece
def output_deltas(a, delta, row_loss, targets, row_factor, loss, setting, activation, n_rows, n_out, ld, code):
    """a: (n_rows, ld) z before, activations after; delta: (n_rows, ld) dl/dz * factor; row_loss: (n_rows,) l.

    targets: (n_rows, ld) y; row_factor: (n_rows,) the row's weight over the batch's sum of weights; setting: huber's
    limit, the quantile. The padding of delta is 0.
    """
    if loss in (SQUARED_ERROR, HALF_SQUARED_ERROR):
        times = 2 if loss == SQUARED_ERROR else 1
        finish_outputs(a, delta, activation, n_rows, n_out, ld, code)
        squared_error(a, delta, row_loss, targets, row_factor, times, n_rows, n_out, ld)
    elif loss == CROSS_ENTROPY:
        cross_entropy(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld)
    elif loss == BINARY_CROSS_ENTROPY:
        binary_cross_entropy(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld)
    elif loss == POISSON:
        poisson(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld)
    elif loss >= USER_FUNCTION_BASE:
        finish_outputs(a, delta, activation, n_rows, n_out, ld, code)
        call_at(code[loss - USER_FUNCTION_BASE], user_loss, a, delta, row_loss, targets, row_factor, n_rows, n_out, ld)
    elif loss >= ABSOLUTE_ERROR:
        finish_outputs(a, delta, activation, n_rows, n_out, ld, code)
        robust_error(a, delta, row_loss, targets, row_factor, loss, setting, n_rows, n_out, ld)
    else:
        perceptron(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld)
    for r in range(n_rows):
        for i in range(r * ld + n_out, (r + 1) * ld):
            delta[i] = 0


@kernel
def count_correct(row_correct, a, targets, n_rows, n_out, ld):
    """row_correct: (n_rows,) 1 where the brightest output is the target's, for one output: on its side of 1/2.

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
            brightest, most = a[first], targets[first]
            for j in range(1, n_out):  # without branches: their outcomes are what no processor foresees
                value, target = a[first + j], targets[first + j]
                best = j if value > brightest else best
                brightest = value if value > brightest else brightest
                wanted = j if target > most else wanted
                most = target if target > most else most
        row_correct[r] = 1 if best == wanted else 0
