"""A linear model on the same rows, beside which a network is to be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..network import Network
from .tasks import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS, RIDGE = 300, 1e-4
MOST_NUMBERS = 1 << 28
"""Inputs of all rows beyond which the linear model is left out."""


def linear_outputs(task: Task) -> NDArray[Any] | None:
    """Return the outputs of a linear model for the held-out rows; None if the table is too large for it.

    It is a network without a hidden layer, fitted by L-BFGS to the training and validation rows with the slightest
    penalty: logistic regression for classes, ridge regression for quantities.
    """
    X, y = task.X, task.y
    if task.table is not None and task.table.validation is not None:
        X, y = np.concatenate([X, task.table.validation[0]]), np.concatenate([y, task.table.validation[1]])
    if X.size > MOST_NUMBERS:
        return None
    n_outputs = len(task.class_names) if task.class_names is not None else y.shape[1]
    net = Network(
        [X.shape[1], n_outputs],
        activation="softmax" if task.classifies else "identity",
        loss="cross_entropy" if task.classifies else "squared_error",
        init="zeros",
        dtype="float64",
        seed=0,
    )
    net.fit(X, y, epochs=STEPS, optimizer="lbfgs", l2=RIDGE, progress=False)
    return net.predict(task.X_held)
