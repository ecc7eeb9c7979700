"""The loop around the compiled epochs: how many steps a call takes, on how many threads, what follows each."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..callbacks.runner import CallbackRunner
from ..errors import DivergenceError, describe_divergence
from ..history import History
from ..kernels import layout, losses, threads, train_loop
from ..schedules import LearningRates
from .checkpointing import Checkpointer

CALL_SECONDS = 0.25
"""Longest that compiled code keeps Python waiting, where a step is not longer."""

DIVERGENCE_FACTOR = 1e4
"""A mean loss of an epoch this many times that of the first one counts as diverged."""

MOST_STEPS = 1 << 22
WORTH_A_TEAM = 30_000
"""Multiply-adds of a step below which one thread is always fastest."""

WORTH_MANY = 1_000_000
"""Multiply-adds of a step above which all threads are the better guess where there is no time to measure."""

TRIAL_SECONDS, TRIAL_ROUNDS = 0.002, 3
MEASURED: dict[tuple[Any, ...], tuple[float, int, float]] = {}
"""By layers, type and batch: seconds of a step on one thread, the best number of threads, and when that was found."""

HOLDS_SECONDS = 60.0
"""After that another training measures anew: other programs come and go."""

MOST_MEASURED = 256
GOES_ON = ("", "interrupted", "epochs")
"""Ends of a training after which its checkpoint has more to do, where more is asked for."""


@dataclass
class Job:
    """One call of `fit`: the network, the data, the settings."""

    network: layout.NetworkView
    work: layout.Workspace
    examples: layout.Examples
    validation: layout.Examples
    rates: LearningRates
    epochs: int
    batch_size: int
    start_epoch: int
    shuffle: bool
    seed: int
    accuracy: bool
    one_output: bool
    val_accuracy: bool
    n_threads: int | None
    on_divergence: str
    rule: layout.UpdateRule
    distortion: layout.StochasticRegularization
    callbacks: CallbackRunner
    progress: Callable[[History, int], None] = field(default=lambda history, step: None)
    moved: Callable[[int, int], None] = field(default=lambda epochs, steps: None)  # what callbacks see of the position
    keeper: Checkpointer = field(default_factory=Checkpointer)
    steps_done: int = 0
    steps: int = 0  # of an epoch, where others than this process decide

    @property
    def by_epoch(self) -> bool:
        """Whether something wants to see every epoch before the next begins."""
        return bool(self.callbacks) or self.rates.reads_history

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch, a ragged last one included."""
        return self.steps or -(-self.examples.n_rows // self.batch_size)


class Run:
    """A training under way: its records, its position, its history."""

    alone = True

    def __init__(self, job: Job, history: History) -> None:
        self.job = job
        # a single batch holds all rows in any order; without a shuffle its sums keep the caller's order
        self.shuffle = job.shuffle and job.steps_per_epoch > 1
        self.records = layout.Records(
            order=np.empty(job.examples.n_rows if self.shuffle else 0, np.int64),
            state=np.array([-1, 0, 0], np.int64),
            sums=np.zeros(3),
            history=np.empty((0, 4)),
            rates=np.empty(0, job.network.parameters.dtype),
        )
        self.history = history
        self.converged = False
        self.total = job.epochs * job.steps_per_epoch
        self.seen = history.epochs  # those that the callbacks have seen
        self.judged = 0  # epochs whose losses are known to be finite
        self._began = time.perf_counter() - history.seconds
        self.interruption = job.keeper.interruption
        job.keeper.put_back(self)

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

    def advance(self, steps: int, n_threads: int) -> float:
        """Train for up to `steps` steps; the seconds they took."""
        job, first = self.job, self.position
        per_epoch = job.steps_per_epoch
        last = min(first + steps, self.total)
        if job.by_epoch:
            last = min(last, first - first % per_epoch + per_epoch)
        if last <= first:
            return 0.0
        rates = job.rates.between(first, last, per_epoch, job.start_epoch, self.history)
        plan = layout.StepRange(
            first,
            last,
            job.batch_size,
            job.start_epoch,
            int(self.shuffle),
            job.seed,
            1,
            int(job.on_divergence == "raise"),
        )
        n_epochs = (last - 1) // per_epoch + 1 - first // per_epoch
        records = self.records._replace(rates=rates, history=np.full((n_epochs, 4), np.nan))
        began = time.perf_counter()
        threads.run_on_team(
            train_loop.train,
            train_loop.train_steps,
            n_threads,
            job.network,
            job.work,
            job.examples,
            job.validation,
            plan,
            job.rule,
            job.distortion,
            records,
        )
        seconds = time.perf_counter() - began
        complete = range(first // per_epoch, self.position // per_epoch)
        last_steps = [per_epoch * (epoch + 1) - 1 - first for epoch in complete]
        self.collect(records.history[: len(complete)], rates[last_steps])
        return seconds

    def collect(self, epochs: np.ndarray, rates: np.ndarray) -> None:
        """Add the epochs that a call completed, and the rates at their ends, to the history."""
        job = self.job
        for (loss, accuracy, val_loss, val_accuracy), rate in zip(epochs, rates, strict=True):
            if self.converged:
                return  # a loss of 0 moves no parameter: what followed changed nothing
            if np.isnan(loss) and self.stopped:
                return
            values = {"loss": loss}
            if job.accuracy:
                values["accuracy"] = accuracy
            if job.validation.n_rows:
                values["val_loss"] = val_loss
                if job.val_accuracy:
                    values["val_accuracy"] = val_accuracy
            self.history.add(**values)
            self.history.learning_rates.append(float(rate))
            # the perceptron's loss is 0 on the boundary too, where its rule still moves
            self.converged = loss == 0 and (job.network.loss != losses.PERCEPTRON or (job.one_output and accuracy == 1))

    def diverged(self) -> tuple[str, int] | None:
        """Return why this training diverges, and since which epoch; None if it does not."""
        losses = self.history["loss"] if self.history.epochs else []
        new, self.judged = losses[self.judged :], len(losses)
        if self.stopped or not np.isfinite(new).all():
            return "the loss is not finite", min(self.history.epochs + 1, self.job.epochs)
        if not np.isfinite(self.job.network.parameters).all():
            return "a parameter is not finite", self.history.epochs + 1
        reason = exploded(losses)
        return None if reason is None else (reason, self.history.epochs)


def exploded(losses: list[float]) -> str | None:
    """What the mean losses of the epochs say of a training that diverges slowly; None where they say nothing."""
    if losses and losses[-1] > DIVERGENCE_FACTOR * losses[0] > 0:
        return f"the loss rose from {losses[0]:.4g} in the first epoch to {losses[-1]:.4g}"
    return None


def step_cost(job: Job) -> int:
    """Multiply-adds of one step, forward, back and update."""
    return 3 * min(job.batch_size, job.examples.n_rows) * int(job.network.parameters.size)


class ThreadTuner:
    """How many threads a run works on: measured at its start, and again when the measurement no longer holds.

    The results are the same bits for every number, so that the choice can change at any step.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.alone = 0.0  # seconds that a step took on one thread; 0: never measured
        self.size = 1
        most = threads.max_threads()
        network = run.job.network
        self.key = network.table.tobytes(), network.parameters.dtype.name, run.job.batch_size, most
        wanted = run.job.n_threads
        if wanted is not None:
            self.size = min(wanted, most)
        elif most > 1 and step_cost(run.job) >= WORTH_A_TEAM and run.job.by_epoch and run.job.steps_per_epoch < 4:
            self.size = most if step_cost(run.job) > WORTH_MANY else 1
        elif self.key in MEASURED and time.monotonic() - MEASURED[self.key][2] < HOLDS_SECONDS:
            self.alone, self.size, _ = MEASURED[self.key]
        elif most > 1 and step_cost(run.job) >= WORTH_A_TEAM and run.total - run.position >= 4:
            run.advance(1, 1)
            self.alone = run.advance(1, 1)
            self.measure()

    def measure(self) -> None:
        """Give each number of threads a few turns of the next steps, and keep the one with the fastest turn."""
        run, most = self.run, self.key[-1]
        self.counts = sorted({1, most, *(2**k for k in range(1, most.bit_length()) if 2**k < most)})
        steps = max(1, int(TRIAL_SECONDS / max(self.alone, 1e-7)))
        per_epoch = run.job.steps_per_epoch
        left = per_epoch - run.position % per_epoch if run.job.by_epoch else run.total - run.position
        if left <= (TRIAL_ROUNDS + 1) * steps * len(self.counts):
            self.size = self.counts[-1] if step_cost(run.job) > WORTH_MANY else 1
            return
        best = dict.fromkeys(self.counts, np.inf)
        for trial in range(TRIAL_ROUNDS + 1):
            for count in self.counts:
                before = run.position
                seconds = run.advance(steps, count)
                if trial > 0:  # the first turn wakes the threads
                    best[count] = min(best[count], seconds / max(1, run.position - before))
        self.size = min(best, key=lambda count: best[count])
        self.alone = best[1]
        MEASURED[self.key] = self.alone, self.size, time.monotonic()
        if len(MEASURED) > MOST_MEASURED:
            del MEASURED[next(iter(MEASURED))]

    def judge(self, pace: float) -> None:
        """Measure again where a team's step took longer than one thread's: other programs want the processors."""
        if self.alone and self.size > 1 and pace > self.alone:
            self.measure()


def train(run: Run, crew_of: Callable[[Run], Any] = ThreadTuner) -> None:
    """Run a job to its end, to divergence, or to Ctrl-C; DivergenceError as `Network.fit` documents it."""
    job, history = run.job, run.history
    sound = job.network.parameters.copy()
    try:
        with job.keeper.interruption:
            if history.stop_reason not in GOES_ON:
                return
            history.stop_reason = "epochs"
            crew = crew_of(run)
            advance_to_end(run, crew, sound)
            history.n_threads = crew.size
            job.keeper.keep(run, history.stop_reason)
    except KeyboardInterrupt:
        if not run.alone:
            raise
        run.history.stop_reason = "interrupted"
    finally:
        run.history.seconds = run.seconds
        job.steps_done = run.position
        done = run.position / job.steps_per_epoch * job.examples.n_rows
        run.history.examples_per_second = done / max(run.history.seconds, 1e-9)
    divergence = run.diverged() if job.on_divergence == "continue" else None
    if divergence:
        run.history.stop_reason = "diverged"
        if job.keeper.warns:
            warnings.warn(describe_divergence(*divergence), RuntimeWarning, stacklevel=3)


def advance_to_end(run: Run, crew: ThreadTuner, sound: np.ndarray) -> None:
    """Call the compiled epochs again and again; between calls look at the loss, the bar, the callbacks, the keyboard.

    `sound` keeps the parameters of the last return at which all were finite.
    """
    job, steps, seen = run.job, 1, run.seen
    while True:
        divergence = run.diverged() if job.on_divergence == "raise" else None
        if divergence:
            step = max(run.position - 1, 0)
            rate = job.rates.between(step, step + 1, job.steps_per_epoch, job.start_epoch, run.history)[0]
            job.network.parameters[:] = sound
            run.history.stop_reason = "diverged"
            reason, epoch = divergence
            raise DivergenceError(reason, epoch=epoch, learning_rate=float(rate), history=run.history)
        np.copyto(sound, job.network.parameters)
        job.progress(run.history, run.position)
        if run.history.epochs > seen:
            seen = run.history.epochs
            job.moved(seen, run.position)
            if job.callbacks.after_epoch():
                return
        if run.converged:
            run.history.stop_reason = "converged"
            return
        if run.position >= run.total:
            return
        if run.interruption.requested:
            run.history.stop_reason = "interrupted"
            return
        job.keeper.keep(run)
        before = run.position
        seconds = run.advance(steps, crew.size)
        pace = seconds / max(1, run.position - before)
        crew.judge(pace)
        steps = int(min(max(1, CALL_SECONDS / max(pace, 1e-9)), MOST_STEPS, 4 * steps))
