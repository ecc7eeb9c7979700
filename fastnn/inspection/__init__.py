"""What a model has learned: which columns matter, and how its answers depend on them.

Networks and table models are asked through their compiled predictions: the rows are encoded once, and only the inputs
of the column in question change. Anything else that has `predict` is asked through it.
"""

from __future__ import annotations

from .dependence import PartialDependence, partial_dependence
from .importance import Importance, permutation_importance

__all__ = ["Importance", "PartialDependence", "partial_dependence", "permutation_importance"]
