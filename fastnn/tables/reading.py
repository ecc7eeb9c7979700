"""Tables from files of any kind: the content says how they are read, not the name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .builder import Damage
from .columns import Column, Texts, n_rows_of
from .formats import read_arff, read_excel, read_libsvm, read_parquet
from .npz import read_npz
from .source import import_library, open_source
from .text import Content, Layout, read_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Table", "read_table"]

READERS = {
    "text": read_text,
    "parquet": read_parquet,
    "xlsx": read_excel,
    "xls": read_excel,
    "arff": read_arff,
    "libsvm": read_libsvm,
}


@dataclass(frozen=True, eq=False)
class Table:
    """A table from a file, and what was found out about the file.

    Attributes
    ----------
    path : str
        The file.
    kind : str
        Its format: "text", "npz", "parquet", "xlsx", "xls", "arff" or "libsvm".
    columns : dict
        Each column by its name: an array of numbers or times, NaN and NaT where a value is missing, or `Texts`.
    has_names : bool
        Whether the file names its columns; else they are "column 1", "column 2", ...
    targets : tuple of str
        The columns that the file itself sets apart as targets: y of a .npz file.
    lines : ndarray or None
        The line of the file, or row of the sheet, on which each row begins; None where it is row + 1.
    notes : tuple of str
        How the file was understood.
    warnings : tuple of str
        What is damaged in it.
    damaged : tuple of Damage
        Texts in columns of numbers. They are missing values in `columns`.
    digest : str
        SHA-256 of the file.
    """

    path: str
    kind: str
    columns: dict[str, Column]
    has_names: bool
    targets: tuple[str, ...]
    lines: NDArray[np.int64] | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    damaged: tuple[Damage, ...]
    digest: str

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return n_rows_of(self.columns)

    def line_of(self, row: int) -> int:
        """Return the line of the file on which a row stands."""
        return row + 1 if self.lines is None else int(self.lines[row])

    def frame(self) -> Any:
        """Return the table as a DataFrame of pandas; texts are categories."""
        pandas = import_library("pandas", "pandas", "tables", "a DataFrame")
        return pandas.DataFrame(
            {
                name: pandas.Categorical.from_codes(column.codes, list(column.distinct))
                if isinstance(column, Texts)
                else column
                for name, column in self.columns.items()
            }
        )


def read_table(
    path: str | os.PathLike[str],
    *,
    header: bool | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    missing: Iterable[str] = (),
    as_texts: Iterable[str] = (),
    known_names: Iterable[str] = (),
    keep_empty: bool = False,
) -> Table:
    r"""Read a table from a file.

    Parameters
    ----------
    path : path
        Text with separators (commas, semicolons, tabs, bars, or any number of blanks), Parquet, Excel, ARFF, libsvm,
        or .npz, as it is or packed (gzip, bzip2, xz, zstd, or one file in a zip or tar archive).
    header : bool, optional
        Whether the first row holds the names of the columns. Default: found out.
    separator : str, optional
        What stands between fields, "blanks" for any number of blanks. Default: found out.
    decimal : {".", ","}, optional
        The decimal sign. Default: found out, from all columns.
    encoding : str, optional
        Default: that of the byte order mark; UTF-8 if the file is; else Windows-1252.
    missing : iterable of str, optional
        More texts that stand for a missing value, such as "-999".
    as_texts : iterable of str, optional
        Columns whose fields stay texts even where all are numbers.
    known_names : iterable of str, optional
        Names that the columns may have: a first row that holds half of them is a header.
    keep_empty : bool, default False
        Whether rows of a text file that hold separators and nothing else are rows, whose values are all missing.

    Returns
    -------
    Table

    Raises
    ------
    FileFormatError
        If the file is empty or damaged, holds no table, or its rows have different numbers of fields.
    ImportError
        If the library that reads the format is missing; the message names the extra that brings it.
    OSError
        If the file cannot be read.
    TypeError, ValueError
        If an argument makes no sense.

    Notes
    -----
    An empty field, ``?``, ``NA``, ``N/A``, ``NaN``, ``null`` and the like are missing values; among numbers also
    ``none``, ``-``, ``unknown`` and the like. Numbers may have thousands separators, percent signs (12% is 12) and
    currency signs. A column holds numbers if nine fields in ten are numbers; the others are then missing values, and
    listed in `damaged`. Whole numbers with zeros before them, as in 007, stay texts. Rows without anything in them are
    left out, and so are rows with the wrong number of fields while they are at most one in a hundred; more are refused.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastnn.tables import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "fruit.csv")
    ...     n_characters = file.write_text("weight;price;fruit\n150;1,5;orange\n170;;apple\n")
    ...     table = read_table(file)
    >>> table.columns["price"]
    array([1.5, nan])
    >>> table.notes
    ('separated by semicolons', 'the first row holds the names', "decimal commas in 'price'")
    """
    layout = _layout(header, separator, decimal, encoding, missing, as_texts, known_names)
    layout = replace(layout, keep_empty=bool(keep_empty))
    source = open_source(path)
    content: Content
    targets: tuple[str, ...] = ()
    if source.kind == "npz":
        content, targets = read_npz(source)
    else:
        content = READERS[source.kind](source, layout)
    return Table(
        source.path,
        source.kind,
        content.columns,
        content.has_names,
        targets,
        content.lines,
        content.notes,
        content.warnings,
        content.damaged,
        source.digest(),
    )


def _layout(
    header: Any, separator: Any, decimal: Any, encoding: Any, missing: Any, as_texts: Any, known_names: Any
) -> Layout:
    if header is not None and not isinstance(header, bool):
        raise TypeError(f"header must be True, False or None, got {header!r:.80}")
    if separator is not None and (not isinstance(separator, str) or (len(separator) != 1 and separator != "blanks")):
        raise ValueError(f"separator must be one character or 'blanks', got {separator!r:.80}")
    if decimal not in (None, ".", ","):
        raise ValueError(f"decimal must be '.' or ',', got {decimal!r:.80}")
    if encoding is not None and not isinstance(encoding, str):
        raise TypeError(f"encoding must be a name, got {encoding!r:.80}")
    sets: dict[str, Any] = {}
    for name, given in (("missing", missing), ("as_texts", as_texts), ("known_names", known_names)):
        found = None if isinstance(given, str) else list(given)
        if found is None or not all(isinstance(text, str) for text in found):
            raise TypeError(f"{name} must be a sequence of texts, got {given!r:.80}")
        sets[name] = frozenset(found)
    return Layout(header, "blanks" if separator == " " else separator, decimal, encoding, **sets)
