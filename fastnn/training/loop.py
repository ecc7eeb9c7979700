"""The loop around the compiled epochs: how many steps a call takes, on how many threads, what follows each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import DivergenceError
from ..history import History
from ..kernels import layout, losses, threads, train_loop
from ..kernels.jit import COMPILED
from .interrupts import Interruption
from .plan import KernelArguments, Metrics, TrainingPlan, with_schedules
from .state import TrainingState
from .thread_tuner import ThreadTuner, step_work

CALL_SECONDS = 0.25
"""Longest that compiled code keeps Python waiting, where a step is not longer."""

OBSERVED_CALL_SECONDS = 0.05
"""The same where callbacks observe: their calls then cost some 1% at most."""

SLOWEST_PRODUCT, SLOWEST_ROW = 1e-8, 1e-7
"""Seconds of a multiply-add, and of drawing a place in the order: a few times what they take where slow."""

DIVERGENCE_FACTOR = 1e4
"""A mean loss of an epoch this many times that of the first one counts as diverged."""

MAX_STEPS = 1 << 22
"""Steps of one compiled call at most."""

RESUMABLE = ("", "interrupted", "epochs")
"""Stop reasons after which a checkpoint can continue, where more epochs are requested."""


class Callbacks(Protocol):
    """What the loop asks of the callbacks of a fit; they alone know the network."""

    def __bool__(self) -> bool:
        """Return whether they must be called after every epoch, before the next begins."""
        ...

    @property
    def observed(self) -> bool:
        """Whether there are any at all: those that only observe are called at some epochs' ends."""
        ...

    def after_epoch(self) -> bool:
        """Call them all; return whether one of them ends the training."""
        ...

    def state(self) -> tuple[list[list[Any]], dict[str, np.ndarray]]:
        """Return what a checkpoint keeps of them."""
        ...

    def restore(self, plain: list[list[Any]], arrays: dict[str, np.ndarray]) -> None:
        """Restore what `state` returned."""
        ...


class NoCallbacks:
    """No callbacks at all, as a context."""

    observed = False

    def __bool__(self) -> bool:
        return False

    def __enter__(self) -> NoCallbacks:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def after_epoch(self) -> bool:
        """Continue."""
        return False

    def state(self) -> tuple[list[list[Any]], dict[str, np.ndarray]]:
        """Return nothing to keep."""
        return [], {}

    def restore(self, plain: list[list[Any]], arrays: dict[str, np.ndarray]) -> None:
        """Restore nothing."""


class Checkpointer(Protocol):
    """What the loop asks of whatever keeps checkpoints."""

    history: History
    interruption: Interruption

    def restore(self, run: TrainingRun) -> None:
        """Set a run to where the checkpoint was written."""
        ...

    def save(self, run: TrainingRun, reason: str = "") -> None:
        """Keep what the next step depends on, now that a compiled call or the training has ended."""
        ...


@dataclass(frozen=True)
class Hooks:
    """What a training calls between compiled calls."""

    callbacks: Callbacks
    show_progress: Callable[[History, int], None]
    checkpointer: Checkpointer


class TrainingRun:
    """A training under way: its records, its position, its history."""

    answers_interrupts = True
    """Whether KeyboardInterrupt ends this run alone; ranks must all end together."""

    def __init__(
        self, arguments: KernelArguments, plan: TrainingPlan, metrics: Metrics, hooks: Hooks, state: TrainingState
    ) -> None:
        self.arguments, self.plan, self.metrics, self.hooks, self.state = arguments, plan, metrics, hooks, state
        # a single batch holds all rows in any order; without a shuffle its sums keep the caller's order
        self.shuffle = plan.shuffle and plan.steps_per_epoch > 1
        self.records = layout.Records(
            order=np.empty(arguments.examples.n_rows if self.shuffle else 0, np.int64),
            state=np.array([-1, 0, 0], np.int64),
            sums=np.zeros(3),
            history=np.empty((0, 4)),
            learning_rates=np.empty(0, arguments.network.parameters.dtype),
        )
        self.history = hooks.checkpointer.history
        self.interruption = hooks.checkpointer.interruption
        self.converged = False
        self.divergence: str | None = None
        self._epochs_called = self.history.epochs  # epochs that the callbacks have seen
        self._epochs_checked = 0  # epochs whose losses are known to be finite
        self.epochs_before = state.epochs
        self.steps_before = state.optimizer.steps if state.optimizer else 0
        self._team_steps: Counter[int] = Counter()  # steps by the size of the team that made them
        self._began = time.perf_counter() - self.history.seconds
        hooks.checkpointer.restore(self)

    @property
    def by_epoch(self) -> bool:
        """Whether compiled calls must return at every epoch boundary."""
        return bool(self.hooks.callbacks) or self.plan.rates.reads_history

    @property
    def is_observed(self) -> bool:
        """Whether calls that span epochs must end with one, for callbacks that see some epochs only."""
        return self.hooks.callbacks.observed and not self.by_epoch

    @property
    def seconds(self) -> float:
        """Wall time of this training, that before a checkpoint included."""
        return time.perf_counter() - self._began

    @property
    def position(self) -> int:
        """The next step."""
        return int(self.records.state[layout.NEXT_STEP])

    @property
    def stopped(self) -> bool:
        """Whether the last call met a loss that is not finite."""
        return bool(self.records.state[layout.STOPPED])

    @property
    def stop_requested(self) -> bool:
        """Whether Ctrl-C asked the run to stop."""
        return self.interruption.requested

    def n_threads(self, wanted: int) -> int:
        """Return the size of the team that made most of the steps; if none was made, the one that was wanted."""
        steps = self._team_steps
        return max(steps, key=lambda size: (steps[size], size)) if steps else wanted

    def show_position(self) -> None:
        """Write epochs and updates so far into the network's state."""
        self.state.epochs = self.epochs_before + self.history.epochs
        if self.state.optimizer:
            self.state.optimizer.steps = self.steps_before + self.position

    def call_range(self, steps: int) -> tuple[int, int]:
        """Return the first and last step of the next call, which takes `steps` at most."""
        first, per_epoch = self.position, self.plan.steps_per_epoch
        last = min(first + steps, self.plan.n_steps)
        end_of_epoch = first - first % per_epoch + per_epoch
        if self.by_epoch:
            last = min(last, end_of_epoch)
        elif self.is_observed and last > end_of_epoch:
            last -= last % per_epoch
        return first, last

    def advance(self, steps: int, n_threads: int) -> float:
        """Train for up to `steps` steps; return the seconds they took."""
        plan, arguments = self.plan, self.arguments
        first, last = self.call_range(steps)
        if last <= first:
            return 0.0
        per_epoch = plan.steps_per_epoch
        rates = plan.rates.between(first, last, per_epoch, plan.start_epoch, self.history)
        step_range = layout.StepRange(
            first, last, plan.batch_size, plan.start_epoch, per_epoch, int(self.shuffle), plan.seed, 1,
            int(plan.on_divergence == "raise"),
        )  # fmt: skip
        rule, stochastic = with_schedules(arguments.rule, arguments.stochastic, plan, first, last)
        n_epochs = (last - 1) // per_epoch + 1 - first // per_epoch
        records = self.records._replace(learning_rates=rates, history=np.full((n_epochs, 4), np.nan))
        began = time.perf_counter()
        team_steps = threads.run_on_team(
            train_loop.train, train_loop.train_member, n_threads,
            arguments.network, arguments.work, arguments.examples, arguments.validation, step_range,
            rule, stochastic, records,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        self._team_steps.update(dict(enumerate(team_steps.tolist(), start=1)))
        complete = range(first // per_epoch, self.position // per_epoch)
        last_steps = [per_epoch * (epoch + 1) - 1 - first for epoch in complete]
        self.collect(records.history[: len(complete)], rates[last_steps])
        return seconds

    def collect(self, epochs: np.ndarray, rates: np.ndarray) -> None:
        """Add the epochs that a call completed, and the learning rates at their ends, to the history."""
        network = self.arguments.network
        for (loss, accuracy, val_loss, val_accuracy), rate in zip(epochs, rates, strict=True):
            if self.converged:
                return  # a loss of 0 moves no parameter: the later epochs changed nothing
            if np.isnan(loss) and self.stopped:
                return
            values = {"loss": loss}
            if self.metrics.accuracy:
                values["accuracy"] = accuracy
            if self.arguments.validation.n_rows:
                values["val_loss"] = val_loss
                if self.metrics.val_accuracy:
                    values["val_accuracy"] = val_accuracy
            self.history.add(**values)
            self.history.learning_rates.append(float(rate))
            # the perceptron's loss is 0 on the boundary too, where its rule still moves
            single_output = network.table[-1, layout.N_OUT] == 1
            self.converged = loss == 0 and (network.loss != losses.PERCEPTRON or (single_output and accuracy == 1))

    def diverged(self) -> tuple[str, int] | None:
        """Return why this training is diverging, and in which epoch; None where it is not."""
        history = self.history
        means = history["loss"] if history.epochs else []
        new, self._epochs_checked = means[self._epochs_checked :], len(means)
        if self.stopped or not np.isfinite(new).all():
            return "the loss is not finite", min(history.epochs + 1, self.plan.epochs)
        if not np.isfinite(self.arguments.network.parameters).all():
            return "a parameter is not finite", history.epochs + 1
        risen = loss_explosion(means)
        return (risen, history.epochs) if risen else None

    def after_call(self) -> bool:
        """Show the position, call the callbacks of a new epoch; return whether the training ends here."""
        self.hooks.show_progress(self.history, self.position)
        if self.history.epochs > self._epochs_called:
            self._epochs_called = self.history.epochs
            self.show_position()
            if self.hooks.callbacks.after_epoch():
                return True
        if self.converged:
            self.history.stop_reason = "converged"
            return True
        if self.position >= self.plan.n_steps:
            return True
        if self.stop_requested:
            self.history.stop_reason = "interrupted"
            return True
        return False

    def raise_divergence(self, reason: str, epoch: int) -> None:
        """Raise the error of a training that diverges."""
        plan, step = self.plan, max(self.position - 1, 0)
        rate = plan.rates.between(step, step + 1, plan.steps_per_epoch, plan.start_epoch, self.history)[0]
        self.history.stop_reason = "diverged"
        raise DivergenceError(reason, epoch=epoch, learning_rate=float(rate), history=self.history)


def loss_explosion(means: list[float]) -> str | None:
    """Return what the mean losses of the epochs say of a training that diverges slowly; None where they are sound."""
    if means and means[-1] > DIVERGENCE_FACTOR * means[0] > 0:
        return f"the loss rose from {means[0]:.4g} in the first epoch to {means[-1]:.4g}"
    return None


def first_steps(run: TrainingRun, call_seconds: float) -> int:
    """Return the steps of the first call: no more than surely end in time, since no step was measured yet."""
    if not COMPILED:
        return 1
    arguments = run.arguments
    evaluation = arguments.validation.n_rows * arguments.network.parameters.size * SLOWEST_PRODUCT
    per_epoch = evaluation + arguments.examples.n_rows * SLOWEST_ROW
    seconds = step_work(run) * SLOWEST_PRODUCT + per_epoch / run.plan.steps_per_epoch
    return max(1, min(int(call_seconds / seconds), MAX_STEPS))


def train(run: TrainingRun, tuner_class: Callable[[TrainingRun], Any] = ThreadTuner) -> None:
    """Run a training to its end, to divergence, or to Ctrl-C; raise DivergenceError as `Network.fit` documents it."""
    history = run.history
    finite = run.arguments.network.parameters.copy()
    try:
        with run.interruption:
            if history.stop_reason not in RESUMABLE:
                return
            history.stop_reason = "epochs"
            tuner = tuner_class(run)
            _train_to_end(run, tuner, finite)
            history.n_threads = run.n_threads(tuner.size)
            run.hooks.checkpointer.save(run, history.stop_reason)
    except KeyboardInterrupt:
        if not run.answers_interrupts:
            raise
        history.stop_reason = "interrupted"
    finally:
        history.seconds = run.seconds
        done = run.position / run.plan.steps_per_epoch * run.arguments.examples.n_rows
        history.examples_per_second = done / max(history.seconds, 1e-9)
    diverged = run.diverged() if run.plan.on_divergence == "continue" else None
    if diverged:
        history.stop_reason = "diverged"
        run.divergence = "{} in epoch {}".format(*diverged)


def _train_to_end(run: TrainingRun, tuner: Any, finite: np.ndarray) -> None:
    """Call the compiled epochs again and again; `finite` keeps the parameters of the last sound return."""
    call_seconds = OBSERVED_CALL_SECONDS if run.is_observed else CALL_SECONDS
    parameters, steps = run.arguments.network.parameters, first_steps(run, call_seconds)
    while True:
        diverged = run.diverged() if run.plan.on_divergence == "raise" else None
        if diverged:
            parameters[:] = finite
            run.raise_divergence(*diverged)
        np.copyto(finite, parameters)
        if run.after_call():
            return
        run.hooks.checkpointer.save(run)
        n_threads = tuner.choose()
        before = run.position
        seconds = run.advance(steps, n_threads)
        seconds_per_step = seconds / max(1, run.position - before)
        tuner.observe(seconds_per_step)
        steps = int(min(max(1, call_seconds / max(seconds_per_step, 1e-9)), MAX_STEPS, 4 * steps))
