"""The base class of callbacks, and what they may ask of a network."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from ..history import History

if TYPE_CHECKING:
    import numpy as np


class Trainable(Protocol):
    """What the callbacks of this package use of a network."""

    parameters: np.ndarray

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a model file."""


class Callback:
    """Base class of callbacks that act at the beginning or the end of a training too, or keep a state.

    Every method may be left out. `net` is the network that is trained, `history` its `History`.

    Attributes
    ----------
    stop_reason : str
        Becomes `history.stop_reason` if this callback ends the training.
    observes_only : bool
        Whether it neither ends nor changes the training: it is then called at the ends of some epochs, many times a
        second, instead of all, so that it does not slow short ones; and a checkpoint knows nothing of it.
    adds : tuple of str
        Columns that this callback adds to the history, which callbacks behind it may monitor.

    Examples
    --------
    >>> import fastnn
    >>> class Count(fastnn.callbacks.Callback):
    ...     def on_fit_begin(self, net, history):
    ...         self.epochs = 0
    ...     def on_epoch_end(self, net, history):
    ...         self.epochs += 1
    >>> count = Count()
    >>> net = fastnn.Network([1, 1], seed=0)
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, callbacks=[count])
    >>> count.epochs
    3
    """

    stop_reason = "callback"
    observes_only = False
    adds: tuple[str, ...] = ()

    # `net` is Any: a subclass may then annotate it with the class of its own networks

    def on_fit_begin(self, net: Any, history: History) -> None:
        """Act before the first epoch. The history is empty, or holds the epochs before a checkpoint."""

    def on_epoch_end(self, net: Any, history: History) -> bool | None:
        """Act after an epoch; return True to end the training."""

    def on_fit_end(self, net: Any, history: History) -> None:
        """Act after the last epoch, whatever ended the training, errors included."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold to resume this callback: numbers, strings and arrays by name."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned; called after `on_fit_begin` when a training is resumed."""

    def __call__(self, net: Any, history: History) -> bool | None:
        """Call `on_epoch_end`."""
        return self.on_epoch_end(net, history)
