"""Pictures of a training and of what it taught: each function returns a matplotlib Figure, the caller saves it.

matplotlib is not a dependency of fastnn: `pip install fastnn[plot]` brings it. Figures are made as objects, without
pyplot, so that nothing of the caller's own matplotlib changes.
"""

from __future__ import annotations

from .answers import brightest, confusion_matrix, worst_mistakes
from .boundary import decision_boundary
from .curves import fitted_curve, learning_curves, rate_search
from .diagram import network_diagram
from .weights import first_layer

__all__ = [
    "brightest",
    "confusion_matrix",
    "decision_boundary",
    "first_layer",
    "fitted_curve",
    "learning_curves",
    "network_diagram",
    "rate_search",
    "worst_mistakes",
]
