"""Sparse inputs: matrices of scipy.sparse, checked, as compressed sparse rows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..checks import largest_number
from ..spec import Spec
from .arrays import as_numeric_array, read_only


def csr_arrays(name: str, matrix: Any, spec: Spec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values, column indices and row starts of a sparse matrix (n, n_in).

    The values are copied, multiplied by the network's input scale, in its dtype.
    """
    n_in = spec.sizes[0]
    if matrix.ndim != 2 or matrix.shape[1] != n_in:
        raise ValueError(f"{name} must have shape (n, {n_in}), got {matrix.shape}")
    matrix = as_csr(name, matrix)
    if not matrix.has_sorted_indices:
        matrix = matrix.sorted_indices()
    unscaled = as_numeric_array(name, matrix.data)
    limit = largest_number(spec.dtype) / max(1.0, abs(spec.input_scale))
    if len(unscaled) and not (float(unscaled.max()) <= limit and float(unscaled.min()) >= -limit):
        raise ValueError(f"{name} must hold finite numbers within {spec.dtype}")
    values = np.multiply(unscaled, spec.input_scale, dtype=np.float64).astype(spec.dtype)
    columns, starts = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int64)
    return read_only(values), read_only(columns), read_only(starts)


@lru_cache(maxsize=64)
def empty_csr_arrays(spec: Spec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `csr_arrays` returns, for inputs that are not sparse; shared and cached."""
    return read_only(np.empty(0, spec.dtype)), read_only(np.empty(0, np.int32)), read_only(np.empty(0, np.int64))


def as_csr(name: str, matrix: Any) -> Any:
    """Return a sparse matrix in CSR format, its indices checked."""
    valid = _has_valid_indices(matrix)
    if valid and matrix.format != "csr":
        matrix = matrix.tocsr()
        valid = _has_valid_indices(matrix)  # formats such as dok show their indices only now
    if not valid:
        raise ValueError(f"{name} is a sparse matrix whose indices point outside it")
    return matrix


def _has_valid_indices(matrix: Any) -> bool:
    """Return whether all indices lie within the matrix; scipy's own conversions write where they point, unchecked."""
    if matrix.format == "coo":
        axes = zip((matrix.row, matrix.col), matrix.shape, strict=True)
        return all(len(indices) == len(matrix.data) and _all_below(indices, size) for indices, size in axes)
    if matrix.format == "lil":
        rows, values = matrix.rows, matrix.data
        return len(rows) == len(values) == matrix.shape[0] and list(map(len, rows)) == list(map(len, values))
    if matrix.format == "dia":
        return np.ndim(matrix.data) == 2 and len(matrix.data) == len(matrix.offsets)
    if matrix.format == "dok":
        return True
    if np.ndim(matrix.indices) != 1 or np.ndim(matrix.data) != (3 if matrix.format == "bsr" else 1):
        return False
    height, width = matrix.blocksize if matrix.format == "bsr" else (1, 1)
    shape = (matrix.shape[0] // height, matrix.shape[1] // width)
    n_major, n_minor = shape[::-1] if matrix.format == "csc" else shape
    starts, indices = matrix.indptr, matrix.indices
    if len(starts) != n_major + 1 or starts[0] != 0 or starts[-1] > len(indices) or len(indices) != len(matrix.data):
        return False
    return bool((np.diff(starts) >= 0).all()) and _all_below(indices, n_minor)


def _all_below(indices: np.ndarray, size: int) -> bool:
    return not len(indices) or 0 <= int(indices.min()) <= int(indices.max()) < size
