"""Statistics of a table that lies in parts: each part is summarised where it is, and the summaries are merged.

An encoder that was fitted on a sample of the rows gets from all of them the levels of categories, which columns lack
values, the means, deviations and parts of dates, and the ranges. Medians and quartiles stay those of the sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from .columns import Column, count_texts
from .dates import HOURS
from .encoded import CategoryColumn, DateColumn, EncodedColumn, QuantityColumn
from .encoder import TableEncoder
from .scaling import IndicatorScaling, inverse, quartiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ColumnSummary", "merge_summaries", "refine", "summarise"]


@dataclass(frozen=True)
class ColumnSummary:
    """What is known of a column's values in some rows.

    Attributes
    ----------
    counts : dict
        Of a category, how many rows hold each text.
    n_missing, n_present : int
    mean, squares : float
        Of quantities and dates: the mean, and the sum of squared distances to it.
    ranges : ndarray, (k, 2)
        Smallest and largest value; of dates also those of the day of the week, from 0, and of the time of day.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    n_missing: int = 0
    n_present: int = 0
    mean: float = 0.0
    squares: float = 0.0
    ranges: NDArray[np.float64] | None = None

    def merge(self, other: ColumnSummary) -> ColumnSummary:
        """Return the summary of the rows of both."""
        n = self.n_present + other.n_present
        distance = other.mean - self.mean
        share = other.n_present / max(n, 1)
        known = [ranges for ranges in (self.ranges, other.ranges) if ranges is not None]
        ends = np.stack(known) if known else None
        return ColumnSummary(
            Counter(self.counts) + Counter(other.counts),
            self.n_missing + other.n_missing,
            n,
            self.mean + distance * share,  # Chan, Golub and LeVeque, 1979
            self.squares + other.squares + distance**2 * self.n_present * share,
            None if ends is None else np.stack([ends[..., 0].min(axis=0), ends[..., 1].max(axis=0)], axis=-1),
        )


def summarise(encoder: TableEncoder, columns: Mapping[str, Column]) -> list[ColumnSummary]:
    """Return a summary of each column that an encoder takes, for the rows of a table."""
    found = encoder.resolve(columns)
    return [_summary(known, column) for known, column in zip(encoder.columns, found.values(), strict=True)]


def _summary(known: EncodedColumn, column: Column) -> ColumnSummary:
    if isinstance(known, CategoryColumn):
        counts, n_missing = count_texts(column)
        return ColumnSummary(counts, n_missing, len(column) - n_missing)
    numbers, _ = known.raw(column)
    present = numbers[~np.isnan(numbers)]
    n_missing = len(numbers) - len(present)
    if not len(present):
        return ColumnSummary(n_missing=n_missing)
    kinds = [present, np.floor(present) % 7, present % 1] if isinstance(known, DateColumn) else [present]
    ranges = np.array([[values.min(), values.max()] for values in kinds])
    mean = float(present.mean())
    return ColumnSummary({}, n_missing, len(present), mean, float(np.square(present - mean).sum()), ranges)


def merge_summaries(parts: Sequence[Sequence[ColumnSummary]]) -> list[ColumnSummary]:
    """Return the summaries of all rows from those of the parts, each a list with an entry for each column."""
    merged = list(parts[0])
    for part in parts[1:]:
        merged = [known.merge(more) for known, more in zip(merged, part, strict=True)]
    return merged


def refine(
    encoder: TableEncoder,
    summaries: Sequence[ColumnSummary],
    sample: Mapping[str, Column],
    weights: NDArray[np.float64] | None = None,
    *,
    scale_indicators: bool = False,
    one_hot_limit: int | None = None,
) -> TableEncoder:
    """Return the encoder of all rows.

    Parameters
    ----------
    encoder : TableEncoder
        Fitted on a sample of the training rows.
    summaries : sequence of ColumnSummary
        Of all training rows.
    sample : mapping of str to Column
        The sample's training rows.
    weights : ndarray, optional
        Theirs.
    scale_indicators : bool, default False
    one_hot_limit : int, optional
        As for `TableEncoder.fit`.
    """
    pairs = zip(encoder.columns, summaries, strict=True)
    refined = [_refined(column, summary, one_hot_limit) for column, summary in pairs]
    quantities = {
        place: column
        for place, column in enumerate(refined)
        if isinstance(column, QuantityColumn) and _has_equal_quartiles(column, encoder, place, sample, weights)
    }
    for place, column in quantities.items():
        ranges = summaries[place].ranges
        refined[place] = replace(column, scale=0.0 if ranges is None else inverse(float(np.ptp(ranges[0])) / 2))
    found = TableEncoder(
        refined, encoder.file_columns, encoder.targets, encoder.left_out, encoder.missing, IndicatorScaling()
    )
    if scale_indicators:
        inputs = found.encode(found.raw(sample)[0])
        scaling = IndicatorScaling.fit(found.indicator_places, inputs, weights)
        found.indicators = replace(scaling, scale=_never_constant(found, scaling))
    return found


def _refined(column: EncodedColumn, summary: ColumnSummary, one_hot_limit: int | None) -> EncodedColumn:
    if isinstance(column, CategoryColumn):
        return CategoryColumn.from_counts(column.name, summary.counts, summary.n_missing, one_hot_limit)
    indicator = summary.n_missing > 0
    if isinstance(column, QuantityColumn) or summary.ranges is None:
        return replace(column, indicator=indicator and summary.n_present > 0)
    (first, last), week, day = summary.ranges.tolist()
    dated = column.format not in HOURS
    wanted = {"elapsed": dated, "year": dated and last - first >= 30}
    wanted |= {"week": dated and week[0] < week[1], "day": day[0] < day[1]}
    parts = tuple(part for part, there in wanted.items() if there)
    deviation = (summary.squares / summary.n_present) ** 0.5 if last > first else 0.0
    return replace(column, centre=summary.mean, scale=inverse(deviation), parts=parts, indicator=indicator)


def _has_equal_quartiles(
    column: QuantityColumn,
    encoder: TableEncoder,
    place: int,
    sample: Mapping[str, Column],
    weights: NDArray[np.float64] | None,
) -> bool:
    """Return whether the scale is that of a range, which a sample does not know."""
    numbers, _ = column.raw(list(encoder.resolve(sample).values())[place])
    present = ~np.isnan(numbers)
    if not present.any():
        return True
    low, _, high = quartiles(numbers[present], None if weights is None else weights[present])
    return bool(low == high)


def _never_constant(encoder: TableEncoder, scaling: IndicatorScaling) -> tuple[float, ...]:
    """Return the scales; indicators that are the same in all of the sample, but not in all rows, get 2 / range."""
    spans = [
        2.0 if isinstance(column, CategoryColumn) and column.is_binary else 1.0
        for column in encoder.columns
        for _ in column.indicators
    ]
    return tuple(scale or 2 / span for scale, span in zip(scaling.scale, spans, strict=True))
