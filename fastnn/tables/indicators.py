"""Inputs that say yes or no, brought to the scale of quantities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .encoded import robust_scaling, soften

__all__ = ["IndicatorScaling"]


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
    def fit(cls, places: Sequence[int], inputs: NDArray[Any]) -> IndicatorScaling:
        """Take the statistics of the training rows' inputs, (n, n_inputs), as `QuantityColumn.fit` does."""
        found = [robust_scaling(inputs[:, place]) for place in places] if len(inputs) else []
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
