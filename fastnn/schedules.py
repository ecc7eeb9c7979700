"""Learning rates as functions of the epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .spec import real_number

DEFAULT_RATE = 0.1


def rate_of_epoch(learning_rate: Any) -> Callable[[int], float]:
    """A number, None (0.1) or a function of the epoch, as a checked function of the epoch."""
    if learning_rate is None:
        return lambda epoch: DEFAULT_RATE
    if callable(learning_rate):
        return lambda epoch: positive_rate(f"learning_rate({epoch})", learning_rate(epoch))
    rate = positive_rate("learning_rate", learning_rate)
    return lambda epoch: rate


def positive_rate(name: str, value: Any) -> float:
    """A finite, positive rate, or an error that names it."""
    rate = real_number(name, value)
    if rate <= 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return rate
