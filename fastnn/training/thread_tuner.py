"""How many threads a training works on: measured, since the results are the same bits for every number."""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np

from ..kernels import threads

MIN_TEAM_WORK = 30_000
"""Multiply-adds of a step below which one thread is always fastest."""

LARGE_STEP_WORK = 1_000_000
"""Multiply-adds of a step above which all threads are the better guess where there is no time to measure."""

TRIAL_SECONDS, TRIAL_ROUNDS = 0.002, 3
VALID_SECONDS = 60.0
"""After that another training measures anew: other programs come and go."""

MAX_MEASURED = 256
MEASURED: dict[tuple[Any, ...], tuple[float, int, float]] = {}
"""By layers, type and batch: seconds of a step on one thread, the best number of threads, and when that was found."""


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
    """The number of threads of a run: measured at its start, and again when the measurement no longer holds.

    Attributes
    ----------
    size : int
        Threads of the next call.
    """

    def __init__(self, run: Tunable) -> None:
        self.run = run
        self.size = 1
        self._seconds_alone = 0.0  # of a step on one thread; 0: never measured
        self._max = threads.max_threads()
        plan, network = run.plan, run.arguments.network
        self._key = network.table.tobytes(), network.parameters.dtype.name, plan.batch_size, self._max
        if plan.n_threads is not None:
            self.size = min(plan.n_threads, self._max)
        elif self._max > 1 and step_work(run) >= MIN_TEAM_WORK and run.by_epoch and plan.steps_per_epoch < 4:
            self.size = self._guess()
        elif self._key in MEASURED and time.monotonic() - MEASURED[self._key][2] < VALID_SECONDS:
            self._seconds_alone, self.size, _ = MEASURED[self._key]
        elif self._max > 1 and step_work(run) >= MIN_TEAM_WORK and plan.n_steps - run.position >= 4:
            run.advance(1, 1)
            self._seconds_alone = run.advance(1, 1)
            self.measure()

    def _guess(self) -> int:
        return self._max if step_work(self.run) > LARGE_STEP_WORK else 1

    def measure(self) -> None:
        """Give each number of threads a few turns of the next steps, and keep the one with the fastest turn."""
        run, plan = self.run, self.run.plan
        counts = sorted({1, self._max, *(2**k for k in range(1, self._max.bit_length()) if 2**k < self._max)})
        steps = max(1, int(TRIAL_SECONDS / max(self._seconds_alone, 1e-7)))
        end = (
            plan.steps_per_epoch - run.position % plan.steps_per_epoch if run.by_epoch else plan.n_steps - run.position
        )
        if end <= (TRIAL_ROUNDS + 1) * steps * len(counts):
            self.size = self._guess()
            return
        best = dict.fromkeys(counts, np.inf)
        for trial in range(TRIAL_ROUNDS + 1):
            for count in counts:
                before = run.position
                seconds = run.advance(steps, count)
                if trial > 0:  # the first turn wakes the threads
                    best[count] = min(best[count], seconds / max(1, run.position - before))
        self.size = min(best, key=lambda count: best[count])
        self._seconds_alone = best[1]
        MEASURED[self._key] = self._seconds_alone, self.size, time.monotonic()
        if len(MEASURED) > MAX_MEASURED:
            del MEASURED[next(iter(MEASURED))]

    def observe(self, seconds_per_step: float) -> None:
        """Measure again where a team's step took longer than one thread's: other programs want the processors."""
        if self._seconds_alone and self.size > 1 and seconds_per_step > self._seconds_alone:
            self.measure()


class SingleThread:
    """One thread, for runs that have nothing to choose."""

    size = 1

    def __init__(self, run: Tunable) -> None:
        pass

    def observe(self, seconds_per_step: float) -> None:
        """Ignore how long a step took."""
