"""Partial dependence: the model's average answer as a function of one or two columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import check_int
from .subjects import Subject, subject_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class PartialDependence:
    """A model's average answers over a grid of values.

    Attributes
    ----------
    names : tuple of str
        The columns, one or two.
    grids : tuple of ndarray
        The values of each column at which the model was asked, (n,): numbers, or the places of a category's levels.
    levels : tuple of (tuple of str or None)
        Of each column the names of its levels if it is a category.
    values : ndarray of float64, (n, n_outputs) or (n, n_2, n_outputs)
        The mean over the rows of the probability of each class, or of each quantity.
    output_names : tuple of str
        The classes or quantities.
    """

    names: tuple[str, ...]
    grids: tuple[NDArray[np.float64], ...]
    levels: tuple[tuple[str, ...] | None, ...]
    values: NDArray[np.float64]
    output_names: tuple[str, ...]

    def __repr__(self) -> str:
        shape = " x ".join(str(len(grid)) for grid in self.grids)
        return f"PartialDependence({', '.join(self.names)}: {shape} values, {len(self.output_names)} outputs)"


def partial_dependence(
    model: Any, X: Any, columns: str | int | Sequence[str | int], *, grid_size: int = 40, percentiles: Any = (1, 99)
) -> PartialDependence:
    """Average a model's answers over all rows, with one or two columns set to each value of a grid (Friedman 2001).

    Where columns are correlated, rows arise that do not occur; the average then says less.

    Parameters
    ----------
    model : Network, TableModel, or anything that has `predict`
        Of a classifier that is neither, `classes_` and `predict_proba` are used.
    X : array_like, DataFrame or mapping of columns
        The rows, as the model takes them.
    columns : str, int, or two of them
        The columns, by name or by number.
    grid_size : int, default 40
        Values of a column of numbers, evenly from one percentile to the other; all its values if they are fewer. A
        category is asked at each of its levels.
    percentiles : (float, float), default (1, 99)
        Ends of the grid.

    Returns
    -------
    PartialDependence

    Raises
    ------
    ValueError, TypeError
        If a column is unknown or has no value, or `X` and `model` do not match.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> net = fastnn.Network([2, 1], activation="identity", init="zeros", seed=0)
    >>> net.weights[0][0] = 3.0, 0.0
    >>> X = np.random.default_rng(0).uniform(size=(100, 2))
    >>> found = fastnn.inspection.partial_dependence(net, X, 0, grid_size=5)
    >>> bool(np.allclose(found.values[:, 0], 3 * found.grids[0], rtol=1e-5))
    True
    """
    check_int("grid_size", grid_size, 2)
    low, high = percentiles
    if not 0 <= low < high <= 100:
        raise ValueError(f"percentiles must be two numbers from 0 to 100 that grow, got {percentiles!r}")
    subject = subject_of(model, X)
    given = [columns] if isinstance(columns, str | int | np.integer) else list(columns)
    places = [subject.position(column) for column in given]
    if len(places) not in (1, 2) or len(set(places)) < len(places):
        raise ValueError(f"columns must be one or two different ones, got {columns!r}")
    found = [_grid(subject, place, grid_size, (low, high)) for place in places]
    grids, levels = tuple(grid for grid, _ in found), tuple(names for _, names in found)
    means = [_mean_output(subject, places, point, levels) for point in product(*grids)]
    values = np.array(means).reshape(*map(len, grids), -1)
    names = subject.class_names or _quantity_names(model, values.shape[-1])
    chosen = tuple(subject.names[place] for place in places)
    return PartialDependence(chosen, grids, levels, values, tuple(map(str, names)))


def _mean_output(
    subject: Subject, places: Sequence[int], point: Sequence[float], levels: Sequence[tuple[str, ...] | None]
) -> NDArray[np.float64]:
    for place, value, names in zip(places, point, levels, strict=True):
        subject.fill(place, subject.level(int(value), names) if names is not None else value)
    mean: NDArray[np.float64] = subject.outputs().mean(axis=0, dtype=np.float64)
    return mean


def _grid(
    subject: Subject, place: int, size: int, percentiles: tuple[float, float]
) -> tuple[NDArray[np.float64], tuple[str, ...] | None]:
    """Return the values at which a column is set, and the names of its levels if it is a category."""
    values, levels = subject.values(place)
    if levels is not None:
        return np.arange(len(levels), dtype=np.float64), levels
    if not len(values):
        raise ValueError(f"column {subject.names[place]!r} has no value")
    distinct = np.unique(values)
    if len(distinct) <= size:
        return distinct.astype(np.float64), None
    low, high = np.percentile(values, percentiles)
    return np.linspace(low, high, size) if high > low else distinct[[0, -1]].astype(np.float64), None


def _quantity_names(model: Any, n_outputs: int) -> Sequence[str]:
    target = getattr(model, "target", None)
    names = getattr(target, "output_names", None) or getattr(target, "names", None) or ()
    return (
        names
        if len(names) == n_outputs
        else [f"output {i + 1}" if n_outputs > 1 else "output" for i in range(n_outputs)]
    )
