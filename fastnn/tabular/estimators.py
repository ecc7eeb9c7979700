"""Estimators for tables, in the manner of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score

from ..calibration import calibrate, quantile_shifts, with_shifts
from ..checks import check_levels
from ..compat.estimators.scikit_learn import Interval, StrOptions
from ..losses import Quantile
from ..tables.targets import QuantityTarget
from . import recipe
from .base import CONSTRAINTS, TabularEstimator, set_arguments
from .metrics import OF_CLASSES, OF_QUANTITIES, Pinball, ValidationMetric
from .recipe import TabularRecipe
from .request import TabularData
from .training import Trained, mean_outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TabularClassifier", "TabularRegressor"]


class TabularClassifier(ClassifierMixin, TabularEstimator):
    """Classify the rows of a table by RealMLP: defaults that need no tuning.

    Quantities are scaled by median and quartiles and softly clipped, categories become one input for each value,
    scaled likewise; missing values are taken as they are. A fifth of the rows chooses the best epoch.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default (256, 256, 256)
        Neurons of each hidden layer.
    activation : str, optional
        Of the hidden layers, any of `fastnn.Network`; None: "selu".
    batch_size : int, default 256
        Rows for one update; an incomplete last batch is left out, except where it is the only one.
    learning_rate_init : float, optional
        Highest learning rate, from which `fastnn.schedules.CosLog4` rises and falls four times; None: 0.04.
    max_iter : int, default 256
        Number of epochs.
    label_smoothing : float, default 0.1
        Fraction of a target that is spread over the classes, while training; 0 is better for AUC.
    validation_fraction : float or None, default 0.2
        Fraction of the rows that is held out, in the proportions of the classes, to choose the best epoch. None, and
        fewer than 50 rows: none are held out, and the last epoch is kept.
    validation_metric : {"error", "balanced_error", "log_loss", "auc"}, default "error"
        What chooses it: the last of the epochs that are best.
    n_ensemble : int, default 1
        Networks that are trained side by side with other seeds, whose probabilities are averaged.
    calibrate : bool, default False
        Divide the logits of each network by the temperature that fits the validation rows, see
        `fastnn.calibration.fit_temperature`: the answers are the same, their probabilities less or more sure.
    categorical_features : sequence of str or int, optional
        Names or numbers of columns that hold categories, whatever they look like. None: those of texts, categories,
        true and false.
    class_weight : dict or "balanced", optional
        Weight of each class, multiplied with `sample_weight`; also on the validation rows.
    random_state : int, RandomState or None
        Source of the held-out rows and of the networks' seeds.
    verbose : bool, default False
        Whether to show a progress bar.
    callbacks : sequence of callables, optional
        Called as callback(network, history) after every epoch, as in `fastnn.Network.fit`; a true result stops the
        training. Several networks are given copies.
    n_threads : int, optional
        Maximum number of threads; None measures which number is fastest. The results are the same bits.
    precision : {"float32", "bfloat16"}, optional
        "bfloat16": the operands of the products are rounded while training, see `fastnn.Network`.
    variant : {"td", "td_s"}, optional
        "td", the default from 50 rows on and without `precision`, which it does not take: RealMLP with periodic
        embeddings of quantities, learned vectors for categories of more than eight values, learned activations, dropout
        and weight decay that end with the training, and a start that is fitted to the data. "td_s": without these,
        faster.
    embedding : {"periodic", "piecewise_linear"}, optional
        What quantities become beside themselves: `fastnn.PeriodicEmbedding`, or `fastnn.PiecewiseLinearEmbedding` of 48
        bins that end at quantiles. None: "periodic" in variant "td", nothing in "td_s".

    Attributes
    ----------
    classes_ : ndarray
        The labels.
    networks_ : list of Network
    encoder_ : TableEncoder
        What turns a table into their inputs.
    histories_ : list of History
        Of each network.
    temperatures_ : list of float
        Of each network; 1 if it is not calibrated.
    loss_curve_, evals_result_
        Loss of every epoch of the first network; and loss and score of each set that `fit` evaluated:
        `evals_result_["validation_0"]["loss"]`.
    best_validation_score_ : float or None
        `validation_metric` of the fitted estimator on the validation rows.
    n_iter_, n_features_in_, feature_names_in_
        As scikit-learn's.

    Notes
    -----
    Holzmueller, Grinsztajn and Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data",
    NeurIPS 2024 (arXiv 2407.04491), RealMLP-TD-S and RealMLP-TD.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.sklearn import TabularClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 3))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
    >>> clf = TabularClassifier(max_iter=30, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9
    True
    """

    recipes: ClassVar[Mapping[str, TabularRecipe]] = recipe.OF_CLASSES
    metrics = OF_CLASSES
    predicts_quantities = False
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "validation_metric": [StrOptions(set(OF_CLASSES))],
        "class_weight": [None, dict, StrOptions({"balanced"})],
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (256, 256, 256),
        activation: str | None = None,
        *,
        batch_size: int = 256,
        learning_rate_init: float | None = None,
        max_iter: int = 256,
        label_smoothing: float = 0.1,
        validation_fraction: float | None = 0.2,
        validation_metric: str = "error",
        n_ensemble: int = 1,
        calibrate: bool = False,
        categorical_features: Any = None,
        class_weight: Any = None,
        random_state: Any = None,
        verbose: bool = False,
        callbacks: Any = None,
        n_threads: int | None = None,
        precision: str | None = None,
        variant: str | None = None,
        embedding: str | None = None,
    ) -> None:
        set_arguments(self, locals())

    def _recipe(self, n_rows: int) -> TabularRecipe:
        return replace(super()._recipe(n_rows), label_smoothing=float(self.label_smoothing))

    def _check_validation(self, data: TabularData) -> None:
        self._check_calibration(data)
        if self.validation_metric == "auc" and data.validation is not None:
            missing = sorted(set(range(len(self.classes_))) - set(data.validation.y.tolist()))
            if missing:
                raise ValueError(
                    f"validation_metric='auc' needs every class among the validation rows; there is no "
                    f"{self.classes_.tolist()[missing[0]]!r}"
                )

    def _keep(self, data: TabularData, trained: Trained, metric: ValidationMetric) -> None:
        self.temperatures_ = [1.0] * len(trained.networks)
        rows = data.validation
        if self.calibrate and rows is not None:
            found = [calibrate(net, rows.X, rows.y, rows.weight) for net in trained.networks]
            trained = replace(trained, networks=[net for net, _ in found])
            self.temperatures_ = [temperature for _, temperature in found]
        super()._keep(data, trained, metric)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probability of each class.

        Parameters
        ----------
        X : DataFrame or array_like, (n_samples, n_features)
            As in `fit`.

        Returns
        -------
        ndarray, (n_samples, n_classes)
            In the order of `classes_`.
        """
        return self._outputs(X)

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return the logarithms of the probabilities of the classes; X as in `predict_proba`."""
        with np.errstate(divide="ignore"):
            logarithms: NDArray[Any] = np.log(self.predict_proba(X))
        return logarithms

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row; X as in `predict_proba`."""
        labels = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[labels])


class TabularRegressor(RegressorMixin, TabularEstimator):
    """Predict quantities from the rows of a table by RealMLP: defaults that need no tuning.

    Inputs are prepared as by `TabularClassifier`; the target is standardised.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default (256, 256, 256)
        Neurons of each hidden layer.
    activation : str, optional
        Of the hidden layers, any of `fastnn.Network`; None: "mish".
    batch_size : int, default 256
        Rows for one update; an incomplete last batch is left out, except where it is the only one.
    learning_rate_init : float, optional
        Highest learning rate, from which `fastnn.schedules.CosLog4` rises and falls four times; None: 0.07, or 0.2 with
        variant "td".
    max_iter : int, default 256
        Number of epochs.
    validation_fraction : float or None, default 0.2
        Fraction of the rows that is held out to choose the best epoch. None, and fewer than 50 rows: none are held out,
        and the last epoch is kept.
    validation_metric : {"rmse", "mae", "r2", "pinball"}, optional
        What chooses it: the last of the epochs that are best. None: "rmse"; with `quantiles` "pinball", which is theirs
        alone.
    n_ensemble : int, default 1
        Networks that are trained side by side with other seeds, whose outputs are averaged.
    categorical_features, random_state, verbose, callbacks, n_threads, precision
        As in `TabularClassifier`.
    quantiles : sequence of float, optional
        Levels between 0 and 1, such as [0.1, 0.5, 0.9]: one network learns these quantiles of the target by the
        quantile loss. `predict` returns a column for each, sorted in every row, so that they never cross; `score` is
        then the mean of `sklearn.metrics.d2_pinball_score`. None: the mean is learned.
    calibrate : bool, default False
        Shift each of the `quantiles` by the constant by which new rows lie below it as often as its level says, as far
        as the validation rows tell, see `fastnn.calibration.quantile_shifts`.
    variant : {"td", "td_s"}, optional
        As in `TabularClassifier`; "td" clips answers to the range of the training targets.
    embedding : {"periodic", "piecewise_linear"}, optional
        As in `TabularClassifier`.

    Attributes
    ----------
    networks_, encoder_, histories_, loss_curve_, evals_result_, best_validation_score_, n_iter_, n_features_in_
        As of `TabularClassifier`; of several quantities the score is that of the standardised ones.
    shifts_ : ndarray of float64, (n_quantiles,), or None
        What `calibrate` added to each quantile, in units of the target.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.sklearn import TabularRegressor
    >>> X = np.random.default_rng(0).normal(size=(400, 3))
    >>> reg = TabularRegressor(max_iter=100, random_state=0).fit(X, 1000 * X[:, 0] * X[:, 1])
    >>> reg.score(X, 1000 * X[:, 0] * X[:, 1]) > 0.9
    True
    """

    recipes: ClassVar[Mapping[str, TabularRecipe]] = recipe.OF_QUANTITIES
    metrics = OF_QUANTITIES
    predicts_quantities = True
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "validation_metric": [None, StrOptions({*OF_QUANTITIES, "pinball"})],
        "quantiles": [None, "array-like"],
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (256, 256, 256),
        activation: str | None = None,
        *,
        batch_size: int = 256,
        learning_rate_init: float | None = None,
        max_iter: int = 256,
        validation_fraction: float | None = 0.2,
        validation_metric: str | None = None,
        n_ensemble: int = 1,
        categorical_features: Any = None,
        random_state: Any = None,
        verbose: bool = False,
        callbacks: Any = None,
        n_threads: int | None = None,
        precision: str | None = None,
        variant: str | None = None,
        embedding: str | None = None,
        quantiles: Any = None,
        calibrate: bool = False,
    ) -> None:
        set_arguments(self, locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = self.quantiles is None
        return tags

    def _recipe(self, n_rows: int) -> TabularRecipe:
        chosen = super()._recipe(n_rows)
        return chosen if self.quantiles is None else replace(chosen, loss=Quantile(self.quantiles))

    def _metric(self) -> ValidationMetric:
        given = self.validation_metric
        if self.quantiles is None:
            if given == "pinball":
                raise ValueError("validation_metric='pinball' is for quantiles, got quantiles=None")
            return self.metrics[given or "rmse"]
        if given not in (None, "pinball"):
            raise ValueError(f"quantiles are chosen by validation_metric='pinball', got {given!r}")
        levels = check_levels("quantiles", self.quantiles)
        return ValidationMetric("val_loss", Pinball(levels).loss, from_fit=True, has_unit=True)

    def _check_validation(self, data: TabularData) -> None:
        if self.calibrate and self.quantiles is None:
            raise ValueError("calibrate=True is for quantiles, got quantiles=None")
        self._check_calibration(data)
        rows = data.validation
        if self.calibrate and rows is not None:  # before the training: are they enough for the outermost levels?
            quantile_shifts(rows.y, rows.y[:, 0], self.quantiles, rows.weight)

    def _keep(self, data: TabularData, trained: Trained, metric: ValidationMetric) -> None:
        self.shifts_ = None
        rows, target = data.validation, data.target
        if self.calibrate and rows is not None and isinstance(target, QuantityTarget):
            outputs = mean_outputs(trained.networks, rows.X)
            shifts = quantile_shifts(outputs, rows.y[:, 0], target.levels, rows.weight)
            trained = replace(trained, networks=[with_shifts(net, shifts) for net in trained.networks])
            self.shifts_ = shifts * target.std
        super()._keep(data, trained, metric)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2, or the mean of the quantiles' D2; X as in `predict`."""
        return self._score_of(self.predict(X), y, sample_weight)

    def _score_of(self, answers: NDArray[np.float64], y: Any, sample_weight: Any) -> float:
        if self.quantiles is None:
            return float(r2_score(y, answers, sample_weight=sample_weight))
        predicted = answers.reshape(len(y), -1)
        truth = np.repeat(np.asarray(y, np.float64).reshape(len(y), 1), predicted.shape[1], axis=1)
        return Pinball(check_levels("quantiles", self.quantiles)).score(truth, predicted, sample_weight)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the quantities of each row.

        Parameters
        ----------
        X : DataFrame or array_like, (n_samples, n_features)
            As in `fit`.

        Returns
        -------
        ndarray of float64, (n_samples,) or (n_samples, n_outputs)
            With several `quantiles` (n_samples, n_levels).
        """
        outputs = self._outputs(X)
        values: NDArray[np.float64] = self.target_.values(outputs)
        return values[:, 0] if values.shape[1] == 1 else values
