"""One column as inputs of a network: quantities, dates and categories, fitted on training rows, kept as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .category import CategoryColumn
from .columns import Column, Problem, Texts, as_texts, problems_of
from .dates import HOURS, date_format_of, days_of, parse_dates
from .numbers import PLAIN, WORDS, NumberFormat, format_of
from .scaling import inverse, robust_scaling, soften

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CategoryColumn", "DateColumn", "EncodedColumn", "Problem", "QuantityColumn", "column_from_state"]

YEAR = 365.2425
"""Days."""

YEAR_FIRST = "%Y-%m-%d"
"""Of formats that begin as this one, none can be mistaken for another."""

PARTS = ("elapsed", "year", "week", "day")


@dataclass(frozen=True)
class QuantityColumn:
    """A number: z = scale (x - centre), then z / sqrt(1 + (z / 3)^2) if `clip`, plus `offset`; `offset` if missing.

    Attributes
    ----------
    name : str
    format : NumberFormat
        How texts of it are written.
    centre, scale, offset : float
    clip : bool
        Whether large values are softened: none is beyond 3.
    indicator : bool
        Whether a second input is 1 where the value is missing, and 0 elsewhere.
    """

    kind: ClassVar[str] = "quantity"
    name: str
    format: NumberFormat
    centre: float
    scale: float
    offset: float = 0.0
    clip: bool = True
    indicator: bool = False

    @classmethod
    def fit(
        cls, name: str, column: Column, *, scaling: str = "robust", weights: NDArray[np.float64] | None = None
    ) -> QuantityColumn:
        """Take the statistics of the training rows.

        `scaling` is "robust": centre the median, scale 1 / (q75 - q25), or 2 / (max - min) where the quartiles are
        equal, clipped; or "standard": mean and 1 / standard deviation, as it is. The scale of a constant is 0.
        `weights` of the rows are for "robust".
        """
        chosen = PLAIN
        if isinstance(column, Texts):
            chosen = format_of(column.distinct, column.counts()) or PLAIN
        numbers, _ = _numbers(name, column, chosen)
        present = numbers[~np.isnan(numbers)]
        indicator = len(present) < len(numbers)
        if not len(present):
            return cls(name, chosen, 0.0, 0.0, 0.0, scaling == "robust", False)
        if scaling == "standard":
            centre, scale = float(present.mean()), inverse(float(present.std()) if np.ptp(present) else 0.0)
        else:
            centre, scale = robust_scaling(present, None if weights is None else weights[~np.isnan(numbers)])
        return cls(name, chosen, centre, scale, 0.0, scaling == "robust", indicator)

    @property
    def feature_names(self) -> list[str]:
        """Names of the inputs."""
        return [self.name, f"{self.name} is missing"] if self.indicator else [self.name]

    @property
    def indicators(self) -> list[int]:
        """Places of the inputs that say yes or no."""
        return [1] if self.indicator else []

    def raw(self, column: Column) -> tuple[NDArray[np.float64], list[Problem]]:
        """Return the numbers, NaN where missing, and the texts that are none."""
        return _numbers(self.name, column, self.format)

    def encode(self, numbers: NDArray[np.float64], out: NDArray[Any]) -> None:
        """Write the inputs of raw numbers into the columns of `out`."""
        missing = np.isnan(numbers)
        with np.errstate(over="ignore"):
            z = np.where(missing, 0.0, (numbers - self.centre) * self.scale)
        out[:, 0] = (soften(z) if self.clip else z) + self.offset
        if self.indicator:
            out[:, 1] = missing

    def state(self) -> dict[str, Any]:
        """Return the column as plain data."""
        return {"kind": self.kind, **vars(self), "format": self.format.as_dict()}


def _numbers(name: str, column: Column, chosen: NumberFormat) -> tuple[NDArray[np.float64], list[Problem]]:
    if not isinstance(column, Texts):
        if column.dtype.kind == "M":
            raise TypeError(f"column {name!r} must hold numbers, got times")
        numbers = np.asarray(column, np.float64)
        infinite = np.isinf(numbers)
        if infinite.any():
            row = int(np.flatnonzero(infinite)[0])
            raise ValueError(
                f"column {name!r} holds {numbers[row]} in row {row}; give a finite number or a missing value"
            )
        return numbers, []
    numbers = chosen.parse(column.distinct)
    other = format_of(column.distinct, column.counts()) if np.isnan(numbers).any() else None
    if other is not None and np.isnan(other.parse(column.distinct)).sum() < np.isnan(numbers).sum():
        numbers = other.parse(column.distinct)  # a file may be written in another way than the training's
    bad = np.isnan(numbers) & ~_words(column)
    return column.spread(numbers, np.nan), problems_of(name, column, bad, "is not a number")


def _words(column: Texts) -> NDArray[np.bool_]:
    """Return which distinct texts are words for a missing value."""
    return np.fromiter((text.casefold() in WORDS for text in column.distinct), bool, len(column.distinct))


@dataclass(frozen=True)
class DateColumn:
    """A time t in days since 1970-01-01, as parts that repeat and as time that has passed; 0 everywhere if missing.

    Attributes
    ----------
    name : str
    format : str or None
        Of texts and whole numbers, as `strptime` has it; None for times, and their texts, year first.
    centre, scale : float
        "elapsed" is scale (t - centre).
    parts : tuple of str
        Of "elapsed", "year" (sine and cosine of 2 pi t / 365.2425), "week" (one input for each day from Monday on) and
        "day" (sine and cosine of 2 pi t, the time of day).
    indicator : bool
        Whether a further input is 1 where the value is missing, and 0 elsewhere.
    """

    kind: ClassVar[str] = "date"
    name: str
    format: str | None
    centre: float
    scale: float
    parts: tuple[str, ...] = PARTS
    indicator: bool = False

    @classmethod
    def fit(cls, name: str, column: Column, chosen: str | None) -> DateColumn:
        """Take the parts in which the training rows differ."""
        days, _ = _days(name, column, chosen)
        present = days[~np.isnan(days)]
        if not len(present):
            return cls(name, chosen, 0.0, 0.0, (), False)
        clock = chosen in HOURS
        parts = [] if clock else ["elapsed"]
        if not clock and np.ptp(present) >= 30:
            parts.append("year")
        if not clock and len(np.unique(np.floor(present) % 7)) > 1:
            parts.append("week")
        if len(np.unique(present % 1)) > 1:
            parts.append("day")
        spread = float(present.std()) if np.ptp(present) > 0 else 0.0
        scale = 1 / spread if spread > 0 else 0.0
        return cls(name, chosen, float(present.mean()), scale, tuple(parts), len(present) < len(days))

    @property
    def feature_names(self) -> list[str]:
        """Names of the inputs."""
        week = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        of_part = {
            "elapsed": [self.name],
            "year": [f"{self.name}: sine of year", f"{self.name}: cosine of year"],
            "week": [f"{self.name}: {day}" for day in week],
            "day": [f"{self.name}: sine of day", f"{self.name}: cosine of day"],
        }
        names = [name for part in self.parts for name in of_part[part]]
        return names + [f"{self.name} is missing"] * self.indicator

    @property
    def indicators(self) -> list[int]:
        """Places of the inputs that say yes or no: the days of the week, and whether the value is missing."""
        n = len(self.feature_names)
        week = n - self.indicator - 2 * ("day" in self.parts)
        return [*(range(week - 7, week) if "week" in self.parts else ()), *[n - 1] * self.indicator]

    def raw(self, column: Column) -> tuple[NDArray[np.float64], list[Problem]]:
        """Return the days since 1970-01-01, NaN where missing, and the texts that are no date."""
        return _days(self.name, column, self.format)

    def encode(self, days: NDArray[np.float64], out: NDArray[Any]) -> None:
        """Write the inputs of days into the columns of `out`."""
        missing = np.isnan(days)
        t = np.where(missing, 0.0, days)
        at = 0
        for part in self.parts:
            if part == "elapsed":
                out[:, at] = (t - self.centre) * self.scale
                at += 1
            elif part == "week":
                out[:, at : at + 7] = ((np.floor(t) + 3) % 7)[:, np.newaxis] == np.arange(7)
                at += 7
            else:
                turns = 2 * np.pi * ((t / YEAR) % 1 if part == "year" else t % 1)
                out[:, at], out[:, at + 1] = np.sin(turns), np.cos(turns)
                at += 2
        out[missing] = 0
        if self.indicator:
            out[:, -1] = missing

    def state(self) -> dict[str, Any]:
        """Return the column as plain data."""
        return {"kind": self.kind, **vars(self), "parts": list(self.parts)}


def _days(name: str, column: Column, chosen: str | None) -> tuple[NDArray[np.float64], list[Problem]]:
    if not isinstance(column, Texts) and column.dtype.kind == "M":
        return days_of(column, chosen), []
    texts = as_texts(column)
    if chosen is None:
        chosen = _format_of_times(name, column, texts)
    times = parse_dates(texts.distinct, chosen)
    bad = np.isnat(times) & ~_words(texts)
    problems = problems_of(name, texts, bad, f"is not a date of the form {chosen}")
    return texts.spread(days_of(times, chosen), np.nan), problems


def _format_of_times(name: str, column: Column, texts: Texts) -> str:
    """Return the format in which a file writes the times of a column; raise TypeError for what are no times."""
    found = date_format_of(column) if isinstance(column, Texts) and texts.distinct else None
    if not texts.distinct or (found or "").startswith(YEAR_FIRST[:2]):
        return found or YEAR_FIRST
    raise TypeError(
        f"column {name!r} must hold times, as in training, or texts such as 2024-12-31, got other texts or numbers"
    )


EncodedColumn = QuantityColumn | CategoryColumn | DateColumn


def column_from_state(state: Any) -> EncodedColumn:
    """Rebuild a column from what its `state` method returned; every key, type and number is checked.

    Raises
    ------
    ValueError, TypeError, KeyError
        If no column can have that state.
    """
    rest = dict(state)
    kind = rest.pop("kind")
    name = rest["name"]
    if not isinstance(name, str):
        raise ValueError(f"the name of a column must be a text, got {name!r:.50}")
    if kind == "quantity":
        rest["format"] = NumberFormat.from_state(rest["format"])
        quantity = QuantityColumn(**rest)
        _check(name, (quantity.centre, quantity.scale, quantity.offset), (quantity.clip, quantity.indicator))
        return quantity
    if kind == "category":
        rest["levels"] = _texts(name, rest["levels"])
        category = CategoryColumn(**rest)
        _check(name, (), (category.rare, category.missing, category.embedded))
        return category
    if kind != "date":
        raise ValueError(f"column {name!r} has the unknown kind {kind!r:.50}")
    rest["parts"] = _texts(name, rest["parts"])
    date = DateColumn(**rest)
    _check(name, (date.centre, date.scale), (date.indicator,))
    if not set(date.parts) <= set(PARTS) or not (date.format is None or isinstance(date.format, str)):
        raise ValueError(f"column {name!r}: parts {date.parts!r:.100} or format {date.format!r:.50} is unknown")
    return date


def _texts(name: str, values: Any) -> tuple[str, ...]:
    if (
        not isinstance(values, list)
        or not all(isinstance(value, str) for value in values)
        or len(set(values)) < len(values)
    ):
        raise ValueError(f"column {name!r} must list different texts, got {values!r:.100}")
    return tuple(values)


def _check(name: str, numbers: Sequence[Any], flags: Sequence[Any]) -> None:
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float) or not np.isfinite(number):
            raise ValueError(f"column {name!r} must have finite numbers, got {number!r:.50}")
    if not all(isinstance(flag, bool) for flag in flags):
        raise ValueError(f"column {name!r} must have true or false, got {flags!r:.50}")
