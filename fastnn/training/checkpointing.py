"""Trainings that survive: what a checkpoint holds of one, and how it goes on from there with the same bits."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..callbacks import Callback, Callbacks
from ..errors import FileFormatError
from ..history import History
from ..io import checkpoint_file as files
from ..io.checkpoint_file import Checkpoint
from ..io.files import remove_unfinished
from ..io.model_file import description
from ..kernels import gather, layout
from ..spec import check_float
from .interrupts import Interruption
from .update_rule import State

if TYPE_CHECKING:
    from ..network import Network
    from .loop import Run

Terms = Callable[[], dict[str, Any]]
UNFINISHED = ("", "interrupted")
SAMPLE_ROWS = 64
MOST_SHARE = 20
"""So many times what a checkpoint took passes before the next: a large network's take no more than a twentieth."""


class Checkpointer:
    """Puts a training back to where it stood, and knows what to keep of it; this one keeps nothing.

    Attributes
    ----------
    saved : Checkpoint or None
        What the training goes on from.
    history : History
        The history so far.
    interruption : Interruption
        What asks the training to end.
    """

    warns = True
    """Whether a training that diverges is warned of here; where it is a part of another, that one says it."""

    def __init__(self, saved: Checkpoint | None = None, interruption: Interruption | None = None) -> None:
        self.saved, self.history = saved, _history(saved)
        self.interruption = interruption or Interruption()

    def begin(self, net: Network, callbacks: Callbacks, state: State, terms: Terms) -> None:
        """Whose training is kept, and what a training that goes on must have in common with it."""
        self.net, self.callbacks, self.state, self.terms = net, callbacks, state, terms
        self.before = net.epochs_trained, state.steps

    def check(self, net: Network, terms: Terms) -> None:
        """An error where this training is not the one that was kept."""

    def put_back(self, run: Run) -> None:
        """Set a run to where the checkpoint was written."""
        if self.saved is None:
            return
        progress, arrays = self.saved.progress, self.saved.arrays
        run.records.state[layout.NEXT_STEP] = progress["position"]
        run.records.sums[:] = arrays["sums"]
        self.callbacks.restore(progress["callbacks"], arrays)

    def keep(self, run: Run, reason: str = "") -> None:
        """Called between steps, and where the training ended for a reason."""

    def checkpoint(self, run: Run, reason: str) -> Checkpoint:
        """Return a copy of all that the next step depends on."""
        net, state = self.net, self.state
        states, arrays = self.callbacks.state()
        arrays |= {
            "sums": run.records.sums.copy(),
            "learning_rates": np.array(run.history.learning_rates, np.float64),
            **{f"history.{name}": np.array(values) for name, values in run.history._filled().items()},
            **{key: net._in_order(buffer) for key, buffer in state_arrays(state).items()},
        }
        progress = {
            "position": run.position,
            "seconds": run.seconds,
            "stop_reason": reason,
            "steps": self.before[1],
            "fingerprint": self.terms(),
            "callbacks": states,
        }
        return Checkpoint(net._to_saved(), progress, arrays, self.before[0])


class DirectoryCheckpointer(Checkpointer):
    """Writes the checkpoint into a folder now and then."""

    def __init__(self, folder: str | os.PathLike[str], resume: bool, seconds: float) -> None:
        if not isinstance(folder, str | os.PathLike):
            raise TypeError(f"checkpoint must be the path of a folder, got {folder!r}")
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"checkpoint must be the path of a folder, and {self.folder} is something else")
        self.seconds = check_float("checkpoint_seconds", seconds)
        if self.seconds < 0:
            raise ValueError(f"checkpoint_seconds must be 0 or more, got {seconds!r}")
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(self.folder / files.NAME)
        if not resume:
            self._check_replaceable()
        super().__init__(files.read(self.folder) if resume else None)
        self._last, self._took = time.monotonic(), 0.0

    def _check_replaceable(self) -> None:
        """An error where a training that was not finished would be written over."""
        try:
            found = files.read(self.folder)
        except FileFormatError:
            return
        if found is not None and found.progress["stop_reason"] in UNFINISHED:
            raise ValueError(
                f"{self.folder} holds the checkpoint of a training that was not finished "
                f"({_history(found).epochs} epochs): pass resume=True (--resume) to go on with it, or another folder"
            )

    def check(self, net: Network, terms: Terms) -> None:
        """An error that names what the checkpoint does not share with the training that wants to go on from it."""
        description(net._to_saved())  # what could not be written is an error now, not in a minute
        if self.saved is None:
            return
        if self.saved.model.spec != net._spec:
            saved_net = net._from_saved(self.saved.model)
            raise ValueError(f"the checkpoint in {self.folder} is of {saved_net!r}, not of {net!r}")
        for name, value in terms().items():
            kept = self.saved.progress["fingerprint"].get(name)
            if kept != value:
                raise ValueError(f"the checkpoint in {self.folder} was made with {name}={kept!r}, not {value!r}")

    def put_back(self, run: Run) -> None:
        """As `Checkpointer.put_back`; callbacks whose state cannot be kept are an error now, not in a minute."""
        super().put_back(run)
        self.callbacks.state()

    def keep(self, run: Run, reason: str = "") -> None:
        """Write where it is time; a disk that fails is a warning."""
        wait = max(self.seconds, MOST_SHARE * self._took) if self.seconds else 0.0
        began = time.monotonic()
        if not reason and began - self._last < wait:
            return
        if not np.isfinite(run.job.network.parameters).all():
            return
        try:
            files.write(self.folder, self.checkpoint(run, reason))
        except OSError as error:
            warnings.warn(f"fastnn could not write a checkpoint: {error}", RuntimeWarning, stacklevel=2)
        self._last = time.monotonic()
        self._took = self._last - began


class InMemoryCheckpointer(Checkpointer):
    """Keeps a training in memory where a `Pause` stopped it, until its next part."""

    def keep(self, run: Run, reason: str = "") -> None:
        """Copy what the next part goes on from."""
        if reason == Pause.stop_reason:
            self.saved = self.checkpoint(run, "")


class Pause(Callback):
    """Stops a training for a while at the end of an epoch."""

    stop_reason = "paused"

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, net: Network, history: History) -> bool:
        """Look at the epoch."""
        return history.epochs == self.epoch


def state_arrays(state: State) -> dict[str, np.ndarray]:
    """The optimizer's buffers by their names in a checkpoint, in the order of `State`'s fields."""
    return {"state.moment1": state.first, "state.moment2": state.second, "state.ema": state.average}


def _history(saved: Checkpoint | None) -> History:
    history = History()
    if saved is not None:
        columns = {name[8:]: values for name, values in saved.arrays.items() if name.startswith("history.")}
        order = ["loss", "accuracy", "val_loss", "val_accuracy"]
        for name in sorted(columns, key=lambda name: (order.index(name) if name in order else len(order), name)):
            history._columns[name] = columns[name].tolist()
        history.learning_rates = saved.arrays["learning_rates"].tolist()
        history.seconds = float(saved.progress["seconds"])
        history.stop_reason = saved.progress["stop_reason"]
    return history


def run_fingerprint(
    examples: layout.Examples, batch_size: int, shuffle: bool, kind: str, ranks: int = 1
) -> dict[str, Any]:
    """What the steps of two trainings must share to be the same steps: sizes, and a digest of some rows."""
    itemsizes = {code: np.dtype(name).itemsize for name, code in gather.KINDS.items()}
    stride = examples.stride * itemsizes.get(examples.kind, 0)
    length = min(stride, examples.inputs.size) if examples.n_rows > 1 else examples.inputs.size
    digest = hashlib.sha256()
    sparse = examples.kind == gather.CSR
    for row in np.unique(np.linspace(0, examples.n_rows - 1, SAMPLE_ROWS).astype(np.int64)):
        if sparse:
            part = slice(examples.starts[row], examples.starts[row + 1])
            digest.update(examples.values[part].tobytes() + examples.columns[part].tobytes())
        digest.update(examples.inputs[row * stride : row * stride + length].data)
        for values in (examples.labels, examples.targets, examples.weights):
            width = values.size // examples.n_rows
            digest.update(values[row * width : (row + 1) * width].data)
    return {
        "rows": examples.n_rows,
        "batch_size": batch_size,
        "shuffle": shuffle,
        "optimizer": kind,
        "ranks": ranks,
        "data": digest.hexdigest()[:16],
    }
