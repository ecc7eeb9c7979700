"""A network's outputs from inside other compiled functions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .intrinsics import call_at
from .jit import OPTIONS
from .layout import FORWARD, INPUTS, LD, LD_IN, N_IN, N_OUT, OUTPUTS
from .predict import forward_rows


class Compiled(NamedTuple):
    """A network as compiled code sees it; `fastnn.Network.compiled` makes one."""

    table: np.ndarray
    parameters: np.ndarray
    numbers: np.ndarray
    scale: float
    block: int
    code: np.ndarray

    def __reduce__(self) -> Any:
        raise TypeError("the addresses in it hold in this process alone: send the network, and call compiled() there")


@njit(**OPTIONS)
def predict(out, X, model):
    """Write the network's outputs for the rows of X into out: for calls from functions compiled by Numba.

    Parameters
    ----------
    out : ndarray, (n, n_outputs)
        Any strides, any kind of float.
    X : ndarray, (n, n_inputs)
        Any strides, any kind of number. A number that is not finite gives a row of NaN or of the activation's limits.
    model : Compiled
        What `fastnn.Network.compiled` returned, used by one thread at a time.

    Raises
    ------
    ValueError
        For the wrong shape.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> from numba import njit
    >>> @njit
    ... def follow(x, steps, model):
    ...     for _ in range(steps):
    ...         fastnn.compiled.predict(x, x, model)
    >>> net = fastnn.Network([2, 3, 2], seed=0)
    >>> x = np.zeros((1, 2), np.float32)
    >>> follow(x, 2, net.compiled())
    >>> bool((x == net.predict(net.predict(np.zeros((1, 2))))).all())
    True
    """
    table, numbers = model.table, model.numbers
    bottom, top = table[0], table[len(table) - 1]
    n_rows, n_in, n_out = X.shape[0], bottom[N_IN], top[N_OUT]
    if X.shape[1] != n_in or out.shape[0] != n_rows or out.shape[1] != n_out:
        raise ValueError("X must be (n, n_inputs) and out (n, n_outputs)")
    factor = numbers.dtype.type(model.scale)
    for start in range(0, n_rows, model.block):
        size = min(model.block, n_rows - start)
        for r in range(size):
            into = numbers[bottom[INPUTS] + r * bottom[LD_IN] :]
            for k in range(n_in):
                into[k] = numbers.dtype.type(X[start + r, k]) * factor
        call_at(model.code[FORWARD], forward_rows, numbers, model.parameters, table, 0, 0, size, model.code)
        for r in range(size):
            a = numbers[top[OUTPUTS] + r * top[LD] :]
            for j in range(n_out):
                out[start + r, j] = a[j]
