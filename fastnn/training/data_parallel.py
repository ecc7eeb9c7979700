"""One training on several processes or machines: synchronous data-parallel descent over MPI.

Every rank computes the gradient of its rows of a batch; one Allreduce of one flat buffer adds them up, while each rank
prefetches its next rows; then every rank takes the same step with the same bits.
"""

from __future__ import annotations

import math
import time
import traceback
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..callbacks.runner import CallbackRunner
from ..caller import warn_caller
from ..errors import DivergenceError
from ..history import History
from ..kernels import gather, layout, threads, train_loop
from ..optimizers import LBFGS
from ..parameters import aligned_zeros
from .checkpointing import Checkpointer, Subject, run_fingerprint
from .dataset import Dataset
from .engine import Engine
from .health import HealthMonitor
from .loop import Hooks, TrainingRun, train
from .options import FitOptions
from .plan import KernelArguments, Metrics, TrainingPlan, with_schedules
from .progress import make_progress_bar
from .state import TrainingState
from .thread_tuner import SingleThread
from .trainer import kernel_arguments, make_plan, own_layer_table, prepare_state, settled, show

DATA = ("replicated", "sharded")
MAX_POLLS = 200
"""Polls of the Allreduce before a waiting rank yields its processor."""

N_EXTRAS = 7
"""Numbers behind the gradient in the buffer: loss, weight and correct answers, each with its rounding error; Ctrl-C."""


class DisagreementError(RuntimeError):
    """The ranks of a training do not begin together; raised on all of them."""


class RankGroup:
    """A communicator, and how its ranks begin, agree and fail together.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    data : {"replicated", "sharded"}
        Whether every rank was given all examples, or a part of its own.
    """

    def __init__(self, comm: Any, data: str) -> None:
        if not hasattr(comm, "Iallreduce"):
            raise TypeError(f"comm must be a communicator of mpi4py, got {comm!r}")
        self.comm, self.data, self.rank, self.size = comm, data, comm.Get_rank(), comm.Get_size()
        self.began = False

    @property
    def replicated(self) -> bool:
        """Whether every rank has all examples."""
        return self.data == "replicated"

    def check_consistent(self, facts: Any) -> None:
        """Begin on all ranks, or on none: `facts` must be the same on all."""
        answers = self.comm.allgather((None, facts))
        self.began = True
        for rank, (error, other) in enumerate(answers):
            if error is not None:
                raise DisagreementError(f"rank {rank} of {self.size} could not begin: {error}")
            if other != answers[0][1]:
                raise DisagreementError(f"rank {rank} of {self.size} would train {other}, rank 0 {answers[0][1]}")

    def run_collectively(self, function: Callable[[], History]) -> History:
        """Run on every rank: an error before all began is raised on all, a later one aborts all."""
        try:
            return function()
        except (DivergenceError, DisagreementError):
            raise  # all ranks raise it
        except BaseException as error:
            if not self.began:
                self.comm.allgather((f"{type(error).__name__}: {error}", None))
                raise
            traceback.print_exc()
            print(f"fastnn: rank {self.rank} of {self.size} failed; all are ended", flush=True)
            self.comm.Abort(1)
            raise

    def broadcast(self, array: np.ndarray) -> None:
        """Overwrite the array with rank 0's."""
        self.comm.Bcast(array, root=0)

    def count_steps(self, n_rows: int, options: FitOptions) -> int:
        """Return the steps of an epoch: the same on all ranks."""
        if self.replicated:
            return int(-(-n_rows // (options.batch_size * self.size)))
        return int(max(self.comm.allgather(-(-n_rows // options.batch_size))))

    def start_run(self, *arguments: Any) -> DataParallelRun:
        """Return the run of this rank, see `DataParallelRun`."""
        return DataParallelRun(*arguments)


def check_data(data: object, comm: object) -> None:
    """Raise ValueError for anything but one of DATA, and for data that are shared among no ranks."""
    if not isinstance(data, str) or data not in DATA:
        raise ValueError(f"data must be 'replicated' or 'sharded', got {data!r:.80}")
    if data == "sharded" and comm is None:
        raise ValueError("data='sharded' needs the communicator of the ranks: comm=...")


class RankCallbacks(CallbackRunner):
    """Callbacks that rank 0 calls; all ranks follow its answer."""

    def __init__(self, callbacks: Any, net: Any, history: History, group: RankGroup, state: TrainingState) -> None:
        super().__init__(callbacks if group.rank == 0 else (), net, history)
        self._group, self._state, self._any = group, state, bool(callbacks)

    def __bool__(self) -> bool:
        return self._any

    @property
    def observed(self) -> bool:
        """Whether there are any, on whatever rank."""
        return self._any

    def restore(self, plain: list[list[Any]], arrays: dict[str, np.ndarray]) -> None:
        """Restore them on rank 0."""
        if self._group.rank == 0:
            super().restore(plain, arrays)

    def after_epoch(self) -> bool:
        """Return rank 0's answer, with its stop reason and frozen layers in force."""
        if not self:
            return False
        ends = super().after_epoch() if self._group.rank == 0 else False
        ends, self._history.stop_reason, frozen = self._group.comm.bcast(
            (ends, self._history.stop_reason, self._state.frozen)
        )
        self._state.freeze(frozen)
        return bool(ends)


class DataParallelRun(TrainingRun):
    """A training under way on this rank."""

    answers_interrupts = False

    def __init__(
        self,
        arguments: KernelArguments,
        plan: TrainingPlan,
        metrics: Metrics,
        hooks: Hooks,
        state: TrainingState,
        group: RankGroup,
        evaluate: Callable[[layout.Examples], tuple[float, float]],
    ) -> None:
        self.group, self.evaluate = group, evaluate
        network = arguments.network
        size, dtype = network.parameters.size + N_EXTRAS, network.parameters.dtype
        self.sent, self.summed = aligned_zeros(size, dtype), aligned_zeros(size, dtype)
        self.own_network = network._replace(gradient=self.sent[:-N_EXTRAS])
        self.summed_network = network._replace(gradient=self.summed[:-N_EXTRAS])
        self.n_rows = arguments.examples.n_rows
        super().__init__(arguments, plan, metrics, hooks, state)
        self._stop_agreed = False
        self.order_epoch = -1
        self.order = np.empty(0, np.int64)

    @property
    def stop_requested(self) -> bool:
        """Whether the ranks agreed to stop after this step."""
        return self._stop_agreed

    def prepare_order(self, epoch: int) -> None:
        """Draw the order of this rank's examples: of its own, or those of every batch of all that are its part."""
        plan, group = self.plan, self.group
        self.order_epoch = epoch
        order = np.arange(self.n_rows)
        if plan.shuffle and (self.n_rows > plan.batch_size or group.size > 1):
            seed = plan.seed if group.replicated else plan.seed + group.rank
            train_loop.shuffle_rows(order, seed, plan.start_epoch + epoch)
        if group.replicated:
            whole = plan.batch_size * group.size
            batches = [order[start : start + whole] for start in range(0, self.n_rows, whole)]
            order = np.concatenate([batch[self.rank_part(len(batch))] for batch in batches])
        self.order = np.ascontiguousarray(order)

    def rank_part(self, size: int) -> slice:
        """Return this rank's part of `size` rows."""
        rank, n_ranks = self.group.rank, self.group.size
        return slice(size * rank // n_ranks, size * (rank + 1) // n_ranks)

    def advance(self, steps: int, n_threads: int) -> float:
        """Train for as many steps as rank 0 says, fewer where all agreed to stop; return the seconds they took.

        All ranks come back at the same step, and so see the same loss and the same parameters.
        """
        plan = self.plan
        first, last = self.call_range(self.group.comm.bcast(steps))
        rates = plan.rates.between(first, last, plan.steps_per_epoch, plan.start_epoch, self.history)
        began = time.perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):
            rule, stochastic = with_schedules(self.arguments.rule, self.arguments.stochastic, plan, first, last)
            for step in range(first, last):
                self.take_step(step, rates[step - first], rule, stochastic)
                if self._stop_agreed or self.stopped:
                    break
        return time.perf_counter() - began

    def take_step(
        self, step: int, rate: Any, rule: layout.UpdateRule, stochastic: layout.StochasticRegularization
    ) -> None:
        """Make one update, and end the epoch where it is the last."""
        plan, arguments = self.plan, self.arguments
        epoch, batch = divmod(step, plan.steps_per_epoch)
        if self.order_epoch != epoch:
            self.prepare_order(epoch)
        start = batch * plan.batch_size
        sums = self.own_gradient(epoch, start, rule, stochastic)
        requested = self.interruption.requested
        rounding = sums - sums.astype(self.sent.dtype)
        self.sent[-N_EXTRAS:] = [*sums, *rounding, requested]
        request = self.group.comm.Iallreduce(self.sent, self.summed)
        self.prefetch(start + plan.batch_size)
        polls = 0
        while not request.Test():
            polls += 1
            if polls > MAX_POLLS:
                time.sleep(0)  # MPI's own wait would hold the processor, which another rank may want
        extras = self.summed[-N_EXTRAS:].astype(np.float64)
        loss, weight, correct = extras[:3] + extras[3:6]
        self._stop_agreed = bool(extras[6])
        self.records.sums[:] += (loss, weight, correct)
        if not math.isfinite(loss) and plan.on_divergence == "raise":
            self.records.state[layout.STOPPED] = 1
        elif weight > 0:
            self.summed_network.gradient[:] *= self.summed.dtype.type(1 / weight)
            number = rule.steps_before + step + 1
            train_loop.apply_gradient(self.summed_network, arguments.work, rule, rate, number)
        self.records.state[layout.NEXT_STEP] = step + 1
        if batch == plan.steps_per_epoch - 1 and not self.stopped:
            self.end_epoch(rate)

    def own_gradient(
        self, epoch: int, start: int, rule: layout.UpdateRule, stochastic: layout.StochasticRegularization
    ) -> np.ndarray:
        """Write the gradient of this rank's rows, times their weight; return their loss, weight and correct answers."""
        plan, arguments = self.plan, self.arguments
        size = self.batch_rows(start)
        if size <= 0:
            self.sent[:] = 0
            return np.zeros(3)
        records = self.records._replace(order=self.order, sums=np.zeros(3))
        stochastic = stochastic._replace(seed=stochastic.seed ^ self.group.rank)
        train_loop.batch_gradient(
            self.own_network, arguments.work, arguments.examples, records, start, size, rule,
            stochastic, plan.start_epoch + epoch, threads.new_barrier(1),
        )  # fmt: skip
        self.own_network.gradient[:] *= self.sent.dtype.type(records.sums[1])
        return records.sums

    def batch_rows(self, start: int) -> int:
        """Return how many rows this rank has in the batch that begins at `start` of its order."""
        return min(self.plan.batch_size, len(self.order) - start)

    def prefetch(self, start: int) -> None:
        """Touch the rows of the next batch, which comes while the others' gradients are on their way."""
        examples, order = self.arguments.examples, self.order[start : start + max(0, self.batch_rows(start))]
        if len(order) and examples.kind != gather.CSR:
            train_loop.prefetch_rows(examples.inputs, order, examples.inputs.size // max(1, self.n_rows))

    def end_epoch(self, rate: Any) -> None:
        """Complete the history, and check that all ranks have the same parameters."""
        group, validation = self.group, self.arguments.validation
        digests = group.comm.allgather(zlib.crc32(self.arguments.network.parameters.data))
        if len(set(digests)) > 1:
            raise RuntimeError(f"the ranks no longer have the same parameters: their digests are {digests}")
        loss, weight, correct = self.records.sums
        row = [loss / weight, correct / weight, np.nan, np.nan]
        if validation.n_rows:
            evaluated = np.array(self.evaluate(validation))
            if not group.replicated:
                parts = group.comm.allgather((evaluated, sum_of_weights(validation)))
                evaluated = np.average([part for part, _ in parts], axis=0, weights=[total for _, total in parts])
            row[2:] = evaluated
        self.records.sums[:] = 0
        self.collect(np.array([row]), np.array([rate]))


def sum_of_weights(examples: layout.Examples) -> float:
    """Return the weight of all examples; without weights each counts 1."""
    return float(examples.weights.sum(dtype=np.float64)) if examples.weights.size else float(examples.n_rows)


def check_options(group: RankGroup, options: FitOptions, class_weight: object) -> None:
    """Raise ValueError for options that several ranks cannot honour."""
    if options.drop_last:
        raise ValueError("several ranks (comm=) take every batch, got drop_last=True")
    if isinstance(options.optimizer, LBFGS):
        raise ValueError("several ranks (comm=) take an optimizer of steps, not 'lbfgs'")
    if options.n_threads not in (None, 1):
        raise ValueError(f"of several ranks (comm=) each works on one thread, got n_threads={options.n_threads}")
    if isinstance(class_weight, str) and not group.replicated:
        raise ValueError(
            f"class_weight={class_weight!r} needs all labels at once, of which with data='sharded' a rank has a part; "
            "give weights by label, a dict"
        )


def fit(
    engine: Engine,
    state: TrainingState,
    dataset: Dataset,
    options: FitOptions,
    callbacks: RankCallbacks,
    checkpointer: Checkpointer,
    group: RankGroup,
) -> History:
    """Train on all ranks together, as `trainer.fit` does on one; all end with the same bits."""
    # rank 0 speaks for all
    health = HealthMonitor(engine, warn_caller if group.rank == 0 else _silent)
    with state.exclusive(), health.explain_divergence():
        health.begin(dataset.examples)
        n_rows = dataset.examples.n_rows
        optimizer = repr((options.optimizer.kind, bool(options.regularization.ema_decay)))
        fingerprint = partial(
            run_fingerprint, dataset.examples, options.batch_size, options.shuffle, optimizer, group.size
        )
        checkpointer.check(fingerprint)
        if group.rank != 0:
            checkpointer = checkpointer.read_only()
        optimizer_state = prepare_state(engine, state, options, checkpointer)
        checkpointer.begin(Subject(engine, state, callbacks, fingerprint))
        arguments = kernel_arguments(engine, state, optimizer_state, dataset, options, options.batch_size, fused=False)
        arguments = own_layer_table(arguments, callbacks)
        metrics = Metrics(dataset.has_accuracy, dataset.has_val_accuracy)
        bar = make_progress_bar(
            options.progress if group.rank == 0 else False, options.epochs, -(-n_rows // options.batch_size), n_rows
        )
        facts = {"network": engine.spec, "seed": state.seed, "epochs": options.epochs}
        facts |= {"batch_size": options.batch_size, "data": group.data, "shuffle": options.shuffle}
        facts |= {"epochs_trained": state.epochs, "after": checkpointer.history.epochs}
        group.check_consistent(facts | ({"examples": n_rows} if group.replicated else {}))
        group.broadcast(engine.buffer)
        plan = make_plan(state, options, options.batch_size, group.count_steps(n_rows, options), state.epochs)
        with bar, callbacks:
            hooks = Hooks(callbacks, partial(show, bar, health.after_call), checkpointer)
            evaluate = partial(engine.evaluate, n_threads=1)
            run = group.start_run(arguments, plan, metrics, hooks, state, group, evaluate)
            with settled(run, engine, callbacks):
                train(run, SingleThread)
        group.broadcast(engine.buffer)  # a callback on rank 0 may have restored other parameters
        health.end(run.history)
    if run.divergence:
        health.report_divergence(run.divergence)
    return run.history


def _silent(text: str, category: type[Warning]) -> None:
    """Report nothing."""
