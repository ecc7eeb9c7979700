"""Which learning rate? One short training with ever larger rates (Smith, "Cyclical Learning Rates", WACV 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import inputs
from ..checks import check_int, check_learning_rate
from ..errors import DivergenceError
from .checkpointing import Checkpointer
from .interrupts import Interruption

if TYPE_CHECKING:
    from ..network import Network

SMOOTHING = 0.9
"""Share that the running mean of the losses keeps from batch to batch."""

TOO_FAR = 4.0
"""The search ends at a smoothed loss this many times the smallest."""

SETTLING = 5
"""One in so many of the batches at the beginning is not looked at: a mean of few losses is all noise."""


@dataclass(frozen=True)
class RateSearch:
    """What `Network.find_learning_rate` found.

    Attributes
    ----------
    learning_rates : ndarray, (n,)
        Of the updates made, from the smallest up.
    losses : ndarray, (n,)
        Loss of each batch before its update.
    smoothed : ndarray, (n,)
        Their running mean.
    suggestion : float
        Where the smoothed loss falls most steeply over the logarithm of the rate, before its lowest point.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: float


def find_learning_rate(
    net: Network, X: Any, y: Any, batch_size: int, smallest: float, largest: float, steps: int, optimizer: Any
) -> RateSearch:
    """As `Network.find_learning_rate` documents it."""
    batch_size, steps = check_int("batch_size", batch_size, 1), check_int("steps", steps, 10)
    low, high = (check_learning_rate(n, v, net.dtype) for n, v in (("smallest", smallest), ("largest", largest)))
    if low >= high:
        raise ValueError(f"smallest must be below largest, got {smallest!r} and {largest!r}")
    trial, rates, losses = net.copy(), np.geomspace(low, high, steps), []
    trial.loss(X, y)  # all checks on the data, before anything is indexed
    rows_of, targets = inputs.as_indexable("X", X), inputs.as_numeric_array("y", y)
    n_rows = rows_of.shape[0]
    batch_size = min(batch_size, n_rows)
    generator = np.random.default_rng(net.seed)
    order = np.concatenate([generator.permutation(n_rows) for _ in range(-(-steps * batch_size // n_rows))])
    mean, lowest, smoothed, interruption = 0.0, math.inf, [], Interruption()
    for step, rate in enumerate(rates):
        rows = order[step * batch_size : (step + 1) * batch_size]
        keeper: Any = Checkpointer(None, interruption)
        try:
            with interruption:
                history = trial.fit(
                    rows_of[rows], targets[rows], epochs=1, batch_size=batch_size, learning_rate=float(rate),
                    optimizer=optimizer, shuffle=False, n_threads=1, progress=False, checkpoint=keeper,
                )  # fmt: skip
        except DivergenceError:
            break
        if interruption.requested:
            raise KeyboardInterrupt
        mean = SMOOTHING * mean + (1 - SMOOTHING) * history["loss"][0]
        losses.append(history["loss"][0])
        smoothed.append(mean / (1 - SMOOTHING ** (step + 1)))
        lowest = min(lowest, smoothed[-1])
        if smoothed[-1] > TOO_FAR * lowest and step > steps // 10:
            break
    rates, course = rates[: len(losses)], np.array(smoothed)
    return RateSearch(rates, np.array(losses), course, _steepest(rates, course))


def _steepest(rates: np.ndarray, course: np.ndarray) -> float:
    if len(course) < 3:
        return float(rates[0]) if len(rates) else math.nan
    begin = len(course) // SETTLING
    end = max(int(np.argmin(course[begin:])) + 1, 3)
    slopes = np.gradient(course[begin:][:end], np.log(rates[begin:][:end]))
    return float(rates[begin + int(np.argmin(slopes))])
