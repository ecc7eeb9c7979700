"""How a step uses the slope where that is more than w - rate * slope: penalties, clipping, momentum, Adam, limits.

The slope g of a layer lies in `gradient`, laid out as the parameters. All loops run over contiguous numbers; padding
is 0 and stays 0.
"""

from __future__ import annotations

import math

from .intrinsics import call_at, multiply_add
from .jit import kernel, piece
from .layout import BIASES, COLUMNS, DESCEND, LD, N_IN, WEIGHTS
from .simd import SQUARE_VECTORS, VECTOR_BYTES, squares

SGD, ADAM, RMSPROP, ADAGRAD = range(4)
STRETCH = 4096  # numbers whose squares are summed at a time
LIMIT_COLUMNS = 64  # neurons whose weights are measured in one pass over the rows


@kernel
def momentum_step(w, g, velocity, rate, scale, l2, beta, nesterov):
    """Of g + l2 w: v = beta v + g; w = w - rate v, with Nesterov w - rate (g + beta v). All: (n,)."""
    for i in range(len(w)):
        slope = multiply_add(l2, w[i], scale * g[i])
        speed = beta * velocity[i] + slope
        velocity[i] = speed
        w[i] -= rate * (slope + beta * speed if nesterov else speed)


@kernel
def adam_step(w, g, first, second, rate, scale, l2, keep_1, take_1, keep_2, take_2, root_scale, epsilon):
    """Of g + l2 w, averages m of g and v of g^2; w = w - rate m / (root_scale sqrt(v) + epsilon). All: (n,)."""
    for i in range(len(w)):
        slope = multiply_add(l2, w[i], scale * g[i])
        m = keep_1 * first[i] + take_1 * slope
        v = keep_2 * second[i] + take_2 * slope * slope
        first[i] = m
        second[i] = v
        w[i] -= rate * m / (root_scale * math.sqrt(v) + epsilon)


@kernel
def scaled_step(w, g, squares, velocity, rate, scale, l2, keep, take, epsilon, beta):
    """Of g + l2 w, s = keep s + take g^2; v = beta v + g / (sqrt(s) + epsilon); w = w - rate v.

    Without velocity v is not kept.
    """
    for i in range(len(w)):
        slope = multiply_add(l2, w[i], scale * g[i])
        s = keep * squares[i] + take * slope * slope
        squares[i] = s
        g[i] = slope / (math.sqrt(s) + epsilon)
    if len(velocity):
        for i in range(len(w)):
            velocity[i] = beta * velocity[i] + g[i]
            w[i] -= rate * velocity[i]
    else:
        for i in range(len(w)):
            w[i] -= rate * g[i]


@piece
def descend(w, g, first, second, average, rule, rate, scale, l2, step, decays):
    """w: (n,) one step by the rule down the slope scale * g + l2 * w; its state: first, second; step counts from 1.

    average: (n,) or empty, the exponential average of w; decays: 1 where the decoupled decay applies.
    """
    number = w.dtype.type
    factor, rate_, beta_1, beta_2 = number(scale), number(rate), number(rule.beta_1), number(rule.beta_2)
    take_1, take_2 = number(1 - rule.beta_1), number(1 - rule.beta_2)  # of float64: a beta near 1 is 1 in float32
    epsilon, share = number(rule.epsilon), number(l2)
    if decays and rule.weight_decay > 0:
        kept = number(1 - rate * rule.weight_decay)
        for i in range(len(w)):
            w[i] *= kept
    if rule.method == ADAM:
        first_part, second_part = 1 - rule.beta_1**step, 1 - rule.beta_2**step
        if rule.epsilon_before_correction:
            pace, root_scale = number(rate * math.sqrt(second_part) / first_part), number(1)
        else:
            pace, root_scale = number(rate / first_part), number(1 / math.sqrt(second_part))
        adam_step(w, g, first, second, pace, factor, share, beta_1, take_1, beta_2, take_2, root_scale, epsilon)
    elif rule.method == RMSPROP:
        scaled_step(w, g, second, first, rate_, factor, share, beta_2, take_2, epsilon, beta_1)
    elif rule.method == ADAGRAD:
        scaled_step(w, g, second, first, rate_, factor, share, number(1), number(1), epsilon, beta_1)
    elif len(first):
        momentum_step(w, g, first, rate_, factor, share, beta_1, rule.nesterov)
    else:
        for i in range(len(w)):
            w[i] = multiply_add(-rate_, multiply_add(share, w[i], factor * g[i]), w[i])
    if len(average):
        part = number(1 - rule.ema_decay)
        for i in range(len(w)):
            average[i] += part * (w[i] - average[i])


@kernel
def l2_in_step(rule, weight):
    """The factor of w that the step itself can add to the slope; 0 where the slope must have it before."""
    if rule.clip_norm > 0 or rule.l1 > 0 or rule.weight_decay > 0:
        return 0.0
    return l2_of_batch(rule, weight)


@kernel
def l2_of_batch(rule, weight):
    """The penalty's factor, for a batch whose weights sum to `weight`."""
    return rule.l2 / weight if rule.penalty_per_batch > 0 else rule.l2


@kernel
def add_penalties(g, w, l1, l2):
    """g: (n,) plus the slope of l2/2 * sum w^2 + l1 * sum |w|."""
    zero = w.dtype.type(0)
    for i in range(len(w)):
        sign = l1 if w[i] > zero else (-l1 if w[i] < zero else zero)
        g[i] += l2 * w[i] + sign


@kernel
def sum_stretches(sums, w, lanes, first, last):
    """sums[first..last]: of the squares of w, (n,), in stretches of STRETCH; lanes: room for one round."""
    step = SQUARE_VECTORS * VECTOR_BYTES // w.itemsize
    for number in range(first, last):
        begin, end = number * STRETCH, min((number + 1) * STRETCH, len(w))
        rounds = (end - begin) // step
        squares(lanes, 0, w, begin, rounds)
        total = 0.0
        for i in range(step):
            total += lanes[i]
        for i in range(begin + rounds * step, end):
            total += float(w[i]) * float(w[i])
        sums[number] = total


@kernel
def sum_of_squares(row):
    """The sum of row[i]^2, in float64 and in order."""
    total = 0.0
    for value in row:
        total += float(value) * float(value)
    return total


@kernel
def prepare_gradient(network, rule, layer, norms, weight, first, last):
    """gradient: plus the penalties in rows first..last of W; norms: (n_in + 1,) the rows' sums of squares, b's last.

    weight: the sum of the batch's weights.
    """
    w, g, ld = network.parameters, network.gradient, layer[LD]
    begin, end = layer[WEIGHTS] + first * ld, layer[WEIGHTS] + last * ld
    if rule.l1 > 0 or (rule.l2 > 0 and l2_in_step(rule, weight) == 0):
        l2 = l2_of_batch(rule, weight)
        add_penalties(g[begin:end], w[begin:end], w.dtype.type(rule.l1), w.dtype.type(l2))
    if rule.clip_norm > 0:
        for k in range(first, last):
            row = layer[WEIGHTS] + k * ld
            norms[k] = sum_of_squares(g[row : row + layer[COLUMNS]])
        if first == 0:
            norms[layer[N_IN]] = sum_of_squares(g[layer[BIASES] : layer[BIASES] + layer[COLUMNS]])


@kernel
def clip_scale(rule):
    """The factor that brings the norm of the whole slope down to the limit; each thread adds in the same order."""
    total = 0.0
    for value in rule.norms:
        total += value
    norm = math.sqrt(total)
    return rule.clip_norm / norm if norm > rule.clip_norm else 1.0


@kernel
def descend_layer(network, rule, layer, rate, scale, step, weight, first, last):
    """parameters: one step by the rule in rows first..last of W, and in b for the owner of row 0."""
    l2 = l2_in_step(rule, weight)
    begin, end, decays = layer[WEIGHTS] + first * layer[LD], layer[WEIGHTS] + last * layer[LD], 1
    for _ in range(2 if first == 0 else 1):
        call_at(
            network.kernel_table[DESCEND], descend,
            network.parameters[begin:end], network.gradient[begin:end], rule.moment1[begin:end],
            rule.moment2[begin:end], rule.ema[begin:end], rule, rate, scale, l2, step, decays,
        )  # fmt: skip
        begin, end, decays, l2 = layer[BIASES], layer[BIASES] + layer[LD], 0, 0.0


@kernel
def limit_norms(parameters, scratch, layer, limit, first, last):
    """parameters: columns first..last of W, each no longer than `limit`: the weights into one neuron."""
    ld = layer[LD]
    one = parameters.dtype.type(1)
    for j in range(first, last, LIMIT_COLUMNS):
        width = min(LIMIT_COLUMNS, last - j)
        factors = scratch[:width]
        factors[:] = 0
        for k in range(layer[N_IN]):
            row = parameters[layer[WEIGHTS] + k * ld + j : layer[WEIGHTS] + k * ld + j + width]
            for i in range(width):
                factors[i] += row[i] * row[i]
        for i in range(width):
            norm = math.sqrt(factors[i])
            factors[i] = parameters.dtype.type(limit) / norm if norm > limit else one
        for k in range(layer[N_IN]):
            row = parameters[layer[WEIGHTS] + k * ld + j : layer[WEIGHTS] + k * ld + j + width]
            for i in range(width):
                row[i] *= factors[i]
