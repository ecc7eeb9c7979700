"""Blocks of whole records of a text file, each with its line: comments and blank rows left out, widths checked."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FileFormatError
from .dialect import BLANKS, DELIMITER, Dialect
from .encoding import MAX_LINE

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Block", "Records"]

BLOCK = 1 << 22
"""Characters that are parsed in one go."""

MOST_BAD = 0.01
"""Share of the rows that may have the wrong number of fields; they are left out, with a warning."""

MOST_QUOTED_LINES = 10_000


@dataclass(frozen=True)
class Block:
    """Records as text, one after the other, and the line on which each begins."""

    text: str
    lines: NDArray[np.int64]


@dataclass
class Records:
    """The records of one pass over a file.

    Attributes
    ----------
    path : str
        The file, for messages.
    dialect : Dialect
        How they are told apart.
    named : int
        Fields that a record has at least; up to `dialect.width` more may be missing at its end.
    n_skipped : int
        Records before the first one to be yielded: lines before the table, and its header.
    keep_empty : bool
        Whether rows that hold separators and nothing else are rows.
    n_rows, n_blank : int
        Records that were yielded, and rows without anything in them that were left out.
    bad : list of (line, fields)
        Rows with the wrong number of fields that were left out.
    """

    path: str
    dialect: Dialect
    named: int
    n_skipped: int
    keep_empty: bool = False
    n_rows: int = 0
    n_blank: int = 0
    bad: list[tuple[int, int]] = field(default_factory=list)
    _seen: int = 0

    def blocks(self, stream: Any) -> Iterator[Block]:
        """Yield all records of a text stream.

        Raises
        ------
        FileFormatError
            If quotes do not close, a line is too long, or too many rows have the wrong number of fields.
        """
        kept: list[str] = []
        numbers: list[int] = []
        size = 0
        for text, number in self._records(stream):
            kept.append(text)
            numbers.append(number)
            size += len(text)
            if size > BLOCK:
                yield self._block(kept, numbers)
                kept, numbers, size = [], [], 0
        if kept:
            yield self._block(kept, numbers)
        self._check_bad()

    def _block(self, kept: list[str], numbers: list[int]) -> Block:
        self.n_rows += len(kept)
        return Block("".join(kept), np.array(numbers, np.int64))

    def _records(self, stream: Any) -> Iterator[tuple[str, int]]:
        """Yield each record with its line; where no quotes are, without looking into it."""
        line = 1
        while lines := stream.readlines(BLOCK):
            if max(map(len, lines)) > MAX_LINE:
                number = line + next(i for i, text in enumerate(lines) if len(text) > MAX_LINE)
                raise FileFormatError(
                    f"{self.path}, line {number}: longer than {MAX_LINE} bytes; write one row per line"
                )
            if self.dialect.quote in "".join(lines):
                yield from self._quoted(chain(lines, stream), line)
                return
            yield from self._unquoted(lines, line)
            line += len(lines)

    def _unquoted(self, lines: list[str], start: int) -> Iterator[tuple[str, int]]:
        mark, comment = self.dialect.separator, self.dialect.comment
        wanted, blank = self.dialect.width, f" \t\n{mark[:1]}" if mark != BLANKS else " \t\n"
        for number, line in enumerate(lines, start):
            if line[0] in blank and not line.strip(blank) and not (self.keep_empty and line.strip()):
                self.n_blank += line != "\n"
                continue
            width = len(line.split()) if mark == BLANKS else line.count(mark) + 1 if mark else 1
            if comment and line.lstrip().startswith(comment) and (width != wanted or width == 1 or not self._seen):
                continue
            self._seen += 1
            if self._seen <= self.n_skipped:
                continue
            if width == wanted and line[-1] == "\n":
                yield line, number
                continue
            fields = [line] if width == wanted else next(self.dialect.split([line]))
            whole = self._whole(line, fields, width, number)
            if whole is not None:
                yield whole, number

    def _quoted(self, stream: Iterator[str], number: int) -> Iterator[tuple[str, int]]:
        """Yield records that may have line ends within quotes."""
        taken: list[str] = []
        quote, comment = self.dialect.quote, self.dialect.comment

        def tapped() -> Iterator[str]:
            for line in stream:
                taken.append(line)
                if len(line) > MAX_LINE or len(taken) > MOST_QUOTED_LINES:
                    raise self._open_quote(number, f"within {MOST_QUOTED_LINES:,} lines")
                yield line

        csv.field_size_limit(MAX_LINE)
        for fields in self._parsed(tapped(), number):
            text, began, n_lines = "".join(taken), number, len(taken)
            number += n_lines
            taken.clear()
            if not any(map(str.strip, fields)) and not (self.keep_empty and text.strip()):
                self.n_blank += text != "\n"
                continue
            if comment and text.lstrip().startswith(comment) and (len(fields) != self.dialect.width or not self._seen):
                continue
            self._seen += 1
            if self._seen <= self.n_skipped:
                continue
            if n_lines > 1 and text.count(quote) % 2:
                raise self._open_quote(began, "before the end of the file")
            whole = self._whole(text, fields, len(fields), began)
            if whole is not None:
                yield whole, began

    def _parsed(self, lines: Iterator[str], number: int) -> Iterator[list[str]]:
        try:
            yield from self.dialect.split(lines)
        except csv.Error as error:
            raise FileFormatError(f"{self.path}, after line {number}: not a row of fields ({error})") from None

    def _open_quote(self, line: int, where: str) -> FileFormatError:
        return FileFormatError(
            f"{self.path}, line {line}: a quote ({self.dialect.quote}) opens here and does not close {where}; close or "
            "remove it"
        )

    def _whole(self, text: str, fields: list[str], width: int, number: int) -> str | None:
        """Return a record as it is to be read; None if it has the wrong number of fields."""
        if self.named <= width <= self.dialect.width:
            return text if text.endswith("\n") else text + "\n"
        if width > self.dialect.width and not any(map(str.strip, fields[self.dialect.width :])):
            row = io.StringIO()
            delimiter = DELIMITER.get(self.dialect.separator, self.dialect.separator)
            writer = csv.writer(row, delimiter=delimiter, quotechar=self.dialect.quote, lineterminator="\n")
            writer.writerow(fields[: self.dialect.width])
            return row.getvalue()
        self.bad.append((number, width))
        return None

    def _check_bad(self) -> None:
        if len(self.bad) <= MOST_BAD * self.n_rows:
            return
        line, found = self.bad[0]
        wanted = str(self.named) if self.named == self.dialect.width else f"{self.named} to {self.dialect.width}"
        many = f" (so have {len(self.bad) - 1:,} more rows)" if len(self.bad) > 1 else ""
        raise FileFormatError(
            f"{self.path}, line {line}: {found} field{'s' * (found > 1)} where the table has {wanted}{many}; add or "
            "remove separators, or quote the fields that contain one"
        )
