"""Tables of numbers from .csv, .tsv and .npz files, with errors that say where the file is wrong."""

import codecs
import csv
import gzip
import itertools
import math
import os
import re
import zipfile
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn.errors import FileFormatError

__all__ = ["Table", "looks_like_labels", "read_table"]

_GZIP_MAGIC = b"\x1f\x8b"
_MAX_DEFLATE_RATIO = 1032  # one byte of deflate's output never stands for more
_MAX_LINE = 1 << 24  # bytes; a million columns fit
_MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})
_MAX_CLASSES = 100
_OTHER_FORMATS = (".json", ".xlsx", ".xls", ".parquet", ".feather", ".npy", ".mat", ".h5", ".hdf5", ".pkl", ".pickle")


@dataclass(frozen=True, eq=False)
class Table:
    """What `read_table` read.

    Attributes
    ----------
    X : ndarray of float64, shape (n, n_features)
        The features, finite.
    y : ndarray or None
        The target: float64 numbers of shape (n,), or, if the file holds text there, int64 indices into
        `class_names`; None without a target. From a .npz file numbers may also have shape (n, n_outputs).
    column_names : tuple of str
        The names of the columns of `X`.
    target_name : str or None
        The name of the target; None without one.
    class_names : tuple of str or None
        The distinct texts of the target, sorted; None unless the target is text.
    """

    X: NDArray[np.float64]
    y: NDArray[np.float64] | NDArray[np.int64] | None
    column_names: tuple[str, ...]
    target_name: str | None
    class_names: tuple[str, ...] | None


def read_table(
    path: str | os.PathLike[str],
    *,
    target: str | int | Literal[False] | None = None,
    header: bool | Literal["auto"] = "auto",
    columns: Sequence[str] | None = None,
) -> Table:
    r"""Read a table of numbers, with or without a target column.

    Parameters
    ----------
    path : str or os.PathLike
        A .npz file, or else a text file, gzipped or not: UTF-8, one row per line, fields separated by
        commas, semicolons or tabs (whichever the first line has most of; always tabs if the name ends in
        .tsv or .tsv.gz), quoted with ``"`` where need be. Blank lines are skipped.
    target : str, int, False or None, optional
        The column to predict, by name or by index in the file (from 0; negative ones count from the end);
        None, the default, means the last column, False that there is none.
    header : bool or "auto", optional
        Whether the first row holds names. "auto", the default: it does if it has a text above a number,
        or texts and no number. Columns without a name are called "column 1", "column 2", ...
    columns : sequence of str, optional
        The names of the feature columns to take, in this order; other columns may then hold anything.
        Default: all but the target, in the order of the file.

    Returns
    -------
    Table
        The features, the target and their names.

    Raises
    ------
    FileFormatError
        If the file is empty, damaged or not UTF-8, lacks a column asked for, names a column twice, has rows
        of different lengths, missing or infinite values, text in a feature column, or both texts and
        numbers in the target.
    OSError
        If the file cannot be read.
    TypeError
        If `target`, `header` or `columns` is none of the above.
    ValueError
        If `columns` is empty, has a name twice or contains the target, or if `target` is a column of a .npz
        file.

    Notes
    -----
    An empty field, ``?``, ``NA``, ``N/A``, ``NaN``, ``null`` and ``none`` (in any case) are missing values;
    in a target of texts, all but the empty field are texts.

    A .npz file holds the features as the array ``X`` (or ``x``), of shape (n, n_features), and may hold the
    target as ``y``, of shape (n,) or (n, n_outputs), which `target` can only take (None) or leave (False).
    Its columns have no names of their own; `header` means nothing there. Pickled objects are refused.

    Numbers are kept in 8 bytes each while a file is read; a header that announces more data than the file
    can hold is refused before memory is taken for them.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastnn.tables.reading import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "fruit.csv")
    ...     n_characters = file.write_text("weight,width,fruit\n150,7.1,orange\n170,7.5,apple\n")
    ...     table = read_table(file)
    >>> table.X
    array([[150. ,   7.1],
           [170. ,   7.5]])
    >>> table.column_names, table.target_name
    (('weight', 'width'), 'fruit')
    >>> table.y, table.class_names
    (array([1, 0]), ('apple', 'orange'))
    """
    name = os.fspath(path)
    if target is True or not (target is None or isinstance(target, str | Integral)):
        raise TypeError(f"target must be a column's name or index, None or False, got {target!r}")
    if not isinstance(header, bool) and header != "auto":
        raise TypeError(f"header must be True, False or 'auto', got {header!r}")
    if columns is not None:
        columns = _check_columns(columns)
    if name.lower().endswith(_OTHER_FORMATS):
        raise FileFormatError(f"{name}: {name[name.rindex('.') :]} files are not read; give .csv, .tsv or .npz")
    if name.lower().endswith(".npz"):
        return _read_npz(name, target, columns)
    with open(name, "rb") as file:
        gzipped = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if not gzipped:
            return _read_text(file, name, target, header, columns)
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _read_text(unpacked, name, target, header, columns)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileFormatError(f"{name}: damaged or truncated gzip data ({error})") from None


def looks_like_labels(y: ArrayLike) -> bool:
    """Tell whether numbers look like class labels rather than quantities.

    They do if they are one-dimensional, whole, and their distinct values are exactly 0, 1, ..., k - 1, with k
    from 2 to 100 and, on average, at least two examples for each.

    Parameters
    ----------
    y : array_like, shape (n,)
        The targets.

    Returns
    -------
    bool
        Whether the rule holds; False for anything that is not an array of numbers.

    Examples
    --------
    >>> from fastnn.tables.reading import looks_like_labels
    >>> looks_like_labels([0.0, 2.0, 1.0, 1.0, 0.0, 2.0]), looks_like_labels([0.0, 0.5, 1.0, 1.0])
    (True, False)
    """
    values = np.asarray(y)
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        return False
    distinct = np.unique(values)
    k = distinct.size
    return 2 <= k <= _MAX_CLASSES and values.size >= 2 * k and np.array_equal(distinct, np.arange(k))


def _check_columns(columns: Any) -> tuple[str, ...]:
    if isinstance(columns, str) or not isinstance(columns, Sequence):
        raise TypeError(f"columns must be a sequence of names, got {type(columns).__name__}")
    if not all(isinstance(column, str) for column in columns):
        raise TypeError(f"columns must be names, got {list(columns)!r:.80}")
    if not columns:
        raise ValueError("columns must name at least one column, got none")
    if repeated := _first_repeated(columns):
        raise ValueError(f"columns must name each column once, got {repeated!r} twice")
    return tuple(columns)


def _first_repeated(names: Iterable[str]) -> str | None:
    seen = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


class _Layout:
    """Which fields of a row are features and which is the target; where errors are, in words."""

    def __init__(
        self,
        path: str,
        names: Sequence[str],
        target: str | int | None,
        columns: Sequence[str] | None,
    ) -> None:
        self.path = path
        self.names = names
        self.target = self._target_index(target)
        index = {name: position for position, name in enumerate(names)}
        if columns is None:
            self.features = [position for position in range(len(names)) if position != self.target]
        else:
            if missing := [name for name in columns if name not in index]:
                raise FileFormatError(f"{path}: no column {_listed(missing)}; it has {_listed(names)}")
            self.features = [index[name] for name in columns]
        if self.target in self.features:
            raise ValueError(
                f"columns names {names[self.target]!r}, which is the target"
                + ("; give target=False if there is none" if target is None else "")
            )
        if not self.features:
            raise FileFormatError(f"{path}: no column is left beside the target {names[0]!r}")

    def _target_index(self, target: str | int | None) -> int | None:
        n = len(self.names)
        if target is None:
            return n - 1
        if target is False:
            return None
        if isinstance(target, str):
            if target not in self.names:
                raise FileFormatError(f"{self.path}: no column {target!r}; it has {_listed(self.names)}")
            return list(self.names).index(target)
        if not -n <= target < n:
            raise FileFormatError(f"{self.path}: no column of index {target}; it has {n} columns")
        return int(target) % n

    def at(self, line: int, position: int) -> str:
        """Say where a field stands."""
        default = _default_name(position)
        name = "" if self.names[position] == default else f" ({_short(self.names[position])})"
        return f"{self.path}, line {line}, {default}{name}"

    def check_number(self, line: int, position: int, field: str) -> None:
        """Refuse a feature that is not a finite number."""
        kind = _kind(field)
        if kind == "missing":
            raise self.missing_value(line, position, field)
        if kind == "text":
            hint = "write a number, name the column as the target, or leave it out with columns=[...]"
            if re.fullmatch(r"\s*[-+]?\d+,\d+\s*", field):
                hint = "write decimal points, not commas"
            raise FileFormatError(f"{self.at(line, position)}: {_short(field)} is not a number; {hint}")
        if not math.isfinite(float(field)):
            raise FileFormatError(
                f"{self.at(line, position)}: {_short(field)} is not finite; write a number that float64 can "
                "hold or remove the row"
            )

    def missing_value(self, line: int, position: int, field: str) -> FileFormatError:
        """Make the error for a missing value."""
        return FileFormatError(
            f"{self.at(line, position)}: missing value ({_short(field)}); fill it in or remove the row"
        )


class _Target:
    """The target column: each distinct text is kept once, with the line it first stood in."""

    def __init__(self, layout: _Layout, position: int) -> None:
        self._layout = layout
        self._position = position
        self._seen: dict[str, tuple[int, int]] = {}
        self._codes = array("q")

    def append(self, line: int, field: str) -> None:
        text = field.strip()
        if not text:
            raise self._layout.missing_value(line, self._position, field)
        entry = self._seen.setdefault(text, (len(self._seen), line))
        self._codes.append(entry[0])

    def finish(self) -> tuple[NDArray[np.float64] | NDArray[np.int64], tuple[str, ...] | None]:
        """Return the target's values and, if it is text, its class names."""
        codes = np.frombuffer(self._codes, np.int64)
        texts = list(self._seen)
        first = {_kind(text): text for text in reversed(texts)}
        if "text" in first and "number" in first:
            text, number = first["text"], first["number"]
            raise FileFormatError(
                f"{self._layout.at(self._seen[text][1], self._position)}: {_short(text)} is text, but line "
                f"{self._seen[number][1]} holds the number {_short(number)}; write all targets as numbers or "
                "all as texts"
            )
        if "text" in first:
            names, ranks = np.unique(np.array(texts, dtype=object), return_inverse=True)
            return ranks[codes].astype(np.int64), tuple(names)
        for text in texts:
            self._layout.check_number(self._seen[text][1], self._position, text)
        return np.array([float(text) for text in texts])[codes], None


def _read_text(
    stream: BinaryIO | gzip.GzipFile,
    path: str,
    target: str | int | None,
    header: bool | Literal["auto"],
    columns: Sequence[str] | None,
) -> Table:
    rows = _rows(_lines(stream, path), path)
    first = next(rows, None)
    if first is None:
        raise FileFormatError(f"{path}: the file is empty; write one row per line")
    second = next(rows, None)
    if header == "auto":
        header = _has_names(first[1], second[1] if second else [])
    body = [row for row in (None if header else first, second) if row is not None]
    if not body:
        raise FileFormatError(f"{path}: the file has a header and no rows; if it has no header, give header=False")
    layout = _Layout(path, _names(path, first, header), target, columns)
    width, features = len(first[1]), layout.features
    values = array("d")
    labels = None if layout.target is None else _Target(layout, layout.target)
    for line, fields in itertools.chain(body, rows):
        if len(fields) != width:
            raise FileFormatError(
                f"{path}, line {line}: {len(fields)} fields, but line {first[0]} has {width}; add or remove "
                "separators, or quote the fields that contain one"
            )
        picked = [fields[position] for position in features]
        try:
            numbers = [float(field) for field in picked]
        except ValueError:
            numbers = [math.nan]
        # float() takes 1_000 for 1000; in a table it is a text. An infinite sum may also be an overflow.
        if not math.isfinite(sum(numbers)) or "_" in "".join(picked):
            for position, field in zip(features, picked, strict=True):
                layout.check_number(line, position, field)
        values.extend(numbers)
        if labels is not None and layout.target is not None:
            labels.append(line, fields[layout.target])
    y, class_names = (None, None) if labels is None else labels.finish()
    return Table(
        X=np.frombuffer(values, np.float64).reshape(-1, len(features)),
        y=y,
        column_names=tuple(layout.names[position] for position in features),
        target_name=None if layout.target is None else layout.names[layout.target],
        class_names=class_names,
    )


def _lines(stream: BinaryIO | gzip.GzipFile, path: str) -> Iterator[str]:
    for number, line in enumerate(iter(lambda: stream.readline(_MAX_LINE + 1), b""), start=1):
        if len(line) > _MAX_LINE:
            raise FileFormatError(f"{path}, line {number}: longer than {_MAX_LINE} bytes; write one row per line")
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise FileFormatError(
                f"{path}, line {number}, byte {error.start + 1}: not UTF-8 text; save the file as UTF-8"
            ) from None


def _rows(lines: Iterator[str], path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the number of the line on which it begins."""
    head = []
    for text in lines:
        head.append(text)
        if text.strip():
            break
    else:
        return
    reader = csv.reader(
        itertools.chain(head, lines), delimiter=_delimiter(head[-1], path), skipinitialspace=True, strict=True
    )
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileFormatError(
                f"{path}, line {line}: not a row of fields ({error}); check its quotes and its line end"
            ) from None
        if len(fields) > 1 or "".join(fields).strip():
            yield line, fields


def _delimiter(line: str, path: str) -> str:
    if path.lower().endswith((".tsv", ".tsv.gz")):
        return "\t"
    return max(",;\t", key=re.sub(r'"[^"]*"', "", line).count)


def _kind(field: str) -> Literal["missing", "number", "text"]:
    if field.strip().lower() in _MISSING:
        return "missing"
    try:
        float(field)
    except ValueError:
        return "text"
    return "text" if "_" in field else "number"


def _has_names(first: list[str], second: list[str]) -> bool:
    kinds = [_kind(field) for field in first]
    if "number" not in kinds:
        return "text" in kinds
    return any(above == "text" and _kind(below) == "number" for above, below in zip(kinds, second, strict=False))


def _names(path: str, first: tuple[int, list[str]], header: bool) -> list[str]:
    line, fields = first
    given = [field.strip() if header else "" for field in fields]
    names = [name or _default_name(position) for position, name in enumerate(given)]
    if repeated := _first_repeated(names):
        raise FileFormatError(
            f"{path}, line {line}: two columns are named {_short(repeated)}; rename one, or give "
            "header=False if the line is not a header"
        )
    return names


def _default_name(position: int) -> str:
    return f"column {position + 1}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(_short(name) for name in names[:10]) + (", ..." if len(names) > 10 else "")


def _read_npz(path: str, target: str | int | None, columns: Sequence[str] | None) -> Table:
    if target is not None and target is not False:
        raise ValueError(f"target must be None or False for a .npz file, got {target!r}")
    try:
        with zipfile.ZipFile(path) as archive:
            X = _read_member(archive, path, ("X", "x"), "biuf")
            y = None if target is False else _read_member(archive, path, ("y",), "biufU")
    except FileFormatError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise FileFormatError(f"{path}: not a .npz file, or damaged ({error})") from None
    if X is None:
        raise FileFormatError(f"{path}: no array named X; save it with numpy.savez(path, X=..., y=...)")
    if X.ndim != 2 or not X.size:
        raise FileFormatError(f"{path}: X must have shape (n, n_features) and not be empty, got {X.shape}")
    layout = _Layout(path, [_default_name(position) for position in range(X.shape[1])], False, columns)
    features = _finite_float64(X if columns is None else X[:, layout.features], f"{path}: X")
    values, class_names = (None, None) if y is None else _npz_target(y, len(X), path)
    return Table(
        X=features,
        y=values,
        column_names=tuple(layout.names[position] for position in layout.features),
        target_name=None if y is None else "y",
        class_names=class_names,
    )


def _npz_target(
    y: NDArray[Any], n: int, path: str
) -> tuple[NDArray[np.float64] | NDArray[np.int64], tuple[str, ...] | None]:
    if y.ndim not in (1, 2) or len(y) != n or not y.size:
        raise FileFormatError(f"{path}: y must have shape ({n},) or ({n}, n_outputs), got {y.shape}")
    if y.dtype.kind != "U":
        return _finite_float64(y, f"{path}: y"), None
    if y.ndim != 1:
        raise FileFormatError(f"{path}: y holds texts, so it must have shape ({n},), got {y.shape}")
    # NumPy takes any 32-bit numbers for characters; Python's own strings break on those that are none.
    characters = np.ascontiguousarray(y, y.dtype.newbyteorder("=")).view(np.uint32)
    if ((characters > 0x10FFFF) | ((characters >= 0xD800) & (characters <= 0xDFFF))).any():
        raise FileFormatError(f"{path}: y holds texts that are not Unicode")
    names, indices = np.unique(y, return_inverse=True)
    if not names[0]:
        raise FileFormatError(f"{path}: y has a missing value in row {np.argmin(indices)}; fill it in")
    return indices.astype(np.int64), tuple(names.tolist())


def _read_member(archive: zipfile.ZipFile, path: str, names: Sequence[str], kinds: str) -> NDArray[Any] | None:
    """Read the first of the arrays `names` that the archive has, once its header is known to be honest."""
    present = set(archive.namelist())
    name = next((name for name in names if f"{name}.npy" in present), None)
    if name is None:
        return None
    info = archive.getinfo(f"{name}.npy")
    file_size = os.path.getsize(path)
    if not 0 <= info.header_offset < file_size:
        raise FileFormatError(f"{path}: damaged, {name} should begin at byte {info.header_offset}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FileFormatError(f"{path}: {name} is compressed in a way that NumPy does not use")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read_header is None:
            raise FileFormatError(f"{path}: {name} has the unknown .npy version {version}")
        shape, _, dtype = read_header(member)
        n_bytes = member.tell() + math.prod(shape) * dtype.itemsize
    if dtype.kind not in kinds or not dtype.itemsize:
        what = "real numbers or texts" if "U" in kinds else "real numbers"
        raise FileFormatError(f"{path}: {name} must hold {what}, got dtype {dtype}")
    if n_bytes != info.file_size or n_bytes > file_size * _MAX_DEFLATE_RATIO:
        raise FileFormatError(f"{path}: {name} is not as long as its shape {shape} says")
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _finite_float64(given: NDArray[Any], what: str) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        numbers = given.astype(np.float64)
    finite = np.isfinite(numbers)
    if not finite.all():
        place = np.argwhere(~finite)[0].tolist()
        raise FileFormatError(f"{what}{place} is {numbers[tuple(place)]}; fill it in or remove the row")
    return numbers
