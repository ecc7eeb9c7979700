"""fastnn: multilayer perceptrons on the CPU, trained at C speed from Python."""

from __future__ import annotations

import importlib
from typing import Any

from . import (
    callbacks,
    compiled,
    datasets,
    functional,
    initialisers,
    losses,
    optimizers,
    preprocessing,
    schedules,
    tables,
)
from .errors import DivergenceError, FileFormatError, TrainingWarning
from .history import History
from .losses import register_activation, register_loss
from .network import Network, from_sklearn, from_torch, load
from .optimizers import LBFGS, SGD, Adagrad, Adam, AdamW, RMSprop
from .population import Ensemble, Population, fit_many
from .table_model import TableModel, load_model
from .warmup import warmup

try:
    from ._version import __version__
except ImportError:  # a source tree that was never built or installed
    __version__ = "0+unknown"

LATER = ("calibration", "inspection", "plots", "reference")
"""Modules that are imported when they are first wanted."""


def __getattr__(name: str) -> Any:
    if name in LATER:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *LATER])


__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "DivergenceError",
    "Ensemble",
    "FileFormatError",
    "History",
    "Network",
    "Population",
    "RMSprop",
    "TableModel",
    "TrainingWarning",
    "__version__",
    "callbacks",
    "compiled",
    "datasets",
    "fit_many",
    "from_sklearn",
    "from_torch",
    "functional",
    "initialisers",
    "load",
    "load_model",
    "losses",
    "optimizers",
    "preprocessing",
    "register_activation",
    "register_loss",
    "schedules",
    "tables",
    "warmup",
]
