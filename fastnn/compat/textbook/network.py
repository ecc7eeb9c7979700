"""The textbook's first network: sigmoid layers, quadratic cost, stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .columns import ColumnNetwork, Columns, Delta, sigmoid, sigmoid_prime, step_down

__all__ = ["Network", "sigmoid", "sigmoid_prime"]


class Network(ColumnNetwork):
    """A network of sigmoid layers with the cost |a - y|^2 / 2.

    Parameters
    ----------
    sizes : sequence of int
        Neurons of each layer, the inputs first.

    Attributes
    ----------
    weights : list of ndarray, (n_out, n_in)
        Drawn from `numpy.random.randn`, after the biases.
    biases : list of ndarray, (n_out, 1)
        As drawn.

    Notes
    -----
    After Michael Nielsen, "Neural Networks and Deep Learning", chapter 1 (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.compat.textbook import network
    >>> np.random.seed(0)
    >>> net = network.Network([2, 3, 1])
    >>> net.feedforward(np.array([[0.5], [1.0]])).shape
    (1, 1)
    """

    arithmetic = (*ColumnNetwork.arithmetic, "cost_derivative")

    def __init__(self, sizes: Sequence[int]) -> None:
        self.num_layers = len(sizes)
        self.sizes = list(sizes)
        self.biases = [np.random.randn(y, 1) for y in sizes[1:]]  # noqa: NPY002 - the book's draws
        self.weights = [np.random.randn(y, x) for x, y in pairwise(sizes)]  # noqa: NPY002

    def _loss(self) -> str:
        return "half_squared_error"

    def SGD(
        self,
        training_data: Iterable[tuple[np.ndarray, np.ndarray]],
        epochs: int,
        mini_batch_size: int,
        eta: float,
        test_data: Iterable[tuple[np.ndarray, int]] | None = None,
    ) -> None:
        """Train by stochastic gradient descent, and print a line after every epoch.

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
        test_data : list of (x, label), optional
            Judged after every epoch.
        """
        tests = None if test_data is None else list(test_data)
        examples = training_data if isinstance(training_data, list) else list(training_data)
        for epoch in self._epochs(examples, epochs, mini_batch_size, eta, 0.0, Network):
            if tests:
                print(f"Epoch {epoch}: {self.evaluate(tests)} / {len(tests)}")
            else:
                print(f"Epoch {epoch} complete")

    def update_mini_batch(self, mini_batch: Columns, eta: float) -> None:
        """One step down the mean slope of a batch.

        Parameters
        ----------
        mini_batch : list of (x, y)
            Columns, as in `SGD`.
        eta : float
            The learning rate.
        """
        if not self._is_plain(Network):
            self.weights, self.biases = step_down(self, mini_batch, eta, 1.0)
            return
        nabla_b, nabla_w = self._slopes(mini_batch)
        self.weights = [w - eta * slope for w, slope in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b - eta * slope for b, slope in zip(self.biases, nabla_b, strict=True)]

    def _update(self, mini_batch: Columns, eta: float, l2: float, n: int) -> None:
        self.update_mini_batch(mini_batch, eta)

    def _own_delta(self, y: np.ndarray) -> Delta | None:
        if type(self).cost_derivative is Network.cost_derivative:
            return None
        return lambda z, a: self.cost_derivative(a, y) * sigmoid_prime(z)

    def evaluate(self, test_data: Iterable[tuple[np.ndarray, int]]) -> int:
        """How many of the examples have their brightest output at the label.

        Parameters
        ----------
        test_data : list of (x, label)
            Columns (n_inputs, 1) and integers.

        Returns
        -------
        int
        """
        tests = list(test_data)
        labels = np.array([label for _, label in tests]).reshape(-1)
        return int((self._outputs([x for x, _ in tests]).argmax(axis=1) == labels).sum())

    def cost_derivative(self, output_activations: np.ndarray, y: np.ndarray) -> Any:
        """The slope of the cost by the outputs: a - y.

        Parameters
        ----------
        output_activations, y : ndarray, (n_outputs, 1)
        """
        return output_activations - y
