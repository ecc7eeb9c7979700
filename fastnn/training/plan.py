"""What a training is told before it starts: the arguments of its kernels, its plan, what it records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..history import History
from ..kernels import layout

if TYPE_CHECKING:
    import numpy as np


class StepRates(Protocol):
    """The learning rate of each step, such as `fastnn.learning_rates.LearningRates`."""

    @property
    def reads_history(self) -> bool:
        """Whether a rate depends on the epochs before it."""
        ...

    def between(self, first: int, last: int, per_epoch: int, start_epoch: int, history: History) -> np.ndarray:
        """Return the rates of the steps first..last."""
        ...


class StepSchedule(Protocol):
    """A factor for each step, such as `fastnn.learning_rates.StepFactors`."""

    def between(self, first: int, last: int, per_epoch: int, start_epoch: int) -> np.ndarray:
        """Return the factors of the steps first..last."""
        ...


@dataclass(frozen=True)
class KernelArguments:
    """What every compiled call of a training is given."""

    network: layout.NetworkView
    work: layout.Workspace
    examples: layout.Examples
    validation: layout.Examples
    rule: layout.UpdateRule
    stochastic: layout.StochasticRegularization


@dataclass(frozen=True)
class TrainingPlan:
    """Which steps a training takes, and how.

    Attributes
    ----------
    epochs, batch_size, steps_per_epoch : int
    start_epoch : int
        Epochs before step 0: schedules and random draws count from there.
    shuffle : bool
        Whether each epoch has an order of its own.
    seed : int
    rates : StepRates
    n_threads : int or None
        None: measure.
    on_divergence : {"raise", "continue"}
    decay_schedule, dropout_schedule : StepSchedule or None
        Factors of the weight decay and of the dropout rates.
    """

    epochs: int
    batch_size: int
    steps_per_epoch: int
    start_epoch: int
    shuffle: bool
    seed: int
    rates: StepRates
    n_threads: int | None
    on_divergence: str
    decay_schedule: StepSchedule | None = None
    dropout_schedule: StepSchedule | None = None

    @property
    def n_steps(self) -> int:
        """Steps of the whole training."""
        return self.epochs * self.steps_per_epoch


def with_schedules(
    rule: layout.UpdateRule, stochastic: layout.StochasticRegularization, plan: TrainingPlan, first: int, last: int
) -> tuple[layout.UpdateRule, layout.StochasticRegularization]:
    """Return the bundles with the factors of weight decay and dropout in the steps first..last of a plan."""
    per_epoch = plan.steps_per_epoch
    if plan.decay_schedule is not None:
        factors = plan.decay_schedule.between(first, last, per_epoch, plan.start_epoch)
        rule = rule._replace(decay_schedule=factors, first_scheduled=rule.steps_before + first)
    if plan.dropout_schedule is not None:
        epochs = range(first // per_epoch, (last - 1) // per_epoch + 1)
        factors = plan.dropout_schedule.between(
            per_epoch * epochs.start, per_epoch * epochs.stop, per_epoch, plan.start_epoch
        )
        stochastic = stochastic._replace(
            dropout_schedule=factors.astype(stochastic.dropout_schedule.dtype),
            first_epoch=plan.start_epoch + epochs.start,
            steps_per_epoch=per_epoch,
            batch_size=plan.batch_size,
        )
    return rule, stochastic


@dataclass(frozen=True)
class Metrics:
    """What the history of a training holds beside the loss."""

    accuracy: bool
    val_accuracy: bool
