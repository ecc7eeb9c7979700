"""The textbook's second network: a choice of costs, L2 regularisation, monitoring, files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ...checks import check_float, check_int
from ...errors import FileFormatError
from ...io.files import write_bytes
from ...spec import check_sizes
from .columns import (
    ColumnNetwork,
    Columns,
    OutputDelta,
    derivative_of_sigmoid,
    is_textbook,
    labels_of,
    rows_of,
    sigmoid,
    textbook,
)

__all__ = ["CrossEntropyCost", "Network", "QuadraticCost", "load", "sigmoid", "sigmoid_prime", "vectorized_result"]

sigmoid_prime = derivative_of_sigmoid(globals())


class QuadraticCost:
    """|a - y|^2 / 2."""

    @staticmethod
    def fn(a: np.ndarray, y: np.ndarray) -> Any:
        """Return the cost of outputs a where y is wanted."""
        return 0.5 * np.square(a - y).sum()

    @staticmethod
    def delta(z: np.ndarray, a: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the derivative with respect to z."""
        return (a - y) * sigmoid_prime(z)


class CrossEntropyCost:
    """The sum of -y ln a - (1 - y) ln (1 - a)."""

    @staticmethod
    def fn(a: np.ndarray, y: np.ndarray) -> Any:
        """Return the cost of outputs a where y is wanted; 0 ln 0 is 0."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a)).sum()

    @staticmethod
    def delta(z: np.ndarray, a: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the derivative with respect to z."""
        return a - y


LOSSES = (
    ("half_squared_error", QuadraticCost.fn, QuadraticCost.delta),
    ("binary_cross_entropy", CrossEntropyCost.fn, CrossEntropyCost.delta),
)
"""fastnn's name of each cost, and the functions by which a cost is known to be that one."""


class Network(ColumnNetwork):
    """A network of sigmoid layers.

    Parameters
    ----------
    sizes : sequence of int
        Neurons of each layer, the inputs first.
    cost : class or object, default CrossEntropyCost
        `QuadraticCost`, `CrossEntropyCost`, an object of either, or another cost with `fn(a, y)` and `delta(z, a, y)`,
        which runs at NumPy's speed.

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
        self._set_sizes(sizes)
        self.default_weight_initializer()
        self.cost = cost

    def default_weight_initializer(self) -> None:
        """Draw normal biases of standard deviation 1, and weights of 1 / sqrt(n_in)."""
        self.large_weight_initializer()
        self.weights = [w / np.sqrt(w.shape[1]) for w in self.weights]

    def large_weight_initializer(self) -> None:
        """Draw normal biases and weights of standard deviation 1."""
        self.biases = [np.random.randn(y, 1) for y in self.sizes[1:]]  # noqa: NPY002 - the book's draws
        self.weights = [np.random.randn(y, x) for x, y in pairwise(self.sizes)]  # noqa: NPY002

    def _loss(self) -> str | None:
        fn, delta = getattr(self.cost, "fn", None), getattr(self.cost, "delta", None)
        return next((name for name, *functions in LOSSES if functions[0] is fn and functions[1] is delta), None)

    def _sigmoid_functions(self) -> tuple[Any, Any]:
        return sigmoid, sigmoid_prime

    def _cost_delta(self, y: np.ndarray) -> OutputDelta:
        return lambda z, a: self.cost.delta(z, a, y)

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
        early_stopping_n: int = 0,
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
        early_stopping_n : int, default 0
            End after so many epochs in a row in which the accuracy, on the evaluation data or else on the training
            data, has not exceeded the best so far; 0: never. That accuracy must be monitored.

        Returns
        -------
        evaluation_cost, evaluation_accuracy, training_cost, training_accuracy : lists
            One value per epoch; empty where not monitored.

        Raises
        ------
        ValueError, TypeError
            For bad input, before the first epoch.
        """
        tests = None if evaluation_data is None else list(evaluation_data)
        examples = training_data if isinstance(training_data, list) else list(training_data)
        if tests is None and (monitor_evaluation_cost or monitor_evaluation_accuracy):
            raise ValueError("evaluation_data must be given where it is monitored, got None")
        patience = check_int("early_stopping_n", early_stopping_n, 0)
        if patience and not (monitor_evaluation_accuracy or monitor_training_accuracy):
            raise ValueError(
                "early_stopping_n watches an accuracy: give monitor_evaluation_accuracy=True or "
                "monitor_training_accuracy=True"
            )
        lmbda = check_float("lmbda", lmbda)
        if tests:
            self._check_monitored(tests, "evaluation_data", monitor_evaluation_cost, monitor_evaluation_accuracy, True)
        if examples:
            self._check_monitored(examples, "training_data", monitor_training_cost, monitor_training_accuracy, False)
        best, epochs_since_best = 0, 0
        seen: tuple[list[float], list[int], list[float], list[int]] = ([], [], [], [])
        for epoch in self._epochs(examples, epochs, mini_batch_size, eta, lmbda / max(1, len(examples))):
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
            if patience:
                accuracy = (seen[1] if monitor_evaluation_accuracy else seen[3])[-1]
                best, epochs_since_best = (accuracy, 0) if accuracy > best else (best, epochs_since_best + 1)
                if epochs_since_best == patience:
                    break
        return seen

    def _check_monitored(self, examples: list[Any], name: str, cost: bool, accuracy: bool, labelled: bool) -> None:
        """Raise for targets of another form than the textbook's `total_cost` and `accuracy` take."""
        used = (cost and is_textbook(self.total_cost) and (not labelled or is_textbook(vectorized_result))) or (
            accuracy and is_textbook(self.accuracy)
        )
        if used and labelled:
            labels_of(name, [y for _, y in examples], self.sizes[-1])
        elif used:
            rows_of(f"the outputs wanted of {name}", [y for _, y in examples], self.sizes[-1])

    @textbook
    def update_mini_batch(self, mini_batch: Columns, eta: float, lmbda: float, n: int) -> None:
        """Make one update: a step against the mean gradient of a batch, with weight decay.

        Parameters
        ----------
        mini_batch : list of (x, y)
            Columns, as in `SGD`.
        eta, lmbda : float
            Learning rate and regularisation.
        n : int
            Size of the training data.
        """
        self._step(mini_batch, eta, 1 - eta * (lmbda / n))

    def _update(self, mini_batch: Columns, eta: float, l2: float, n: int) -> None:
        self.update_mini_batch(mini_batch, eta, l2 * n, n)

    @textbook
    def accuracy(self, data: Iterable[tuple[np.ndarray, Any]], convert: bool = False) -> int:
        """Return how many examples have their largest output at the label.

        Parameters
        ----------
        data : list of (x, y)
            Columns and labels.
        convert : bool, default False
            True where y is a column, as in training data.

        Returns
        -------
        int

        Raises
        ------
        ValueError, TypeError
            For targets of another form.
        """
        examples = list(data)
        if not examples:
            return 0
        wanted = [y for _, y in examples]
        n_out = self.sizes[-1]
        labels = rows_of("y", wanted, n_out).argmax(axis=1) if convert else labels_of("data", wanted, n_out)
        return int((self._outputs([x for x, _ in examples]).argmax(axis=1) == labels).sum())

    @textbook
    def total_cost(self, data: Iterable[tuple[np.ndarray, Any]], lmbda: float, convert: bool = False) -> float:
        """Return the mean cost of the examples, with the regularisation.

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
        wanted = [y for _, y in examples]
        if convert:
            wanted = self._vectorized(wanted)
        outputs = self._outputs([x for x, _ in examples])
        if self._loss() is not None:
            cost = float(self.cost.fn(outputs, rows_of("y", wanted, self.sizes[-1])))
        else:
            cost = float(sum(self.cost.fn(a.reshape(-1, 1), y) for a, y in zip(outputs, wanted, strict=True)))
        squares = sum(float(np.square(w).sum()) for w in self.weights)
        return cost / len(examples) + 0.5 * (lmbda / len(examples)) * squares

    def _vectorized(self, labels: list[Any]) -> list[np.ndarray]:
        """Return the column of each label, by `vectorized_result` as it stands."""
        if not is_textbook(vectorized_result):
            return [np.asarray(vectorized_result(label)) for label in labels]
        n_out = self.sizes[-1]
        return [vectorized_result(int(label), n_out) for label in labels_of("data", labels, n_out)]

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
            "cost": getattr(self.cost, "__name__", type(self.cost).__name__),
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
        If it is no such file, or its cost is none of this module.
    """
    with open(filename, encoding="utf-8") as file:
        try:
            content = json.load(file)
            sizes, cost = check_sizes(content["sizes"]), globals()[content["cost"]]
            if not (callable(cost.fn) and callable(cost.delta)):
                raise TypeError(f"{content['cost']} is no cost")
            weights = [np.array(w, dtype=np.float64) for w in content["weights"]]
            biases = [np.array(b, dtype=np.float64) for b in content["biases"]]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise FileFormatError(f"{filename} is not a network of the textbook: {error!r}") from None
    shapes = [(y, x) for x, y in pairwise(sizes)]
    if [w.shape for w in weights] != shapes or [b.shape for b in biases] != [(y, 1) for y, _ in shapes]:
        raise FileFormatError(f"{filename} is not a network of the textbook: its weights do not fit its sizes")
    net = Network(sizes, cost)  # whose draws the book's own spends too
    net.weights, net.biases = weights, biases
    return net


@textbook
def vectorized_result(j: int, n_outputs: int = 10) -> np.ndarray:
    """Return the column (n_outputs, 1) with 1 at index j, elsewhere 0.

    Parameters
    ----------
    j : int
        The label.
    n_outputs : int, default 10
    """
    j, n_outputs = check_int("j", j, 0), check_int("n_outputs", n_outputs, 1)
    if j >= n_outputs:
        raise ValueError(f"j must be below n_outputs, {n_outputs}, got {j}")
    column = np.zeros((n_outputs, 1))
    column[j] = 1.0
    return column
