"""scikit-learn's `MLPClassifier` and `MLPRegressor` on fastnn's kernels: change the import, and nothing else.

They are scikit-learn's own estimators, its checks, its attributes and its methods, with the arithmetic replaced: the
same weights to rounding for the same `random_state`. What they have beyond scikit-learn's comes by keyword.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

try:
    from sklearn.neural_network import MLPClassifier as TheirClassifier
    from sklearn.neural_network import MLPRegressor as TheirRegressor
    from sklearn.utils import compute_sample_weight
    from sklearn.utils._param_validation import Interval, StrOptions
except ImportError as error:
    raise ImportError("fastnn.sklearn needs scikit-learn: pip install 'fastnn[sklearn]'") from error

from .compat.estimators import CompiledPerceptron
from .kernels.activations import CODES as ACTIVATION_CODES
from .kernels.losses import CODES as LOSS_CODES
from .losses import Huber, Quantile
from .optimizers import Optimizer

__all__ = ["MLPClassifier", "MLPRegressor"]

NOT_FOR_NUMBERS = {"cross_entropy", "binary_cross_entropy", "perceptron", "half_squared_error"}
OWN_CONSTRAINTS: dict[str, list[Any]] = {
    "activation": [StrOptions({"logistic", *ACTIVATION_CODES} - {"softmax", "step"}), list, tuple],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "optimizer": [None, str, Optimizer],
    "callbacks": [None, list, tuple],
    "n_threads": [None, Interval(Integral, 1, None, closed="left")],
    "dtype": [None, StrOptions({"float32", "float64"})],
}


def _keep(estimator: Any, given: dict[str, Any]) -> None:
    """What scikit-learn asks of a constructor: every argument under its name, and nothing else."""
    for name in given.keys() - {"self"}:
        setattr(estimator, name, given[name])


class _WithEvaluation:
    """`fit` with sets to judge after every epoch."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None) -> Any:
        """Fit to X, (n_samples, n_features), and y.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)
            Examples, one in a row.
        y : array_like, (n_samples,) or (n_samples, n_outputs)
            Labels, or numbers.
        sample_weight : array_like, (n_samples,), optional
            Weights of the examples, 0 or more.
        eval_set : list of (X, y), optional
            Judged after every epoch, see `evals_result_`; not for solver "lbfgs".

        Returns
        -------
        self
        """
        self._eval_set = eval_set
        try:
            return super().fit(X, y, sample_weight=sample_weight)  # type: ignore[misc]
        finally:
            del self._eval_set


class MLPClassifier(_WithEvaluation, CompiledPerceptron, TheirClassifier):
    """A classifier by a multilayer perceptron, as scikit-learn's.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default (100,)
        Neurons of each hidden layer.
    activation : str or sequence of str, default "relu"
        Of the hidden layers: scikit-learn's "identity", "logistic", "tanh", "relu", or any of `fastnn.Network`; a
        sequence has one name for each hidden layer.
    solver : {"lbfgs", "sgd", "adam"}, default "adam"
        How the weights are found.
    alpha : float, default 0.0001
        L2 penalty; its slope is divided by the weight of the batch.
    batch_size : int or "auto", default "auto"
        Examples for an update; "auto": min(200, n_samples).
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        PlateauState of the learning rate of "sgd".
    learning_rate_init : float, default 0.001
        First learning rate of "sgd" and "adam".
    power_t : float, default 0.5
        Exponent of "invscaling".
    max_iter : int, default 200
        Most epochs; of "lbfgs" iterations.
    shuffle : bool, default True
        A new order of the examples in each epoch.
    random_state : int, RandomState or None
        Of the weights, the held-out examples and the order: the same draws as scikit-learn's.
    tol : float, default 1e-4
        What an epoch must gain in loss or score to count as progress.
    verbose : bool, default False
        Print the loss of every epoch.
    warm_start : bool, default False
        Let `fit` go on from the weights that are there.
    momentum : float, default 0.9
        Of "sgd".
    nesterovs_momentum : bool, default True
        Whether the momentum looks ahead.
    early_stopping : bool, default False
        Stop by the score of held-out examples in place of the loss.
    validation_fraction : float, default 0.1
        Share of the examples that is held out.
    beta_1, beta_2, epsilon : float, default 0.9, 0.999, 1e-8
        Of "adam".
    n_iter_no_change : int, default 10
        Epochs without progress after which the training ends.
    max_fun : int, default 15000
        Most evaluations of the loss by "lbfgs".
    dropout : float or sequence of float, default 0
        Share of the hidden neurons left out of each update, see `fastnn.Network`; not for "lbfgs".
    loss : {"log_loss", "squared_error"}, default "log_loss"
        "squared_error": of one sigmoid output for each class.
    class_weight : dict or "balanced", optional
        Weight of each class on top of `sample_weight`, as in scikit-learn's other classifiers.
    optimizer : str or fastnn optimizer, optional
        In place of "sgd" and "adam": "adamw", "rmsprop", "adagrad", `fastnn.AdamW(...)`, ...; its rate, if it has
        none of its own, is `learning_rate_init`.
    callbacks : sequence of callables, optional
        As in `fastnn.Network.fit`: each is called as callback(network, history) after every epoch; a true result
        ends the training.
    n_threads : int, optional
        Most threads; None measures, and keeps the fastest. The results are the same bits.
    dtype : {"float32", "float64"}, optional
        Type of the weights and of the arithmetic. None: float32 for float32 inputs, else float64.

    Attributes
    ----------
    classes_ : ndarray or list of ndarray
        The labels.
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer.
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_
        As scikit-learn's.
    n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As scikit-learn's.
    evals_result_ : dict
        Where `fit` had an `eval_set`: loss and score of each set after every epoch.

    Notes
    -----
    Negative sample weights, of which scikit-learn does not warn, are refused. The cross-entropy is computed from the
    logits: where a probability is below the type's resolution, scikit-learn's `loss_` is bounded and this one is not.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **TheirClassifier._parameter_constraints,
        **OWN_CONSTRAINTS,
        "loss": [StrOptions({"log_loss", "squared_error"})],
        "class_weight": [None, dict, StrOptions({"balanced"})],
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
    ) -> None:
        _keep(self, locals())

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Any:
        if self.class_weight is not None:
            of_class = compute_sample_weight(self.class_weight, y)
            sample_weight = of_class if sample_weight is None else of_class * np.asarray(sample_weight)
        return super()._fit(X, y, sample_weight=sample_weight, incremental=incremental)

    def _initialize(self, y: Any, layer_units: Any, dtype: Any) -> None:
        super()._initialize(y, layer_units, dtype)
        if self.loss != "log_loss":
            self.out_activation_ = "logistic"

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)
            Examples, one in a row.

        Returns
        -------
        ndarray, (n_samples, n_classes)
            In the order of `classes_`; for several labels at once that of each label.
        """
        found = super().predict_proba(X)
        if self.loss != "log_loss" and self._label_binarizer.y_type_ == "multiclass":
            found = found / found.sum(axis=1, keepdims=True)
        return found


class MLPRegressor(_WithEvaluation, CompiledPerceptron, TheirRegressor):
    """A regression by a multilayer perceptron, as scikit-learn's.

    Parameters
    ----------
    loss : str or object, default "squared_error"
        scikit-learn's "squared_error" and "poisson", or "absolute_error", "huber", "quantile",
        `fastnn.losses.Huber(...)`, `fastnn.losses.Quantile(...)`.
    hidden_layer_sizes : array-like of int, default (100,)
        Neurons of each hidden layer.
    activation : str or sequence of str, default "relu"
        Of the hidden layers: scikit-learn's "identity", "logistic", "tanh", "relu", or any of `fastnn.Network`; a
        sequence has one name for each hidden layer.
    solver : {"lbfgs", "sgd", "adam"}, default "adam"
        How the weights are found.
    alpha : float, default 0.0001
        L2 penalty; its slope is divided by the weight of the batch.
    batch_size : int or "auto", default "auto"
        Examples for an update; "auto": min(200, n_samples).
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        PlateauState of the learning rate of "sgd".
    learning_rate_init : float, default 0.001
        First learning rate of "sgd" and "adam".
    power_t : float, default 0.5
        Exponent of "invscaling".
    max_iter : int, default 200
        Most epochs; of "lbfgs" iterations.
    shuffle : bool, default True
        A new order of the examples in each epoch.
    random_state : int, RandomState or None
        Of the weights, the held-out examples and the order: the same draws as scikit-learn's.
    tol : float, default 1e-4
        What an epoch must gain in loss or score to count as progress.
    verbose : bool, default False
        Print the loss of every epoch.
    warm_start : bool, default False
        Let `fit` go on from the weights that are there.
    momentum : float, default 0.9
        Of "sgd".
    nesterovs_momentum : bool, default True
        Whether the momentum looks ahead.
    early_stopping : bool, default False
        Stop by the score of held-out examples in place of the loss.
    validation_fraction : float, default 0.1
        Share of the examples that is held out.
    beta_1, beta_2, epsilon : float, default 0.9, 0.999, 1e-8
        Of "adam".
    n_iter_no_change : int, default 10
        Epochs without progress after which the training ends.
    max_fun : int, default 15000
        Most evaluations of the loss by "lbfgs".
    dropout : float or sequence of float, default 0
        Share of the hidden neurons left out of each update, see `fastnn.Network`; not for "lbfgs".
    optimizer : str or fastnn optimizer, optional
        In place of "sgd" and "adam": "adamw", "rmsprop", "adagrad", `fastnn.AdamW(...)`, ...; its rate, if it has
        none of its own, is `learning_rate_init`.
    callbacks : sequence of callables, optional
        As in `fastnn.Network.fit`: each is called as callback(network, history) after every epoch; a true result
        ends the training.
    n_threads : int, optional
        Most threads; None measures, and keeps the fastest. The results are the same bits.
    dtype : {"float32", "float64"}, optional
        Type of the weights and of the arithmetic. None: float32 for float32 inputs, else float64.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer.
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_
        As scikit-learn's.
    n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As scikit-learn's.
    evals_result_ : dict
        Where `fit` had an `eval_set`: loss and score of each set after every epoch.

    Notes
    -----
    Negative sample weights, of which scikit-learn does not warn, are refused.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.sklearn import MLPRegressor
    >>> X = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    >>> reg = MLPRegressor(hidden_layer_sizes=(20,), solver="lbfgs", random_state=0).fit(X, X[:, 0] * X[:, 1])
    >>> reg.score(X, X[:, 0] * X[:, 1]) > 0.99
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **TheirRegressor._parameter_constraints,
        **OWN_CONSTRAINTS,
        "loss": [StrOptions(set(LOSS_CODES) - NOT_FOR_NUMBERS), Huber, Quantile],
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
    ) -> None:
        _keep(self, locals())
