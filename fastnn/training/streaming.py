"""Train on batches that come one after the other, prefetched by a thread while the one before is learned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .. import inputs
from ..callbacks.runner import CallbackRunner, check_callbacks
from ..checks import check_int, largest_number
from ..errors import DivergenceError
from ..history import History, check_monitor
from ..learning_rates import LearningRates, as_learning_rates, evaluate_schedule
from ..optimizers import LBFGS, as_optimizer
from ..schedules import PlateauState, ReduceOnPlateau, Schedule
from .checkpointing import Checkpointer
from .dataset import Dataset, as_validation, make_dataset
from .engine import Engine
from .health import HealthMonitor
from .interrupts import Interruption
from .loop import NoCallbacks, TrainingRun, loss_explosion
from .options import FitOptions, make_fit_options
from .prefetcher import Prefetcher
from .state import TrainingState
from .trainer import check_inputs, fit_steps

MAX_BATCHES = 1 << 20
"""Of an epoch, before a random draw would be repeated."""

OPTIONS = {"optimizer", "n_threads", "on_divergence", "class_weight", "l1", "l2", "clip_norm", "max_norm"}
OPTIONS |= {"label_smoothing", "input_noise", "ema_decay", "augmentation", "lr_factors", "decay_factors"}
"""Arguments of `fit` that mean the same for a stream."""


@dataclass(frozen=True)
class StreamOptions:
    """What `Network.fit_stream` was given beside the batches, checked.

    Attributes
    ----------
    fit : FitOptions
        Of one batch; its learning rate is replaced from batch to batch.
    epochs, prefetch : int
    batch_size : int or None
        None: each batch that comes is one update.
    validation : Examples or None
    has_val_accuracy : bool
    callbacks : sequence of callables
    class_weight : dict, str or None
    """

    fit: FitOptions
    epochs: int
    prefetch: int
    batch_size: int | None
    validation: Any
    has_val_accuracy: bool
    callbacks: Sequence[Any]
    class_weight: Any

    def check_monitors(self, has_accuracy: bool) -> None:
        """Raise where callbacks or a schedule watch a column that the history of this training will not have."""
        columns = ["loss"] + ["accuracy"] * has_accuracy
        if self.validation is not None:
            columns += ["val_loss"] + ["val_accuracy"] * self.has_val_accuracy
        check_callbacks(self.callbacks, columns)
        if self.fit.rates.reads_history:
            check_monitor(self.fit.rates.source.monitor, columns)


def make_stream_options(
    engine: Engine,
    *,
    epochs: Any,
    batch_size: Any,
    learning_rate: Any,
    prefetch: Any,
    validation_data: Any,
    callbacks: Any,
    options: Mapping[str, Any],
) -> StreamOptions:
    """Check the arguments of `Network.fit_stream`; ValueError or TypeError names the one."""
    spec = engine.spec
    engine.check_trainable()
    epochs, prefetch = check_int("epochs", epochs, 0), check_int("prefetch", prefetch, 1)
    if batch_size is not None:
        batch_size = check_int("batch_size", batch_size, 1)
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        raise TypeError(f"fit_stream takes of fit's options {', '.join(sorted(OPTIONS))}; got {', '.join(unknown)}")
    of_fit = {name: value for name, value in options.items() if name != "class_weight"}
    if isinstance(as_optimizer(of_fit.get("optimizer", "sgd")), LBFGS):
        raise ValueError("fit_stream is for optimizers that take steps; 'lbfgs' needs all examples at once")
    fit = make_fit_options(spec, epochs=1, learning_rate=learning_rate, shuffle=False, progress=False, **of_fit)
    class_weight = options.get("class_weight")
    if class_weight is not None:
        class_weight = inputs.check_class_weight(class_weight, spec)
        if class_weight == "balanced":
            raise ValueError("class_weight='balanced' needs all labels at once; give a stream weights by label, a dict")
    validation, has_val_accuracy = None, False
    if validation_data is not None:
        validation, are_classes = as_validation(spec, validation_data)
        has_val_accuracy = are_classes or spec.classifies
    checked = StreamOptions(fit, epochs, prefetch, batch_size, validation, has_val_accuracy, callbacks, class_weight)
    # whether the targets are classes is not known before they come; one output is never theirs
    checked.check_monitors(has_accuracy=spec.classifies or spec.sizes[-1] > 1)
    return checked


def check_batches(batches: Any, epochs: int) -> None:
    """Raise if the batches cannot be read, or not often enough."""
    if not callable(batches) and not isinstance(batches, Iterable):
        raise TypeError(f"batches must be an iterable of (X, y), or a function that returns one, got {batches!r:.80}")
    if epochs > 1 and isinstance(batches, Iterator):
        raise ValueError(
            "batches is an iterator, which can be read once: for more epochs give a function that makes one"
        )


@dataclass
class EpochTotals:
    """Sums over the batches of one epoch.

    Attributes
    ----------
    values : dict of float
        By column of the history, each batch's value times its rows.
    rows, batches : int
    run : TrainingRun or None
        That of the last batch.
    """

    values: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    batches: int = 0
    run: TrainingRun | None = None

    def add(self, run: TrainingRun, n_rows: int) -> None:
        """Add one batch."""
        self.run, self.rows, self.batches = run, self.rows + n_rows, self.batches + 1
        for name in run.history:
            self.values[name] = self.values.get(name, 0.0) + run.history[name][-1] * n_rows


class StreamTraining:
    """A training from batches that come.

    Parameters
    ----------
    engine, state
        Of the network that learns.
    batches : iterable of (X, y) or (X, y, sample_weight), or a function that returns one
    options : StreamOptions
    """

    def __init__(
        self,
        engine: Engine,
        state: TrainingState,
        batches: Iterable[Any] | Callable[[], Iterable[Any]],
        options: StreamOptions,
    ) -> None:
        self.engine, self.state, self.batches, self.options = engine, state, batches, options
        self.history = History()
        self.divergence: str | None = None
        self.interruption = Interruption()
        self.batches_per_epoch = 0
        self.plateau = PlateauState(getattr(options.fit.rates.source, "rate", 0.0))
        self.start = state.epochs
        self.health = HealthMonitor(engine)

    def run(self, callbacks: CallbackRunner) -> History:
        """Train all epochs, or those before Ctrl-C or a callback ends them."""
        with self.interruption, callbacks:
            for epoch in range(self.options.epochs):
                try:
                    self.train_epoch(epoch)
                finally:
                    self.state.epochs = self.start + self.history.epochs
                self.health.after_call(self.history)
                if self.interruption.requested:
                    self.history.stop_reason = "interrupted"
                    break
                if callbacks.after_epoch():
                    break
        self.health.end(self.history)
        if self.divergence:
            self.history.stop_reason = "diverged"
            self.health.report_divergence(self.divergence)
        return self.history

    def train_epoch(self, epoch: int) -> None:
        """Pass once over the batches; the history's values are means over their rows."""
        source = self.batches() if callable(self.batches) else self.batches
        if not isinstance(source, Iterable):
            raise TypeError(f"batches must return an iterable of (X, y), got {source!r:.80}")
        totals = EpochTotals()
        with Prefetcher(source, self.options.prefetch, self.interruption) as received:
            for item in received:
                self.train_batch(epoch, totals, *_parts(item))
        if self.interruption.requested:
            return
        if totals.run is None:
            raise ValueError(f"batches must give at least one batch, got none in epoch {epoch + 1}")
        self.batches_per_epoch = totals.batches
        self.record(totals, totals.run)

    def train_batch(self, epoch: int, totals: EpochTotals, X: Any, y: Any, weight: Any, n_rows: int) -> None:
        """Learn one batch, and add its results to the totals."""
        options = self.options
        fraction = min(totals.batches / self.batches_per_epoch, 1.0) if self.batches_per_epoch else 0.0
        rates = self.rates_at(self.start + epoch + fraction)
        fit = replace(options.fit, batch_size=options.batch_size or n_rows, rates=rates)
        dataset = make_dataset(self.engine.spec, X, y, weight, class_weight=options.class_weight)
        check_inputs(self.engine.spec, dataset, fit)
        if not (self.history.epochs or totals.batches):
            self.begin(dataset)
        # draws depend on the epoch: for them every batch is one
        first_draw = (self.start + epoch) * MAX_BATCHES + totals.batches
        try:
            with self.state.exclusive():
                checkpointer = Checkpointer(None, self.interruption)
                run = fit_steps(
                    self.engine, self.state, dataset, fit, NoCallbacks(), checkpointer, first_draw=first_draw
                )
        except DivergenceError as error:
            self.history.stop_reason = "diverged"
            raise DivergenceError(
                error.reason,
                epoch=epoch + 1,
                learning_rate=error.learning_rate,
                history=self.history,
                cause=self.health.cause_of_divergence(),
            ) from None
        if run.divergence:
            self.divergence = self.divergence or f"the loss is not finite in epoch {epoch + 1}"
        self.history.seconds += run.history.seconds
        totals.add(run, n_rows)

    def begin(self, dataset: Dataset) -> None:
        """Check what depends on the first batch, before its update."""
        self.options.check_monitors(dataset.has_accuracy)
        self.health.begin(dataset.examples)

    def record(self, totals: EpochTotals, run: TrainingRun) -> None:
        """Add the epoch to the history; raise DivergenceError where its loss exploded."""
        history, validation = self.history, self.options.validation
        values = {name: total / totals.rows for name, total in totals.values.items()}
        if validation is not None:
            values["val_loss"], val_accuracy = self.engine.evaluate(validation, self.options.fit.n_threads)
            if self.options.has_val_accuracy:
                values["val_accuracy"] = val_accuracy
        history.add(**values)
        history.learning_rates.append(run.history.learning_rates[-1])
        history.n_threads = run.history.n_threads
        history.examples_per_second = totals.rows * history.epochs / max(history.seconds, 1e-9)
        risen = loss_explosion(history["loss"])
        if risen and self.options.fit.on_divergence == "raise":
            history.stop_reason = "diverged"
            rate = history.learning_rates[-1]
            cause = self.health.cause_of_divergence()
            raise DivergenceError(risen, epoch=history.epochs, learning_rate=rate, history=history, cause=cause)
        self.divergence = self.divergence or risen

    def rates_at(self, time: float) -> LearningRates:
        """Return the learning rate of one batch at a time in epochs: schedules are followed from batch to batch."""
        source, dtype = self.options.fit.rates.source, self.engine.dtype
        if isinstance(source, ReduceOnPlateau):
            return LearningRates(source.advance(self.history, self.plateau), dtype)
        if isinstance(source, Schedule):
            return LearningRates(float(evaluate_schedule(source, np.array([time]), largest_number(dtype))[0]), dtype)
        return as_learning_rates(source(int(time)) if callable(source) else source, dtype)


def _parts(item: Any) -> tuple[Any, Any, Any, int]:
    if not isinstance(item, tuple | list) or len(item) not in (2, 3):
        raise TypeError(f"batches must give pairs (X, y) or triples (X, y, sample_weight), got {type(item).__name__}")
    X, y, weight = (*item, None)[:3]
    y = inputs.as_numeric_array("y", y)
    n_rows = len(y) if y.ndim else 0
    if n_rows == 0:
        raise ValueError(f"batches must give batches of at least one row, got y of shape {y.shape}")
    return X, y, weight, n_rows
