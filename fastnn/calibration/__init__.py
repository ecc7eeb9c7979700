"""Probabilities and quantiles that mean what they say: how far they are off, and what corrects them.

================ ==================================================================================
probabilities.py temperature scaling of classes, reliability, the expected calibration error
quantiles.py     the conformal correction of quantiles
weights.py       the weights of the rows on which a model is calibrated
================ ==================================================================================

What corrects a model goes into its last weights and biases, so that a calibrated model is a model like any other: it is
saved, loaded and exported without further ado.
"""

from .probabilities import (
    Reliability,
    calibrate,
    expected_calibration_error,
    fit_temperature,
    logits,
    reliability,
)
from .quantiles import quantile_shifts, with_shifts

__all__ = [
    "Reliability",
    "calibrate",
    "expected_calibration_error",
    "fit_temperature",
    "logits",
    "quantile_shifts",
    "reliability",
    "with_shifts",
]
