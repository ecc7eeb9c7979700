"""Batches that come one after the other, fetched by a thread while the one before is learned."""

from __future__ import annotations

import queue
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import inputs
from ..callbacks.runner import CallbackRunner, check_callbacks
from ..checks import check_int
from ..errors import DivergenceError, describe_divergence
from ..history import COLUMNS, History
from ..schedules import LearningRates, PlateauState, ReduceOnPlateau, Schedule, evaluate_schedule
from .checkpointing import Checkpointer
from .interrupts import Interruption
from .loop import exploded

if TYPE_CHECKING:
    from ..network import Network

END = object()
POLL_SECONDS = 0.05
MOST_BATCHES = 1 << 20
"""Of an epoch, before a draw would be repeated."""

OPTIONS = {"optimizer", "n_threads", "on_divergence", "class_weight", "l1", "l2", "clip_norm", "max_norm"}
OPTIONS |= {"label_smoothing", "input_noise", "averaging"}
"""Arguments of `fit` that mean the same for a stream."""


class Prefetcher:
    """An iterator over what another thread takes out of `source`, at most `ahead` items before they are wanted.

    As a context it ends the thread, whatever it waits for; it ends itself where Ctrl-C asks for it.
    """

    def __init__(self, source: Iterable[Any], ahead: int, interruption: Interruption) -> None:
        self._interruption = interruption
        self._items: queue.Queue[Any] = queue.Queue(ahead)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._fetch, args=(source,), name="fastnn batches", daemon=True)

    def _fetch(self, source: Iterable[Any]) -> None:
        try:
            for item in source:
                if not self._put((_own(item), None)):
                    return
            self._put((END, None))
        except BaseException as error:
            self._put((END, error))

    def _put(self, item: Any) -> bool:
        while not self._over.is_set():
            try:
                self._items.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def __enter__(self) -> Iterator[Any]:
        self._thread.start()
        return self._received()

    def _received(self) -> Iterator[Any]:
        while not self._interruption.requested:
            try:
                item, error = self._items.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if error is not None:
                raise error
            if item is END:
                return
            yield item

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(1.0)


@dataclass
class Stream:
    """A training from batches that come: what `Network.fit_stream` was given."""

    net: Network
    batches: Iterable[Any] | Callable[[], Iterable[Any]]
    epochs: int
    batch_size: int | None
    learning_rate: Any
    prefetch: int
    validation: Any
    callbacks: Sequence[Any]
    options: dict[str, Any]

    def __post_init__(self) -> None:
        check_int("epochs", self.epochs, 0)
        check_int("prefetch", self.prefetch, 1)
        if self.batch_size is not None:
            check_int("batch_size", self.batch_size, 1)
        unknown = sorted(set(self.options) - OPTIONS)
        if unknown:
            raise TypeError(f"fit_stream takes of fit's options {', '.join(sorted(OPTIONS))}; got {', '.join(unknown)}")
        if not callable(self.batches) and not isinstance(self.batches, Iterable):
            raise TypeError(
                f"batches must be an iterable of (X, y), or a function that returns one, got {self.batches!r:.80}"
            )
        if self.epochs > 1 and isinstance(self.batches, Iterator):
            raise ValueError(
                "batches is an iterator, which can be read once: for more epochs give a function that makes one"
            )
        check_callbacks(self.callbacks, COLUMNS)
        self.judged = None if self.validation is None else self.net._validation(self.validation)
        self.continues = self.options.get("on_divergence") == "continue"
        self.divergence: tuple[str, int] | None = None

    def train(self) -> History:
        """All epochs, or those before Ctrl-C or a callback ended them."""
        self.history, self.start, self.length = History(), self.net.epochs_trained, 0
        self.course = PlateauState(getattr(self.learning_rate, "rate", 0.0))
        called, self.interruption = CallbackRunner(self.callbacks, self.net, self.history), Interruption()
        with self.interruption, called:
            for epoch in range(self.epochs):
                try:
                    self.train_epoch(epoch)
                finally:
                    self.net._epochs = self.start + self.history.epochs
                if self.interruption.requested:
                    self.history.stop_reason = "interrupted"
                    break
                if called.after_epoch():
                    break
        if self.divergence:
            self.history.stop_reason = "diverged"
            warnings.warn(describe_divergence(*self.divergence), RuntimeWarning, stacklevel=3)
        return self.history

    def train_epoch(self, epoch: int) -> None:
        """One pass over the batches; the history's values are means over their rows."""
        source = self.batches() if callable(self.batches) else self.batches
        if not isinstance(source, Iterable):
            raise TypeError(f"batches must return an iterable of (X, y), got {source!r:.80}")
        totals: dict[str, float] = {}
        rows = count = 0
        with Prefetcher(source, self.prefetch, self.interruption) as received:
            for item in received:
                X, y, weight, n_rows = _parts(item)
                time = self.start + epoch + (min(count / self.length, 1.0) if self.length else 0.0)
                # draws depend on the epoch: for them every batch is one
                self.net._epochs = (self.start + epoch) * MOST_BATCHES + count
                keeper: Any = Checkpointer(None, self.interruption)
                keeper.warns = False
                try:
                    part = self.net.fit(
                        X, y, sample_weight=weight, epochs=1, batch_size=self.batch_size or n_rows, shuffle=False,
                        learning_rate=self.rate_at(time), checkpoint=keeper, progress=False,
                        **self.options,
                    )  # fmt: skip
                except DivergenceError as error:
                    self.history.stop_reason = "diverged"
                    raise DivergenceError(
                        error.reason, epoch=epoch + 1, learning_rate=error.learning_rate, history=self.history
                    ) from None
                if part.stop_reason == "diverged":
                    self.divergence = self.divergence or ("the loss is not finite", epoch + 1)
                count, rows = count + 1, rows + n_rows
                self.history.seconds += part.seconds
                for name in part:
                    totals[name] = totals.get(name, 0.0) + part[name][-1] * n_rows
        if self.interruption.requested:
            return
        if not count:
            raise ValueError(f"batches must give at least one batch, got none in epoch {epoch + 1}")
        self.length = count
        values = {name: total / rows for name, total in totals.items()}
        if self.judged is not None:
            values |= self.net._validated(*self.judged)
        self.history.add(**values)
        self.history.learning_rates.append(part.learning_rates[-1])
        self.history.n_threads = part.n_threads
        self.history.examples_per_second = rows * self.history.epochs / max(self.history.seconds, 1e-9)
        risen = exploded(self.history["loss"])
        if risen and not self.continues:
            self.history.stop_reason = "diverged"
            rate = part.learning_rates[-1]
            raise DivergenceError(risen, epoch=epoch + 1, learning_rate=rate, history=self.history)
        self.divergence = self.divergence or ((risen, epoch + 1) if risen else None)

    def rate_at(self, time: float) -> Any:
        """The rate for one batch at a time in epochs: schedules are followed from batch to batch."""
        given, dtype = self.learning_rate, self.net.dtype
        if isinstance(given, ReduceOnPlateau):
            return LearningRates(given.advance(self.history, self.course), dtype)
        if isinstance(given, Schedule):
            return LearningRates(float(evaluate_schedule(given, np.array([time]), dtype)[0]), dtype)
        return given(int(time)) if callable(given) else given


def _own(item: Any) -> Any:
    """The batch with arrays of its own: the source may fill the same ones again, or read them from a file."""
    if not isinstance(item, tuple | list):
        return item
    return tuple(np.array(part) if isinstance(part, np.ndarray) else part for part in item)


def _parts(item: Any) -> tuple[Any, Any, Any, int]:
    if not isinstance(item, tuple | list) or len(item) not in (2, 3):
        raise TypeError(f"batches must give pairs (X, y) or triples (X, y, sample_weight), got {type(item).__name__}")
    X, y, weight = (*item, None)[:3]
    y = inputs.as_numeric_array("y", y)
    n_rows = len(y) if y.ndim else 0
    if n_rows == 0:
        raise ValueError(f"batches must give batches of at least one row, got y of shape {y.shape}")
    return X, y, weight, n_rows
