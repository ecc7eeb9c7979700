"""A running training: small snapshots at the ends of epochs, which another thread shows."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..callbacks import Callback
from ..history import History
from .request import check_fields, integer

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAUSE = 100.0
"""Time between two snapshots, at least, in units of the time that one takes: they slow a training by 1% at most."""

MOST_SNAPSHOTS = 120
MOST_PICTURES = 64
"""Neurons of the first layer whose weights are shown as they form."""

MOST_NUMBERS = 1 << 17
"""Weights of a snapshot that are kept."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All parameters, as `Network.parameters` returns them, after so many epochs; the history's columns grow on."""

    parameters: NDArray[Any]
    epoch: int
    columns: dict[str, list[float]]


class TrainingWatcher(Callback):
    """Copy the parameters at the ends of epochs; the page reads the copies from threads of its own.

    Parameters
    ----------
    sizes : tuple of int
        Of the network; the first is what the first layer takes.
    epochs : int
        How many epochs are planned.

    Attributes
    ----------
    snapshot : Snapshot or None
        The last one.
    """

    observes_only = True

    def __init__(self, sizes: tuple[int, ...], epochs: int) -> None:
        self.snapshot: Snapshot | None = None
        self._planned, self._n_inputs = epochs, sizes[0]
        self._n_shown = min(sizes[1], MOST_PICTURES, MOST_NUMBERS // sizes[0])
        self._first_layers: list[tuple[int, NDArray[Any]]] = []  # replaced, never changed: another thread reads it
        self._history, self._due, self._done, self._spacing = History(), 0.0, False, 1

    def on_fit_begin(self, net: Any, history: History) -> None:
        """Take the network as it begins."""
        self._history = history
        self._take(net)

    def on_epoch_end(self, net: Any, history: History) -> None:
        """Take a snapshot if one is due."""
        if time.perf_counter() >= self._due:
            self._take(net)

    def on_fit_end(self, net: Any, history: History) -> None:
        """Take the network as it ends."""
        self._take(net)
        self._done = True

    def _take(self, net: Any) -> None:
        began = time.perf_counter()
        self.snapshot = snapshot = Snapshot(net.parameters, self._history.epochs, dict(self._history))
        kept = self._first_layers
        if not kept or snapshot.epoch >= kept[-1][0] + self._spacing:
            if len(kept) == MOST_SNAPSHOTS:
                kept, self._spacing = kept[::2], 2 * self._spacing
            numbers = snapshot.parameters[: self._n_shown * self._n_inputs].copy()
            self._first_layers = [*kept, (snapshot.epoch, numbers)]
        now = time.perf_counter()
        self._due = now + PAUSE * (now - began)

    def _pictures(self) -> list[tuple[int, NDArray[Any]]]:
        """Return epochs and weights of the first layer, those of the last snapshot at the end."""
        kept, last = self._first_layers, self.snapshot
        if last is not None and (not kept or kept[-1][0] != last.epoch):
            kept = [*kept, (last.epoch, last.parameters[: self._n_shown * self._n_inputs])]
        return kept

    def news(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the history from epoch `since` on, and the epochs of which there are pictures."""
        check_fields(request, "since")
        since = integer(request, "since", 0, 1 << 40)
        done, snapshot, pictures = self._done, self.snapshot, self._pictures()
        epochs, columns = (0, {}) if snapshot is None else (snapshot.epoch, snapshot.columns)
        return {
            "done": done,
            "epochs": epochs,
            "planned": self._planned,
            "columns": {name: column[since:epochs] for name, column in columns.items()},
            "stop_reason": self._history.stop_reason if done else None,
            "pictures": [epoch for epoch, _ in pictures],
        }

    def first_layer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return picture `index` of the weights into the first neurons.

        Each weight is a byte: 128 stands for 0, 1 and 255 for the largest.
        """
        check_fields(request, "index")
        pictures = self._pictures()
        epoch, numbers = pictures[integer(request, "index", 0, len(pictures))]
        weights = np.nan_to_num(numbers.astype(np.float64), posinf=0, neginf=0)
        limit = float(np.quantile(np.abs(weights), 0.998)) if weights.size else 0.0
        levels = np.clip(np.rint(128 + 127 * weights / (limit or 1.0)), 1, 255).astype(np.uint8)
        return {
            "epoch": epoch,
            "neurons": self._n_shown,
            "levels": base64.b64encode(levels.tobytes()).decode(),
        }
