"""Estimators for tables that lie on the workers of a Dask cluster.

============== ===============================================================================
parts.py       collections as partitions, each on its worker: targets, samples, predictions
encoding.py    column kinds, levels and scalings of all partitions
ranks.py       what a worker does: its part of one training
cluster.py     what the client does: start the ranks, wait for them, name a worker that is lost
fitting.py     one fit: what is decided on the client, then the training of the ranks
estimators.py  `TabularClassifier` and `TabularRegressor`
============== ===============================================================================

Each module imports only those above it. The rows stay where they are; the workers exchange gradients among
themselves over TCP.
"""

from __future__ import annotations

try:
    import dask.array  # noqa: F401 - without them the message below is clearer than the first import that fails
    import distributed  # noqa: F401
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError("fastnn.dask needs Dask and scikit-learn: pip install 'fastnn[dask,sklearn]'") from error

from .cluster import WorkerLostError
from .estimators import TabularClassifier, TabularRegressor

__all__ = ["TabularClassifier", "TabularRegressor", "WorkerLostError"]
