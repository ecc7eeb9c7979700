"""One call of the estimators' `fit`, checked: the table, its target, the weights, and the rows held out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from ..caller import warn_caller
from ..checks import check_levels
from ..compat.estimators.examples import check_sample_weight, class_factors
from ..compat.estimators.request import VALIDATION
from ..compat.estimators.scikit_learn import validate_data
from ..preprocessing.splitting import split_at_random
from ..tables.columns import Column, Texts, columns_of, n_rows_of
from ..tables.encoder import TableEncoder
from ..tables.kinds import ColumnKind, Overrides, column_kinds
from ..tables.targets import ClassTarget, QuantityTarget
from .recipe import FEW, TabularRecipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "EncodedRows",
    "KnownTargets",
    "TabularData",
    "evaluated_sets",
    "make_data",
    "make_encoder",
    "make_targets",
    "read_columns",
]

TOLD = ("identifier", "text", "empty")
"""Kinds of columns that are left out with a warning."""


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """Rows as a network takes them: inputs, labels or standardised quantities, weights or None."""

    X: NDArray[Any]
    y: NDArray[Any]
    weight: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class TabularData:
    """What a fit learns from.

    Attributes
    ----------
    encoder : TableEncoder
        Fitted on the training rows.
    target : ClassTarget or QuantityTarget
    training : EncodedRows
    validation : EncodedRows or None
        What chooses the best epoch.
    sets : list of EncodedRows
        What is evaluated after every epoch.
    dtype : str
        Of the inputs: "float64" for few rows, else "float32".
    """

    encoder: TableEncoder
    target: ClassTarget | QuantityTarget
    training: EncodedRows
    validation: EncodedRows | None
    sets: list[EncodedRows]
    dtype: str


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "__getitem__") and not callable(X.columns)


def read_columns(estimator: Any, X: Any, *, reset: bool) -> dict[str, Column]:
    """Return the columns of a table that scikit-learn has checked: names, numbers of rows and columns, no infinity."""
    if not _is_frame(X):
        return columns_of(validate_data(estimator, X, dtype=None, ensure_all_finite="allow-nan", reset=reset))
    X = validate_data(estimator, X, skip_check_array=True, reset=reset)
    columns = columns_of(X)
    if not n_rows_of(columns):
        raise ValueError(f"X must have at least one row and one column, got shape {tuple(X.shape)}")
    for name, column in columns.items():
        if not isinstance(column, Texts) and column.dtype.kind == "f" and np.isinf(column).any():
            raise ValueError(f"X must hold finite numbers or missing values, got infinity in column {name!r}")
    return columns


def make_data(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    pairs: dict[str, tuple[Any, Any]],
    seed: int,
    recipe: TabularRecipe,
) -> TabularData:
    """Check the arguments of `fit`, and encode them; `pairs` are the sets to evaluate, by their names."""
    given = getattr(y, "name", None)
    y = validate_data(estimator, y=y, multi_output=True, y_numeric=estimator.predicts_quantities)
    columns = read_columns(estimator, X, reset=True)
    n_rows = n_rows_of(columns)
    if len(y) != n_rows:
        raise ValueError(f"X and y must have as many rows, got {n_rows} and {len(y)}")
    known = make_targets(estimator, given, columns, y, sample_weight, seed, recipe, has_validation=VALIDATION in pairs)
    weights = known.weight_of(known.train)
    encoder = make_encoder(estimator, columns, known.name, known.train, weights, recipe.one_hot_limit)
    inputs = encoder.transform(columns, known.dtype)
    parts = [EncodedRows(inputs[at], known.y[at], known.weight_of(at)) for at in (known.train, known.held)]
    sets = evaluated_sets(estimator, pairs, encoder, known)
    validation = sets.get(VALIDATION, parts[1] if len(known.held) else None)
    return TabularData(encoder, known.target, parts[0], validation, list(sets.values()), known.dtype)


@dataclass(frozen=True, eq=False)
class KnownTargets:
    """What is to be learned, and from which rows.

    Attributes
    ----------
    name : str
        Of the target.
    target : ClassTarget or QuantityTarget
    y : ndarray
        Labels, or standardised quantities, of all rows.
    weight : ndarray or None
        Of all rows; those of weight 0 are in neither part.
    train, held : ndarray of int
        The rows to learn from, and those that choose the best epoch.
    dtype : str
        Of the inputs.
    """

    name: str
    target: ClassTarget | QuantityTarget
    y: NDArray[Any]
    weight: NDArray[np.float64] | None
    train: NDArray[np.int64]
    held: NDArray[np.int64]
    dtype: str

    def weight_of(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return the weights of some rows, if there are any."""
        return None if self.weight is None else self.weight[rows]


def make_targets(
    estimator: Any,
    given: Any,
    columns: Collection[str],
    y: NDArray[Any],
    sample_weight: Any,
    seed: int,
    recipe: TabularRecipe,
    *,
    has_validation: bool,
) -> KnownTargets:
    """Decide what is learned from which rows; `given` is the target's name, if it has one."""
    name = _target_name(given, columns)
    rows, weight = np.arange(len(y)), None
    labels = None if estimator.predicts_quantities else _labels(estimator, y)
    if sample_weight is not None:
        weight = _check_sample_weight(sample_weight, rows, dtype=np.float64)
        check_sample_weight(weight)
    if labels is not None and estimator.class_weight is not None:
        factors = class_factors(estimator.class_weight, labels, estimator.classes_.tolist())
        weight = factors if weight is None else factors * weight
        if not weight.any():
            raise ValueError("class_weight must not be 0 for every row")
    if weight is not None:
        rows = np.flatnonzero(weight)
    train, held = _split(estimator, rows, labels, seed, given=has_validation)
    trained = None if weight is None else weight[train]
    dtype = "float64" if len(rows) < FEW else "float32"
    if labels is not None:
        return KnownTargets(name, _classes(name, estimator.classes_), labels, weight, train, held, dtype)
    numbers = _as_table(y)
    target = replace(_quantities(name, numbers[train], trained), levels=_levels(estimator, y))
    if "clipping" in recipe.pieces:
        target = replace(target, limits=np.array([numbers[train].min(axis=0), numbers[train].max(axis=0)]))
    return KnownTargets(name, target, _as_learned(target, numbers), weight, train, held, dtype)


def evaluated_sets(
    estimator: Any, pairs: dict[str, tuple[Any, Any]], encoder: TableEncoder, known: KnownTargets
) -> dict[str, EncodedRows]:
    """Return the sets to evaluate by their names, encoded."""
    return {name: _evaluated(estimator, name, pair, encoder, known.target, known.dtype) for name, pair in pairs.items()}


def _target_name(given: Any, columns: Collection[str]) -> str:
    name = given if isinstance(given, str) and given else "target"
    return name if name not in columns else f"{name} (target)"


def _as_table(y: NDArray[Any]) -> NDArray[np.float64]:
    return y.reshape(len(y), -1).astype(np.float64)


def _levels(estimator: Any, y: NDArray[Any]) -> tuple[float, ...]:
    """Return the levels of the quantiles that are wanted of a target; none if it is wanted itself."""
    if estimator.quantiles is None:
        return ()
    if y.ndim > 1 and y.shape[1] != 1:
        raise ValueError(f"quantiles are of one quantity, got y with {y.shape[1]} columns")
    column_or_1d(y, warn=True)
    levels = check_levels("quantiles", estimator.quantiles)
    if len(set(levels)) < len(levels):
        raise ValueError(f"quantiles must differ, got {list(levels)}")
    return levels


def _as_learned(target: QuantityTarget, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return quantities as the network learns them, once for each of its outputs."""
    return np.repeat(target.standardised(numbers), max(len(target.levels), 1), axis=1)


def _labels(estimator: Any, y: Any) -> NDArray[np.int64]:
    """Return the place of each row's class in `classes_`, which is set."""
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    estimator.classes_, labels = np.unique(y, return_inverse=True)
    if len(estimator.classes_) < 2:
        raise ValueError(f"y must have two classes or more, got one class: {estimator.classes_.tolist()}")
    return labels.astype(np.int64)


def _classes(name: str, classes: NDArray[Any]) -> ClassTarget:
    return ClassTarget(name, tuple(classes.tolist()), "as given")


def _quantities(name: str, y: NDArray[Any], weight: NDArray[np.float64] | None) -> QuantityTarget:
    """Return the target with mean and deviation of the training rows; of a constant the deviation is 1."""
    numbers = _as_table(y)
    count = numbers.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(numbers, axis=0, weights=weight)
        std = np.sqrt(np.average(np.square(numbers - mean), axis=0, weights=weight))
    std[np.ptp(numbers, axis=0) == 0] = 0  # the mean of equal numbers is rounded
    if not np.isfinite(std).all():
        raise ValueError("y must have a spread within float64")
    names = (name,) if count == 1 else tuple(f"{name} {number + 1}" for number in range(count))
    return QuantityTarget(names, mean, np.where(std > 0, std, 1.0), reason="as given")


def _split(
    estimator: Any, rows: NDArray[np.int64], labels: NDArray[np.int64] | None, seed: int, *, given: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to learn from, and those that choose the best epoch: none where others are given for that."""
    share = estimator.validation_fraction
    if given or share is None or len(rows) < FEW:
        return rows, rows[:0]
    train, held = split_at_random(rows, labels, float(share), seed)
    return np.sort(train), np.sort(held)


def make_encoder(
    estimator: Any,
    columns: dict[str, Column],
    target: str,
    rows: NDArray[np.int64],
    weights: NDArray[np.float64] | None,
    one_hot_limit: int | None,
) -> TableEncoder:
    """Return the encoder of the training rows of a table; warn of columns that are left out."""
    named = hasattr(estimator, "feature_names_in_")
    overrides = Overrides(categorical=_categorical(estimator.categorical_features, list(columns)))
    kinds = column_kinds(columns, (), overrides)
    if not named:  # numbers of an array are what the caller wants to be learned from, constants and counts too
        for name, column in columns.items():
            if not isinstance(column, Texts) and column.dtype.kind in "iuf" and name not in overrides.categorical:
                kinds[name] = ColumnKind("quantity", "numbers of an array")
    told = [f"{name!r} ({kind.kind}: {kind.reason})" for name, kind in kinds.items() if kind.kind in TOLD]
    if told:
        listed = ", ".join(told[:10]) + (", ..." if len(told) > 10 else "")
        warn_caller(
            f"columns are left out: {listed}; give them as quantities or categories (categorical_features), or drop "
            "them from X",
            UserWarning,
        )
    return TableEncoder.fit(
        columns, targets=(target,), rows=rows, kinds=kinds, scale_indicators=True, weights=weights,
        one_hot_limit=one_hot_limit,
    )  # fmt: skip


def _categorical(given: Any, names: list[str]) -> frozenset[str]:
    """Return the names of the columns that the parameter `categorical_features` names or counts."""
    found = set()
    for entry in () if given is None else given:
        if isinstance(entry, str) and entry in names:
            found.add(entry)
        elif isinstance(entry, int | np.integer) and not isinstance(entry, bool) and 0 <= entry < len(names):
            found.add(names[int(entry)])
        else:
            raise ValueError(
                f"categorical_features must hold names of columns, or their numbers from 0 to {len(names) - 1}, got "
                f"{entry!r}"
            )
    return frozenset(found)


def _evaluated(
    estimator: Any,
    name: str,
    pair: tuple[Any, Any],
    encoder: TableEncoder,
    target: ClassTarget | QuantityTarget,
    dtype: str,
) -> EncodedRows:
    """Return the rows of one set to evaluate; errors name it."""
    try:
        inputs = encoder.transform(read_columns(estimator, pair[0], reset=False), dtype)
        y = np.asarray(pair[1])
        if len(y) != len(inputs):
            raise ValueError(f"X and y must have as many rows, got {len(inputs)} and {len(y)}")
        if isinstance(target, ClassTarget):
            return EncodedRows(inputs, _known_labels(column_or_1d(y), estimator.classes_))
        numbers = _as_table(y)
        if numbers.shape[1] != len(target.names) or not np.isfinite(numbers).all():
            raise ValueError(f"y must have {len(target.names)} columns of finite numbers, got shape {y.shape}")
        return EncodedRows(inputs, _as_learned(target, numbers))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error


def _known_labels(y: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    places = {label: place for place, label in enumerate(classes.tolist())}
    unknown = sorted({str(label) for label in y.tolist() if label not in places})
    if unknown:
        raise ValueError(f"y has the labels {unknown[:10]}, but the classes are {classes.tolist()}")
    return np.array([places[label] for label in y.tolist()], np.int64)
