"""The network in plain NumPy: the specification that the compiled kernels are held to.

Every function is a line or two of mathematics over a whole batch, one row for each example. Layer l has the
weights w_jk (row j those into neuron j, column k those from neuron k of the layer before), the biases b_j,
the weighted inputs z_j and the activations a_j; the input is a^0::

    z^l = w^l a^(l-1) + b^l        a^l = f(z^l)

The cost J is a loss, summed over the outputs and averaged over the examples. With delta^l_j = dJ/dz^l_j,
learning goes by the four equations of backpropagation::

    1   delta^L_j   = dJ/da^L_j f'(z^L_j)                           delta_of_last_layer
    2   delta^l_k   = sum_j w^(l+1)_jk delta^(l+1)_j f'(z^l_k)      delta_from_next_layer
    3   dJ/db^l_j   = delta^l_j                                     bias_slope
    4   dJ/dw^l_jk  = a^(l-1)_k delta^l_j                           weight_slope

It serves tests, benchmarks and ``fastnn bench``; to train a network use :class:`fastnn.Network`.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[Any]
Slopes = tuple[list[Array], list[Array]]
Weight = ArrayLike | None

# ---- Activations: f(z) and f'(z) by element, in the dtype of z. A slope takes a = f(z) too, where known.


@np.errstate(over="ignore")
def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + e^-z); where e^-z overflows to infinity, the quotient is the right 0."""
    return 1 / (1 + np.exp(-z))


def sigmoid_slope(z: Array, a: Array | None = None) -> Array:
    """Return f (1 - f)."""
    a = sigmoid(z) if a is None else a
    return a * (1 - a)


def tanh_slope(z: Array, a: Array | None = None) -> Array:
    """Return 1 - f^2."""
    a = np.tanh(z) if a is None else a
    return 1 - a * a


def leaky_relu_slope(z: Array, a: Array | None = None) -> Array:
    """Return 1 above zero, and 0.01 at zero and below."""
    return np.maximum((z > 0).astype(z.dtype), 0.01)


def softplus(z: Array) -> Array:
    """Return ln(1 + e^z), which is max(z, 0) + ln(1 + e^-|z|)."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def softmax(z: Array) -> Array:
    """Return e^z_j / sum_i e^z_i for each row; subtracting the largest z changes nothing else."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    return e


def no_slope(z: Array, a: Array | None = None) -> NoReturn:
    """Refuse: step is flat, and every output of softmax depends on every z."""
    raise ValueError("step learns only with perceptron as loss, softmax only with cross_entropy")


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def silu_slope(z: Array, a: Array | None = None) -> Array:
    """Return s + z s (1 - s), s = sigmoid(z)."""
    s = sigmoid(z)
    return s + z * s * (1 - s)


def normal_distribution(z: Array) -> Array:
    """Return Phi(z) = erfc(-z / sqrt 2) / 2."""
    from scipy.special import erfc

    return 0.5 * erfc(-z / np.sqrt(z.dtype.type(2)))


def gelu_slope(z: Array, a: Array | None = None) -> Array:
    """Return Phi(z) + z phi(z)."""
    return (normal_distribution(z) + z * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)).astype(z.dtype)


#: name -> (value(z), slope(z, a=None)). step(0) is 1; at 0 the slopes of relu and leaky_relu are those below.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[..., Array]]] = {
    "identity": (lambda z: z, lambda z, a=None: np.ones_like(z)),
    "step": (lambda z: (z >= 0).astype(z.dtype), no_slope),
    "sigmoid": (sigmoid, sigmoid_slope),
    "tanh": (np.tanh, tanh_slope),
    "arctan": (np.arctan, lambda z, a=None: 1 / (1 + z * z)),
    "relu": (lambda z: np.maximum(z, 0), lambda z, a=None: (z > 0).astype(z.dtype)),
    "leaky_relu": (lambda z: np.maximum(z, 0.01 * z), leaky_relu_slope),
    "elu": (
        lambda z: np.maximum(z, 0) + np.expm1(np.minimum(z, 0)),
        lambda z, a=None: np.exp(np.minimum(z, 0)),
    ),
    "softplus": (softplus, lambda z, a=None: sigmoid(z)),
    "softmax": (softmax, no_slope),
    "silu": (lambda z: z * sigmoid(z), silu_slope),
    "gelu": (lambda z: z * normal_distribution(z), gelu_slope),
    "selu": (
        lambda z: SELU_SCALE * (np.maximum(z, 0) + SELU_ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z, a=None: SELU_SCALE * np.where(z > 0, 1, SELU_ALPHA * np.exp(np.minimum(z, 0))).astype(z.dtype),
    ),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z, a=None: 1 / np.square(1 + np.abs(z))),
    "hard_sigmoid": (
        lambda z: np.clip(z / 6 + 0.5, 0, 1),
        lambda z, a=None: ((np.abs(z) < 3) / 6).astype(z.dtype),
    ),
    "exponential": (np.exp, lambda z, a=None: np.exp(z)),
}

# ---- Losses: one term for each output of each example, and the delta of the last layer.


def squared_error(z: Array, a: Array, y: Array) -> Array:
    """Return (a - y)^2: no factor 1/2, so that dJ/da is 2 (a - y)."""
    return np.square(a - y)


def cross_entropy(z: Array, a: Array, y: Array) -> Array:
    """Return -y_j ln a_j for a = softmax(z), from z: y_j (ln sum_i e^z_i - z_j)."""
    largest = z.max(axis=1, keepdims=True)
    below = z - largest
    return y * (np.log(np.exp(below).sum(axis=1, keepdims=True)) - below)


def binary_cross_entropy(z: Array, a: Array, y: Array) -> Array:
    """Return -y ln a - (1 - y) ln(1 - a) for a = sigmoid(z), from z, keeping the small digits."""
    return (np.maximum(z, 0) - z * y) + np.log1p(np.exp(-np.abs(z)))


def perceptron(z: Array, a: Array, y: Array) -> Array:
    """Return max(0, -(2y - 1) z): how far z lies on the wrong side of zero."""
    return np.maximum((1 - 2 * y) * z, 0)


def huber(z: Array, a: Array, y: Array, limit: float = 1.0) -> Array:
    """Return (a - y)^2 / 2 within the limit, limit (|a - y| - limit / 2) beyond."""
    error = np.abs(a - y)
    return np.where(error <= limit, 0.5 * error * error, limit * (error - 0.5 * limit))


def quantile(z: Array, a: Array, y: Array, q: float = 0.5) -> Array:
    """Return q (y - a) where y lies above a, (1 - q) (a - y) where below."""
    return np.maximum(q * (y - a), (1 - q) * (a - y))


def quantile_slope(a: Array, y: Array, q: float = 0.5) -> Array:
    """Return -q where y lies above a, 1 - q where below, 0 where they are one."""
    return np.where(a > y, 1 - q, np.where(a < y, -q, 0)).astype(a.dtype)


#: name -> (term(z, a, y), delta(z, a, y, slope)), where slope is f' of the last layer.
#:
#: Three losses go with one activation each, and their delta has f' in it already. For cross_entropy a row of
#: targets need not sum to 1: its loss is sum_j y_j (lse - z_j), its delta a_j sum_i y_i - y_j. The delta of
#: perceptron, a - y, is 0 for a right answer and -(2y - 1) for a wrong one, even at z = 0 with its loss of 0.
LOSSES: dict[str, tuple[Callable[[Array, Array, Array], Array], Callable[..., Array]]] = {
    "squared_error": (squared_error, lambda z, a, y, slope: 2 * (a - y) * slope(z, a)),
    "half_squared_error": (lambda z, a, y: (a - y) ** 2 / 2, lambda z, a, y, slope: (a - y) * slope(z, a)),
    "cross_entropy": (cross_entropy, lambda z, a, y, slope: a * y.sum(axis=1, keepdims=True) - y),
    "binary_cross_entropy": (binary_cross_entropy, lambda z, a, y, slope: a - y),
    "perceptron": (perceptron, lambda z, a, y, slope: a - y),
    "absolute_error": (lambda z, a, y: np.abs(a - y), lambda z, a, y, slope: np.sign(a - y) * slope(z, a)),
    "huber": (huber, lambda z, a, y, slope: np.clip(a - y, -1, 1) * slope(z, a)),
    "quantile": (quantile, lambda z, a, y, slope: quantile_slope(a, y) * slope(z, a)),
    "poisson": (lambda z, a, y: a - y * z, lambda z, a, y, slope: a - y),
}
OUTPUT_OF = {
    "cross_entropy": "softmax",
    "binary_cross_entropy": "sigmoid",
    "perceptron": "step",
    "poisson": "exponential",
}

# ---- The four equations, and the walk from the last layer to the first.


def delta_of_last_layer(z: Array, a: Array, y: Array, activation: str, loss: str) -> Array:
    """Equation 1: delta_j = dJ/da_j f'(z_j), each row by itself."""
    return LOSSES[loss][1](z, a, y, ACTIVATIONS[activation][1])


def delta_from_next_layer(w_next: Array, delta_next: Array, z: Array, a: Array, activation: str) -> Array:
    """Equation 2: delta_k = sum_j w_next_jk delta_next_j f'(z_k)."""
    delta = delta_next @ w_next
    delta *= ACTIVATIONS[activation][1](z, a)
    return delta


def bias_slope(delta: Array) -> Array:
    """Equation 3: dJ/db_j = delta_j, summed over the rows."""
    return delta.sum(axis=0)


def weight_slope(a_before: Array, delta: Array) -> Array:
    """Equation 4: dJ/dw_jk = a_before_k delta_j, summed over the rows."""
    return delta.T @ a_before


def backpropagate(
    weights: Sequence[Array],
    activation: Sequence[str],
    loss: str,
    z: Sequence[Array],
    a: Sequence[Array],
    y: Array,
    share: Array | float,
) -> Slopes:
    """Return dJ/dw and dJ/db, one array per layer, by the four equations.

    Parameters
    ----------
    weights, activation : sequences of ndarray (n_out, n_in) and of str
        One per layer of weights.
    loss : str
    z, a : sequences of ndarray (n, n_out)
        Weighted inputs, one per layer of weights, and activations, one more: the input comes first.
    y : ndarray (n, n_outputs)
    share : float or ndarray (n, 1)
        The part of each row in the average: 1/n, or its weight over the sum of the weights.
    """
    delta = delta_of_last_layer(z[-1], a[-1], y, activation[-1], loss)
    delta *= share  # the rest is linear in delta: with this, sums over rows are averages
    bias_slopes = [bias_slope(delta)]
    weight_slopes = [weight_slope(a[-2], delta)]
    for l in range(len(weights) - 2, -1, -1):  # noqa: E741
        delta = delta_from_next_layer(weights[l + 1], delta, z[l], a[l + 1], activation[l])
        bias_slopes.insert(0, bias_slope(delta))
        weight_slopes.insert(0, weight_slope(a[l], delta))
    return weight_slopes, bias_slopes


class Network:
    """A multilayer perceptron and its training by gradient descent.

    Parameters
    ----------
    weights, biases : sequences of array_like (n_out, n_in) and (n_out,)
        One of each per layer; copied, in one floating dtype for all, in which everything is computed.
    activation : str or sequence of str
        One name for every layer of weights, or one for each.
    loss : str
    """

    def __init__(
        self,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike],
        activation: str | Sequence[str] = "sigmoid",
        loss: str = "squared_error",
    ) -> None:
        self.dtype = np.result_type(np.float32, *map(np.asarray, (*weights, *biases)))
        self.weights: list[Array] = [np.array(w, self.dtype, order="C") for w in weights]
        self.biases: list[Array] = [np.array(b, self.dtype) for b in biases]
        self.activation = [activation] * len(weights) if isinstance(activation, str) else list(activation)
        self.loss = loss
        if not len(weights) == len(biases) == len(self.activation) > 0:
            raise ValueError("weights, biases and activation: expected one of each per layer")
        if unknown := (set(self.activation) - set(ACTIVATIONS)) | ({loss} - set(LOSSES)):
            raise ValueError(f"activation, loss: unknown {sorted(unknown)}")
        output = self.activation[-1]
        if output != OUTPUT_OF.get(loss, output) or (output == "softmax" and loss != "cross_entropy"):
            raise ValueError(f"loss: {loss!r} does not go with {output!r} outputs")
        if "softmax" in self.activation[:-1]:
            raise ValueError("activation: softmax is for the last layer")
        sizes = [self.weights[0].shape[-1], *(b.size for b in self.biases)]
        if [w.shape for w in self.weights] != [(j, k) for k, j in itertools.pairwise(sizes)]:
            raise ValueError("weights (n_out, n_in), biases (n_out,): the shapes do not fit together")

    @classmethod
    def random(
        cls,
        sizes: Sequence[int],
        activation: str | Sequence[str] = "sigmoid",
        loss: str = "squared_error",
        *,
        seed: int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> "Network":
        """Return a network with normal weights of standard deviation 1/sqrt(n_in), and biases 0."""
        rng = np.random.default_rng(seed)
        weights = [rng.normal(0, 1 / math.sqrt(k), (j, k)) for k, j in itertools.pairwise(sizes)]
        biases = [np.zeros(j, dtype) for j in sizes[1:]]
        return cls([w.astype(dtype) for w in weights], biases, activation, loss)

    def forward(self, X: ArrayLike) -> tuple[list[Array], list[Array]]:
        """Return z, one array per layer of weights, and a, one more: the input comes first."""
        z: list[Array] = []
        a: list[Array] = [np.asarray(X, self.dtype)]
        if a[0].ndim != 2 or a[0].shape[1] != self.weights[0].shape[1]:
            raise ValueError(f"X: expected shape (n, {self.weights[0].shape[1]}), got {a[0].shape}")
        for w, b, name in zip(self.weights, self.biases, self.activation, strict=True):
            z.append(a[-1] @ w.T)
            z[-1] += b
            a.append(ACTIVATIONS[name][0](z[-1]))
        return z, a

    def activations(self, X: ArrayLike) -> list[Array]:
        """Return the activations of every layer, the input first."""
        return self.forward(X)[1]

    def logits(self, X: ArrayLike) -> Array:
        """Return z of the last layer, (n, n_outputs)."""
        return self.forward(X)[0][-1]

    def predict(self, X: ArrayLike) -> Array:
        """Return the activations of the last layer, (n, n_outputs)."""
        return self.forward(X)[1][-1]

    def classify(self, X: ArrayLike) -> Array:
        """Return the index of the brightest output, or with one output 1 from 0.5 up, else 0."""
        a = self.predict(X)
        return a.argmax(axis=1) if a.shape[1] > 1 else (a[:, 0] >= 0.5).astype(np.intp)

    def targets(self, y: ArrayLike) -> Array:
        """Return rows (n, n_outputs); integer labels (n,) become one-hot rows unless there is one output."""
        t: Array = np.asarray(y)
        n_outputs = len(self.biases[-1])
        if t.ndim == 1 and n_outputs == 1:
            t = t[:, None]
        elif t.ndim == 1 and t.dtype.kind in "iu" and np.all((t >= 0) & (t < n_outputs)):
            t = t[:, None] == np.arange(n_outputs)
        if t.ndim != 2 or t.shape[1] != n_outputs:
            raise ValueError(f"y: expected (n, {n_outputs}) numbers or (n,) labels 0 to {n_outputs - 1}")
        return t.astype(self.dtype, copy=False)

    def _pass(
        self, X: ArrayLike, y: ArrayLike, sample_weight: Weight
    ) -> tuple[float, tuple[list[Array], list[Array], Array, Array | float]]:
        """Return J and what backpropagate needs: z, a, the targets, the shares of the rows."""
        z, a = self.forward(X)
        t = self.targets(y)
        n = len(a[0])
        if len(t) != n:
            raise ValueError(f"y: expected {n} rows, as in X, got {len(t)}")
        terms = LOSSES[self.loss][0](z[-1], a[-1], t)
        if sample_weight is None:
            return float(terms.sum(dtype=np.float64)) / n, (z, a, t, 1 / n)
        weight = np.asarray(sample_weight, np.float64).reshape(n, 1)
        total = float(weight.sum())
        if not total:
            return math.nan, (z, a, t, 0.0)
        return float((weight * terms).sum()) / total, (z, a, t, weight / total)

    def loss_of(self, X: ArrayLike, y: ArrayLike, sample_weight: Weight = None) -> float:
        """Return J, the mean of the rows' losses, weighted sum(w l) / sum(w); nan if all weights are 0."""
        return self._pass(X, y, sample_weight)[0]

    def gradients(self, X: ArrayLike, y: ArrayLike, sample_weight: Weight = None) -> Slopes:
        """Return dJ/dw and dJ/db, one array per layer; zeros if all weights are 0."""
        return backpropagate(self.weights, self.activation, self.loss, *self._pass(X, y, sample_weight)[1])

    def step(self, X: ArrayLike, y: ArrayLike, learning_rate: float, sample_weight: Weight = None) -> float:
        """Take one step, w -= rate dJ/dw, in place; return J before it. Weights all 0: no change, and nan."""
        if sample_weight is not None and not np.any(sample_weight):
            return math.nan
        loss, (z, a, t, share) = self._pass(X, y, sample_weight)
        share = learning_rate * share  # slopes are linear in the shares: this gives rate dJ/dw for nothing
        dw, db = backpropagate(self.weights, self.activation, self.loss, z, a, t, share)
        for p, update in zip(self.weights + self.biases, dw + db, strict=True):
            p -= update
        return loss

    def train(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        order: Callable[[int], Array] | None = None,
        sample_weight: Weight = None,
    ) -> list[float]:
        """Take a step for each batch, and return the loss of each epoch.

        `order` gives the rows of epoch 0, 1, ...; without it they come as they stand. The last batch of an
        epoch is what is left, averaged over its own rows. The loss of an epoch is the mean over its batches,
        each before its update, by number of rows or by sum of weights.
        """
        inputs, t = np.asarray(X, self.dtype), self.targets(y)
        weight = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        history = []
        for epoch in range(epochs):
            index = np.arange(len(inputs)) if order is None else order(epoch)
            total = seen = 0.0
            for start in range(0, len(index), batch_size):
                rows = index[start : start + batch_size]
                w = None if weight is None else weight[rows]
                loss = self.step(inputs.take(rows, axis=0), t.take(rows, axis=0), learning_rate, w)
                batch_weight = len(rows) if w is None else float(w.sum())
                if batch_weight:
                    total += batch_weight * loss
                    seen += batch_weight
            history.append(total / seen if seen else math.nan)
        return history
