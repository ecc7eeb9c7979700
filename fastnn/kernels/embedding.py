"""Embeddings: periodic or piecewise linear ones of numbers, and vectors of categories.

Beside an input x stand W cos(2 pi f x + p) + c, or W clip(f x + p) + c, with parameters of its own. The parameters of
an embedded input lie together: f and p, (n_frequencies,) each, W, (n_functions, n_frequencies), and c, (n_functions,).
What they give stands behind the inputs in the rows that the first layer takes.

The code of a category is replaced by a vector. The vectors of all columns lie behind one another, VECTOR_SIZE numbers
each. The first number of a vector stands in the place of the code, the others behind what embeddings of numbers
give.
"""

from __future__ import annotations

import math

from .argument_types import Floats, Int64Matrix
from .elementary import cos_and_sin_of_turns
from .intrinsics import multiply_add
from .jit import kernel
from .layout import (
    EMBEDDING,
    EMBEDDING_COSINES,
    EMBEDDING_STRIDE,
    GRADIENT_INPUTS,
    LD_IN,
    N_CODES,
    N_EMBEDDED,
    N_FIELDS,
    N_FREQUENCIES,
    N_FUNCTIONS,
    N_GATHERED,
    PIECEWISE,
    VECTOR_NUMBERS,
    VECTOR_SIZE,
    VECTORS,
)
from .registry import Slot, linked_kernel

TURN = 2 * math.pi


@kernel
def compute_waves(cosines, sines, parameters, start, x, n_frequencies):
    """Compute cosines, sines: (n_frequencies,) of 2 pi f x + p; f at parameters[start:], then p."""
    f = parameters[start : start + n_frequencies]
    p = parameters[start + n_frequencies : start + 2 * n_frequencies]
    inverse = parameters.dtype.type(1 / TURN)
    for h in range(n_frequencies):
        cosines[h], sines[h] = cos_and_sin_of_turns(multiply_add(f[h], x, p[h] * inverse))


@kernel
def compute_pieces(pieces, parameters, start, x, n_bins):
    """Compute pieces: (n_bins,) how far x has come through each bin, f x + p; f at parameters[start:], then p.

    It is 0 before and 1 behind a bin, but for the first and the last, which go on.
    """
    f, p = parameters[start : start + n_bins], parameters[start + n_bins : start + 2 * n_bins]
    zero, one = parameters.dtype.type(0), parameters.dtype.type(1)
    for h in range(n_bins):
        piece = multiply_add(f[h], x, p[h])
        if h > 0 and piece < zero:
            piece = zero
        if h + 1 < n_bins and piece > one:
            piece = one
        pieces[h] = piece


@linked_kernel(Slot.EMBED_INPUTS, (Floats, Floats, Int64Matrix, int, int))
def embed_inputs(buffer, parameters, table, first, last):
    """Compute buffer[GRADIENT_INPUTS]: rows first..last of the columns behind the inputs, the functions."""
    layer = table[0]
    ld, n_frequencies, n_functions = layer[LD_IN], layer[N_FREQUENCIES], layer[N_FUNCTIONS]
    for r in range(first, last):
        row = buffer[layer[GRADIENT_INPUTS] + r * ld : layer[GRADIENT_INPUTS] + (r + 1) * ld]
        waves = layer[EMBEDDING_COSINES] + r * 2 * n_frequencies
        cosines = buffer[waves : waves + n_frequencies]
        sines = buffer[waves + n_frequencies : waves + 2 * n_frequencies]
        for e in range(layer[N_EMBEDDED]):
            start = layer[EMBEDDING] + e * layer[EMBEDDING_STRIDE]
            x = row[layer[N_FIELDS + e]]
            if layer[PIECEWISE]:
                compute_pieces(cosines, parameters, start, x, n_frequencies)
            else:
                compute_waves(cosines, sines, parameters, start, x, n_frequencies)
            weights = start + 2 * n_frequencies
            out = row[layer[N_GATHERED] + e * n_functions : layer[N_GATHERED] + (e + 1) * n_functions]
            for k in range(n_functions):
                w = parameters[weights + k * n_frequencies : weights + (k + 1) * n_frequencies]
                total = parameters[weights + n_functions * n_frequencies + k]
                for h in range(n_frequencies):
                    total = multiply_add(w[h], cosines[h], total)
                out[k] = total


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
