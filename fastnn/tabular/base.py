"""What `TabularClassifier` and `TabularRegressor` share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..compat.estimators.request import make_request
from ..compat.estimators.scikit_learn import Interval, StrOptions, validate_parameter_constraints
from ..kernels.activations import CODES as ACTIVATION_CODES
from ..table_model import TableModel
from ..tables.targets import QuantityTarget
from .metrics import ValidationMetric
from .recipe import EMBEDDINGS, FEW, TabularRecipe, variant_of
from .request import TabularData, make_data, read_columns
from .training import Trained, mean_outputs, set_column, train

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like"],
    "activation": [None, StrOptions(set(ACTIVATION_CODES) - {"softmax", "step"})],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "learning_rate_init": [None, Interval(Real, 0, None, closed="neither")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "validation_fraction": [None, Interval(Real, 0, 1, closed="neither")],
    "n_ensemble": [Interval(Integral, 1, None, closed="left")],
    "categorical_features": [None, "array-like"],
    "random_state": ["random_state"],
    "verbose": ["boolean"],
    "callbacks": [None, list, tuple],
    "n_threads": [None, Interval(Integral, 1, None, closed="left")],
    "precision": [None, StrOptions({"float32", "bfloat16"})],
    "variant": [None, StrOptions({"td_s", "td"})],
    "embedding": [None, StrOptions(set(EMBEDDINGS))],
}


def set_arguments(estimator: Any, given: dict[str, Any]) -> None:
    """Set every argument of a constructor under its name, as scikit-learn demands, and nothing else."""
    for name in given.keys() - {"self", "__class__"}:
        setattr(estimator, name, given[name])


@dataclass(frozen=True)
class FitPlan:
    """What the parameters of an estimator ask of one fit.

    Attributes
    ----------
    pairs : dict
        The sets to evaluate, by their names.
    metric : ValidationMetric
    recipe : TabularRecipe
    seeds : list of int
        Of the rows held out, then of each network.
    check_validation : callable
        Raises for data by whose validation rows the best epoch cannot be chosen.
    """

    pairs: dict[str, tuple[Any, Any]]
    metric: ValidationMetric
    recipe: TabularRecipe
    seeds: list[int]
    check_validation: Callable[[TabularData], None]


class TabularEstimator(BaseEstimator):
    """A network, or several, on the columns of a table."""

    recipes: ClassVar[Mapping[str, TabularRecipe]]
    metrics: ClassVar[Mapping[str, ValidationMetric]]
    predicts_quantities: ClassVar[bool]
    _parameter_constraints: ClassVar[dict[str, list[Any]]]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = True
        tags.target_tags.required = True
        return tags

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Fit to the rows of a table.

        Parameters
        ----------
        X : DataFrame or array_like, (n_samples, n_features)
            A table of pandas or polars with numbers, categories, texts, dates and missing values, or an array. Sparse
            matrices are refused.
        y : array_like, (n_samples,) or (n_samples, n_outputs)
            Labels, or quantities.
        sample_weight : array_like, (n_samples,), optional
            Weights of the rows, 0 or more; a row of weight 0 is left out.
        eval_set : list of (X, y), optional
            Sets to evaluate after every epoch, see `evals_result_`.
        X_val, y_val : optional
            Rows that choose the best epoch in place of those held out of `X`; also the first set of `evals_result_`. In
            a pipeline `transform_input=["X_val"]` prepares them as `X`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad input, naming the argument.
        fastnn.DivergenceError
            If the loss is not finite any more.

        Warns
        -----
        UserWarning
            Of columns that are left out: identifiers, free text, columns without values.
        """

        def learn(plan: FitPlan) -> tuple[TabularData, Trained]:
            data = make_data(self, X, y, sample_weight, plan.pairs, plan.seeds[0], plan.recipe)
            plan.check_validation(data)
            return data, train(self, data, plan.recipe, plan.metric, plan.seeds[1:])

        return self._fit((eval_set, X_val, y_val), learn, len(y) if hasattr(y, "__len__") else np.asarray(y).size)

    def _fit(
        self,
        evaluated: tuple[Any, Any, Any],
        learn: Callable[[FitPlan], tuple[TabularData, Trained]],
        n_rows: int,
    ) -> Self:
        """Check the parameters, learn, and keep what was learned; `evaluated` is eval_set, X_val and y_val."""
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(deep=False), caller_name=type(self).__name__
        )
        pairs = make_request(self, *evaluated).pairs
        metric, recipe = self._metric(), self._recipe(n_rows)
        random_state = check_random_state(self.random_state)
        seeds = random_state.randint(np.iinfo(np.int32).max, size=1 + self.n_ensemble).tolist()
        self._keep(*learn(FitPlan(pairs, metric, recipe, seeds, self._check_validation)), metric)
        return self

    def _variant(self, n_rows: int) -> str:
        return variant_of(self.variant, self.precision, n_rows)

    def _recipe(self, n_rows: int) -> TabularRecipe:
        """Return the recipe with the parameters that are given."""
        hidden = tuple(int(size) for size in np.atleast_1d(self.hidden_layer_sizes))
        if any(size < 1 for size in hidden):
            raise ValueError(f"hidden_layer_sizes must be 1 or more, got {self.hidden_layer_sizes!r}")
        recipe = self.recipes[self._variant(n_rows)]
        if self.embedding is not None:
            recipe = replace(recipe, embedding=self.embedding, pieces=recipe.pieces | {"embedding"})
        return replace(
            recipe,
            hidden=hidden,
            activation=self.activation or recipe.activation,
            rate=float(self.learning_rate_init or recipe.rate),
            epochs=int(self.max_iter),
            batch_size=int(self.batch_size),
        )

    def _metric(self) -> ValidationMetric:
        return self.metrics[self.validation_metric]

    def _check_validation(self, data: TabularData) -> None:
        """Raise for validation rows by which the best epoch cannot be chosen."""

    def _check_calibration(self, data: TabularData) -> None:
        """Raise ValueError if there are no rows to calibrate on."""
        if self.calibrate and data.validation is None:
            raise ValueError(
                "calibrate=True needs rows that were not trained on: give X_val and y_val, or a validation_fraction "
                f"and at least {FEW} rows; got validation_fraction={self.validation_fraction!r} and "
                f"{len(data.training.X)} rows"
            )

    def _keep(self, data: TabularData, trained: Trained, metric: ValidationMetric) -> None:
        """Set the attributes that a fit leaves."""
        self.encoder_, self.target_ = data.encoder, data.target
        self.networks_, self.histories_ = trained.networks, trained.histories
        first = trained.histories[0]
        self.n_iter_ = max(history.epochs for history in trained.histories)
        self.loss_curve_ = list(first["loss"]) if first.epochs else []
        self.evals_result_ = {
            f"validation_{number}": {name: list(first[set_column(number, name)]) for name in ("loss", "score")}
            for number in range(len(data.sets))
        }
        self.best_validation_score_ = None
        if data.validation is not None:
            rows = data.validation
            outputs = self._outputs_of(rows.X)
            target = data.target
            if isinstance(target, QuantityTarget) and (target.limits is not None or target.levels):
                outputs = target.standardised(target.values(outputs))
            score = metric.function(rows.y, outputs, rows.weight)
            if isinstance(target, QuantityTarget) and len(target.names) == 1 and metric.has_unit:
                score *= float(target.std[0])
            self.best_validation_score_ = score

    def _outputs_of(self, inputs: NDArray[Any]) -> NDArray[Any]:
        return mean_outputs(self.networks_, inputs)

    def _outputs(self, X: Any) -> NDArray[Any]:
        check_is_fitted(self)
        columns = read_columns(self, X, reset=False)
        return self._outputs_of(self.encoder_.transform(columns, self.networks_[0].dtype))

    def to_table_model(self) -> TableModel:
        """Return the network with its encoder and target as one model, which exports to files, C and ONNX.

        Raises
        ------
        ValueError
            For several networks: a model holds one.
        """
        check_is_fitted(self)
        if len(self.networks_) > 1:
            raise ValueError(
                f"a model holds one network, and this estimator has {len(self.networks_)}; fit with n_ensemble=1, or "
                "keep the estimator with pickle"
            )
        return TableModel(self.networks_[0], self.encoder_, self.target_, {"estimator": type(self).__name__})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a safetensors file, which `fastnn.load_model` reads.

        Parameters
        ----------
        path : path
            A file that exists is replaced in one step.

        Raises
        ------
        ValueError
            For several networks: a file holds one.
        """
        self.to_table_model().save(path)
