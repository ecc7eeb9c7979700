"""Callbacks that look for the best epoch: early stopping, and saving the best model."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from ..checks import check_bool, check_int, check_non_negative, check_path
from ..history import History, check_monitor_type, monitor_sign
from .base import Callback, Trainable

if TYPE_CHECKING:
    import numpy as np


class BestEpoch(Callback):
    """Base class of callbacks that look for the best value of one column of the history."""

    def __init__(self, monitor: str, min_delta: float = 0.0, prefer_later: bool = False) -> None:
        self.monitor = check_monitor_type(monitor)
        self.prefer_later = check_bool("prefer_later", prefer_later)
        self.min_delta = check_non_negative("min_delta", min_delta)
        self.best_epoch = 0
        self.best = math.nan

    def on_fit_begin(self, net: Trainable, history: History) -> None:
        """Forget the best epoch of an earlier training."""
        self.best_epoch, self.best = 0, math.nan

    def state(self) -> dict[str, Any]:
        """Return the best epoch and its value."""
        return {"best_epoch": self.best_epoch, "best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the best epoch and its value."""
        self.best_epoch, self.best = int(state["best_epoch"]), float(state["best"])

    def improved(self, history: History) -> bool:
        """Return whether the last epoch is the best so far, and if so remember it."""
        value = history.column(self.monitor)[-1]
        sign = monitor_sign(self.monitor)
        better = self.best_epoch == 0 or sign * value < sign * self.best - self.min_delta
        better = better or (self.prefer_later and value == self.best)
        if not (better and math.isfinite(value)):
            return False
        self.best_epoch, self.best = history.epochs, value
        return True


class EarlyStopping(BestEpoch):
    """End a training that has stopped improving, and restore its best parameters.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Column of the history. Those whose names end in accuracy, auc or r2 improve by rising, all others by falling.
    patience : int, default 10
        Number of epochs without improvement after which the training ends.
    min_delta : float, default 0
        Smallest change that counts as an improvement; it must be exceeded.
    restore_best : bool, default True
        Restore the parameters of the best epoch when the training ends, for whatever reason.
    prefer_later : bool, default False
        Of several epochs with the best value take the last, not the first.

    Attributes
    ----------
    best_epoch : int
        Best epoch of the last `fit`, counted from 1; 0 before there is one.
    best : float
        The monitored value of that epoch.

    Examples
    --------
    >>> import fastnn
    >>> X, y = fastnn.datasets.load_digits()
    >>> net = fastnn.Network([64, 10], activation="softmax", loss="cross_entropy", input_scale=1 / 16, seed=0)
    >>> stop = fastnn.callbacks.EarlyStopping(patience=3)
    >>> history = net.fit(X, y, epochs=500, learning_rate=0.5, validation_split=0.2, callbacks=[stop])
    >>> history.stop_reason, history.epochs - stop.best_epoch
    ('early_stopping', 3)
    """

    stop_reason = "early_stopping"

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best: bool = True,
        prefer_later: bool = False,
    ) -> None:
        super().__init__(monitor, min_delta, prefer_later)
        self.patience = check_int("patience", patience, 0)
        self.restore_best = check_bool("restore_best", restore_best)
        self._best_parameters: np.ndarray | None = None

    def on_fit_begin(self, net: Trainable, history: History) -> None:
        """Forget the best epoch of an earlier training."""
        super().on_fit_begin(net, history)
        self._best_parameters = None

    def on_epoch_end(self, net: Trainable, history: History) -> bool:
        """Remember the parameters of an epoch that improved; return whether patience has run out."""
        if self.improved(history):
            if self.restore_best:
                self._best_parameters = net.parameters
            return False
        return history.epochs - self.best_epoch >= max(1, self.patience)

    def state(self) -> dict[str, Any]:
        """Return the best epoch, its value and its parameters."""
        parameters = {} if self._best_parameters is None else {"parameters": self._best_parameters}
        return super().state() | parameters

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the best epoch, its value and its parameters."""
        super().restore(state)
        self._best_parameters = state.get("parameters")

    def on_fit_end(self, net: Trainable, history: History) -> None:
        """Restore the network's parameters of the best epoch."""
        if self._best_parameters is not None:
            net.parameters = self._best_parameters
            self._best_parameters = None


class ModelCheckpoint(BestEpoch):
    """Save the network after every epoch, or after every one that is the best so far.

    Parameters
    ----------
    path : path
        Model file, replaced atomically. "{epoch}" in it stands for the number of the epoch.
    monitor : str, default "val_loss"
        As in `EarlyStopping`.
    save_best_only : bool, default True
        Whether to save only epochs that are the best so far.

    Examples
    --------
    >>> import fastnn, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "best.safetensors")
    >>> net = fastnn.Network([1, 1], seed=0)
    >>> save_best = fastnn.callbacks.ModelCheckpoint(path, monitor="loss")
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, callbacks=[save_best])
    >>> fastnn.load(path).sizes
    (1, 1)
    """

    def __init__(self, path: str | os.PathLike[str], monitor: str = "val_loss", save_best_only: bool = True) -> None:
        super().__init__(monitor)
        self.path = check_path("path", path)
        self.save_best_only = check_bool("save_best_only", save_best_only)

    def on_epoch_end(self, net: Trainable, history: History) -> None:
        """Save the network if it is due."""
        if not self.save_best_only or self.improved(history):
            net.save(self.path.replace("{epoch}", str(history.epochs)))
