"""Whole epochs: shuffle, batches of two phases each (by example, then by weight), validation, records."""

from __future__ import annotations

import math

from numba import prange

from .backward import backward
from .barrier import barrier_wait, join_team
from .forward import forward_layer
from .gather import CSR, example_at, gather_factors, gather_rows, gather_targets, sum_of_weights
from .intrinsics import call_at, random_below
from .jit import entry, kernel, parallel_entry, piece
from .layout import (
    ACTIVATION,
    BACKWARD,
    BIASES,
    CACHE_LINE,
    CLIPPED_PASS,
    DELTAS,
    DISTORT,
    DROP,
    EXAMPLES,
    FROZEN,
    GATHER,
    INPUTS,
    LD,
    LD_IN,
    LIMITS_PASS,
    N_IN,
    N_OUT,
    NEXT_STEP,
    ORDER_EPOCH,
    OUTPUT,
    OUTPUTS,
    PENALTY_PASS,
    RULE_PASS,
    SPARSE_FORWARD,
    SPARSE_PASS,
    STEPS,
    STOPPED,
    WEIGHT_PASS,
    WEIGHTS,
    ZEROS,
    StepRange,
    StochasticRegularization,
)
from .losses import count_correct, output_deltas
from .optimizer_steps import STRETCH, clip_scale, descend_layer, limit_norms, prepare_gradient, sum_stretches
from .sparse import sparse_forward, sparse_pass
from .stochastic_regularization import distort, drop_hidden
from .weight_gradient import clear, owned_rows, subtract_bias_gradient, subtract_weight_gradient


@kernel
def shuffle(order, seed, epoch):
    """order: (n,) a permutation of 0..n-1 that depends on (seed, epoch) alone (Fisher and Yates)."""
    for i in range(len(order)):
        order[i] = i
    for i in range(len(order) - 1, 0, -1):
        j = random_below(seed, epoch, i, i + 1)
        order[i], order[j] = order[j], order[i]


@piece
def examples_forward(network, work, examples, order, start, total, first, last, distortion, epoch):
    """Rows first..last of a block: inputs, activations, losses, and the deltas of the output layer.

    `order[start]` is the block's first example, in the order of `epoch`; total: the weights of the whole batch.
    """
    table, numbers = network.table, work.buffer
    bottom, top = table[0], table[len(table) - 1]
    n_rows, n_out, ld, ld_in = last - first, top[N_OUT], top[LD], bottom[LD_IN]
    if examples.kind != CSR:
        inputs = numbers[bottom[INPUTS] + first * ld_in : bottom[INPUTS] + last * ld_in]
        call_at(
            network.kernel_table[GATHER], gather_rows,
            inputs, examples.inputs, examples.kind, examples.stride, examples.scale, order, start + first, n_rows,
            examples.prefetch_distance, bottom[N_IN], ld_in,
        )  # fmt: skip
    targets = work.targets[first * ld : last * ld]
    gather_targets(targets, examples, order, start + first, n_rows, n_out, ld)
    factors = work.row_factor[first:last]
    gather_factors(factors, examples, order, start + first, n_rows, total)
    if distortion.dropout or distortion.input_noise > 0 or distortion.label_smoothing > 0:
        call_at(
            network.kernel_table[DISTORT], distort,
            numbers, targets, table, distortion, epoch, start + first, first, last,
        )  # fmt: skip
    for number in range(len(table)):
        if number == 0 and examples.kind == CSR:
            call_at(
                network.kernel_table[SPARSE_FORWARD], sparse_forward,
                numbers, network.parameters, table, examples, order, start + first, first, last, network.kernel_table,
            )  # fmt: skip
        else:
            forward_layer(numbers, network.parameters, table, number, first, last, network.kernel_table)
        if distortion.dropout:
            call_at(
                network.kernel_table[DROP], drop_hidden,
                numbers, table, number, distortion, epoch, start + first, first, last,
            )  # fmt: skip
    a = numbers[top[OUTPUTS] + first * ld : top[OUTPUTS] + last * ld]
    delta = numbers[top[DELTAS] + first * ld : top[DELTAS] + last * ld]
    row_loss = work.row_loss[first:last]
    call_at(
        network.kernel_table[OUTPUT], output_deltas,
        a, delta, row_loss, targets, factors, network.loss, network.loss_parameter, top[ACTIVATION],
        n_rows, n_out, ld, network.kernel_table,
    )  # fmt: skip
    count_correct(work.row_correct[first:last], a, targets, n_rows, n_out, ld)


@kernel
def add_records(sums, work, examples, order, start, n_rows, scale):
    """sums: (3,) plus the block's losses, weights and correct rows, in the order of its rows; scale: of the weights."""
    for r in range(n_rows):
        weight = float(examples.weights[example_at(order, start + r)]) * scale if len(examples.weights) else 1.0
        sums[0] += weight * float(work.row_loss[r])
        sums[1] += weight
        sums[2] += weight * float(work.row_correct[r])


@piece
def weights_pass(network, work, rate, n_rows, rank, team, lowest, first_block, fused_update):
    """One thread's share of the weights of layers `lowest` and above: the slope over a block of rows.

    fused_update: the step down it goes into the parameters at once; else it is gathered in `gradient`.
    """
    table = network.table
    out = network.parameters if fused_update else network.gradient
    factor = rate if fused_update else network.parameters.dtype.type(-1)
    scratch = work.scratch[rank * work.scratch_size + ZEROS : (rank + 1) * work.scratch_size]
    for number in range(lowest, len(table)):
        layer = table[number]
        first, last = owned_rows(table, number, rank, team)
        if first == last or layer[FROZEN]:
            continue
        if first_block and not fused_update:
            clear(out, layer, first, last)
        subtract_weight_gradient(out, work.buffer, scratch, layer, factor, first, last, n_rows)
        if first == 0:
            subtract_bias_gradient(out, work.buffer, scratch, layer, factor, n_rows)


@piece
def penalty_pass(network, work, rule, rank, team):
    """rule.norms: one thread's share of the sums of squared weights, in stretches; of no biases."""
    lanes = work.scratch[rank * work.scratch_size + ZEROS : (rank + 1) * work.scratch_size]
    begun = 0
    for layer in network.table:
        w = network.parameters[layer[WEIGHTS] : layer[BIASES]]
        count = stretches(layer)
        first, last = share(count, rank, team), share(count, rank + 1, team)
        sum_stretches(rule.norms[begun : begun + count], w, lanes, first, last)
        begun += count


@kernel
def stretches(layer):
    """Stretches into which the weights of a layer are cut."""
    return (layer[BIASES] - layer[WEIGHTS] + STRETCH - 1) // STRETCH


@piece
def rule_pass(network, rule, rate, rank, team, step, weight):
    """One thread's share of all weights: the step by the rule down `gradient`; where it is clipped, its norm alone.

    weight: the sum of the batch's weights.
    """
    table = network.table
    norms = 0
    for number in range(len(table)):
        layer = table[number]
        first, last = owned_rows(table, number, rank, team)
        norms += layer[N_IN] + 1
        if first < last and not layer[FROZEN]:
            prepare_gradient(network, rule, layer, rule.norms[norms - layer[N_IN] - 1 : norms], weight, first, last)
            if rule.clip_norm == 0:
                descend_layer(network, rule, layer, rate, 1.0, step, weight, first, last)


@piece
def clipped_pass(network, rule, rate, rank, team, step):
    """One thread's share of all weights: the step down a slope that is scaled to the norm allowed."""
    scale = clip_scale(rule)
    for number in range(len(network.table)):
        first, last = owned_rows(network.table, number, rank, team)
        if first < last and not network.table[number, FROZEN]:
            descend_layer(network, rule, network.table[number], rate, scale, step, 1.0, first, last)


@piece
def limits_pass(network, work, rule, rank, team):
    """One thread's share of all neurons: the weights into each, no longer than the rule allows."""
    scratch = work.scratch[rank * work.scratch_size + ZEROS : (rank + 1) * work.scratch_size]
    for number in range(len(network.table)):
        layer = network.table[number]
        if not layer[FROZEN]:
            first, last = share(layer[N_OUT], rank, team), share(layer[N_OUT], rank + 1, team)
            limit_norms(network.parameters, scratch, layer, rule.max_norm, first, last)


@kernel
def share(n_rows, rank, team):
    """First row that thread `rank` takes of `n_rows`."""
    return n_rows * rank // team


@kernel
def evaluate(sums, no_order, network, work, examples, undisturbed, sync, rank, team, barrier_count):
    """sums: (3,) of loss, weight and hits over all examples; the number of the next meeting."""
    if rank == 0:
        sums[:] = 0
    for start in range(0, examples.n_rows, work.block):
        n_rows = min(work.block, examples.n_rows - start)
        first, last = share(n_rows, rank, team), share(n_rows, rank + 1, team)
        if first < last:
            call_at(
                network.kernel_table[EXAMPLES],
                examples_forward,
                network,
                work,
                examples,
                no_order,
                start,
                1.0,
                first,
                last,
                undisturbed,
                0,
            )
        barrier_count = barrier_wait(sync, rank, team, barrier_count)
        if rank == 0:
            add_records(sums, work, examples, no_order, start, n_rows, 1.0)
        barrier_count = barrier_wait(sync, rank, team, barrier_count)
    return barrier_count


@kernel
def penalty(rule):
    """l2 / 2 * the sum of all squared weights, times what it counts in the loss."""
    total = 0.0
    for part in rule.norms:
        total += part
    return 0.5 * rule.l2 * rule.penalty_per_batch * total


@kernel
def train_batch(
    network,
    work,
    examples,
    records,
    rate,
    start,
    size,
    plan,
    rule,
    distortion,
    epoch,
    step,
    sync,
    rank,
    team,
    barrier_count,
):
    """One step: for each block of the batch the phase by example, then the phase by weight."""
    scratch = work.scratch[rank * work.scratch_size : (rank + 1) * work.scratch_size]
    weight = sum_of_weights(examples, records.order, start, size)
    sparse = 1 if examples.kind == CSR else 0
    if rule.penalty_per_batch > 0:
        call_at(network.kernel_table[PENALTY_PASS], penalty_pass, network, work, rule, rank, team)
    for offset in range(0, size, work.block):
        n_rows = min(work.block, size - offset)
        first, last = share(n_rows, rank, team), share(n_rows, rank + 1, team)
        if first < last and weight > 0:
            call_at(
                network.kernel_table[EXAMPLES], examples_forward,
                network, work, examples, records.order, start + offset, weight, first, last,
                distortion, epoch,
            )  # fmt: skip
            call_at(
                network.kernel_table[BACKWARD], backward,
                work.buffer, scratch, network.parameters, network.table, first, last,
            )  # fmt: skip
        barrier_count = barrier_wait(sync, rank, team, barrier_count)
        if weight > 0:
            last_block = offset + n_rows == size
            fused_update = offset == 0 and last_block and plan.update and rule.plain
            if sparse:
                call_at(
                    network.kernel_table[SPARSE_PASS], sparse_pass,
                    network, work, examples, records.order, start + offset, rate, n_rows, rank, team,
                    int(offset == 0), int(fused_update),
                )  # fmt: skip
            call_at(
                network.kernel_table[WEIGHT_PASS], weights_pass,
                network, work, rate, n_rows, rank, team, sparse, int(offset == 0), int(fused_update),
            )  # fmt: skip
            if last_block and plan.update and not fused_update:
                call_at(network.kernel_table[RULE_PASS], rule_pass, network, rule, rate, rank, team, step, weight)
            if rank == 0:
                scale = size / weight if rule.penalty_per_batch > 0 and weight > 0 else 1.0
                add_records(records.sums, work, examples, records.order, start + offset, n_rows, scale)
                if rule.penalty_per_batch > 0 and offset == 0:
                    records.sums[0] += penalty(rule) * scale
                if plan.stop_on_nan and not math.isfinite(records.sums[0]):
                    records.state[STOPPED] = 1
        barrier_count = barrier_wait(sync, rank, team, barrier_count)
    if weight > 0 and plan.update and rule.clip_norm > 0:
        call_at(network.kernel_table[CLIPPED_PASS], clipped_pass, network, rule, rate, rank, team, step)
        barrier_count = barrier_wait(sync, rank, team, barrier_count)
    if weight > 0 and plan.update and rule.max_norm > 0:
        call_at(network.kernel_table[LIMITS_PASS], limits_pass, network, work, rule, rank, team)
        barrier_count = barrier_wait(sync, rank, team, barrier_count)
    return barrier_count


@entry
def train_steps(network, work, examples, validation, plan, rule, distortion, records, sync, rank, team):
    """One thread's part of steps first..last; of no step: of the loss over the validation examples.

    Thread 0 keeps the records.
    """
    n = examples.n_rows
    steps = (n + plan.batch_size - 1) // plan.batch_size
    state = records.state
    barrier_count = 1
    undisturbed = StochasticRegularization(0, 0.0, 0.0, 0)
    if plan.first == plan.last:
        evaluate(
            records.sums, records.order[:0], network, work, validation, undisturbed, sync, rank, team, barrier_count
        )
    for step in range(plan.first, plan.last):
        epoch, batch = step // steps, step % steps
        if state[ORDER_EPOCH] != epoch:
            barrier_count = barrier_wait(sync, rank, team, barrier_count)
            if rank == 0:
                if plan.shuffle:
                    shuffle(records.order, plan.seed, plan.start_epoch + epoch)
                state[ORDER_EPOCH] = epoch
            barrier_count = barrier_wait(sync, rank, team, barrier_count)
        start = batch * plan.batch_size
        size = min(plan.batch_size, n - start)
        rate = records.learning_rates[step - plan.first]
        barrier_count = train_batch(
            network, work, examples, records, rate, start, size, plan, rule, distortion, plan.start_epoch + epoch,
            rule.steps_before + step + 1, sync, rank, team, barrier_count,
        )  # fmt: skip
        row = epoch - plan.first // steps
        if batch == steps - 1 and state[STOPPED] == 0:
            if rank == 0:
                sums = records.sums
                records.history[row, 0] = sums[0] / sums[1]
                records.history[row, 1] = sums[2] / sums[1]
            if validation.n_rows > 0:
                barrier_count = barrier_wait(sync, rank, team, barrier_count)
                barrier_count = evaluate(
                    records.sums,
                    records.order[:0],
                    network,
                    work,
                    validation,
                    undisturbed,
                    sync,
                    rank,
                    team,
                    barrier_count,
                )
            if rank == 0:
                sums = records.sums
                if validation.n_rows > 0:
                    records.history[row, 2] = sums[0] / sums[1]
                    records.history[row, 3] = sums[2] / sums[1]
                sums[:] = 0
            barrier_count = barrier_wait(sync, rank, team, barrier_count)
        if rank == 0:
            state[NEXT_STEP] = step + 1
        if state[STOPPED]:
            break


@entry
def batch_gradient(network, work, examples, records, start, size, rule, distortion, epoch, sync):
    """network.gradient: the slope of the examples at places start..start + size of records.order; records.sums: (3,).

    One thread's work for a training of many processes, which add their slopes up.
    """
    plan = StepRange(0, 1, size, 0, 0, 0, 0, 0)
    rate = network.parameters.dtype.type(0)
    train_batch(network, work, examples, records, rate, start, size, plan, rule, distortion, epoch, 1, sync, 0, 1, 1)


@entry
def apply_gradient(network, work, rule, rate, step):
    """network.parameters: one step by the rule down network.gradient."""
    call_at(network.kernel_table[RULE_PASS], rule_pass, network, rule, rate, 0, 1, step, 1.0)
    if rule.clip_norm > 0:
        call_at(network.kernel_table[CLIPPED_PASS], clipped_pass, network, rule, rate, 0, 1, step)
    if rule.max_norm > 0:
        call_at(network.kernel_table[LIMITS_PASS], limits_pass, network, work, rule, 0, 1)


@entry
def shuffle_rows(order, seed, epoch):
    """order: (n,) as `shuffle` of the same seed and epoch leaves it."""
    shuffle(order, seed, epoch)


@entry
def prefetch_rows(inputs, order, length):
    """Read a byte of each line of the rows in `order`, `length` bytes each, so that they are near when wanted."""
    total = 0
    for row in order:
        for byte in range(row * length, (row + 1) * length, CACHE_LINE):
            total += inputs[byte]
    return total


@parallel_entry
def train(network, work, examples, validation, plan, rule, distortion, records, sync, n_threads):
    """Steps first..last of a training, on up to `n_threads` threads that stay together for all of them."""
    for _ in prange(n_threads):
        rank, team = join_team(sync, n_threads)
        if team > 0:
            call_at(
                network.kernel_table[STEPS], train_steps,
                network, work, examples, validation, plan, rule, distortion, records, sync, rank, team,
            )  # fmt: skip
