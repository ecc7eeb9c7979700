"""What a network carries from one training to the next, and the lock that lets one thread at a time train it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..locks import ForkSafeLock
from ..parameters import buffer_to_vector, vector_to_buffer
from ..spec import Spec
from .update_rule import OptimizerState

NO_FLAGS = np.empty(0, np.int64)


class TrainingState:
    """Seed, epochs, optimizer state and frozen layers of one network.

    Parameters
    ----------
    n_layers : int
        Layers of weights.
    seed : int
        Of shuffles, dropout and noise.

    Attributes
    ----------
    seed : int
    epochs : int
        Epochs completed by all trainings so far.
    optimizer : OptimizerState or None
        None before the first training that keeps one.
    frozen : frozenset of int
        Layers that keep their parameters.
    """

    def __init__(self, n_layers: int, seed: int) -> None:
        self.n_layers, self.seed = n_layers, seed
        self.epochs = 0
        self.optimizer: OptimizerState | None = None
        self.frozen: frozenset[int] = frozenset()
        self._flags = NO_FLAGS
        self._lock = ForkSafeLock()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Train alone: RuntimeError if another thread is training this network."""
        if not self._lock.acquire():
            raise RuntimeError("another thread is training this network; train a copy() there")
        try:
            yield
        finally:
            self._lock.release()

    def freeze(self, layers: frozenset[int]) -> None:
        """Freeze exactly these layers; a training under way follows from its next compiled call on."""
        self.frozen = layers
        for number in range(len(self._flags)):
            self._flags[number] = number in layers

    @contextmanager
    def follow_frozen(self, flags: np.ndarray) -> Iterator[None]:
        """Let `freeze` write into the flags that a training's kernels read."""
        self._flags = flags
        try:
            yield
        finally:
            self._flags = NO_FLAGS

    def dump(self, spec: Spec) -> dict[str, Any]:
        """Return the state as plain attributes, its buffers as vectors in the order of the parameters."""
        optimizer = self.optimizer and self.optimizer.map_buffers(lambda buffer: buffer_to_vector(buffer, spec))
        return {"seed": self.seed, "epochs": self.epochs, "frozen": self.frozen, "optimizer": optimizer}

    @classmethod
    def restored(cls, spec: Spec, dumped: dict[str, Any]) -> TrainingState:
        """Return the state that `dump` described, with a lock of its own."""
        state = cls(len(spec.activation), dumped["seed"])
        state.epochs, state.frozen = dumped["epochs"], dumped["frozen"]
        optimizer: OptimizerState | None = dumped["optimizer"]
        state.optimizer = optimizer and optimizer.map_buffers(lambda vector: vector_to_buffer(vector, spec))
        return state
