"""Epochs whose order of examples and learning rate the caller decides: for networks behind other APIs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import inputs
from ..history import History
from ..kernels import gather, kernel_table, layout
from ..parameters import BLOCK_ROWS, split_wide_layers
from .checkpointing import Checkpointer
from .engine import Engine
from .loop import CALL_SECONDS, MAX_STEPS, Hooks, NoCallbacks, TrainingRun
from .plan import KernelArguments, Metrics, TrainingPlan
from .state import TrainingState
from .thread_tuner import ThreadTuner
from .update_rule import no_stochastic_regularization

UNLIMITED_EPOCHS = 1 << 40


class EpochRate:
    """The learning rate of the current epoch, in the place of `fastnn.learning_rates.LearningRates`."""

    reads_history = True  # so that every epoch ends a call

    def __init__(self, dtype: np.dtype) -> None:
        self.rate, self.dtype = 0.0, dtype

    def between(self, first: int, last: int, *position: Any) -> np.ndarray:
        """Return one value for each of the steps first..last."""
        return np.full(last - first, self.rate, self.dtype)


class LossRun(TrainingRun):
    """A run that keeps the loss of its last epoch and no history."""

    loss = np.nan

    def collect(self, epochs: np.ndarray, rates: np.ndarray) -> None:
        """Keep the mean loss."""
        if len(epochs):
            self.loss = float(epochs[-1, 0])


class ExplicitOrderTraining:
    """A training on examples in given orders, epoch by epoch.

    Parameters
    ----------
    engine : Engine
        Its parameters move.
    examples : Examples
        As `fastnn.inputs.as_examples` makes them.
    batch_size : int
        At most the number of examples.
    rule : UpdateRule
        Buffers as long as the engine's; the kernels update them.
    n_threads : int, optional
        As in `Network.fit`.
    stochastic : StochasticRegularization, optional
        As the kernels take it; None perturbs nothing.
    """

    def __init__(
        self,
        engine: Engine,
        examples: layout.Examples,
        batch_size: int,
        rule: layout.UpdateRule,
        n_threads: int | None = None,
        stochastic: layout.StochasticRegularization | None = None,
    ) -> None:
        if stochastic is None:
            stochastic = no_stochastic_regularization(engine.buffer)
        memory, work = engine.workspace("train", min(BLOCK_ROWS, batch_size), inputs.all_sparse(examples))
        validation = inputs.empty_examples(engine.spec)
        gradient = engine.gradient_buffer(batch_size, bool(rule.plain))
        kinds = (examples.kind, validation.kind)
        table = split_wide_layers(memory.table, memory.block, examples.kind == gather.CSR)
        kernels = kernel_table.required_for_training(rule, stochastic, kinds, bool(gradient.size), table)
        network = engine.network_view(memory, gradient, kernels, table=table)
        examples = examples._replace(prefetch_distance=inputs.prefetch_distance(examples, batch_size))
        self._rate = EpochRate(engine.dtype)
        self._order = np.arange(examples.n_rows)
        plan = TrainingPlan(
            UNLIMITED_EPOCHS,
            batch_size,
            -(-examples.n_rows // batch_size),
            0,
            False,
            0,
            self._rate,
            n_threads,
            "continue",
        )
        hooks = Hooks(NoCallbacks(), _ignore, Checkpointer())
        arguments = KernelArguments(network, work, examples, validation, rule, stochastic)
        state = TrainingState(len(engine.spec.activation), seed=0)
        self._run = LossRun(arguments, plan, Metrics(False, False), hooks, state)
        self._run.records = self._run.records._replace(order=self._order)
        self._tuner: ThreadTuner | None = None
        self._steps_per_call = 1

    def epoch(self, order: np.ndarray, learning_rate: float) -> float:
        """Make one step for each batch of the order, (n,); return the mean loss, each batch before its update."""
        run = self._run
        end = run.position + run.plan.steps_per_epoch
        self._order[:] = order
        self._rate.rate = learning_rate
        run.records.sums[:] = 0
        self._tuner = self._tuner or ThreadTuner(run)
        while run.position < end:
            n_threads = self._tuner.choose()
            before = run.position
            seconds = run.advance(self._steps_per_call, n_threads) / max(1, run.position - before)
            self._tuner.observe(seconds)
            self._steps_per_call = int(min(max(1, CALL_SECONDS / max(seconds, 1e-9)), MAX_STEPS))
        return run.loss

    @property
    def steps(self) -> int:
        """Updates made so far."""
        return self._run.position


def _ignore(history: History, step: int) -> None:
    pass
