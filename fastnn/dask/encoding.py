"""Column kinds, levels and scalings of a table that lies in partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from ..tables.columns import take
from ..tables.encoder import TableEncoder
from ..tables.merging import ColumnSummary, merge_summaries, refine, summarise
from ..tabular.request import KnownTargets, make_encoder, read_columns
from .cluster import wait_for
from .parts import Part, concatenate, take_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..tables.columns import Column

__all__ = ["Sample", "encoder_of", "make_probe", "rows_in"]

SAMPLE_ROWS = 100_000
"""Rows from which kinds of columns, medians and quartiles are found; all, if there are no more."""


class Sample:
    """Rows of all partitions, drawn at random, on the client.

    Parameters
    ----------
    client : distributed.Client
    parts : sequence of Future
    starts : ndarray of int64, (n_parts + 1,)
        The number of each partition's first row, then that of all rows.
    seed : int

    Attributes
    ----------
    rows : ndarray of int64
        Their numbers.
    table : DataFrame or ndarray
    """

    def __init__(self, client: Any, parts: Sequence[Any], starts: NDArray[np.int64], seed: int) -> None:
        n_rows = int(starts[-1])
        rows = np.arange(n_rows)
        if n_rows > SAMPLE_ROWS:
            rows = np.sort(np.random.default_rng(seed).choice(n_rows, SAMPLE_ROWS, replace=False))
        self.rows, self.is_whole = rows, n_rows <= SAMPLE_ROWS
        places = [rows_in(rows, starts, number)[0] for number in range(len(parts))]
        tasks = [client.submit(take_rows, part, at, pure=False) for part, at in zip(parts, places, strict=True)]
        self.table = concatenate(wait_for(client, tasks))


def rows_in(rows: NDArray[np.int64], starts: NDArray[np.int64], number: int) -> tuple[NDArray[np.int64], slice]:
    """Return the places in a partition of those rows that lie in it, and which of the sorted `rows` they are."""
    first, last = np.searchsorted(rows, starts[number : number + 2])
    return rows[first:last] - starts[number], slice(int(first), int(last))


def make_probe(estimator: Any) -> Any:
    """Return a copy of an estimator that knows the columns and nothing else."""
    probe = clone(estimator)
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            setattr(probe, name, getattr(estimator, name))
    return probe


def encoder_of(
    client: Any,
    estimator: Any,
    parts: Sequence[Any],
    starts: NDArray[np.int64],
    sample: Sample,
    columns: dict[str, Column],
    known: KnownTargets,
    one_hot_limit: int | None,
) -> TableEncoder:
    """Return the encoder of the training rows of all partitions.

    Parameters
    ----------
    client, parts, starts
        As of `Sample`.
    estimator : TabularEstimator
    sample : Sample
    columns : dict
        Its columns.
    known : KnownTargets
        Which rows are learned from.
    one_hot_limit : int or None
        Of the recipe.
    """
    places = np.flatnonzero(np.isin(sample.rows, known.train, assume_unique=True))
    weights = known.weight_of(sample.rows[places])
    encoder = make_encoder(estimator, columns, known.name, places, weights, one_hot_limit)
    if sample.is_whole:
        return encoder
    probe = make_probe(estimator)
    tasks = [
        client.submit(_summarise, part, probe, encoder, rows_in(known.train, starts, number)[0], pure=False)
        for number, part in enumerate(parts)
    ]
    found = [summaries for summaries in wait_for(client, tasks) if summaries is not None]
    trained = {name: take(column, places) for name, column in columns.items()}
    return refine(encoder, merge_summaries(found), trained, weights, scale_indicators=True, one_hot_limit=one_hot_limit)


def _summarise(part: Part, probe: Any, encoder: TableEncoder, rows: NDArray[np.int64]) -> list[ColumnSummary] | None:
    """Return what is known of the training rows of a partition; None if it has none."""
    if not len(rows):
        return None
    columns = read_columns(probe, part[0], reset=False)
    return summarise(encoder, {name: take(column, rows) for name, column in columns.items()})
