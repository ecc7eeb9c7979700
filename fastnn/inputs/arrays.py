"""One array of native real numbers, from whatever library it comes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

MAIN_MEMORY = (1, 3, 11)
"""DLPack's codes of devices in main memory: the CPU's, pageable or pinned for a CUDA or ROCm card."""

NOT_REAL = (str, bytes, np.complexfloating, np.datetime64, np.timedelta64)
"""Types that NumPy would convert to float64 although they are no real numbers."""


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a view that cannot be written, so that the kernels see one array type whatever the caller's flags."""
    view = array.view()
    view.flags.writeable = False
    return view


@lru_cache(maxsize=16)
def nothing_of(dtype: str) -> np.ndarray:
    """Return an empty array that cannot be written; shared and cached."""
    return read_only(np.empty(0, dtype))


def is_sparse(values: Any) -> bool:
    """Return whether `values` is a matrix or array of scipy.sparse."""
    return hasattr(values, "tocsr") and hasattr(values, "nnz")


def column_names_of(values: Any) -> tuple[str, ...] | None:
    """Return the column names of a table if all of them are strings, else None."""
    columns = getattr(values, "columns", None)
    if columns is None or callable(columns):
        return None
    names = tuple(columns)
    return names if all(isinstance(name, str) for name in names) else None


def as_numeric_array(name: str, values: Any) -> np.ndarray:
    """Return the argument `name` as an array of native real numbers, without a copy where possible."""
    if type(values) is not np.ndarray and is_sparse(values):
        raise TypeError(f"{name} must be an array of plain numbers, got a sparse matrix; give {name}.toarray()")
    array = _as_array(name, values)
    if array.dtype == object:
        array = _numbers_from_objects(name, array)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        labels = array.dtype.kind in "US" and name.endswith("y")
        hint = "; numpy.unique(y, return_inverse=True) gives names and labels 0, 1, 2, ..." if labels else ""
        raise TypeError(f"{name} must hold real numbers of at most 8 bytes, got dtype {array.dtype}{hint}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _as_array(name: str, values: Any) -> np.ndarray:
    """Return `values` as a NumPy array of any dtype, sharing memory with arrays of other libraries."""
    if type(values) is np.ndarray:
        return values
    parts = values if isinstance(values, list | tuple) else (values,)
    n_masked = 0
    if any(issubclass(kind, np.ma.MaskedArray) for kind in set(map(type, parts))):
        n_masked = sum(int(np.ma.getmaskarray(part).sum()) for part in parts if isinstance(part, np.ma.MaskedArray))
    if n_masked:
        raise ValueError(f"{name} must not have masked values, got {n_masked}")
    dtypes = getattr(values, "dtypes", None)  # a list in polars, which would convert dates to numbers of days
    if isinstance(dtypes, list) and any(dtype.is_temporal() for dtype in dtypes):
        raise TypeError(f"{name} must hold real numbers, got columns of {', '.join(map(str, dtypes))}")
    try:
        device = values.__dlpack_device__() if hasattr(values, "__dlpack_device__") else None
        if device is None or device[0] in MAIN_MEMORY:
            return _in_place(values)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None
    except (TypeError, RuntimeError, BufferError) as error:  # raised by the array's library, without the name
        raise TypeError(f"{name} must be a rectangular array of numbers: {error}") from None
    raise TypeError(f"{name} must lie in the memory of the CPU, got an array on device {tuple(device)}")


def _in_place(values: Any) -> np.ndarray:
    if hasattr(values, "requires_grad"):
        values = values.detach()  # NumPy refuses PyTorch tensors that record gradients
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
    elif hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
        return np.from_dlpack(values)
    return np.asarray(values)


def _numbers_from_objects(name: str, array: np.ndarray) -> np.ndarray:
    if not any(issubclass(kind, NOT_REAL) for kind in set(map(type, array.flat))):
        try:
            return array.astype(np.float64)
        except OverflowError:
            raise ValueError(f"{name} must hold numbers within float64") from None
        except (TypeError, ValueError):
            pass  # the errors below name the object
    real = (int, float, np.number, np.bool_)
    not_real = [value for value in array.flat if isinstance(value, NOT_REAL) or not isinstance(value, real)]
    objects = [value for value in not_real if value is not None and type(value).__name__ != "NAType"]
    if objects:
        raise TypeError(f"{name} must hold numbers, got objects such as {objects[0]!r}")
    raise ValueError(f"{name} must not have missing values, got {len(not_real)}")
