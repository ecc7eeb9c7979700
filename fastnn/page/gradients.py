"""How an answer changes with the inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..network import Network
from ..reference.activations import ACTIVATIONS


def input_gradients(net: Network, X: Any, output: int) -> NDArray[Any] | None:
    """Return the gradient of one output with respect to the inputs, (n, n_inputs).

    None where it has none: for networks with steps, or with activations that were registered.
    """
    if not set(net.activation) <= set(ACTIVATIONS) or "step" in net.activation:
        return None
    activations = net.activations(X)
    delta = np.zeros_like(activations[-1])
    delta[:, output] = 1
    for number in reversed(range(len(net.weights))):
        below, above = activations[number], activations[number + 1]
        if net.activation[number] == "softmax":
            delta = above * (delta - (above * delta).sum(axis=1, keepdims=True))
        else:
            z = np.einsum("nk,jk->nj", below, net.weights[number]) + net.biases[number]
            delta = delta * ACTIVATIONS[net.activation[number]][1](z, above)
        # not the product of BLAS, whose threads wait for each other where a training has the cores
        delta = np.einsum("nj,jk->nk", delta, net.weights[number])
    scale: NDArray[Any] = delta * net.input_scale
    return scale * net.input_scales if net.learned_input_scale else scale
