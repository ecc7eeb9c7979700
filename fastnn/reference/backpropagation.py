"""The four equations of backpropagation, applied from the last layer to the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .activations import ACTIVATIONS, Array
from .losses import loss_functions
from .rounding import OPERANDS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Gradients = tuple[list[Array], list[Array]]
"""dJ/dw and dJ/db, one array for each layer."""


def delta_of_last_layer(z: Array, a: Array, y: Array, activation: str, loss: str, q: ArrayLike = 0.5) -> Array:
    """Return equation 1 for each row: delta_j = dJ/da_j f'(z_j); q: the level or levels of the quantile loss."""
    return loss_functions(loss, q)[1](z, a, y, ACTIVATIONS[activation][1])


def delta_from_next_layer(w_next: Array, delta_next: Array, z: Array, a: Array, activation: str) -> Array:
    """Return equation 2: delta_k = sum_j w_next_jk delta_next_j f'(z_k)."""
    delta = delta_next @ w_next
    delta *= ACTIVATIONS[activation][1](z, a)
    return delta


def bias_gradient(delta: Array) -> Array:
    """Return equation 3: dJ/db_j = delta_j, summed over the rows."""
    return delta.sum(axis=0)


def weight_gradient(a_before: Array, delta: Array) -> Array:
    """Return equation 4: dJ/dw_jk = a_before_k delta_j, summed over the rows."""
    return delta.T @ a_before


def backpropagate(
    weights: Sequence[Array],
    activation: Sequence[str],
    loss: str,
    z: Sequence[Array],
    a: Sequence[Array],
    y: Array,
    row_factor: Array | float,
    precision: str = "float64",
    q: ArrayLike = 0.5,
) -> Gradients:
    """Return dJ/dw and dJ/db, one array for each layer, by the four equations.

    Parameters
    ----------
    weights, activation : sequences of ndarray (n_out, n_in) and of str
        One for each layer of weights.
    loss : str
    z, a : sequences of ndarray (n, n_out)
        Weighted inputs, one for each layer of weights, and activations, one more: the input comes first.
    y : ndarray (n, n_outputs)
    row_factor : float or ndarray (n, 1)
        Factor of each row in the average: 1/n, or its weight over the sum of the weights.
    precision : {"float64", "float32", "bfloat16"}
        "bfloat16": activations, deltas and weights are rounded before they are multiplied.
    q : float or array_like (n_outputs,)
        Level of the quantile loss, or one for each output.
    """
    operand = OPERANDS[precision]
    delta = delta_of_last_layer(z[-1], a[-1], y, activation[-1], loss, q)
    delta *= row_factor  # all that follows is linear in delta, so that its sums over rows become averages
    bias_gradients = [bias_gradient(delta)]
    weight_gradients = [weight_gradient(operand(a[-2]), operand(delta))]
    for l in range(len(weights) - 2, -1, -1):  # noqa: E741
        delta = delta_from_next_layer(operand(weights[l + 1]), operand(delta), z[l], a[l + 1], activation[l])
        bias_gradients.insert(0, bias_gradient(delta))
        weight_gradients.insert(0, weight_gradient(operand(a[l]), operand(delta)))
    return weight_gradients, bias_gradients


def input_gradient(
    weights: Sequence[Array], activation: Sequence[str], z: Sequence[Array], a: Sequence[Array], delta: Array
) -> Array:
    """Return dJ/da^0_k = sum_j w^1_jk delta^1_j for each row, from the last layer's delta: equation 2, one layer more.

    Parameters
    ----------
    weights, activation, z, a
        As in `backpropagate`.
    delta : ndarray (n, n_outputs)
        Derivative with respect to the last layer's z of what is differentiated.
    """
    for l in range(len(weights) - 2, -1, -1):  # noqa: E741
        delta = delta_from_next_layer(weights[l + 1], delta, z[l], a[l + 1], activation[l])
    return delta @ weights[0]
