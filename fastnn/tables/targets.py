"""What a table teaches: classes or quantities, decided by rules, and turned into numbers and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..checks import check_levels
from ..errors import FileFormatError
from .columns import Column, Texts, as_texts, check_columns, missing_rows, number_text
from .numbers import PLAIN, NumberFormat, format_of
from .quantiles import in_order, names_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ClassTarget", "QuantityTarget", "make_target", "target_from_state"]

FEW = 12
"""Whole numbers of at most that many different values are classes, with five rows each on average."""

MOST_CLASSES = 100
"""So many classes are taken for granted; more need five rows each on average."""

ROWS_OF_A_CLASS = 5


@dataclass(frozen=True, eq=False)
class ClassTarget:
    """A column of classes.

    Attributes
    ----------
    name : str
        The column.
    classes : tuple
        The values in their own type: texts, whole numbers, numbers or booleans, sorted.
    reason : str
        Why they are classes, in a few words.
    """

    name: str
    classes: tuple[Any, ...]
    reason: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The column, as a tuple of one."""
        return (self.name,)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes as texts."""
        return tuple(value if isinstance(value, str) else number_text(value) for value in self.classes)

    def labels(self, columns: Mapping[str, Column]) -> NDArray[np.int64]:
        """Return the index of each row's class; -1 for a missing value, -2 for a class that is none of these.

        Texts are first looked for as they are, then without regard to case, blanks and a full stop at the end.
        """
        texts = as_texts(columns[self.name])
        known = {name: index for index, name in enumerate(self.class_names)}
        loose = {_loose(name): index for index, name in enumerate(self.class_names)}
        loose = loose if len(loose) == len(known) else {}
        found = [known.get(text, loose.get(_loose(text), -2)) for text in texts.distinct]
        return texts.spread(np.array(found, np.int64), -1)

    def values(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return the classes of indices in their own type."""
        named: np.ndarray = np.array(self.classes)[labels]
        return named

    def state(self) -> dict[str, Any]:
        """Return the target as plain data, which `target_from_state` turns back."""
        return {"kind": "classes", "name": self.name, "classes": list(self.classes), "reason": self.reason}


@dataclass(frozen=True, eq=False)
class QuantityTarget:
    """One or more columns of quantities, or quantiles of one, standardised for the network.

    Attributes
    ----------
    names : tuple of str
        The columns.
    mean, std : ndarray of float64
        Of the training rows.
    format : NumberFormat
        How their numbers are written.
    reason : str
        Why they are quantities, in a few words.
    limits : ndarray of float64, (2, n_columns), or None
        Smallest and largest answer: those beyond are clipped. None: answers are as the network gives them.
    levels : tuple of float
        Of the quantiles of a single column that the network answers, each row sorted; empty: it answers the quantities.
    """

    names: tuple[str, ...]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    format: NumberFormat = PLAIN
    reason: str = ""
    limits: NDArray[np.float64] | None = None
    levels: tuple[float, ...] = ()

    @property
    def output_names(self) -> tuple[str, ...]:
        """What the answers are called: the columns, or one name for each quantile, such as price_q0.1."""
        return names_of(self.names[0], self.levels) if self.levels else self.names

    def numbers(self, columns: Mapping[str, Column]) -> NDArray[np.float64]:
        """Return the quantities, (n, n_outputs), NaN where one is missing or no number."""
        return np.column_stack([_as_numbers(columns[name], self.format) for name in self.names])

    def standardised(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return quantities as the network learns them."""
        return (numbers - self.mean) / self.std

    def values(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return the quantities that a network's outputs stand for; quantiles in the order of their levels."""
        values = self.in_units(outputs)
        if self.limits is not None:
            values = np.clip(values, *self.limits)
        return in_order(values, self.levels) if self.levels else values

    def in_units(self, standardised: NDArray[Any]) -> NDArray[np.float64]:
        """Return standardised quantities in their own units."""
        return np.asarray(standardised, np.float64) * self.std + self.mean

    def state(self) -> dict[str, Any]:
        """Return the target as plain data, which `target_from_state` turns back."""
        return {
            "kind": "quantities",
            "names": list(self.names),
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
            "format": self.format.as_dict(),
            "reason": self.reason,
            **({} if self.limits is None else {"limits": self.limits.tolist()}),
            **({"levels": list(self.levels)} if self.levels else {}),
        }


def _loose(text: str) -> str:
    return text.casefold().strip().rstrip(".")


def _as_numbers(column: Column, chosen: NumberFormat) -> NDArray[np.float64]:
    if isinstance(column, Texts):
        return column.spread(chosen.parse(column.distinct), np.nan)
    return np.asarray(column, np.float64)


def make_target(
    columns: Mapping[str, Column],
    names: Sequence[str],
    rows: NDArray[Any] | None = None,
    task: Literal["classification", "regression"] | None = None,
) -> ClassTarget | QuantityTarget:
    """Decide what a target is.

    Parameters
    ----------
    columns : mapping of str to Column
        The table.
    names : sequence of str
        The columns to be learned; several are quantities.
    rows : ndarray, optional
        The training rows, from which mean and deviation are taken; default all.
    task : {"classification", "regression"}, optional
        What is known. Default: texts, true and false, and two values are classes, and so are whole numbers of at most
        12 different values, or of the values 0, 1, ..., k - 1 or 1, 2, ..., k with k up to 100 of which none is ten
        times as frequent as another, with five rows each on average. Other numbers are quantities.

    Returns
    -------
    ClassTarget or QuantityTarget

    Raises
    ------
    ValueError
        If the target cannot be learned so.
    """
    check_columns("names", names, columns)
    name = names[0]
    column = columns[name]
    if len(names) == 1 and not isinstance(column, Texts) and column.dtype.kind == "M":
        raise ValueError(f"the target {name!r} holds times, which are not learned; name another column")
    if missing_rows(column).all():
        raise ValueError(f"the target {name!r} has no values")
    if len(names) > 1 and task == "classification":
        raise ValueError(f"the target has {len(names)} columns, which task='classification' cannot learn")
    if len(names) == 1 and task != "regression":
        reason = "as given" if task == "classification" else _why_classes(column)
        if reason is not None:
            return _class_target(name, column, reason)
    return _quantity_target(columns, names, rows, "as given" if task == "regression" else "")


def _why_classes(column: Column) -> str | None:
    """Return why a column holds classes; None if it holds quantities."""
    if isinstance(column, Texts):
        return "texts"
    if column.dtype.kind == "b":
        return "true or false"
    present = column[~missing_rows(column)]
    values, counts = np.unique(present, return_counts=True)
    k = len(values)
    if k == 2:
        return "two values"
    if k < 2 or (values % 1).any() or len(present) < ROWS_OF_A_CLASS * k:
        return None
    if k <= FEW:
        return f"{k} whole numbers"
    counted = values[0] in (0, 1) and np.array_equal(values, np.arange(values[0], values[0] + k))
    return f"the whole numbers {values[0]:g} to {values[-1]:g}" if counted and _even(k, counts) else None


def _even(k: int, counts: NDArray[np.int64]) -> bool:
    return bool(k <= MOST_CLASSES and counts.max() <= 10 * counts.min())


def _class_target(name: str, column: Column, reason: str) -> ClassTarget:
    if isinstance(column, Texts):
        counts = column.counts()
        classes: tuple[Any, ...] = tuple(
            sorted(text for text, count in zip(column.distinct, counts, strict=True) if count)
        )
        _refuse_numbers_with_texts(name, column)
    else:
        classes = tuple(_plain(value) for value in np.unique(column[~missing_rows(column)]))
    n, k = int((~missing_rows(column)).sum()), len(classes)
    if k == 1:
        raise ValueError(f"the target {name!r} has only one class, {classes[0]!r}: there is nothing to tell apart")
    if 2 * k > n or (k > MOST_CLASSES and n < ROWS_OF_A_CLASS * k):
        raise ValueError(
            f"the target {name!r} has {k:,} distinct values in {n:,} rows, such as {str(classes[0])!r:.50} and "
            f"{str(classes[1])!r:.50}: too many to be classes; name another column"
        )
    return ClassTarget(name, classes, reason)


def _refuse_numbers_with_texts(name: str, column: Texts) -> None:
    """Refuse a target of numbers among which a few texts stand."""
    numeric = np.isfinite(PLAIN.parse(column.distinct))
    counts = column.counts()
    if len(column.distinct) > FEW and counts[numeric].sum() > 0.5 * counts.sum():
        code = int(np.flatnonzero(~numeric)[0])
        row = int(np.flatnonzero(column.codes == code)[0])
        raise ValueError(
            f"the target {name!r} holds numbers, but {column.distinct[code]!r:.50} in row {row + 1}: write all of it "
            "as numbers or all as texts, or say that this text means a missing value"
        )


def _plain(value: Any) -> Any:
    """Return a NumPy number as Python's: whole numbers as int."""
    if isinstance(value, np.bool_):
        return bool(value)
    number = value.item()
    return int(number) if float(number).is_integer() else number


def _quantity_target(
    columns: Mapping[str, Column], names: Sequence[str], rows: NDArray[Any] | None, reason: str
) -> QuantityTarget:
    chosen = PLAIN
    for name in names:
        column = columns[name]
        if isinstance(column, Texts):
            found = format_of(column.distinct, column.counts())
            if found is None:
                raise ValueError(f"the target {name!r} holds texts, which task='regression' cannot learn")
            chosen = found
    numbers = np.column_stack([_as_numbers(columns[name], chosen) for name in names])
    numbers = numbers if rows is None else numbers[rows]
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = np.nanmean(numbers, axis=0), np.nanstd(numbers, axis=0)
        constant = np.nanmax(numbers, axis=0) == np.nanmin(numbers, axis=0)
    for name, same, spread in zip(names, constant, std, strict=True):
        if same:
            raise ValueError(f"the target {name!r} is the same in every row: there is nothing to learn")
        if not np.isfinite(spread):
            raise ValueError(f"the target {name!r} spreads over more than float64 holds")
    return QuantityTarget(tuple(names), mean, std, chosen, reason)


def _are_ordered(low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    return bool(np.isfinite([low, high]).all() and (low <= high).all())


def target_from_state(state: Any) -> ClassTarget | QuantityTarget:
    """Rebuild a target from what its `state` method returned; nothing in it is trusted.

    Raises
    ------
    FileFormatError
        If no target can have that state.
    """
    try:
        if state["kind"] == "classes":
            classes = tuple(state["classes"])
            if not isinstance(state["name"], str) or not isinstance(state["reason"], str) or len(classes) < 2:
                raise ValueError("classes without a name, or fewer than two")
            if not all(isinstance(value, str | bool | int | float) and value == value for value in classes):
                raise ValueError("classes must be texts, numbers or booleans")
            return ClassTarget(state["name"], classes, state["reason"])
        if state["kind"] != "quantities":
            raise ValueError(f"kind {state['kind']!r:.50}")
        names = tuple(state["names"])
        mean, std = (np.array(state[key], np.float64) for key in ("mean", "std"))
        sound = mean.shape == std.shape == (len(names),) and len(names) > 0 and all(isinstance(n, str) for n in names)
        if not sound or not np.isfinite(mean).all() or not (np.isfinite(std) & (std > 0)).all():
            raise ValueError("mean and std must be finite, one for each name")
        limits = np.array(state["limits"], np.float64) if "limits" in state else None
        if limits is not None and not (limits.shape == (2, len(names)) and _are_ordered(*limits)):
            raise ValueError("limits must be the smallest and the largest answer of each name, and finite")
        levels = check_levels("levels", state["levels"]) if "levels" in state else ()
        if levels and (len(names) != 1 or len(set(levels)) != len(levels)):
            raise ValueError("levels must differ, and are of one column")
        numbers = NumberFormat.from_state(state["format"])
        return QuantityTarget(names, mean, std, numbers, str(state["reason"]), limits, levels)
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"target: {error!r:.200}") from None
