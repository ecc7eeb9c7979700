"""What each column of a table is, by rules that a person can check and overrule."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from .columns import Column, Texts, missing_rows
from .dates import date_format_of, is_ambiguous
from .numbers import format_of

__all__ = ["KINDS", "ColumnKind", "Overrides", "column_kinds"]

KINDS = ("quantity", "category", "date", "identifier", "text", "constant", "empty", "dropped", "split")
LEARNED = ("quantity", "category", "date")
"""The kinds that a network learns from; columns of the others are left out."""

MOST_DISTINCT = 0.5
"""Texts of which more than this share are different, missing ones left aside, are identifiers or free text."""

FREE_TEXT = (0.1, 4.0)
"""Texts of which more than this share are different, of that many words on average, are free text."""

LEAST_ROWS = 20
"""Rows below which whole numbers that count the rows are not taken for identifiers."""

MOSTLY_DISTINCT = 0.9
ID_WORDS = frozenset(
    {"id", "ids", "uid", "uuid", "guid", "pid", "key", "index", "idx", "rownumber", "rowid", "identifier"}
)
COUNT_WORDS = ID_WORDS | {
    "order",
    "no",
    "nr",
    "number",
    "num",
    "row",
    "instant",
    "serial",
    "sr",
    "sno",
    "record",
    "rank",
}
CODE_WORDS = frozenset({"zip", "zipcode", "postal", "postcode", "plz"})


@dataclass(frozen=True)
class ColumnKind:
    """What a column is taken for.

    Attributes
    ----------
    kind : str
        "quantity", "category", "date"; or a kind that is left out: "identifier", "text", "constant", "empty",
        "dropped" by the caller, "split" for the column that the held-out rows are chosen by.
    reason : str
        Why, in a few words.
    date_format : str or None
        Of a date that is written as text or whole number.
    """

    kind: str
    reason: str
    date_format: str | None = None

    @property
    def is_learned(self) -> bool:
        """Whether the network gets the column."""
        return self.kind in LEARNED


@dataclass(frozen=True)
class Overrides:
    """Columns whose kind the caller knows."""

    categorical: frozenset[str] = frozenset()
    numeric: frozenset[str] = frozenset()
    date: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()

    def of(self, name: str) -> str | None:
        """Return the kind given for a column; None if it is to be found out."""
        given = {"dropped": self.drop, "category": self.categorical, "quantity": self.numeric, "date": self.date}
        return next((kind for kind, names in given.items() if name in names), None)


def column_kinds(
    columns: Mapping[str, Column], targets: Collection[str], overrides: Overrides | None = None
) -> dict[str, ColumnKind]:
    """Find what each column is.

    Parameters
    ----------
    columns : mapping of str to Column
        All columns of the table in their order.
    targets : collection of str
        Those to be learned, which are left aside.
    overrides : Overrides, optional
        What the caller knows.

    Returns
    -------
    dict
        The kind of each column but the targets.

    Notes
    -----
    In this order: a column without values is "empty"; one with a single value and none missing "constant"; times, texts
    of which 19 in 20 are dates of one format, and whole numbers such as 20141013 are "date". Texts of which nine in ten
    are numbers are "quantity", unless their source says that they are categories. Others are "text" if more
    than a tenth are different and have four words on average, "identifier" if more than half are different, else
    "category". Numbers are "identifier" if their name says so ("id", "key", "index", ... as a word of it) and nine in
    ten are different, or if they count the rows 0, 1, 2, ... or 1, 2, 3, ... in a first column, or one named so, of a
    table of 20 rows or more with other columns; "category" if their name says that they are postal codes; else
    "quantity". True and False are a category.
    """
    overrides = overrides or Overrides()
    found: dict[str, ColumnKind] = {}
    for position, (name, column) in enumerate(columns.items()):
        if name in targets:
            continue
        given = overrides.of(name)
        found[name] = _given(column, given) if given else _kind(name, column, position)
    if not any(kind.is_learned for kind in found.values()):  # a lone column that counts the rows is an axis
        for name, kind in found.items():
            if kind.reason == COUNTS_ROWS:
                found[name] = ColumnKind("quantity", "the only column to learn from")
    return found


COUNTS_ROWS = "counts the rows"


def _given(column: Column, kind: str) -> ColumnKind:
    chosen = date_format_of(column) if kind == "date" and not _is_times(column) else None
    return ColumnKind(kind, "as given", chosen)


def _is_times(column: Column) -> bool:
    return not isinstance(column, Texts) and column.dtype.kind == "M"


def _kind(name: str, column: Column, position: int) -> ColumnKind:
    missing = missing_rows(column)
    n_present = int(len(missing) - missing.sum())
    if not n_present:
        return ColumnKind("empty", "no values")
    if _is_times(column):
        return ColumnKind("date", "times")
    n_distinct = _n_distinct(column, missing)
    if n_distinct == 1 and n_present == len(missing):
        return ColumnKind("constant", "one value in all rows")
    if isinstance(column, Texts) and column.nominal:
        return _kind_of_texts(column, n_present, n_distinct)
    chosen = date_format_of(column)
    if chosen is not None:
        doubt = isinstance(column, Texts) and is_ambiguous(column.distinct, chosen)
        first = "day" if chosen.find("%d") < chosen.find("%m") else "month"
        return ColumnKind("date", f"format {chosen}" + (f" ({first} first, or is it not?)" if doubt else ""), chosen)
    if isinstance(column, Texts):
        if format_of(column.distinct, column.counts()) is not None:
            return ColumnKind("quantity", "numbers, written as texts")
        return _kind_of_texts(column, n_present, n_distinct)
    if column.dtype.kind == "b":
        return ColumnKind("category", "true or false")
    return _kind_of_numbers(name, column[~missing], n_distinct, position)


def _n_distinct(column: Column, missing: np.ndarray) -> int:
    return int((column.counts() > 0).sum()) if isinstance(column, Texts) else len(np.unique(column[~missing]))


def _kind_of_texts(column: Texts, n_present: int, n_distinct: int) -> ColumnKind:
    share = n_distinct / n_present
    words = float(np.mean([len(text.split()) for text in column.distinct[:10_000]]))
    many = f"{n_distinct:,} different texts in {n_present:,} rows"
    if share > FREE_TEXT[0] and words >= FREE_TEXT[1] and n_distinct > 10:
        return ColumnKind("text", f"{many}, {words:.0f} words each")
    if share > MOST_DISTINCT and n_distinct > 10:
        return ColumnKind("identifier", many)
    return ColumnKind("category", f"{n_distinct:,} values")


def words_of(name: str) -> set[str]:
    """Return the words of a column's name: customerID, customer_id and "Customer Id" are customer and id."""
    parts = re.sub(r"([a-z\d])([A-Z])", r"\1 \2", name)
    return {word.casefold() for word in re.split(r"[\W_]+", parts) if word}


def _kind_of_numbers(name: str, present: np.ndarray, n_distinct: int, position: int) -> ColumnKind:
    whole = present.dtype.kind in "iu" or not (present % 1).any()
    words = words_of(name)
    if whole and words & ID_WORDS and n_distinct > MOSTLY_DISTINCT * len(present):
        return ColumnKind("identifier", "named so, and hardly any value twice")
    if whole and len(present) >= LEAST_ROWS and (position == 0 or words & COUNT_WORDS):
        start = present[0]
        if start in (0, 1) and np.array_equal(present, np.arange(start, start + len(present))):
            return ColumnKind("identifier", COUNTS_ROWS)
    if whole and words & CODE_WORDS and n_distinct <= MOST_DISTINCT * len(present):
        return ColumnKind("category", f"postal codes, {n_distinct:,} values")
    return ColumnKind("quantity", f"{n_distinct:,} values")
