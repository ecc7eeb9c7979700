"""The weights of the rows on which a model is calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def checked_weight(sample_weight: Any, n_rows: int) -> NDArray[np.float64]:
    """Return the argument `sample_weight` as an array."""
    weight = np.asarray(sample_weight, np.float64)
    if weight.shape != (n_rows,) or not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise ValueError(
            f"sample_weight must hold {n_rows} finite numbers of 0 or more, not all 0; got shape {weight.shape}"
        )
    return weight
