"""The methods of scikit-learn's perceptrons that fastnn replaces, for both estimators and for each."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.metrics import accuracy_score, r2_score

from ...caller import warn_caller
from .coefficients import attach_arrays, dtype_of
from .examples import check_sample_weight, class_weighted
from .lbfgs import fit_lbfgs, loss_and_gradients
from .modes import begin, check_own_training, end, output_of_classes
from .optimizers import current_optimizer, follow_settings
from .options import read_options, record_parameters
from .overrides import (
    PREDICTION_METHODS,
    has_scikit_learn_functions,
    has_scikit_learn_loss,
    original_methods,
    overridden,
    replaced_activations,
)
from .prediction import fast_outputs, labels_of, prediction_engine
from .request import FitRequest, carrying_out, make_request, request_of
from .scikit_learn import BaseMultilayerPerceptron, validate_data
from .stochastic import fit_stochastic, prepare_progress
from .validation import check_sets, check_width, in_kernel_type, in_type


def begin_training(estimator: Any, incremental: bool) -> FitRequest:
    """Return the request that the estimator is carrying out, or a new one where a subclass has its own `_fit`."""
    request = request_of(estimator)
    if request is None:
        request = FitRequest(estimator)
        begin(request, incremental)
    request.trained = True
    return request


def weights_of(request: FitRequest, y: np.ndarray, sample_weight: Any) -> Any:
    """Return the weights of the examples times those of their classes; all of them may be 0 in `partial_fit` alone."""
    check_sample_weight(sample_weight)
    weights = class_weighted(request.estimator, request.options.class_weight, y, sample_weight)
    if weights is not None and not request.incremental and not weights.any():
        raise ValueError("class_weight must not be 0 for every example")
    return weights


def warn_of_own_training(request: FitRequest, replaced: list[str]) -> None:
    """Say that scikit-learn's training runs, in which what the program has replaced takes part."""
    check_own_training(request, replaced)
    warn_caller(
        f"{type(request.estimator).__name__} replaces {', '.join(replaced)}: scikit-learn's own training runs, which "
        "is slower than fastnn's"
    )


class CompiledPerceptron(BaseMultilayerPerceptron):
    """What `MLPClassifier` and `MLPRegressor` share.

    Class attributes and those of instances that begin with `_fastnn` are this package's; all other names that begin
    with an underscore are scikit-learn's, so that nothing stands in the way of those of a subclass.
    """

    fastnn_constraints: ClassVar[dict[str, list[Any]]]
    fastnn_originals: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "fastnn_constraints" in vars(cls):
            cls.fastnn_originals = original_methods(cls)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        attach_arrays(self)

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        self
        """
        super().set_params(**params)
        record_parameters(self, set(params))
        return self

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
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
            Sets to evaluate after every epoch, see `evals_result_`; not for solver "lbfgs".
        X_val, y_val : array_like, optional
            One more set, the first of all. In a pipeline `transform_input=["X_val"]` prepares it as `X`. Early stopping
            takes it in place of examples held out of `X`.

        Returns
        -------
        self
        """
        with carrying_out(make_request(self, eval_set, X_val, y_val)):
            return super().fit(X, y, sample_weight=sample_weight)

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Self:
        request = request_of(self) or FitRequest(self)
        begin(request, incremental)
        with carrying_out(request):
            super()._fit(X, y, sample_weight=sample_weight, incremental=incremental)
        end(request)
        return self

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> Any:
        X, y = super()._validate_input(X, y, incremental, reset)
        request = request_of(self)
        X = in_type("X", X, read_options(self).number_type)
        y = in_kernel_type("y", y)
        if not reset and hasattr(self, "coefs_"):
            check_width(self, y)
        if request is not None:
            check_sets(request, y)
        return X, y

    def _fit_stochastic(
        self, X: Any, y: Any, sample_weight: Any, activations: Any, deltas: Any, coef_grads: Any, intercept_grads: Any,
        layer_units: Any, incremental: bool,
    ) -> None:  # fmt: skip
        request = begin_training(self, incremental)
        sample_weight = weights_of(request, y, sample_weight)
        if sample_weight is not None and not sample_weight.any():
            self.n_iter_ = 1  # examples that do not count make no update
            return
        prepare_progress(self)
        replaced = request.replaced
        if not replaced:
            self._optimizer = current_optimizer(self, request.options, incremental)
            fit_stochastic(request, self._optimizer, X, y, sample_weight)
            return
        warn_of_own_training(request, replaced)
        if incremental and "_optimizer" not in replaced:
            self._optimizer = current_optimizer(self, request.options, incremental)
        super()._fit_stochastic(
            X, y, sample_weight, activations, deltas, coef_grads, intercept_grads, layer_units, incremental
        )
        if not incremental:
            follow_settings(self, request.options)
        attach_arrays(self)

    def _fit_lbfgs(
        self, X: Any, y: Any, sample_weight: Any, activations: Any, deltas: Any, coef_grads: Any, intercept_grads: Any,
        layer_units: Any,
    ) -> None:  # fmt: skip
        request = begin_training(self, incremental=False)
        sample_weight = weights_of(request, y, sample_weight)
        replaced = request.replaced
        if not replaced:
            fit_lbfgs(self, request.options, X, y, sample_weight)
            return
        warn_of_own_training(request, replaced)
        super()._fit_lbfgs(X, y, sample_weight, activations, deltas, coef_grads, intercept_grads, layer_units)
        attach_arrays(self)

    def _score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        predicted = self._predict(X, check_input=False)
        if predicted.dtype.kind == "f" and not np.isfinite(predicted).all():
            return np.nan
        return float(self._fastnn_score(y, predicted, sample_weight=sample_weight))

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> np.ndarray:
        outputs = fast_outputs(self, X)
        if outputs is not None:
            return outputs
        if replaced_activations(self):
            return np.asarray(super()._forward_pass_fast(X, check_input=check_input))
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        X = in_kernel_type("X", X)
        return prediction_engine(self, dtype_of(X.dtype, *self.coefs_, *self.intercepts_)).predict(X)

    def _forward_pass(self, activations: Any) -> Any:
        if has_scikit_learn_functions(self):
            return super()._forward_pass(activations)
        engine = prediction_engine(self, dtype_of(activations[0].dtype, *self.coefs_, *self.intercepts_))
        activations[1:] = engine.activations(activations[0])[1:]
        return activations

    def _backprop(
        self, X: Any, y: Any, sample_weight: Any, activations: Any, deltas: Any, coef_grads: Any, intercept_grads: Any
    ) -> Any:
        if has_scikit_learn_functions(self) and has_scikit_learn_loss(self):
            return super()._backprop(X, y, sample_weight, activations, deltas, coef_grads, intercept_grads)
        activations = self._forward_pass(activations)
        loss, coef_grads[:], intercept_grads[:] = loss_and_gradients(self, X, y, sample_weight)
        return loss, coef_grads, intercept_grads


class CompiledClassifier(CompiledPerceptron):
    """What `MLPClassifier` has beyond scikit-learn's."""

    _fastnn_score = staticmethod(accuracy_score)

    def _initialize(self, y: Any, layer_units: Any, dtype: Any) -> None:
        super()._initialize(y, layer_units, dtype)
        request = request_of(self)
        loss = (read_options(self) if request is None else request.options).loss
        self.out_activation_ = output_of_classes(self, loss)

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each example.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)
            Examples, one in a row.

        Returns
        -------
        ndarray, (n_samples,) or (n_samples, n_classes)
            Labels; for several labels at once, 1 for each label that applies and 0 for the others.
        """
        outputs = None if overridden(self, PREDICTION_METHODS) else fast_outputs(self, X)
        return np.asarray(super().predict(X)) if outputs is None else labels_of(self._label_binarizer, outputs)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)
            Examples, one in a row.

        Returns
        -------
        ndarray, (n_samples, n_classes)
            In the order of `classes_`; for several labels at once that of each label.
        """
        outputs = None if overridden(self, PREDICTION_METHODS[1:]) else fast_outputs(self, X)
        if outputs is None:
            outputs = super().predict_proba(X)
        elif outputs.shape[1] == 1:
            outputs = np.stack((1 - outputs[:, 0], outputs[:, 0])).T
        if self.out_activation_ != "softmax" and self._label_binarizer.y_type_ == "multiclass":
            outputs = outputs / outputs.sum(axis=1, keepdims=True)
        return np.asarray(outputs)


class CompiledRegressor(CompiledPerceptron):
    """What `MLPRegressor` has beyond scikit-learn's."""

    _fastnn_score = staticmethod(r2_score)

    def predict(self, X: Any) -> np.ndarray:
        """Return the outputs for each example.

        Parameters
        ----------
        X : array_like or sparse matrix, (n_samples, n_features)
            Examples, one in a row.

        Returns
        -------
        ndarray, (n_samples,) or (n_samples, n_outputs)
        """
        outputs = None if overridden(self, PREDICTION_METHODS) else fast_outputs(self, X)
        if outputs is None:
            return np.asarray(super().predict(X))
        return outputs.ravel() if outputs.shape[1] == 1 else outputs
