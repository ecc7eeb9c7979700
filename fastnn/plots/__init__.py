"""Figures of a training and of what a network has learned. Each function returns a matplotlib Figure.

matplotlib is optional: `pip install fastnn[plot]`. The figures are created without pyplot, so that the caller's own
matplotlib state does not change.
"""

from __future__ import annotations

from .answers import brightest, confusion_matrix, worst_mistakes
from .boundary import decision_boundary
from .curves import fitted_curve, learning_curves, rate_search
from .diagram import network_diagram
from .images import image_sheet
from .understanding import importance, input_gradients, partial_dependence, reliability, residuals
from .weights import first_layer

__all__ = [
    "brightest",
    "confusion_matrix",
    "decision_boundary",
    "first_layer",
    "fitted_curve",
    "image_sheet",
    "importance",
    "input_gradients",
    "learning_curves",
    "network_diagram",
    "partial_dependence",
    "rate_search",
    "reliability",
    "residuals",
    "worst_mistakes",
]
