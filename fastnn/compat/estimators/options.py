"""The options that scikit-learn's estimators lack: where the constructor puts them, and what they may be."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from ...kernels.activations import CODES as ACTIVATION_CODES
from ...kernels.losses import CODES as LOSS_CODES
from ...losses import Huber, Quantile
from ...optimizers import Optimizer
from .scikit_learn import Interval, StrOptions, validate_parameter_constraints


class NumberInterval(Interval):
    """An interval of numbers, to which booleans do not belong."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Return whether it holds the value."""
        return not isinstance(val, bool) and bool(super().is_satisfied_by(val))


NOT_FOR_NUMBERS = {"cross_entropy", "binary_cross_entropy", "perceptron", "half_squared_error"}
ACTIVATIONS = [StrOptions({"logistic", *ACTIVATION_CODES} - {"softmax", "step"}), list, tuple]
REGRESSION_LOSSES = [StrOptions(set(LOSS_CODES) - NOT_FOR_NUMBERS), Huber, Quantile]
CONSTRAINTS: dict[str, list[Any]] = {
    "dropout": [NumberInterval(Real, 0, 1, closed="left"), list, tuple],
    "optimizer": [None, str, Optimizer],
    "callbacks": [None, list, tuple],
    "n_threads": [None, NumberInterval(Integral, 1, None, closed="left")],
    "dtype": [None, StrOptions({"float32", "float64"})],
    "precision": [None, StrOptions({"float32", "bfloat16"})],
}
"""Options of both estimators -> what they may be."""

CLASSIFIER_CONSTRAINTS = {
    **CONSTRAINTS,
    "loss": [StrOptions({"log_loss", "squared_error"})],
    "class_weight": [None, dict, StrOptions({"balanced"})],
}
RECORD = "_fastnn_options"
"""Attribute of a subclass's instances: what fastnn's constructor was given for its options."""


@dataclass(frozen=True)
class Options:
    """Options of one training; `MLPClassifier` documents them."""

    loss: Any = "log_loss"
    dropout: Any = 0.0
    class_weight: Any = None
    optimizer: Any = None
    callbacks: Any = None
    n_threads: int | None = None
    dtype: str | None = None
    precision: str | None = None

    @property
    def number_type(self) -> str | None:
        """The type of the training's numbers, as far as the options choose it."""
        return self.dtype or (None if self.precision is None else "float32")

    @property
    def drops(self) -> bool:
        """Whether any neuron can be left out."""
        return any(self.dropout) if isinstance(self.dropout, list | tuple) else self.dropout != 0


def keep_arguments(estimator: Any, given: dict[str, Any]) -> None:
    """Set every argument of fastnn's constructor under its name, as scikit-learn demands, and nothing else.

    A subclass may use the name of one of fastnn's options for something else. Its instances keep what the constructor
    was given in a record too, from which the options are read, and an attribute of theirs is not replaced.
    """
    constraints, subclass = estimator.fastnn_constraints, is_subclass(estimator)
    for name in given.keys() - {"self", "__class__"}:
        taken = name in vars(estimator) or hasattr(type(estimator), name)
        if not (subclass and name in constraints and taken):
            setattr(estimator, name, given[name])
    if subclass:
        setattr(estimator, RECORD, {name: given[name] for name in constraints})


def is_subclass(estimator: Any) -> bool:
    """Whether the estimator's class is not one of fastnn's own, which name their options."""
    return "fastnn_constraints" not in vars(type(estimator))


def record_parameters(estimator: Any, names: set[str]) -> None:
    """Let the options follow parameters of these names that have just been set.

    Those of a subclass with a constructor of its own are what this constructor passes on for the parameters.
    """
    changed = names & estimator.fastnn_constraints.keys()
    if not (changed and is_subclass(estimator)):
        return
    if "__init__" in {name for kind in _subclasses(estimator) for name in vars(kind)}:
        record = vars(type(estimator)(**estimator.get_params(deep=False))).get(RECORD, {})
    else:
        record = vars(estimator).get(RECORD, {}) | {name: getattr(estimator, name) for name in changed}
    setattr(estimator, RECORD, record)


def _subclasses(estimator: Any) -> list[type]:
    """Return the estimator's classes up to the one that is fastnn's."""
    kinds = type(estimator).__mro__
    return list(kinds[: next(number for number, kind in enumerate(kinds) if "fastnn_constraints" in vars(kind))])


def read_options(estimator: Any) -> Options:
    """Return the estimator's options, from where fastnn's constructor put them."""
    names = estimator.fastnn_constraints.keys()
    if is_subclass(estimator):
        values = {name: value for name, value in vars(estimator).get(RECORD, {}).items() if name in names}
    else:
        values = {name: getattr(estimator, name) for name in names}
    if "loss" not in names:  # of a regression: a parameter of scikit-learn's too
        values["loss"] = estimator.loss
    return Options(**{field.name: values[field.name] for field in fields(Options) if field.name in values})


def check_options(estimator: Any, options: Options) -> None:
    """Raise scikit-learn's error for an option of the wrong type or value."""
    constraints = estimator.fastnn_constraints
    values = {name: getattr(options, name) for name in constraints}
    validate_parameter_constraints(constraints, values, caller_name=type(estimator).__name__)
