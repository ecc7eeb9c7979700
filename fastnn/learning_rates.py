"""The learning rate of every step, from what `fit` was given: a number, a schedule, or a function of the epoch.

So are the factors of dropout and of weight decay, from schedules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .checks import check_learning_rate, largest_number
from .history import History
from .schedules import PlateauState, ReduceOnPlateau, Schedule


@dataclass(frozen=True)
class LearningRates:
    """The learning rate of every step of a training.

    Attributes
    ----------
    source : float, Schedule or callable
        What `fit` was given: a number, a schedule, or a function of the epoch.
    dtype : dtype
        That of the network.
    plateau : PlateauState
        Where `source`, if it is a `ReduceOnPlateau`, stands.
    """

    source: Any
    dtype: np.dtype
    plateau: PlateauState = field(default_factory=lambda: PlateauState(math.nan))

    @property
    def reads_history(self) -> bool:
        """Whether the rate of an epoch depends on the history before it."""
        return isinstance(self.source, ReduceOnPlateau)

    def between(self, first: int, last: int, steps_per_epoch: int, start_epoch: int, history: History) -> np.ndarray:
        """Return the rates of the steps first..last-1 of a training that began at `start_epoch`."""
        source = self.source
        if isinstance(source, ReduceOnPlateau):
            if not self.plateau.seen:
                self.plateau.rate = float(source.rate)
            rates = np.full(last - first, source.advance(history, self.plateau))
        elif isinstance(source, Schedule):
            highest = largest_number(self.dtype)
            rates = evaluate_schedule(source, start_epoch + np.arange(first, last) / steps_per_epoch, highest)
        elif callable(source):
            epochs = range(start_epoch + first // steps_per_epoch, start_epoch + (last - 1) // steps_per_epoch + 1)
            of_epochs = [check_learning_rate(f"learning_rate({epoch})", source(epoch), self.dtype) for epoch in epochs]
            rates = np.repeat(of_epochs, steps_per_epoch)[first % steps_per_epoch :][: last - first]
        else:
            rates = np.full(last - first, source)
        return np.array(rates, self.dtype)


@dataclass(frozen=True)
class StepFactors:
    """The factors by which a schedule multiplies something in every step of a training.

    Attributes
    ----------
    name : str
        What errors call the schedule.
    source : Schedule
        Its rates are the factors.
    highest : float
        The largest factor that makes sense.
    """

    name: str
    source: Schedule
    highest: float

    def between(self, first: int, last: int, steps_per_epoch: int, start_epoch: int) -> np.ndarray:
        """Return the factors of the steps first..last-1 of a training that began at `start_epoch`."""
        times = start_epoch + np.arange(first, last) / steps_per_epoch
        return np.array(evaluate_schedule(self.source, times, self.highest, self.name), np.float64)


def as_step_factors(name: str, schedule: Any, highest: float = math.inf) -> StepFactors | None:
    """Check a schedule of factors; None stays None."""
    if schedule is None:
        return None
    if not isinstance(schedule, Schedule) or isinstance(schedule, ReduceOnPlateau):
        raise TypeError(f"{name} must be a schedule of the time, one of fastnn.schedules, got {schedule!r:.200}")
    return StepFactors(name, schedule, highest)


def as_learning_rates(learning_rate: Any, dtype: np.dtype) -> LearningRates:
    """Check what `fit` was given as `learning_rate`."""
    highest = learning_rate
    while isinstance(highest, Schedule):
        highest = highest.rate
    if isinstance(learning_rate, Schedule) or not callable(learning_rate):
        check_learning_rate("learning_rate", highest, dtype)
    return LearningRates(learning_rate, dtype)


def evaluate_schedule(
    schedule: Schedule, times: np.ndarray, highest: float, argument: str = "learning_rate"
) -> np.ndarray:
    """Return the rates of a schedule, which the user may have written, at these times; one number serves for all."""
    rates = np.asarray(schedule.at(times))
    name = f"{argument}: {type(schedule).__name__}.at(t)"
    if rates.shape not in ((), times.shape) or rates.dtype.kind not in "iuf":
        raise ValueError(
            f"{name} must return a number for each of the {len(times)} times, got {rates.dtype}{rates.shape}"
        )
    valid = (rates >= 0) & (rates <= highest) & np.isfinite(rates)
    if not valid.all():
        bound = "at most 1" if highest == 1 else "finite"
        raise ValueError(f"{name} must be 0 or more and {bound}, got {rates[~valid].reshape(-1)[0]}")
    return np.broadcast_to(rates, times.shape)
