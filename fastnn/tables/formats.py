"""Tables of other formats than text, each read by its own library: Parquet, Excel, ARFF, libsvm."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FileFormatError
from .builder import ColumnBuilder, Damage
from .columns import Column, Texts, column_of, default_name, texts_of
from .encoding import find_encoding
from .header import has_header, make_names
from .numbers import decimal_of
from .source import Source, damage_named, import_library, in_memory
from .text import Content, Layout, column_notes

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_arff", "read_excel", "read_libsvm", "read_parquet"]

MOST_DENSE = 1 << 30
"""Numbers that sparse rows may have once their zeros are written out."""


def read_parquet(source: Source, layout: Layout) -> Content:
    """Read a Parquet file with pandas and pyarrow."""
    pandas = import_library("pandas", "pandas", "tables", f"reading {source.path}")
    import_library("pyarrow", "pyarrow", "parquet", f"reading {source.path}")
    content = in_memory(source) if source.notes else source.path
    try:
        frame = pandas.read_parquet(content)
    except OSError as error:
        if error.errno is not None:
            raise
        raise FileFormatError(f"{source.path}: not a sound Parquet file ({error})") from None
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise FileFormatError(f"{source.path}: not a sound Parquet file ({error})") from None
    return _typed(source, frame, ("Parquet",), layout)


def _typed(source: Source, frame: Any, notes: Sequence[str], layout: Layout) -> Content:
    """Return the columns of a DataFrame; columns of texts may hold numbers as people write them."""
    labels = [str(label) for label in frame.columns]
    if not len(frame) or not labels:
        raise FileFormatError(f"{source.path}: the table has no rows or no columns")
    names, name_notes = make_names(labels, len(labels))
    columns: dict[str, Column] = {}
    damaged: list[Damage] = []
    builders: list[ColumnBuilder] = []
    for position, name in enumerate(names):
        try:
            column = column_of(name, frame.iloc[:, position], layout.missing)
        except (TypeError, ValueError) as error:
            raise FileFormatError(f"{source.path}: {error}; drop it before the table is written") from None
        if isinstance(column, Texts):
            builder = ColumnBuilder(name, None, layout.missing)
            column = builder.settle(column, layout.decimal, keep_texts=name in layout.as_texts)
            builders.append(builder)
            damaged += [Damage(row, row + 1, name, text) for row, text in builder.damaged]
        columns[name] = column
    found = [*source.notes, *notes, *column_notes(builders), *name_notes]
    return Content(columns, None, True, tuple(found), (), tuple(damaged))


def read_excel(source: Source, layout: Layout) -> Content:
    """Read the first sheet of an Excel file that holds a table."""
    pandas = import_library("pandas", "pandas", "tables", f"reading {source.path}")
    library = ("openpyxl", "openpyxl") if source.kind == "xlsx" else ("xlrd", "xlrd")
    engine = import_library(*library, "excel", f"reading {source.path}").__name__
    try:
        with damage_named(source.path), pandas.ExcelFile(in_memory(source), engine=engine) as book:
            sheets = pandas.read_excel(book, sheet_name=None, header=None, dtype=object)
    except FileFormatError:
        raise
    except Exception as error:  # the libraries have no exception of their own for damaged files
        raise FileFormatError(f"{source.path}: not a sound Excel file ({error!r:.200})") from None
    filled = {name: sheet for name, sheet in sheets.items() if sheet.notna().to_numpy().sum() > 1}
    if not filled:
        raise FileFormatError(f"{source.path}: the file is empty; write one row per line")
    name, sheet = next(iter(filled.items()))
    notes = [f"Excel, sheet {name!r}"]
    if len(filled) > 1:
        notes.append(f"other sheets are left aside: {', '.join(map(repr, list(filled)[1:6]))}")
    return _grid(source, sheet.to_numpy(object), notes, layout)


def _grid(source: Source, cells: NDArray[Any], notes: list[str], layout: Layout) -> Content:
    """Return the columns of a sheet: empty rows and columns left out, lines before the table too."""
    import pandas as pd

    filled = ~pd.isna(cells)
    rows, kept = np.flatnonzero(filled.any(axis=1)), np.flatnonzero(filled.any(axis=0))
    blank = int(rows[-1]) + 1 - len(rows)
    widths = filled[np.ix_(rows, kept)].sum(axis=1)
    preamble = int(np.argmax(widths > 1)) if len(kept) > 1 else 0
    cells, lines = cells[np.ix_(rows[preamble:], kept)], rows[preamble:] + 1
    head = [[_cell_text(cell) for cell in row] for row in cells[:1000]]
    known = layout.known_names
    header = layout.header
    if header is None:
        header = (bool(known) and 2 * len(known & set(head[0])) >= len(known)) or has_header(head)
    names, name_notes = make_names(head[0] if header else [], cells.shape[1])
    cells, lines = cells[int(header) :], lines[int(header) :]
    if not len(cells):
        raise FileFormatError(f"{source.path}: the file has a header and no rows")
    fields = {name: [row[i] for row in head[int(header) :] if row[i]] for i, name in enumerate(names)}
    decimal = layout.decimal or decimal_of(fields, ",")
    columns: dict[str, Column] = {}
    builders = [ColumnBuilder(name, None, layout.missing) for name in names]
    for position, builder in enumerate(builders):
        column = column_of(builder.name, cells[:, position], layout.missing)
        if isinstance(column, Texts):
            column = builder.settle(column, decimal, keep_texts=builder.name in layout.as_texts)
        columns[builder.name] = column
    damaged = [Damage(row, int(lines[row]), each.name, text) for each in builders for row, text in each.damaged]
    notes.append("the first row holds the names" if header else f"no header: columns are {names[0]!r}, ...")
    if preamble:
        notes.append(f"the first {preamble} rows are no part of the table and left out")
    if blank:
        notes.append(f"{blank:,} rows without anything in them left out")
    notes = [*source.notes, *notes, *column_notes(builders), *name_notes]
    return Content(columns, lines.astype(np.int64), header, tuple(notes), (), tuple(damaged))


def _cell_text(cell: Any) -> str:
    if cell is None or cell != cell:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def read_arff(source: Source, layout: Layout) -> Content:
    """Read an ARFF file, dense or sparse: nominal attributes are texts even where they look like numbers."""
    library = import_library("arff", "liac-arff", "arff", f"reading {source.path}")
    encoding = find_encoding(source, layout.encoding)
    with damage_named(source.path), source.open() as file:
        text = io.StringIO(file.read().decode(encoding.name, encoding.errors), newline=None)
    try:
        found = library.load(text, encode_nominal=False)
    except Exception as error:  # besides its own exceptions, the library lets those of its parts pass
        raise FileFormatError(f"{source.path}: not a sound ARFF file ({error!r:.200})") from None
    if not found["data"]:
        raise FileFormatError(f"{source.path}: the file has a header and no rows")
    names, name_notes = make_names([str(name).strip() for name, _ in found["attributes"]], len(found["attributes"]))
    columns: dict[str, Column] = {}
    for position, (name, (_, kind)) in enumerate(zip(names, found["attributes"], strict=True)):
        values = [row[position] for row in found["data"]]
        if isinstance(kind, list) or name in layout.as_texts:
            columns[name] = replace(texts_of(values, layout.missing), nominal=isinstance(kind, list))
        elif kind in ("NUMERIC", "REAL", "INTEGER"):
            columns[name] = np.array([np.nan if value is None else value for value in values], np.float64)
        else:
            columns[name] = column_of(name, np.array(values, object), layout.missing)
    notes = [*source.notes, *encoding.notes, "ARFF", *name_notes]
    return Content(columns, None, True, tuple(notes))


def read_libsvm(source: Source, layout: Layout) -> Content:
    """Read a libsvm file with scikit-learn; the label comes last, as the column "label"."""
    library = import_library("sklearn.datasets", "scikit-learn", "sklearn", f"reading {source.path}")
    try:
        X, y = library.load_svmlight_file(in_memory(source))
    except (ValueError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{source.path}: not a sound libsvm file ({error})") from None
    if X.shape[0] * X.shape[1] > MOST_DENSE:
        raise FileFormatError(
            f"{source.path}: {X.shape[0]:,} sparse rows of {X.shape[1]:,} columns are too many for a table; give them "
            "to Network.fit as sparse rows"
        )
    table = X.toarray()
    columns: dict[str, Column] = {default_name(i): table[:, i] for i in range(table.shape[1])}
    columns["label"] = y
    notes = [*source.notes, f"libsvm, {X.nnz:,} numbers other than 0; the target is called 'label'"]
    return Content(columns, None, True, tuple(notes))
