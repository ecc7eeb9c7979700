"""A network's arithmetic for functions that users compile with Numba: on a network, or on the caller's arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from numba import njit

from . import layout
from .intrinsics import flush_subnormals, multiply_add, restore_mode
from .jit import OPTIONS
from .layout import BIASES, GRADIENT_INPUTS, LD, LD_IN, N_IN, N_OUT, OUTPUTS, WEIGHTS
from .predict import forward_rows
from .registry import call
from .train_loop import batch_gradient

if TYPE_CHECKING:
    import numpy as np


class Compiled(NamedTuple):
    """A network as compiled code sees it; `fastnn.Network.compiled` returns one."""

    table: np.ndarray
    parameters: np.ndarray
    workspace: np.ndarray
    scale: float
    block: int
    kernel_table: np.ndarray

    def __reduce__(self) -> Any:
        raise TypeError("the addresses in it hold in this process alone: send the network, and call compiled() there")


class ArrayWorkspace(NamedTuple):
    """Memory for the functions on plain arrays, and the layers they compute; `fastnn.compiled.workspace` makes one."""

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
        raise TypeError("the addresses in it hold in this process alone: make another workspace there")


@njit(**OPTIONS)
def predict(out, X, model):
    """Write the network's outputs for the rows of X into out: for functions that you compile with Numba.

    Parameters
    ----------
    out : ndarray, (n, n_outputs)
        Any strides, any kind of float.
    X : ndarray, (n, n_inputs)
        Any strides, any kind of number. A number that is not finite gives a row of NaN or of the activation's limits.
    model : Compiled
        From `fastnn.Network.compiled`; for one thread at a time.

    Raises
    ------
    ValueError
        If a shape is wrong.

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
    table, buffer = model.table, model.workspace
    bottom, top = table[0], table[len(table) - 1]
    n_rows, n_in, n_out = X.shape[0], bottom[N_IN], top[N_OUT]
    if X.shape[1] != n_in or out.shape[0] != n_rows or out.shape[1] != n_out:
        raise ValueError("X must be (n, n_inputs) and out (n, n_outputs)")
    factor = buffer.dtype.type(model.scale)
    for start in range(0, n_rows, model.block):
        size = min(model.block, n_rows - start)
        for r in range(size):
            dst = buffer[bottom[GRADIENT_INPUTS] + r * bottom[LD_IN] :]
            for k in range(n_in):
                dst[k] = buffer.dtype.type(X[start + r, k]) * factor
        mode = flush_subnormals()
        call(model.kernel_table, forward_rows, buffer, model.parameters, table, 0, 0, size, model.kernel_table)
        restore_mode(mode)
        for r in range(size):
            a = buffer[top[OUTPUTS] + r * top[LD] :]
            for j in range(n_out):
                out[start + r, j] = a[j]


@njit(**OPTIONS)
def check_layers(weights, biases, workspace):
    """Raise a ValueError unless weights and biases have the shapes of the workspace's layers."""
    table = workspace.network.table
    if len(weights) != len(table) or len(biases) != len(table):
        raise ValueError("weights and biases must have one array for each layer of the workspace")
    for index in range(len(table)):
        n_in, n_out = table[index, N_IN], table[index, N_OUT]
        rows, columns = (n_in, n_out) if workspace.transposed else (n_out, n_in)
        shape = weights[index].shape
        if shape[0] != rows or shape[1] != columns or len(biases[index]) != n_out:
            raise ValueError("weights and biases must have the shapes of the workspace's layers, in its orientation")


@njit(**OPTIONS)
def load_parameters(weights, biases, workspace):
    """Copy the caller's weights and biases into the workspace's parameters."""
    parameters = workspace.network.parameters
    for index in range(len(weights)):
        layer, w, b = workspace.network.table[index], weights[index], biases[index]
        for k in range(layer[N_IN]):
            row = parameters[layer[WEIGHTS] + k * layer[LD] :]
            for j in range(layer[N_OUT]):
                row[j] = w[k, j] if workspace.transposed else w[j, k]
        for j in range(layer[N_OUT]):
            parameters[layer[BIASES] + j] = b[j]


@njit(**OPTIONS)
def compute_gradient(X, y, weights, biases, workspace):
    """Compute the workspace's gradient from the caller's arrays; return the loss."""
    check_layers(weights, biases, workspace)
    inputs, targets = workspace.inputs, workspace.targets
    n_rows = X.shape[0]
    if n_rows < 1 or n_rows > inputs.shape[0]:
        raise ValueError("X must have at least one row, and no more than the workspace")
    if X.shape[1] != inputs.shape[1] or y.shape[0] != n_rows or y.shape[1] != targets.shape[1]:
        raise ValueError("X must be (n, n_inputs) and y (n, n_outputs)")
    load_parameters(weights, biases, workspace)
    for r in range(n_rows):
        for k in range(inputs.shape[1]):
            inputs[r, k] = X[r, k]
        for j in range(targets.shape[1]):
            targets[r, j] = y[r, j]
    sums = workspace.records.sums
    sums[:] = 0
    batch_gradient(
        workspace.network, workspace.work, workspace.examples, workspace.records, 0, n_rows, workspace.rule,
        workspace.stochastic_regularization, 0, workspace.barrier,
    )  # fmt: skip
    return sums[0] / sums[1]


@njit(**OPTIONS)
def forward(out, X, weights, biases, workspace):
    """Write the outputs for the rows of X into out: for functions that you compile with Numba.

    Parameters
    ----------
    out : ndarray, (n, n_outputs)
        Any strides, any kind of float; it may be X itself if their shapes agree.
    X : ndarray, (n, n_inputs)
        Any strides, any kind of number.
    weights, biases : tuples of ndarray
        One for each layer, all of one type: weights in the workspace's orientation, biases (n_out,); any strides.
    workspace : ArrayWorkspace
        From `fastnn.compiled.workspace`; for one thread at a time.

    Raises
    ------
    ValueError
        If a shape is wrong.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> from numba import njit
    >>> @njit
    ... def twice(x, weights, biases, workspace):
    ...     fastnn.compiled.forward(x, x, weights, biases, workspace)
    ...     fastnn.compiled.forward(x, x, weights, biases, workspace)
    >>> workspace = fastnn.compiled.workspace([2, 2], 1, activation="identity")
    >>> x = np.ones((1, 2))
    >>> twice(x, (np.full((2, 2), 0.5, "float32"),), (np.ones(2, "float32"),), workspace)
    >>> x.tolist()
    [[3.0, 3.0]]
    """
    check_layers(weights, biases, workspace)
    load_parameters(weights, biases, workspace)
    predict(out, X, workspace.model)


@njit(**OPTIONS)
def backward(weight_gradients, bias_gradients, X, y, weights, biases, workspace):
    """Write the gradient of the loss into arrays shaped like weights and biases: for functions compiled with Numba.

    Parameters
    ----------
    weight_gradients, bias_gradients : tuples of ndarray
        Overwritten; they must not overlap any other argument.
    X : ndarray, (n, n_inputs)
        At most as many rows as the workspace has. Numbers are not checked to be finite.
    y : ndarray, (n, n_outputs)
        Targets.
    weights, biases, workspace
        As in `forward`.

    Returns
    -------
    float
        The loss.

    Raises
    ------
    ValueError
        If a shape is wrong.
    """
    check_layers(weight_gradients, bias_gradients, workspace)
    loss = compute_gradient(X, y, weights, biases, workspace)
    for index in range(len(weights)):
        layer, w, b = workspace.network.table[index], weight_gradients[index], bias_gradients[index]
        for k in range(layer[N_IN]):
            row = workspace.network.gradient[layer[WEIGHTS] + k * layer[LD] :]
            for j in range(layer[N_OUT]):
                if workspace.transposed:
                    w[k, j] = row[j]
                else:
                    w[j, k] = row[j]
        for j in range(layer[N_OUT]):
            b[j] = workspace.network.gradient[layer[BIASES] + j]
    return loss


@njit(**OPTIONS)
def sgd_step(weights, biases, X, y, learning_rate, workspace):
    """Take one step of gradient descent in the caller's arrays: for functions that you compile with Numba.

    Parameters
    ----------
    weights, biases : tuples of ndarray
        Updated in place: W - learning_rate * gradient.
    X, y, workspace
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
        If a shape is wrong.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> from numba import njit
    >>> @njit
    ... def train(weights, biases, X, y, steps, workspace):
    ...     for _ in range(steps):
    ...         loss = fastnn.compiled.sgd_step(weights, biases, X, y, 0.1, workspace)
    ...     return loss
    >>> workspace = fastnn.compiled.workspace([1, 1], 2, activation="identity", dtype="float64")
    >>> weights, biases = (np.zeros((1, 1)),), (np.zeros(1),)
    >>> print(train(weights, biases, np.array([[0.0], [1.0]]), np.array([[1.0], [3.0]]), 500, workspace) < 1e-9)
    True
    """
    loss = compute_gradient(X, y, weights, biases, workspace)
    mode = flush_subnormals()
    rate = -workspace.network.parameters.dtype.type(learning_rate)
    for index in range(len(weights)):
        layer, w, b = workspace.network.table[index], weights[index], biases[index]
        for k in range(layer[N_IN]):
            row = workspace.network.gradient[layer[WEIGHTS] + k * layer[LD] :]
            for j in range(layer[N_OUT]):
                if workspace.transposed:
                    w[k, j] = multiply_add(rate, row[j], w[k, j])
                else:
                    w[j, k] = multiply_add(rate, row[j], w[j, k])
        for j in range(layer[N_OUT]):
            b[j] = multiply_add(rate, workspace.network.gradient[layer[BIASES] + j], b[j])
    restore_mode(mode)
    return loss
