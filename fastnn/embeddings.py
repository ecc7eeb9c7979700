"""Embeddings: inputs that a network learns to take apart before its first layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .checks import check_int, check_positive

__all__ = ["CategoryEmbedding", "PeriodicEmbedding"]

MOST_FREQUENCIES = 1024
"""What a thread's scratch holds."""

MOST_CATEGORIES = 1 << 24
"""Whole numbers that float32 tells apart."""


def _as_columns(inputs: object) -> tuple[int, ...]:
    """Return the argument `inputs` as different columns; of those that a network lacks `_written_out` tells."""
    if isinstance(inputs, str | bytes) or not isinstance(inputs, Sequence | np.ndarray):
        raise TypeError(f"inputs must be a sequence of columns, or None for all, got {inputs!r:.200}")
    columns = tuple(check_int("inputs", column, 0) for column in inputs)
    if not columns or len(set(columns)) < len(columns):
        raise ValueError(f"inputs must name at least one column, and none twice, got {columns!r:.200}")
    return columns


def _written_out(argument: str, inputs: tuple[int, ...] | None, n_inputs: int) -> tuple[int, ...]:
    """Return all columns for None; raise ValueError for one that a network of that many inputs lacks."""
    columns = tuple(range(n_inputs)) if inputs is None else inputs
    if max(columns) >= n_inputs:
        raise ValueError(f"{argument}: inputs must be columns from 0 to {n_inputs - 1}, got {max(columns)}")
    return columns


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
            object.__setattr__(self, "inputs", _as_columns(self.inputs))
        for name in ("n_frequencies", "n_outputs"):
            object.__setattr__(self, name, check_int(name, getattr(self, name), 1))
        if self.n_frequencies > MOST_FREQUENCIES:
            raise ValueError(f"n_frequencies must be at most {MOST_FREQUENCIES}, got {self.n_frequencies}")
        object.__setattr__(self, "deviation", check_positive("deviation", self.deviation))

    def of_inputs(self, n_inputs: int) -> PeriodicEmbedding:
        """Return the embedding with its columns written out; raise ValueError for one that a network lacks."""
        return replace(self, inputs=_written_out("embedding", self.inputs, n_inputs))

    @property
    def n_embedded(self) -> int:
        """Number of inputs that are embedded."""
        return len(self.inputs or ())

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


@dataclass(frozen=True)
class CategoryEmbedding:
    """Replace the code of a category by a vector that is learned for it.

    The first layer takes the first number of a vector in the place of the code, and the others behind all inputs and
    what a `PeriodicEmbedding` adds, those of the first column that is embedded before those of the second.

    Parameters
    ----------
    n_categories : int or sequence of int
        How many categories each column has, 2**24 at most for all together; one number is for each. Codes are the whole
        numbers from 0 to n_categories - 1. Any negative number stands for no category, one that is missing or was not
        there in training: its vector is 0 and is not learned. Other numbers are refused.
    inputs : sequence of int, optional
        Which inputs hold codes, by their columns; None: all.
    n_outputs : int, default 8
        Numbers of a vector.
    deviation : float, default 1
        Standard deviation of the first vectors, which are normal.

    Notes
    -----
    The same function as one input for each category and a layer of weights without biases for each column, in a table
    that is narrow. Guo and Berkhahn, "Entity Embeddings of Categorical Variables", 2016 (arXiv 1604.06737). Every step
    updates all vectors, those of categories that are not in the batch too, as moments and decay demand.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> rng = np.random.default_rng(0)
    >>> effect = rng.normal(size=50)
    >>> X = np.column_stack([rng.integers(50, size=2000), rng.normal(size=2000)])
    >>> y = effect[X[:, 0].astype(int)] * X[:, 1]
    >>> embedding = fastnn.CategoryEmbedding(50, inputs=[0], n_outputs=4)
    >>> net = fastnn.Network([2, 32, 1], activation=["tanh", "identity"], category_embedding=embedding, seed=0)
    >>> net.weights[0].shape, net.category_vectors[0].shape
    ((32, 5), (50, 4))
    >>> history = net.fit(X, y, epochs=60, optimizer="adam", learning_rate=0.01)
    >>> history["loss"][-1] < 0.1
    True
    """

    n_categories: int | tuple[int, ...]
    inputs: tuple[int, ...] | None = None
    n_outputs: int = 8
    deviation: float = 1.0

    def __post_init__(self) -> None:
        if self.inputs is not None:
            object.__setattr__(self, "inputs", _as_columns(self.inputs))
        given = self.n_categories
        several = isinstance(given, Sequence | np.ndarray) and not isinstance(given, str | bytes)
        counts = [check_int("n_categories", count, 1) for count in (given if several else [given])]  # type: ignore[union-attr]
        if self.inputs is not None and several and len(counts) != len(self.inputs):
            raise ValueError(
                f"n_categories must be a number, or one for each of {len(self.inputs)} inputs, got {given!r:.200}"
            )
        if sum(counts) > MOST_CATEGORIES:
            raise ValueError(f"n_categories must be at most {MOST_CATEGORIES} together, got {sum(counts)}")
        object.__setattr__(self, "n_categories", tuple(counts) if several else counts[0])
        object.__setattr__(self, "n_outputs", check_int("n_outputs", self.n_outputs, 1))
        object.__setattr__(self, "deviation", check_positive("deviation", self.deviation))

    def of_inputs(self, n_inputs: int) -> CategoryEmbedding:
        """Return the embedding with columns and counts written out; raise ValueError where a network lacks one."""
        columns = _written_out("category_embedding", self.inputs, n_inputs)
        counts = (self.n_categories,) * len(columns) if isinstance(self.n_categories, int) else self.n_categories
        return replace(self, inputs=columns, n_categories=counts)

    @property
    def counts(self) -> dict[int, int]:
        """Number of categories by column, of an embedding that is written out."""
        return dict(
            zip(self.inputs or (), self.n_categories if isinstance(self.n_categories, tuple) else (), strict=True)
        )

    def draw(self, generator: np.random.Generator) -> dict[int, np.ndarray]:
        """Return first vectors, (n_categories, n_outputs), by column."""
        return {
            column: self.deviation * generator.standard_normal((count, self.n_outputs))
            for column, count in self.counts.items()
        }
