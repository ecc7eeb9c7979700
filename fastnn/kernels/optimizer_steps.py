"""The steps that are more than w - learning_rate * gradient: penalties, clipping, momentum, Adam, norm limits.

A layer's gradient g lies in `gradient`, laid out as the parameters. All loops run over contiguous numbers; padding is
0 and stays 0.
"""

from __future__ import annotations

import math

from .argument_types import Floats, Scalar
from .intrinsics import multiply_add
from .jit import kernel
from .layout import (
    ALPHAS,
    BIASES,
    COLUMNS,
    EMBEDDING,
    EMBEDDING_STRIDE,
    INPUT_SCALES,
    LD,
    N_FREQUENCIES,
    N_IN,
    PIECEWISE,
    VECTOR_SIZE,
    VECTORS,
    WEIGHTS,
    UpdateRule,
    contiguous_runs,
)
from .registry import Slot, call, linked_kernel
from .row_loops import column_squares, multiply_vectors, row_squares
from .simd import SQUARE_VECTORS, TILE_VECTORS, VECTOR_BYTES, squares
from .tiling import next_tile_size

SGD, ADAM, RMSPROP, ADAGRAD = range(4)
EMBEDDING_PART, VECTORS_PART = 4, 5  # of the parts that have factors, see factor_of
PENALTY_CHUNK = 4096  # weights whose squares are summed at a time


@kernel
def momentum_step(w, g, velocity, rate, scale, l2, beta, nesterov):
    """Update w, velocity v: (n,) v = beta v + d for d = scale g + l2 w; w - rate v, nesterov: w - rate (d + beta v)."""
    for i in range(len(w)):
        gradient = multiply_add(l2, w[i], scale * g[i])
        v = beta * velocity[i] + gradient
        velocity[i] = v
        w[i] -= rate * (gradient + beta * v if nesterov else v)


@kernel
def adam_step(w, g, moment1, moment2, rate, scale, l2, beta_1, complement_1, beta_2, complement_2, root_scale, epsilon):
    """Update w, moments m, v: (n,) m = beta_1 m + (1 - beta_1) d, v = beta_2 v + (1 - beta_2) d^2.

    With d = scale g + l2 w; w = w - rate m / (root_scale sqrt(v) + epsilon); complement_1, complement_2: 1 - beta_1,
    1 - beta_2.
    """
    for i in range(len(w)):
        gradient = multiply_add(l2, w[i], scale * g[i])
        m = beta_1 * moment1[i] + complement_1 * gradient
        v = beta_2 * moment2[i] + complement_2 * gradient * gradient
        moment1[i] = m
        moment2[i] = v
        w[i] -= rate * m / (root_scale * math.sqrt(v) + epsilon)


@kernel
def scaled_step(w, g, mean_square, velocity, rate, scale, l2, decay, complement, epsilon, beta):
    """Update w, mean_square s, velocity v: (n,) s = decay s + complement d^2 for d = scale g + l2 w.

    v = beta v + d / (sqrt(s) + epsilon); w = w - rate v. An empty velocity stands for beta 0. g is overwritten.
    """
    for i in range(len(w)):
        gradient = multiply_add(l2, w[i], scale * g[i])
        s = decay * mean_square[i] + complement * gradient * gradient
        mean_square[i] = s
        g[i] = gradient / (math.sqrt(s) + epsilon)
    if len(velocity):
        for i in range(len(w)):
            velocity[i] = beta * velocity[i] + g[i]
            w[i] -= rate * velocity[i]
    else:
        for i in range(len(w)):
            w[i] -= rate * g[i]


@kernel
def adam_factors(w, rule, learning_rate, step):
    """Return Adam's rate and the factor of its root in step `step`, with the bias corrected; 0 for other rules."""
    cast = w.dtype.type
    if rule.method != ADAM:
        return cast(0), cast(0)
    correction_1, correction_2 = 1 - rule.beta_1**step, 1 - rule.beta_2**step
    if rule.epsilon_before_correction:
        return cast(learning_rate * math.sqrt(correction_2) / correction_1), cast(1)
    return cast(learning_rate / correction_1), cast(1 / math.sqrt(correction_2))


@linked_kernel(
    Slot.OPTIMIZER_STEP,
    (Floats, Floats, Floats, Floats, Floats, UpdateRule, Scalar, float, float, int, float, int, int, int),
)
def optimizer_step(
    w_runs, g_runs, moment1_runs, moment2_runs, ema_runs, rule, learning_rate, scale, l2, step, decay,
    n_runs, width, distance,
):  # fmt: skip
    """Update w, moment1, moment2, ema: (n_runs, width) one step by the rule down the gradient scale * g + l2 * w.

    The runs begin `distance` apart. ema: the exponential moving average of w, or empty; step counts from 1; decay: the
    part of w that decays first.
    """
    cast = w_runs.dtype.type
    scale_, rate, beta_1, beta_2 = cast(scale), cast(learning_rate), cast(rule.beta_1), cast(rule.beta_2)
    # of float64: a beta near 1 is 1 in float32
    complement_1, complement_2 = cast(1 - rule.beta_1), cast(1 - rule.beta_2)
    epsilon, l2_ = cast(rule.epsilon), cast(l2)
    adam_rate, root_scale = adam_factors(w_runs, rule, learning_rate, step)
    for start in range(0, n_runs * distance, distance):
        end = start + width
        w, g, ema = w_runs[start:end], g_runs[start:end], ema_runs[start:end]
        moment1, moment2 = moment1_runs[start:end], moment2_runs[start:end]
        if decay > 0:
            kept = cast(1 - decay)
            for i in range(len(w)):
                w[i] *= kept
        if rule.method == ADAM:
            adam_step(
                w, g, moment1, moment2, adam_rate, scale_, l2_, beta_1, complement_1, beta_2, complement_2, root_scale,
                epsilon,
            )  # fmt: skip
        elif rule.method == RMSPROP:
            scaled_step(w, g, moment2, moment1, rate, scale_, l2_, beta_2, complement_2, epsilon, beta_1)
        elif rule.method == ADAGRAD:
            scaled_step(w, g, moment2, moment1, rate, scale_, l2_, cast(1), cast(1), epsilon, beta_1)
        elif len(moment1):
            momentum_step(w, g, moment1, rate, scale_, l2_, beta_1, rule.nesterov)
        else:
            for i in range(len(w)):
                w[i] = multiply_add(-rate, multiply_add(l2_, w[i], scale_ * g[i]), w[i])
        if len(ema):
            complement = cast(1 - rule.ema_decay)
            for i in range(len(w)):
                ema[i] += complement * (w[i] - ema[i])


@kernel
def l2_in_step(rule, weight):
    """Return the factor of w that the step adds to the gradient; 0 if the gradient must have the penalty before."""
    if rule.clip_norm > 0 or rule.l1 > 0 or rule.weight_decay > 0:
        return 0.0
    return l2_of_batch(rule, weight)


@kernel
def l2_of_batch(rule, weight):
    """Return the penalty's factor for a batch whose weights sum to `weight`."""
    return rule.l2 / weight if rule.penalty_per_batch > 0 else rule.l2


@kernel
def add_penalties(g, w, l1, l2):
    """Update g: (n,) plus the gradient of l2/2 * sum w^2 + l1 * sum |w|."""
    zero = w.dtype.type(0)
    for i in range(len(w)):
        sign = l1 if w[i] > zero else (-l1 if w[i] < zero else zero)
        g[i] += l2 * w[i] + sign


@kernel
def sum_chunk_squares(sums, w, round_sums, first, last):
    """Compute sums[first..last] = sum w^2 of each chunk of PENALTY_CHUNK weights of w, (n,); round_sums: scratch."""
    step = SQUARE_VECTORS * VECTOR_BYTES // w.itemsize
    for chunk in range(first, last):
        start, end = chunk * PENALTY_CHUNK, min((chunk + 1) * PENALTY_CHUNK, len(w))
        rounds = (end - start) // step
        squares(round_sums, 0, w, start, rounds)
        total = 0.0
        for i in range(step):
            total += round_sums[i]
        for i in range(start + rounds * step, end):
            total += float(w[i]) * float(w[i])
        sums[chunk] = total


@kernel
def sum_of_squares(row):
    """Return the sum of row[i]^2, in float64 and in order."""
    total = 0.0
    for value in row:
        total += float(value) * float(value)
    return total


@kernel
def input_scales_gradient(network, layer, first, last):
    """Compute gradient: rows k in first..last of W's and the input scales', from G = x^T delta, which it holds before.

    With z = (s * x) W: dW_k = s_k G_k and ds_k = sum over j of W_kj G_kj, summed in float64 and in order.
    """
    parameters, gradient = network.parameters, network.gradient
    for k in range(first, last):
        start = layer[WEIGHTS] + k * layer[LD]
        w, g = parameters[start : start + layer[COLUMNS]], gradient[start : start + layer[COLUMNS]]
        scale, total = parameters[layer[INPUT_SCALES] + k], 0.0
        for j in range(layer[COLUMNS]):
            total += float(w[j]) * float(g[j])
            g[j] *= scale
        gradient[layer[INPUT_SCALES] + k] = total


@kernel
def prepare_gradient(network, rule, layer, weight, first, last, left, right):
    """Update gradient: plus the penalties in rows first..last, columns left..right of W.

    weight: the sum of the batch's weights.
    """
    w, g = network.parameters, network.gradient
    if rule.l1 > 0 or (rule.l2 > 0 and l2_in_step(rule, weight) == 0):
        l1, l2 = w.dtype.type(rule.l1), w.dtype.type(l2_of_batch(rule, weight))
        start, n_runs, width, distance = contiguous_runs(layer, first, last, left, right)
        for run in range(start, start + n_runs * distance, distance):
            add_penalties(g[run : run + width], w[run : run + width], l1, l2)


@kernel
def sum_row_squares(norms, gradient, layer, first, last):
    """Compute norms: (n_in + 1,) sums of squares of the gradient's rows first..last; with row 0 of b and alphas."""
    ld, columns = layer[LD], layer[COLUMNS]
    vectors = columns * gradient.itemsize // VECTOR_BYTES
    row_squares(norms, first, gradient, layer[WEIGHTS] + first * ld, ld, last - first, vectors)
    if layer[INPUT_SCALES] >= 0:
        for k in range(first, last):
            norms[k] += float(gradient[layer[INPUT_SCALES] + k]) ** 2
    if first == 0 and first < last:
        row_squares(norms, layer[N_IN], gradient, layer[BIASES], 0, 1, vectors)
        if layer[ALPHAS] >= 0:
            norms[layer[N_IN]] += sum_of_squares(gradient[layer[ALPHAS] : layer[ALPHAS] + columns])


@kernel
def clip_scale(rule):
    """Return min(1, clip_norm / the norm of the whole gradient); every thread adds in the same order."""
    total = 0.0
    for value in rule.norms:
        total += value
    norm = math.sqrt(total)
    return rule.clip_norm / norm if norm > rule.clip_norm else 1.0


@kernel
def factor_of(factors, index, part, n_layers):
    """Return a layer's factor for its part; without factors 1.

    Parts are 0 the weights, 1 the biases, 2 the input scales, 3 the alphas, 4 the embedding, 5 the vectors of
    categories.
    """
    if len(factors) == 0:
        return 1.0
    if part < 2:
        return factors[2 * index + part]
    if part == 3:
        return factors[2 * n_layers + 1 + index]
    return factors[2 * n_layers if part == 2 else 3 * n_layers + part - EMBEDDING_PART]


@kernel
def decay_of(rule, index, part, n_layers, learning_rate, rate, step):
    """Return what a step takes off a part of a layer, of its size; rate: learning_rate times the part's factor."""
    if rule.weight_decay == 0 or (part > 0 and len(rule.decay_factors) == 0):
        return 0.0
    decay = float(rate) * rule.weight_decay
    if len(rule.decay_factors):
        decay = float(learning_rate) * rule.weight_decay * factor_of(rule.decay_factors, index, part, n_layers)
    if len(rule.decay_schedule):
        decay *= rule.decay_schedule[step - 1 - rule.first_scheduled]
    return decay


@kernel
def update_layer(network, rule, index, learning_rate, scale, step, weight, first, last, left, right):
    """Update parameters: one step by the rule in rows first..last of W and the input scales; in b, alphas with row 0.

    Of W, b and alphas columns left..right; learning_rate: times the factor of each, rule.rate_factors.
    """
    layer = network.table[index]
    for part in range(4):
        l2, n_runs = 0.0, 1
        if part == 0:
            start, n_runs, width, distance = contiguous_runs(layer, first, last, left, right)
            l2 = l2_in_step(rule, weight)
        elif part == 1:
            start, width = layer[BIASES] + left, right - left if first == 0 else 0
        elif part == 2:
            scales = layer[INPUT_SCALES]
            start, width = scales + first, last - first if scales >= 0 else 0
        else:
            start, width = layer[ALPHAS] + left, right - left if first == 0 and layer[ALPHAS] >= 0 else 0
        if part > 0:
            distance = width
        if width > 0:
            update_runs(network, rule, index, part, learning_rate, scale, step, l2, start, n_runs, width, distance)


@kernel
def update_runs(network, rule, index, part, learning_rate, scale, step, l2, start, n_runs, width, distance):
    """Update parameters: one step by the rule in runs of a layer's part, `distance` apart from `start` on."""
    end, n_layers, rate = start + (n_runs - 1) * distance + width, len(network.table), learning_rate
    if len(rule.rate_factors):
        factor = factor_of(rule.rate_factors, index, part, n_layers)
        rate = network.parameters.dtype.type(learning_rate * factor)
    decay = decay_of(rule, index, part, n_layers, learning_rate, rate, step)
    call(
        network.kernel_table, optimizer_step,
        network.parameters[start:end], network.gradient[start:end], rule.moment1[start:end],
        rule.moment2[start:end], rule.ema[start:end], rule, rate, scale, l2, step, decay,
        n_runs, width, distance,
    )  # fmt: skip


@kernel
def update_embeddings(network, rule, learning_rate, scale, step, first, last):
    """Update parameters: one step by the rule in those of the embedded inputs first..last."""
    layer = network.table[0]
    stride, bins = layer[EMBEDDING_STRIDE], 2 * layer[N_FREQUENCIES] if layer[PIECEWISE] else 0
    start, width = layer[EMBEDDING] + first * stride + bins, stride - bins  # bins are not learned
    if last > first:
        update_runs(
            network, rule, 0, EMBEDDING_PART, learning_rate, scale, step, 0.0, start, last - first, width, stride
        )  # fmt: skip


@kernel
def sum_embedding_squares(norms, gradient, layer, first, last):
    """Compute norms: (n_embedded,) sums of squares of the gradient's parts of the embedded inputs first..last."""
    for e in range(first, last):
        start = layer[EMBEDDING] + e * layer[EMBEDDING_STRIDE]
        norms[e] = sum_of_squares(gradient[start : start + layer[EMBEDDING_STRIDE]])


@kernel
def update_vectors(network, rule, learning_rate, scale, step, first, last):
    """Update parameters: one step by the rule in the vectors first..last of categories."""
    layer = network.table[0]
    start, width = layer[VECTORS] + first * layer[VECTOR_SIZE], (last - first) * layer[VECTOR_SIZE]
    if width > 0:
        update_runs(network, rule, 0, VECTORS_PART, learning_rate, scale, step, 0.0, start, 1, width, width)


@kernel
def sum_vector_squares(norms, gradient, layer, first, last):
    """Compute norms: (n_vectors,) sums of squares of the gradient's vectors first..last."""
    for number in range(first, last):
        start = layer[VECTORS] + number * layer[VECTOR_SIZE]
        norms[number] = sum_of_squares(gradient[start : start + layer[VECTOR_SIZE]])


@kernel
def limit_norms(parameters, scratch, layer, max_norm, left, right):
    """Update parameters: columns left..right of W, the weights into a neuron each, times min(1, max_norm / norm)."""
    ld = layer[LD]
    lanes = VECTOR_BYTES // parameters.itemsize
    one = parameters.dtype.type(1)
    j = left
    while j < right:
        vectors = next_tile_size((right - j) // lanes, TILE_VECTORS)
        column_squares(vectors, scratch, 0, parameters, layer[WEIGHTS] + j, ld, layer[N_IN])
        exceeded = False
        for i in range(vectors * lanes):
            norm = math.sqrt(scratch[i])
            exceeded = exceeded or norm > max_norm
            scratch[i] = parameters.dtype.type(max_norm) / norm if norm > max_norm else one
        if exceeded:
            multiply_vectors(vectors, parameters, layer[WEIGHTS] + j, ld, scratch, 0, 0, layer[N_IN])
        j += vectors * lanes
