"""Learning-rate schedules.

A schedule is a function of the time t in epochs, counted over all calls of `fit`: t = 2.5 is halfway through the third
epoch. Every update has its own rate. Calling `fit` again continues the schedule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .checks import check_non_negative, check_positive
from .history import History, check_monitor_type, monitor_sign


@dataclass(frozen=True)
class Schedule:
    """Base class of all schedules; `rate` is the learning rate at the start, or the highest."""

    rate: float

    def __post_init__(self) -> None:
        for name in (setting.name for setting in fields(self)):
            value = getattr(self, name)
            if isinstance(value, Schedule):
                continue
            if name == "monitor":
                check_monitor_type(value)
                continue
            number = check_non_negative(name, value) if name in MAY_BE_0 else check_positive(name, value)
            if name in AT_MOST_1 and number > 1:
                raise ValueError(f"{name} must not be above 1, got {value!r}")

    def at(self, t: np.ndarray) -> np.ndarray:
        """Return the rates at the times t."""
        raise NotImplementedError


MAY_BE_0 = ("minimum", "min_delta", "patience", "power")
AT_MOST_1 = ("factor", "start", "end", "rise")


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
        """Return the rate."""
        return np.full(np.shape(t), float(self.rate))


@dataclass(frozen=True)
class Step(Schedule):
    """The rate is multiplied by `factor` every `step_size` epochs.

    Parameters
    ----------
    rate : float
        Rate of the first epochs.
    factor : float, default 0.1
        Above 0, at most 1.
    step_size : float, default 10
        Epochs from one change to the next.

    Examples
    --------
    >>> import numpy as np
    >>> Step(1.0, factor=0.5, step_size=2).at(np.array([0.0, 1.9, 2.0, 4.0])).tolist()
    [1.0, 1.0, 0.5, 0.25]
    """

    factor: float = 0.1
    step_size: float = 10

    def at(self, t: np.ndarray) -> np.ndarray:
        """Return rate * factor^floor(t / step_size)."""
        return self.rate * np.power(float(self.factor), np.floor(t / self.step_size))


@dataclass(frozen=True)
class Exponential(Schedule):
    """The rate decays smoothly, by `factor` in each epoch.

    Parameters
    ----------
    rate : float
        Rate at the start.
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
        """Return rate * factor^t."""
        return np.asarray(self.rate * np.power(float(self.factor), t))


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """The rate is divided by a power of the time.

    Parameters
    ----------
    rate : float
        Rate at the start.
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
        """Return rate / (1 + t)^power."""
        return self.rate / np.power(1.0 + np.asarray(t), self.power)


@dataclass(frozen=True)
class Cosine(Schedule):
    """The rate falls to `minimum` along half a cosine (Loshchilov and Hutter, ICLR 2017, without restarts).

    Parameters
    ----------
    rate : float
        Rate at the start.
    epochs : float
        Time at which the minimum is reached; the rate stays there.
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
        """Return minimum + (rate - minimum) (1 + cos(pi t / epochs)) / 2."""
        return _half_cosine(np.minimum(np.asarray(t) / self.epochs, 1.0), self.rate, self.minimum)


@dataclass(frozen=True)
class CosLog4(Schedule):
    """The rate rises and falls four times, in ever longer waves (Holzmueller and others, arXiv 2407.04491).

    Parameters
    ----------
    rate : float
        The highest rate; that at the start and at the end is 0.
    epochs : float
        Length of the training; the rate stays 0 after it.

    Examples
    --------
    >>> import numpy as np
    >>> CosLog4(1.0, epochs=15).at(np.array([0.0, 1.0, 3.0, 15.0])).round(12).tolist()
    [0.0, 0.0, 0.0, 0.0]
    >>> CosLog4(1.0, epochs=15).at(np.array([2**0.5 - 1])).round(12).tolist()
    [1.0]
    """

    epochs: float

    def at(self, t: np.ndarray) -> np.ndarray:
        """Return rate (1 - cos(2 pi log2(1 + 15 t / epochs))) / 2."""
        progress = np.minimum(np.asarray(t) / self.epochs, 1.0)
        waves: np.ndarray = 1 - np.cos(2 * np.pi * np.log2(1 + 15 * progress))
        return self.rate * 0.5 * waves


@dataclass(frozen=True)
class FlatCosine(Schedule):
    """The rate stays for half of the training, then falls to 0 along half a cosine.

    Parameters
    ----------
    rate : float
        Rate of the first half.
    epochs : float
        Length of the training; the rate stays 0 after it.

    Examples
    --------
    >>> import numpy as np
    >>> FlatCosine(1.0, epochs=4).at(np.array([0.0, 2.0, 3.0, 4.0])).round(12).tolist()
    [1.0, 1.0, 0.5, 0.0]
    """

    epochs: float

    def at(self, t: np.ndarray) -> np.ndarray:
        """Return rate (1 + cos(pi (max(1, 2 t / epochs) - 1))) / 2."""
        progress = np.minimum(np.asarray(t) / self.epochs, 1.0)
        return _half_cosine(np.maximum(1.0, 2 * progress) - 1, self.rate, 0.0)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """The rate rises linearly over the first epochs, to that of another schedule.

    Parameters
    ----------
    rate : Schedule or float
        The schedule that follows; its time too starts at 0.
    epochs : float, default 1
        Length of the rise.
    start : float, default 0.1
        Fraction of the rate at which the rise begins.

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
        """Return (start + (1 - start) t / epochs) times the other schedule's rate, then that rate."""
        following = self.rate if isinstance(self.rate, Schedule) else Constant(self.rate)
        return following.at(t) * (self.start + (1 - self.start) * np.minimum(np.asarray(t) / self.epochs, 1.0))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """The rate rises along half a cosine, then falls along another (Smith and Topin, "Super-Convergence", 2018).

    Parameters
    ----------
    rate : float
        The highest rate.
    epochs : float
        Length of the cycle; the last rate stays.
    rise : float, default 0.3
        Fraction of the cycle in which the rate rises.
    start : float, default 0.04
        Rate at the beginning, as a fraction of the highest.
    end : float, default 4e-6
        Rate at the end, as a fraction of the highest.

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
        """Return the rate along the two half cosines."""
        progress = np.minimum(np.asarray(t) / self.epochs, 1.0)
        rising = _half_cosine(np.minimum(progress / self.rise, 1.0), self.rate * self.start, self.rate)
        fall = np.maximum(progress - self.rise, 0.0) / max(1 - self.rise, 1e-12)
        falling = _half_cosine(np.minimum(fall, 1.0), self.rate, self.rate * self.end)
        return np.where(progress < self.rise, rising, falling)


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """The rate is multiplied by `factor` whenever a column of the history has stopped improving.

    It reads the history of one `fit`; calling `fit` again starts from `rate`.

    Parameters
    ----------
    rate : float
        Rate at the start.
    factor : float, default 0.1
        Above 0, at most 1.
    patience : int, default 10
        Number of epochs without improvement after which the rate falls; then the count starts again.
    monitor : str, default "loss"
        Column of the history. Accuracies improve by rising, all other columns by falling.
    min_delta : float, default 0
        Smallest change that counts as an improvement; it must be exceeded.
    minimum : float, default 0
        Lowest rate.

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
        """Return the rate of the epoch that follows those in the history."""
        return self.advance(history, PlateauState(float(self.rate)))

    def advance(self, history: History, state: PlateauState) -> float:
        """Return the same as `after`, reading only the epochs that `state` has not seen, and update `state`."""
        sign = monitor_sign(self.monitor)
        for value in history.column(self.monitor)[state.seen :] if history.epochs else ():
            state.seen += 1
            if sign * value < state.best - self.min_delta:
                state.best, state.waited = sign * value, 0
                continue
            state.waited += 1
            if state.waited >= self.patience:
                state.rate, state.waited = max(state.rate * self.factor, self.minimum), 0
        return state.rate


@dataclass
class PlateauState:
    """The state of a `ReduceOnPlateau`: rate, best value, epochs since it improved, epochs seen."""

    rate: float
    best: float = math.inf
    waited: int = 0
    seen: int = 0


def _half_cosine(progress: np.ndarray, first: float, last: float) -> np.ndarray:
    return last + (first - last) * 0.5 * (1 + np.cos(np.pi * progress))
