"""The textbook's first network: sigmoid layers, quadratic cost, stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .columns import (
    ColumnNetwork,
    Columns,
    OutputDelta,
    derivative_of_sigmoid,
    is_textbook,
    labels_of,
    sigmoid,
    textbook,
)

__all__ = ["Network", "sigmoid", "sigmoid_prime"]

sigmoid_prime = derivative_of_sigmoid(globals())


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

    def __init__(self, sizes: Sequence[int]) -> None:
        self._set_sizes(sizes)
        self.biases = [np.random.randn(y, 1) for y in self.sizes[1:]]  # noqa: NPY002 - the book's draws
        self.weights = [np.random.randn(y, x) for x, y in pairwise(self.sizes)]  # noqa: NPY002

    def _loss(self) -> str | None:
        return "half_squared_error" if is_textbook(self.cost_derivative) else None

    def _sigmoid_functions(self) -> tuple[Any, Any]:
        return sigmoid, sigmoid_prime

    def _cost_delta(self, y: np.ndarray) -> OutputDelta:
        return lambda z, a: self.cost_derivative(a, y) * sigmoid_prime(z)

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
            Evaluated after every epoch.

        Raises
        ------
        ValueError, TypeError
            For bad input, before the first epoch; labels must be integers.
        """
        tests = None if test_data is None else list(test_data)
        if tests and is_textbook(self.evaluate):
            self._labelled(tests)
        examples = training_data if isinstance(training_data, list) else list(training_data)
        for epoch in self._epochs(examples, epochs, mini_batch_size, eta, 0.0):
            if tests:
                print(f"Epoch {epoch}: {self.evaluate(tests)} / {len(tests)}")
            else:
                print(f"Epoch {epoch} complete")

    @textbook
    def update_mini_batch(self, mini_batch: Columns, eta: float) -> None:
        """Make one update: a step against the mean gradient of a batch.

        Parameters
        ----------
        mini_batch : list of (x, y)
            Columns, as in `SGD`.
        eta : float
            The learning rate.
        """
        self._step(mini_batch, eta, 1.0)

    def _update(self, mini_batch: Columns, eta: float, l2: float, n: int) -> None:
        self.update_mini_batch(mini_batch, eta)

    @textbook
    def evaluate(self, test_data: Iterable[tuple[np.ndarray, int]]) -> int:
        """Return how many of the examples have their largest output at the label.

        Parameters
        ----------
        test_data : list of (x, label)
            Columns (n_inputs, 1) and integers.

        Returns
        -------
        int

        Raises
        ------
        ValueError, TypeError
            For labels of another form, such as columns.
        """
        columns, labels = self._labelled(list(test_data))
        return int((self._outputs(columns).argmax(axis=1) == labels).sum())

    def _labelled(self, tests: list[tuple[np.ndarray, int]]) -> tuple[list[np.ndarray], np.ndarray]:
        """Return the columns and the labels of test data."""
        return [x for x, _ in tests], labels_of("test_data", [label for _, label in tests], self.sizes[-1])

    @textbook
    def cost_derivative(self, output_activations: np.ndarray, y: np.ndarray) -> Any:
        """Return the derivative of the cost with respect to the outputs, a - y.

        Parameters
        ----------
        output_activations, y : ndarray, (n_outputs, 1)
        """
        return output_activations - y
