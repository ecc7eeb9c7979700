"""Epochs whose order of examples, learning rate and rule somebody else decides: for networks behind other APIs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import inputs
from ..callbacks import Callbacks
from ..history import History
from ..kernels import kernel_table, layout
from ..network import Network
from ..workspace import BLOCK_ROWS
from . import loop
from .update_rule import UNDISTURBED


class _OneRate:
    """The learning rate of the epoch at hand, as `loop.Run` asks for it."""

    reads_history = True  # so that every epoch ends a call

    def __init__(self, dtype: np.dtype) -> None:
        self.rate, self.dtype = 0.0, dtype

    def between(self, first: int, last: int, *others: Any) -> np.ndarray:
        """One value for each step."""
        return np.full(last - first, self.rate, self.dtype)


class _Epoch(loop.Run):
    """A run that keeps the sums of its last epoch and nothing else."""

    loss = np.nan

    def collect(self, epochs: np.ndarray, rates: np.ndarray) -> None:
        """As `Run.collect`."""
        if len(epochs):
            self.loss = float(epochs[-1, 0])


class ExplicitOrderTraining:
    """A training of `net` on examples in orders that are given to it, epoch by epoch.

    Parameters
    ----------
    net : Network
        Its parameters move.
    examples : Examples
        As `fastnn.inputs.as_examples` makes them.
    batch_size : int
        At most the number of examples.
    rule : Rule
        Buffers as long as the network's; it may be changed between epochs.
    n_threads : int, optional
        As in `Network.fit`.
    distortion : Distortion
        As the kernels take it.
    """

    def __init__(
        self,
        net: Network,
        examples: layout.Examples,
        batch_size: int,
        rule: layout.UpdateRule,
        n_threads: int | None = None,
        distortion: layout.StochasticRegularization = UNDISTURBED,
    ) -> None:
        plan, work = net._room("train", min(BLOCK_ROWS, batch_size), inputs.all_sparse(examples))
        gradient = net._gradient_room(batch_size, rule.plain)
        kernels = kernel_table.required_for_training(rule, distortion, [examples.kind], gradient=gradient.size > 0)
        self._rates = _OneRate(net.dtype)
        self._order = np.arange(examples.n_rows)
        self.net = net
        job = loop.Job(
            network=net._kernel_view(plan, gradient, kernels, learning=True),
            work=work,
            examples=examples._replace(prefetch_distance=inputs.prefetch_distance(examples, batch_size)),
            validation=inputs.empty_examples(net._spec),
            rates=self._rates,  # type: ignore[arg-type]
            epochs=1 << 40,
            batch_size=batch_size,
            start_epoch=0,
            shuffle=False,
            seed=0,
            accuracy=False,
            one_output=False,
            val_accuracy=False,
            n_threads=n_threads,
            on_divergence="continue",
            rule=rule,
            distortion=distortion,
            callbacks=Callbacks((), net, History()),
        )
        self._run = _Epoch(job, History())
        self._run.records = self._run.records._replace(order=self._order)
        self._crew: loop.ThreadTuner | None = None
        self._steps = 1

    def epoch(self, order: np.ndarray, rate: float) -> float:
        """One step for each batch of the order, (n,); the mean loss, each batch before its update."""
        run = self._run
        end = run.position + run.job.steps_per_epoch
        self._order[:] = order
        self._rates.rate = rate
        run.records.sums[:] = 0
        self._crew = self._crew or loop.ThreadTuner(run)
        while run.position < end:
            before = run.position
            pace = run.advance(self._steps, self._crew.size) / max(1, run.position - before)
            if run.position < end:
                self._crew.judge(pace)
            self._steps = int(min(max(1, loop.CALL_SECONDS / max(pace, 1e-9)), loop.MOST_STEPS))
        return run.loss

    @property
    def steps(self) -> int:
        """Updates made so far."""
        return self._run.position
