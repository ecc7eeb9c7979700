"""Which of scikit-learn's methods and functions a program has replaced, so that they are followed."""

from __future__ import annotations

from typing import Any

from sklearn.base import is_classifier

from .options import read_options
from .scikit_learn import TABLES, is_own_function

GRADIENT_METHODS = ("_backprop", "_forward_pass", "_compute_loss_grad")
"""Methods that compute a loss and its gradient: fastnn's kernels stand in their place."""

LBFGS_METHODS = (*GRADIENT_METHODS, "_loss_grad_lbfgs", "_unpack")
PREDICTION_METHODS = ("_predict", "_forward_pass_fast")
ALL_METHODS = (*LBFGS_METHODS, *PREDICTION_METHODS, "_fit_stochastic", "_fit_lbfgs")


def original_methods(kind: type) -> dict[str, Any]:
    """Return the methods of one of fastnn's classes, to compare with later."""
    return {name: getattr(kind, name) for name in ALL_METHODS}


def overridden(estimator: Any, names: tuple[str, ...]) -> list[str]:
    """Return which methods a subclass, or an assignment to the class or to the instance, has replaced."""
    originals = estimator.fastnn_originals
    return [name for name in names if getattr(getattr(estimator, name), "__func__", None) is not originals[name]]


def replaced_activations(estimator: Any) -> list[str]:
    """Return which activations of this estimator a program has replaced in scikit-learn's table."""
    return _replaced("ACTIVATIONS", estimator.activation) + _replaced("ACTIVATIONS", estimator.out_activation_)


def replaced_functions(estimator: Any) -> list[str]:
    """Return which functions of this estimator a program has replaced in scikit-learn's tables."""
    found = replaced_activations(estimator) + _replaced("DERIVATIVES", estimator.activation)
    binary = estimator.loss == "log_loss" and estimator.out_activation_ == "logistic"
    return found + _replaced("LOSS_FUNCTIONS", "binary_log_loss" if binary else estimator.loss)


def _replaced(table: str, name: Any) -> list[str]:
    known = isinstance(name, str) and name in TABLES[table]
    return [f"{table}[{name!r}]"] if known and not is_own_function(table, name) else []


def has_scikit_learn_functions(estimator: Any) -> bool:
    """Whether scikit-learn has the estimator's activations."""
    known, given = TABLES["ACTIVATIONS"], (estimator.activation, estimator.out_activation_)
    return all(isinstance(name, str) and name in known for name in given)


def has_scikit_learn_loss(estimator: Any) -> bool:
    """Whether scikit-learn has the estimator's loss and the derivative of its hidden activation."""
    losses = {"log_loss"} if is_classifier(estimator) else TABLES["LOSS_FUNCTIONS"].keys()
    loss = read_options(estimator).loss
    return isinstance(loss, str) and loss in losses and estimator.activation in TABLES["DERIVATIVES"]
