"""The first layer on sparse rows: the work is that of the numbers that are there.

An example's numbers are examples.values[p] in columns examples.columns[p], for p from starts[i] to starts[i + 1].
"""

from __future__ import annotations

from .forward import activate_hidden
from .gather import example_at
from .intrinsics import multiply_add
from .jit import kernel, piece
from .layout import BIASES, COLUMNS, DELTAS, FROZEN, LD, OUTPUTS, WEIGHTS, ZEROS
from .weight_gradient import clear, owned_rows, subtract_bias_gradient


@piece
def sparse_forward(numbers, parameters, table, examples, order, place, first, last, code):
    """numbers[OUTPUTS]: rows first..last of the first layer's activations; row `first` is at `place` of the order.

    z = b + sum over the example's numbers x_k W_k, in the order in which they stand.
    """
    layer = table[0]
    columns, ld = layer[COLUMNS], layer[LD]
    b = parameters[layer[BIASES] : layer[BIASES] + columns]
    for r in range(last - first):
        z = numbers[layer[OUTPUTS] + (first + r) * ld : layer[OUTPUTS] + (first + r) * ld + columns]
        for j in range(columns):
            z[j] = b[j]
        i = example_at(order, place + r)
        for p in range(examples.starts[i], examples.starts[i + 1]):
            x = examples.values[p]
            at = layer[WEIGHTS] + examples.columns[p] * ld
            w = parameters[at : at + columns]
            for j in range(columns):
                z[j] = multiply_add(x, w[j], z[j])
    if len(table) > 1:
        activate_hidden(numbers, layer, first, last, code)


@kernel
def subtract_sparse_gradient(out, numbers, examples, order, place, layer, rate, first, last, n_rows):
    """out[WEIGHTS]: W_k less rate * x_k delta for the rows k in first..last of W that the block's examples have."""
    columns, ld = layer[COLUMNS], layer[LD]
    for r in range(n_rows):
        delta = numbers[layer[DELTAS] + r * ld : layer[DELTAS] + r * ld + columns]
        i = example_at(order, place + r)
        for p in range(examples.starts[i], examples.starts[i + 1]):
            k = examples.columns[p]
            if first <= k < last:
                factor = -rate * examples.values[p]
                w = out[layer[WEIGHTS] + k * ld : layer[WEIGHTS] + k * ld + columns]
                for j in range(columns):
                    w[j] = multiply_add(factor, delta[j], w[j])


@piece
def sparse_pass(network, work, examples, order, place, rate, n_rows, rank, team, first_block, fused_update):
    """As weights_pass, for the first layer; the block's first example is at `place` of the order."""
    layer = network.table[0]
    out = network.parameters if fused_update else network.gradient
    factor = rate if fused_update else network.parameters.dtype.type(-1)
    scratch = work.scratch[rank * work.scratch_size : (rank + 1) * work.scratch_size]
    first, last = owned_rows(network.table, 0, rank, team)
    if layer[FROZEN] or first == last:
        return
    if first_block and not fused_update:
        clear(out, layer, first, last)
    subtract_sparse_gradient(out, work.buffer, examples, order, place, layer, factor, first, last, n_rows)
    if first == 0:
        subtract_bias_gradient(out, work.buffer, scratch[ZEROS:], layer, factor, n_rows)
