"""Learning rates as functions of the epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .spec import real_number

DEFAULT_RATE = 0.1


def rate_of_epoch(learning_rate: Any, dtype: Any) -> Callable[[int], float]:
    """A number, None (0.1) or a function of the epoch, as a checked function of the epoch."""
    if learning_rate is None:
        return lambda epoch: DEFAULT_RATE
    if callable(learning_rate):
        return lambda epoch: positive_rate(f"learning_rate({epoch})", learning_rate(epoch), dtype)
    rate = positive_rate("learning_rate", learning_rate, dtype)
    return lambda epoch: rate


def positive_rate(name: str, value: Any, dtype: Any) -> float:
    """A positive rate within the network's numbers, or an error that names it."""
    rate = real_number(name, value)
    if not 0 < rate <= float(np.finfo(dtype).max):
        raise ValueError(f"{name} must be positive and within {np.dtype(dtype)}, got {value!r}")
    return rate
