"""Columns in the making: fields come as texts, block by block, and become numbers or stay texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .columns import Column, Texts, is_missing
from .numbers import WORDS, NumberFormat, format_of, has_leading_zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ColumnBuilder", "Damage"]

MOST_DAMAGED = 0.1
"""Share of a column's fields that may be texts among numbers; beyond it the column is one of texts."""

LARGEST_WHOLE = 2.0**53
"""Whole numbers from here on are codes: a float does not hold them."""


@dataclass(frozen=True)
class Damage:
    """A text in a column of numbers: its row in the table, its line in the file, and what stands there."""

    row: int
    line: int
    column: str
    text: str


@dataclass
class ColumnBuilder:
    """One column: numbers in a format, or texts (format None), until all of it is seen.

    Attributes
    ----------
    name : str
    format : NumberFormat or None
        How its numbers are written.
    missing : frozenset of str
        More texts that stand for a missing value.
    broken : bool
        Whether it cannot be a column of numbers after all: the file must be read again, with texts there.
    damaged : list of (row, text)
        Texts among numbers; they are missing values.
    words : dict
        Words for missing values among numbers, and how many.
    """

    name: str
    format: NumberFormat | None
    missing: frozenset[str] = frozenset()
    broken: bool = False
    damaged: list[tuple[int, str]] = field(default_factory=list)
    words: dict[str, int] = field(default_factory=dict)
    n_rows: int = 0
    _parts: list[NDArray[Any]] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)

    def add(self, fields: Sequence[str]) -> None:
        """Take the fields of some more rows, as they stand in the file."""
        if self.format is None:
            self.add_codes(*_factorized(fields))
        else:
            self._append(self._numbers(fields, self.format), len(fields))

    def add_codes(self, codes: NDArray[Any], texts: Sequence[str]) -> None:
        """Take the fields of some more rows of texts as codes of distinct texts; -1 is a missing value."""
        known, mapped = self._known, np.empty(len(texts) + 1, np.int32)
        for code, text in enumerate(texts):
            bare = text.strip()
            mapped[code] = -1 if is_missing(bare, self.missing) else known.setdefault(bare, len(known))
        mapped[-1] = -1
        self._append(mapped.astype(np.min_scalar_type(-len(known) - 1))[codes], len(codes))

    def add_numbers(self, numbers: NDArray[Any]) -> bool:
        """Take the numbers of some more rows as a library has parsed them; False if their texts must be looked at."""
        if numbers.dtype.kind not in "iuf" or np.isinf(numbers).any():
            return False
        whole = numbers.dtype.kind != "f"
        numbers = numbers.astype(np.float64)
        largest = float(np.nanmax(np.abs(numbers), initial=0.0))
        if whole and largest >= LARGEST_WHOLE:
            return False
        self._append(_smallest(numbers, whole, largest), len(numbers))
        return True

    def _append(self, part: NDArray[Any] | None, n_rows: int) -> None:
        self.broken |= part is None
        if part is not None and not self.broken:
            self._parts.append(part)
        self.n_rows += n_rows

    def _numbers(self, fields: Sequence[str], chosen: NumberFormat) -> NDArray[Any] | None:
        if has_leading_zeros(fields):
            return None
        numbers = chosen.parse(fields)
        if self.missing:
            numbers[[text.strip() in self.missing for text in fields]] = np.nan
        self._note_texts(fields, np.flatnonzero(np.isnan(numbers)))
        whole = not chosen.signs and not re.search("[.eE]", "\0".join(fields))
        largest = float(np.nanmax(np.abs(numbers), initial=0.0))
        too_many = len(self.damaged) > max(MOST_DAMAGED * (self.n_rows + len(fields)), 1)
        return None if too_many or (whole and largest >= LARGEST_WHOLE) else _smallest(numbers, whole, largest)

    def _note_texts(self, fields: Sequence[str], rows: NDArray[np.int64]) -> None:
        for row in rows.tolist():
            text = fields[row].strip()
            if is_missing(text, self.missing):
                continue
            if text.casefold() in WORDS:
                self.words[text] = self.words.get(text, 0) + 1
            else:
                self.damaged.append((self.n_rows + row, text))

    def finish(self, decimal: str | None = None, *, keep_texts: bool = False) -> Column:
        """Return the column of all the fields taken; see `settle` for texts."""
        values = np.concatenate(self._parts) if self._parts else np.empty(0, np.int32)
        self._parts.clear()
        if self.format is not None:
            return values
        return self.settle(Texts(values, tuple(self._known)), decimal, keep_texts=keep_texts)

    def settle(self, column: Texts, decimal: str | None = None, *, keep_texts: bool = False) -> Column:
        """Return a whole column of texts as numbers if it holds numbers, unless texts are to be kept."""
        if keep_texts or column.nominal:
            return column
        chosen = format_of(column.distinct, column.counts(), decimal=decimal)
        if chosen is None:
            return column
        numbers = chosen.parse(column.distinct)
        whole = not chosen.signs and not any("." in text or "e" in text.lower() for text in column.distinct)
        largest = float(np.nanmax(np.abs(numbers), initial=0.0))
        if whole and largest >= LARGEST_WHOLE:
            return column
        self.format = chosen
        for code in np.flatnonzero(np.isnan(numbers)).tolist():
            text, rows = column.distinct[code], np.flatnonzero(column.codes == code)
            if text.casefold() in WORDS:
                self.words[text] = len(rows)
            else:
                self.damaged.extend((row, text) for row in rows.tolist())
        self.damaged.sort()
        return _smallest(column.spread(numbers, np.nan), whole, largest)


def _factorized(fields: Sequence[str]) -> tuple[NDArray[np.int32], list[str]]:
    known = dict[str, int]()
    codes = [known.setdefault(text, len(known)) for text in fields]
    return np.array(codes, np.int32), list(known)


def _smallest(numbers: NDArray[np.float64], whole: bool, largest: float) -> NDArray[Any]:
    """Return numbers in the smallest type that holds them exactly."""
    if not whole:
        return numbers
    if np.isnan(numbers).any():
        return numbers.astype(np.float32) if largest < 2**24 else numbers
    return numbers.astype(
        next(kind for kind in (np.int8, np.int16, np.int32, np.int64) if largest <= np.iinfo(kind).max)
    )
