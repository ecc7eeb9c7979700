"""Callbacks that record a training."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..checks import check_path
from ..history import COLUMNS, History, check_monitor_type
from .base import Callback

if TYPE_CHECKING:
    import numpy as np


class CSVLogger(Callback):
    """Write epoch, seconds, learning rate and the history's columns to a CSV file, one row at the end of each epoch.

    Parameters
    ----------
    path : path
        File to write. A new training replaces it; one that resumes from a checkpoint appends to it.

    Examples
    --------
    >>> import fastnn, os, pathlib, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "log.csv")
    >>> net = fastnn.Network([1, 1], seed=0)
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=2, callbacks=[fastnn.callbacks.CSVLogger(path)])
    >>> pathlib.Path(path).read_text().splitlines()[0]
    'epoch,seconds,learning_rate,loss'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = check_path("path", path)
        self._start = 0.0

    def on_fit_begin(self, net: Any, history: History) -> None:
        """Start the file, keeping the rows of epochs before a checkpoint."""
        self._start = time.perf_counter() - history.seconds
        lines: list[str] = []
        if history.epochs and os.path.exists(self.path):
            with open(self.path, encoding="utf-8", newline="") as file:
                lines = file.readlines()[: 1 + history.epochs]
        with open(self.path, "w", encoding="utf-8", newline="") as file:
            file.writelines(lines)

    def on_epoch_end(self, net: Any, history: History) -> None:
        """Append the epoch's row, preceded by the header in the first epoch."""
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if history.epochs == 1:
                writer.writerow(["epoch", "seconds", "learning_rate", *history])
            seconds = round(time.perf_counter() - self._start, 3)
            last = [column[-1] if len(column) == history.epochs else math.nan for column in history.values()]
            writer.writerow([history.epochs, seconds, history.learning_rates[-1], *last])


class LearningRateLog(Callback):
    """Add a column "learning_rate" to the history: the learning rate of each epoch's last update.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([1, 1], seed=0)
    >>> schedule = fastnn.schedules.Step(0.5, factor=0.5, step_size=1)
    >>> log = fastnn.callbacks.LearningRateLog()
    >>> net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, learning_rate=schedule, callbacks=[log])["learning_rate"]
    [0.5, 0.25, 0.125]
    """

    adds = ("learning_rate",)

    def on_epoch_end(self, net: Any, history: History) -> None:
        """Add the epoch's learning rate."""
        history.add(learning_rate=history.learning_rates[-1])


class Metric(Callback):
    """Add a column to the history: a function of targets and outputs, evaluated after every epoch.

    Callbacks behind it may monitor the column; names that end in accuracy, auc or r2 improve by rising, others by
    falling.

    Parameters
    ----------
    name : str
        Of the column; none of those that `fit` adds.
    function : callable
        Called as function(y, outputs) with the network's outputs for X, (n, n_outputs); returns a number.
    X, y : array_like
        Examples, as `Network.predict` and the function take them. Copies of the callback share them.

    Examples
    --------
    >>> import fastnn, numpy as np
    >>> X, y = np.linspace(-1, 1, 50)[:, np.newaxis], np.linspace(0, 1, 50)
    >>> error = lambda y, outputs: abs(outputs[:, 0] - y).mean()
    >>> metric = fastnn.callbacks.Metric("val_mae", error, X, y)
    >>> net = fastnn.Network([1, 1], activation="identity", seed=0)
    >>> stop = fastnn.callbacks.EarlyStopping("val_mae")
    >>> len(net.fit(X, y, epochs=3, callbacks=[metric, stop])["val_mae"])
    3
    """

    def __init__(self, name: str, function: Callable[[Any, np.ndarray], float], X: Any, y: Any) -> None:
        if check_monitor_type(name) in COLUMNS:
            raise ValueError(f"name must be none of {', '.join(COLUMNS)}, which fit itself adds, got {name!r}")
        if not callable(function):
            raise TypeError(f"function must be callable, got {function!r:.80}")
        self.name, self.function, self.X, self.y = name, function, X, y

    @property
    def adds(self) -> tuple[str, ...]:  # type: ignore[override]
        """The column."""
        return (self.name,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Metric:
        return Metric(self.name, self.function, self.X, self.y)

    def on_epoch_end(self, net: Any, history: History) -> None:
        """Add the function's value."""
        history.add(**{self.name: float(self.function(self.y, net.predict(self.X)))})
