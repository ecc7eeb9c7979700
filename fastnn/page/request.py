"""The fields of a request: numbers and lists of the right kind and size, or an error that names the field."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def integer(request: dict[str, Any], name: str, low: int, high: int) -> int:
    """Return a whole number from `low` up to and without `high`; ValueError for anything else."""
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < high:
        raise ValueError(f"{name} must be a whole number from {low} to {high - 1}, got {value!r:.80}")
    return value


def numbers(request: dict[str, Any], name: str, count: int) -> NDArray[np.float64]:
    """Return so many numbers, NaN where one is null; ValueError for anything else."""
    values = request.get(name)
    if not isinstance(values, list) or len(values) != count:
        found = f"{len(values)} of them" if isinstance(values, list) else repr(values)[:80]
        raise ValueError(f"{name} must be a list of {count} numbers, got {found}")
    for value in values:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not _fits(value)):
            raise ValueError(f"{name} must hold finite numbers or null, got {value!r:.80}")
    return np.array([math.nan if value is None else float(value) for value in values])


def _fits(value: float) -> bool:
    """Tell whether a number is finite, and whole ones within the numbers that float64 holds."""
    return abs(value) <= 1e300


def check_fields(request: dict[str, Any], *names: str) -> None:
    """Raise ValueError for a field that means nothing here."""
    unknown = sorted(set(request) - set(names))
    if unknown:
        raise ValueError(f"the request has the unknown field {unknown[0]!r:.80}")
