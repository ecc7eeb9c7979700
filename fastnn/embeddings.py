"""Embeddings: numbers that a network learns to take apart before its first layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .checks import check_int, check_positive

__all__ = ["PeriodicEmbedding"]

MOST_FREQUENCIES = 1024
"""What a thread's scratch holds."""


@dataclass(frozen=True)
class PeriodicEmbedding:
    """Give the first layer, beside each number x, learned periodic functions of it: W cos(2 pi f x + p) + c.

    Every embedded input has frequencies f, phases p, weights W and biases c of its own. The first layer takes all
    inputs, then the functions of the first that is embedded, and so on.

    Parameters
    ----------
    inputs : sequence of int, optional
        Which inputs are embedded, by their columns; None: all.
    n_frequencies : int, default 16
        Cosines of each, 1024 at most.
    n_outputs : int, default 3
        Functions that each becomes, besides itself.
    deviation : float, default 0.1
        Standard deviation of the first frequencies. Phases begin uniform over a turn, W and c uniform within
        1 / sqrt(n_frequencies).

    Notes
    -----
    The "PBLD" embedding of Holzmueller, Grinsztajn and Steinwart, "Better by Default", NeurIPS 2024 (arXiv 2407.04491),
    after Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", NeurIPS
    2022.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 200)[:, None]
    >>> net = fastnn.Network([1, 16, 1], activation=["tanh", "identity"], embedding=fastnn.PeriodicEmbedding(), seed=0)
    >>> net.weights[0].shape
    (16, 4)
    >>> history = net.fit(x, np.sin(9 * x), epochs=100, optimizer="adam", learning_rate=0.03)
    >>> history["loss"][-1] < 0.1
    True
    """

    inputs: tuple[int, ...] | None = None
    n_frequencies: int = 16
    n_outputs: int = 3
    deviation: float = 0.1

    def __post_init__(self) -> None:
        if self.inputs is not None:
            if isinstance(self.inputs, str | bytes) or not isinstance(self.inputs, Sequence | np.ndarray):
                raise TypeError(f"inputs must be a sequence of columns, or None for all, got {self.inputs!r:.200}")
            columns = tuple(check_int("inputs", column, 0) for column in self.inputs)
            if not columns or len(set(columns)) < len(columns):
                raise ValueError(f"inputs must name at least one column, and none twice, got {columns!r:.200}")
            object.__setattr__(self, "inputs", columns)
        for name in ("n_frequencies", "n_outputs"):
            object.__setattr__(self, name, check_int(name, getattr(self, name), 1))
        if self.n_frequencies > MOST_FREQUENCIES:
            raise ValueError(f"n_frequencies must be at most {MOST_FREQUENCIES}, got {self.n_frequencies}")
        object.__setattr__(self, "deviation", check_positive("deviation", self.deviation))

    def of_inputs(self, n_inputs: int) -> PeriodicEmbedding:
        """Return the embedding with its columns written out; raise ValueError for one that a network lacks."""
        columns = tuple(range(n_inputs)) if self.inputs is None else self.inputs
        if max(columns) >= n_inputs:
            raise ValueError(f"embedding: inputs must be columns from 0 to {n_inputs - 1}, got {max(columns)}")
        return PeriodicEmbedding(columns, self.n_frequencies, self.n_outputs, self.deviation)

    @property
    def n_embedded(self) -> int:
        """Number of inputs that are embedded."""
        return len(self.inputs or ())

    def added_names(self, names: Sequence[str]) -> list[str]:
        """Return names of the functions behind the inputs, given those of the inputs: "age (1)", "age (2)", ..."""
        return [f"{names[column]} ({part + 1})" for column in self.inputs or () for part in range(self.n_outputs)]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the parameters by their names, in the order in which a network keeps them."""
        count, n_frequencies, n_outputs = self.n_embedded, self.n_frequencies, self.n_outputs
        return {
            "frequencies": (count, n_frequencies),
            "phases": (count, n_frequencies),
            "weights": (count, n_outputs, n_frequencies),
            "biases": (count, n_outputs),
        }

    def draw(self, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Return first values of the parameters by their names."""
        shapes, limit = self.shapes(), 1 / math.sqrt(self.n_frequencies)
        return {
            "frequencies": self.deviation * generator.standard_normal(shapes["frequencies"]),
            "phases": generator.uniform(-math.pi, math.pi, shapes["phases"]),
            "weights": generator.uniform(-limit, limit, shapes["weights"]),
            "biases": generator.uniform(-limit, limit, shapes["biases"]),
        }
