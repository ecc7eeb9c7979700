"""fastnn: multilayer perceptrons on the CPU, trained at C speed from Python."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import (
    augmentation,
    callbacks,
    compiled,
    datasets,
    functional,
    initialisers,
    losses,
    optimizers,
    preprocessing,
    schedules,
)
from .embeddings import CategoryEmbedding, PeriodicEmbedding, PiecewiseLinearEmbedding
from .errors import DivergenceError, FileFormatError, TrainingWarning
from .history import History
from .losses import register_activation, register_loss
from .network import Network, from_sklearn, from_torch, load
from .optimizers import LBFGS, SGD, Adagrad, Adam, AdamW, RMSprop
from .population import Ensemble, Population, fit_many
from .warmup import warmup

try:
    from ._version import __version__
except ImportError:  # a source tree that was never built or installed
    __version__ = "0+unknown"

if TYPE_CHECKING:
    from . import calibration as calibration
    from . import inspection as inspection
    from . import plots as plots
    from . import reference as reference
    from . import tables
    from .table_model import TableModel, load_model

LATER = {
    "TableModel": "table_model",
    "calibration": "calibration",
    "inspection": "inspection",
    "load_model": "table_model",
    "plots": "plots",
    "reference": "reference",
    "tables": "tables",
}
"""Name -> the module that is imported when the name is first used, which keeps `import fastnn` short."""


def __getattr__(name: str) -> Any:
    if name in LATER:
        module = importlib.import_module(f".{LATER[name]}", __name__)
        globals()[name] = value = module if LATER[name] == name else getattr(module, name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *LATER])


__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CategoryEmbedding",
    "DivergenceError",
    "Ensemble",
    "FileFormatError",
    "History",
    "Network",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "Population",
    "RMSprop",
    "TableModel",
    "TrainingWarning",
    "__version__",
    "augmentation",
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
