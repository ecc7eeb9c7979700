"""Embeddings of categories: a code is replaced by a vector that is learned; the gradient of the vectors.

The vectors of all embedded columns lie behind one another in the parameters, VECTOR_SIZE numbers each. In the rows that
the first layer takes, the first number of a vector stands in the place of the code, the others behind the inputs.
"""

from __future__ import annotations

from .argument_types import Floats, Int64Matrix
from .jit import kernel
from .layout import (
    EMBEDDING_DELTAS,
    FROZEN,
    GRADIENT_INPUTS,
    LD_IN,
    N_CODES,
    N_EMBEDDED,
    N_FIELDS,
    N_FUNCTIONS,
    N_GATHERED,
    N_VECTORS,
    VECTOR_NUMBERS,
    VECTOR_SIZE,
    VECTORS,
    NetworkView,
    Workspace,
)
from .registry import Slot, linked_kernel
from .weight_gradient import partition_start


@kernel
def place_of_code(layer, c):
    """Return the column of code c, its first vector and the one after its last, and where all but one number stand."""
    field = N_FIELDS + layer[N_EMBEDDED] + 3 * c
    behind = layer[N_GATHERED] + layer[N_EMBEDDED] * layer[N_FUNCTIONS] + c * (layer[VECTOR_SIZE] - 1)
    return layer[field], layer[field + 1], layer[field + 2], behind


@linked_kernel(Slot.EMBED_CATEGORIES, (Floats, Floats, Int64Matrix, int, int))
def embed_categories(buffer, parameters, table, first, last):
    """Update buffer[GRADIENT_INPUTS]: rows first..last, codes become vectors; compute buffer[VECTOR_NUMBERS].

    A code that is none of the column's has no vector: 0.
    """
    layer = table[0]
    ld, size, n_codes = layer[LD_IN], layer[VECTOR_SIZE], layer[N_CODES]
    for r in range(first, last):
        row = buffer[layer[GRADIENT_INPUTS] + r * ld : layer[GRADIENT_INPUTS] + (r + 1) * ld]
        numbers = buffer[layer[VECTOR_NUMBERS] + r * n_codes : layer[VECTOR_NUMBERS] + (r + 1) * n_codes]
        for c in range(n_codes):
            column, begin, end, behind = place_of_code(layer, c)
            code, out = row[column], row[behind : behind + size - 1]
            if code >= 0 and code < end - begin:
                number = begin + int(code)
                start = layer[VECTORS] + number * size
                numbers[c], row[column] = number, parameters[start]
                for k in range(size - 1):
                    out[k] = parameters[start + 1 + k]
            else:
                numbers[c], row[column] = -1, 0
                out[:] = 0


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
