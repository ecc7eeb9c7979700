"""The kernel table: which kernels a prediction or a training needs, and where their machine code is.

Each linked kernel is compiled once for a dtype and kept on disk; nothing is compiled before it is first needed. This
module alone decides what is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from .activations import activate
from .backward import backward
from .bfloat16_products import (
    bfloat16_delta_below,
    bfloat16_pack_examples,
    bfloat16_pack_weights,
    bfloat16_weight_gradient,
    bfloat16_weighted_inputs,
)
from .cache import folder_in_use
from .compilation import Job, compile_all, compile_unclaimed, machine_code
from .embedding import embed_categories, embed_inputs
from .embedding_gradient import category_gradient_pass, embedding_deltas, embedding_gradient_pass
from .gather import CSR, gather_rows
from .image_distortion import distort_examples
from .input_gradient import input_gradient_rows
from .jit import COMPILED
from .layer_by_layer import forward_stage
from .layout import (
    BY_COLUMNS,
    EMBEDDING,
    INPUT_SCALES,
    PAIRS,
    PARTIAL_SUMS,
    VECTORS,
    StochasticRegularization,
    UpdateRule,
)
from .losses import output_deltas
from .optimizer_steps import optimizer_step
from .predict import forward_rows, predict_rows
from .registry import LINKED_KERNELS, PROTOTYPES, USER_FUNCTIONS, Signature, Slot, argument_types
from .shared_inputs import multiply_share
from .sparse import sparse_forward, sparse_gradient_pass
from .stochastic_regularization import drop_hidden, perturb_examples
from .tiling import gradient_column, product_column
from .train_loop import forward_examples, train_steps
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
from .user_functions import USER_FUNCTION_BASE, user_activation, user_loss

Kernels = frozenset[Any]

EVALUATION: Kernels = frozenset({activate, output_deltas, forward_examples, product_column})
TRAINING: Kernels = EVALUATION | {backward, weight_gradient_pass, train_steps, gradient_column}
UPDATE: Kernels = frozenset({update_pass, optimizer_step})
BFLOAT16: Kernels = frozenset(
    {
        bfloat16_weighted_inputs,
        bfloat16_delta_below,
        bfloat16_weight_gradient,
        bfloat16_pack_weights,
        bfloat16_pack_examples,
        pack_weights_pass,
    }
)
PREDICTION: Kernels = frozenset({activate, forward_rows, product_column})

COSTLY = (gradient_column, product_column, update_pass, train_steps, optimizer_step, output_deltas)
"""The kernels that take longest to compile, the longest first: two processes share the work best if these begin."""

NOT_COMPILED = 1
"""What stands in the slot of a requested kernel when nothing is compiled, in place of an address."""


def required_for_prediction(sparse: bool = False, embedded: bool = False, categories: bool = False) -> Kernels:
    """Return the kernels that `predict`, `predict_rows` and `predict_few` need, or `predict_sparse` does."""
    kernels = PREDICTION | ({sparse_forward} if sparse else {gather_rows, predict_rows})
    return kernels | ({embed_inputs} if embedded else set()) | ({embed_categories} if categories else set())


def required_for_input_gradients(loss: bool) -> Kernels:
    """Return the kernels that `input_gradients` and `input_gradient_rows` need, of the loss or of an output."""
    return frozenset({gather_rows, backward, input_gradient_rows}) | (EVALUATION if loss else PREDICTION)


def required_for_training(
    update_rule: UpdateRule,
    stochastic_regularization: StochasticRegularization,
    input_kinds: Iterable[int],
    gradient: bool,
    table: np.ndarray,
) -> Kernels:
    """Return the kernels that `train`, `train_steps`, `batch_gradient` and `apply_gradient` need.

    Parameters
    ----------
    update_rule, stochastic_regularization
        As the kernels are given them.
    input_kinds : iterable of int
        Of the examples to train on and those to evaluate on, see gather.py.
    gradient : bool
        Whether steps use a gradient buffer although the rule is plain: batches of several blocks, and ranks, do.
    table : ndarray of int64, (layers, N_FIELDS)
        The layer table of the steps.

    Returns
    -------
    frozenset
        For `build_kernel_table`. No more than is called: it sets how long the first training of a process takes.
    """
    kinds = set(input_kinds)
    kernels = TRAINING
    by_columns = bool(table[:, BY_COLUMNS].any())
    if kinds != {CSR}:
        kernels |= {gather_rows}
    if CSR in kinds:
        kernels |= {sparse_forward, sparse_gradient_pass}
    if gradient or not update_rule.plain:
        kernels |= UPDATE
    if table[0, INPUT_SCALES] >= 0:
        kernels |= {input_scales_pass}
    if table[0, EMBEDDING] >= 0:
        kernels |= {embed_inputs, embedding_deltas, embedding_gradient_pass}
    if table[0, VECTORS] >= 0:
        kernels |= {embed_categories, embedding_deltas, category_gradient_pass}
    if by_columns:
        kernels |= {forward_stage}
    if table[0, PARTIAL_SUMS] >= 0 and kinds != {CSR}:
        kernels |= {multiply_share}
    if table[-1, PAIRS] >= 0:
        kernels |= BFLOAT16
    if table[:, PAIRS].min() >= 0:
        kernels -= {product_column, gradient_column}
    if update_rule.clip_norm > 0:
        kernels |= {clipped_update_pass} | ({row_norms_pass} if by_columns else set())
    if update_rule.max_norm > 0:
        kernels |= {max_norm_pass}
    if update_rule.penalty_per_batch > 0:
        kernels |= {penalty_pass}
    if stochastic_regularization.dropout:
        kernels |= {drop_hidden, perturb_examples}
    if stochastic_regularization.image_height > 0:
        kernels |= {distort_examples}
    if stochastic_regularization.input_noise > 0 or stochastic_regularization.label_smoothing > 0:
        kernels |= {perturb_examples}
    return kernels


def every_kernel() -> Kernels:
    """Return all kernels that have a slot but those of bfloat16: what compiling ahead of time compiles."""
    return frozenset(LINKED_KERNELS) - BFLOAT16


def compile_named(dtype: str, names: list[str], folder: str) -> None:
    """Compile the kernels of these names that no other process is compiling: what a second process does.

    Parameters
    ----------
    dtype : str
    names : list of str
    folder : str
        Where the first process keeps its kernels; another means other settings, and then nothing is done.
    """
    if str(folder_in_use()) != folder:
        return
    kernels = {kernel.py_func.__name__: kernel for kernel in LINKED_KERNELS}
    compile_unclaimed([_job(kernels[name], dtype) for name in names])


@lru_cache(maxsize=64)  # every training asks
def compile_kernels(dtype: str, kernels: Kernels) -> None:
    """Compile these kernels, or load them, the costliest first; with a second process where there are many.

    A call for all that a program is about to need is faster than one for each table.
    """
    rank = {kernel: place for place, kernel in enumerate(COSTLY)}
    costly_first = sorted(kernels, key=lambda kernel: (rank.get(kernel, len(rank)), LINKED_KERNELS[kernel].slot))
    compile_all([_job(kernel, dtype) for kernel in costly_first], dtype)


def _job(kernel: Any, dtype: str) -> Job:
    """Return a linked kernel with the types of its arguments."""
    return kernel, argument_types(LINKED_KERNELS[kernel].signature, dtype)


@lru_cache(maxsize=64)
def build_kernel_table(dtype: str, kernels: Kernels, activations: tuple[int, ...] = (), loss: int = 0) -> np.ndarray:
    """Return the addresses of these kernels and of the user's functions by their codes; the other slots are 0.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Of the network.
    kernels : frozenset
        Of `required_for_prediction` or `required_for_training`.
    activations : tuple of int
        The layers' codes.
    loss : int
        Its code.

    Returns
    -------
    ndarray of int64
        Shared, cached and read-only.
    """
    prototypes = {code - USER_FUNCTION_BASE: user_activation for code in activations if code >= USER_FUNCTION_BASE}
    if loss >= USER_FUNCTION_BASE:
        prototypes[loss - USER_FUNCTION_BASE] = user_loss
    table = np.zeros(max([len(Slot), *(slot + 1 for slot in prototypes)]), np.int64)
    in_slots: dict[int, tuple[Any, Signature]] = {}
    for kernel in kernels:
        linked = LINKED_KERNELS[kernel]
        in_slots[linked.slot] = kernel, linked.signature
    for slot, prototype in prototypes.items():
        registered, kernel = USER_FUNCTIONS[slot - len(Slot)]
        if registered is not prototype:
            raise TypeError(f"code {slot + USER_FUNCTION_BASE} is not that of a {prototype.__name__}")
        in_slots[slot] = kernel, PROTOTYPES[prototype]
    compile_kernels(dtype, kernels)
    for slot, (kernel, signature) in sorted(in_slots.items()):
        table[slot] = machine_code(kernel, argument_types(signature, dtype)) if COMPILED else NOT_COMPILED
    table.flags.writeable = False
    return table
