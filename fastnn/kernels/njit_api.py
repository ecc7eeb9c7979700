"""A network's arithmetic from inside other compiled functions: on a network, or on the caller's own arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from . import layout
from .intrinsics import call_at, multiply_add
from .jit import OPTIONS
from .layout import BIASES, FORWARD, INPUTS, LD, LD_IN, N_IN, N_OUT, OUTPUTS, WEIGHTS
from .predict import forward_rows
from .train_loop import batch_gradient


class Compiled(NamedTuple):
    """A network as compiled code sees it; `fastnn.Network.compiled` makes one."""

    table: np.ndarray
    parameters: np.ndarray
    workspace: np.ndarray
    scale: float
    block: int
    kernel_table: np.ndarray

    def __reduce__(self) -> Any:
        raise TypeError("the addresses in it hold in this process alone: send the network, and call compiled() there")


class ArrayWorkspace(NamedTuple):
    """Where functions on plain arrays work; `fastnn.compiled.room` makes one."""

    model: Compiled
    network: layout.NetworkView
    work: layout.Workspace
    examples: layout.Examples
    records: layout.Records
    rule: layout.UpdateRule
    stochastic_regularization: layout.StochasticRegularization
    inputs: np.ndarray  # (rows, n_inputs), what `examples` reads
    targets: np.ndarray  # (rows, n_outputs), likewise
    barrier: np.ndarray
    transposed: int  # 1: weights are (n_in, n_out)

    def __reduce__(self) -> Any:
        raise TypeError("the addresses in it hold in this process alone: make another room there")


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
    table, numbers = model.table, model.workspace
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
        call_at(
            model.kernel_table[FORWARD], forward_rows, numbers, model.parameters, table, 0, 0, size, model.kernel_table
        )
        for r in range(size):
            a = numbers[top[OUTPUTS] + r * top[LD] :]
            for j in range(n_out):
                out[start + r, j] = a[j]


@njit(**OPTIONS)
def check_layers(weights, biases, room):
    """Raise where the arrays are not shaped like the room's layers."""
    table = room.network.table
    if len(weights) != len(table) or len(biases) != len(table):
        raise ValueError("weights and biases must have one array for each layer of the room")
    for number in range(len(table)):
        n_in, n_out = table[number, N_IN], table[number, N_OUT]
        rows, columns = (n_in, n_out) if room.transposed else (n_out, n_in)
        shape = weights[number].shape
        if shape[0] != rows or shape[1] != columns or len(biases[number]) != n_out:
            raise ValueError("weights and biases must have the shapes of the room's layers, in its orientation")


@njit(**OPTIONS)
def load(weights, biases, room):
    """The room's parameters: the caller's."""
    into = room.network.parameters
    for number in range(len(weights)):
        layer, w, b = room.network.table[number], weights[number], biases[number]
        for k in range(layer[N_IN]):
            row = into[layer[WEIGHTS] + k * layer[LD] :]
            for j in range(layer[N_OUT]):
                row[j] = w[k, j] if room.transposed else w[j, k]
        for j in range(layer[N_OUT]):
            into[layer[BIASES] + j] = b[j]


@njit(**OPTIONS)
def find_gradient(X, y, weights, biases, room):
    """The room's gradient, from the caller's arrays; the loss."""
    check_layers(weights, biases, room)
    inputs, targets = room.inputs, room.targets
    n_rows = X.shape[0]
    if n_rows < 1 or n_rows > inputs.shape[0]:
        raise ValueError("X must have at least one row, and no more than the room")
    if X.shape[1] != inputs.shape[1] or y.shape[0] != n_rows or y.shape[1] != targets.shape[1]:
        raise ValueError("X must be (n, n_inputs) and y (n, n_outputs)")
    load(weights, biases, room)
    for r in range(n_rows):
        for k in range(inputs.shape[1]):
            inputs[r, k] = X[r, k]
        for j in range(targets.shape[1]):
            targets[r, j] = y[r, j]
    sums = room.records.sums
    sums[:] = 0
    batch_gradient(
        room.network,
        room.work,
        room.examples,
        room.records,
        0,
        n_rows,
        room.rule,
        room.stochastic_regularization,
        0,
        room.barrier,
    )
    return sums[0] / sums[1]


@njit(**OPTIONS)
def forward(out, X, weights, biases, room):
    """Write the outputs for the rows of X into out: for calls from functions compiled by Numba.

    Parameters
    ----------
    out : ndarray, (n, n_outputs)
        Any strides, any kind of float; it may be X itself where the shapes are one.
    X : ndarray, (n, n_inputs)
        Any strides, any kind of number.
    weights, biases : tuples of ndarray
        One for each layer, all of one type: weights in the room's orientation, biases (n_out,); any strides.
    room : ArrayWorkspace
        Of `fastnn.compiled.room`, used by one thread at a time.

    Raises
    ------
    ValueError
        For the wrong shape.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> from numba import njit
    >>> @njit
    ... def twice(x, weights, biases, room):
    ...     fastnn.compiled.forward(x, x, weights, biases, room)
    ...     fastnn.compiled.forward(x, x, weights, biases, room)
    >>> room = fastnn.compiled.room([2, 2], 1, activation="identity")
    >>> x = np.ones((1, 2))
    >>> twice(x, (np.full((2, 2), 0.5, "float32"),), (np.ones(2, "float32"),), room)
    >>> x.tolist()
    [[3.0, 3.0]]
    """
    check_layers(weights, biases, room)
    load(weights, biases, room)
    predict(out, X, room.model)


@njit(**OPTIONS)
def backward(weight_gradients, bias_gradients, X, y, weights, biases, room):
    """Write the slopes of the loss into arrays shaped like weights and biases: for functions compiled by Numba.

    Parameters
    ----------
    weight_gradients, bias_gradients : tuples of ndarray
        Written; they must not overlap anything else that is given.
    X : ndarray, (n, n_inputs)
        At most as many rows as the room has. Numbers that are not finite are not noticed.
    y : ndarray, (n, n_outputs)
        What is wanted.
    weights, biases, room
        As in `forward`.

    Returns
    -------
    float
        The loss.

    Raises
    ------
    ValueError
        For the wrong shape.
    """
    check_layers(weight_gradients, bias_gradients, room)
    loss = find_gradient(X, y, weights, biases, room)
    for number in range(len(weights)):
        layer, w, b = room.network.table[number], weight_gradients[number], bias_gradients[number]
        for k in range(layer[N_IN]):
            row = room.network.gradient[layer[WEIGHTS] + k * layer[LD] :]
            for j in range(layer[N_OUT]):
                if room.transposed:
                    w[k, j] = row[j]
                else:
                    w[j, k] = row[j]
        for j in range(layer[N_OUT]):
            b[j] = room.network.gradient[layer[BIASES] + j]
    return loss


@njit(**OPTIONS)
def sgd_step(weights, biases, X, y, learning_rate, room):
    """One step of gradient descent, in the caller's arrays: for functions compiled by Numba.

    Parameters
    ----------
    weights, biases : tuples of ndarray
        Changed: W = W - learning_rate * slope.
    X, y, room
        As in `backward`.
    learning_rate : float
        Positive.

    Returns
    -------
    float
        The loss before the step.

    Raises
    ------
    ValueError
        For the wrong shape.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> from numba import njit
    >>> @njit
    ... def train(weights, biases, X, y, steps, room):
    ...     for _ in range(steps):
    ...         loss = fastnn.compiled.sgd_step(weights, biases, X, y, 0.1, room)
    ...     return loss
    >>> room = fastnn.compiled.room([1, 1], 2, activation="identity", dtype="float64")
    >>> weights, biases = (np.zeros((1, 1)),), (np.zeros(1),)
    >>> print(train(weights, biases, np.array([[0.0], [1.0]]), np.array([[1.0], [3.0]]), 500, room) < 1e-9)
    True
    """
    loss = find_gradient(X, y, weights, biases, room)
    rate = -room.network.parameters.dtype.type(learning_rate)
    for number in range(len(weights)):
        layer, w, b = room.network.table[number], weights[number], biases[number]
        for k in range(layer[N_IN]):
            row = room.network.gradient[layer[WEIGHTS] + k * layer[LD] :]
            for j in range(layer[N_OUT]):
                if room.transposed:
                    w[k, j] = multiply_add(rate, row[j], w[k, j])
                else:
                    w[j, k] = multiply_add(rate, row[j], w[j, k])
        for j in range(layer[N_OUT]):
            b[j] = multiply_add(rate, room.network.gradient[layer[BIASES] + j], b[j])
    return loss
