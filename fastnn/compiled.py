"""Call networks inside functions that you compile with Numba, without returning to Python.

`net.compiled()` gives what such a function takes, `predict(out, X, model)` is what it calls. On arrays of weights and
biases, `forward`, `backward` and `sgd_step` do what those of `fastnn.functional` do, in a `workspace(...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import inputs
from .checks import check_int
from .kernels import kernel_table, layout, threads
from .kernels.njit_api import ArrayWorkspace, Compiled, backward, forward, predict, sgd_step
from .parameters import BLOCK_ROWS, aligned_zeros
from .spec import make_spec
from .training.engine import Engine
from .training.update_rule import no_stochastic_regularization, plain_sgd_rule

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
    """Allocate what `forward`, `backward` and `sgd_step` work in and know beside the arrays.

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
    engine = Engine(make_spec(sizes, activation, loss, dtype))
    engine.check_trainable()
    X = np.zeros((rows, engine.spec.sizes[0]), engine.dtype)
    targets = np.zeros((rows, engine.spec.sizes[-1]), engine.dtype)
    examples = inputs.empty_examples(engine.spec)._replace(
        inputs=inputs.read_only(X.reshape(-1).view(np.uint8)),
        kind=inputs.KINDS[engine.dtype],
        stride=engine.spec.sizes[0],
        n_rows=rows,
        targets=inputs.read_only(targets.reshape(-1)),
    )
    memory, work = engine.workspace("train", min(rows, BLOCK_ROWS))
    gradient = aligned_zeros(engine.buffer.size, engine.dtype)
    records = layout.Records(np.empty(0, np.int64), np.zeros(3, np.int64), np.zeros(3), np.zeros((1, 4)), gradient[:0])
    rule, stochastic = plain_sgd_rule(engine.buffer), no_stochastic_regularization(engine.buffer)
    kernels = kernel_table.required_for_training(
        rule, stochastic, (examples.kind,) * 2, gradient=False, table=memory.table
    )
    network = engine.network_view(memory, gradient, kernels)
    barrier, transposed = threads.new_barrier(1), int(orientation == "in_out")
    return ArrayWorkspace(
        engine.compiled(), network, work, examples, records, rule, stochastic, X, targets, barrier, transposed
    )
