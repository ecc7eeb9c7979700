"""The network in plain NumPy: the executable specification of the compiled kernels.

Every function is a line or two of mathematics over a whole batch, one row for each example. Layer l has the
weights w_jk (row j those into neuron j, column k those from neuron k of the layer before), the biases b_j,
the weighted inputs z_j and the activations a_j; the input is a^0::

    z^l = w^l a^(l-1) + b^l        a^l = f(z^l)

The cost J is a loss, summed over the outputs and averaged over the examples. With delta^l_j = dJ/dz^l_j, the four
equations of backpropagation are::

    1   delta^L_j   = dJ/da^L_j f'(z^L_j)                           delta_of_last_layer
    2   delta^l_k   = sum_j w^(l+1)_jk delta^(l+1)_j f'(z^l_k)      delta_from_next_layer
    3   dJ/db^l_j   = delta^l_j                                     bias_gradient
    4   dJ/dw^l_jk  = a^(l-1)_k delta^l_j                           weight_gradient

Tests, benchmarks and ``fastnn bench`` use it; to train a network use :class:`fastnn.Network`.
"""

from __future__ import annotations

from .activations import (
    ACTIVATIONS,
    gelu_derivative,
    leaky_relu_derivative,
    mish_derivative,
    mix,
    mixed_derivative,
    no_derivative,
    normal_distribution,
    sigmoid,
    sigmoid_derivative,
    silu_derivative,
    softmax,
    softplus,
    tanh_derivative,
)
from .augmentation import distort_image, read_bilinear, smooth_field
from .backpropagation import (
    backpropagate,
    bias_gradient,
    delta_from_next_layer,
    delta_of_last_layer,
    input_gradient,
    weight_gradient,
)
from .embedding import (
    category_embedding,
    category_embedding_gradient,
    periodic_embedding,
    periodic_embedding_gradients,
    piecewise_linear_embedding,
    piecewise_linear_embedding_gradients,
    piecewise_linear_encoding,
)
from .losses import (
    LOSSES,
    OUTPUT_OF,
    binary_cross_entropy,
    cross_entropy,
    huber,
    perceptron,
    quantile,
    quantile_derivative,
    squared_error,
)
from .network import Network

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "OUTPUT_OF",
    "Network",
    "backpropagate",
    "bias_gradient",
    "binary_cross_entropy",
    "category_embedding",
    "category_embedding_gradient",
    "cross_entropy",
    "delta_from_next_layer",
    "delta_of_last_layer",
    "distort_image",
    "gelu_derivative",
    "huber",
    "input_gradient",
    "leaky_relu_derivative",
    "mish_derivative",
    "mix",
    "mixed_derivative",
    "no_derivative",
    "normal_distribution",
    "perceptron",
    "periodic_embedding",
    "periodic_embedding_gradients",
    "piecewise_linear_embedding",
    "piecewise_linear_embedding_gradients",
    "piecewise_linear_encoding",
    "quantile",
    "quantile_derivative",
    "read_bilinear",
    "sigmoid",
    "sigmoid_derivative",
    "silu_derivative",
    "smooth_field",
    "softmax",
    "softplus",
    "squared_error",
    "tanh_derivative",
    "weight_gradient",
]
