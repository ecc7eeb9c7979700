"""Labels of classes as plain values, which JSON keeps, and back: texts, integers, booleans and floats."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

KINDS: tuple[tuple[type, tuple[type, ...]], ...] = (
    (str, (str,)),
    (bool, (bool, np.bool_)),  # before int, of which bool is a subclass
    (int, (int, np.integer)),
    (float, (float, np.float32, np.float16)),  # float64 is a float; longdouble has no plain value
)
NUMPY_KINDS = {int: "iu", float: "f"}
DTYPES = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64", "float16", "float32")
"""NumPy's types of labels that a plain value does not imply, as it does int64, float64 and bool."""


def kind_of(labels: Any) -> type | None:
    """Return the one kind that all labels have: str, bool, int or float; None if they differ, or for any other."""
    found = {next((kind for kind, types in KINDS if isinstance(label, types)), None) for label in labels}
    return found.pop() if len(found) == 1 else None


def as_plain(key: str, labels: Any, count: int) -> tuple[list[Any], str | None]:
    """Return `count` labels as plain values, and the name of their dtype if it is one of `DTYPES`.

    Raises
    ------
    ValueError
        For labels of several kinds or of any other kind, numbers that are not finite, and another count.
    """
    kind = kind_of(labels) if isinstance(labels, list | tuple) else None
    if kind is None or (kind is float and not all(map(math.isfinite, labels))):
        raise ValueError(
            f"{key} must be a sequence of names, all of them texts, integers, booleans or finite floats, "
            f"got {labels!r:.80}"
        )
    if len(labels) != count:
        raise ValueError(f"{key} must have {count} names, got {len(labels)}")
    dtypes = {label.dtype.name if isinstance(label, np.generic) else "" for label in labels}
    dtype = dtypes.pop() if len(dtypes) == 1 else ""
    return [label if kind is str else kind(label) for label in labels], dtype if dtype in DTYPES else None


def from_plain(labels: list[Any], dtype: str | None) -> tuple[Any, ...]:
    """Return the labels that `as_plain` wrote.

    Raises
    ------
    ValueError, OverflowError
        For a dtype that those labels cannot have.
    """
    if dtype is None:
        return tuple(labels)
    if dtype not in DTYPES or np.dtype(dtype).kind not in NUMPY_KINDS.get(kind_of(labels) or str, ""):
        raise ValueError(f"class_dtype must be one of {', '.join(DTYPES)} that suits the labels, got {dtype!r:.80}")
    with np.errstate(over="ignore"):
        restored = np.array(labels, dtype)
    if restored.tolist() != labels:
        raise ValueError(f"class_names must be numbers of {dtype}, got {labels!r:.80}")
    return tuple(restored)
