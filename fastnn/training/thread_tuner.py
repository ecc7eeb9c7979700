"""How many threads a training works on: measured, since the results are the same bits for every number."""

from __future__ import annotations

import time
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..kernels import threads

MIN_TEAM_WORK = 30_000
"""Multiply-adds of a step below which one thread is always fastest."""

LARGE_STEP_WORK = 1_000_000
"""Multiply-adds of a step above which all threads are the better guess where there is no time to measure."""

TRIAL_SECONDS, TRIAL_ROUNDS, FEWEST_ROUNDS = 0.003, 5, 2
"""Length of a turn on one thread, and turns that each number of threads takes, fewer where few steps remain: their
median counts."""

FIRST_INTERVAL, LONGEST_INTERVAL = 1.0, 16.0
"""Seconds from a measurement to the next one: twice as long each time, up to the longest."""

VALID_SECONDS = 60.0
"""After that a training measures before anything else: other programs come and go."""

MAX_MEASURED = 256


class Measured(NamedTuple):
    """What was measured of a training's steps, and how long it holds."""

    seconds_alone: float  # of a step on one thread
    size: int  # the best number of threads
    when: float
    interval: float  # seconds from then to the next measurement


MEASURED: dict[tuple[Any, ...], Measured] = {}
"""By layers, type and batch. Trainings share it: many short ones find a wrong choice out as a long one does."""


class Tunable(Protocol):
    """What the tuner asks of a training run."""

    @property
    def arguments(self) -> Any:
        """The arrays of the kernels, of which it reads the network's and the number of examples."""
        ...

    @property
    def plan(self) -> Any:
        """Batch size, steps and the number of threads requested."""
        ...

    @property
    def by_epoch(self) -> bool:
        """Whether calls end at epoch boundaries."""
        ...

    @property
    def position(self) -> int:
        """The next step."""
        ...

    def advance(self, steps: int, n_threads: int) -> float:
        """Train for some steps; return the seconds they took."""
        ...


def step_work(run: Tunable) -> int:
    """Return the multiply-adds of one step: forward, backward, weight gradient."""
    rows: int = min(run.plan.batch_size, run.arguments.examples.n_rows)
    return 3 * rows * int(run.arguments.network.parameters.size)


class ThreadTuner:
    """The number of threads of a run: measured at its start, and again and again, since other programs come and go.

    Attributes
    ----------
    size : int
        Threads of the last call, or of the next one where nothing is left to measure.

    Notes
    -----
    The numbers of threads take turns, so that all of them meet the same other programs. A turn is a few steps of a long
    epoch; where calls must return at the end of short epochs, it is a call.
    """

    def __init__(self, run: Tunable) -> None:
        self.run = run
        self.size = 1
        self._seconds_alone = 0.0  # of a step on one thread; 0: never measured
        self._max = threads.default_threads() if run.plan.n_threads is None else threads.max_threads()
        self._counts = sorted({1, self._max, *(2**k for k in range(1, self._max.bit_length()) if 2**k < self._max)})
        self._samples: dict[int, list[float]] = {}  # seconds of a step in the calls so far that are turns
        self._interval, self._due = FIRST_INTERVAL, np.inf  # when to measure again
        self._chosen = False  # by a measurement
        plan, network = run.plan, run.arguments.network
        self._key = network.table.tobytes(), network.parameters.dtype.name, plan.batch_size, self._max
        if plan.n_threads is not None:
            self.size = min(plan.n_threads, self._max)
        elif self._max == 1 or step_work(run) < MIN_TEAM_WORK:
            return
        elif self._key in MEASURED and time.monotonic() - MEASURED[self._key].when < VALID_SECONDS:
            self._seconds_alone, self.size, when, interval = MEASURED[self._key]
            self._set_next(when, interval)
        elif run.by_epoch and plan.steps_per_epoch < 4:
            self._compare_calls()
        elif plan.n_steps - run.position >= 4:
            run.advance(1, 1)
            self._seconds_alone = run.advance(1, 1)
            self.measure()

    def choose(self) -> int:
        """Return the threads of the next call; where a measurement is due, it takes steps."""
        if not self._samples and time.monotonic() >= self._due:
            self.measure()
        if self._samples:
            self.size = min(self._samples, key=lambda count: len(self._samples[count]))
        return self.size

    def measure(self) -> None:
        """Give each number of threads some turns of the next steps, and keep the fastest; compare calls if few remain.

        It takes at most half of the steps that remain, of the epoch where calls end with it; a tenth where a number was
        chosen before.
        """
        run, plan = self.run, self.run.plan
        done = run.position % plan.steps_per_epoch
        end = plan.steps_per_epoch - done if run.by_epoch else plan.n_steps - run.position
        share = 10 if self._chosen else 2
        wanted = max(1, int(TRIAL_SECONDS / max(self._seconds_alone, 1e-7)))
        for rounds in range(TRIAL_ROUNDS, FEWEST_ROUNDS - 1, -1):
            steps = min(wanted, end // (share * (rounds + 1) * len(self._counts)))
            if steps >= max(1, wanted // 10):
                break
        else:
            self._compare_calls()
            return
        seconds: dict[int, list[float]] = {count: [] for count in self._counts}
        for _ in range(rounds + 1):
            for count in self._counts:
                before = run.position
                spent = run.advance(steps, count)
                seconds[count].append(spent / max(1, run.position - before))
        self._decide(seconds)

    def _compare_calls(self) -> None:
        """Take whole calls as turns; where too few are left, keep what was chosen before, or guess."""
        run, plan = self.run, self.run.plan
        calls = (plan.n_steps - run.position) // plan.steps_per_epoch if run.by_epoch else 0
        self._due = np.inf
        if calls >= 4 * (TRIAL_ROUNDS + 1) * len(self._counts):
            self._samples = {count: [] for count in self._counts}
        elif not self._chosen:
            self.size = self._max if step_work(run) > LARGE_STEP_WORK else 1

    def _decide(self, seconds: dict[int, list[float]]) -> None:
        """Keep the number of threads whose steps have the smallest median; the first turn woke the threads."""
        medians = {count: float(np.median(turns[1:])) for count, turns in seconds.items()}
        self.size = min(medians, key=lambda count: medians[count])
        self._seconds_alone = medians[1]
        now = time.monotonic()
        MEASURED[self._key] = Measured(self._seconds_alone, self.size, now, self._interval)
        if len(MEASURED) > MAX_MEASURED:
            del MEASURED[next(iter(MEASURED))]
        self._set_next(now, self._interval)

    def _set_next(self, when: float, interval: float) -> None:
        """Measure again so many seconds after the last measurement."""
        self._chosen, self._due, self._interval = True, when + interval, min(2 * interval, LONGEST_INTERVAL)

    def observe(self, seconds_per_step: float) -> None:
        """Note how long a step of the last call took; a team slower than one thread was is measured anew."""
        if self._samples:
            self._samples[self.size].append(seconds_per_step)
            if min(map(len, self._samples.values())) > TRIAL_ROUNDS:
                samples, self._samples = self._samples, {}
                self._decide(samples)
        elif self._seconds_alone and self.size > 1 and seconds_per_step > self._seconds_alone:
            self._due = -np.inf


class SingleThread:
    """One thread, for runs that have nothing to choose."""

    size = 1

    def __init__(self, run: Tunable) -> None:
        pass

    def choose(self) -> int:
        """Return one."""
        return self.size

    def observe(self, seconds_per_step: float) -> None:
        """Ignore how long a step took."""
