"""Deltas of what embeddings give, and the gradients: sums over the rows by embedded input, or by category."""

from __future__ import annotations

from .argument_types import Floats, Int64Matrix, KernelTable
from .backward import delta_below
from .embedding import TURN, compute_pieces, compute_waves, place_of_code
from .jit import kernel
from .layout import (
    EMBEDDING,
    EMBEDDING_DELTAS,
    EMBEDDING_STRIDE,
    FROZEN,
    GRADIENT_INPUTS,
    INPUT_SCALES,
    LD_IN,
    N_CODES,
    N_EMBEDDED,
    N_FIELDS,
    N_FREQUENCIES,
    N_FUNCTIONS,
    N_GATHERED,
    N_IN,
    N_VECTORS,
    PIECEWISE,
    VECTOR_NUMBERS,
    VECTOR_SIZE,
    VECTORS,
    ZEROS,
    NetworkView,
    Workspace,
)
from .registry import Slot, linked_kernel
from .simd import VECTOR_BYTES
from .weight_gradient import partition_start


@linked_kernel(Slot.EMBEDDING_DELTAS, (Floats, Floats, Floats, Int64Matrix, int, int, KernelTable))
def embedding_deltas(buffer, scratch, parameters, table, first, last, kernel_table):
    """Compute buffer[EMBEDDING_DELTAS]: rows first..last of the deltas of what the embeddings give, s (delta W^T)."""
    layer = table[0]
    n_in, ld = layer[N_IN], layer[LD_IN]
    lanes = VECTOR_BYTES // buffer.itemsize
    lowest = layer[N_GATHERED]
    for c in range(layer[N_CODES]):
        lowest = min(lowest, place_of_code(layer, c)[0])
    left, right = lowest // lanes * lanes, (n_in + lanes - 1) // lanes * lanes
    one, zero = buffer.dtype.type(1), buffer.dtype.type(0)
    for r in range(first, last):
        row = buffer[layer[EMBEDDING_DELTAS] + r * ld : layer[EMBEDDING_DELTAS] + (r + 1) * ld]
        for k in range(left, right):
            scale = parameters[layer[INPUT_SCALES] + k] if layer[INPUT_SCALES] >= 0 else one
            row[k] = scale if k < n_in else zero
    delta_below(buffer, scratch, parameters, layer, layer[EMBEDDING_DELTAS], -1, first, last, left, right, kernel_table)


@kernel
def add_embedding_gradient(
    gradient, parameters, cosines, sines, delta, start, x, n_frequencies, n_functions, piecewise
):  # fmt: skip
    """Update gradient: plus that of one embedded input of one row, at [start:] as its parameters.

    delta: (n_functions,) of what the embedding gives. cosines, sines: (n_frequencies,) scratch.

    With q_h = -sin_h sum_k W_kh delta_k: dW_kh = delta_k cos_h, dc_k = delta_k, dp_h = q_h, df_h = 2 pi x q_h.
    piecewise: of pieces, dW_kh = delta_k piece_h, and the bins have none.
    """
    if piecewise:
        compute_pieces(cosines, parameters, start, x, n_frequencies)
    else:
        compute_waves(cosines, sines, parameters, start, x, n_frequencies)
    weights = start + 2 * n_frequencies
    for k in range(n_functions):
        d = delta[k]
        g = gradient[weights + k * n_frequencies : weights + (k + 1) * n_frequencies]
        for h in range(n_frequencies):
            g[h] += d * cosines[h]
        gradient[weights + n_functions * n_frequencies + k] += d
    if piecewise:
        return
    cosines[:] = 0
    for k in range(n_functions):
        d, w = delta[k], parameters[weights + k * n_frequencies : weights + (k + 1) * n_frequencies]
        for h in range(n_frequencies):
            cosines[h] += w[h] * d
    of_f = gradient[start : start + n_frequencies]
    of_p = gradient[start + n_frequencies : start + 2 * n_frequencies]
    turn = x * parameters.dtype.type(TURN)
    for h in range(n_frequencies):
        q = -sines[h] * cosines[h]
        of_p[h] += q
        of_f[h] += turn * q


@kernel
def owned_embeddings(layer, thread, team_size):
    """Return the range of the embedded inputs whose parameters a thread owns."""
    count = layer[N_EMBEDDED]
    return partition_start(count, thread, team_size), partition_start(count, thread + 1, team_size)


@linked_kernel(Slot.EMBEDDING_GRADIENT_PASS, (NetworkView, Workspace, int, int, int, int))
def embedding_gradient_pass(network, work, n_rows, thread, team_size, first_block):
    """Update gradient: one thread's part of the embeddings, plus that of a block's rows, in their order."""
    layer, buffer = network.table[0], work.buffer
    if layer[FROZEN]:
        return
    ld, n_frequencies, n_functions = layer[LD_IN], layer[N_FREQUENCIES], layer[N_FUNCTIONS]
    scratch = work.scratch[thread * work.scratch_size + ZEROS : (thread + 1) * work.scratch_size]
    cosines, sines = scratch[:n_frequencies], scratch[n_frequencies : 2 * n_frequencies]
    first, last = owned_embeddings(layer, thread, team_size)
    for e in range(first, last):
        start = layer[EMBEDDING] + e * layer[EMBEDDING_STRIDE]
        if first_block:
            network.gradient[start : start + layer[EMBEDDING_STRIDE]] = 0
        column, function = layer[N_FIELDS + e], layer[N_GATHERED] + e * n_functions
        for r in range(n_rows):
            x = buffer[layer[GRADIENT_INPUTS] + r * ld + column]
            deltas = layer[EMBEDDING_DELTAS] + r * ld + function
            add_embedding_gradient(
                network.gradient, network.parameters, cosines, sines, buffer[deltas : deltas + n_functions], start, x,
                n_frequencies, n_functions, layer[PIECEWISE],
            )  # fmt: skip


@kernel
def owned_vectors(layer, thread, team_size):
    """Return the range of the vectors that a thread owns, among those of all columns."""
    count = layer[N_VECTORS]
    return partition_start(count, thread, team_size), partition_start(count, thread + 1, team_size)


@linked_kernel(Slot.CATEGORY_GRADIENT_PASS, (NetworkView, Workspace, int, int, int, int))
def category_gradient_pass(network, work, n_rows, thread, team_size, first_block):
    """Update gradient: one thread's part of the vectors, plus the deltas of the rows that took them, in their order."""
    layer, buffer, gradient = network.table[0], work.buffer, network.gradient
    if layer[FROZEN]:
        return
    ld, size, n_codes = layer[LD_IN], layer[VECTOR_SIZE], layer[N_CODES]
    first, last = owned_vectors(layer, thread, team_size)
    if first_block:
        gradient[layer[VECTORS] + first * size : layer[VECTORS] + last * size] = 0
    for c in range(n_codes):
        column, begin, end, behind = place_of_code(layer, c)
        if end <= first or begin >= last:
            continue
        for r in range(n_rows):
            number = int(buffer[layer[VECTOR_NUMBERS] + r * n_codes + c])
            if number < first or number >= last:
                continue
            start = layer[VECTORS] + number * size
            row = buffer[layer[EMBEDDING_DELTAS] + r * ld : layer[EMBEDDING_DELTAS] + (r + 1) * ld]
            gradient[start] += row[column]
            for k in range(size - 1):
                gradient[start + 1 + k] += row[behind + k]
