"""Callbacks: what `fit` calls after every epoch to stop, to save, to log, or to do anything else.

A callback is a function callback(net, history), or an object of a class below. A true result ends the training.
"""

from __future__ import annotations

from .base import Callback
from .logs import CSVLogger, LearningRateLog, Metric
from .monitors import EarlyStopping, ModelCheckpoint
from .stopping import StopOnNaN, TimeLimit

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "LearningRateLog",
    "Metric",
    "ModelCheckpoint",
    "StopOnNaN",
    "TimeLimit",
]
