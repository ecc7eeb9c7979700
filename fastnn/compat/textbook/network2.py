"""The textbook's second network: a choice of costs, L2 regularisation, monitoring, files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ...errors import FileFormatError
from ...io.files import write_bytes
from .columns import ColumnNetwork, Columns, Delta, sigmoid, sigmoid_prime, step_down

__all__ = ["CrossEntropyCost", "Network", "QuadraticCost", "load", "sigmoid", "sigmoid_prime", "vectorized_result"]


class QuadraticCost:
    """|a - y|^2 / 2."""

    @staticmethod
    def fn(a: np.ndarray, y: np.ndarray) -> Any:
        """The cost of outputs a where y is wanted."""
        return 0.5 * np.square(a - y).sum()

    @staticmethod
    def delta(z: np.ndarray, a: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The slope by z."""
        return (a - y) * sigmoid_prime(z)


class CrossEntropyCost:
    """The sum of -y ln a - (1 - y) ln (1 - a)."""

    @staticmethod
    def fn(a: np.ndarray, y: np.ndarray) -> Any:
        """The cost of outputs a where y is wanted; 0 ln 0 is 0."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a)).sum()

    @staticmethod
    def delta(z: np.ndarray, a: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The slope by z."""
        return a - y


LOSSES = {QuadraticCost: "half_squared_error", CrossEntropyCost: "binary_cross_entropy"}
COSTS = {cost.__name__: cost for cost in LOSSES}


class Network(ColumnNetwork):
    """A network of sigmoid layers.

    Parameters
    ----------
    sizes : sequence of int
        Neurons of each layer, the inputs first.
    cost : class, default CrossEntropyCost
        `QuadraticCost`, `CrossEntropyCost`, or a class of your own with `fn(a, y)` and `delta(z, a, y)`, which runs at
        NumPy's speed.

    Attributes
    ----------
    weights : list of ndarray, (n_out, n_in)
        Drawn from `numpy.random.randn` over the root of n_in, after the biases.
    biases : list of ndarray, (n_out, 1)
        As drawn.

    Notes
    -----
    After Michael Nielsen, "Neural Networks and Deep Learning", chapter 3 (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.compat.textbook import network2
    >>> np.random.seed(0)
    >>> net = network2.Network([2, 3, 1], cost=network2.QuadraticCost)
    >>> net.total_cost([(np.zeros((2, 1)), np.zeros((1, 1)))], lmbda=0.1) > 0
    True
    """

    def __init__(self, sizes: Sequence[int], cost: Any = CrossEntropyCost) -> None:
        self.num_layers = len(sizes)
        self.sizes = list(sizes)
        self.default_weight_initializer()
        self.cost = cost

    def default_weight_initializer(self) -> None:
        """Biases normal with deviation 1, weights with 1 / sqrt(n_in)."""
        self.large_weight_initializer()
        self.weights = [w / np.sqrt(w.shape[1]) for w in self.weights]

    def large_weight_initializer(self) -> None:
        """Biases and weights normal with deviation 1."""
        self.biases = [np.random.randn(y, 1) for y in self.sizes[1:]]  # noqa: NPY002 - the book's draws
        self.weights = [np.random.randn(y, x) for x, y in pairwise(self.sizes)]  # noqa: NPY002

    def _loss(self) -> str | None:
        return LOSSES.get(self.cost)

    def SGD(
        self,
        training_data: Iterable[tuple[np.ndarray, np.ndarray]],
        epochs: int,
        mini_batch_size: int,
        eta: float,
        lmbda: float = 0.0,
        evaluation_data: Iterable[tuple[np.ndarray, Any]] | None = None,
        monitor_evaluation_cost: bool = False,
        monitor_evaluation_accuracy: bool = False,
        monitor_training_cost: bool = False,
        monitor_training_accuracy: bool = False,
    ) -> tuple[list[float], list[int], list[float], list[int]]:
        """Train by stochastic gradient descent.

        Parameters
        ----------
        training_data : list of (x, y)
            Columns (n_inputs, 1) and (n_outputs, 1). A list is shuffled where it is.
        epochs : int
            Passes over the data.
        mini_batch_size : int
            Examples per update.
        eta : float
            The learning rate.
        lmbda : float, default 0
            lmbda / 2n times the sum of squared weights is added to the cost of n training examples.
        evaluation_data : list of (x, label), optional
            For monitoring.
        monitor_evaluation_cost, monitor_evaluation_accuracy, monitor_training_cost, monitor_training_accuracy : bool
            What to compute and print after every epoch.

        Returns
        -------
        evaluation_cost, evaluation_accuracy, training_cost, training_accuracy : lists
            One value per epoch; empty where not monitored.
        """
        tests = None if evaluation_data is None else list(evaluation_data)
        if tests is None and (monitor_evaluation_cost or monitor_evaluation_accuracy):
            raise ValueError("evaluation_data must be given where it is monitored, got None")
        examples = training_data if isinstance(training_data, list) else list(training_data)
        seen: tuple[list[float], list[int], list[float], list[int]] = ([], [], [], [])
        for epoch in self._epochs(examples, epochs, mini_batch_size, eta, lmbda / max(1, len(examples)), Network):
            print(f"Epoch {epoch} training complete")
            if monitor_training_cost:
                seen[2].append(self.total_cost(examples, lmbda))
                print(f"Cost on training data: {seen[2][-1]}")
            if monitor_training_accuracy:
                seen[3].append(self.accuracy(examples, convert=True))
                print(f"Accuracy on training data: {seen[3][-1]} / {len(examples)}")
            if tests is not None and monitor_evaluation_cost:
                seen[0].append(self.total_cost(tests, lmbda, convert=True))
                print(f"Cost on evaluation data: {seen[0][-1]}")
            if tests is not None and monitor_evaluation_accuracy:
                seen[1].append(self.accuracy(tests))
                print(f"Accuracy on evaluation data: {seen[1][-1]} / {len(tests)}")
            print()
        return seen

    def update_mini_batch(self, mini_batch: Columns, eta: float, lmbda: float, n: int) -> None:
        """One step down the mean slope of a batch, with weight decay.

        Parameters
        ----------
        mini_batch : list of (x, y)
            Columns, as in `SGD`.
        eta, lmbda : float
            Learning rate and regularisation.
        n : int
            Size of the training data.
        """
        decay = 1 - eta * (lmbda / n)
        if not self._is_plain(Network):
            self.weights, self.biases = step_down(self, mini_batch, eta, decay)
            return
        nabla_b, nabla_w = self._slopes(mini_batch)
        self.weights = [decay * w - eta * slope for w, slope in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b - eta * slope for b, slope in zip(self.biases, nabla_b, strict=True)]

    def _update(self, mini_batch: Columns, eta: float, l2: float, n: int) -> None:
        self.update_mini_batch(mini_batch, eta, l2 * n, n)

    def _own_delta(self, y: np.ndarray) -> Delta | None:
        return None if self._loss() is not None else lambda z, a: self.cost.delta(z, a, y)

    def accuracy(self, data: Iterable[tuple[np.ndarray, Any]], convert: bool = False) -> int:
        """How many examples have their brightest output at the label.

        Parameters
        ----------
        data : list of (x, y)
            Columns and labels.
        convert : bool, default False
            True where y is a column, as in training data.

        Returns
        -------
        int
        """
        examples = list(data)
        wanted = [np.argmax(y) if convert else y for _, y in examples]
        found = self._outputs([x for x, _ in examples]).argmax(axis=1)
        return int((found == np.array(wanted).reshape(-1)).sum())

    def total_cost(self, data: Iterable[tuple[np.ndarray, Any]], lmbda: float, convert: bool = False) -> float:
        """The mean cost of the examples, with the regularisation.

        Parameters
        ----------
        data : list of (x, y)
            Columns; or labels with `convert`.
        lmbda : float
            As in `SGD`.
        convert : bool, default False
            True where y is a label, as in evaluation data.

        Returns
        -------
        float
        """
        examples = list(data)
        if not examples:
            raise ValueError("data must have at least one example, got none")
        outputs = self._outputs([x for x, _ in examples])
        n_out = self.sizes[-1]
        wanted = [vectorized_result(y, n_out) if convert else np.asarray(y) for _, y in examples]
        if self._loss() is not None:
            cost = float(self.cost.fn(outputs, np.stack(wanted).reshape(len(wanted), n_out)))
        else:
            cost = float(sum(self.cost.fn(a.reshape(-1, 1), y) for a, y in zip(outputs, wanted, strict=True)))
        squares = sum(float(np.square(w).sum()) for w in self.weights)
        return cost / len(examples) + 0.5 * (lmbda / len(examples)) * squares

    def save(self, filename: str | os.PathLike[str]) -> None:
        """Write the network as JSON, as the book's own does.

        Parameters
        ----------
        filename : path
        """
        content = {
            "sizes": self.sizes,
            "weights": [w.tolist() for w in self.weights],
            "biases": [b.tolist() for b in self.biases],
            "cost": self.cost.__name__,
        }
        write_bytes(filename, json.dumps(content).encode())


def load(filename: str | os.PathLike[str]) -> Network:
    """Read a network that `Network.save`, or the book's own, wrote.

    Parameters
    ----------
    filename : path

    Returns
    -------
    Network

    Raises
    ------
    fastnn.FileFormatError
        If it is no such file.
    """
    with open(filename, encoding="utf-8") as file:
        try:
            content = json.load(file)
            sizes, cost = [int(size) for size in content["sizes"]], COSTS[content["cost"]]
            weights = [np.array(w, dtype=np.float64) for w in content["weights"]]
            biases = [np.array(b, dtype=np.float64) for b in content["biases"]]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise FileFormatError(f"{filename} is not a network of the textbook: {error!r}") from None
    shapes = [(y, x) for x, y in pairwise(sizes)]
    if [w.shape for w in weights] != shapes or [b.shape for b in biases] != [(y, 1) for y, _ in shapes] or not shapes:
        raise FileFormatError(f"{filename} is not a network of the textbook: its weights do not fit its sizes")
    net = Network(sizes, cost)  # whose draws the book's own spends too
    net.weights, net.biases = weights, biases
    return net


def vectorized_result(j: int, n_outputs: int = 10) -> np.ndarray:
    """The column (n_outputs, 1) with 1 at place j.

    Parameters
    ----------
    j : int
        The label.
    n_outputs : int, default 10
    """
    column = np.zeros((n_outputs, 1))
    column[j] = 1.0
    return column
