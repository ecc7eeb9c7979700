"""How a text file is laid out: separator, quotes, comments and lines before the table, found on its whole head."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .columns import is_missing
from .numbers import looks_like_number

__all__ = ["BLANKS", "Dialect", "find_dialect"]

BLANKS = "blanks"
"""The separator of files whose fields stand apart by any number of blanks and tabs."""

SEPARATORS = ("\t", ";", "|", ",", BLANKS)
"""Of those that fit equally well the first is taken."""

DELIMITER = {BLANKS: " ", "": "\x1f"}
"""What the csv module takes for the separators that are not one character."""

NAMES = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", BLANKS: "blanks", "": "none, one column"}
COMMENTS = ("#", "%", "//")
MOST_RECORDS = 1000
MOST_PREAMBLE = 50
"""Lines before the table, such as a title."""

LEAST_CONSISTENT = 0.6


@dataclass(frozen=True)
class Dialect:
    """How the records of a text file are told apart.

    Attributes
    ----------
    separator : str
        One character, "blanks" for runs of blanks, or "" for a single column.
    quote : str
        What stands around fields that hold separators.
    width : int
        Fields of a record.
    comment : str
        What lines begin with that are no records; "" without such lines.
    n_preamble : int
        Records before the table that are left out.
    commented_header : bool
        Whether the names of the columns stand in the last comment before the table.
    """

    separator: str
    quote: str = '"'
    width: int = 1
    comment: str = ""
    n_preamble: int = 0
    commented_header: bool = False

    def split(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Yield the fields of each record; a record may have several lines where quotes hold line ends."""
        if self.separator == BLANKS:
            lines = (line.replace("\t", " ").strip() for line in lines)
        delimiter = DELIMITER.get(self.separator, self.separator)
        return csv.reader(lines, delimiter=delimiter, quotechar=self.quote, skipinitialspace=True)

    def describe(self) -> str:
        """Return the separator in words."""
        return NAMES.get(self.separator, repr(self.separator))


def find_dialect(lines: Sequence[str], separator: str | None = None, *, name: str = "") -> Dialect:
    """Find how the head of a file is laid out.

    Parameters
    ----------
    lines : sequence of str
        The first lines of the file with their ends; the last one may be cut off unless it is the file's.
    separator : str, optional
        What stands between fields, if it is known.
    name : str, optional
        The file's name, whose ending decides between separators that fit equally well.

    Returns
    -------
    Dialect
    """
    filled = [line for line in lines if line.strip()]
    hint = re.fullmatch(r'"?sep=(.)"?', filled[0].strip("\r\n \ufeff")) if filled else None
    if hint is not None:  # the line by which spreadsheets name the separator
        found = find_dialect(filled[1:], hint[1])
        return replace(found, n_preamble=found.n_preamble + 1)
    comment = next((mark for mark in COMMENTS if any(line.lstrip().startswith(mark) for line in filled)), "")
    bare = [line for line in filled if not (comment and line.lstrip().startswith(comment))] or filled
    quote = _quote(bare)
    wanted: tuple[str, ...] = SEPARATORS if separator is None else (separator,)
    if name.lower().removesuffix(".gz").endswith((".csv", ".csv.zip")):
        wanted = tuple(sorted(wanted, key=lambda mark: mark == "\t"))
    best, best_score = Dialect("", quote, 1), 0.0
    for mark in wanted:
        fitting = _try(Dialect(mark, quote), bare)
        if fitting is not None and (fitting[1] > best_score + 1e-9 or separator is not None):
            best, best_score = fitting
    return _with_comments(best, filled, comment)


def _quote(lines: Sequence[str]) -> str:
    """Return the quote: double ones, unless there are none and single ones stand around fields."""
    text = "\n" + "".join(lines[:MOST_RECORDS])
    if '"' in text or "'" not in text:
        return '"'
    marks = ",;\t\n"
    at_edges = sum(text.count(f"{mark}'") + text.count(f"'{mark}") for mark in marks)
    return "'" if at_edges >= 2 * sum(1 for line in lines[:MOST_RECORDS] if "'" in line) else '"'


def _records(dialect: Dialect, lines: Sequence[str]) -> list[list[str]] | None:
    """Return the first records; None if their quotes do not close."""
    records = []
    try:
        for fields in dialect.split(io.StringIO("".join(lines))):
            if any(field.strip() for field in fields):
                records.append([field.strip() for field in fields])
            if len(records) == MOST_RECORDS:
                break
    except csv.Error:
        return None
    return records


def _try(dialect: Dialect, lines: Sequence[str]) -> tuple[Dialect, float] | None:
    """Return the dialect with its width and a score for how well it fits; None if it does not."""
    records = _records(dialect, lines)
    if not records:
        return None
    widths = [len(record) for record in records]
    width, _ = max(Counter(widths).items(), key=lambda item: (item[1], item[0]))
    if width < 2:
        return None
    n_preamble = next(i for i, found in enumerate(widths) if found == width)
    data_follow = any(map(looks_like_number, records[n_preamble]))
    if n_preamble and abs(widths[n_preamble - 1] - width) == 1 and data_follow:
        n_preamble -= 1  # a header of one name more or less than the rows have fields
    while n_preamble + 1 < len(records) and _is_title(records[n_preamble], records[n_preamble + 1]):
        n_preamble += 1
    if n_preamble > MOST_PREAMBLE:
        return None
    table = [record for record in records[n_preamble:] if len(record) == width]
    consistent = len(table) / (len(records) - n_preamble)
    if consistent < LEAST_CONSISTENT:
        return None
    cells = [cell for record in table[1:101] or table for cell in record]
    clean = np.mean([_is_clean(cell) for cell in cells])
    numeric = np.mean([looks_like_number(cell) for cell in cells])
    found = replace(dialect, width=width, n_preamble=n_preamble)
    return found, consistent + 0.3 * float(clean) + 0.3 * float(numeric) - 0.001 * n_preamble


def _is_title(record: Sequence[str], following: Sequence[str]) -> bool:
    """Tell whether a record holds a text in its first field alone, where the next one is filled: a title."""
    filled = sum(map(bool, record))
    return filled == 1 < sum(map(bool, following)) - 1 and bool(record[0]) and not looks_like_number(record[0])


def _is_clean(cell: str) -> bool:
    """Tell whether a field is a number, is missing, or holds nothing that may stand between fields."""
    return not any(mark in cell for mark in ",;\t|") or is_missing(cell) or looks_like_number(cell)


def _with_comments(dialect: Dialect, lines: Sequence[str], comment: str) -> Dialect:
    """Return the dialect with its mark of comments, if lines that begin with it are no records."""
    marked = [line for line in lines if comment and line.lstrip().startswith(comment)]
    if not marked:
        return dialect
    leading: list[str] = []
    for line in lines:
        if not line.lstrip().startswith(comment):
            break
        leading.append(line)
    later = [len(next(dialect.split([line]))) for line in marked[len(leading) :]]
    if len(marked) == len(lines) or later.count(dialect.width) > len(later) / 2:
        return dialect  # a column whose texts begin so
    header = False
    if leading and not dialect.n_preamble:
        fields = next(dialect.split([leading[-1].lstrip().removeprefix(comment)]))
        header = len(fields) == dialect.width > 1 and not any(looks_like_number(field) for field in fields)
    return replace(dialect, comment=comment, commented_header=header)
