"""Checks on arguments: each returns the value in one type, or raises an error that names the argument."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


def check_int(name: str, value: object, least: int) -> int:
    """Return the argument `name` as an int of at least `least`."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be {least} or more, got {number}")
    return number


def check_seed(value: object) -> int:
    """Return the argument `seed` as an int from 0 to 2**63 - 1, which the kernels and the files can hold."""
    seed = check_int("seed", value, 0)
    if seed >= 1 << 63:
        raise ValueError(f"seed must be below 2**63, got {seed}")
    return seed


def check_bool(name: str, value: object) -> bool:
    """Return the argument `name` as a bool; only booleans are, of Python or of NumPy."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r:.200}")
    return bool(value)


def check_number(name: str, value: object) -> float:
    """Return the argument `name` as a float, which may be infinite or NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a number, got {value!r:.200}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be within float64, got an integer of {int(value).bit_length()} bits") from None


def check_float(name: str, value: object) -> float:
    """Return the argument `name` as a finite float."""
    number = check_number(name, value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return number


def check_positive(name: str, value: object) -> float:
    """Return the argument `name` as a finite float above 0."""
    number = check_float(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return number


def check_non_negative(name: str, value: object) -> float:
    """Return the argument `name` as a finite float of 0 or more."""
    number = check_float(name, value)
    if number < 0:
        raise ValueError(f"{name} must be 0 or more, got {value!r}")
    return number


@lru_cache(maxsize=16)
def largest_number(dtype: str | np.dtype) -> float:
    """Return the largest finite number of a floating-point type."""
    return float(np.finfo(dtype).max)


def check_levels(name: str, values: object) -> tuple[float, ...]:
    """Return the argument `name`, levels of quantiles, as a tuple of at least one float between 0 and 1."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray):
        raise TypeError(f"{name} must be a sequence of levels such as [0.1, 0.5, 0.9], got {values!r:.200}")
    levels = tuple(check_float(name, value) for value in values)
    if not levels or not all(0 < level < 1 for level in levels):
        raise ValueError(f"{name} must hold levels between 0 and 1, got {list(values)!r:.200}")
    return levels


def check_learning_rate(name: str, value: object, dtype: DTypeLike) -> float:
    """Return the learning rate `name` as a float above 0 that `dtype` can hold."""
    rate = check_float(name, value)
    if not 0 < rate <= largest_number(np.dtype(dtype)):
        raise ValueError(f"{name} must be positive and within {np.dtype(dtype)}, got {value!r}")
    return rate


def check_path(name: str, value: object) -> str:
    """Return the path `name` as a str."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a path, got {value!r}")
    return str(value)
