"""The types of what kernels take, each written once: as the annotation of a bundle's field, or in a signature.

Arrays are contiguous and have one dimension unless their name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, get_type_hints

import numpy as np
from numba.core import types
from numba.np.numpy_support import from_dtype


@dataclass(frozen=True)
class ArrayOf:
    """What an annotation says of an array; of the network's own dtype unless another is named."""

    dtype: str | None = None
    ndim: int = 1
    writable: bool = True


Scalar = Annotated[Any, ArrayOf(ndim=0)]
"""One number of the network's dtype."""

Floats = Annotated[np.ndarray, ArrayOf()]
"""Numbers of the network's dtype."""

FloatMatrix = Annotated[np.ndarray, ArrayOf(ndim=2)]
ReadOnlyFloats = Annotated[np.ndarray, ArrayOf(writable=False)]
Float64s = Annotated[np.ndarray, ArrayOf("float64")]
Float64Matrix = Annotated[np.ndarray, ArrayOf("float64", ndim=2)]
Int64s = Annotated[np.ndarray, ArrayOf("int64")]
Int64Matrix = Annotated[np.ndarray, ArrayOf("int64", ndim=2)]
ReadOnlyInt64s = Annotated[np.ndarray, ArrayOf("int64", writable=False)]
ReadOnlyInt32s = Annotated[np.ndarray, ArrayOf("int32", writable=False)]
ReadOnlyBytes = Annotated[np.ndarray, ArrayOf("uint8", writable=False)]

KernelTable = ReadOnlyInt64s
"""Addresses of kernels, see registry.py."""


@lru_cache(maxsize=256)
def numba_type(annotation: Any, dtype: str) -> Any:
    """Return Numba's type of an argument with this annotation, for a network of this dtype."""
    if annotation is int:
        return types.int64
    if annotation is float:
        return types.float64
    if isinstance(annotation, type) and issubclass(annotation, tuple):
        fields = get_type_hints(annotation, include_extras=True)
        return types.BaseTuple.from_types([numba_type(field, dtype) for field in fields.values()], annotation)
    (array,) = annotation.__metadata__
    element = from_dtype(np.dtype(array.dtype or dtype))
    return types.Array(element, array.ndim, "C", readonly=not array.writable) if array.ndim else element
