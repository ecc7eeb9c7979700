"""What is disturbed on purpose while training: dropout, noise on the inputs, softened targets.

Every draw depends on (seed, epoch, layer, place in the epoch's order, neuron) alone: the same for any threads.
"""

from __future__ import annotations

import math

from .elementary import log
from .intrinsics import random_below
from .jit import kernel, piece
from .layout import DELTAS, DROP_UNIT, DROPPED, DROPPED_IN, INPUTS, LD, LD_IN, N_IN, N_OUT, OUTPUTS

STREAMS = 1 << 20  # of one epoch: one for each layer's dropout, the last for the noise


@kernel
def drop(a, slope, share, seed, stream, place, n_rows, n_out, ld):
    """a, slope: (n_rows, ld) each number 0 with probability p, else divided by 1 - p; row r is at place + r.

    share: p in units of 2^-24.

    Source: Srivastava and others, "Dropout", JMLR 15 (2014), with the factor moved to the training.
    """
    zero = a.dtype.type(0)
    keep = a.dtype.type(DROP_UNIT / (DROP_UNIT - share))
    for r in range(n_rows):
        begin = (place + r) * n_out
        row, rise = a[r * ld : r * ld + n_out], slope[r * ld : r * ld + n_out]
        for j in range(n_out):
            factor = keep if random_below(seed, stream, begin + j, DROP_UNIT) >= share else zero
            row[j] *= factor
            rise[j] *= factor


@kernel
def drop_inputs(a, share, seed, stream, place, n_rows, n_in, ld):
    """As drop, for the inputs, which have no slope."""
    zero = a.dtype.type(0)
    keep = a.dtype.type(DROP_UNIT / (DROP_UNIT - share))
    for r in range(n_rows):
        begin = (place + r) * n_in
        row = a[r * ld : r * ld + n_in]
        for j in range(n_in):
            row[j] *= keep if random_below(seed, stream, begin + j, DROP_UNIT) >= share else zero


@kernel
def add_noise(a, deviation, seed, stream, place, n_rows, n_in, ld):
    """a: (n_rows, ld) plus normal numbers of that deviation (Box and Muller, 1958: two from each pair of draws)."""
    for r in range(n_rows):
        begin = (place + r) * (n_in + 1)
        row = a[r * ld : r * ld + n_in]
        for j in range(0, n_in, 2):
            radius = (random_below(seed, stream, begin + j, DROP_UNIT) + 1) / DROP_UNIT
            angle = 2 * math.pi * random_below(seed, stream, begin + j + 1, DROP_UNIT) / DROP_UNIT
            length = deviation * math.sqrt(-2 * log(radius))
            row[j] += a.dtype.type(length * math.cos(angle))
            if j + 1 < n_in:
                row[j + 1] += a.dtype.type(length * math.sin(angle))


@kernel
def smooth_labels(targets, share, n_rows, n_out, ld):
    """targets: (n_rows, ld) y (1 - share) + share / classes; one output has two classes."""
    kept = targets.dtype.type(1 - share)
    spread = targets.dtype.type(share / max(2, n_out))
    for r in range(n_rows):
        row = targets[r * ld : r * ld + n_out]
        for j in range(n_out):
            row[j] = kept * row[j] + spread


@piece
def distort(numbers, targets, table, distortion, epoch, place, first, last):
    """numbers[INPUTS]: rows first..last noisy, some dropped; targets: their y, softened.

    Row `first` is at `place` of the order.
    """
    layer, top = table[0], table[len(table) - 1]
    n_in, ld = layer[N_IN], layer[LD_IN]
    a = numbers[layer[INPUTS] + first * ld : layer[INPUTS] + last * ld]
    stream = epoch * STREAMS
    if distortion.input_noise > 0:
        add_noise(a, distortion.input_noise, distortion.seed, stream + STREAMS - 1, place, last - first, n_in, ld)
    if distortion.dropout and layer[DROPPED_IN] > 0:
        drop_inputs(a, layer[DROPPED_IN], distortion.seed, stream, place, last - first, n_in, ld)
    if distortion.label_smoothing > 0:
        smooth_labels(targets, distortion.label_smoothing, last - first, top[N_OUT], top[LD])


@piece
def drop_hidden(numbers, table, number, distortion, epoch, place, first, last):
    """numbers[OUTPUTS], numbers[DELTAS]: rows of hidden layer `number`, and slopes, less those dropped."""
    layer = table[number]
    if layer[DROPPED] > 0:
        ld = layer[LD]
        a = numbers[layer[OUTPUTS] + first * ld : layer[OUTPUTS] + last * ld]
        slope = numbers[layer[DELTAS] + first * ld : layer[DELTAS] + last * ld]
        drop(
            a, slope, layer[DROPPED], distortion.seed, epoch * STREAMS + number + 1, place,
            last - first, layer[N_OUT], ld,
        )  # fmt: skip
