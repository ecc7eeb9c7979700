"""Losses on the output layer: each row's loss l, and the output layer's delta, dl/dz.

Cross-entropies and the perceptron's loss are computed from z itself, so that nothing overflows or cancels.
Every loss sums over the outputs of a row.
"""

from __future__ import annotations

from .activations import SOFTMAX
from .argument_types import Floats, KernelTable, ReadOnlyFloats
from .elementary import exp, log, log1p, logistic
from .jit import kernel
from .registry import Slot, call_user_function, linked_kernel
from .row_loops import clear_padding
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
def exp_in_place(a):
    """Compute a: (n,) exp(z) from z, in one loop over contiguous numbers that LLVM turns into vectors."""
    for i in range(len(a)):
        a[i] = exp(a[i])


@kernel
def row_max(row):
    """Return the largest number of a row."""
    largest = row[0]
    for j in range(1, len(row)):
        largest = row[j] if row[j] > largest else largest
    return largest


@kernel
def subtract_max(a, n_rows, n_out, ld):
    """Compute a: (n_rows, ld) = z_j - max z, from z."""
    for r in range(n_rows):
        row = a[r * ld : r * ld + n_out]
        largest = row_max(row)
        for j in range(n_out):
            row[j] -= largest


@kernel
def softmax(a, n_rows, n_out, ld):
    """Compute a: (n_rows, ld) = exp(z_j - max z) / sum_k exp(z_k - max z), from z."""
    subtract_max(a, n_rows, n_out, ld)
    exp_in_place(a[: n_rows * ld])
    for r in range(n_rows):
        row = a[r * ld : r * ld + n_out]
        total = a.dtype.type(0)
        for j in range(n_out):
            total += row[j]
        inverse = a.dtype.type(1) / total
        for j in range(n_out):
            row[j] *= inverse


@kernel
def activate_outputs(a, derivative, activation, n_rows, n_out, ld, kernel_table):
    """Compute a: (n_rows, ld) f(z) from z, and derivative: (n_rows, ld) f'(z), unless f is softmax."""
    if activation == SOFTMAX:
        softmax(a, n_rows, n_out, ld)
    else:
        apply_activation(a[: n_rows * ld], derivative[: n_rows * ld], activation, kernel_table)


@kernel
def cross_entropy(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld):
    """Compute a, delta, row_loss: as output_deltas; l = log(sum exp z) * sum y - sum y z, dl/dz = a sum y - y.

    It is softmax with the loss computed in the same loops.
    """
    zero, one = a.dtype.type(0), a.dtype.type(1)
    subtract_max(a, n_rows, n_out, ld)
    for i in range(n_rows * ld):
        delta[i] = exp(a[i])
    for r in range(n_rows):
        p = delta[r * ld : r * ld + n_out]
        total = zero
        for j in range(n_out):
            total += p[j]
        row_loss[r] = total
        inverse = one / total
        for j in range(n_out):
            p[j] *= inverse
    for r in range(n_rows):
        row_loss[r] = log(row_loss[r])
    for r in range(n_rows):
        z, d, y = a[r * ld : r * ld + n_out], delta[r * ld : r * ld + n_out], targets[r * ld : r * ld + n_out]
        dot = zero
        mass = zero
        for j in range(n_out):
            dot += y[j] * z[j]
            mass += y[j]
        row_loss[r] = mass * row_loss[r] - dot
        for j in range(n_out):
            z[j] = d[j]
            d[j] = (z[j] * mass - y[j]) * row_factor[r]


@kernel
def squared_error(a, delta, row_loss, targets, row_factor, times, n_rows, n_out, ld):
    """Compute delta, row_loss: as output_deltas; l = times/2 sum (a - y)^2, dl/dz = times (a - y) f'(z).

    delta: f'(z) before.
    """
    half_times, full_times = a.dtype.type(times) / a.dtype.type(2), a.dtype.type(times)
    for r in range(n_rows):
        out, y = a[r * ld : r * ld + n_out], targets[r * ld : r * ld + n_out]
        d = delta[r * ld : r * ld + n_out]
        total = a.dtype.type(0)
        factor = full_times * row_factor[r]
        for j in range(n_out):
            error = out[j] - y[j]
            total += error * error
            d[j] *= error * factor
        row_loss[r] = half_times * total


@kernel
def binary_cross_entropy(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld):
    """Compute a, delta, row_loss: as output_deltas; l = sum max(z, 0) - y z + log(1 + exp(-|z|)), dl/dz = a - y."""
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
    """Compute a, delta, row_loss: as output_deltas; l = sum max(0, -(2y - 1) z), for dl/dz the perceptron's a - y."""
    zero = a.dtype.type(0)
    one = a.dtype.type(1)
    for r in range(n_rows):
        total = zero
        for i in range(r * ld, r * ld + n_out):
            z = a[i]
            margin = -(targets[i] + targets[i] - one) * z
            total += margin if margin > zero else zero
            a[i] = one if z >= zero else zero
            delta[i] = (a[i] - targets[i]) * row_factor[r]
        row_loss[r] = total


@kernel
def robust_error(a, delta, row_loss, targets, row_factor, loss, limit, n_rows, n_out, ld):
    """Compute delta, row_loss: as squared_error, of e = a - y; l = |e|, or Huber's loss with d = limit.

    Huber's is e^2/2 for |e| <= d, else d (|e| - d/2).
    """
    cast = a.dtype.type
    zero, half, one = cast(0), cast(0.5), cast(1)
    for r in range(n_rows):
        out, y = a[r * ld : r * ld + n_out], targets[r * ld : r * ld + n_out]
        d = delta[r * ld : r * ld + n_out]
        total = zero
        for j in range(n_out):
            error = out[j] - y[j]
            gradient = one if error > zero else (-one if error < zero else zero)
            value = gradient * error
            if loss == HUBER:
                gradient = error if abs(error) <= limit else limit * gradient
                value = half * error * error if abs(error) <= limit else limit * (abs(error) - half * limit)
            total += value
            d[j] *= gradient * row_factor[r]
        row_loss[r] = total


@kernel
def quantile_error(a, delta, row_loss, targets, row_factor, levels, n_rows, n_out, ld):
    """Compute delta, row_loss: as squared_error; l = sum max(-q_j e_j, (1 - q_j) e_j), e = a - y.

    levels: (n_out,) q.
    """
    zero, one = a.dtype.type(0), a.dtype.type(1)
    for r in range(n_rows):
        out, y = a[r * ld : r * ld + n_out], targets[r * ld : r * ld + n_out]
        d = delta[r * ld : r * ld + n_out]
        total = zero
        for j in range(n_out):
            error = out[j] - y[j]
            gradient = one - levels[j] if error > zero else (-levels[j] if error < zero else zero)
            total += gradient * error
            d[j] *= gradient * row_factor[r]
        row_loss[r] = total


@kernel
def poisson(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld):
    """Compute a, delta, row_loss: as output_deltas; l = sum e^z - y z, dl/dz = e^z - y, for outputs e^z."""
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


@linked_kernel(
    Slot.OUTPUT_DELTAS, (Floats, Floats, Floats, Floats, Floats, int, ReadOnlyFloats, int, int, int, int, KernelTable)
)
def output_deltas(
    a, delta, row_loss, targets, row_factor, loss, loss_parameters, activation, n_rows, n_out, ld, kernel_table
):
    """Compute a: (n_rows, ld) f(z) from z; delta: (n_rows, ld) dl/dz * row_factor; row_loss: (n_rows,) l.

    targets: (n_rows, ld) y; row_factor: (n_rows,) the row's weight over the sum of the batch's weights;
    loss_parameters: (n_out,) Huber's delta, the level of each output's quantile. The padding of delta is 0.
    """
    if loss in (SQUARED_ERROR, HALF_SQUARED_ERROR):
        times = 2 if loss == SQUARED_ERROR else 1
        activate_outputs(a, delta, activation, n_rows, n_out, ld, kernel_table)
        squared_error(a, delta, row_loss, targets, row_factor, times, n_rows, n_out, ld)
    elif loss == CROSS_ENTROPY:
        cross_entropy(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld)
    elif loss == BINARY_CROSS_ENTROPY:
        binary_cross_entropy(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld)
    elif loss == POISSON:
        poisson(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld)
    elif loss >= USER_FUNCTION_BASE:
        activate_outputs(a, delta, activation, n_rows, n_out, ld, kernel_table)
        call_user_function(
            kernel_table, loss - USER_FUNCTION_BASE, user_loss,
            a, delta, row_loss, targets, row_factor, n_rows, n_out, ld,
        )  # fmt: skip
    elif loss == QUANTILE:
        activate_outputs(a, delta, activation, n_rows, n_out, ld, kernel_table)
        quantile_error(a, delta, row_loss, targets, row_factor, loss_parameters, n_rows, n_out, ld)
    elif loss >= ABSOLUTE_ERROR:
        activate_outputs(a, delta, activation, n_rows, n_out, ld, kernel_table)
        robust_error(a, delta, row_loss, targets, row_factor, loss, loss_parameters[0], n_rows, n_out, ld)
    else:
        perceptron(a, delta, row_loss, targets, row_factor, n_rows, n_out, ld)
    clear_padding(delta, n_rows, n_out, ld, ld)


@kernel
def count_correct(row_correct, a, targets, n_rows, n_out, ld):
    """Compute row_correct: (n_rows,) 1 where argmax a = argmax y; for one output, where both are on one side of 1/2.

    a, targets: (n_rows, ld).
    """
    half = a.dtype.type(0.5)
    for r in range(n_rows):
        answer = 0
        label = 0
        first = r * ld
        if n_out == 1:
            answer = 1 if a[first] >= half else 0
            label = 1 if targets[first] >= half else 0
        else:
            max_output, max_target = a[first], targets[first]
            for j in range(1, n_out):  # without branches: no processor foresees their outcomes
                output, target = a[first + j], targets[first + j]
                answer = j if output > max_output else answer
                max_output = output if output > max_output else max_output
                label = j if target > max_target else label
                max_target = target if target > max_target else max_target
        row_correct[r] = 1 if answer == label else 0
