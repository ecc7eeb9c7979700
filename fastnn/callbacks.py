"""What `fit` calls after every epoch, between compiled calls: stopping, checkpoints, logs, anything.

A callback is a function callback(net, history), or an object of a class below. A true result ends the training.
"""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .history import History
from .spec import check_float, check_int

if TYPE_CHECKING:
    from .network import Network


class Callback:
    """The base of callbacks that want to know of more than the ends of epochs; every method may be left out.

    Attributes
    ----------
    stop_reason : str
        What `history.stop_reason` says when this callback ends a training.

    Examples
    --------
    >>> import fastnn
    >>> class Count(fastnn.callbacks.Callback):
    ...     def on_fit_begin(self, net, history):
    ...         self.epochs = 0
    ...     def on_epoch_end(self, net, history):
    ...         self.epochs += 1
    >>> count = Count()
    >>> net = fastnn.Network([1, 1], seed=0)
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, callbacks=[count])
    >>> count.epochs
    3
    """

    stop_reason = "callback"

    def on_fit_begin(self, net: Network, history: History) -> None:
        """Before the first epoch of a `fit`; the history is empty, or holds what was done before a checkpoint."""

    def on_epoch_end(self, net: Network, history: History) -> bool | None:
        """After every epoch; true ends the training."""

    def on_fit_end(self, net: Network, history: History) -> None:
        """After the last epoch, whatever ended the training, errors included."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint shall keep of it: numbers, texts and arrays by name."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned; called after `on_fit_begin` where a training goes on."""

    def __call__(self, net: Network, history: History) -> bool | None:
        """The same as `on_epoch_end`."""
        return self.on_epoch_end(net, history)


class _Watcher(Callback):
    """Keeps the best value of one column of the history."""

    def __init__(self, monitor: str, min_delta: float = 0.0) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of a column of the history, got {monitor!r}")
        self.monitor = monitor
        self.min_delta = check_float("min_delta", min_delta)
        if self.min_delta < 0:
            raise ValueError(f"min_delta must be 0 or more, got {min_delta!r}")
        self.best_epoch = 0
        self.best = math.nan

    def on_fit_begin(self, net: Network, history: History) -> None:
        """Forget the training before."""
        self.best_epoch, self.best = 0, math.nan

    def state(self) -> dict[str, Any]:
        """The best so far."""
        return {"best_epoch": self.best_epoch, "best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.best_epoch, self.best = int(state["best_epoch"]), float(state["best"])

    def improved(self, history: History) -> bool:
        """Whether the last epoch is the best so far: larger for accuracies, smaller for others."""
        value = history.column(self.monitor)[-1]
        sign = -1.0 if self.monitor.endswith("accuracy") else 1.0
        better = self.best_epoch == 0 or sign * value < sign * self.best - self.min_delta
        if not (better and math.isfinite(value)):
            return False
        self.best_epoch, self.best = history.epochs, value
        return True


class EarlyStopping(_Watcher):
    """End a training that has not improved for a while, at its best parameters.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Column of the history; the larger the better for accuracies, the smaller for others.
    patience : int, default 10
        Epochs without an improvement that are waited for.
    min_delta : float, default 0
        What counts as an improvement must be larger than this.
    restore_best : bool, default True
        Put the parameters of the best epoch back at the end, whatever ends the training.

    Attributes
    ----------
    best_epoch : int
        Counted from 1 within the last `fit`; 0 where there was none.
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
        self, monitor: str = "val_loss", patience: int = 10, min_delta: float = 0.0, restore_best: bool = True
    ) -> None:
        super().__init__(monitor, min_delta)
        self.patience = check_int("patience", patience, 0)
        self.restore_best = bool(restore_best)
        self._parameters: np.ndarray | None = None

    def on_fit_begin(self, net: Network, history: History) -> None:
        """Forget the training before."""
        super().on_fit_begin(net, history)
        self._parameters = None

    def on_epoch_end(self, net: Network, history: History) -> bool:
        """Compare the epoch with the best."""
        if self.improved(history):
            if self.restore_best:
                self._parameters = net.parameters
            return False
        return history.epochs - self.best_epoch >= max(1, self.patience)

    def state(self) -> dict[str, Any]:
        """The best so far, and its parameters."""
        kept = {} if self._parameters is None else {"parameters": self._parameters}
        return super().state() | kept

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        super().restore(state)
        self._parameters = state.get("parameters")

    def on_fit_end(self, net: Network, history: History) -> None:
        """Put the best parameters back."""
        if self._parameters is not None:
            net.parameters = self._parameters
            self._parameters = None


class ModelCheckpoint(_Watcher):
    """Save the network after each epoch, or after each that is the best so far.

    Parameters
    ----------
    path : path
        The model file; it is replaced in one step. "{epoch}" in it stands for the number of the epoch.
    monitor : str, default "val_loss"
        As in `EarlyStopping`.
    save_best_only : bool, default True
        False: save after every epoch.

    Examples
    --------
    >>> import fastnn, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "best.safetensors")
    >>> net = fastnn.Network([1, 1], seed=0)
    >>> keep = fastnn.callbacks.ModelCheckpoint(path, monitor="loss")
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, callbacks=[keep])
    >>> fastnn.load(path).sizes
    (1, 1)
    """

    def __init__(self, path: str | os.PathLike[str], monitor: str = "val_loss", save_best_only: bool = True) -> None:
        super().__init__(monitor)
        self.path = _path(path)
        self.save_best_only = bool(save_best_only)

    def on_epoch_end(self, net: Network, history: History) -> None:
        """Save where it is time."""
        if not self.save_best_only or self.improved(history):
            net.save(self.path.replace("{epoch}", str(history.epochs)))


class CSVLogger(Callback):
    """Write a row for each epoch, at once: epoch, seconds, learning rate, and the history's columns.

    Parameters
    ----------
    path : path
        File to write; one that is there is replaced at the beginning of a `fit`.

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
        self.path = _path(path)
        self._began = 0.0

    def on_fit_begin(self, net: Network, history: History) -> None:
        """Make the file empty, but for the epochs before a checkpoint."""
        self._began = time.perf_counter() - history.seconds
        kept: list[str] = []
        if history.epochs and os.path.exists(self.path):
            with open(self.path, encoding="utf-8", newline="") as file:
                kept = file.readlines()[: 1 + history.epochs]
        with open(self.path, "w", encoding="utf-8", newline="") as file:
            file.writelines(kept)

    def on_epoch_end(self, net: Network, history: History) -> None:
        """Add a row; the first is preceded by the names."""
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if history.epochs == 1:
                writer.writerow(["epoch", "seconds", "learning_rate", *history])
            seconds = round(time.perf_counter() - self._began, 3)
            last = [column[-1] if len(column) == history.epochs else math.nan for column in history.values()]
            writer.writerow([history.epochs, seconds, history.learning_rates[-1], *last])


class LearningRateLog(Callback):
    """Add the column "learning_rate" to the history: the rate of each epoch's last update.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([1, 1], seed=0)
    >>> rate = fastnn.schedules.Step(0.5, factor=0.5, every=1)
    >>> log = fastnn.callbacks.LearningRateLog()
    >>> net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, learning_rate=rate, callbacks=[log])["learning_rate"]
    [0.5, 0.25, 0.125]
    """

    def on_epoch_end(self, net: Network, history: History) -> None:
        """Add the epoch's."""
        history.add(learning_rate=history.learning_rates[-1])


class StopOnNaN(Callback):
    """End a training whose loss is not finite, where `on_divergence="continue"` would let it go on.

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

    def on_epoch_end(self, net: Network, history: History) -> bool:
        """Look at the last values."""
        return not all(math.isfinite(column[-1]) for column in history.values())


class TimeLimit(Callback):
    """End a training after a time, at the end of an epoch.

    Parameters
    ----------
    seconds : float
        Positive.

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
        self.seconds = check_float("seconds", seconds)
        if self.seconds <= 0:
            raise ValueError(f"seconds must be positive, got {seconds!r}")
        self._began = 0.0

    def on_fit_begin(self, net: Network, history: History) -> None:
        """Start the clock, where it stood."""
        self._began = time.perf_counter() - history.seconds

    def on_epoch_end(self, net: Network, history: History) -> bool:
        """Look at the clock."""
        return time.perf_counter() - self._began >= self.seconds


def _path(path: Any) -> str:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path, got {path!r}")
    return str(path)


def _name(callback: Any) -> str:
    return type(callback).__name__ if isinstance(callback, Callback) else "function"


def _truth(callback: Any, answer: Any) -> bool:
    try:
        return bool(answer)
    except ValueError:
        raise TypeError(f"callback {_name(callback)} must return True, False or None, got {answer!r:.80}") from None


class Callbacks:
    """All callbacks of one `fit`, as a context: what begins is also ended."""

    def __init__(self, callbacks: Sequence[Callable[[Any, History], Any]], net: Any, history: History) -> None:
        self._callbacks, self._net, self._history = tuple(callbacks), net, history
        self._begun: list[Callback] = []

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    def __enter__(self) -> Callbacks:
        for callback in self._callbacks:
            if isinstance(callback, Callback):
                self._begun.append(callback)
                callback.on_fit_begin(self._net, self._history)
        return self

    def __exit__(self, *error: object) -> None:
        for callback in self._begun:
            callback.on_fit_end(self._net, self._history)

    def state(self) -> tuple[list[list[Any]], dict[str, np.ndarray]]:
        """A name and the plain values of each; the arrays of all by name."""
        plain: list[list[Any]] = []
        arrays: dict[str, np.ndarray] = {}
        for number, callback in enumerate(self._callbacks):
            values = callback.state() if isinstance(callback, Callback) else {}
            kept = _plain(_name(callback), values)
            arrays |= {f"callback.{number}.{name}": values[name] for name in values if name not in kept}
            plain.append([_name(callback), kept])
        return plain, arrays

    def restore(self, plain: list[list[Any]], arrays: dict[str, np.ndarray]) -> None:
        """Give each what `state` had of it; an error where they are not the same callbacks."""
        names = [_name(callback) for callback in self._callbacks]
        if names != [name for name, _ in plain]:
            raise ValueError(f"the checkpoint was made with the callbacks {[name for name, _ in plain]}, not {names}")
        for number, (callback, (_, values)) in enumerate(zip(self._callbacks, plain, strict=True)):
            prefix = f"callback.{number}."
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            if isinstance(callback, Callback):
                callback.restore(values | own)

    def after_epoch(self) -> bool:
        """Call them all; whether one wants to end the training, and the history says which."""
        answers = [(callback, callback(self._net, self._history)) for callback in self._callbacks]
        for callback, answer in answers:
            if _truth(callback, answer):
                self._history.stop_reason = getattr(callback, "stop_reason", "callback")
                return True
        return False


def _plain(owner: str, values: Any) -> dict[str, Any]:
    """What is no array in a callback's state, as JSON has it; an error for what a file cannot hold."""
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise TypeError(f"{owner}.state() must return a dict of values by name, got {values!r:.80}")
    plain = {}
    for name, value in values.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
            continue
        try:
            plain[name] = value.item() if isinstance(value, np.generic) else value
            json.dumps(plain[name])
        except (TypeError, ValueError, RecursionError):
            raise TypeError(
                f"{owner}.state() must hold numbers, texts and numeric arrays, got {value!r:.80} for {name!r}"
            ) from None
    return plain


def check_callbacks(callbacks: Any, columns: Sequence[str]) -> None:
    """An error that names what is no callback, or watches a column that this training does not have."""
    if not isinstance(callbacks, list | tuple) or not all(callable(callback) for callback in callbacks):
        raise TypeError(f"callbacks must be a sequence of callables, got {callbacks!r}")
    for callback in callbacks:
        if isinstance(callback, type) and issubclass(callback, Callback):
            raise TypeError(f"callbacks must be objects, got the class itself: write {callback.__name__}(...)")
        monitor = getattr(callback, "monitor", None) if isinstance(callback, Callback) else None
        best_only = getattr(callback, "save_best_only", True)
        if monitor is not None and best_only:
            check_monitor(monitor, columns)


def check_monitor(monitor: str, columns: Sequence[str]) -> None:
    """An error that names the columns that there are."""
    if monitor not in columns:
        hint = "; give fit validation_data or validation_split" if monitor.startswith("val_") else ""
        raise ValueError(f"monitor must be one of {', '.join(columns)} in this training, got {monitor!r}{hint}")
