"""Forward: a^l = f(a^(l-1) W + b), layer by layer, over rows of one block."""

from __future__ import annotations

from .bfloat16_products import bfloat16_weighted_inputs
from .embedding import embed_categories, embed_inputs
from .intrinsics import multiply_add
from .jit import kernel
from .layout import (
    ACTIVATION,
    ALPHA_DELTAS,
    ALPHAS,
    BIASES,
    COLUMNS,
    DELTAS,
    EMBEDDING,
    GRADIENT_INPUTS,
    INNER_BLOCK,
    INPUT_CHUNKS,
    INPUT_SCALES,
    INPUTS,
    LD,
    LD_IN,
    N_IN,
    N_OUT,
    OUTPUTS,
    PAIRS,
    PARTIAL_STRIDE,
    PARTIAL_SUMS,
    VECTORS,
    WEIGHTS,
    chunk_start,
)
from .registry import call
from .row_loops import clear_padding
from .simd import ONE_ROW_VECTORS, TILE_VECTORS, VECTOR_BYTES
from .tiling import next_tile_size, product_column
from .user_functions import apply_activation


@kernel
def multiply_inputs(buffer, parameters, layer, out, k_first, k_last, first, last, left, right, kernel_table):
    """Compute buffer[out:]: rows first..last, columns left..right of a W over the inputs k_first..k_last.

    a: buffer[INPUTS]; the sums over the first inputs begin with b. The inputs are cut into blocks, each of which
    continues from the sums: every sum is one chain in the order of the inputs.
    """
    ld, ld_in = layer[LD], layer[LD_IN]
    lanes = VECTOR_BYTES // buffer.itemsize
    most = TILE_VECTORS if last - first > 1 else ONE_ROW_VECTORS
    for k in range(k_first, k_last, INNER_BLOCK):
        depth = min(INNER_BLOCK, k_last - k)
        a = layer[INPUTS] + first * ld_in + k
        j = left
        while j < right:
            vectors = next_tile_size((right - j) // lanes, most)
            z = out + first * ld + j
            start, s0, ld_start = (buffer, z, ld) if k else (parameters, layer[BIASES] + j, 0)
            if k == k_first and k:
                s0, ld_start = layer[PARTIAL_SUMS] + (INPUT_CHUNKS - 1) * layer[PARTIAL_STRIDE], 0
            b = layer[WEIGHTS] + k * ld + j
            call(
                kernel_table, product_column,
                buffer, z, ld, start, s0, ld_start, buffer, a, ld_in,
                parameters, b, ld, last - first, vectors, depth,
            )  # fmt: skip
            j += vectors * lanes


@kernel
def multiply_chunk(buffer, parameters, layer, chunk, first, last, kernel_table):
    """Compute, of rows first..last, the sums over one chunk of inputs: z, or those of a later chunk."""
    n_in = layer[N_IN]
    out = layer[PARTIAL_SUMS] + (chunk - 1) * layer[PARTIAL_STRIDE] if chunk else layer[OUTPUTS]
    multiply_inputs(
        buffer, parameters, layer, out, chunk_start(n_in, chunk), chunk_start(n_in, chunk + 1), first, last,
        0, layer[COLUMNS], kernel_table,
    )  # fmt: skip


@kernel
def add_partial_sums(buffer, layer, first, last):
    """Update buffer[OUTPUTS]: rows first..last of z, plus the sums of the later chunks in their order."""
    ld = layer[LD]
    z = buffer[layer[OUTPUTS] + first * ld : layer[OUTPUTS] + last * ld]
    for chunk in range(INPUT_CHUNKS - 1):
        start = layer[PARTIAL_SUMS] + chunk * layer[PARTIAL_STRIDE]
        sums = buffer[start + first * ld : start + last * ld]
        for i in range(len(z)):
            z[i] += sums[i]


@kernel
def weighted_inputs(buffer, parameters, layer, first, last, left, right, kernel_table):
    """Compute buffer[OUTPUTS]: rows first..last, columns left..right of z = a W + b; a: buffer[INPUTS].

    Every sum is one chain in the order of the inputs; in a first layer of many inputs one chain for each chunk of
    them, added in their order.
    """
    if layer[PARTIAL_SUMS] >= 0:
        for chunk in range(INPUT_CHUNKS):
            multiply_chunk(buffer, parameters, layer, chunk, first, last, kernel_table)
        add_partial_sums(buffer, layer, first, last)
    else:
        multiply_inputs(
            buffer, parameters, layer, layer[OUTPUTS], 0, layer[N_IN], first, last, left, right, kernel_table
        )


@kernel
def keep_weighted_inputs(kept, z):
    """Compute kept: (n,) = z. A loop, because an assignment to a slice of the same memory allocates."""
    for i in range(len(z)):
        kept[i] = z[i]


@kernel
def mix_activations(buffer, parameters, layer, first, last, left, right):
    """Update buffer[OUTPUTS], buffer[DELTAS], buffer[ALPHA_DELTAS]: rows first..last, columns left..right, by alpha.

    From f(z), f'(z) and z they become z + alpha (f(z) - z), 1 + alpha (f'(z) - 1) and f(z) - z; the last 0 in padding.
    """
    ld = layer[LD]
    one = buffer.dtype.type(1)
    alphas = parameters[layer[ALPHAS] + left : layer[ALPHAS] + right]
    for r in range(first, last):
        place = r * ld + left
        a = buffer[layer[OUTPUTS] + place : layer[OUTPUTS] + place + right - left]
        derivative = buffer[layer[DELTAS] + place : layer[DELTAS] + place + right - left]
        mixed = buffer[layer[ALPHA_DELTAS] + place : layer[ALPHA_DELTAS] + place + right - left]
        for j in range(right - left):
            z = mixed[j]
            mixed[j] = a[j] - z
            a[j] = multiply_add(alphas[j], mixed[j], z)
            derivative[j] = multiply_add(alphas[j], derivative[j] - one, one)
        for j in range(max(layer[N_OUT] - left, 0), right - left):
            mixed[j] = 0


@kernel
def activate_hidden(buffer, parameters, layer, first, last, kernel_table):
    """Compute buffer[OUTPUTS]: rows first..last of f(z) from z, and buffer[DELTAS]: f'(z), 0 in the padding.

    With learned alphas as mix_activations.
    """
    n_out, columns, ld = layer[N_OUT], layer[COLUMNS], layer[LD]
    a = buffer[layer[OUTPUTS] + first * ld : layer[OUTPUTS] + last * ld]
    derivative = buffer[layer[DELTAS] + first * ld : layer[DELTAS] + last * ld]
    if layer[ALPHAS] >= 0:
        keep_weighted_inputs(buffer[layer[ALPHA_DELTAS] + first * ld : layer[ALPHA_DELTAS] + last * ld], a)
    apply_activation(a, derivative, layer[ACTIVATION], kernel_table)
    if layer[ALPHAS] >= 0:
        mix_activations(buffer, parameters, layer, first, last, 0, columns)
    clear_padding(derivative, last - first, n_out, columns, ld)


@kernel
def activate_columns(buffer, parameters, layer, first, last, left, right, kernel_table):
    """Compute buffer[OUTPUTS], buffer[DELTAS]: as activate_hidden, of columns left..right."""
    n_out, ld = layer[N_OUT], layer[LD]
    for r in range(first, last):
        a = buffer[layer[OUTPUTS] + r * ld + left : layer[OUTPUTS] + r * ld + right]
        derivative = buffer[layer[DELTAS] + r * ld + left : layer[DELTAS] + r * ld + right]
        if layer[ALPHAS] >= 0:
            keep_weighted_inputs(buffer[layer[ALPHA_DELTAS] + r * ld + left : layer[ALPHA_DELTAS] + r * ld + right], a)
        apply_activation(a, derivative, layer[ACTIVATION], kernel_table)
        if layer[ALPHAS] >= 0:
            mix_activations(buffer, parameters, layer, r, r + 1, left, right)
        for j in range(max(n_out - left, 0), right - left):
            derivative[j] = 0


@kernel
def scale_inputs(buffer, parameters, layer, first, last):
    """Compute buffer[INPUTS]: rows first..last of s * x, s the learned scales; x: buffer[GRADIENT_INPUTS]."""
    ld, n_in = layer[LD_IN], layer[N_IN]
    scales = parameters[layer[INPUT_SCALES] : layer[INPUT_SCALES] + n_in]
    for r in range(first, last):
        x = buffer[layer[GRADIENT_INPUTS] + r * ld : layer[GRADIENT_INPUTS] + r * ld + n_in]
        scaled = buffer[layer[INPUTS] + r * ld : layer[INPUTS] + r * ld + n_in]
        for k in range(n_in):
            scaled[k] = scales[k] * x[k]
        buffer[layer[INPUTS] + r * ld + n_in : layer[INPUTS] + (r + 1) * ld] = 0


@kernel
def activate_layer(buffer, parameters, table, index, first, last, left, right, kernel_table):
    """Compute buffer[OUTPUTS]: rows first..last, columns left..right of the activations of a hidden layer from z."""
    if index + 1 < len(table):
        if right - left == table[index, COLUMNS]:
            activate_hidden(buffer, parameters, table[index], first, last, kernel_table)
        else:
            activate_columns(buffer, parameters, table[index], first, last, left, right, kernel_table)


@kernel
def forward_layer(buffer, parameters, table, index, first, last, left, right, kernel_table):
    """Compute buffer[OUTPUTS]: rows first..last, columns left..right of the activations of layer `index`.

    Of the output layer z; of the first layer with learned scales all columns.
    """
    if table[index, EMBEDDING] >= 0:
        call(kernel_table, embed_inputs, buffer, parameters, table, first, last)
    if table[index, VECTORS] >= 0:
        call(kernel_table, embed_categories, buffer, parameters, table, first, last)
    if table[index, INPUT_SCALES] >= 0:
        scale_inputs(buffer, parameters, table[index], first, last)
    if table[index, PAIRS] >= 0:
        call(kernel_table, bfloat16_weighted_inputs, buffer, parameters, table, index, first, last)
    else:
        weighted_inputs(buffer, parameters, table[index], first, last, left, right, kernel_table)
    activate_layer(buffer, parameters, table, index, first, last, left, right, kernel_table)


@kernel
def forward(buffer, parameters, table, lowest, first, last, kernel_table):
    """Compute buffer[OUTPUTS]: rows first..last of the activations of layers `lowest` and above, z of the output's."""
    for index in range(lowest, len(table)):
        forward_layer(buffer, parameters, table, index, first, last, 0, table[index, COLUMNS], kernel_table)
