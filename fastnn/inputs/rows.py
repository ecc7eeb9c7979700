"""Inputs (n, n_in): rows of numbers, read where they lie if their layout allows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..checks import largest_number
from ..kernels import gather
from ..spec import Spec
from .arrays import as_numeric_array, is_sparse, read_only
from .sparse import as_csr, csr_arrays, empty_csr_arrays

FEW_NUMBERS = 4096
"""Numbers up to which one pass in one call is the cheapest check that all are finite."""

KINDS = {np.dtype(name): kind for name, kind in gather.KINDS.items()}
"""The kernels' code of each dtype that they read directly."""


class Rows(NamedTuple):
    """Inputs as the kernels read them.

    Attributes
    ----------
    inputs : ndarray of uint8
        The bytes of dense rows; empty for sparse ones.
    kind : int
        Code of the dtype of those bytes, or of sparse rows.
    stride : int
        Numbers from the start of one row to that of the next; 0 for sparse rows.
    n_rows : int
        Number of rows.
    values, columns, starts : ndarray
        Sparse rows, as `csr_arrays` returns them; empty for dense ones.
    """

    inputs: np.ndarray
    kind: int
    stride: int
    n_rows: int
    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray


def as_indexable(name: str, values: Any) -> Any:
    """Return the argument `name` as an array or a CSR matrix, either of which can be indexed by rows."""
    return as_csr(name, values) if is_sparse(values) else as_numeric_array(name, values)


def as_rows(name: str, values: Any, spec: Spec, finite: bool = False) -> Rows:
    """Check inputs (n, n_in) and return them as the kernels read them.

    float32, float64, float16, uint8 and bool are read in place if each row is contiguous; other integers are
    converted to float64. The values of a sparse matrix are copied.

    Parameters
    ----------
    name : str
        What errors call the inputs.
    values : array_like or sparse matrix, (n, n_in)
    spec : Spec
        The network's.
    finite : bool, default False
        Whether the caller has already checked that all numbers are finite.
    """
    if type(values) is not np.ndarray and is_sparse(values):
        for reason in ("learned_input_scale", "embedding", "category_embedding"):
            if getattr(spec, reason):
                raise TypeError(f"{name} must be dense rows for a network with {reason}; give {name}.toarray()")
        arrays = csr_arrays(name, values, spec)
        return Rows(read_only(np.empty(0, np.uint8)), gather.CSR, 0, values.shape[0], *arrays)
    array = as_numeric_array(name, values)
    n_in = spec.sizes[0]
    if array.ndim != 2 or array.shape[1] != n_in:
        hint = f"; for one example use {name}.reshape(1, -1)" if array.shape == (n_in,) else ""
        hint = f"; for one feature use {name}.reshape(-1, 1)" if array.ndim == 1 and n_in == 1 else hint
        raise ValueError(f"{name} must have shape (n, {n_in}), got {array.shape}{hint}")
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    if array.dtype not in KINDS:
        array = array.astype(np.float64)
    flat, stride, array = _flat_bytes(array)
    if not finite:
        _check_finite(name, array, largest_number(spec.dtype) / max(1.0, abs(spec.input_scale)), spec.dtype)
    if spec.category_embedding and len(array):
        _check_codes(name, array, spec.category_embedding.counts)
    return Rows(read_only(flat), KINDS[array.dtype], stride, len(array), *empty_csr_arrays(spec))


def _check_codes(name: str, array: np.ndarray, counts: Mapping[int, int]) -> None:
    """Raise for numbers that are no codes of categories: not whole, or too large; negative ones are of none."""
    for column, count in counts.items():
        codes = array[:, column]
        bad = (codes >= count) | ((codes != np.floor(codes)) & (codes >= 0))
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"{name} must hold whole numbers below {count} in column {column}, the codes of categories, or "
                f"negative ones for none of them; got {codes[row]} at row {row}"
            )


def _flat_bytes(array: np.ndarray) -> tuple[np.ndarray, int, np.ndarray]:
    """Return the rows as one array of bytes, their stride in numbers, and the array that owns them."""
    n_rows, n_in = array.shape
    itemsize = array.itemsize
    row_stride, column_stride = array.strides
    in_place = array.flags.aligned and column_stride == itemsize and row_stride >= 0 and row_stride % itemsize == 0
    if not array.flags.c_contiguous and not in_place:
        array = np.ascontiguousarray(array)
    if array.flags.c_contiguous:
        return array.reshape(-1).view(np.uint8), n_in, array
    stride = row_stride // itemsize
    n_bytes = ((n_rows - 1) * stride + n_in) * itemsize if n_rows else 0
    first_column = array[:, :1].view(np.uint8)
    return np.lib.stride_tricks.as_strided(first_column, (n_bytes,), (1,), writeable=False), stride, array


def _check_finite(name: str, array: np.ndarray, limit: float, dtype: str) -> None:
    """Raise for NaN, infinity, and what the network's dtype cannot hold; the extremes need no temporary array."""
    if array.dtype.kind != "f" or not array.size:
        return
    # no number is larger than the root of the sum of squares; vdot does not warn where that overflows
    if array.size <= FEW_NUMBERS and math.sqrt(abs(np.vdot(array, array))) <= limit:
        return
    largest, smallest = np.maximum.reduce(array, axis=None), np.minimum.reduce(array, axis=None)
    if float(largest) <= limit and float(smallest) >= -limit:
        return
    for row, numbers in enumerate(array):  # pragma: no branch - one of the rows holds such a number
        finite = np.abs(numbers.astype(np.float64)) <= limit
        if not finite.all():
            column = int(np.argmin(finite))
            raise ValueError(
                f"{name} must hold finite numbers within {dtype}, got {numbers[column]} at row {row}, column {column}"
            )
