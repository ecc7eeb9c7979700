"""fastnn: multilayer perceptrons on the CPU, trained at C speed from Python."""

from __future__ import annotations

from . import datasets, preprocessing
from .errors import DivergenceError, FileFormatError
from .history import History
from .io.model import load
from .network import Network
from .warmup import warmup

__version__ = "0.1.0"

__all__ = [
    "DivergenceError",
    "FileFormatError",
    "History",
    "Network",
    "__version__",
    "datasets",
    "load",
    "preprocessing",
    "warmup",
]
