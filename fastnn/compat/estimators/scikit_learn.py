"""What the estimators need of scikit-learn beyond its public interface, checked when it is imported."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import sklearn

VERSIONS = ("1.7", "1.8", "1.9")
"""The minor versions on which the tests run; those that `pyproject.toml` declares."""


def _unsupported(reason: object) -> ImportError:
    return ImportError(
        f"fastnn.sklearn works with scikit-learn {VERSIONS[0]} to {VERSIONS[-1]}, but {sklearn.__version__} is "
        f"installed: {reason}"
    )


try:
    from sklearn.neural_network import MLPClassifier, MLPRegressor, _base
    from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, BaseOptimizer, SGDOptimizer
    from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints
    from sklearn.utils.validation import validate_data

    TABLES: dict[str, dict[str, Any]] = {
        name: getattr(_base, name) for name in ("ACTIVATIONS", "DERIVATIVES", "LOSS_FUNCTIONS")
    }
    """scikit-learn's functions by name; programs put others there to change an activation or a loss."""
except (ImportError, AttributeError) as error:
    raise _unsupported(error) from error

__all__ = [
    "MODULE",
    "TABLES",
    "VERSIONS",
    "AdamOptimizer",
    "BaseMultilayerPerceptron",
    "BaseOptimizer",
    "Interval",
    "MLPClassifier",
    "MLPRegressor",
    "SGDOptimizer",
    "StrOptions",
    "is_own_function",
    "validate_data",
    "validate_parameter_constraints",
]

MODULE = BaseMultilayerPerceptron.__module__
"""The module to which scikit-learn attributes the warnings of its perceptrons."""


def is_own_function(table: str, name: str) -> bool:
    """Whether scikit-learn has this function, and no program has put another one in its place."""
    function = TABLES[table].get(name)
    return function is not None and function is getattr(_base, getattr(function, "__name__", ""), None)


BUFFERS = ("activations", "deltas", "coef_grads", "intercept_grads")
METHODS = {
    "_fit": ("X", "y", "sample_weight", "incremental"),
    "_validate_input": ("X", "y", "incremental", "reset"),
    "_initialize": ("y", "layer_units", "dtype"),
    "_fit_stochastic": ("X", "y", "sample_weight", *BUFFERS, "layer_units", "incremental"),
    "_fit_lbfgs": ("X", "y", "sample_weight", *BUFFERS, "layer_units"),
    "_update_no_improvement_count": ("early_stopping", "X", "y", "sample_weight"),
    "_backprop": ("X", "y", "sample_weight", *BUFFERS),
    "_compute_loss_grad": ("layer", "sw_sum", *BUFFERS),
    "_loss_grad_lbfgs": ("packed_coef_inter", "X", "y", "sample_weight", *BUFFERS),
    "_unpack": ("packed_parameters",),
    "_forward_pass": ("activations",),
    "_forward_pass_fast": ("X", "check_input"),
    "_predict": ("X", "check_input"),
    "_score": ("X", "y", "sample_weight"),
}
"""Methods that are called or replaced -> their parameters."""

ATTRIBUTES = {
    "_fit": ("_random_state", "coefs_", "n_outputs_"),
    "_initialize": ("_best_coefs", "_best_intercepts", "_no_improvement_count", "intercepts_", "out_activation_"),
    "_fit_stochastic": ("_optimizer", "loss_curve_", "t_"),
}
"""Methods -> attributes that they set, by which the rest of scikit-learn knows the state of a training."""


def _check(kind: type) -> None:
    """Raise ImportError if scikit-learn's estimator is not built as this package expects."""
    if not hasattr(kind, "_parameter_constraints"):
        raise _unsupported(f"{kind.__name__} has no _parameter_constraints")
    for name, parameters in METHODS.items():
        method = getattr(kind, name, None)
        found = tuple(inspect.signature(method).parameters)[1:] if method is not None else None
        if found != parameters:
            raise _unsupported(f"{kind.__name__}.{name} takes {found}, not {parameters}")
    for name, attributes in ATTRIBUTES.items():
        for attribute in attributes:
            if attribute not in getattr(kind, name).__code__.co_names:
                raise _unsupported(f"{kind.__name__}.{name} does not set {attribute}")


def _check_optimizer(kind: type, settings: tuple[str, ...], state: tuple[str, ...]) -> None:
    """Raise ImportError if an optimizer lacks one of these settings, which its constructor takes, or of its state."""
    optimizer: Any = kind([np.zeros(1)])
    for name in (*settings, *state, "learning_rate", "iteration_ends", "trigger_stopping"):
        if not hasattr(optimizer, name):
            raise _unsupported(f"{kind.__name__} has no {name}")
    missing = set(settings) - set(inspect.signature(kind).parameters)
    if missing:
        raise _unsupported(f"{kind.__name__} does not take {', '.join(sorted(missing))}")


for _kind in (MLPClassifier, MLPRegressor):
    _check(_kind)
if "_label_binarizer" not in getattr(MLPClassifier, "_validate_input").__code__.co_names:  # noqa: B009 - checked here
    raise _unsupported("MLPClassifier._validate_input does not set _label_binarizer")
_check_optimizer(AdamOptimizer, ("learning_rate_init", "beta_1", "beta_2", "epsilon"), ("ms", "vs", "t"))
_check_optimizer(
    SGDOptimizer, ("learning_rate_init", "lr_schedule", "momentum", "nesterov", "power_t"), ("velocities",)
)
