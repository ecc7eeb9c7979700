"""Labels as rows of 0 and 1."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray


def one_hot(labels: ArrayLike, n_classes: int | None = None, dtype: DTypeLike = "float32") -> NDArray[Any]:
    """Encode integer labels as rows that are 1 at the label and 0 elsewhere.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        Labels from 0 to ``n_classes - 1``.
    n_classes : int, optional
        Number of columns; default the largest label plus one.
    dtype : dtype, default "float32"
        Type of the result, a real one.

    Returns
    -------
    ndarray, shape (n, n_classes)
        The rows.

    Raises
    ------
    TypeError
        If the labels or `n_classes` are not integers, or `dtype` is not a real number type.
    ValueError
        If `labels` is not one-dimensional, a label is out of range, `n_classes` is below 1, or `labels` is empty and
        `n_classes` missing.

    Examples
    --------
    >>> from fastnn.preprocessing import one_hot
    >>> one_hot([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    indices = np.asarray(labels)
    if indices.ndim != 1:
        raise ValueError(f"labels must have shape (n,), got {indices.shape}")
    if indices.size and indices.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, got dtype {indices.dtype}; use labels.astype(int) if they are whole")
    result_type = np.dtype(dtype)
    if result_type.kind not in "biuf":
        raise TypeError(f"dtype must be a real number type, got {result_type}")
    if n_classes is None:
        if not indices.size:
            raise ValueError("labels is empty, so n_classes must be given")
        count = int(indices.max()) + 1
    else:
        if isinstance(n_classes, bool) or not isinstance(n_classes, Integral):
            raise TypeError(f"n_classes must be an integer, got {type(n_classes).__name__}")
        count = int(n_classes)
        if count < 1:
            raise ValueError(f"n_classes must be at least 1, got {count}")
    outside = np.flatnonzero((indices < 0) | (indices >= count))
    if outside.size:
        first = outside[0]
        raise ValueError(f"labels must lie in 0..{count - 1}, got {indices[first]} at index {first}")
    rows = np.zeros((indices.size, count), result_type)
    rows[np.arange(indices.size), indices.astype(np.intp)] = 1
    return rows
