"""Dates and times: find the format of a column, parse it, and turn times into numbers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from .columns import Column, Texts
from .source import import_library

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WHOLE_DAYS", "date_format_of", "days_of", "is_ambiguous", "parse_dates"]

MOST_ARE_DATES = 0.95
"""A column holds dates if at least this share of its fields are dates of one format."""

DAYS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%Y%m%d"),
    *("%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%m-%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y"),
    *("%B %d, %Y", "%b %d %Y", "%B %d %Y", "%Y-%b-%d"),
)
"""Formats of a day. The first wins where two fit equally well."""

TIMES = (
    *("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", "T%H:%M", " %H:%M:%S.%f", "T%H:%M:%S.%f", "T%H%M%S", " %I:%M %p"),
    *(" %I:%M:%S %p", " %H:%M:%S%z", "T%H:%M:%S%z", "T%H:%M:%S.%f%z", " %H:%M:%S.%f%z"),
)
HOURS = ("%H:%M", "%H:%M:%S", "%H.%M.%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
"""Formats of a time of day without a date."""

WHOLE_DAYS = "%Y%m%d"
"""Format of days written as whole numbers, such as 20141013."""

LOOKS_LIKE_DATE = re.compile(
    r"\d{1,4}[-/.]\w{1,9}[-/.]\d{1,4}|\d{1,2}[:.]\d{2}|\d{8}|[A-Za-z]{3,9} \d{1,2},? \d{4}|\d{1,2} [A-Za-z]{3,9} \d{4}"
)
MICROSECONDS_PER_DAY = 86_400_000_000.0


def parse_dates(texts: Sequence[str], date_format: str) -> NDArray[np.datetime64]:
    """Parse texts in one format; a text that does not match becomes NaT."""
    pandas = import_library("pandas", "pandas", "tables", "reading dates from texts")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = pandas.to_datetime(list(texts), format=date_format, errors="coerce", utc="%z" in date_format)
    if getattr(times, "tz", None) is not None:
        times = times.tz_convert(None)
    return np.asarray(times, "datetime64[us]")


def date_format_of(column: Column) -> str | None:
    """Find the format of a column of dates or times of day.

    Parameters
    ----------
    column : Column
        Texts, or whole numbers such as 20141013.

    Returns
    -------
    str or None
        A `strptime` format; None if the column does not hold dates.
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
    of_the_first = [known for known in candidates if not np.isnat(parse_dates(sample[:1], known)).all()]
    fitting = [known for known in of_the_first or candidates if np.isnat(parse_dates(sample, known)).mean() <= 0.5]
    best, best_share = None, 0.0
    for candidate in fitting:
        share = float(counts[~np.isnat(parse_dates(texts, candidate))].sum() / counts.sum())
        if share > best_share + 1e-12:
            best, best_share = candidate, share
    return best if best_share >= MOST_ARE_DATES else None


def is_ambiguous(texts: Sequence[str], date_format: str) -> bool:
    """Return whether every text would still be a date with day and month exchanged."""
    if not re.search("%[dm][-/.]%[dm]", date_format):
        return False
    other = date_format.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")
    return not np.isnat(parse_dates(texts, other)[~np.isnat(parse_dates(texts, date_format))]).any()


def days_of(times: NDArray[Any], date_format: str | None) -> NDArray[np.float64]:
    """Convert times to days since 1970-01-01, times of day to fractions of a day, and NaT to NaN."""
    missing = np.isnat(times)
    days = times.astype("datetime64[us]").astype(np.int64) / MICROSECONDS_PER_DAY
    if date_format in HOURS:
        days = days - np.floor(days)
    return np.where(missing, np.nan, days)
