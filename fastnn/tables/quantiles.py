"""Quantiles of a quantity, one for each level: their order, their names, and how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def in_order(values: NDArray[Any], levels: Sequence[float]) -> NDArray[Any]:
    """Return each row sorted, the least value where the least level stands, so that quantiles do not cross.

    Parameters
    ----------
    values : ndarray, (n, n_levels)
    levels : sequence of float
    """
    ordered: NDArray[Any] = np.sort(values, axis=1)[:, ranks(levels)]
    return ordered


def ranks(levels: Sequence[float]) -> list[int]:
    """Return the place of each level among all, from the least, 0."""
    order = sorted(levels)
    return [order.index(level) for level in levels]


def names_of(name: str, levels: Sequence[float]) -> tuple[str, ...]:
    """Return what the quantiles of a quantity are called: price_q0.1."""
    return tuple(f"{name}_q{level!r}" for level in levels)


def pinball_losses(
    y: NDArray[Any], values: NDArray[Any], levels: Sequence[float], weight: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Return the mean loss of each level, (n_levels,): q (y - a) if y > a, else (1 - q) (a - y).

    Parameters
    ----------
    y : ndarray, (n, 1)
    values : ndarray, (n, n_levels) or (1, n_levels)
    levels : sequence of float
    weight : ndarray, (n,), optional
        Of each row.
    """
    error, q = y - values, np.array(levels)
    losses: NDArray[np.float64] = np.average(np.maximum(q * error, (q - 1) * error), axis=0, weights=weight)
    return losses
