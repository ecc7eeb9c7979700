"""Checkpoint and resume training bit-exactly, in a directory or in memory."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..callbacks import Callback
from ..caller import warn_caller
from ..checks import check_bool, check_non_negative
from ..errors import FileFormatError
from ..history import History
from ..io import checkpoint_file
from ..io.checkpoint_file import Checkpoint
from ..io.files import remove_unfinished
from ..io.model_file import SavedModel, description
from ..kernels import gather, layout
from ..optimizers import LBFGS, Optimizer
from ..parameters import buffer_to_vector, vector_to_buffer
from ..spec import Spec
from .engine import Engine
from .interrupts import Interruption
from .loop import Callbacks, TrainingRun
from .state import TrainingState
from .update_rule import OptimizerState, initial_state

BUFFERS = ("moment1", "moment2", "ema")
"""Arrays of an OptimizerState, which a checkpoint holds as `state.*`."""

DEFAULT_SECONDS = 10.0
"""Between two checkpoints, unless `fit` is told otherwise."""

UNFINISHED = ("", "interrupted")
SAMPLE_ROWS = 64
MIN_INTERVAL_FACTOR = 20
"""A checkpoint waits at least this many times as long as the last one took: at most a twentieth of the time."""


@dataclass(frozen=True)
class Subject:
    """The training of which checkpoints are kept.

    Attributes
    ----------
    engine, state, callbacks
        What holds all that the next step depends on.
    fingerprint : callable
        Returns what a training that resumes must have in common with this one.
    """

    engine: Engine
    state: TrainingState
    callbacks: Callbacks
    fingerprint: Callable[[], dict[str, Any]]


class Checkpointer:
    """Restore a training from a checkpoint, if there is one; this class saves nothing.

    Parameters
    ----------
    saved : Checkpoint, optional
        What the training resumes from.
    interruption : Interruption, optional
        What asks the training to stop; None makes one.

    Attributes
    ----------
    history : History
        That of the checkpoint, or an empty one.
    """

    def __init__(self, saved: Checkpoint | None = None, interruption: Interruption | None = None) -> None:
        self.saved = saved
        self.history = _restored_history(saved)
        self.interruption = interruption or Interruption()
        self.subject: Subject | None = None

    def read_only(self) -> Checkpointer:
        """Return one that restores the same checkpoint into the same history, and saves nothing."""
        other = Checkpointer(self.saved, self.interruption)
        other.history = self.history
        return other

    def check(self, fingerprint: Callable[[], dict[str, Any]]) -> None:
        """Raise ValueError if this training is not the one that was saved."""

    def begin(self, subject: Subject) -> None:
        """Remember whose checkpoints to keep."""
        self.subject = subject

    def restore(self, run: TrainingRun) -> None:
        """Set a run to where the checkpoint was written."""
        if self.saved is None:
            return
        progress, arrays = self.saved.progress, self.saved.arrays
        run.records.state[layout.NEXT_STEP] = progress["position"]
        run.records.sums[:] = arrays["sums"]
        run.hooks.callbacks.restore(progress["callbacks"], arrays)

    def save(self, run: TrainingRun, reason: str = "") -> None:
        """Keep nothing."""

    def checkpoint(self, run: TrainingRun, reason: str, model: SavedModel) -> Checkpoint:
        """Return all that the next step depends on, with the model as it is now."""
        if self.subject is None:
            raise RuntimeError("begin() must be called before a checkpoint can be made")
        subject, optimizer = self.subject, self.subject.state.optimizer
        if optimizer is None:
            raise RuntimeError("a training in steps has an optimizer state")
        states, arrays = subject.callbacks.state()
        spec = subject.engine.spec
        arrays |= {
            "sums": run.records.sums.copy(),
            "learning_rates": np.array(run.history.learning_rates, np.float64),
            **{f"history.{name}": np.array(values) for name, values in run.history.padded_columns().items()},
            **{f"state.{name}": buffer_to_vector(getattr(optimizer, name), spec) for name in BUFFERS},
        }
        progress = {
            "position": run.position,
            "seconds": run.seconds,
            "stop_reason": reason,
            "steps": run.steps_before,
            "fingerprint": subject.fingerprint(),
            "callbacks": states,
        }
        return Checkpoint(model, progress, arrays, run.epochs_before)


class DirectoryCheckpointer(Checkpointer):
    """Write the checkpoint into a directory, every few seconds and at the end.

    Parameters
    ----------
    directory : path
        Created where it is missing, once everything else is checked.
    resume : bool
        Whether to continue from the checkpoint in it; without, an unfinished training there is an error.
    seconds : float
        Between two checkpoints; 0: after every compiled call.
    describe : callable
        Returns the model as it is now.
    """

    def __init__(
        self, directory: str | os.PathLike[str], resume: bool, seconds: float, describe: Callable[[], SavedModel]
    ) -> None:
        self.describe = describe
        if not isinstance(directory, str | os.PathLike):
            raise TypeError(f"checkpoint must be the path of a directory, got {directory!r}")
        self.directory = Path(directory)
        if self.directory.exists() and not self.directory.is_dir():
            raise NotADirectoryError(f"checkpoint must be the path of a directory, got the file {self.directory}")
        self.seconds = check_non_negative("checkpoint_seconds", seconds)
        remove_unfinished(self.directory / checkpoint_file.NAME)
        if not resume:
            self._check_replaceable()
        super().__init__(checkpoint_file.read(self.directory) if resume else None)
        self._last, self._duration = time.monotonic(), 0.0

    def _check_replaceable(self) -> None:
        """Raise ValueError where a training that was not finished would be overwritten."""
        try:
            existing = checkpoint_file.read(self.directory)
        except FileFormatError:
            return
        if existing is not None and existing.progress["stop_reason"] in UNFINISHED:
            raise ValueError(
                f"{self.directory} holds the checkpoint of an unfinished training "
                f"({_restored_history(existing).epochs} epochs): pass resume=True (--resume) to continue it, "
                "or another directory"
            )

    def check(self, fingerprint: Callable[[], dict[str, Any]]) -> None:
        """Raise ValueError that names what the checkpoint does not share with the training that would resume it."""
        model = self.describe()
        description(model)  # what could not be written is an error now, not in a minute
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.saved is None:
            return
        saved = self.saved.model
        if saved.spec != model.spec:
            pairs = [
                (field.name, getattr(saved.spec, field.name), getattr(model.spec, field.name)) for field in fields(Spec)
            ]
            differences = [f"{name}={kept!r:.80}, not {given!r:.80}" for name, kept, given in pairs if kept != given]
            raise ValueError(f"the checkpoint in {self.directory} is of a network with {'; '.join(differences)}")
        for name, value in fingerprint().items():
            kept = self.saved.progress["fingerprint"].get(name)
            if kept != value:
                raise ValueError(f"the checkpoint in {self.directory} was made with {name}={kept!r}, not {value!r}")

    def restore(self, run: TrainingRun) -> None:
        """Restore the run; callbacks whose state cannot be saved are an error now, not in a minute."""
        super().restore(run)
        run.hooks.callbacks.state()

    def save(self, run: TrainingRun, reason: str = "") -> None:
        """Write the checkpoint if it is time; a disk that fails is a warning."""
        interval = max(self.seconds, MIN_INTERVAL_FACTOR * self._duration) if self.seconds else 0.0
        began = time.monotonic()
        if not reason and began - self._last < interval:
            return
        if not np.isfinite(run.arguments.network.parameters).all():
            return
        try:
            checkpoint_file.write(self.directory, self.checkpoint(run, reason, self.describe()))
        except OSError as error:
            warn_caller(f"fastnn could not write a checkpoint: {error}")
        self._last = time.monotonic()
        self._duration = self._last - began


class InMemoryCheckpointer(Checkpointer):
    """Keep the checkpoint in memory where a `Pause` stopped the training, until its next segment.

    Parameters
    ----------
    saved : Checkpoint or None
        Where the segment before ended.
    interruption : Interruption or None
    describe : callable
        Returns the model as it is now.
    """

    def __init__(
        self, saved: Checkpoint | None, interruption: Interruption | None, describe: Callable[[], SavedModel]
    ) -> None:
        super().__init__(saved, interruption)
        self.describe = describe

    def save(self, run: TrainingRun, reason: str = "") -> None:
        """Copy what the next segment continues from."""
        if reason == Pause.stop_reason:
            self.saved = self.checkpoint(run, "", self.describe())


class Pause(Callback):
    """Stop a training for a while at the end of an epoch."""

    stop_reason = "paused"

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, net: Any, history: History) -> bool:
        """Stop at the epoch."""
        return history.epochs == self.epoch


def make_checkpointer(
    directory: Any, resume: Any, seconds: Any, optimizer: Optimizer, describe: Callable[[], SavedModel]
) -> Checkpointer:
    """Return the checkpointer that the arguments of `Network.fit` describe.

    Parameters
    ----------
    directory : path or None
        `checkpoint` of `fit`.
    resume : bool
    seconds : float
        `checkpoint_seconds` of `fit`.
    optimizer : Optimizer
        Of the training.
    describe : callable
        Returns the model as it is now.
    """
    resume = check_bool("resume", resume)
    if directory is None:
        if resume:
            raise ValueError("resume=True needs the directory of the checkpoint: checkpoint=...")
        if seconds != DEFAULT_SECONDS:
            raise ValueError(
                f"checkpoint_seconds needs the directory of the checkpoint: checkpoint=...; got {seconds!r}"
            )
        return Checkpointer()
    if isinstance(optimizer, LBFGS):
        raise ValueError("checkpoint is for optimizers that take steps; 'lbfgs' takes none")
    return DirectoryCheckpointer(directory, resume, seconds, describe)


def restore_state(
    saved: Checkpoint, engine: Engine, state: TrainingState, optimizer: Optimizer, ema_decay: float
) -> None:
    """Set parameters, seed, epochs and the optimizer's state to those of the checkpoint."""
    expected = initial_state(optimizer, ema_decay, engine.buffer)
    for name in BUFFERS:
        if bool(saved.arrays[f"state.{name}"].size) != bool(getattr(expected, name).size):
            raise ValueError(f"the checkpoint's state.{name} is not that of {optimizer!r} with this ema_decay")
    engine.set_parameters(saved.model.parameters)
    state.seed, state.epochs = saved.model.seed, saved.epochs
    buffers = {name: vector_to_buffer(saved.arrays[f"state.{name}"], engine.spec) for name in BUFFERS}
    state.optimizer = OptimizerState(optimizer.kind, saved.progress["steps"], **buffers)


def _restored_history(saved: Checkpoint | None) -> History:
    if saved is None:
        return History()
    columns = {name[8:]: values.tolist() for name, values in saved.arrays.items() if name.startswith("history.")}
    order = ["loss", "accuracy", "val_loss", "val_accuracy"]
    names = sorted(columns, key=lambda name: (order.index(name) if name in order else len(order), name))
    history = History.from_columns({name: columns[name] for name in names})
    history.learning_rates = saved.arrays["learning_rates"].tolist()
    history.seconds = float(saved.progress["seconds"])
    history.stop_reason = saved.progress["stop_reason"]
    return history


def run_fingerprint(
    examples: layout.Examples, batch_size: int, shuffle: bool, optimizer: str, n_ranks: int = 1, drop_last: bool = False
) -> dict[str, Any]:
    """Return what two trainings must share for their steps to be the same: sizes, and a digest of some rows."""
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
        "optimizer": optimizer,
        "ranks": n_ranks,
        "data": digest.hexdigest()[:16],
    } | ({"drop_last": True} if drop_last else {})
