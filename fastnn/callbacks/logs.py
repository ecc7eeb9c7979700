"""Callbacks that record a training."""

from __future__ import annotations

import csv
import math
import os
import time
from typing import Any

from ..checks import check_path
from ..history import History
from .base import Callback


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

    def on_epoch_end(self, net: Any, history: History) -> None:
        """Add the epoch's learning rate."""
        history.add(learning_rate=history.learning_rates[-1])
