"""Permutation importance: how much worse a model does when the values of a column are exchanged among the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..checks import check_int
from .subjects import Subject, subject_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

Metric = Literal["accuracy", "log_loss", "r2", "mean_squared_error"]


@dataclass(frozen=True, eq=False)
class Importance:
    """How much worse a model does without each column.

    Attributes
    ----------
    names : tuple of str
        The columns, (n_columns,).
    values : ndarray of float64, (n_columns, n_repeats)
        How much worse the metric became in each repeat, in its own units; about 0 for a column that does not matter.
    score : float
        The metric of the rows as they are.
    metric : str
        Its name.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    score: float
    metric: str

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean over the repeats, (n_columns,)."""
        found: NDArray[np.float64] = self.values.mean(axis=1)
        return found

    @property
    def std(self) -> NDArray[np.float64]:
        """The standard deviation over the repeats, (n_columns,)."""
        found: NDArray[np.float64] = self.values.std(axis=1)
        return found

    @property
    def order(self) -> NDArray[np.intp]:
        """The numbers of the columns, the most important first."""
        return np.argsort(-self.mean, kind="stable")

    def __repr__(self) -> str:
        first = ", ".join(f"{self.names[i]}: {self.mean[i]:.4g}" for i in self.order[:5])
        more = ", ..." if len(self.names) > 5 else ""
        return f"Importance({self.metric} {self.score:.4g}; {first}{more})"


def permutation_importance(
    model: Any,
    X: Any,
    y: Any,
    *,
    metric: Metric | Callable[[Any, NDArray[Any]], float] | None = None,
    n_repeats: int = 5,
    seed: int = 0,
) -> Importance:
    """Measure how much worse a model does when the values of one column are exchanged among the rows (Breiman 2001).

    Columns that tell the same can stand in for each other, and share their importance. Take rows that were not trained
    on: on others it shows what the model uses, not what helps.

    Parameters
    ----------
    model : Network, TableModel, or anything that has `predict`
        Of a classifier that is neither, `classes_` and, for "log_loss", `predict_proba` are used.
    X : array_like, DataFrame or mapping of columns
        The rows, as the model takes them.
    y : array_like, (n,) or (n, n_outputs)
        Their targets: classes as the model names them, or quantities in their units.
    metric : {"accuracy", "log_loss", "r2", "mean_squared_error"} or callable, optional
        A callable takes `y` and what `model.predict` returns, and its result is larger for better answers. Default:
        "accuracy" for classes, "r2" for quantities.
    n_repeats : int, default 5
        Random orders of each column.
    seed : int, default 0

    Returns
    -------
    Importance

    Raises
    ------
    ValueError, TypeError
        If `X`, `y` and `model` do not match, or the metric is not one for its kind of answers.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> net = fastnn.Network([2, 1], activation="identity", init="zeros", seed=0)
    >>> net.weights[0][0, 0] = 1.0
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> found = fastnn.inspection.permutation_importance(net, X, X[:, 0])
    >>> found.names, (found.mean > 0.1).tolist()
    (('column 1', 'column 2'), [True, False])
    """
    check_int("n_repeats", n_repeats, 1)
    check_int("seed", seed, 0)
    subject = subject_of(model, X, y)
    name, worse = _measure(subject, y, metric)
    score = worse()
    values = np.empty((len(subject.names), n_repeats))
    for column in range(len(subject.names)):
        for repeat in range(n_repeats):
            order = np.random.default_rng([seed, column, repeat]).permutation(subject.n_rows)
            subject.reorder(column, order)
            values[column, repeat] = worse()
        subject.restore(column)
    sign = 1.0 if name in ("log_loss", "mean_squared_error") else -1.0
    return Importance(subject.names, values - score, sign * score, name)


def _measure(subject: Subject, y: Any, metric: Any) -> tuple[str, Callable[[], float]]:
    """Return the metric's name, and a function that measures how bad the answers of the rows are at present."""
    truth = subject.truth(y)
    if callable(metric):
        given = np.asarray(y)
        return getattr(metric, "__name__", "metric"), lambda: -float(metric(given, subject.answers()))
    possible = ("r2", "mean_squared_error") if subject.class_names is None else ("accuracy", "log_loss")
    name = possible[0] if metric is None else metric
    if name not in possible:
        raise ValueError(f"metric must be {possible[0]!r}, {possible[1]!r} or a function for this model, got {name!r}")
    if name == "accuracy":
        return name, lambda: -float((subject.outputs().argmax(axis=1) == truth).mean())
    if name == "log_loss":
        rows = np.arange(subject.n_rows)
        smallest = float(np.finfo(np.float32).tiny)
        return name, lambda: -float(np.log(np.maximum(subject.outputs()[rows, truth], smallest)).mean())
    n_outputs = subject.outputs().shape[1]
    if truth.shape[1] != n_outputs:
        raise ValueError(
            f"y must have the {n_outputs} columns that the model answers, got {truth.shape[1]}; for quantiles give a "
            f"function as metric, not {name!r}"
        )
    spread = np.square(truth - truth.mean(axis=0)).mean(axis=0)

    def errors() -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.square(subject.outputs() - truth).mean(axis=0)
        return found

    if name == "mean_squared_error":
        return name, lambda: float(errors().mean())
    if not (spread > 0).all():
        raise ValueError("y must not be constant for metric 'r2'; give metric='mean_squared_error'")
    return name, lambda: float((errors() / spread).mean()) - 1.0
