"""Which options go with which training: an option that cannot be honoured is an error that says so."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier

from ...callbacks import EarlyStopping, TimeLimit
from ...callbacks.monitors import BestEpoch
from ...callbacks.runner import check_callbacks
from .coefficients import sizes_of
from .optimizers import own_optimizer
from .options import check_options, read_options
from .request import FitRequest
from .scikit_learn import TABLES

SOLVER_SETTINGS = {
    "learning_rate": "constant",
    "power_t": 0.5,
    "momentum": 0.9,
    "nesterovs_momentum": True,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
}
"""Parameters of scikit-learn's solvers -> their defaults; one of fastnn's optimizers has its own."""

DEFAULT_RATE = 0.001
VALIDATION_HINT = "an eval_set, or X_val and y_val"


def begin(request: FitRequest, incremental: bool) -> None:
    """Read the options of a request; raise for those that are wrong, or that this training cannot honour."""
    estimator = request.estimator
    request.incremental, request.options = incremental, read_options(estimator)
    check_options(estimator, request.options)
    _check_layers(request)
    _check_callbacks(request)
    if request.in_steps and request.options.optimizer is not None:
        _check_optimizer(request)
    given = [name for name in request.given if name != "n_threads"]
    if given and not request.in_steps:
        raise ValueError(
            f"{given[0]} is for training in steps, by solver='sgd', solver='adam' or optimizer=; got solver='lbfgs'"
        )
    if incremental and estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    if incremental and isinstance(request.options.class_weight, str):
        raise ValueError(
            "class_weight='balanced' is for fit: partial_fit cannot know how often each class will occur; give a dict "
            "of weights, such as sklearn.utils.class_weight.compute_class_weight finds in a sample of all targets"
        )
    if request.replaced_methods:
        check_own_training(request, request.replaced_methods)
    if request.continues:
        _check_continuation(request)


def end(request: FitRequest) -> None:
    """Raise ValueError if a subclass's own training has run, and options were given that it knows nothing of."""
    if request.given and not request.trained:
        method = "_fit_stochastic" if request.in_steps else "_fit_lbfgs"
        raise ValueError(
            f"{type(request.estimator).__name__}.{method} has taken the place of fastnn's training: it could not "
            f"honour {', '.join(request.given)}"
        )


def _check_layers(request: FitRequest) -> None:
    estimator, options = request.estimator, request.options
    n_hidden = len(np.atleast_1d(estimator.hidden_layer_sizes))
    if not isinstance(estimator.activation, str) and len(estimator.activation) != n_hidden:
        raise ValueError(
            f"activation must be a name or one name for each of the {n_hidden} hidden layers, "
            f"got {estimator.activation!r}"
        )
    if n_hidden == 0 and not isinstance(options.dropout, list | tuple) and options.drops:
        raise ValueError(f"dropout of hidden neurons must be 0 without hidden layers, got {options.dropout!r}")


def _check_callbacks(request: FitRequest) -> None:
    callbacks, estimator = request.options.callbacks or (), request.estimator
    columns = ["loss"]
    if request.pairs:
        columns += ["val_loss", "val_accuracy"] if is_classifier(estimator) else ["val_loss"]
    check_callbacks(callbacks, columns, VALIDATION_HINT)
    for callback in callbacks:
        name = type(callback).__name__
        if request.incremental and isinstance(callback, BestEpoch | TimeLimit):
            raise ValueError(f"callbacks has {name}, which is for fit: partial_fit trains for one epoch and returns")
        if estimator.early_stopping and isinstance(callback, EarlyStopping) and callback.restore_best:
            raise ValueError(
                f"early_stopping=True restores the weights of the best validation score, the callback {name} those of "
                f"the best {callback.monitor}: give it restore_best=False, or leave early_stopping out"
            )


def _check_optimizer(request: FitRequest) -> None:
    estimator = request.estimator
    optimizer = own_optimizer(request.options.optimizer)
    for name, default in SOLVER_SETTINGS.items():
        if getattr(estimator, name) != default:
            raise ValueError(
                f"{name} is for solver='sgd' or solver='adam'; optimizer={request.options.optimizer!r} takes their "
                f"place and has its own settings, got {name}={getattr(estimator, name)!r}"
            )
    if optimizer.learning_rate is not None and estimator.learning_rate_init != DEFAULT_RATE:
        raise ValueError(
            f"give learning_rate_init or the learning_rate of the optimizer, not both; got "
            f"{estimator.learning_rate_init!r} and {optimizer.learning_rate!r}"
        )


def check_own_training(request: FitRequest, replaced: list[str]) -> None:
    """Raise for options that scikit-learn's training lacks, which runs where a program has replaced a part of it."""
    estimator, options = request.estimator, request.options
    why = f"{type(estimator).__name__} replaces {', '.join(replaced)}, so that scikit-learn's own training runs"
    if request.given:
        raise ValueError(f"{why}, which cannot honour {request.given[0]}")
    losses = {"log_loss"} if is_classifier(estimator) else TABLES["LOSS_FUNCTIONS"].keys()
    if not isinstance(options.loss, str) or options.loss not in losses:
        raise ValueError(f"{why}, which has no loss {options.loss!r}")
    known = TABLES["ACTIVATIONS"].keys() & TABLES["DERIVATIVES"].keys()
    if not isinstance(estimator.activation, str) or estimator.activation not in known:
        raise ValueError(f"{why}, which has no activation {estimator.activation!r}")


def _check_continuation(request: FitRequest) -> None:
    """Raise ValueError where the parameters describe another network than the one that is fitted."""
    estimator, mode = request.estimator, "partial_fit" if request.incremental else "warm_start=True"
    wanted, fitted = np.atleast_1d(estimator.hidden_layer_sizes).tolist(), sizes_of(estimator)[1:-1]
    if wanted != fitted:
        raise ValueError(
            f"hidden_layer_sizes is {estimator.hidden_layer_sizes!r}, but the fitted network has hidden layers of "
            f"{fitted}, which {mode} cannot change; fit anew with warm_start=False"
        )
    output = _fitted_output(request)
    if output is not None and estimator.out_activation_ != output:
        raise ValueError(
            f"loss={request.options.loss!r} takes {output!r} outputs, but the fitted network has "
            f"{estimator.out_activation_!r} ones, which {mode} cannot change; fit anew with warm_start=False"
        )


def _fitted_output(request: FitRequest) -> str | None:
    """Return the output activation that `fit` chooses for the loss; None where a program has assigned another one."""
    estimator, loss = request.estimator, request.options.loss
    if not is_classifier(estimator):
        return (
            ("exp" if loss == "poisson" else "identity") if estimator.out_activation_ in ("exp", "identity") else None
        )
    if estimator.out_activation_ not in ("softmax", "logistic"):
        return None
    return output_of_classes(estimator, loss)


def output_of_classes(classifier: Any, loss: str) -> str:
    """Return the output activation of a classifier."""
    several = loss == "log_loss" and classifier._label_binarizer.y_type_ == "multiclass"
    return "softmax" if several else "logistic"
