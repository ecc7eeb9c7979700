"""The columns of a table: numbers, times, or texts stored as codes; and how they are taken from a caller's data."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Column",
    "Problem",
    "Texts",
    "as_texts",
    "check_columns",
    "columns_of",
    "count_texts",
    "default_name",
    "listed",
    "missing_rows",
    "n_rows_of",
    "number_text",
    "problems_of",
    "take",
    "without_none",
]

MISSING_AS_WRITTEN = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "#N/A", "#NA", "<NA>")
MISSING = frozenset(
    {
        "",
        "?",
        "na",
        "n/a",
        "nan",
        "-nan",
        "null",
        "#n/a",
        "#na",
        "<na>",
        "nat",
        "#n/a n/a",
        "1.#ind",
        "-1.#ind",
        "1.#qnan",
    }
)
"""Texts, in small letters, that stand for a missing value in a column of any kind."""


@dataclass(frozen=True, eq=False)
class Texts:
    """A column of texts: `distinct[codes[row]]` is the text of a row, code -1 a missing value.

    `nominal`: whether its source says that it holds categories, even where all texts are numbers.
    """

    codes: NDArray[np.signedinteger[Any]]
    distinct: tuple[str, ...]
    nominal: bool = False

    def __len__(self) -> int:
        return len(self.codes)

    def counts(self) -> NDArray[np.int64]:
        """Return how many rows hold each distinct text."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.distinct))

    def text_at(self, row: int) -> str:
        """Return the text of a row, "" for a missing value."""
        return self.distinct[self.codes[row]] if self.codes[row] >= 0 else ""

    def spread(self, values: NDArray[Any], missing: Any) -> NDArray[Any]:
        """Return for each row the value given for its distinct text, or `missing`."""
        decoded: np.ndarray = np.append(values, np.asarray([missing], values.dtype))[self.codes]
        return decoded


Column = NDArray[Any] | Texts
"""Numbers (float, integer, bool), times (datetime64), or texts."""


def default_name(position: int) -> str:
    """Return the name of a column that has none in its file."""
    return f"column {position + 1}"


def number_text(value: Any) -> str:
    """Return a number as the text of a category: 3 and 3.0 are both "3"."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)


def is_missing(text: str, more: frozenset[str] = frozenset()) -> bool:
    """Tell whether a text stands for a missing value."""
    folded = text.casefold()
    return folded in MISSING or text in more or folded in more


def missing_rows(column: Column) -> NDArray[np.bool_]:
    """Return which rows lack a value."""
    if isinstance(column, Texts):
        return column.codes < 0
    if column.dtype.kind == "M":
        return np.isnat(column)
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), bool)


def take(column: Column, rows: NDArray[Any]) -> Column:
    """Return the column's values of some rows."""
    return replace(column, codes=column.codes[rows]) if isinstance(column, Texts) else column[rows]


def n_rows_of(columns: Mapping[str, Column]) -> int:
    """Return the number of rows of a table."""
    return len(next(iter(columns.values()))) if columns else 0


def as_texts(column: Column) -> Texts:
    """Return a column as texts: whole numbers without a point, other numbers and times as Python writes them."""
    if isinstance(column, Texts):
        return column
    missing = missing_rows(column)
    values, codes = np.unique(column[~missing], return_inverse=True)
    names = tuple(str(value) for value in values) if column.dtype.kind == "M" else tuple(map(number_text, values))
    found = np.full(len(column), -1, np.int32)
    found[~missing] = codes
    return Texts(found, names)


def without_none(column: Column) -> Texts:
    """Return a category with "None" as a missing value: libraries that read tables often make one of it."""
    texts = as_texts(column)
    known = np.fromiter((text.casefold() != "none" for text in texts.distinct), bool, len(texts.distinct))
    if known.all():
        return texts
    codes = np.append(np.where(known, np.cumsum(known) - 1, -1), -1)[texts.codes]
    return Texts(codes, tuple(text for text, kept in zip(texts.distinct, known, strict=True) if kept))


def count_texts(column: Column) -> tuple[dict[str, int], int]:
    """Return how many rows of a category hold each text, and how many lack a value."""
    texts = without_none(column)
    pairs = zip(texts.distinct, texts.counts().tolist(), strict=True)
    return {text: count for text, count in pairs if count}, int((texts.codes < 0).sum())


def texts_of(values: Iterable[Any], missing: frozenset[str] = frozenset()) -> Texts:
    """Return objects as texts without the blanks around them; None, NaN and the words for missing have code -1."""
    known: dict[Hashable, int] = {}
    distinct: dict[str, int] = {}
    codes = np.empty(len(values), np.int32)  # type: ignore[arg-type]
    for row, value in enumerate(values):
        code = known.get(value)
        if code is None:
            code = known[value] = _code_of(value, distinct, missing)
        codes[row] = code
    return Texts(codes, tuple(distinct))


def is_absent(value: Any) -> bool:
    """Tell whether an object is None, NaN, or what a library has for a missing value."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def _code_of(value: Any, distinct: dict[str, int], missing: frozenset[str]) -> int:
    if is_absent(value):
        return -1
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    text = value.strip() if isinstance(value, str) else text_of(value)
    return -1 if is_missing(text, missing) else distinct.setdefault(text, len(distinct))


def text_of(value: Any) -> str:
    """Return any value as the text of a category."""
    return number_text(value) if isinstance(value, bool | int | float | np.number | np.bool_) else str(value).strip()


def check_columns(argument: str, names: Iterable[str], columns: Mapping[str, Column]) -> None:
    """Raise ValueError for a name that is no column's."""
    for name in names:
        if name not in columns:
            raise ValueError(f"{argument}: no column {name!r}; the table has {listed(columns)}")


def listed(names: Iterable[str]) -> str:
    """Return the first names of a table as an error shows them."""
    found = list(names)
    return ", ".join(map(repr, found[:10])) + (", ..." if len(found) > 10 else "")


def columns_of(X: Any, missing: frozenset[str] = frozenset()) -> dict[str, Column]:
    """Return the columns of a table of any library by their names.

    Parameters
    ----------
    X : DataFrame, mapping or array_like, (n, n_columns)
        A table of pandas or polars, a mapping from names to columns, or an array, whose columns are called
        "column 1", "column 2", ..., as are columns whose names are whole numbers from 0.
    missing : frozenset of str, optional
        More texts that stand for a missing value.

    Returns
    -------
    dict
        Each column as numbers, times or `Texts`.

    Raises
    ------
    TypeError, ValueError
        If X is no table, or its columns are of different lengths.
    """
    if isinstance(X, Mapping):
        given = {name: X[name] for name in X}
    elif hasattr(X, "columns") and hasattr(X, "__getitem__") and not callable(X.columns):
        labels = list(X.columns)
        if len(set(labels)) != len(labels):
            raise ValueError(f"X must name each column once, got {labels!r:.200}")
        given = {label: X[label] for label in labels}
    else:
        array = np.asarray(X)
        if array.ndim != 2:
            raise TypeError(f"X must be a table: a DataFrame, a mapping or an array (n, n_columns), got {X!r:.200}")
        given = {position: array[:, position] for position in range(array.shape[1])}
    if all(isinstance(name, int | np.integer) for name in given) and list(given) == list(range(len(given))):
        given = {default_name(int(position)): column for position, column in given.items()}
    columns = {str(name): column_of(str(name), values, missing) for name, values in given.items()}
    if len(columns) != len(given):
        raise ValueError(f"X must name each column once, got {list(given)!r:.200}")
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"X must have columns of one length, got lengths {sorted(lengths)}")
    return columns


def column_of(name: str, values: Any, missing: frozenset[str] = frozenset()) -> Column:
    """Return one column of whatever library in the form that tables have here."""
    if isinstance(values, Texts):
        return values
    dtype = getattr(values, "dtype", None)
    categories = getattr(getattr(values, "cat", None), "categories", None)
    if categories is not None and hasattr(values.cat, "codes"):  # pandas: a category is cleaned once, not in every row
        clean = texts_of(list(categories), missing)
        return Texts(np.append(clean.codes, np.int32(-1))[np.asarray(values.cat.codes)], clean.distinct, nominal=True)
    if str(dtype).startswith(("Categorical", "Enum")):  # polars
        return replace(texts_of(values.to_list(), missing), nominal=True)
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"column {name!r} must have one value in each row, got shape {array.shape}")
    kind = array.dtype.kind
    if kind in "iub":
        return array
    if kind == "f":
        return array if array.dtype.itemsize in (4, 8) else array.astype(np.float64)
    if kind == "M":
        return array.astype("datetime64[us]")
    if kind == "O":
        return _of_objects(array, missing)
    if kind in "UST":
        return texts_of(array.tolist(), missing)
    raise TypeError(f"column {name!r} must hold numbers, texts or times, got dtype {dtype or array.dtype}")


def _of_objects(array: NDArray[Any], missing: frozenset[str]) -> Column:
    """Return objects as times or numbers if they are nothing else, missing values aside, else as texts."""
    absent = np.fromiter(map(is_absent, array), bool, len(array))
    present = array[~absent]
    if not len(present):
        return np.full(len(array), np.nan)
    kinds = {bool if isinstance(value, bool | np.bool_) else type(value) for value in present}
    if kinds == {bool}:
        return array.astype(bool) if not absent.any() else texts_of(array, missing)
    if all(issubclass(kind, int | float | np.number) and kind is not bool for kind in kinds):
        found = np.full(len(array), np.nan)
        found[~absent] = present.astype(np.float64)
        return found
    if all(hasattr(kind, "isoformat") and hasattr(kind, "toordinal") for kind in kinds):
        times = np.full(len(array), np.datetime64("NaT"), "datetime64[us]")
        times[~absent] = [np.datetime64(_naive(value)) for value in present]
        return times
    return texts_of(array, missing)


def _naive(value: Any) -> Any:
    """Return a time without its zone, in UTC."""
    if getattr(value, "tzinfo", None) is None:
        return value
    return (value - value.utcoffset()).replace(tzinfo=None)


@dataclass(frozen=True)
class Problem:
    """Texts of a column that its kind does not know, and the rows in which they stand."""

    column: str
    text: str
    rows: tuple[int, ...]
    what: str


def problems_of(name: str, column: Texts, bad: NDArray[np.bool_], what: str) -> list[Problem]:
    """Return a problem for each distinct text that is marked in `bad` and stands in a row."""
    found = []
    for code in np.flatnonzero(bad).tolist():
        rows = np.flatnonzero(column.codes == code)
        if len(rows):
            found.append(Problem(name, column.distinct[code], tuple(rows.tolist()), what))
    return found
