"""Find a learning rate: one short training with growing rates (Smith, "Cyclical Learning LearningRates", WACV 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import inputs
from ..checks import check_int, check_learning_rate
from ..errors import DivergenceError
from ..learning_rates import as_learning_rates
from ..optimizers import LBFGS, as_optimizer
from .checkpointing import Checkpointer
from .dataset import make_dataset
from .engine import Engine
from .interrupts import Interruption
from .loop import NoCallbacks
from .options import make_fit_options
from .state import TrainingState
from .trainer import fit_steps

SMOOTHING = 0.9
"""Weight of the earlier losses in the running mean."""

MAX_RISE = 4.0
"""The search ends at a smoothed loss this many times the smallest."""

SKIPPED = 5
"""The first batches, one in this many, are ignored for the suggestion: a mean of few losses is all noise."""


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
    engine: Engine,
    state: TrainingState,
    X: Any,
    y: Any,
    *,
    batch_size: Any,
    min_lr: Any,
    max_lr: Any,
    steps: Any,
    optimizer: Any,
) -> RateSearch:
    """Search as `Network.find_learning_rate` documents it; engine and state belong to a copy, and move."""
    if isinstance(as_optimizer(optimizer), LBFGS):
        raise ValueError("find_learning_rate is for optimizers that have a learning rate; 'lbfgs' has none")
    batch_size, steps = check_int("batch_size", batch_size, 1), check_int("steps", steps, 10)
    low = check_learning_rate("min_lr", min_lr, engine.dtype)
    high = check_learning_rate("max_lr", max_lr, engine.dtype)
    if low >= high:
        raise ValueError(f"min_lr must be below max_lr, got {min_lr!r} and {max_lr!r}")
    n_rows = make_dataset(engine.spec, X, y).examples.n_rows  # all checks on the data, before anything is indexed
    rows, targets = inputs.as_indexable("X", X), inputs.as_numeric_array("y", y)
    batch_size = min(batch_size, n_rows)
    options = make_fit_options(
        engine.spec, epochs=1, batch_size=batch_size, learning_rate=low, optimizer=optimizer, shuffle=False,
        n_threads=1, progress=False,
    )  # fmt: skip
    rates, losses, smoothed = np.geomspace(low, high, steps), [], []
    generator = np.random.default_rng(state.seed)
    order = np.concatenate([generator.permutation(n_rows) for _ in range(-(-steps * batch_size // n_rows))])
    mean, lowest, interruption = 0.0, math.inf, Interruption()
    for step, rate in enumerate(rates):
        batch = order[step * batch_size : (step + 1) * batch_size]
        dataset = make_dataset(engine.spec, rows[batch], targets[batch])
        at_rate = replace(options, rates=as_learning_rates(float(rate), engine.dtype))
        try:
            with interruption:
                checkpointer = Checkpointer(None, interruption)
                run = fit_steps(engine, state, dataset, at_rate, NoCallbacks(), checkpointer)
        except DivergenceError:
            break
        if interruption.requested:
            raise KeyboardInterrupt
        losses.append(run.history["loss"][0])
        mean = SMOOTHING * mean + (1 - SMOOTHING) * losses[-1]
        smoothed.append(mean / (1 - SMOOTHING ** (step + 1)))
        lowest = min(lowest, smoothed[-1])
        if smoothed[-1] > MAX_RISE * lowest and step > steps // 10:
            break
    rates, means = rates[: len(losses)], np.array(smoothed)
    return RateSearch(rates, np.array(losses), means, _steepest(rates, means))


def _steepest(rates: np.ndarray, means: np.ndarray) -> float:
    """Return the rate at which the smoothed losses fall most steeply."""
    if len(means) < 3:
        return float(rates[0]) if len(rates) else math.nan
    begin = len(means) // SKIPPED
    end = max(int(np.argmin(means[begin:])) + 1, 3)
    descent = np.gradient(means[begin:][:end], np.log(rates[begin:][:end]))
    return float(rates[begin + int(np.argmin(descent))])
