"""scikit-learn's `MLPClassifier` and `MLPRegressor` on fastnn's kernels, and estimators for tables.

`MLPClassifier` and `MLPRegressor` are scikit-learn's own estimators, with its checks, attributes and methods; only the
arithmetic is fastnn's. For the same `random_state` they find the same weights, to rounding. Options that scikit-learn
lacks are given by keyword. An option that a kind of training cannot honour is an error that says so.

Their subclasses work as those of scikit-learn's estimators do. Where one overrides a method that computes gradients,
such as `_backprop`, scikit-learn's own training runs, with a warning. A subclass gives options to this constructor or
to `set_params`; an attribute that it sets is its own, whatever its name.

skl2onnx converts fitted `MLPClassifier` and `MLPRegressor`, alone and in pipelines, as it does scikit-learn's.

`TabularClassifier` and `TabularRegressor` take tables with categories and missing values, and need no tuning.
"""

from __future__ import annotations

from typing import Any, ClassVar

try:
    import sklearn  # noqa: F401 - without it the message below is clearer than that of the first import that fails
except ImportError as error:
    raise ImportError("fastnn.sklearn needs scikit-learn: pip install 'fastnn[sklearn]'") from error

from .compat.estimators import scikit_learn
from .compat.estimators.options import (
    ACTIVATIONS,
    CLASSIFIER_CONSTRAINTS,
    CONSTRAINTS,
    REGRESSION_LOSSES,
    keep_arguments,
)
from .compat.estimators.perceptron import CompiledClassifier, CompiledRegressor
from .compat.estimators.skl2onnx_converters import register_when_imported
from .tabular.estimators import TabularClassifier, TabularRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "TabularClassifier", "TabularRegressor"]


class MLPClassifier(CompiledClassifier, scikit_learn.MLPClassifier):
    """Classify by a multilayer perceptron, as scikit-learn's `MLPClassifier`.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default (100,)
        Neurons of each hidden layer.
    activation : str or sequence of str, default "relu"
        Activation of the hidden layers: "identity", "logistic", "tanh", "relu", or any other of `fastnn.Network`. A
        sequence has one name for each hidden layer.
    solver : {"lbfgs", "sgd", "adam"}, default "adam"
        Algorithm that minimizes the loss.
    alpha : float, default 0.0001
        L2 penalty; its gradient is divided by the weight of the batch.
    batch_size : int or "auto", default "auto"
        Number of examples for one update; "auto" is min(200, n_samples).
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        Schedule of the learning rate of "sgd".
    learning_rate_init : float, default 0.001
        Initial learning rate of "sgd" and "adam", and of an `optimizer` that has none.
    power_t : float, default 0.5
        Exponent of "invscaling".
    max_iter : int, default 200
        Maximum number of epochs, for "lbfgs" of iterations.
    shuffle : bool, default True
        Whether to shuffle the examples in each epoch.
    random_state : int, RandomState or None
        Source of the initial weights, the held-out examples and the order; the draws are scikit-learn's.
    tol : float, default 1e-4
        Improvement in loss or score below which an epoch counts as one without progress.
    verbose : bool, default False
        Whether to print the loss of every epoch.
    warm_start : bool, default False
        Whether `fit` continues from the current weights.
    momentum : float, default 0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default True
        Whether the momentum is Nesterov's.
    early_stopping : bool, default False
        Whether the score of held-out examples decides when to stop, in place of the loss, and which weights are kept.
    validation_fraction : float, default 0.1
        Fraction of the examples that is held out.
    beta_1, beta_2, epsilon : float, default 0.9, 0.999, 1e-8
        Settings of "adam".
    n_iter_no_change : int, default 10
        Number of epochs without progress after which training stops.
    max_fun : int, default 15000
        Maximum number of evaluations of the loss by "lbfgs".
    dropout : float or sequence of float, default 0
        Fraction of the hidden neurons that each update leaves out, see `fastnn.Network`; not for "lbfgs".
    loss : {"log_loss", "squared_error"}, default "log_loss"
        "squared_error" is that of one sigmoid output for each class.
    class_weight : dict or "balanced", optional
        Weight of each class, multiplied with `sample_weight`; for `partial_fit` a dict.
    optimizer : str or fastnn optimizer, optional
        Replaces "sgd" and "adam" and their settings: "adamw", "rmsprop", "adagrad", `fastnn.AdamW(...)`, ...
    callbacks : sequence of callables, optional
        Called as callback(network, history) after every epoch, as in `fastnn.Network.fit`; a true result stops the
        training. Not for "lbfgs".
    n_threads : int, optional
        Maximum number of threads; None measures which number is fastest. The results are the same bits.
    dtype : {"float32", "float64"}, optional
        Type of the weights and of the training. None: float32 for float32 inputs or if `precision` is given, else
        float64.
    precision : {"float32", "bfloat16"}, optional
        "bfloat16": the operands of the products are rounded while training, for wide layers, see `fastnn.Network`. Not
        for "lbfgs".

    Attributes
    ----------
    classes_ : ndarray or list of ndarray
        The labels.
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer: views of one network's memory.
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_
        As scikit-learn's.
    n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As scikit-learn's.
    evals_result_ : dict
        Loss and score of each set that `fit` evaluated, after every epoch: `evals_result_["validation_0"]["loss"]`.

    Notes
    -----
    Negative sample weights are refused, which scikit-learn accepts. The cross-entropy is computed from the logits:
    where a probability is below the type's resolution, scikit-learn's `loss_` is bounded and this one is not.

    After `set_params`, `partial_fit` and a warm start train with the new parameters. What the fitted network cannot
    follow, such as other `hidden_layer_sizes`, is an error.

    Examples
    --------
    >>> import fastnn
    >>> from fastnn.sklearn import MLPClassifier
    >>> X, y = fastnn.datasets.load_digits()
    >>> clf = MLPClassifier((32,), max_iter=20, random_state=0, tol=0, n_iter_no_change=20)
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # 20 epochs are not enough to converge
    ...     clf = clf.fit(X / 16, y)
    >>> clf.score(X / 16, y) > 0.9
    True
    """

    fastnn_constraints: ClassVar[dict[str, list[Any]]] = CLASSIFIER_CONSTRAINTS
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **scikit_learn.MLPClassifier._parameter_constraints,
        "activation": ACTIVATIONS,
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        loss: str = "log_loss",
        class_weight: Any = None,
        optimizer: Any = None,
        callbacks: Any = None,
        n_threads: int | None = None,
        dtype: str | None = None,
        precision: str | None = None,
    ) -> None:
        keep_arguments(self, locals())


class MLPRegressor(CompiledRegressor, scikit_learn.MLPRegressor):
    """Predict numbers by a multilayer perceptron, as scikit-learn's `MLPRegressor`.

    Parameters
    ----------
    loss : str or object, default "squared_error"
        scikit-learn's "squared_error" and "poisson", or "absolute_error", "huber", "quantile",
        `fastnn.losses.Huber(...)`, `fastnn.losses.Quantile(...)`.
    hidden_layer_sizes : array-like of int, default (100,)
        Neurons of each hidden layer.
    activation : str or sequence of str, default "relu"
        Activation of the hidden layers: "identity", "logistic", "tanh", "relu", or any other of `fastnn.Network`. A
        sequence has one name for each hidden layer.
    solver : {"lbfgs", "sgd", "adam"}, default "adam"
        Algorithm that minimizes the loss.
    alpha : float, default 0.0001
        L2 penalty; its gradient is divided by the weight of the batch.
    batch_size : int or "auto", default "auto"
        Number of examples for one update; "auto" is min(200, n_samples).
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        Schedule of the learning rate of "sgd".
    learning_rate_init : float, default 0.001
        Initial learning rate of "sgd" and "adam", and of an `optimizer` that has none.
    power_t : float, default 0.5
        Exponent of "invscaling".
    max_iter : int, default 200
        Maximum number of epochs, for "lbfgs" of iterations.
    shuffle : bool, default True
        Whether to shuffle the examples in each epoch.
    random_state : int, RandomState or None
        Source of the initial weights, the held-out examples and the order; the draws are scikit-learn's.
    tol : float, default 1e-4
        Improvement in loss or score below which an epoch counts as one without progress.
    verbose : bool, default False
        Whether to print the loss of every epoch.
    warm_start : bool, default False
        Whether `fit` continues from the current weights.
    momentum : float, default 0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default True
        Whether the momentum is Nesterov's.
    early_stopping : bool, default False
        Whether the score of held-out examples decides when to stop, in place of the loss, and which weights are kept.
    validation_fraction : float, default 0.1
        Fraction of the examples that is held out.
    beta_1, beta_2, epsilon : float, default 0.9, 0.999, 1e-8
        Settings of "adam".
    n_iter_no_change : int, default 10
        Number of epochs without progress after which training stops.
    max_fun : int, default 15000
        Maximum number of evaluations of the loss by "lbfgs".
    dropout : float or sequence of float, default 0
        Fraction of the hidden neurons that each update leaves out, see `fastnn.Network`; not for "lbfgs".
    optimizer : str or fastnn optimizer, optional
        Replaces "sgd" and "adam" and their settings: "adamw", "rmsprop", "adagrad", `fastnn.AdamW(...)`, ...
    callbacks : sequence of callables, optional
        Called as callback(network, history) after every epoch, as in `fastnn.Network.fit`; a true result stops the
        training. Not for "lbfgs".
    n_threads : int, optional
        Maximum number of threads; None measures which number is fastest. The results are the same bits.
    dtype : {"float32", "float64"}, optional
        Type of the weights and of the training. None: float32 for float32 inputs or if `precision` is given, else
        float64.
    precision : {"float32", "bfloat16"}, optional
        "bfloat16": the operands of the products are rounded while training, for wide layers, see `fastnn.Network`. Not
        for "lbfgs".

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer: views of one network's memory.
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_
        As scikit-learn's.
    n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As scikit-learn's.
    evals_result_ : dict
        Loss and score of each set that `fit` evaluated, after every epoch: `evals_result_["validation_0"]["loss"]`.

    Notes
    -----
    Negative sample weights are refused, which scikit-learn accepts.

    After `set_params`, `partial_fit` and a warm start train with the new parameters. What the fitted network cannot
    follow, such as other `hidden_layer_sizes`, is an error.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.sklearn import MLPRegressor
    >>> X = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    >>> reg = MLPRegressor(hidden_layer_sizes=(20,), solver="lbfgs", random_state=0).fit(X, X[:, 0] * X[:, 1])
    >>> reg.score(X, X[:, 0] * X[:, 1]) > 0.99
    True
    """

    fastnn_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **scikit_learn.MLPRegressor._parameter_constraints,
        "activation": ACTIVATIONS,
        "loss": REGRESSION_LOSSES,
    }

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        optimizer: Any = None,
        callbacks: Any = None,
        n_threads: int | None = None,
        dtype: str | None = None,
        precision: str | None = None,
    ) -> None:
        keep_arguments(self, locals())


register_when_imported(MLPClassifier, MLPRegressor)
