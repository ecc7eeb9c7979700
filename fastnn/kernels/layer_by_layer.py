"""The phase by example of a block in which wide layers are split by columns of W: one layer after the other.

A thread that takes examples reads all of W, of which the other threads wrote their parts a moment ago. In a layer that
is split by columns each thread owns some of the neurons instead, for every example of the block: their weights, z,
activations, derivatives, deltas and updates. What crosses between processors is then the activations below, and in the
delta of the layer below the other threads' part of some rows of W. Every sum keeps its order.

Which layers are split is said by the layer table: it depends on the layer and the batch, never on the threads.
"""

from __future__ import annotations

from .argument_types import Int64s
from .backward import backward
from .barrier import barrier_wait
from .forward import forward_layer
from .gather import CSR, gather_factors, gather_rows, gather_targets
from .image_distortion import distort_examples
from .jit import kernel
from .layout import (
    ACTIVATION,
    BY_COLUMNS,
    COLUMNS,
    DELTAS,
    GRADIENT_INPUTS,
    LD,
    LD_IN,
    N_GATHERED,
    N_OUT,
    OUTPUTS,
    Examples,
    NetworkView,
    StochasticRegularization,
    Workspace,
)
from .losses import count_correct, output_deltas
from .registry import Slot, call, linked_kernel
from .sparse import sparse_forward
from .stochastic_regularization import drop_hidden, perturb_examples
from .weight_gradient import owned_columns, partition_start

GATHER = -1  # the stage before that of the first layer


@kernel
def gather_targets_and_factors(network, work, examples, order, start, total, first, last):
    """Compute, in `work`, rows first..last of a block: targets and factors."""
    top = network.table[len(network.table) - 1]
    n_rows, n_out, ld = last - first, top[N_OUT], top[LD]
    gather_targets(work.targets[first * ld : last * ld], examples, order, start + first, n_rows, n_out, ld)
    gather_factors(work.row_factor[first:last], examples, order, start + first, n_rows, total)


@kernel
def gather_examples(network, work, examples, order, start, total, first, last, stochastic_regularization, epoch):
    """Compute, in `work`, rows first..last of a block: inputs, targets and factors, perturbed as training does it."""
    table, buffer = network.table, work.buffer
    bottom, top = table[0], table[len(table) - 1]
    ld, ld_in = top[LD], bottom[LD_IN]
    if examples.kind != CSR:
        inputs = buffer[bottom[GRADIENT_INPUTS] + first * ld_in : bottom[GRADIENT_INPUTS] + last * ld_in]
        call(
            network.kernel_table, gather_rows,
            inputs, examples.inputs, examples.kind, examples.stride, examples.scale, order, start + first, last - first,
            examples.prefetch_distance, bottom[N_GATHERED], ld_in,
        )  # fmt: skip
    gather_targets_and_factors(network, work, examples, order, start, total, first, last)
    if stochastic_regularization.image_height > 0:
        call(
            network.kernel_table, distort_examples,
            buffer, table, stochastic_regularization, epoch, start + first, first, last,
        )  # fmt: skip
    if (
        stochastic_regularization.dropout
        or stochastic_regularization.input_noise > 0
        or stochastic_regularization.label_smoothing > 0
    ):
        call(
            network.kernel_table, perturb_examples,
            buffer, work.targets[first * ld : last * ld], table, stochastic_regularization, epoch, start + first,
            first, last,
        )  # fmt: skip


@kernel
def forward_training_layer(
    network, work, examples, order, start, index, first, last, left, right, stochastic_regularization, epoch
):
    """Compute, in `work`, rows first..last and columns left..right of layer `index`, with dropout; z of the output's.

    Sparse inputs take all columns.
    """
    buffer, table = work.buffer, network.table
    if index == 0 and examples.kind == CSR:
        call(
            network.kernel_table, sparse_forward,
            buffer, network.parameters, table, examples, order, start + first, first, last, network.kernel_table,
        )  # fmt: skip
    else:
        forward_layer(buffer, network.parameters, table, index, first, last, left, right, network.kernel_table)
    if stochastic_regularization.dropout:
        call(
            network.kernel_table, drop_hidden,
            buffer, table, index, stochastic_regularization, epoch, start + first, first, last, left, right,
        )  # fmt: skip


@kernel
def compute_losses(network, work, first, last):
    """Compute, in `work`, rows first..last of the output layer from z: activations, losses, deltas, correct answers."""
    table, buffer = network.table, work.buffer
    top = table[len(table) - 1]
    n_rows, n_out, ld = last - first, top[N_OUT], top[LD]
    targets = work.targets[first * ld : last * ld]
    a = buffer[top[OUTPUTS] + first * ld : top[OUTPUTS] + last * ld]
    delta = buffer[top[DELTAS] + first * ld : top[DELTAS] + last * ld]
    call(
        network.kernel_table, output_deltas,
        a, delta, work.row_loss[first:last], targets, work.row_factor[first:last], network.loss,
        network.loss_parameters, top[ACTIVATION], n_rows, n_out, ld, network.kernel_table,
    )  # fmt: skip
    count_correct(work.row_correct[first:last], a, targets, n_rows, n_out, ld)


@linked_kernel(
    Slot.FORWARD_STAGE,
    (
        NetworkView, Workspace, Examples, Int64s, int, float, int, int, int, int, int, StochasticRegularization, int,
    ),
)  # fmt: skip
def forward_stage(
    network, work, examples, order, start, total, index, first, last, left, right, stochastic_regularization, epoch
):
    """Compute, in `work`, one thread's part of layer `index` for a block, or of what comes before the first layer.

    order[start] is the block's first example, in the order of `epoch`; total: the sum of the batch's weights.
    """
    if index == GATHER:
        gather_examples(network, work, examples, order, start, total, first, last, stochastic_regularization, epoch)
    else:
        forward_training_layer(
            network, work, examples, order, start, index, first, last, left, right, stochastic_regularization, epoch
        )
    if index == len(network.table) - 1:
        compute_losses(network, work, first, last)


@kernel
def split_by_columns(table):
    """Return whether any layer is split by columns."""
    found = False
    for index in range(len(table)):
        found = found or table[index, BY_COLUMNS] > 0
    return found


@kernel
def owned_activations(table, index, itemsize, n_rows, thread, team_size):
    """Return the ranges of rows and of columns of a layer's activations that a thread computes."""
    if index >= 0 and table[index, BY_COLUMNS]:
        left, right = owned_columns(table[index], itemsize, thread, team_size)
        return 0, n_rows, left, right
    columns = table[max(index, 0), COLUMNS]
    return partition_start(n_rows, thread, team_size), partition_start(n_rows, thread + 1, team_size), 0, columns


@kernel
def examples_layer_by_layer(
    network, work, examples, order, start, weight, n_rows, stochastic_regularization, epoch,
    barrier, thread, team_size, barrier_count,
):  # fmt: skip
    """Compute, in `work`, one thread's part of all layers' activations and deltas of a block.

    Between two layers of which one is split by columns, a barrier. Return the next one's number.
    """
    table, itemsize = network.table, work.buffer.itemsize
    scratch = work.scratch[thread * work.scratch_size : (thread + 1) * work.scratch_size]
    by_columns = 0
    for index in range(GATHER, len(table)):
        below, by_columns = by_columns, table[index, BY_COLUMNS] if index >= 0 else 0
        if below or by_columns:
            barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
        first, last, left, right = owned_activations(table, index, itemsize, n_rows, thread, team_size)
        if first < last and left < right and weight > 0:
            call(
                network.kernel_table, forward_stage,
                network, work, examples, order, start, weight, index, first, last, left, right,
                stochastic_regularization, epoch,
            )  # fmt: skip
    for index in range(len(table) - 1, 0, -1):
        if table[index, BY_COLUMNS] or table[index - 1, BY_COLUMNS]:
            barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
        first, last, left, right = owned_activations(table, index - 1, itemsize, n_rows, thread, team_size)
        if first < last and left < right and weight > 0:
            call(
                network.kernel_table, backward,
                work.buffer, scratch, network.parameters, table, index, index, first, last, left, right,
                network.kernel_table,
            )  # fmt: skip
    return barrier_count
