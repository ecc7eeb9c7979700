"""First layers of many inputs and few neurons: threads share the inputs, and with them the rows of W.

Of a small batch a thread computes the sums over its own chunks of inputs for all rows, and later the gradient of the
same rows of W: no weight ever crosses to another processor, and no input. What crosses are the sums, a few for each
row. They are added in the order of the chunks, so that the bits are those of one thread.
"""

from __future__ import annotations

from .argument_types import Int64s
from .forward import multiply_chunk
from .gather import CSR, bytes_of, gather_rows
from .jit import kernel
from .layout import (
    EMBEDDING,
    GRADIENT_INPUTS,
    INPUT_CHUNKS,
    INPUT_SCALES,
    LD_IN,
    N_IN,
    PAIRS,
    PARTIAL_SUMS,
    VECTORS,
    Examples,
    NetworkView,
    Workspace,
)
from .registry import Slot, call, linked_kernel
from .weight_gradient import owned_inputs


@kernel
def shares_inputs(layer, kind, stochastic_regularization, n_rows, team_size):
    """Return whether a team of two threads, or four, shares the inputs of a block: dense, as they are, of few rows."""
    changed = stochastic_regularization.dropout or stochastic_regularization.input_noise > 0
    changed = changed or stochastic_regularization.label_smoothing > 0 or stochastic_regularization.image_height > 0
    added = layer[INPUT_SCALES] >= 0 or layer[EMBEDDING] >= 0 or layer[VECTORS] >= 0 or layer[PAIRS] >= 0
    plain = kind != CSR and not changed and not added
    even = team_size > 1 and INPUT_CHUNKS % team_size == 0
    return layer[PARTIAL_SUMS] >= 0 and plain and even and n_rows <= layer[N_IN]


@linked_kernel(Slot.MULTIPLY_SHARE, (NetworkView, Workspace, Examples, Int64s, int, int, int, int))
def multiply_share(network, work, examples, order, start, n_rows, thread, team_size):
    """Compute, in `work`, one thread's inputs of all rows of a block, and the sums over each chunk of them.

    order[start] is the block's first example.
    """
    layer, buffer = network.table[0], work.buffer
    n_in, ld_in = layer[N_IN], layer[LD_IN]
    chunks = INPUT_CHUNKS // team_size
    left, right = owned_inputs(n_in, thread, team_size)
    inputs = buffer[layer[GRADIENT_INPUTS] + left : layer[GRADIENT_INPUTS] + n_rows * ld_in]
    call(
        network.kernel_table, gather_rows,
        inputs, examples.inputs[left * bytes_of(examples.kind) :], examples.kind, examples.stride, examples.scale,
        order, start, n_rows, examples.prefetch_distance, right - left, ld_in,
    )  # fmt: skip
    for chunk in range(chunks * thread, chunks * (thread + 1)):
        multiply_chunk(buffer, network.parameters, layer, chunk, 0, n_rows, network.kernel_table)
