"""Estimators for tables on Dask collections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import dask
import numpy as np
from sklearn.metrics import accuracy_score

from ..tables.targets import QuantityTarget
from ..tabular import estimators as in_memory
from ..tabular.base import FitPlan, TabularEstimator
from ..tabular.request import TabularData
from ..tabular.training import Trained
from .fitting import HeldOut, learn
from .parts import is_collection, on_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TabularClassifier", "TabularRegressor"]


class OnCollections(TabularEstimator):
    """What an estimator for tables does differently on collections."""

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        eval_set: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        client: Any = None,
        timeout: float = 600.0,
    ) -> Self:
        """Fit to the rows of a table that lies in partitions on the workers of a cluster.

        Parameters
        ----------
        X : dask DataFrame or Array, (n_samples, n_features)
            As in `fastnn.sklearn`; its partitions are computed once, and stay on their workers until the fit ends. A
            sample of 100,000 rows, or all if there are no more, comes to the client: the kinds of columns, medians
            and quartiles are found from it, all other statistics from all rows.
        y : dask Series, DataFrame or Array, (n_samples,) or (n_samples, n_outputs)
            Labels, or quantities, in the partitions of X. They come to the client.
        sample_weight : dask Series or Array, (n_samples,), optional
            Weights of the rows, 0 or more, likewise.
        eval_set : list of (X, y), optional
            Sets in memory to evaluate after every epoch, on one worker.
        X_val, y_val : optional
            Rows in memory that choose the best epoch in place of those held out of `X`.
        client : distributed.Client, optional
            Of the cluster; None: the current one.
        timeout : float, default 600
            Seconds of silence after which a worker counts as lost. One whose process ends is noticed at once.

        Returns
        -------
        self
            An estimator that predicts without a cluster, too.

        Raises
        ------
        WorkerLostError
            If a worker is lost while it trains.
        ValueError, TypeError
            For bad input, naming the argument.
        fastnn.DivergenceError
            If the loss is not finite any more.

        Notes
        -----
        Each worker that has rows trains on one thread, with the rows that it has of every batch; `batch_size` is that
        of all workers together. With variant "td_s" the result is that of `fastnn.sklearn` on the same rows, to
        rounding, whatever the partitions: the statistics are the same up to 100,000 rows. Variant "td" draws dropout
        and its start on each worker by itself.

        Callbacks are called on one worker, in copies. The workers listen on ports that the system chooses, and talk
        over plain TCP.
        """

        def learn_there(plan: FitPlan) -> tuple[TabularData, Trained]:
            return learn(self, X, y, sample_weight, plan, client, timeout)

        return self._fit((eval_set, X_val, y_val), learn_there, 0)

    def _variant(self, n_rows: int) -> str:
        return self.variant or "td_s"

    def _outputs_of(self, inputs: Any) -> NDArray[Any]:
        return inputs.outputs if isinstance(inputs, HeldOut) else super()._outputs_of(inputs)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score as in `fastnn.sklearn`; of collections it is computed where the rows lie.

        Parameters
        ----------
        X, y, sample_weight
            In memory, or collections.
        """
        if not is_collection(X):
            return float(super().score(X, y, sample_weight))
        answers = self.predict(X).compute()
        y, sample_weight = dask.compute(y, sample_weight)
        return self._score_of(answers, np.asarray(y), sample_weight)


class TabularClassifier(OnCollections, in_memory.TabularClassifier):
    """Classify the rows of a table that lies on the workers of a Dask cluster.

    Parameters, attributes and methods are those of `fastnn.sklearn.TabularClassifier`, with these differences:
    `variant` is "td_s" by default. `fit` takes collections; `predict`, `predict_proba` and `score` take them, too, and
    the first two then return Dask arrays. `calibrate` needs `X_val`, and `n_threads` is 1.

    Examples
    --------
    >>> import dask.array, distributed
    >>> from fastnn.dask import TabularClassifier
    >>> cluster = dict(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0")
    >>> with distributed.Client(**cluster) as client:
    ...     X = dask.array.random.default_rng(0).normal(size=(400, 3), chunks=(100, 3))
    ...     clf = TabularClassifier(max_iter=30, random_state=0).fit(X, X[:, 0] > 0)
    ...     clf.score(X, X[:, 0] > 0) > 0.9
    True
    """

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class.

        Parameters
        ----------
        X : table or collection, (n_samples, n_features)

        Returns
        -------
        ndarray or dask Array, (n_samples, n_classes)
            In the order of `classes_`.
        """
        if is_collection(X):
            return on_parts(self.predict_proba, X, self.networks_[0].dtype, len(self.classes_))
        return super().predict_proba(X)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of the probabilities of the classes; X as in `predict_proba`."""
        if is_collection(X):
            return on_parts(self.predict_log_proba, X, self.networks_[0].dtype, len(self.classes_))
        return super().predict_log_proba(X)

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each row; X as in `predict_proba`."""
        if is_collection(X):
            return on_parts(self.predict, X, self.classes_.dtype, None)
        return super().predict(X)

    def _score_of(self, answers: NDArray[Any], y: Any, sample_weight: Any) -> float:
        return float(accuracy_score(y, answers, sample_weight=sample_weight))


class TabularRegressor(OnCollections, in_memory.TabularRegressor):
    """Predict quantities from the rows of a table that lies on the workers of a Dask cluster.

    Parameters, attributes and methods are those of `fastnn.sklearn.TabularRegressor`, with the differences that
    `TabularClassifier` names.

    Examples
    --------
    >>> import dask.array, distributed
    >>> from fastnn.dask import TabularRegressor
    >>> cluster = dict(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0")
    >>> with distributed.Client(**cluster) as client:
    ...     X = dask.array.random.default_rng(0).normal(size=(400, 3), chunks=(100, 3))
    ...     reg = TabularRegressor(max_iter=60, random_state=0).fit(X, 1000 * X[:, 0])
    ...     reg.score(X, 1000 * X[:, 0]) > 0.9
    True
    """

    def predict(self, X: Any) -> Any:
        """Return the quantities of each row.

        Parameters
        ----------
        X : table or collection, (n_samples, n_features)

        Returns
        -------
        ndarray or dask Array of float64, (n_samples,) or (n_samples, n_outputs)
        """
        if is_collection(X):
            assert isinstance(self.target_, QuantityTarget)
            width = len(self.target_.output_names)
            return on_parts(self.predict, X, np.float64, None if width == 1 else width)
        return super().predict(X)
