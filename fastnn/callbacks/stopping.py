"""Callbacks that end a training."""

from __future__ import annotations

import math
import time
from typing import Any

from ..checks import check_positive
from ..history import History
from .base import Callback


class StopOnNaN(Callback):
    """End a training whose loss is not finite, for use with `on_divergence="continue"`.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([1, 1], activation="identity", seed=0)
    >>> stop = fastnn.callbacks.StopOnNaN()
    >>> history = net.fit([[1.0]], [2.0], epochs=5, callbacks=[stop])
    >>> history.stop_reason
    'epochs'
    """

    stop_reason = "nan"

    def on_epoch_end(self, net: Any, history: History) -> bool:
        """Return whether a value of the epoch is not finite."""
        return not all(math.isfinite(column[-1]) for column in history.values())


class TimeLimit(Callback):
    """End a training after a given time, at the end of an epoch.

    Parameters
    ----------
    seconds : float
        Wall time, positive; that before a checkpoint counts.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([1, 1], seed=0)
    >>> stop = fastnn.callbacks.TimeLimit(0.05)
    >>> net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=10**9, callbacks=[stop]).stop_reason
    'time'
    """

    stop_reason = "time"

    def __init__(self, seconds: float) -> None:
        self.seconds = check_positive("seconds", seconds)
        self._began = 0.0

    def on_fit_begin(self, net: Any, history: History) -> None:
        """Start the clock, at the time spent before a checkpoint."""
        self._began = time.perf_counter() - history.seconds

    def on_epoch_end(self, net: Any, history: History) -> bool:
        """Return whether the time is over."""
        return time.perf_counter() - self._began >= self.seconds
