"""What both versions share: layers as lists of arrays, examples as lists of columns, and the kernels behind them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from scipy.special import expit

from ... import inputs
from ...checks import check_float, check_int
from ...network import Network as KernelNetwork
from ...parameters import aligned_zeros
from ...spec import check_sizes
from ...training.explicit_order import ExplicitOrderTraining
from ...training.update_rule import plain_sgd_rule

MIN_KERNEL_COLUMNS = 64
"""Columns from which the kernels, for which the weights are copied first, are faster than NumPy."""

MIN_KERNEL_EXAMPLES = 3
"""Examples of a mini-batch from which they are."""

Columns = Sequence[tuple[np.ndarray, Any]]
Gradients = tuple[list[np.ndarray], list[np.ndarray]]
OutputDelta = Callable[[np.ndarray, np.ndarray], np.ndarray]
Function = TypeVar("Function", bound=Callable[..., Any])

_textbook_functions: set[Callable[..., Any]] = set()


def textbook(function: Function) -> Function:
    """Mark a function of the textbook, which a program may replace by another."""
    _textbook_functions.add(function)
    return function


def is_textbook(function: Any) -> bool:
    """Return whether a function, or a method of an object, is still the textbook's."""
    return getattr(function, "__func__", function) in _textbook_functions


@textbook
def sigmoid(z: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-z))."""
    return 1.0 / (1.0 + np.exp(-z))


def derivative_of_sigmoid(module: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a module's `sigmoid_prime`: of the `sigmoid` that stands in the module when it is called."""

    def sigmoid_prime(z: np.ndarray) -> np.ndarray:
        """Return the derivative of the sigmoid, s (1 - s)."""
        s: np.ndarray = module["sigmoid"](z)
        return s * (1 - s)

    return textbook(sigmoid_prime)


class Activation(NamedTuple):
    """A function of z, and its derivative as a function of z and of the activation a."""

    function: Callable[[np.ndarray], np.ndarray]
    derivative: Callable[[np.ndarray, np.ndarray], np.ndarray]


SIGMOID = Activation(expit, lambda z, a: a * (1 - a))


def rows_of(name: str, columns: Sequence[Any], size: int) -> np.ndarray:
    """Return columns (size, 1) as the rows of one array."""
    try:
        rows = np.stack([np.asarray(column) for column in columns])
    except ValueError as error:
        raise ValueError(f"{name} must be columns ({size}, 1), all alike: {error}") from None
    if rows.shape[1:] not in ((size, 1), (size,)):
        raise ValueError(f"{name} must be columns ({size}, 1), got {rows.shape[1:] or 'numbers'}")
    return rows.reshape(len(rows), size)


def labels_of(name: str, labels: Sequence[Any], n_outputs: int) -> np.ndarray:
    """Return labels, integers from 0 to n_outputs - 1, as one array."""
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise ValueError(f"the labels of {name} must be integers, all alike: {error}") from None
    if array.size != len(labels):
        raise ValueError(
            f"the labels of {name} must be integers, got arrays of shape {array.shape[1:]}; "
            "numpy.argmax turns a column of the outputs wanted into a label"
        )
    if array.size and (array.dtype.kind not in "iuf" or not (array == np.floor(array)).all()):
        raise TypeError(f"the labels of {name} must be integers, got {labels[0]!r:.80} of dtype {array.dtype}")
    if array.size and not 0 <= array.min() <= array.max() < n_outputs:
        worst = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"the labels of {name} must lie in 0..{n_outputs - 1}, one for each output; got {worst}")
    return array.reshape(-1).astype(np.int64)


class ColumnNetwork:
    """Sigmoid layers as `weights`, (n_out, n_in), and `biases`, (n_out, 1): lists that users read and assign."""

    sizes: list[int]
    weights: list[np.ndarray]
    biases: list[np.ndarray]
    arithmetic: ClassVar[tuple[str, ...]] = ("feedforward", "backprop", "update_mini_batch")

    def _set_sizes(self, sizes: Sequence[int]) -> None:
        self.sizes = list(check_sizes(sizes))
        self.num_layers = len(self.sizes)

    def _loss(self) -> str | None:
        """Return fastnn's name of the cost, or None for one that only the program knows."""
        raise NotImplementedError

    def _sigmoid_functions(self) -> tuple[Any, Any]:
        """Return what `sigmoid` and `sigmoid_prime` are in the module of the network, which a program may replace."""
        raise NotImplementedError

    def _cost_delta(self, y: np.ndarray) -> OutputDelta:
        """Return the delta of the last layer, as a function of its z and a, by the functions as they stand."""
        raise NotImplementedError

    def _update(self, mini_batch: Columns, eta: float, l2: float, n: int) -> None:
        """Make one update, of n examples in all."""
        raise NotImplementedError

    def _activation(self) -> Activation:
        """Return the activation by the module's functions as they stand."""
        function, prime = self._sigmoid_functions()
        if is_textbook(function) and is_textbook(prime):
            return SIGMOID
        return Activation(function, lambda z, a: prime(z))

    def _is_plain(self) -> bool:
        """Return whether all arithmetic is the textbook's, so that the kernels may do it."""
        methods = (getattr(self, name) for name in self.arithmetic)
        return self._loss() is not None and self._activation() is SIGMOID and all(map(is_textbook, methods))

    def _kernel_network(self) -> KernelNetwork:
        """Return a network with the weights and biases as they stand."""
        loss = self._loss() or "half_squared_error"
        key = (tuple(self.sizes), loss)
        cached = self.__dict__.get("_cached")
        if cached is None or cached[0] != key:
            cached = self._cached = (key, KernelNetwork(self.sizes, loss=loss, dtype="float64", init="zeros", seed=0))
        net: KernelNetwork = cached[1]
        for part, given in zip((*net.weights, *net.biases), (*self.weights, *self.biases), strict=True):
            given = np.asarray(given)
            part[...] = given.reshape(part.shape) if given.size == part.size else given
        return net

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_cached"}

    def _take(self, net: KernelNetwork) -> None:
        """Assign new lists of new arrays: the old ones keep their numbers."""
        self.weights = [np.ascontiguousarray(weight) for weight in net.weights]
        self.biases = [bias.reshape(-1, 1).copy() for bias in net.biases]

    def _has_columns(self) -> bool:
        """Return whether no bias is a flat vector, which NumPy would add to the columns as a row."""
        return all([getattr(bias, "ndim", 0) == 2 for bias in self.biases])  # noqa: C419 - faster than a generator

    @textbook
    def feedforward(self, a: np.ndarray) -> np.ndarray:
        """Return the outputs for a column of inputs.

        Parameters
        ----------
        a : ndarray, (n_inputs, 1) or (n_inputs, k)
            One example, or k of them side by side.

        Returns
        -------
        ndarray, (n_outputs, 1) or (n_outputs, k)
        """
        a = np.asarray(a)
        if a.ndim != 2 or a.shape[0] != self.sizes[0]:
            raise ValueError(f"a must have shape ({self.sizes[0]}, 1), got {a.shape}")
        activation = self._activation()
        if activation is SIGMOID and (a.shape[1] >= MIN_KERNEL_COLUMNS or not self._has_columns()):
            return self._kernel_network().predict(a.T).T
        outputs, function = a, activation.function
        for w, b in zip(self.weights, self.biases, strict=True):
            outputs = function(np.dot(w, outputs) + b)
        if activation is SIGMOID and any(map(math.isnan, outputs[-1].tolist())):
            return self._kernel_network().predict(a.T).T  # which names what is not a number
        return outputs

    @textbook
    def backprop(self, x: np.ndarray, y: np.ndarray) -> Gradients:
        """Return the gradient of the cost of one example.

        Parameters
        ----------
        x : ndarray, (n_inputs, 1)
        y : ndarray, (n_outputs, 1)

        Returns
        -------
        nabla_b, nabla_w : lists of ndarray
            Layer by layer, shaped like `biases` and `weights`.
        """
        activation, loss = self._activation(), self._loss()
        if activation is not SIGMOID or loss is None:
            return walk_back(self.weights, self.biases, x, activation, self._cost_delta(y))
        x, y = np.asarray(x), np.asarray(y)
        if x.shape != (self.sizes[0], 1) or y.shape != (self.sizes[-1], 1) or not self._has_columns():
            return self._gradients([(x, y)])  # which names what does not fit
        by_output = (lambda z, a: (a - y) * (a * (1 - a))) if loss == "half_squared_error" else (lambda z, a: a - y)
        nabla_b, nabla_w = walk_back(self.weights, self.biases, x, SIGMOID, by_output)
        if any(map(math.isnan, nabla_b[-1][:, 0].tolist())):
            return self._gradients([(x, y)])
        return nabla_b, nabla_w

    def _gradients(self, examples: Columns) -> Gradients:
        """Return the mean gradient of a batch, by the kernels."""
        X, y = self._stacked(examples)
        weights, biases = self._kernel_network().gradients(X, y)
        return [bias.reshape(-1, 1) for bias in biases], weights

    def _stacked(self, examples: Columns) -> tuple[np.ndarray, np.ndarray]:
        """Return the inputs and the outputs wanted, an example in a row."""
        if not len(examples):
            raise ValueError("training data must have at least one example, got none")
        X = rows_of("the inputs", [x for x, _ in examples], self.sizes[0])
        return X, rows_of("the outputs wanted", [y for _, y in examples], self.sizes[-1])

    def _step(self, mini_batch: Columns, eta: float, decay: float) -> None:
        """Move against the mean gradient of a batch; the weights are multiplied by `decay` first."""
        if self._is_plain() and len(mini_batch) >= MIN_KERNEL_EXAMPLES:
            nabla_b, nabla_w = self._gradients(mini_batch)
        else:
            if not len(mini_batch):
                raise ValueError("training data must have at least one example, got none")
            nabla_b, nabla_w = total([self.backprop(x, y) for x, y in mini_batch])
            eta /= len(mini_batch)
        self.weights = [decay * w - eta * gradient for w, gradient in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b - eta * gradient for b, gradient in zip(self.biases, nabla_b, strict=True)]

    def _epochs(self, examples: list[Any], epochs: int, mini_batch_size: int, eta: float, l2: float) -> Iterator[int]:
        """Train epoch by epoch, each in the order in which `random.shuffle` leaves the list."""
        epochs = check_int("epochs", epochs, 0)
        size = check_int("mini_batch_size", mini_batch_size, 1)
        eta = check_float("eta", eta)
        if not examples:
            raise ValueError("training_data must have at least one example, got none")
        training = self._training(examples, size, l2) if self._is_plain() else None
        position = np.arange(len(examples))  # where in the first order each example of the list stood
        for epoch in range(epochs):
            order = list(range(len(examples)))
            random.shuffle(order)
            examples[:] = [examples[number] for number in order]
            position = position[order]
            if training is None:
                for start in range(0, len(examples), size):
                    self._update(examples[start : start + size], eta, l2, len(examples))
            else:
                net = self._kernel_network()
                training.epoch(position, eta)
                self._take(net)
            yield epoch

    def _training(self, examples: Columns, size: int, l2: float) -> ExplicitOrderTraining:
        net = self._kernel_network()
        X, y = self._stacked(examples)
        rows, _ = inputs.as_examples(X, y, None, net.engine.spec, ("the inputs", "the outputs wanted", ""))
        rule = plain_sgd_rule(aligned_zeros(0, net.dtype))._replace(plain=int(l2 == 0), l2=l2)
        return ExplicitOrderTraining(net.engine, rows, min(size, len(examples)), rule)

    def _outputs(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """Return the outputs for many columns of inputs, as rows."""
        if not len(columns):
            return np.empty((0, self.sizes[-1]))
        if not is_textbook(self.feedforward):
            return np.stack([np.reshape(self.feedforward(x), -1) for x in columns])
        X = rows_of("the inputs", columns, self.sizes[0])
        if self._activation() is not SIGMOID:
            return np.stack([self.feedforward(x.reshape(-1, 1)).reshape(-1) for x in X])
        return self._kernel_network().predict(X)


def total(gradients: list[Gradients]) -> Gradients:
    """Return the sum of what `backprop` returned for each example."""
    nabla_b = [sum(parts[1:], start=parts[0]) for parts in zip(*(by_bias for by_bias, _ in gradients), strict=True)]
    nabla_w = [sum(parts[1:], start=parts[0]) for parts in zip(*(by_weight for _, by_weight in gradients), strict=True)]
    return nabla_b, nabla_w


def walk_back(
    weights: list[np.ndarray],
    biases: list[np.ndarray],
    x: np.ndarray,
    activation: Activation,
    output_delta: OutputDelta,
) -> Gradients:
    """Return the gradient of one example by plain NumPy.

    Parameters
    ----------
    weights, biases : lists of ndarray
    x : ndarray, (n_inputs, 1)
    activation : Activation
    output_delta : callable
        Returns the delta of the last layer from its z and a.
    """
    a, z = [x], []
    for w, b in zip(weights, biases, strict=True):
        z.append(np.dot(w, a[-1]) + b)
        a.append(activation.function(z[-1]))
    delta = output_delta(z[-1], a[-1])
    deltas = [delta]
    for layer in range(len(weights) - 1, 0, -1):
        delta = np.dot(weights[layer].T, delta) * activation.derivative(z[layer - 1], a[layer])
        deltas.append(delta)
    deltas.reverse()
    return deltas, [np.dot(delta, below.T) for delta, below in zip(deltas, a, strict=False)]
