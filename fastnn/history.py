"""What a training did, epoch by epoch."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

from .spec import number_of

COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy")


class History(Mapping[str, list[float]]):
    """One value per epoch for each of "loss", "accuracy", "val_loss", "val_accuracy" that applies.

    The training loss is the running mean over the epoch, each batch before its update, by example weight.

    Attributes
    ----------
    stop_reason : str
        "epochs" (all were done), "converged" (an epoch's loss was exactly 0), "diverged", "interrupted", or what the
        callback says that ended it: "callback", "early_stopping", "time", "nan".
    learning_rates : list of float
        The rate of each epoch's last update.
    seconds : float
        Wall time spent training.
    examples_per_second : float
        Training examples per second of it.
    n_threads : int
        Threads that the training settled on.

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

    def __getitem__(self, name: str) -> list[float]:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def epochs(self) -> int:
        """Epochs completed."""
        return len(self._columns.get("loss", ()))

    def add(self, **values: float) -> None:
        """Append one epoch's values; in a callback, values of the epoch that has just ended.

        Parameters
        ----------
        **values : float
            By column. Epochs for which a column was given none have NaN there.
        """
        numbers = {name: number_of(name, value) for name, value in values.items()}
        at = self.epochs if "loss" in numbers else max(0, self.epochs - 1)
        for name, number in numbers.items():
            column = self._columns.setdefault(name, [])
            column.extend([math.nan] * (at - len(column)))
            column[at:] = [number]

    def _filled(self) -> dict[str, list[float]]:
        """All columns, as long as there are epochs."""
        return {name: column + [math.nan] * (self.epochs - len(column)) for name, column in self._columns.items()}

    def column(self, name: str) -> list[float]:
        """One value per epoch; an error that names the columns there are where this one is not."""
        if name not in self._columns:
            raise ValueError(f"the history has no column {name!r}; it has {', '.join(self._columns) or 'none yet'}")
        return self._columns[name]

    def to_frame(self) -> Any:
        """A pandas DataFrame, one row per epoch, the index the epoch counted from 1.

        Raises
        ------
        ImportError
            Where pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise ImportError("to_frame needs pandas: pip install pandas") from None
        return pd.DataFrame(self._filled(), index=pd.RangeIndex(1, self.epochs + 1, name="epoch"))

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one row per epoch, the number of the epoch first.

        Parameters
        ----------
        path : path
            File to write; one that is there is replaced.
        """
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *self._columns])
            for epoch, row in enumerate(zip(*self._filled().values(), strict=True), start=1):
                writer.writerow([epoch, *row])

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={column[-1]:.4g}" for name, column in self._columns.items() if column)
        return f"History({self.epochs} epochs, {last}, stop_reason={self.stop_reason!r})"
