"""What both versions share: layers as lists of arrays, examples as lists of columns, and the kernels behind them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from ... import inputs
from ...checks import check_float, check_int
from ...network import Network as Fast
from ...parameters import aligned_zeros
from ...training.explicit_order import ExplicitOrderTraining
from ...training.update_rule import plain_sgd_rule

Columns = Sequence[tuple[np.ndarray, Any]]
Delta = Callable[[np.ndarray, np.ndarray], np.ndarray]


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z))."""
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z: np.ndarray) -> np.ndarray:
    """The slope of the sigmoid, s (1 - s)."""
    return sigmoid(z) * (1 - sigmoid(z))


def rows_of(name: str, columns: Sequence[Any], size: int) -> np.ndarray:
    """Columns (size, 1) as the rows of one array."""
    try:
        rows = np.stack([np.asarray(column) for column in columns])
    except ValueError as error:
        raise ValueError(f"{name} must be columns ({size}, 1), all alike: {error}") from None
    if rows.shape[1:] not in ((size, 1), (size,)):
        raise ValueError(f"{name} must be columns ({size}, 1), got {rows.shape[1:]}")
    return rows.reshape(len(rows), size)


class ColumnNetwork:
    """Sigmoid layers as `weights`, (n_out, n_in), and `biases`, (n_out, 1): lists that users read and assign."""

    sizes: list[int]
    weights: list[np.ndarray]
    biases: list[np.ndarray]
    arithmetic: ClassVar[tuple[str, ...]] = ("feedforward", "backprop", "update_mini_batch")

    def _loss(self) -> str | None:
        """What fastnn calls the cost; None where it has none such."""
        raise NotImplementedError

    def _is_plain(self, base: type) -> bool:
        """Whether the arithmetic is the book's own, so that the kernels may do it."""
        kind = type(self)
        return self._loss() is not None and all(getattr(kind, n) is getattr(base, n) for n in self.arithmetic)

    def _fast(self) -> Fast:
        """A network with the weights and biases as they stand."""
        loss = self._loss() or "half_squared_error"
        key = (tuple(self.sizes), loss)
        kept = self.__dict__.get("_kept")
        if kept is None or kept[0] != key:
            kept = self._kept = (key, Fast(self.sizes, loss=loss, dtype="float64", init="zeros", seed=0))
        net: Fast = kept[1]
        for into, given in zip((*net.weights, *net.biases), (*self.weights, *self.biases), strict=True):
            given = np.asarray(given)
            into[...] = given.reshape(into.shape) if given.size == into.size else given
        return net

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}

    def _take(self, net: Fast) -> None:
        """New lists: whoever kept the old ones keeps the old numbers."""
        self.weights = [np.ascontiguousarray(weight) for weight in net.weights]
        self.biases = [bias.reshape(-1, 1).copy() for bias in net.biases]

    def feedforward(self, a: np.ndarray) -> np.ndarray:
        """The outputs for a column of inputs.

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
        return self._fast().predict(a.T).T

    def backprop(self, x: np.ndarray, y: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The slopes of the cost of one example.

        Parameters
        ----------
        x : ndarray, (n_inputs, 1)
        y : ndarray, (n_outputs, 1)

        Returns
        -------
        nabla_b, nabla_w : lists of ndarray
            Layer by layer, shaped like `biases` and `weights`.
        """
        own = self._own_delta(y)
        return self._slopes([(x, y)]) if own is None else walk_back(self.weights, self.biases, x, own)

    def _own_delta(self, y: np.ndarray) -> Delta | None:
        """The delta of the last layer as a function of its z and a, where the cost is not one of fastnn's."""
        raise NotImplementedError

    def _slopes(self, examples: Columns) -> tuple[list[np.ndarray], list[np.ndarray]]:
        X, y = self._stacked(examples)
        found: Any = self._fast().gradients(X, y)
        return [bias.reshape(-1, 1) for bias in found[1]], found[0]

    def _stacked(self, examples: Columns) -> tuple[np.ndarray, np.ndarray]:
        if not len(examples):
            raise ValueError("training data must have at least one example, got none")
        X = rows_of("the inputs", [x for x, _ in examples], self.sizes[0])
        return X, rows_of("the outputs wanted", [y for _, y in examples], self.sizes[-1])

    def _epochs(
        self, examples: list[Any], epochs: int, mini_batch_size: int, eta: float, l2: float, base: type
    ) -> Iterator[int]:
        """Train epoch by epoch, each in the order in which `random.shuffle` leaves the list."""
        epochs = check_int("epochs", epochs, 0)
        size = check_int("mini_batch_size", mini_batch_size, 1)
        eta = check_float("eta", eta)
        if not examples:
            raise ValueError("training_data must have at least one example, got none")
        training = self._training(examples, size, l2) if self._is_plain(base) else None
        place = np.arange(len(examples))  # where in the first order each example of the list stood
        for epoch in range(epochs):
            order = list(range(len(examples)))
            random.shuffle(order)
            examples[:] = [examples[at] for at in order]
            place = place[order]
            if training is None:
                for start in range(0, len(examples), size):
                    self._update(examples[start : start + size], eta, l2, len(examples))
            else:
                net = self._fast()
                training.epoch(place, eta)
                self._take(net)
            yield epoch

    def _update(self, mini_batch: Columns, eta: float, l2: float, n: int) -> None:
        raise NotImplementedError

    def _training(self, examples: Columns, size: int, l2: float) -> ExplicitOrderTraining:
        net = self._fast()
        X, y = self._stacked(examples)
        rows, _ = inputs.as_examples(X, y, None, net.engine.spec, ("the inputs", "the outputs wanted", ""))
        rule = plain_sgd_rule(aligned_zeros(0, net.dtype))._replace(plain=int(l2 == 0), l2=check_float("lmbda", l2))
        return ExplicitOrderTraining(net.engine, rows, min(size, len(examples)), rule)

    def _outputs(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """The outputs for many columns, as rows."""
        if not len(inputs):
            return np.empty((0, self.sizes[-1]))
        if type(self).feedforward is not ColumnNetwork.feedforward:
            return np.stack([self.feedforward(x).reshape(-1) for x in inputs])
        return self._fast().predict(rows_of("the inputs", inputs, self.sizes[0]))


def step_down(net: Any, mini_batch: Columns, eta: float, decay: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights and biases after one step down the mean slope of the batch, each example by `net.backprop`."""
    parts = [net.backprop(x, y) for x, y in mini_batch]
    pace = eta / len(parts)
    weights = [decay * w - pace * sum(part[1][number] for part in parts) for number, w in enumerate(net.weights)]
    biases = [b - pace * sum(part[0][number] for part in parts) for number, b in enumerate(net.biases)]
    return weights, biases


def walk_back(
    weights: list[np.ndarray],
    biases: list[np.ndarray],
    x: np.ndarray,
    last_delta: Delta,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Backpropagation in plain NumPy, from the delta of the last layer as a function of its z and a."""
    a, z = [x], []
    for w, b in zip(weights, biases, strict=True):
        z.append(w @ a[-1] + b)
        a.append(sigmoid(z[-1]))
    deltas = [last_delta(z[-1], a[-1])]
    for w, below in zip(weights[:0:-1], z[-2::-1], strict=True):
        deltas.insert(0, (w.T @ deltas[0]) * sigmoid_prime(below))
    return deltas, [delta @ before.T for delta, before in zip(deltas, a, strict=False)]
