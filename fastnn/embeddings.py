"""Embeddings: inputs that a network learns to take apart before its first layer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from .checks import check_int, check_positive

__all__ = ["CategoryEmbedding", "NumberEmbedding", "PeriodicEmbedding", "PiecewiseLinearEmbedding", "quantile_pieces"]

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
class NumberEmbedding(ABC):
    """Give the first layer, beside each number x, functions of it: W e(x) + c, e with two parameters for each part."""

    inner: ClassVar[str]
    """Name of the field that counts the parts of e."""

    inner_parameters: ClassVar[tuple[str, str]]

    inputs: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.inputs is not None:
            object.__setattr__(self, "inputs", _as_columns(self.inputs))
        for name in (self.inner, "n_outputs"):
            object.__setattr__(self, name, check_int(name, getattr(self, name), 1))
        if self.n_inner > MOST_FREQUENCIES:
            raise ValueError(f"{self.inner} must be at most {MOST_FREQUENCIES}, got {self.n_inner}")

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Functions that each becomes, besides itself."""

    def of_inputs(self, n_inputs: int) -> Self:
        """Return the embedding with its columns written out; raise ValueError for one that a network lacks."""
        return replace(self, inputs=_written_out("embedding", self.inputs, n_inputs))

    @property
    def n_embedded(self) -> int:
        """Number of inputs that are embedded."""
        return len(self.inputs or ())

    @property
    def n_inner(self) -> int:
        """Number of parts of e."""
        count: int = getattr(self, self.inner)
        return count

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the parameters by their names, in the order in which a network keeps them."""
        count, n_inner, n_outputs = self.n_embedded, self.n_inner, self.n_outputs
        return {
            **dict.fromkeys(self.inner_parameters, (count, n_inner)),
            "weights": (count, n_outputs, n_inner),
            "biases": (count, n_outputs),
        }

    def draw(self, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Return first values of the parameters by their names."""
        shapes, limit = self.shapes(), 1 / math.sqrt(self.n_inner)
        inner = dict(zip(self.inner_parameters, self.draw_inner(generator), strict=True))
        return inner | {name: generator.uniform(-limit, limit, shapes[name]) for name in ("weights", "biases")}

    @abstractmethod
    def draw_inner(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return first values of the parameters of e, (n_embedded, n_inner) each."""


@dataclass(frozen=True)
class PeriodicEmbedding(NumberEmbedding):
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

    inner: ClassVar[str] = "n_frequencies"
    inner_parameters: ClassVar[tuple[str, str]] = ("frequencies", "phases")

    n_frequencies: int = 16
    n_outputs: int = 3
    deviation: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "deviation", check_positive("deviation", self.deviation))

    def draw_inner(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return first frequencies and phases."""
        shape = (self.n_embedded, self.n_inner)
        frequencies = self.deviation * generator.standard_normal(shape)
        return frequencies, generator.uniform(-math.pi, math.pi, shape)


@dataclass(frozen=True)
class PiecewiseLinearEmbedding(NumberEmbedding):
    """Give the first layer, beside each number x, learned piecewise linear functions of it: W e(x) + c.

    e_t(x) is how far x has come through bin t, from 0 at its lower end to 1 at its upper; below the first bin and above
    the last it goes on. Bins are not learned: `fastnn.initialisers.bins_from_data` puts their ends at quantiles. The
    first layer takes all inputs, then the functions of the first that is embedded, and so on.

    Parameters
    ----------
    inputs : sequence of int, optional
        Which inputs are embedded, by their columns; None: all.
    n_bins : int, default 48
        Bins of each, 1024 at most.
    n_outputs : int, default 8
        Functions that each becomes, besides itself.
    limit : float, default 3
        The first bins divide the range from -limit to limit evenly. W and c begin uniform within 1 / sqrt(n_bins).

    Notes
    -----
    Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", NeurIPS 2022
    (arXiv 2203.05556): piecewise linear encoding, then a linear layer. A bin is kept as e_t = clip(slope x + offset).

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.random.default_rng(0).exponential(size=(500, 1))
    >>> y = np.abs(x - 1)
    >>> embedding = fastnn.PiecewiseLinearEmbedding(n_bins=16, n_outputs=4)
    >>> net = fastnn.Network([1, 16, 1], activation=["relu", "identity"], embedding=embedding, seed=0)
    >>> fastnn.initialisers.bins_from_data(net, x)
    >>> history = net.fit(x, y, epochs=60, optimizer="adam", learning_rate=0.01)
    >>> history["loss"][-1] < 0.01
    True
    """

    inner: ClassVar[str] = "n_bins"
    inner_parameters: ClassVar[tuple[str, str]] = ("slopes", "offsets")

    n_bins: int = 48
    n_outputs: int = 8
    limit: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "limit", check_positive("limit", self.limit))

    def draw_inner(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return slopes and offsets of even bins."""
        slopes, offsets = _pieces(np.linspace(-self.limit, self.limit, self.n_bins + 1), self.n_bins)
        return np.tile(slopes, (self.n_embedded, 1)), np.tile(offsets, (self.n_embedded, 1))


def quantile_pieces(values: np.ndarray, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes and offsets, (n_bins,), of bins that end at the quantiles of values; equal ones are one end.

    Bins that are left over stand before the last, and are 0 everywhere; of a constant all are.
    """
    return _pieces(np.unique(np.quantile(values, np.linspace(0, 1, n_bins + 1))), n_bins)


def _pieces(ends: np.ndarray, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes and offsets, (n_bins,), of the bins between ends that grow."""
    slopes, offsets = np.zeros(n_bins), np.zeros(n_bins)
    count = len(ends) - 1
    if count:
        places = [*range(count - 1), n_bins - 1]
        slopes[places] = 1 / np.diff(ends)
        offsets[places] = -ends[:-1] * slopes[places]
    return slopes, offsets


@dataclass(frozen=True)
class CategoryEmbedding:
    """Replace the code of a category by a vector that is learned for it.

    The first layer takes the first number of a vector in the place of the code, and the others behind all inputs and
    what an embedding of numbers adds, those of the first column that is embedded before those of the second.

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
