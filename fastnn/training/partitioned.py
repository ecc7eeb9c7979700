"""One training on rows that lie with several ranks, in the order of a single process.

Every rank draws the order of all rows, as a single process would, and computes the gradient of those of a batch that
it has. The sums over a batch are then those of one process, to rounding, wherever the rows lie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..callbacks import Metric
from ..history import History
from ..kernels import train_loop
from . import data_parallel
from .checkpointing import Checkpointer
from .data_parallel import DataParallelRun, RankCallbacks, RankGroup
from .dataset import make_dataset
from .options import FitOptions, make_fit_options
from .trainer import check_fit, count_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PartitionedGroup(RankGroup):
    """Ranks that each have some rows of a table.

    Parameters
    ----------
    comm : communicator
    rows : ndarray of int64
        The numbers of this rank's rows among all; each rank has one at least.
    n_rows : int
        Of all ranks.
    """

    def __init__(self, comm: Any, rows: NDArray[np.int64], n_rows: int) -> None:
        super().__init__(comm, "sharded")
        self.rows, self.n_rows = rows, n_rows

    def count_steps(self, n_rows: int, options: FitOptions) -> int:
        """Return the steps of an epoch over the rows of all ranks."""
        return count_batches(self.n_rows, options.batch_size, options.drop_last)

    def start_run(self, *arguments: Any) -> DataParallelRun:
        """Return the run of this rank."""
        return PartitionedRun(*arguments)


class PartitionedRun(DataParallelRun):
    """A training under way on this rank, whose batches are drawn from the rows of all."""

    group: PartitionedGroup

    def prepare_order(self, epoch: int) -> None:
        """Draw the order of all rows; batch b of this rank begins at b * batch_size, and has `sizes[b]` rows."""
        plan, group = self.plan, self.group
        self.order_epoch = epoch
        order = np.arange(group.n_rows)
        if plan.shuffle and group.n_rows > plan.batch_size:
            train_loop.shuffle_rows(order, plan.seed, plan.start_epoch + epoch)
        places = np.full(group.n_rows, -1, np.int64)
        places[group.rows] = np.arange(len(group.rows))
        places = places[order]
        taken = np.flatnonzero(places >= 0)
        batches = taken // plan.batch_size
        self.sizes = np.bincount(batches, minlength=-(-group.n_rows // plan.batch_size))
        in_batch = np.arange(len(taken)) - (np.cumsum(self.sizes) - self.sizes)[batches]
        self.order = np.zeros(group.n_rows, np.int64)
        self.order[batches * plan.batch_size + in_batch] = places[taken]

    def batch_rows(self, start: int) -> int:
        """Return how many rows of a batch this rank has."""
        batch = start // self.plan.batch_size
        return int(self.sizes[batch]) if batch < len(self.sizes) else 0


class GatheredMetric(Metric):
    """A metric of the validation rows of all ranks.

    Parameters
    ----------
    name, function, X, y
        As of `Metric`, with the rows of this rank; the function is called as function(y, outputs, weight).
    weight : ndarray, (n,), optional
    """

    def __init__(self, name: str, function: Callable[..., float], X: Any, y: Any, weight: Any = None) -> None:
        super().__init__(name, function, X, y)
        self.measure, self.weight = function, weight
        self._parts: list[Any] = []

    def gather(self, net: Any, comm: Any) -> None:
        """Exchange the outputs; all ranks call it."""
        self._parts = comm.allgather((self.y, net.predict(self.X), self.weight))

    def on_epoch_end(self, net: Any, history: History) -> None:
        """Add the function's value."""
        y, outputs, weight = zip(*self._parts, strict=True)
        weights = None if weight[0] is None else np.concatenate(weight)
        history.add(**{self.name: float(self.measure(np.concatenate(y), np.concatenate(outputs), weights))})


class PartitionedCallbacks(RankCallbacks):
    """Callbacks that rank 0 calls, behind those for which all ranks exchange what they have."""

    def __init__(self, callbacks: Sequence[Any], net: Any, history: History, group: RankGroup, state: Any) -> None:
        super().__init__(callbacks, net, history, group, state)
        self._gathered = [callback for callback in callbacks if isinstance(callback, GatheredMetric)]

    def after_epoch(self) -> bool:
        """Return rank 0's answer."""
        for metric in self._gathered:
            metric.gather(self._net, self._group.comm)
        return super().after_epoch()


def fit(
    net: Any,
    X: Any,
    y: Any,
    group: PartitionedGroup,
    *,
    sample_weight: Any = None,
    validation_data: Any = None,
    callbacks: Sequence[Any] = (),
    **options: Any,
) -> History:
    """Train a network on the rows of all ranks together; all end with the same bits.

    Parameters
    ----------
    net : Network
        Rank 0's parameters and seed are the start.
    X, y, sample_weight
        The rows of this rank.
    group : PartitionedGroup
    validation_data : (X, y) or (X, y, sample_weight), optional
        The validation rows of this rank, one at least if any rank has some.
    callbacks : sequence of callables
        Rank 0's are called; `GatheredMetric` must be among those of all ranks.
    **options
        Of `Network.fit`; `batch_size` is that of all ranks together.
    """
    engine, state = net.engine, net.training_state
    state.seed = group.comm.bcast(state.seed)
    chosen = make_fit_options(engine.spec, **options)
    chosen = replace(chosen, batch_size=min(chosen.batch_size, group.n_rows))
    dataset = make_dataset(engine.spec, X, y, sample_weight, validation_data=validation_data)
    check_fit(engine.spec, dataset, chosen, callbacks)
    checkpointer = Checkpointer()
    runner = PartitionedCallbacks(callbacks, net, checkpointer.history, group, state)
    return data_parallel.fit(engine, state, dataset, chosen, runner, checkpointer, group)
