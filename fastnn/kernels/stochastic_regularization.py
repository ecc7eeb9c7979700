"""The random perturbations of training: dropout and noise on the inputs; and label smoothing, which draws nothing.

Every draw depends on (seed, epoch, layer, position in the epoch's order, neuron) alone: the same for any number of
threads.
"""

from __future__ import annotations

import math

from .argument_types import Floats, Int64Matrix
from .elementary import log
from .intrinsics import random_below
from .jit import kernel
from .layout import (
    ALPHA_DELTAS,
    ALPHAS,
    DELTAS,
    DROP_UNIT,
    DROPPED,
    DROPPED_IN,
    GRADIENT_INPUTS,
    LD,
    LD_IN,
    N_GATHERED,
    N_OUT,
    OUTPUTS,
    StochasticRegularization,
)
from .registry import Slot, linked_kernel

STREAMS = 1 << 20  # of random numbers in an epoch: one for each layer's dropout, the last for the noise


@kernel
def drop(a, derivative, threshold, seed, stream, position, n_rows, left, right, n_out, ld):
    """Update a, derivative: (n_rows, ld) each number 0 with probability p, else / (1 - p); row r is at position + r.

    Those of columns left..right, of n_out; threshold: p in units of 2^-24.

    Source: Srivastava and others, "Dropout", JMLR 15 (2014), with the factor moved to the training.
    """
    zero = a.dtype.type(0)
    keep = a.dtype.type(DROP_UNIT / (DROP_UNIT - threshold))
    for r in range(n_rows):
        start = (position + r) * n_out + left
        row, row_derivative = a[r * ld + left : r * ld + right], derivative[r * ld + left : r * ld + right]
        for j in range(right - left):
            factor = keep if random_below(seed, stream, start + j, DROP_UNIT) >= threshold else zero
            row[j] *= factor
            row_derivative[j] *= factor


@kernel
def drop_alone(a, threshold, seed, stream, position, n_rows, left, right, n, ld):
    """Update a: (n_rows, ld), columns left..right of n, as drop, of numbers without a derivative beside them."""
    zero = a.dtype.type(0)
    keep = a.dtype.type(DROP_UNIT / (DROP_UNIT - threshold))
    for r in range(n_rows):
        start = (position + r) * n + left
        row = a[r * ld + left : r * ld + right]
        for j in range(right - left):
            row[j] *= keep if random_below(seed, stream, start + j, DROP_UNIT) >= threshold else zero


@kernel
def add_noise(a, deviation, seed, stream, position, n_rows, n_in, ld):
    """Update a: (n_rows, ld) plus normal numbers: deviation sqrt(-2 log u) (cos, sin)(2 pi v) from uniform u and v.

    Source: Box and Muller, 1958.
    """
    for r in range(n_rows):
        start = (position + r) * (n_in + 1)
        row = a[r * ld : r * ld + n_in]
        for j in range(0, n_in, 2):
            u = (random_below(seed, stream, start + j, DROP_UNIT) + 1) / DROP_UNIT
            angle = 2 * math.pi * random_below(seed, stream, start + j + 1, DROP_UNIT) / DROP_UNIT
            radius = deviation * math.sqrt(-2 * log(u))
            row[j] += a.dtype.type(radius * math.cos(angle))
            if j + 1 < n_in:
                row[j + 1] += a.dtype.type(radius * math.sin(angle))


@kernel
def smooth_labels(targets, smoothing, n_rows, n_out, ld):
    """Update targets: (n_rows, ld) = y (1 - smoothing) + smoothing / classes; one output has two classes."""
    kept = targets.dtype.type(1 - smoothing)
    spread = targets.dtype.type(smoothing / max(2, n_out))
    for r in range(n_rows):
        row = targets[r * ld : r * ld + n_out]
        for j in range(n_out):
            row[j] = kept * row[j] + spread


@kernel
def scheduled_dropout(threshold, settings, epoch, position):
    """Return a dropout rate, in units of 2^-24, times the schedule's factor in the step at a position of the epoch."""
    if len(settings.dropout_schedule) == 0:
        return threshold
    step = (epoch - settings.first_epoch) * settings.steps_per_epoch + position // settings.batch_size
    return int(threshold * settings.dropout_schedule[step])


@linked_kernel(Slot.PERTURB_EXAMPLES, (Floats, Floats, Int64Matrix, StochasticRegularization, int, int, int, int))
def perturb_examples(buffer, targets, table, stochastic_regularization, epoch, position, first, last):
    """Update buffer[GRADIENT_INPUTS]: rows first..last, with noise and dropout; targets: theirs, smoothed.

    Row `first` is at `position` of the order.
    """
    settings = stochastic_regularization
    layer, top = table[0], table[len(table) - 1]
    n_rows, n_in, ld = last - first, layer[N_GATHERED], layer[LD_IN]
    a = buffer[layer[GRADIENT_INPUTS] + first * ld : layer[GRADIENT_INPUTS] + last * ld]
    stream = epoch * STREAMS
    if settings.input_noise > 0:
        add_noise(a, settings.input_noise, settings.seed, stream + STREAMS - 1, position, n_rows, n_in, ld)
    if settings.dropout and layer[DROPPED_IN] > 0:
        threshold = scheduled_dropout(layer[DROPPED_IN], settings, epoch, position)
        drop_alone(a, threshold, settings.seed, stream, position, n_rows, 0, n_in, n_in, ld)
    if settings.label_smoothing > 0:
        smooth_labels(targets, settings.label_smoothing, n_rows, top[N_OUT], top[LD])


@linked_kernel(Slot.DROP_HIDDEN, (Floats, Int64Matrix, int, StochasticRegularization, int, int, int, int, int, int))
def drop_hidden(buffer, table, index, stochastic_regularization, epoch, position, first, last, left, right):
    """Update buffer[OUTPUTS], buffer[DELTAS]: rows first..last of hidden layer `index`, and derivatives, with dropout.

    Columns left..right, padding excepted; row `first` is at `position` of the order.
    """
    layer = table[index]
    if layer[DROPPED] > 0:
        ld, n_out, n_rows = layer[LD], layer[N_OUT], last - first
        a = buffer[layer[OUTPUTS] + first * ld : layer[OUTPUTS] + last * ld]
        derivative = buffer[layer[DELTAS] + first * ld : layer[DELTAS] + last * ld]
        threshold = scheduled_dropout(layer[DROPPED], stochastic_regularization, epoch, position)
        seed, stream = stochastic_regularization.seed, epoch * STREAMS + index + 1
        drop(a, derivative, threshold, seed, stream, position, n_rows, left, min(right, n_out), n_out, ld)
        if layer[ALPHAS] >= 0:
            mixed = buffer[layer[ALPHA_DELTAS] + first * ld : layer[ALPHA_DELTAS] + last * ld]
            drop_alone(mixed, threshold, seed, stream, position, n_rows, left, min(right, n_out), n_out, ld)
