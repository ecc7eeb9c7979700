"""Whole epochs: shuffle, batches of two phases each (by example, then by weight), validation, records."""

from __future__ import annotations

import math

from numba import prange

from .argument_types import Int64s
from .backward import ALL_COLUMNS, backward
from .barrier import (
    FIRST_BARRIER,
    FIRST_STEP,
    announce_growth,
    barrier_wait,
    begin_step,
    count_steps,
    end_team,
    join_team,
)
from .bfloat16_products import bfloat16_pack_examples
from .embedding_gradient import category_gradient_pass, embedding_deltas, embedding_gradient_pass
from .forward import activate_layer, add_partial_sums
from .gather import CSR, example_at, sum_of_weights
from .intrinsics import flush_subnormals, random_below, restore_mode
from .jit import entry, kernel, parallel_entry
from .layer_by_layer import (
    compute_losses,
    examples_layer_by_layer,
    forward_training_layer,
    gather_examples,
    gather_targets_and_factors,
    split_by_columns,
)
from .layout import (
    COLUMNS,
    EMBEDDING,
    INPUT_SCALES,
    NEXT_STEP,
    ORDER_EPOCH,
    PAIRS,
    STOPPED,
    VECTORS,
    Examples,
    NetworkView,
    Records,
    StepRange,
    StochasticRegularization,
    UpdateRule,
    Workspace,
)
from .registry import LINKED_KERNELS, Slot, call, declare_entry, linked_kernel
from .shared_inputs import multiply_share, shares_inputs
from .simd import CACHE_LINE
from .sparse import sparse_gradient_pass
from .update_passes import (
    clipped_update_pass,
    input_scales_pass,
    max_norm_pass,
    pack_weights_pass,
    penalty_pass,
    row_norms_pass,
    update_pass,
    weight_gradient_pass,
)
from .weight_gradient import owned_examples


@kernel
def shuffle(order, seed, epoch):
    """Write order: (n,) a permutation of 0..n-1 that depends on (seed, epoch) alone (Fisher and Yates)."""
    for i in range(len(order)):
        order[i] = i
    for i in range(len(order) - 1, 0, -1):
        j = random_below(seed, epoch, i, i + 1)
        order[i], order[j] = order[j], order[i]


@linked_kernel(
    Slot.FORWARD_EXAMPLES,
    (NetworkView, Workspace, Examples, Int64s, int, float, int, int, int, StochasticRegularization, int),
)
def forward_examples(
    network, work, examples, order, start, total, first, last, multiplied, stochastic_regularization, epoch
):
    """Compute, in `work`, rows first..last of a block: inputs, activations, losses, and the output layer's deltas.

    order[start] is the block's first example, in the order of `epoch`; total: the sum of the batch's weights.
    multiplied: 1 if the inputs and the sums over each chunk of them are there, see shared_inputs.py.
    """
    table = network.table
    if multiplied:
        gather_targets_and_factors(network, work, examples, order, start, total, first, last)
        add_partial_sums(work.buffer, table[0], first, last)
        activate_layer(
            work.buffer, network.parameters, table, 0, first, last, 0, table[0, COLUMNS], network.kernel_table
        )
    else:
        gather_examples(network, work, examples, order, start, total, first, last, stochastic_regularization, epoch)
    for index in range(multiplied, len(table)):
        forward_training_layer(
            network, work, examples, order, start, index, first, last, 0, table[index, COLUMNS],
            stochastic_regularization, epoch,
        )  # fmt: skip
    compute_losses(network, work, first, last)


@kernel
def add_block_sums(sums, work, examples, order, start, n_rows, scale):
    """Update sums: (3,) plus the block's losses, weights and correct answers, in the order of its rows.

    order[start] is the block's first example; scale: factor of the weights.
    """
    for r in range(n_rows):
        weight = float(examples.weights[example_at(order, start + r)]) * scale if len(examples.weights) else 1.0
        sums[0] += weight * float(work.row_loss[r])
        sums[1] += weight
        sums[2] += weight * float(work.row_correct[r])


@kernel
def evaluate(sums, no_order, network, work, examples, unperturbed, barrier, thread, team_size, barrier_count):
    """Compute sums: (3,) of loss, weight and correct answers over all examples; return the next barrier's number.

    no_order: an empty order; unperturbed: the StochasticRegularization that does nothing.
    """
    if thread == 0:
        sums[:] = 0
    for start in range(0, examples.n_rows, work.block):
        n_rows = min(work.block, examples.n_rows - start)
        first, last = owned_examples(network.table, n_rows, thread, team_size)
        if first < last:
            call(
                network.kernel_table, forward_examples,
                network, work, examples, no_order, start, 1.0, first, last, 0, unperturbed, 0,
            )  # fmt: skip
        barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
        if thread == 0:
            add_block_sums(sums, work, examples, no_order, start, n_rows, 1.0)
        barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
    return barrier_count


@kernel
def penalty_loss(rule):
    """Return l2 / 2 * the sum of all squared weights, times what it counts in the loss."""
    total = 0.0
    for chunk in rule.norms:
        total += chunk
    return 0.5 * rule.l2 * rule.penalty_per_batch * total


@kernel
def pack_weights(network, work, barrier, thread, team_size, barrier_count):
    """Compute, in work.buffer, the weights as the products of bfloat16 read them; return the next barrier's number."""
    if network.table[len(network.table) - 1, PAIRS] >= 0:
        call(network.kernel_table, pack_weights_pass, network, work, thread, team_size)
        barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
    return barrier_count


@kernel
def train_batch(
    network, work, examples, records, learning_rate, start, size, step_range, rule, stochastic_regularization, epoch,
    step, barrier, thread, team_size, barrier_count,
):  # fmt: skip
    """Update parameters: one step; for each block of the batch the phase by example, then the phase by weight.

    The batch is order[start..start + size]. Return the next barrier's number.
    """
    scratch = work.scratch[thread * work.scratch_size : (thread + 1) * work.scratch_size]
    weight = sum_of_weights(examples, records.order, start, size)
    sparse = 1 if examples.kind == CSR else 0
    by_columns = split_by_columns(network.table)
    periodic, categories = network.table[0, EMBEDDING] >= 0, network.table[0, VECTORS] >= 0
    embedded = periodic or categories
    rounded = network.table[len(network.table) - 1, PAIRS] >= 0
    packed = False
    if rule.penalty_per_batch > 0:
        call(network.kernel_table, penalty_pass, network, work, rule, thread, team_size)
    for offset in range(0, size, work.block):
        n_rows = min(work.block, size - offset)
        first, last = owned_examples(network.table, n_rows, thread, team_size)
        multiplied = not by_columns and shares_inputs(
            network.table[0], examples.kind, stochastic_regularization, n_rows, team_size
        )
        if multiplied and weight > 0:
            call(
                network.kernel_table, multiply_share,
                network, work, examples, records.order, start + offset, n_rows, thread, team_size,
            )  # fmt: skip
        if multiplied:
            barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
        if by_columns:
            barrier_count = examples_layer_by_layer(
                network, work, examples, records.order, start + offset, weight, n_rows, stochastic_regularization,
                epoch, barrier, thread, team_size, barrier_count,
            )  # fmt: skip
        elif first < last and weight > 0:
            call(
                network.kernel_table, forward_examples,
                network, work, examples, records.order, start + offset, weight, first, last, int(multiplied),
                stochastic_regularization, epoch,
            )  # fmt: skip
            call(
                network.kernel_table, backward,
                work.buffer, scratch, network.parameters, network.table, len(network.table) - 1, 1, first, last,
                0, ALL_COLUMNS, network.kernel_table,
            )  # fmt: skip
            if rounded:
                call(
                    network.kernel_table, bfloat16_pack_examples,
                    work.buffer, scratch, network.table, first, last, n_rows,
                )  # fmt: skip
        if embedded and first < last and weight > 0:
            call(
                network.kernel_table, embedding_deltas,
                work.buffer, scratch, network.parameters, network.table, first, last, network.kernel_table,
            )  # fmt: skip
        barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
        if thread == 0:
            announce_growth(barrier, team_size)
        if weight > 0:
            first_block, last_block = offset == 0, offset + n_rows == size
            scaled = network.table[0, INPUT_SCALES] >= 0
            fused_update = first_block and last_block and step_range.update and rule.plain and not (scaled or embedded)
            packed = fused_update
            if sparse:
                call(
                    network.kernel_table, sparse_gradient_pass,
                    network, work, examples, records.order, start + offset, learning_rate, n_rows, thread, team_size,
                    int(first_block), int(fused_update),
                )  # fmt: skip
            call(
                network.kernel_table, weight_gradient_pass,
                network, work, learning_rate, n_rows, thread, team_size, sparse, int(first_block), int(fused_update),
            )  # fmt: skip
            if periodic:
                call(
                    network.kernel_table, embedding_gradient_pass,
                    network, work, n_rows, thread, team_size, int(first_block),
                )  # fmt: skip
            if categories:
                call(
                    network.kernel_table, category_gradient_pass,
                    network, work, n_rows, thread, team_size, int(first_block),
                )  # fmt: skip
            if last_block and scaled:
                call(network.kernel_table, input_scales_pass, network, thread, team_size)
            if last_block and step_range.update and not fused_update:
                call(
                    network.kernel_table, update_pass,
                    network, rule, learning_rate, thread, team_size, step, weight,
                )  # fmt: skip
            if thread == 0:
                scale = size / weight if rule.penalty_per_batch > 0 and weight > 0 else 1.0
                add_block_sums(records.sums, work, examples, records.order, start + offset, n_rows, scale)
                if rule.penalty_per_batch > 0 and first_block:
                    records.sums[0] += penalty_loss(rule) * scale
                if step_range.stop_on_nan and not math.isfinite(records.sums[0]):
                    records.state[STOPPED] = 1
        barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
    if weight > 0 and step_range.update and rule.clip_norm > 0:
        if by_columns:
            call(network.kernel_table, row_norms_pass, network, rule, thread, team_size)
            barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
        call(network.kernel_table, clipped_update_pass, network, rule, learning_rate, thread, team_size, step)
        barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
    if weight > 0 and step_range.update and rule.max_norm > 0:
        call(network.kernel_table, max_norm_pass, network, work, rule, thread, team_size)
        barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
    if weight > 0 and step_range.update and not (packed and rule.max_norm == 0):
        barrier_count = pack_weights(network, work, barrier, thread, team_size, barrier_count)
    return barrier_count


@linked_kernel(
    Slot.TRAIN_STEPS,
    (
        NetworkView, Workspace, Examples, Examples, StepRange, UpdateRule, StochasticRegularization, Records, Int64s,
        int, int,
    ),
)  # fmt: skip
def train_steps(
    network,
    work,
    examples,
    validation,
    step_range,
    rule,
    stochastic_regularization,
    records,
    barrier,
    thread,
    team_size,
):
    """Train by one thread's part of steps first..last; of no step: compute the loss on the validation examples.

    A thread that joins late has a part of the later steps. Thread 0 keeps the records.
    """
    mode = flush_subnormals()
    n = examples.n_rows
    steps_per_epoch = step_range.steps_per_epoch
    state = records.state
    first_step, barrier_count = max(step_range.first, barrier[FIRST_STEP]), barrier[FIRST_BARRIER] + 1
    counted = step_range.first
    nothing = work.scratch[:0]
    unperturbed = StochasticRegularization(
        0, nothing, 0, 0, 0, 0.0, 0.0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, nothing, nothing, 0
    )  # fmt: skip
    if step_range.first == step_range.last:
        evaluate(
            records.sums, records.order[:0], network, work, validation, unperturbed,
            barrier, thread, team_size, barrier_count,
        )  # fmt: skip
    elif first_step == step_range.first:  # those that join later find the weights packed
        barrier_count = pack_weights(network, work, barrier, thread, team_size, barrier_count)
    for step in range(first_step, step_range.last):
        size_before = team_size
        team_size = begin_step(barrier, thread, team_size, step, barrier_count)
        if thread == 0 and team_size > size_before:
            count_steps(barrier, size_before, step - counted)
            counted = step
        epoch, batch = step // steps_per_epoch, step % steps_per_epoch
        if state[ORDER_EPOCH] != epoch:
            barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
            if thread == 0:
                if step_range.shuffle:
                    shuffle(records.order, step_range.seed, step_range.start_epoch + epoch)
                state[ORDER_EPOCH] = epoch
            barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
        start = batch * step_range.batch_size
        size = min(step_range.batch_size, n - start)
        learning_rate = records.learning_rates[step - step_range.first]
        barrier_count = train_batch(
            network, work, examples, records, learning_rate, start, size, step_range, rule, stochastic_regularization,
            step_range.start_epoch + epoch, rule.steps_before + step + 1, barrier, thread, team_size, barrier_count,
        )  # fmt: skip
        row = epoch - step_range.first // steps_per_epoch
        if batch == steps_per_epoch - 1 and state[STOPPED] == 0:
            if thread == 0:
                sums = records.sums
                records.history[row, 0] = sums[0] / sums[1]
                records.history[row, 1] = sums[2] / sums[1]
            if validation.n_rows > 0:
                barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
                barrier_count = evaluate(
                    records.sums, records.order[:0], network, work, validation, unperturbed,
                    barrier, thread, team_size, barrier_count,
                )  # fmt: skip
            if thread == 0:
                sums = records.sums
                if validation.n_rows > 0:
                    records.history[row, 2] = sums[0] / sums[1]
                    records.history[row, 3] = sums[2] / sums[1]
                sums[:] = 0
            barrier_count = barrier_wait(barrier, thread, team_size, barrier_count)
        if thread == 0:
            state[NEXT_STEP] = step + 1
        if state[STOPPED]:
            break
    if thread == 0 and step_range.last > step_range.first:
        count_steps(barrier, team_size, state[NEXT_STEP] - counted)
    restore_mode(mode)


@entry
def batch_gradient(network, work, examples, records, start, size, rule, stochastic_regularization, epoch, barrier):
    """Compute network.gradient: that of the examples records.order[start..start + size]; records.sums: (3,), added to.

    For one thread of a training of many processes, which add their gradients up.
    """
    mode = flush_subnormals()
    step_range = StepRange(0, 1, size, 0, 1, 0, 0, 0, 0)
    unused_rate = network.parameters.dtype.type(0)
    pack_weights(network, work, barrier, 0, 1, 1)
    train_batch(
        network, work, examples, records, unused_rate, start, size, step_range, rule, stochastic_regularization, epoch,
        1, barrier, 0, 1, 1,
    )  # fmt: skip
    restore_mode(mode)


@entry
def apply_gradient(network, work, rule, learning_rate, step):
    """Update network.parameters: one step by the rule down network.gradient."""
    mode = flush_subnormals()
    call(network.kernel_table, update_pass, network, rule, learning_rate, 0, 1, step, 1.0)
    if rule.clip_norm > 0:
        call(network.kernel_table, clipped_update_pass, network, rule, learning_rate, 0, 1, step)
    if rule.max_norm > 0:
        call(network.kernel_table, max_norm_pass, network, work, rule, 0, 1)
    restore_mode(mode)


@entry
def shuffle_rows(order, seed, epoch):
    """Write order: (n,) as `shuffle` leaves it for this seed and epoch."""
    shuffle(order, seed, epoch)


@entry
def prefetch_rows(inputs, order, length):
    """Read a byte of each cache line of the rows in `order`, `length` bytes each; return their sum, so that it happens.

    inputs: (bytes,) of all rows.
    """
    total = 0
    for row in order:
        for byte in range(row * length, (row + 1) * length, CACHE_LINE):
            total += inputs[byte]
    return total


@kernel
def join_and_train(
    network, work, examples, validation, step_range, rule, stochastic_regularization, records, barrier, n_threads
):
    """Train by this thread's part of steps first..last, in the team that it joins; parameters and records change."""
    thread, team_size = join_team(barrier, n_threads, step_range.last - step_range.first)
    if team_size > 0:
        call(
            network.kernel_table, train_steps,
            network, work, examples, validation, step_range, rule, stochastic_regularization, records,
            barrier, thread, team_size,
        )  # fmt: skip
        if thread == 0:
            end_team(barrier)


@entry
def train_member(
    network, work, examples, validation, step_range, rule, stochastic_regularization, records, barrier, n_threads
):
    """Train as one of `n_threads` threads of Python, each of which makes this call; parameters and records change."""
    join_and_train(
        network, work, examples, validation, step_range, rule, stochastic_regularization, records, barrier, n_threads
    )


@parallel_entry
def train(
    network, work, examples, validation, step_range, rule, stochastic_regularization, records, barrier, n_threads
):
    """Train for steps first..last, on up to `n_threads` threads that stay together; parameters and records change."""
    for _ in prange(n_threads):
        join_and_train(
            network, work, examples, validation, step_range, rule, stochastic_regularization, records,
            barrier, n_threads,
        )  # fmt: skip


for team_kernel in (train_member, train):
    declare_entry(team_kernel, (*LINKED_KERNELS[train_steps].signature[:-2], int))
