"""The network: forward pass, loss, gradients, and gradient descent in batches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .activations import ACTIVATIONS, Array
from .backpropagation import Gradients, backpropagate, delta_of_last_layer, input_gradient
from .losses import LOSSES, OUTPUT_OF, loss_functions
from .rounding import OPERANDS

Weight = ArrayLike | None


class Network:
    """A multilayer perceptron and its training by gradient descent.

    Parameters
    ----------
    weights, biases : sequences of array_like (n_out, n_in) and (n_out,)
        One of each for every layer; copied to one floating dtype, in which everything is computed.
    activation : str or sequence of str
        One name for every layer of weights, or one for each.
    loss : str
    precision : {"float64", "float32", "bfloat16"}
        "bfloat16": activations, deltas and weights are rounded before they are multiplied.
    q : float or array_like (n_outputs,)
        Level of the quantile loss, or one for each output, which then all have the target of a single column.
    """

    def __init__(
        self,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike],
        activation: str | Sequence[str] = "sigmoid",
        loss: str = "squared_error",
        precision: str = "float64",
        q: ArrayLike = 0.5,
    ) -> None:
        self.dtype = np.result_type(np.float32, *map(np.asarray, (*weights, *biases)))
        self.weights: list[Array] = [np.array(w, self.dtype, order="C") for w in weights]
        self.biases: list[Array] = [np.array(b, self.dtype) for b in biases]
        self.activation = [activation] * len(weights) if isinstance(activation, str) else list(activation)
        self.loss = loss
        self.precision = precision
        self.q = np.asarray(q)
        if not len(weights) == len(biases) == len(self.activation) > 0:
            raise ValueError("weights, biases and activation: expected one of each per layer")
        if unknown := (set(self.activation) - set(ACTIVATIONS)) | ({loss} - set(LOSSES)):
            raise ValueError(f"activation, loss: unknown {sorted(unknown)}")
        output = self.activation[-1]
        if output != OUTPUT_OF.get(loss, output) or (output == "softmax" and loss != "cross_entropy"):
            raise ValueError(f"loss: {loss!r} does not take {output!r} outputs")
        if precision not in OPERANDS:
            raise ValueError(f"precision: expected one of {sorted(OPERANDS)}, got {precision!r}")
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
    ) -> Network:
        """Return a network with normal weights of standard deviation 1/sqrt(n_in), and biases 0."""
        rng = np.random.default_rng(seed)
        weights = [rng.normal(0, 1 / math.sqrt(k), (j, k)) for k, j in itertools.pairwise(sizes)]
        biases = [np.zeros(j, dtype) for j in sizes[1:]]
        return cls([w.astype(dtype) for w in weights], biases, activation, loss)

    def forward(self, X: ArrayLike) -> tuple[list[Array], list[Array]]:
        """Return z, one array for each layer of weights, and a, one more: the input comes first."""
        z: list[Array] = []
        a: list[Array] = [np.asarray(X, self.dtype)]
        if a[0].ndim != 2 or a[0].shape[1] != self.weights[0].shape[1]:
            raise ValueError(f"X: expected shape (n, {self.weights[0].shape[1]}), got {a[0].shape}")
        operand = OPERANDS[self.precision]
        for w, b, name in zip(self.weights, self.biases, self.activation, strict=True):
            z.append(operand(a[-1]) @ operand(w).T)
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
        """Return the index of the largest output; of a single output 1 if it is 0.5 or more, else 0."""
        a = self.predict(X)
        return a.argmax(axis=1) if a.shape[1] > 1 else (a[:, 0] >= 0.5).astype(np.intp)

    def targets(self, y: ArrayLike) -> Array:
        """Return targets (n, n_outputs); integer labels (n,) become one-hot rows if there are several outputs.

        Where each output has a level of its own, a single column is repeated.
        """
        t: Array = np.asarray(y)
        n_outputs = len(self.biases[-1])
        if self.q.ndim and t.shape in ((len(t),), (len(t), 1)):
            t = np.repeat(t.reshape(-1, 1), n_outputs, axis=1)
        elif t.ndim == 1 and n_outputs == 1:
            t = t[:, None]
        elif t.ndim == 1 and t.dtype.kind in "iu" and np.all((t >= 0) & (t < n_outputs)):
            t = t[:, None] == np.arange(n_outputs)
        if t.ndim != 2 or t.shape[1] != n_outputs:
            raise ValueError(f"y: expected (n, {n_outputs}) numbers or (n,) labels 0 to {n_outputs - 1}")
        return t.astype(self.dtype, copy=False)

    def _pass(
        self, X: ArrayLike, y: ArrayLike, sample_weight: Weight
    ) -> tuple[float, tuple[list[Array], list[Array], Array, Array | float]]:
        """Return J and what `backpropagate` needs: z, a, the targets, the factors of the rows."""
        z, a = self.forward(X)
        t = self.targets(y)
        n = len(a[0])
        if len(t) != n:
            raise ValueError(f"y: expected {n} rows, as in X, got {len(t)}")
        terms = loss_functions(self.loss, self.q)[0](z[-1], a[-1], t)
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

    def gradients(self, X: ArrayLike, y: ArrayLike, sample_weight: Weight = None) -> Gradients:
        """Return dJ/dw and dJ/db, one array for each layer; zeros if all weights are 0."""
        passed = self._pass(X, y, sample_weight)[1]
        return backpropagate(self.weights, self.activation, self.loss, *passed, self.precision, self.q)

    def input_gradients(self, X: ArrayLike, y: ArrayLike | None = None, output: int = 0) -> Array:
        """Return the gradient of each row's loss or, without `y`, of one output, with respect to its inputs."""
        z, a = self.forward(X)
        name = self.activation[-1]
        if y is not None:
            delta = delta_of_last_layer(z[-1], a[-1], self.targets(y), name, self.loss, self.q)
        else:
            delta = np.zeros_like(a[-1])
            delta[:, output] = 1
            if name == "softmax":
                delta = a[-1][:, [output]] * (delta - a[-1])
            else:
                delta *= ACTIVATIONS[name][1](z[-1], a[-1])
        return input_gradient(self.weights, self.activation, z, a, delta)

    def step(self, X: ArrayLike, y: ArrayLike, learning_rate: float, sample_weight: Weight = None) -> float:
        """Subtract learning_rate dJ/dw in place; return J before the step.

        If all weights are 0, change nothing and return nan.
        """
        if sample_weight is not None and not np.any(sample_weight):
            return math.nan
        loss, (z, a, t, row_factor) = self._pass(X, y, sample_weight)
        row_factor = learning_rate * row_factor  # gradients are linear in it: this gives learning_rate dJ/dw
        passed = z, a, t, row_factor
        dw, db = backpropagate(self.weights, self.activation, self.loss, *passed, self.precision, self.q)
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
        """Take a step for each batch; return the loss of each epoch.

        `order` returns the order of the rows in epoch 0, 1, ...; default that of `X`. The last batch of an epoch
        takes the rows that are left, and averages over them. The loss of an epoch is the mean over its batches, each
        before its update, by number of rows or by sum of weights.
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
