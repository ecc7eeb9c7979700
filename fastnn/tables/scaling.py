"""The scaling of quantities by median and quartiles, and of inputs that say yes or no likewise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BEYOND", "IndicatorScaling", "inverse", "quartiles", "robust_scaling", "soften"]

BEYOND = 1e100
"""Where the square of a softened value would soon overflow."""


def quartiles(values: NDArray[Any], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return first quartile, median and third quartile; a value of weight 2 counts as two.

    Weights that sum to less than the number of values are scaled up to it.
    """
    shares = np.array([0.25, 0.5, 0.75])
    if weights is None:
        plain: NDArray[np.float64] = np.quantile(values, shares)
        return plain
    order = np.argsort(values, kind="stable")
    ordered, counts = values[order].astype(np.float64), np.cumsum(weights[order])
    counts *= max(1.0, len(values) / counts[-1])
    places = (counts[-1] - 1) * shares
    lower = np.floor(places)
    ends = [np.minimum(np.searchsorted(counts, lower + step, side="right"), len(values) - 1) for step in (0, 1)]
    below, above = ordered[ends[0]], ordered[ends[1]]
    found: NDArray[np.float64] = below + (places - lower) * (above - below)
    return found


def robust_scaling(present: NDArray[Any], weights: NDArray[np.float64] | None = None) -> tuple[float, float]:
    """Return median and 1 / (q75 - q25), or 2 / (max - min) where the quartiles are equal, or 0 of a constant."""
    low, middle, high = (float(value) for value in quartiles(present, weights))
    return middle, inverse(high - low if high > low else float(np.ptp(present)) / 2)


def inverse(spread: float) -> float:
    """Return 1 / spread; 0 of a constant, and where it is not finite."""
    return 1 / spread if spread > 0 and np.isfinite(1 / spread) else 0.0


def soften(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return z / sqrt(1 + (z / 3)^2), which is never beyond 3."""
    z = np.clip(z, -BEYOND, BEYOND)
    softened: NDArray[np.float64] = z / np.sqrt(1 + (z / 3) ** 2)
    return softened


@dataclass(frozen=True)
class IndicatorScaling:
    """Scale inputs of 0 and 1, or of -1 and 1, as quantities are: z = scale (x - centre), then z / sqrt(1 + (z/3)^2).

    Attributes
    ----------
    places : tuple of int
        The inputs among all of the network.
    centre, scale : tuple of float
        Of each.
    """

    places: tuple[int, ...] = ()
    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    @classmethod
    def fit(
        cls, places: Sequence[int], inputs: NDArray[Any], weights: NDArray[np.float64] | None = None
    ) -> IndicatorScaling:
        """Take the statistics of the training rows' inputs, (n, n_inputs), as `QuantityColumn.fit` does."""
        found = [robust_scaling(inputs[:, place], weights) for place in places] if len(inputs) else []
        return cls(tuple(places), *(tuple(part) for part in zip(*found, strict=True))) if found else cls()

    def apply(self, inputs: NDArray[Any]) -> None:
        """Scale the inputs, (n, n_inputs), in place."""
        if self.places:
            places = list(self.places)
            inputs[:, places] = soften((inputs[:, places].astype(np.float64) - self.centre) * self.scale)

    def state(self) -> dict[str, Any]:
        """Return the scaling as plain data, which `from_state` turns back."""
        return {key: list(value) for key, value in vars(self).items()}

    @classmethod
    def from_state(cls, state: Any, n_inputs: int) -> IndicatorScaling:
        """Rebuild what `state` returned; nothing in it is trusted.

        Raises
        ------
        ValueError, TypeError, KeyError
            If no scaling of that many inputs can have that state.
        """
        places, *numbers = (tuple(state[key]) for key in ("places", "centre", "scale"))
        if not all(type(place) is int and 0 <= place < n_inputs for place in places) or len(set(places)) < len(places):
            raise ValueError(f"the places of indicators must be different ones below {n_inputs}, got {places!r:.80}")
        for values in numbers:
            if len(values) != len(places) or not all(type(v) in (int, float) and np.isfinite(v) for v in values):
                raise ValueError(f"indicators must have a finite number for each place, got {values!r:.80}")
        return cls(places, *numbers)
