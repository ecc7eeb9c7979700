"""fastnn: multilayer perceptrons on the CPU, trained at C speed from Python."""

from __future__ import annotations

from . import callbacks, compiled, datasets, functional, initialisers, losses, optimizers, preprocessing, schedules
from .compat import from_sklearn, from_torch
from .errors import DivergenceError, FileFormatError
from .history import History
from .io.model import load
from .losses import register_activation, register_loss
from .network import Network
from .optimizers import LBFGS, SGD, Adagrad, Adam, AdamW, RMSprop
from .population import Ensemble, Population, fit_many
from .warmup import warmup

__version__ = "0.1.0"

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
    "losses",
    "optimizers",
    "preprocessing",
    "register_activation",
    "register_loss",
    "schedules",
    "warmup",
]
