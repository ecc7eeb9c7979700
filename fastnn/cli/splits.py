"""Which rows of a table are trained on, which choose the best epoch, and which are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..preprocessing.splitting import FEWEST, split_at_random
from ..tables.columns import Column, Texts, as_texts, missing_rows
from ..tables.dates import date_format_of, parse_dates

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALIDATION = 0.2
"""Share of the rows not held out that choose the best epoch."""


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a table by their use; `said` says in a line how they were chosen."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    held: NDArray[np.int64]
    said: str


def split_rows(
    labels: NDArray[np.int64] | None, n_rows: int, share: float, seed: int, by: tuple[str, Column] | None = None
) -> Split:
    """Split the rows of a table: at random, in the proportions of the classes; or by a column.

    Parameters
    ----------
    labels : ndarray of int or None
        The class of each row; None for quantities.
    n_rows : int
    share : float
        Part to hold out; 0 for none.
    seed : int
    by : (name, column), optional
        Dates and numbers: the last ones are held out, equal ones together. Texts: whole groups are.
    """
    rows = np.arange(n_rows)
    if by is None:
        rest, held = split_at_random(rows, labels, share, seed) if share else (rows, rows[:0])
        train, validation = split_at_random(rest, labels, VALIDATION, seed) if len(rest) >= FEWEST else (rest, rest[:0])
        said = "held-out rows are chosen at random" + ("" if labels is None else ", in the proportions of the classes")
        return Split(train, validation, held, said)
    name, column = by
    order, what = _order_of(column, seed)
    if len(np.unique(order)) < 2:
        raise ValueError(f"--split-by {name!r}: the column has one value, by which nothing can be split")
    rest, held = _last(rows, order, share)
    train, validation = _last(rest, order, VALIDATION) if len(rest) >= FEWEST else (rest, rest[:0])
    return Split(train, validation, held, f"held-out rows are {what} of {name!r}")


def _order_of(column: Column, seed: int) -> tuple[NDArray[np.float64], str]:
    """Return a number for each row, by which the last rows are held out, and what these are."""
    chosen = date_format_of(column)
    if chosen is not None:
        texts = as_texts(column)
        return texts.spread(parse_dates(texts.distinct, chosen).astype(np.int64), 0).astype(
            np.float64
        ), "the last dates"
    if isinstance(column, Texts):
        places = np.random.default_rng(seed).permutation(len(column.distinct) + 1)
        return places[column.codes].astype(np.float64), "whole groups"
    if column.dtype.kind == "M":
        return column.astype("datetime64[us]").astype(np.int64).astype(np.float64), "the last times"
    numbers = np.asarray(column, np.float64)
    return np.where(missing_rows(column), -np.inf, numbers), "those with the largest values"


def _last(
    rows: NDArray[np.int64], order: NDArray[np.float64], share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Part the rows where the order comes nearest to the share; equal places stay together."""
    values, counts = np.unique(order[rows], return_counts=True)
    if len(values) < 2:
        return rows, rows[:0]
    left = np.cumsum(counts[::-1])[::-1]  # rows from each value on
    cut = values[1:][np.argmin(np.abs(left[1:] - share * len(rows)))]
    return rows[order[rows] < cut], rows[order[rows] >= cut]
