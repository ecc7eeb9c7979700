"""Passes over the parameters: what each thread does, after the examples, to its own part of the weights."""

from __future__ import annotations

from .argument_types import Scalar
from .bfloat16_products import bfloat16_pack_weights, bfloat16_weight_gradient
from .embedding_gradient import owned_embeddings, owned_vectors
from .jit import kernel
from .layout import (
    BIASES,
    BY_COLUMNS,
    EMBEDDING,
    FROZEN,
    N_EMBEDDED,
    N_IN,
    N_VECTORS,
    PAIRS,
    VECTORS,
    WEIGHTS,
    ZEROS,
    NetworkView,
    UpdateRule,
    Workspace,
)
from .optimizer_steps import (
    PENALTY_CHUNK,
    clip_scale,
    input_scales_gradient,
    limit_norms,
    prepare_gradient,
    sum_chunk_squares,
    sum_embedding_squares,
    sum_row_squares,
    sum_vector_squares,
    update_embeddings,
    update_layer,
    update_vectors,
)
from .registry import Slot, call, linked_kernel
from .weight_gradient import (
    clear_gradient,
    owned_columns,
    owned_part,
    owned_rows,
    partition_start,
    subtract_bias_gradient,
    subtract_weight_gradient,
)


@linked_kernel(Slot.WEIGHT_GRADIENT_PASS, (NetworkView, Workspace, Scalar, int, int, int, int, int, int))
def weight_gradient_pass(network, work, rate, n_rows, thread, team_size, lowest, first_block, fused_update):
    """Update the parameters or the gradient by one thread's part of a block, in layers `lowest` and above.

    fused_update: it is subtracted at once from the parameters, W - rate * gradient; else added up in `gradient`.
    """
    table = network.table
    out = network.parameters if fused_update else network.gradient
    factor = rate if fused_update else network.parameters.dtype.type(-1)
    scratch = work.scratch[thread * work.scratch_size + ZEROS : (thread + 1) * work.scratch_size]
    for index in range(lowest, len(table)):
        layer = table[index]
        first, last, left, right = owned_part(table, index, out.itemsize, thread, team_size)
        if first == last or layer[FROZEN]:
            continue
        if first_block and not fused_update:
            clear_gradient(out, layer, first, last, left, right)
        if layer[PAIRS] >= 0:
            call(
                network.kernel_table, bfloat16_weight_gradient,
                out, work.buffer, scratch, table, index, factor, first, last, n_rows, fused_update,
            )  # fmt: skip
        else:
            subtract_weight_gradient(
                out, work.buffer, scratch, layer, factor, first, last, left, right, n_rows, network.kernel_table
            )
        if first == 0:
            subtract_bias_gradient(out, work.buffer, scratch, layer, factor, left, right, n_rows)


@linked_kernel(Slot.PACK_WEIGHTS_PASS, (NetworkView, Workspace, int, int))
def pack_weights_pass(network, work, thread, team_size):
    """Compute, in work.buffer, the pairs of one thread's part of the weights, in the layers that multiply them."""
    scratch = work.scratch[thread * work.scratch_size + ZEROS : (thread + 1) * work.scratch_size]
    for index in range(len(network.table)):
        first, last = owned_rows(network.table, index, thread, team_size)
        if first < last and network.table[index, PAIRS] >= 0:
            call(
                network.kernel_table, bfloat16_pack_weights,
                work.buffer, scratch, network.parameters, network.table, index, first, last,
            )  # fmt: skip


@linked_kernel(Slot.INPUT_SCALES_PASS, (NetworkView, int, int))
def input_scales_pass(network, thread, team_size):
    """Compute gradient: one thread's part of the first layer, weights and input scales, see input_scales_gradient."""
    first, last = owned_rows(network.table, 0, thread, team_size)
    if first < last and not network.table[0, FROZEN]:
        input_scales_gradient(network, network.table[0], first, last)


@linked_kernel(Slot.PENALTY_PASS, (NetworkView, Workspace, UpdateRule, int, int))
def penalty_pass(network, work, rule, thread, team_size):
    """Compute rule.norms: one thread's part of the sums of squared weights, biases left out, one for each chunk."""
    round_sums = work.scratch[thread * work.scratch_size + ZEROS : (thread + 1) * work.scratch_size]
    first_chunk = 0
    for layer in network.table:
        w = network.parameters[layer[WEIGHTS] : layer[BIASES]]
        count = count_chunks(layer)
        first, last = partition_start(count, thread, team_size), partition_start(count, thread + 1, team_size)
        sum_chunk_squares(rule.norms[first_chunk : first_chunk + count], w, round_sums, first, last)
        first_chunk += count


@kernel
def count_chunks(layer):
    """Return the number of chunks into which a layer's weights are cut."""
    return (layer[BIASES] - layer[WEIGHTS] + PENALTY_CHUNK - 1) // PENALTY_CHUNK


@linked_kernel(Slot.UPDATE_PASS, (NetworkView, UpdateRule, Scalar, int, int, int, float))
def update_pass(network, rule, learning_rate, thread, team_size, step, weight):
    """Update parameters: one thread's part of the step by the rule down `gradient`.

    If clipped, the penalties in `gradient`, and rule.norms of the layers that are split by rows of W. weight: the sum
    of the batch's weights.
    """
    table = network.table
    norms = 0
    if table[0, EMBEDDING] >= 0 and not table[0, FROZEN]:
        first, last = owned_embeddings(table[0], thread, team_size)
        if rule.clip_norm == 0:
            update_embeddings(network, rule, learning_rate, 1.0, step, first, last)
        else:
            end = len(rule.norms) - table[0, N_VECTORS]
            embedded = rule.norms[end - table[0, N_EMBEDDED] : end]
            sum_embedding_squares(embedded, network.gradient, table[0], first, last)
    if table[0, VECTORS] >= 0 and not table[0, FROZEN]:
        first, last = owned_vectors(table[0], thread, team_size)
        if rule.clip_norm == 0:
            update_vectors(network, rule, learning_rate, 1.0, step, first, last)
        else:
            vectors = rule.norms[len(rule.norms) - table[0, N_VECTORS] :]
            sum_vector_squares(vectors, network.gradient, table[0], first, last)
    for index in range(len(table)):
        layer = table[index]
        first, last, left, right = owned_part(table, index, network.gradient.itemsize, thread, team_size)
        norms += layer[N_IN] + 1
        if first < last and not layer[FROZEN]:
            prepare_gradient(network, rule, layer, weight, first, last, left, right)
            if rule.clip_norm == 0:
                update_layer(network, rule, index, learning_rate, 1.0, step, weight, first, last, left, right)
            elif not layer[BY_COLUMNS]:
                sum_row_squares(rule.norms[norms - layer[N_IN] - 1 : norms], network.gradient, layer, first, last)


@linked_kernel(Slot.ROW_NORMS_PASS, (NetworkView, UpdateRule, int, int))
def row_norms_pass(network, rule, thread, team_size):
    """Compute rule.norms: one thread's part of the layers that are split by columns, whose rows have many owners."""
    norms = 0
    for layer in network.table:
        n_in = layer[N_IN]
        norms += n_in + 1
        if layer[BY_COLUMNS] and not layer[FROZEN]:
            first, last = partition_start(n_in, thread, team_size), partition_start(n_in, thread + 1, team_size)
            sum_row_squares(rule.norms[norms - n_in - 1 : norms], network.gradient, layer, first, last)


@linked_kernel(Slot.CLIPPED_UPDATE_PASS, (NetworkView, UpdateRule, Scalar, int, int, int))
def clipped_update_pass(network, rule, learning_rate, thread, team_size, step):
    """Update parameters: one thread's part of the step by the rule down `gradient`, scaled to the norm allowed."""
    scale = clip_scale(rule)
    if network.table[0, EMBEDDING] >= 0 and not network.table[0, FROZEN]:
        first, last = owned_embeddings(network.table[0], thread, team_size)
        update_embeddings(network, rule, learning_rate, scale, step, first, last)
    if network.table[0, VECTORS] >= 0 and not network.table[0, FROZEN]:
        first, last = owned_vectors(network.table[0], thread, team_size)
        update_vectors(network, rule, learning_rate, scale, step, first, last)
    for index in range(len(network.table)):
        first, last, left, right = owned_part(network.table, index, network.gradient.itemsize, thread, team_size)
        if first < last and not network.table[index, FROZEN]:
            update_layer(network, rule, index, learning_rate, scale, step, 1.0, first, last, left, right)


@linked_kernel(Slot.MAX_NORM_PASS, (NetworkView, Workspace, UpdateRule, int, int))
def max_norm_pass(network, work, rule, thread, team_size):
    """Update parameters: one thread's part of all neurons, the weights into each scaled to the norm allowed."""
    scratch = work.scratch[thread * work.scratch_size + ZEROS : (thread + 1) * work.scratch_size]
    for index in range(len(network.table)):
        layer = network.table[index]
        if not layer[FROZEN]:
            left, right = owned_columns(layer, network.parameters.itemsize, thread, team_size)
            limit_norms(network.parameters, scratch, layer, rule.max_norm, left, right)
