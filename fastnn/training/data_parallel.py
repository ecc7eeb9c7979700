"""One training on several processes or machines: synchronous data-parallel descent over MPI.

Every rank computes the slope of its rows of a batch; one Allreduce of one flat buffer adds them up, while each rank
fetches its next rows; then every rank takes the same step with the same bits.
"""

from __future__ import annotations

import math
import time
import traceback
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ..callbacks.runner import CallbackRunner
from ..errors import DivergenceError
from ..history import History
from ..kernels import gather, layout, threads
from ..kernels import train_loop as kernels
from ..parameters import aligned_zeros
from .loop import Job, Run

ROWS = ("all", "own")
PATIENCE = 200
"""Looks at whether all slopes have come before a waiting rank gives its processor away."""

EXTRAS = 7
"""Numbers behind the slope in the buffer: loss, weight and hits, each as a number and its rounding error; Ctrl-C."""


class DisagreementError(RuntimeError):
    """The ranks of a training do not begin together; raised on all of them."""


class Ranks:
    """A communicator, and what all of its ranks agree on.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    rows : {"all", "own"}
        Whether every rank was given all examples, or a share of its own.
    """

    def __init__(self, comm: Any, rows: str) -> None:
        check_rows(rows)
        if not hasattr(comm, "Iallreduce"):
            raise TypeError(f"comm must be a communicator of mpi4py, got {comm!r}")
        self.comm, self.rows, self.rank, self.size = comm, rows, comm.Get_rank(), comm.Get_size()
        self.began = False

    def agree(self, facts: Any) -> None:
        """All begin, or none; `facts` must be the same on all ranks."""
        answers = self.comm.allgather((None, facts))
        self.began = True
        for rank, (error, found) in enumerate(answers):
            if error is not None:
                raise DisagreementError(f"rank {rank} of {self.size} could not begin: {error}")
            if found != answers[0][1]:
                raise DisagreementError(f"rank {rank} of {self.size} would train {found}, rank 0 {answers[0][1]}")

    def together(self, fit: Callable[[], History]) -> History:
        """Run `fit` on every rank: what fails before all began is an error on all, what fails later ends all."""
        try:
            return fit()
        except (DivergenceError, DisagreementError):
            raise  # as on all the others
        except BaseException as error:
            if not self.began:
                self.comm.allgather((f"{type(error).__name__}: {error}", None))
                raise
            traceback.print_exc()
            print(f"fastnn: rank {self.rank} of {self.size} failed; all are ended", flush=True)
            self.comm.Abort(1)
            raise

    def share(self, array: np.ndarray) -> None:
        """Rank 0's numbers for all."""
        self.comm.Bcast(array, root=0)


def check_rows(rows: object) -> None:
    """An error for anything but one of ROWS."""
    if rows not in ROWS:
        raise ValueError(f"rows must be 'all' or 'own', got {rows!r}")


class RankCallbacks(CallbackRunner):
    """CallbackRunner that rank 0 calls; all follow what they say."""

    def __init__(self, callbacks: Any, net: Any, history: History, ranks: Ranks) -> None:
        super().__init__(callbacks if ranks.rank == 0 else (), net, history)
        self._ranks, self._any = ranks, bool(callbacks)

    def __bool__(self) -> bool:
        return self._any

    def restore(self, plain: list[list[Any]], arrays: dict[str, np.ndarray]) -> None:
        """Where they are."""
        if self._ranks.rank == 0:
            super().restore(plain, arrays)

    def after_epoch(self) -> bool:
        """Rank 0's answer."""
        if not self:
            return False
        ends = super().after_epoch() if self._ranks.rank == 0 else False
        said = ends, self._history.stop_reason, self._net.frozen
        ends, self._history.stop_reason, frozen = self._ranks.comm.bcast(said)
        self._net.unfreeze()
        self._net.freeze(*frozen)
        return bool(ends)


class Agreed:
    """Whether the ranks agreed to end after this step."""

    requested = False


class SingleThread:
    """A crew of one: the ranks are the threads."""

    size = 1

    def __init__(self, run: Run) -> None:
        pass

    def judge(self, pace: float) -> None:
        """There is nothing to choose."""


class RankRun(Run):
    """A training under way on this rank."""

    alone = False

    def __init__(self, job: Job, history: History, ranks: Ranks, judge: Callable[[layout.Examples], Any]) -> None:
        self.ranks, self.judge = ranks, judge
        size, number = job.network.parameters.size + EXTRAS, job.network.parameters.dtype
        self.sent, self.added = aligned_zeros(size, number), aligned_zeros(size, number)
        job.network = job.network._replace(gradient=self.sent[:-EXTRAS])
        self.of_all = job.network._replace(gradient=self.added[:-EXTRAS])
        self.rows = job.examples.n_rows
        job.steps = self.count_steps(job)
        super().__init__(job, history)
        self.interruption: Any = Agreed()
        self.order_epoch = -1
        self.order = np.empty(0, np.int64)

    def count_steps(self, job: Job) -> int:
        """Steps of an epoch: the same on all ranks."""
        if self.ranks.rows == "all":
            return -(-self.rows // (job.batch_size * self.ranks.size))
        return int(max(self.ranks.comm.allgather(-(-self.rows // job.batch_size))))

    def prepare(self, epoch: int) -> None:
        """The order of this rank's examples: of its own, or those of every batch of all that are its part."""
        job, ranks = self.job, self.ranks
        self.order_epoch, shared = epoch, ranks.rows == "all"
        order = np.arange(self.rows)
        if job.shuffle and (self.rows > job.batch_size or ranks.size > 1):
            kernels.shuffle_rows(order, job.seed if shared else job.seed + ranks.rank, job.start_epoch + epoch)
        if shared:
            whole = job.batch_size * ranks.size
            batches = [order[start : start + whole] for start in range(0, self.rows, whole)]
            parts = [self.part(len(batch)) for batch in batches]
            order = np.concatenate([batch[part] for batch, part in zip(batches, parts, strict=True)])
        self.order = np.ascontiguousarray(order)

    def part(self, size: int) -> slice:
        """The part of so many rows that is this rank's."""
        rank, ranks = self.ranks.rank, self.ranks.size
        return slice(size * rank // ranks, size * (rank + 1) // ranks)

    def advance(self, steps: int, n_threads: int) -> float:
        """Train for as many steps as rank 0 says, less where all agreed to end; the seconds they took.

        All come back at the same step, and so see the same loss and the same parameters.
        """
        job, first = self.job, self.position
        steps = self.ranks.comm.bcast(steps)
        per_epoch = job.steps_per_epoch
        last = min(first + steps, self.total)
        if job.by_epoch:
            last = min(last, first - first % per_epoch + per_epoch)
        rates = job.rates.between(first, last, per_epoch, job.start_epoch, self.history)
        began = time.perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(first, last):
                self.take(step, rates[step - first])
                if self.interruption.requested or self.stopped:
                    break
        return time.perf_counter() - began

    def take(self, step: int, rate: Any) -> None:
        """One step, and the end of the epoch where it is the last."""
        job = self.job
        epoch, batch = divmod(step, job.steps_per_epoch)
        if self.order_epoch != epoch:
            self.prepare(epoch)
        start = batch * job.batch_size
        sums = self.slope(epoch, start)
        requested = job.keeper.interruption.requested
        rest = sums - sums.astype(self.sent.dtype)
        self.sent[-EXTRAS:] = [*sums, *rest, requested]
        request = self.ranks.comm.Iallreduce(self.sent, self.added)
        self.fetch(start + job.batch_size)
        looks = 0
        while not request.Test():
            looks += 1
            if looks > PATIENCE:
                time.sleep(0)  # MPI's own wait would hold the processor, which another rank may want
        extras = self.added[-EXTRAS:].astype(np.float64)
        loss, weight, hits = extras[:3] + extras[3:6]
        self.interruption.requested = bool(extras[6])
        self.records.sums[:] += (loss, weight, hits)
        if not math.isfinite(loss) and job.on_divergence == "raise":
            self.records.state[layout.STOPPED] = 1
        elif weight > 0:
            self.of_all.gradient[:] *= self.added.dtype.type(1 / weight)
            kernels.apply_gradient(self.of_all, job.work, job.rule, rate, job.rule.steps_before + step + 1)
        self.records.state[layout.NEXT_STEP] = step + 1
        if batch == job.steps_per_epoch - 1 and not self.stopped:
            self.end_epoch(rate)

    def slope(self, epoch: int, start: int) -> np.ndarray:
        """The slope of this rank's rows, times their weight, into the buffer; their loss, weight and hits."""
        job = self.job
        size = min(job.batch_size, len(self.order) - start)
        if size <= 0:
            self.sent[:] = 0
            return np.zeros(3)
        records = self.records._replace(order=self.order, sums=np.zeros(3))
        kernels.batch_gradient(
            job.network, job.work, job.examples, records, start, size, job.rule,
            job.distortion._replace(seed=job.distortion.seed ^ self.ranks.rank), job.start_epoch + epoch,
            threads.new_barrier(1),
        )  # fmt: skip
        job.network.gradient[:] *= self.sent.dtype.type(records.sums[1])
        return records.sums

    def fetch(self, start: int) -> None:
        """Touch the rows of the next batch, which comes while the others' slopes are on their way."""
        examples, order = self.job.examples, self.order[start : start + self.job.batch_size]
        if len(order) and examples.kind != gather.CSR:
            kernels.prefetch_rows(examples.inputs, order, examples.inputs.size // max(1, self.rows))

    def end_epoch(self, rate: Any) -> None:
        """Complete the history, and see that all ranks have the same parameters."""
        job, ranks = self.job, self.ranks
        digests = ranks.comm.allgather(zlib.crc32(job.network.parameters.data))
        if len(set(digests)) > 1:
            raise RuntimeError(f"the ranks no longer have the same parameters: their digests are {digests}")
        loss, weight, hits = self.records.sums
        row = [loss / weight, hits / weight, np.nan, np.nan]
        if job.validation.n_rows:
            judged = self.judge(job.validation)
            if ranks.rows == "own":
                parts = ranks.comm.allgather((judged, sum_of_weights(job.validation)))
                judged = np.average([part for part, _ in parts], axis=0, weights=[total for _, total in parts])
            row[2:] = judged
        self.records.sums[:] = 0
        self.collect(np.array([row]), np.array([rate]))


def sum_of_weights(examples: layout.Examples) -> float:
    """Each example counts 1 where there are no weights."""
    return float(examples.weights.sum(dtype=np.float64)) if examples.weights.size else float(examples.n_rows)
