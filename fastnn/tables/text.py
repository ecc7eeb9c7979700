"""Text files as tables: pandas reads the fields, block by block; columns become numbers or texts as they come."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FileFormatError
from .builder import ColumnBuilder, Damage
from .columns import MISSING_AS_WRITTEN, Column, is_missing, missing_rows
from .dialect import BLANKS, DELIMITER, Dialect, find_dialect
from .encoding import Encoding, find_encoding
from .header import has_header, make_names
from .numbers import decimal_of, format_of
from .records import Block, Records
from .source import Source, damage_named, import_library

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Content", "Layout", "column_notes", "listed", "read_text"]

HEAD = 1 << 18
"""Characters on which separator, header and number formats are found."""

MOST_LISTED = 5
EXACT_PANDAS = (3, 1)
"""From this version on pandas parses floats to the last bit without being told so."""


@dataclass(frozen=True)
class Layout:
    """What the caller knows of a file; None where it is to be found out.

    Attributes
    ----------
    header : bool or None
        Whether the first record holds names.
    separator, decimal, encoding : str or None
    missing : frozenset of str
        More texts that stand for a missing value.
    as_texts : frozenset of str
        Columns whose fields stay texts, whatever they look like.
    known_names : frozenset of str
        Names that the columns may have: a first record that holds most of them is a header.
    keep_empty : bool
        Whether rows that hold separators and nothing else are rows.
    """

    header: bool | None = None
    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    missing: frozenset[str] = frozenset()
    as_texts: frozenset[str] = frozenset()
    known_names: frozenset[str] = frozenset()
    keep_empty: bool = False


@dataclass(frozen=True, eq=False)
class Content:
    """What a file holds: its columns, the line of each row, whether they have names, and what was found out."""

    columns: dict[str, Column]
    lines: NDArray[np.int64] | None
    has_names: bool
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    damaged: tuple[Damage, ...] = ()


def read_text(source: Source, layout: Layout) -> Content:
    """Read a text file.

    Raises
    ------
    FileFormatError
        If it is empty, no text, or its rows do not hold together.
    ImportError
        Without pandas.
    """
    pandas = import_library("pandas", "pandas", "tables", f"reading {source.path}")
    encoding = find_encoding(source, layout.encoding)
    head = _Head(source, encoding, layout)
    texts_only = set(layout.as_texts)
    while True:
        builders = head.builders(texts_only)
        records = Records(source.path, head.dialect, head.named, head.n_skipped, layout.keep_empty)
        with _text_stream(source, encoding) as stream:
            lines = [_parse(pandas, block, head, builders, source.path) for block in records.blocks(stream)]
        broken = {builder.name for builder in builders if builder.broken}
        if not broken:
            break
        texts_only |= broken  # what looked like numbers on the head is texts further on
    if not records.n_rows:
        hint = "; if it has no header, give header=False" if head.header else ""
        raise FileFormatError(f"{source.path}: the file has a header and no rows{hint}")
    return _content(head, encoding, records, builders, np.concatenate(lines), source)


@contextmanager
def _text_stream(source: Source, encoding: Encoding) -> Iterator[io.TextIOWrapper]:
    with damage_named(source.path), source.open() as file:
        buffered: Any = file if isinstance(file, io.BufferedIOBase) else io.BufferedReader(file)
        text = io.TextIOWrapper(buffered, encoding.name, encoding.errors)
        try:
            yield text
        except UnicodeDecodeError as error:
            raise FileFormatError(f"{source.path}: not {encoding.name} text ({error.reason})") from None
        finally:
            text.detach()


class _Head:
    """The head of a file, and what it says of the whole: dialect, names, formats of numbers."""

    def __init__(self, source: Source, encoding: Encoding, layout: Layout) -> None:
        self.path, self.layout = source.path, layout
        lines = self._lines(source, encoding)
        self.dialect = find_dialect(lines, layout.separator, name=source.path)
        records = self._records(lines)
        if not records:
            raise FileFormatError(f"{source.path}: the file is empty; write one row per line")
        self.header = self._has_header(records)
        self.n_skipped = self.dialect.n_preamble + (self.header and not self.dialect.commented_header)
        names = records[0] if self.header else []
        body = records[1:] if self.header else records
        names = self._fitted(names, body)
        self.names, self.name_notes = make_names(names, self.dialect.width)
        self.named = max((i + 1 for i, name in enumerate(names) if name), default=self.dialect.width)
        self.has_names = bool(names)
        self.fields = self._fields(body)
        self.decimal = layout.decimal or decimal_of(self.fields, self.dialect.separator)

    def _lines(self, source: Source, encoding: Encoding) -> list[str]:
        with _text_stream(source, encoding) as stream:
            text = stream.read(HEAD)
            if len(text) == HEAD:
                text += stream.readline(HEAD)
        return text.splitlines(keepends=True) if "\x0b" not in text else io.StringIO(text).readlines()

    def _records(self, lines: list[str]) -> list[list[str]]:
        """Return the records of the head, a header in a comment first."""
        mark = self.dialect.comment
        header, last_comment = self.dialect.commented_header, ""
        bare: list[str] = []
        for line in lines:
            if mark and line.lstrip().startswith(mark):
                if not bare:
                    last_comment = line.lstrip().removeprefix(mark)
                    continue
                if len(next(self.dialect.split([line]))) != self.dialect.width:
                    continue
            bare.append(line)
        found = [[text.strip() for text in fields] for fields in self.dialect.split(bare)]
        found = [fields for fields in found if any(fields)][self.dialect.n_preamble :]
        if header:
            found.insert(0, [text.strip() for text in next(self.dialect.split([last_comment]))])
        return found

    def _has_header(self, records: list[list[str]]) -> bool:
        if self.dialect.commented_header:
            return True
        known, layout = self.layout.known_names, self.layout
        if layout.header is None and known and 2 * len(known & set(records[0])) >= len(known):
            return True
        return has_header(records) if layout.header is None else layout.header

    def _fitted(self, names: list[str], body: list[list[str]]) -> list[str]:
        """Return as many names as there are columns: rows may have a trailing separator, or names of their own."""
        width = self.dialect.width
        if len(names) == width - 1 and any(row[-1] for row in body if len(row) == width):
            return ["", *names]
        while len(names) > width and not names[-1]:
            names = names[:-1]
        if len(names) > width:
            raise FileFormatError(
                f"{self.path}: the header has {len(names)} names, the rows have {width} fields; add or remove "
                "separators"
            )
        return names + [""] * (width - len(names)) if names else []

    def _fields(self, body: list[list[str]]) -> dict[str, list[str]]:
        """Return the texts of each column on the head, missing values left out."""
        missing = self.layout.missing
        rows = [row for row in body if len(row) == self.dialect.width] or body
        return {
            name: [row[i] for row in rows if i < len(row) and not is_missing(row[i], missing)]
            for i, name in enumerate(self.names)
        }

    def builders(self, texts_only: set[str]) -> list[ColumnBuilder]:
        """Return a builder for each column; on the head it is decided which hold numbers."""
        found = []
        for name, fields in self.fields.items():
            numbers = None if name in texts_only else format_of(fields, decimal=self.decimal)
            found.append(ColumnBuilder(name, numbers, self.layout.missing))
        return found


def _parse(pandas: Any, block: Block, head: _Head, builders: Sequence[ColumnBuilder], path: str) -> NDArray[np.int64]:
    """Let pandas find the fields of a block, and give them to the columns; the lines of its rows."""
    dialect: Dialect = head.dialect
    separator = r"\s+" if dialect.separator == BLANKS else DELIMITER.get(dialect.separator, dialect.separator)
    mark = separator[-1] if dialect.separator != BLANKS else " "
    after = "".join(sign for sign in ".,/:-" if sign != mark)  # decimals, dates and times begin with zeros too
    codes = re.search(rf"(?:^|[\s{re.escape(mark)}{dialect.quote}])[-+]?0\d+\b(?![{re.escape(after)}])", block.text)
    plain = [
        position
        for position, builder in enumerate(builders)
        if codes is None and builder.format is not None and not builder.format.thousands + builder.format.signs
    ]
    options: dict[str, Any] = {
        "sep": separator,
        "header": None,
        "names": range(dialect.width),
        "index_col": False,
        "quotechar": dialect.quote,
        "skipinitialspace": True,
        "engine": "c",
        "low_memory": False,
        "keep_default_na": False,
    }
    if tuple(map(int, pandas.__version__.split(".")[:2])) < EXACT_PANDAS:
        options["float_precision"] = "round_trip"
    markers = [*MISSING_AS_WRITTEN, *head.layout.missing]
    kinds = {
        i: "category" if builder.format is None else object for i, builder in enumerate(builders) if i not in plain
    }
    decimal = "," if any(builders[i].format.decimal == "," for i in plain) else "."  # type: ignore[union-attr]
    frame = pandas.read_csv(
        io.StringIO(block.text),
        dtype=kinds,
        na_values=dict.fromkeys(plain, markers),
        decimal=decimal,
        **options,
    )
    if len(frame) != len(block.lines):
        raise FileFormatError(
            f"{path}, lines {block.lines[0]} to {block.lines[-1]}: {len(block.lines)} rows are read as {len(frame)}; "
            "check the quotes there"
        )
    again = []
    for position, builder in enumerate(builders):
        column = frame[position]
        if position in kinds:
            if builder.format is None:
                texts = column.cat.categories.tolist()
                if all(isinstance(text, str) for text in texts):
                    builder.add_codes(column.cat.codes.to_numpy(), texts)
                else:
                    again.append(position)  # pandas makes numbers of categories that look like them: 007 would be 7
            else:
                builder.add(column.tolist())
        elif not builder.add_numbers(column.to_numpy()):
            again.append(position)
    if again:
        frame = pandas.read_csv(io.StringIO(block.text), dtype=object, na_filter=False, usecols=again, **options)
        for position in again:
            builders[position].add(frame[position].tolist())
    return block.lines


def _content(
    head: _Head,
    encoding: Encoding,
    records: Records,
    builders: Sequence[ColumnBuilder],
    lines: NDArray[np.int64],
    source: Source,
) -> Content:
    columns: dict[str, Column] = {}
    damaged: list[Damage] = []
    kept = []
    for position, builder in enumerate(builders):
        column = builder.finish(head.decimal, keep_texts=builder.name in head.layout.as_texts)
        if position >= head.named and missing_rows(column).all():
            continue
        kept.append(builder)
        columns[builder.name] = column
        damaged += [Damage(row, int(lines[row]), builder.name, text) for row, text in builder.damaged]
    notes = [*source.notes, *encoding.notes, *_layout_notes(head, records), *column_notes(kept)]
    if len(kept) < len(builders):
        notes.append(f"{_counted(len(builders) - len(kept), 'empty column')} at the end left out")
    warnings = list(encoding.warnings)
    if records.bad:
        line, found = records.bad[0]
        warnings.append(
            f"{_counted(len(records.bad), 'row')} with the wrong number of fields left out; the first is line {line}, "
            f"with {_counted(found, 'field')} where the table has {head.dialect.width}"
        )
    damaged.sort(key=lambda field: (field.row, field.column))
    return Content(columns, lines, head.has_names, tuple(notes), tuple(warnings), tuple(damaged))


def _layout_notes(head: _Head, records: Records) -> list[str]:
    dialect = head.dialect
    names = "the first row holds the names" if head.header else f"no header: columns are {head.names[0]!r}, ..."
    notes = [f"separated by {dialect.describe()}" if dialect.separator else "one column", names]
    if dialect.commented_header:
        notes[-1] = "the names stand in a comment"
    if dialect.quote != '"':
        notes.append("single quotes")
    if dialect.n_preamble:
        notes.append(f"{_counted(dialect.n_preamble, 'row')} before the table left out")
    if dialect.comment:
        notes.append(f"lines that begin with {dialect.comment} are comments")
    if records.n_blank:
        notes.append(f"{_counted(records.n_blank, 'row')} without anything in them left out")
    return [*notes, *head.name_notes]


def column_notes(builders: Sequence[ColumnBuilder]) -> list[str]:
    """Return what is unusual about the numbers, each form once with its columns."""
    forms: dict[str, list[str]] = {}
    words: dict[str, int] = {}
    for builder in builders:
        for form in builder.format.describe() if builder.format else ():
            forms.setdefault(form, []).append(builder.name)
        for word, count in builder.words.items():
            words[word] = words.get(word, 0) + count
    notes = [f"{form} in {listed(names)}" for form, names in forms.items()]
    return notes + [
        f"{word!r} among numbers is a missing value ({count:,})" for word, count in islice(words.items(), 10)
    ]


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def listed(names: Sequence[str]) -> str:
    """Return names for a message, the first few of many."""
    more = f", ... ({len(names)} in all)" if len(names) > MOST_LISTED else ""
    return ", ".join(map(repr, names[:MOST_LISTED])) + more
