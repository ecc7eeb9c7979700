"""The caller's data, checked and brought into the form that the kernels read, without a copy where possible.

=============== ==============================================================================
arrays.py       one array of numbers, from NumPy, pandas, polars, PyTorch, a list, ...
sparse.py       matrices of scipy.sparse
rows.py         inputs (n, n_in)
targets.py      targets: rows of numbers, or labels
weights.py      weights of examples and of classes
examples.py     all of these together, as the kernels' `Examples`
=============== ==============================================================================

Each module imports only those above it.
"""

from __future__ import annotations

from .arrays import as_numeric_array, column_names_of, is_sparse, read_only
from .examples import all_sparse, as_examples, empty_examples, prefetch_distance, without_targets
from .rows import KINDS, Rows, as_indexable, as_rows
from .targets import Targets, as_outputs, as_targets
from .weights import apply_class_weight, as_weights, check_class_weight

__all__ = [
    "KINDS",
    "Rows",
    "Targets",
    "all_sparse",
    "apply_class_weight",
    "as_examples",
    "as_indexable",
    "as_numeric_array",
    "as_outputs",
    "as_rows",
    "as_targets",
    "as_weights",
    "check_class_weight",
    "column_names_of",
    "empty_examples",
    "is_sparse",
    "prefetch_distance",
    "read_only",
    "without_targets",
]
