"""Learning rates that change while a network is trained.

A schedule is a function of the time t, counted in epochs over all calls of `fit`: 2.5 is half way through the third.
Each update has its own rate. A second `fit` goes on where the first ended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from .history import History
from .spec import check_float


@dataclass(frozen=True)
class Schedule:
    """What all schedules have; `rate` is where they start from or rise to."""

    rate: float

    def __post_init__(self) -> None:
        for name in (setting.name for setting in fields(self)):
            value = getattr(self, name)
            if isinstance(value, Schedule):
                continue
            if name == "monitor":
                if not isinstance(value, str):
                    raise TypeError(f"monitor must be the name of a column of the history, got {value!r}")
                continue
            number = check_float(name, value)
            if name in ZERO_ALLOWED:
                if number < 0:
                    raise ValueError(f"{name} must be 0 or more, got {value!r}")
            elif number <= 0:
                raise ValueError(f"{name} must be positive, got {value!r}")
            if name in SHARES and number > 1:
                raise ValueError(f"{name} must not be above 1, got {value!r}")

    def at(self, t: np.ndarray) -> np.ndarray:
        """The rates at the times t."""
        raise NotImplementedError


ZERO_ALLOWED = ("minimum", "min_delta", "patience", "power")
SHARES = ("factor", "start", "end", "rise")


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate always.

    Parameters
    ----------
    rate : float
        Positive.

    Examples
    --------
    >>> import numpy as np
    >>> Constant(0.5).at(np.array([0.0, 7.5])).tolist()
    [0.5, 0.5]
    """

    def at(self, t: np.ndarray) -> np.ndarray:
        """The rate."""
        return np.full(np.shape(t), float(self.rate))


@dataclass(frozen=True)
class Step(Schedule):
    """Multiplied by `factor` after every so many epochs.

    Parameters
    ----------
    rate : float
        Of the first epochs.
    factor : float, default 0.1
        Above 0, at most 1.
    every : float, default 10
        Epochs from one change to the next.

    Examples
    --------
    >>> import numpy as np
    >>> Step(1.0, factor=0.5, every=2).at(np.array([0.0, 1.9, 2.0, 4.0])).tolist()
    [1.0, 1.0, 0.5, 0.25]
    """

    factor: float = 0.1
    every: float = 10

    def at(self, t: np.ndarray) -> np.ndarray:
        """Rate * factor^floor(t / every)."""
        return self.rate * np.power(float(self.factor), np.floor(t / self.every))


@dataclass(frozen=True)
class Exponential(Schedule):
    """Multiplied by `factor` in each epoch, smoothly.

    Parameters
    ----------
    rate : float
        At the start.
    factor : float, default 0.95
        Above 0, at most 1.

    Examples
    --------
    >>> import numpy as np
    >>> Exponential(1.0, factor=0.25).at(np.array([0.0, 0.5, 1.0])).tolist()
    [1.0, 0.5, 0.25]
    """

    factor: float = 0.95

    def at(self, t: np.ndarray) -> np.ndarray:
        """Rate * factor^t."""
        return self.rate * np.power(float(self.factor), t)


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """Divided by a power of the time.

    Parameters
    ----------
    rate : float
        At the start.
    power : float, default 0.5
        0 or more.

    Examples
    --------
    >>> import numpy as np
    >>> InverseScaling(1.0).at(np.array([0.0, 3.0])).tolist()
    [1.0, 0.5]
    """

    power: float = 0.5

    def at(self, t: np.ndarray) -> np.ndarray:
        """Rate / (1 + t)^power."""
        return self.rate / np.power(1.0 + np.asarray(t), self.power)


@dataclass(frozen=True)
class Cosine(Schedule):
    """From `rate` to `minimum` along half a cosine (Loshchilov and Hutter, ICLR 2017, without restarts).

    Parameters
    ----------
    rate : float
        At the start.
    epochs : float
        When the minimum is reached; it stays.
    minimum : float, default 0
        0 or more.

    Examples
    --------
    >>> import numpy as np
    >>> Cosine(1.0, epochs=10).at(np.array([0.0, 5.0, 10.0, 12.0])).round(12).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """

    epochs: float
    minimum: float = 0.0

    def at(self, t: np.ndarray) -> np.ndarray:
        """Minimum + (rate - minimum) (1 + cos(pi t / epochs)) / 2."""
        return _half_wave(np.minimum(np.asarray(t) / self.epochs, 1.0), self.rate, self.minimum)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A line up to another schedule's rate, over the first epochs.

    Parameters
    ----------
    rate : Schedule or float
        What follows; its time runs from the start.
    epochs : float, default 1
        Length of the line.
    start : float, default 0.1
        Share of the rate at which the line begins.

    Examples
    --------
    >>> import numpy as np
    >>> WarmUp(0.5, epochs=2, start=0.2).at(np.array([0.0, 1.0, 2.0, 3.0])).round(12).tolist()
    [0.1, 0.3, 0.5, 0.5]
    """

    rate: Any
    epochs: float = 1
    start: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.rate, ReduceOnPlateau):
            raise TypeError("WarmUp takes a schedule of the time, got ReduceOnPlateau, which reads the history")

    def at(self, t: np.ndarray) -> np.ndarray:
        """(start + (1 - start) t / epochs) times the other's rate, then the other's rate."""
        following = self.rate if isinstance(self.rate, Schedule) else Constant(self.rate)
        return following.at(t) * (self.start + (1 - self.start) * np.minimum(np.asarray(t) / self.epochs, 1.0))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up along half a cosine, then down along another (Smith and Topin, "Super-Convergence", 2018).

    Parameters
    ----------
    rate : float
        The highest.
    epochs : float
        Length of the cycle; then the last rate stays.
    rise : float, default 0.3
        Share of the cycle in which the rate rises.
    start : float, default 0.04
        Share of the highest rate at the beginning.
    end : float, default 4e-6
        Share of the highest rate at the end.

    Examples
    --------
    >>> import numpy as np
    >>> OneCycle(1.0, epochs=10, rise=0.5, start=0.2, end=0.1).at(np.array([0.0, 2.5, 5.0, 10.0])).round(12).tolist()
    [0.2, 0.6, 1.0, 0.1]
    """

    epochs: float
    rise: float = 0.3
    start: float = 0.04
    end: float = 4e-6

    def at(self, t: np.ndarray) -> np.ndarray:
        """The two half waves."""
        share = np.minimum(np.asarray(t) / self.epochs, 1.0)
        up = _half_wave(np.minimum(share / self.rise, 1.0), self.rate * self.start, self.rate)
        fallen = np.maximum(share - self.rise, 0.0) / max(1 - self.rise, 1e-12)
        return np.where(share < self.rise, up, _half_wave(np.minimum(fallen, 1.0), self.rate, self.rate * self.end))


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiplied by `factor` whenever a figure of the history has not improved for so many epochs.

    It reads the history of the `fit` that it is given to, and starts anew in the next.

    Parameters
    ----------
    rate : float
        At the start.
    factor : float, default 0.1
        Above 0, at most 1.
    patience : int, default 10
        Epochs without an improvement after which the rate falls; then it waits as long again.
    monitor : str, default "loss"
        Column of the history; the larger the better for accuracies, the smaller for others.
    min_delta : float, default 0
        What counts as an improvement must be larger than this.
    minimum : float, default 0
        The rate falls no further.

    Examples
    --------
    >>> from fastnn import History
    >>> history = History()
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     history.add(loss=loss)
    >>> ReduceOnPlateau(1.0, patience=2).after(history)
    0.1
    """

    factor: float = 0.1
    patience: int = 10
    monitor: str = "loss"
    min_delta: float = 0.0
    minimum: float = 0.0

    def after(self, history: History) -> float:
        """The rate for the epoch that follows what the history holds."""
        return self.follow(history, PlateauState(float(self.rate)))

    def follow(self, history: History, course: PlateauState) -> float:
        """As `after`, from where an earlier call left the course."""
        sign = -1.0 if self.monitor.endswith("accuracy") else 1.0
        for value in history.column(self.monitor)[course.seen :] if history.epochs else ():
            course.seen += 1
            if sign * value < course.best - self.min_delta:
                course.best, course.waited = sign * value, 0
                continue
            course.waited += 1
            if course.waited >= self.patience:
                course.rate, course.waited = max(course.rate * self.factor, self.minimum), 0
        return course.rate


@dataclass
class PlateauState:
    """Where a `ReduceOnPlateau` stands: its rate, the best value, epochs since then, epochs seen."""

    rate: float
    best: float = math.inf
    waited: int = 0
    seen: int = 0


def _half_wave(share: np.ndarray, first: float, last: float) -> np.ndarray:
    return last + (first - last) * 0.5 * (1 + np.cos(np.pi * share))


@dataclass(frozen=True)
class Rates:
    """The learning rate of each step, from what `fit` was given: a number, a schedule, a function of the epoch."""

    given: Any
    dtype: np.dtype
    course: PlateauState = field(default_factory=lambda: PlateauState(math.nan))

    @property
    def reads_history(self) -> bool:
        """Whether the rate of an epoch depends on how the one before it went."""
        return isinstance(self.given, ReduceOnPlateau)

    def between(self, first: int, last: int, per_epoch: int, start_epoch: int, history: History) -> np.ndarray:
        """Of the steps first..last of a training that began at `start_epoch`."""
        given = self.given
        if isinstance(given, ReduceOnPlateau):
            if not self.course.seen:
                self.course.rate = float(given.rate)
            rates = np.full(last - first, given.follow(history, self.course))
        elif isinstance(given, Schedule):
            rates = rates_at(given, start_epoch + np.arange(first, last) / per_epoch, self.dtype)
        elif callable(given):
            epochs = range(first // per_epoch, (last - 1) // per_epoch + 1)
            of_epoch = [
                check_learning_rate(f"learning_rate({start_epoch + e})", given(start_epoch + e), self.dtype)
                for e in epochs
            ]
            rates = np.repeat(of_epoch, per_epoch)[first % per_epoch :][: last - first]
        else:
            rates = np.full(last - first, given)
        return np.ascontiguousarray(rates, self.dtype)


def make_rates(learning_rate: Any, dtype: np.dtype) -> Rates:
    """Check what `fit` was given; rates that are made stay."""
    if isinstance(learning_rate, Rates):
        return learning_rate
    highest = learning_rate
    while isinstance(highest, Schedule):
        highest = highest.rate
    if isinstance(learning_rate, Schedule) or not callable(learning_rate):
        check_learning_rate("learning_rate", highest, dtype)
    return Rates(learning_rate, dtype)


def rates_at(schedule: Schedule, times: np.ndarray, dtype: Any) -> np.ndarray:
    """What a schedule, be it the user's own, says at these times; one number counts for all."""
    found = np.asarray(schedule.at(times))
    if found.shape not in ((), times.shape) or found.dtype.kind not in "iuf":
        raise ValueError(
            f"learning_rate: {type(schedule).__name__}.at(t) must return a number for each of the {len(times)} times, "
            f"got {found.dtype}{found.shape}"
        )
    sound = (found >= 0) & (found <= np.finfo(dtype).max)
    if not sound.all():
        wrong = found[~sound].reshape(-1)[0]
        raise ValueError(f"learning_rate: {type(schedule).__name__}.at(t) must be 0 or more and finite, got {wrong}")
    return np.broadcast_to(found, times.shape)


def check_learning_rate(name: str, value: Any, dtype: Any) -> float:
    """A positive rate within the network's numbers, or an error that names it."""
    rate = check_float(name, value)
    if not 0 < rate <= float(np.finfo(dtype).max):
        raise ValueError(f"{name} must be positive and within {np.dtype(dtype)}, got {value!r}")
    return rate
