"""The first layer on sparse rows: the work is proportional to the numbers that are stored.

An example's numbers are examples.values[p] in columns examples.columns[p], for p from starts[i] to starts[i + 1].
"""

from __future__ import annotations

from .argument_types import Floats, Int64Matrix, Int64s, KernelTable, Scalar
from .forward import activate_hidden, add_partial_sums
from .gather import example_at
from .intrinsics import multiply_add
from .jit import kernel
from .layout import (
    BIASES,
    COLUMNS,
    DELTAS,
    FROZEN,
    INPUT_CHUNKS,
    LD,
    N_IN,
    OUTPUTS,
    PARTIAL_STRIDE,
    PARTIAL_SUMS,
    WEIGHTS,
    ZEROS,
    Examples,
    NetworkView,
    Workspace,
    chunk_of,
)
from .registry import Slot, linked_kernel
from .weight_gradient import clear_gradient, owned_rows, subtract_bias_gradient


@linked_kernel(Slot.SPARSE_FORWARD, (Floats, Floats, Int64Matrix, Examples, Int64s, int, int, int, KernelTable))
def sparse_forward(buffer, parameters, table, examples, order, position, first, last, kernel_table):
    """Compute buffer[OUTPUTS]: rows first..last of the first layer's activations; row `first` is at `position`.

    z = b + the sum of x_k W_k over the example's stored numbers, in the order in which they are stored; in chunks as
    in weighted_inputs.
    """
    layer = table[0]
    columns, ld = layer[COLUMNS], layer[LD]
    has_chunks = layer[PARTIAL_SUMS] >= 0
    b = parameters[layer[BIASES] : layer[BIASES] + columns]
    for r in range(first, last):
        z = buffer[layer[OUTPUTS] + r * ld : layer[OUTPUTS] + r * ld + columns]
        for j in range(columns):
            z[j] = b[j]
        for chunk in range(INPUT_CHUNKS - 1 if has_chunks else 0):
            sums = layer[PARTIAL_SUMS] + chunk * layer[PARTIAL_STRIDE] + r * ld
            buffer[sums : sums + columns] = 0
        i = example_at(order, position + r - first)
        for p in range(examples.starts[i], examples.starts[i + 1]):
            x, k = examples.values[p], examples.columns[p]
            chunk = chunk_of(layer[N_IN], k) if has_chunks else 0
            out = layer[PARTIAL_SUMS] + (chunk - 1) * layer[PARTIAL_STRIDE] if chunk else layer[OUTPUTS]
            total = buffer[out + r * ld : out + r * ld + columns]
            w = parameters[layer[WEIGHTS] + k * ld : layer[WEIGHTS] + k * ld + columns]
            for j in range(columns):
                total[j] = multiply_add(x, w[j], total[j])
    if has_chunks:
        add_partial_sums(buffer, layer, first, last)
    if len(table) > 1:
        activate_hidden(buffer, parameters, layer, first, last, kernel_table)


@kernel
def subtract_sparse_gradient(out, buffer, examples, order, position, layer, rate, first, last, n_rows):
    """Update out[WEIGHTS]: W_k less rate * x_k delta, for the rows k in first..last that the block's examples use."""
    columns, ld = layer[COLUMNS], layer[LD]
    for r in range(n_rows):
        delta = buffer[layer[DELTAS] + r * ld : layer[DELTAS] + r * ld + columns]
        i = example_at(order, position + r)
        for p in range(examples.starts[i], examples.starts[i + 1]):
            k = examples.columns[p]
            if first <= k < last:
                factor = -rate * examples.values[p]
                w = out[layer[WEIGHTS] + k * ld : layer[WEIGHTS] + k * ld + columns]
                for j in range(columns):
                    w[j] = multiply_add(factor, delta[j], w[j])


@linked_kernel(
    Slot.SPARSE_GRADIENT_PASS, (NetworkView, Workspace, Examples, Int64s, int, Scalar, int, int, int, int, int)
)
def sparse_gradient_pass(
    network, work, examples, order, position, rate, n_rows, thread, team_size, first_block, fused_update
):
    """Update the parameters or the gradient of the first layer, as weight_gradient_pass does.

    The block's first example is at `position` of the order.
    """
    layer = network.table[0]
    out = network.parameters if fused_update else network.gradient
    factor = rate if fused_update else network.parameters.dtype.type(-1)
    scratch = work.scratch[thread * work.scratch_size : (thread + 1) * work.scratch_size]
    first, last = owned_rows(network.table, 0, thread, team_size)
    if layer[FROZEN] or first == last:
        return
    if first_block and not fused_update:
        clear_gradient(out, layer, first, last, 0, layer[COLUMNS])
    subtract_sparse_gradient(out, work.buffer, examples, order, position, layer, factor, first, last, n_rows)
    if first == 0:
        subtract_bias_gradient(out, work.buffer, scratch[ZEROS:], layer, factor, 0, layer[COLUMNS], n_rows)
