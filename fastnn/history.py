"""The record of a training: one value per epoch for each loss and accuracy."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .checks import check_number

COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy")
"""The columns that `fit` itself may add."""

RISING = ("accuracy", "auc", "r2")
"""Ends of the names of columns that improve by rising."""

VALIDATION = "validation_data or validation_split"


class History(Mapping[str, list[float]]):
    """The values of "loss", "accuracy", "val_loss" and "val_accuracy", as far as they apply, one per epoch.

    "loss" and "accuracy" are running means over the epoch, weighted by example, each batch before its update.

    Attributes
    ----------
    stop_reason : str
        What ended the training: "epochs" (all are done), "converged" (the loss of an epoch was exactly 0), "diverged",
        "interrupted", or the `stop_reason` of a callback: "callback", "early_stopping", "time", "nan".
    learning_rates : list of float
        Learning rate of each epoch's last update.
    seconds : float
        Wall time of the training.
    examples_per_second : float
        Training examples processed per second.
    n_threads : int
        Number of threads that did the work: of most of the steps, where it varied. It varies while `fit` measures which
        number is fastest, and where a thread joins late because other programs had its processor.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> net = fastnn.Network([1, 1], activation="identity", seed=0)
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, learning_rate=0.1)
    >>> len(history["loss"]), history.stop_reason
    (3, 'epochs')
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[float]] = {}
        self.stop_reason = "epochs"
        self.learning_rates: list[float] = []
        self.seconds = 0.0
        self.examples_per_second = 0.0
        self.n_threads = 1

    @classmethod
    def from_columns(cls, columns: Mapping[str, Iterable[float]]) -> History:
        """Return a history of these columns, those of `fit` first, the others by name."""
        history = cls()
        for name in sorted(columns, key=lambda name: (COLUMNS.index(name) if name in COLUMNS else len(COLUMNS), name)):
            history._columns[name] = [float(value) for value in columns[name]]
        return history

    def __getitem__(self, name: str) -> list[float]:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def epochs(self) -> int:
        """Number of epochs completed."""
        return len(self._columns.get("loss", ()))

    def add(self, **values: float) -> None:
        """Append the values of one epoch; in a callback, add columns to the epoch that has just ended.

        Parameters
        ----------
        **values : float
            Value for each column. A column is NaN in epochs for which it was given no value.
        """
        numbers = {name: check_number(name, value) for name, value in values.items()}
        index = self.epochs if "loss" in numbers else max(0, self.epochs - 1)
        for name, number in numbers.items():
            column = self._columns.setdefault(name, [])
            column.extend([math.nan] * (index - len(column)))
            column[index:] = [number]

    def padded_columns(self) -> dict[str, list[float]]:
        """Return all columns, each padded with NaN to one value per epoch."""
        return {name: column + [math.nan] * (self.epochs - len(column)) for name, column in self._columns.items()}

    def column(self, name: str) -> list[float]:
        """Return a column, or raise a ValueError that lists the columns."""
        if name not in self._columns:
            raise ValueError(f"the history has no column {name!r}; it has {', '.join(self._columns) or 'none yet'}")
        return self._columns[name]

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with one row per epoch, indexed by the epoch from 1.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise ImportError("to_frame needs pandas: pip install pandas") from None
        return pd.DataFrame(self.padded_columns(), index=pd.RangeIndex(1, self.epochs + 1, name="epoch"))

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one row per epoch, the number of the epoch first.

        Parameters
        ----------
        path : path
            File to write or to replace.
        """
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *self._columns])
            for epoch, row in enumerate(zip(*self.padded_columns().values(), strict=True), start=1):
                writer.writerow([epoch, *row])

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={column[-1]:.4g}" for name, column in self._columns.items() if column)
        return f"History({self.epochs} epochs, {last}, stop_reason={self.stop_reason!r})"


def check_monitor_type(monitor: object) -> str:
    """Return the argument `monitor` as a str."""
    if not isinstance(monitor, str):
        raise TypeError(f"monitor must be the name of a column of the history, got {monitor!r}")
    return monitor


def check_monitor(monitor: str, columns: Sequence[str], validation: str = VALIDATION) -> None:
    """Raise a ValueError if `monitor` is none of the columns that a training will have.

    Parameters
    ----------
    monitor : str
    columns : sequence of str
    validation : str
        What to give `fit` for columns of validation data.
    """
    if monitor not in columns:
        hint = f"; give fit {validation}" if monitor.startswith("val_") else ""
        raise ValueError(f"monitor must be one of {', '.join(columns)} in this training, got {monitor!r}{hint}")


def monitor_sign(monitor: str) -> float:
    """Return -1 for columns that improve by rising, whose names end in `RISING`, and 1 for others: a loss's sign."""
    return -1.0 if monitor.endswith(RISING) else 1.0
