"""Gradients with respect to the inputs: deltas are carried one layer further than training needs them."""

from __future__ import annotations

from numba import prange

from .activations import SOFTMAX
from .argument_types import Floats, Int64Matrix, Int64s
from .backward import ALL_COLUMNS, backward, delta_below
from .barrier import join_team
from .gather import gather_rows
from .intrinsics import flush_subnormals, restore_mode
from .jit import entry, kernel, parallel_entry
from .layout import (
    ACTIVATION,
    COLUMNS,
    DELTAS,
    GRADIENT_INPUTS,
    INPUT_SCALES,
    LD,
    LD_IN,
    N_IN,
    N_OUT,
    OUTPUTS,
    Examples,
    NetworkView,
    StochasticRegularization,
    Workspace,
)
from .predict import forward_rows
from .registry import Slot, call, linked_kernel
from .train_loop import forward_examples


@kernel
def deltas_of_outputs(a, delta, outputs, activation, n_rows, n_out, ld):
    """Compute delta: (n_rows, ld) da_j/dz_k of one output j = outputs[r] of each row, from a and delta = f'(z).

    For softmax it is a_j (1 - a_j), as a product of sums of positive numbers, and -a_j a_k.
    """
    zero = a.dtype.type(0)
    for r in range(n_rows):
        out, d = a[r * ld : r * ld + n_out], delta[r * ld : (r + 1) * ld]
        j = outputs[r]
        if activation == SOFTMAX:
            others = zero
            for k in range(n_out):
                others += out[k] if k != j else zero
                d[k] = -out[j] * out[k]
            d[j] = out[j] * others
        else:
            for k in range(n_out):
                d[k] = d[k] if k == j else zero
        d[n_out:] = zero


@kernel
def fill_input_factors(buffer, parameters, layer, below, scale, first, last):
    """Compute buffer[DELTAS] of `below`: rows first..last of what each input is multiplied with, 0 in the padding."""
    n_in, ld = layer[N_IN], layer[LD_IN]
    factor = buffer.dtype.type(scale)
    for r in range(first, last):
        row = buffer[below[DELTAS] + r * ld : below[DELTAS] + (r + 1) * ld]
        row[:n_in] = factor
        row[n_in:] = 0
        if layer[INPUT_SCALES] >= 0:
            scales = parameters[layer[INPUT_SCALES] : layer[INPUT_SCALES] + n_in]
            for k in range(n_in):
                row[k] *= scales[k]


@linked_kernel(
    Slot.INPUT_GRADIENT_ROWS,
    (Floats, NetworkView, Workspace, Examples, Int64s, Int64Matrix, int, int, int, int, int),
)
def input_gradient_rows(
    out, network, work, examples, outputs, inputs_layer, first, last, first_block_row, block, thread
):
    """Compute out: (n * n_in,) gradients with respect to the inputs of rows first..last, `block` of them at a time.

    outputs: (n,) the output of each row that is differentiated; empty: each row's loss is. inputs_layer: (1, N_FIELDS)
    the first layer's row of the table, but with the inputs' COLUMNS and, as DELTAS, the place of its inputs, which are
    not needed any more when their deltas are computed.
    """
    mode = flush_subnormals()
    table, buffer, kernel_table = network.table, work.buffer, network.kernel_table
    bottom, top, below = table[0], table[len(table) - 1], inputs_layer[0]
    n_in, n_out, ld, ld_in = bottom[N_IN], top[N_OUT], top[LD], bottom[LD_IN]
    scratch = work.scratch[thread * work.scratch_size : (thread + 1) * work.scratch_size]
    nothing = work.scratch[:0]
    unperturbed = StochasticRegularization(
        0, nothing, 0, 0, 0, 0.0, 0.0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, nothing, nothing, 0
    )  # fmt: skip
    row, no_order = first_block_row, outputs[:0]
    for start in range(first, last, block):
        n_rows = min(block, last - start)
        end = row + n_rows
        if len(outputs):
            x = buffer[bottom[GRADIENT_INPUTS] + row * ld_in : bottom[GRADIENT_INPUTS] + end * ld_in]
            call(
                kernel_table, gather_rows,
                x, examples.inputs, examples.kind, examples.stride, examples.scale, no_order, start, n_rows, 0,
                n_in, ld_in,
            )  # fmt: skip
            call(kernel_table, forward_rows, buffer, network.parameters, table, 0, row, end, kernel_table)
            a = buffer[top[OUTPUTS] + row * ld : top[OUTPUTS] + end * ld]
            delta = buffer[top[DELTAS] + row * ld : top[DELTAS] + end * ld]
            deltas_of_outputs(a, delta, outputs[start : start + n_rows], top[ACTIVATION], n_rows, n_out, ld)
        else:
            call(
                kernel_table, forward_examples,
                network, work, examples, no_order, start - row, 1.0, row, end, 0, unperturbed, 0,
            )  # fmt: skip
        call(
            kernel_table, backward,
            buffer, scratch, network.parameters, table, len(table) - 1, 1, row, end, 0, ALL_COLUMNS,
            kernel_table,
        )  # fmt: skip
        fill_input_factors(buffer, network.parameters, bottom, below, examples.scale, row, end)
        delta_below(
            buffer, scratch, network.parameters, bottom, below[DELTAS], -1, row, end, 0, below[COLUMNS], kernel_table
        )
        for r in range(n_rows):
            gradient = buffer[below[DELTAS] + (row + r) * ld_in : below[DELTAS] + (row + r) * ld_in + n_in]
            for k in range(n_in):
                out[(start + r) * n_in + k] = gradient[k]
    restore_mode(mode)


@kernel
def join_and_differentiate(out, network, work, examples, outputs, inputs_layer, block, barrier, n_threads):
    """Compute out, as input_gradient_rows, of this thread's range of rows, in a part of the buffer's block."""
    thread, team_size = join_team(barrier, n_threads, 1)
    if team_size > 0:
        size, n_rows = block // team_size, examples.n_rows
        first, last = n_rows * thread // team_size, n_rows * (thread + 1) // team_size
        call(
            network.kernel_table, input_gradient_rows,
            out, network, work, examples, outputs, inputs_layer, first, last, thread * size, size, thread,
        )  # fmt: skip


@entry
def input_gradients_member(out, network, work, examples, outputs, inputs_layer, block, barrier, n_threads):
    """Compute out as one of `n_threads` threads of Python, each of which makes this call."""
    join_and_differentiate(out, network, work, examples, outputs, inputs_layer, block, barrier, n_threads)


@parallel_entry
def input_gradients(out, network, work, examples, outputs, inputs_layer, block, barrier, n_threads):
    """Compute out, as input_gradient_rows; each thread takes a range of rows and a part of the buffer's block."""
    for _ in prange(n_threads):
        join_and_differentiate(out, network, work, examples, outputs, inputs_layer, block, barrier, n_threads)
