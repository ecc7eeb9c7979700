"""One call of `fit` or `partial_fit`: what it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .optimizers import is_known_optimizer
from .options import Options
from .overrides import GRADIENT_METHODS, LBFGS_METHODS, overridden, replaced_functions

if TYPE_CHECKING:
    import numpy as np

VALIDATION = "X_val, y_val"
"""Name of the examples to evaluate that early stopping takes in place of those that it would hold out."""


@dataclass
class EvaluationSet:
    """Examples to evaluate after every epoch.

    Attributes
    ----------
    X, y : array_like
        As the score takes them.
    targets : ndarray, (n, n_outputs)
        As the loss takes them.
    """

    X: Any
    y: Any
    targets: np.ndarray


@dataclass
class FitRequest:
    """What one call of `fit` or `partial_fit` asks for.

    Attributes
    ----------
    estimator : MLPClassifier or MLPRegressor
    pairs : dict
        Names of examples to evaluate after every epoch, such as "eval_set[0]" -> X and y as given.
    incremental : bool
        Whether this is a `partial_fit`.
    options : Options
    sets : dict
        Names of the pairs -> EvaluationSet, once they have been checked.
    trained : bool
        Whether a training that knows the options has run.
    """

    estimator: Any
    pairs: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    incremental: bool = False
    options: Options = field(default_factory=Options)
    sets: dict[str, EvaluationSet] = field(default_factory=dict)
    trained: bool = False

    @property
    def continues(self) -> bool:
        """Whether the training begins with the weights of an earlier one."""
        estimator = self.estimator
        return hasattr(estimator, "coefs_") and bool(estimator.warm_start or self.incremental)

    @property
    def in_steps(self) -> bool:
        """Whether the solver takes steps on batches."""
        return bool(self.estimator.solver != "lbfgs")

    @property
    def replaced_methods(self) -> list[str]:
        """Methods of scikit-learn's training that the program has replaced."""
        return overridden(self.estimator, GRADIENT_METHODS if self.in_steps else LBFGS_METHODS)

    @property
    def replaced(self) -> list[str]:
        """All of scikit-learn's training that the program has replaced, once the output activation is known."""
        found = self.replaced_methods + replaced_functions(self.estimator)
        optimizer = getattr(self.estimator, "_optimizer", None) if self.incremental else None
        return found if optimizer is None or is_known_optimizer(optimizer) else [*found, "_optimizer"]

    @property
    def given(self) -> list[str]:
        """Names of the options given that fastnn's own training alone can honour."""
        options = self.options
        found = {
            "dropout": options.drops,
            "optimizer": options.optimizer is not None,
            "callbacks": bool(options.callbacks),
            "n_threads": options.n_threads is not None,
            "precision": options.precision == "bfloat16",
            "X_val": VALIDATION in self.pairs,
            "eval_set": bool(self.pairs.keys() - {VALIDATION}),
        }
        return [name for name, given in found.items() if given]


_current: ContextVar[FitRequest | None] = ContextVar("_current", default=None)


def request_of(estimator: Any) -> FitRequest | None:
    """Return the request that the estimator is carrying out."""
    request = _current.get()
    return request if request is not None and request.estimator is estimator else None


@contextmanager
def carrying_out(request: FitRequest) -> Iterator[FitRequest]:
    """Let `request_of` find the request."""
    token = _current.set(request)
    try:
        yield request
    finally:
        _current.reset(token)


def make_request(estimator: Any, eval_set: Any, X_val: Any, y_val: Any) -> FitRequest:
    """Return the request of a `fit` with these sets to evaluate."""
    pairs: dict[str, tuple[Any, Any]] = {}
    if (X_val is None) != (y_val is None):
        given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
        raise ValueError(f"X_val and y_val must be given together, got {given} without {missing}")
    if X_val is not None:
        pairs[VALIDATION] = (X_val, y_val)
    if eval_set is not None and not isinstance(eval_set, list | tuple):
        raise TypeError(f"eval_set must be a list of pairs (X, y), got {type(eval_set).__name__}")
    for number, pair in enumerate(eval_set or ()):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"eval_set must be a list of pairs (X, y), got one of {type(pair).__name__}")
        pairs[f"eval_set[{number}]"] = (pair[0], pair[1])
    return FitRequest(estimator, pairs)
