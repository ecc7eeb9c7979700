"""Dask collections as partitions that lie on workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask
import dask.array
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Facts",
    "check_collection",
    "concatenate",
    "describe",
    "is_collection",
    "make_parts",
    "on_parts",
    "take_rows",
]

Part = tuple[Any, Any, Any]
"""Rows of X, of y, and of the weights or None."""


@dataclass(frozen=True, eq=False)
class Facts:
    """What the client is told of a partition: its number of rows, its targets and weights."""

    n_rows: int
    y: NDArray[Any]
    weight: NDArray[Any] | None


def is_collection(value: Any) -> bool:
    """Return whether a value is a DataFrame, a Series or an Array of Dask."""
    return bool(dask.is_dask_collection(value)) and hasattr(value, "to_delayed") and hasattr(value, "ndim")


def check_collection(name: str, value: Any) -> None:
    """Raise TypeError for what is no collection."""
    if not is_collection(value):
        raise TypeError(
            f"{name} must be a DataFrame, Series or Array of Dask, got {type(value).__name__}; fastnn.sklearn has the "
            "estimators for data in memory"
        )


def make_parts(X: Any, y: Any, sample_weight: Any) -> list[Any]:
    """Return each partition of the collections as one task that returns a `Part`.

    Raises
    ------
    TypeError, ValueError
        If one is no collection, or has other partitions than X.
    """
    given = {"X": X, "y": y} | ({} if sample_weight is None else {"sample_weight": sample_weight})
    parts = {}
    for name, value in given.items():
        check_collection(name, value)
        parts[name] = _partitions(value)
        if len(parts[name]) != len(parts["X"]):
            raise ValueError(
                f"X and {name} must have the same partitions, got {len(parts['X'])} and {len(parts[name])}; make one "
                "from the other, or repartition (DataFrame) or rechunk (Array) it"
            )
    weights = parts.get("sample_weight", [None] * len(parts["X"]))
    return [dask.delayed(_as_part)(*part) for part in zip(parts["X"], parts["y"], weights, strict=True)]


def _as_part(X: Any, y: Any, weight: Any) -> Part:
    return X, y, weight


def _partitions(value: Any) -> list[Any]:
    """Return each partition of a collection as one task."""
    if isinstance(value, dask.array.Array):
        whole = value.rechunk({1: -1}) if value.ndim == 2 and len(value.chunks[1]) > 1 else value
        return list(whole.to_delayed().ravel())
    return list(value.to_delayed())


def describe(part: Part, number: int) -> Facts:
    """Return what the client is told of a partition; the rows of X stay."""
    X, y, weight = part
    n_rows, targets = len(X), np.asarray(y)
    weights = None if weight is None else np.asarray(weight)
    for name, values in (("y", targets), ("sample_weight", weights)):
        if values is not None and len(values) != n_rows:
            raise ValueError(
                f"X and {name} must have as many rows in every partition, got {n_rows} and {len(values)} in partition "
                f"{number}"
            )
    return Facts(n_rows, targets, weights)


def take_rows(part: Part, rows: NDArray[np.int64]) -> Any:
    """Return some rows of a partition's X."""
    X = part[0]
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def concatenate(tables: Sequence[Any]) -> Any:
    """Return one table of the rows of several, which are arrays or DataFrames."""
    filled = [table for table in tables if len(table)] or list(tables[:1])
    if hasattr(filled[0], "iloc"):
        from dask.dataframe.dispatch import concat  # unites the categories of a column

        return concat(filled)
    return np.concatenate(filled)


def on_parts(function: Callable[[Any], NDArray[Any]], X: Any, dtype: Any, width: int | None) -> Any:
    """Return a Dask array of what a function gives for the rows of each partition.

    Parameters
    ----------
    function : callable
        Takes a table of one row or more.
    X : collection
    dtype : dtype
        Of the result.
    width : int or None
        Columns of the result; None for one dimension.
    """
    task = dask.delayed(_filled(function, dtype, width))
    lengths = X.chunks[0] if isinstance(X, dask.array.Array) else [np.nan] * X.npartitions
    shape = () if width is None else (width,)
    pairs = zip(_partitions(X), lengths, strict=True)
    arrays = [dask.array.from_delayed(task(part), (length, *shape), dtype=dtype) for part, length in pairs]
    return dask.array.concatenate(arrays, allow_unknown_chunksizes=True)


@dataclass(frozen=True)
class _filled:  # noqa: N801 - a function with values
    """The function, and an empty result for an empty partition."""

    function: Callable[[Any], NDArray[Any]]
    dtype: Any
    width: int | None

    def __call__(self, table: Any) -> NDArray[Any]:
        if not len(table):
            return np.empty((0,) if self.width is None else (0, self.width), self.dtype)
        return np.asarray(self.function(table), self.dtype)
