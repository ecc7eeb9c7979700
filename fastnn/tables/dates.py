"""Dates and times: the format of a column, and what of a time a network can learn from."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Column, Texts
from .source import import_library

__all__ = ["WHOLE_DAYS", "date_format_of", "days_of", "is_ambiguous", "parse_dates"]

MOST_ARE_DATES = 0.95
"""A column holds dates if at least this share of its fields are dates of one format."""

DAYS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%Y%m%d"),
    *("%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%m-%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y"),
    *("%B %d, %Y", "%b %d %Y", "%B %d %Y", "%Y-%b-%d"),
)
"""Of two that fit equally well the first is taken."""

TIMES = (
    *("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", "T%H:%M", " %H:%M:%S.%f", "T%H:%M:%S.%f", "T%H%M%S", " %I:%M %p"),
    *(" %I:%M:%S %p", " %H:%M:%S%z", "T%H:%M:%S%z", "T%H:%M:%S.%f%z", " %H:%M:%S.%f%z"),
)
HOURS = ("%H:%M", "%H:%M:%S", "%H.%M.%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
"""Formats of a time of day without a date."""

WHOLE_DAYS = "%Y%m%d"
"""Of whole numbers such as 20141013."""

LOOKS_LIKE_DATE = re.compile(
    r"\d{1,4}[-/.]\w{1,9}[-/.]\d{1,4}|\d{1,2}[:.]\d{2}|\d{8}|[A-Za-z]{3,9} \d{1,2},? \d{4}|\d{1,2} [A-Za-z]{3,9} \d{4}"
)
MICROSECONDS_OF_A_DAY = 86_400_000_000.0


def parse_dates(texts: Sequence[str], chosen: str) -> NDArray[np.datetime64]:
    """Return the times of texts in a format, NaT for those that are none."""
    pandas = import_library("pandas", "pandas", "tables", "reading dates from texts")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pandas.to_datetime(list(texts), format=chosen, errors="coerce", utc="%z" in chosen)
    if getattr(found, "tz", None) is not None:
        found = found.tz_convert(None)
    return np.asarray(found, "datetime64[us]")


def date_format_of(column: Column) -> str | None:
    """Find the format of a column of dates or times of day.

    Parameters
    ----------
    column : Column
        Texts, or whole numbers such as 20141013.

    Returns
    -------
    str or None
        As `strptime` has it; None if the column does not hold dates.
    """
    if isinstance(column, Texts):
        counts = column.counts()
        return _of_texts(column.distinct, counts)
    if column.dtype.kind not in "iuf" or not len(column):
        return None
    present = column[np.isfinite(column)] if column.dtype.kind == "f" else column
    distinct = np.unique(present)
    if len(distinct) < 5 or distinct[0] < 17_000_101 or distinct[-1] > 22_001_231 or (distinct % 1).any():
        return None
    days = distinct.astype(np.int64)
    month, day = days // 100 % 100, days % 100
    plausible = ((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all()
    if not plausible or np.isnat(parse_dates([str(number) for number in days], WHOLE_DAYS)).any():
        return None
    return WHOLE_DAYS


def _of_texts(texts: Sequence[str], counts: NDArray[Any]) -> str | None:
    sample = [text for text in texts[:200] if LOOKS_LIKE_DATE.match(text)]
    if not texts or len(sample) < 0.5 * min(len(texts), 200):
        return None
    candidates = [day + time for day, time in product(DAYS, TIMES)] + list(HOURS)
    candidates = [chosen for chosen in candidates if not np.isnat(parse_dates(sample[:1], chosen)).all()] or candidates
    fitting = [chosen for chosen in candidates if np.isnat(parse_dates(sample, chosen)).mean() <= 0.5]
    best, best_share = None, 0.0
    for chosen in fitting:
        share = float(counts[~np.isnat(parse_dates(texts, chosen))].sum() / counts.sum())
        if share > best_share + 1e-12:
            best, best_share = chosen, share
    return best if best_share >= MOST_ARE_DATES else None


def is_ambiguous(texts: Sequence[str], chosen: str) -> bool:
    """Tell whether day and month could as well change places."""
    if not re.search("%[dm][-/.]%[dm]", chosen):
        return False
    other = chosen.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")
    return not np.isnat(parse_dates(texts, other)[~np.isnat(parse_dates(texts, chosen))]).any()


def days_of(times: NDArray[Any], chosen: str | None) -> NDArray[np.float64]:
    """Return times as days since 1970-01-01, a time of day without a date as a part of a day; NaN for NaT."""
    missing = np.isnat(times)
    days = times.astype("datetime64[us]").astype(np.int64) / MICROSECONDS_OF_A_DAY
    if chosen in HOURS:
        days = days - np.floor(days)
    return np.where(missing, np.nan, days)
