"""Networks inside functions that you compile with Numba yourself, without a way back through Python.

`net.compiled()` returns what such a function takes, `predict(out, X, model)` is what it calls. On weights and biases of
yours, `forward`, `backward` and `sgd_step` do what those of `fastnn.functional` do, in the memory of `workspace(...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import inputs
from .kernels import kernel_table, layout, threads
from .kernels.njit_api import ArrayWorkspace, Compiled, backward, forward, predict, sgd_step
from .network import Network
from .parameters import aligned_zeros
from .spec import check_int
from .training.update_rule import UNDISTURBED, plain_sgd_rule
from .workspace import BLOCK_ROWS

__all__ = ["ArrayWorkspace", "Compiled", "backward", "forward", "predict", "sgd_step", "workspace"]


def workspace(
    sizes: Sequence[int],
    rows: int,
    *,
    activation: str | Sequence[str] = "sigmoid",
    loss: Any = "squared_error",
    dtype: str = "float32",
    orientation: str = "out_in",
) -> ArrayWorkspace:
    """Return the memory in which `forward`, `backward` and `sgd_step` work, and what they know beside the arrays.

    Parameters
    ----------
    sizes, activation, loss, dtype
        As in `Network`; the weights and biases must be of this dtype.
    rows : int
        Most rows of a batch.
    orientation : {"out_in", "in_out"}
        Whether weights are (n_out, n_in) or (n_in, n_out).

    Returns
    -------
    ArrayWorkspace
        For one thread at a time.

    Examples
    --------
    >>> import fastnn
    >>> workspace = fastnn.compiled.workspace([784, 30, 10], 32, orientation="in_out")
    """
    rows = check_int("rows", rows, 1)
    if orientation not in ("out_in", "in_out"):
        raise ValueError(f"orientation must be 'out_in' or 'in_out', got {orientation!r}")
    net = Network(sizes, activation=activation, loss=loss, dtype=dtype, init="zeros", seed=0)
    net._check_trainable()
    X, targets = np.zeros((rows, net.sizes[0]), net.dtype), np.zeros((rows, net.sizes[-1]), net.dtype)
    examples = inputs.empty_examples(net._spec)._replace(
        inputs=inputs.read_only(X.reshape(-1).view(np.uint8)),
        kind=inputs.KINDS[net.dtype],
        stride=net.sizes[0],
        n_rows=rows,
        targets=inputs.read_only(targets.reshape(-1)),
    )
    plan, work = net._room("train", min(rows, BLOCK_ROWS))
    gradient = aligned_zeros(net._buffer.size, net.dtype)
    records = layout.Records(np.empty(0, np.int64), np.zeros(3, np.int64), np.zeros(3), np.zeros((1, 4)), gradient[:0])
    rule = plain_sgd_rule(net._buffer)
    kernels = kernel_table.required_for_training(rule, UNDISTURBED, [examples.kind], gradient=False)
    network = net._kernel_view(plan, gradient, kernels)
    sync = threads.new_barrier(1)
    transposed = int(orientation == "in_out")
    return ArrayWorkspace(
        net.compiled(), network, work, examples, records, rule, UNDISTURBED, X, targets, sync, transposed
    )
