"""What callers give, checked and brought into the form that the kernels take, without a copy where that can be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from .kernels import gather, layout
from .spec import Spec, check_float

KINDS = {np.dtype(name): kind for name, kind in gather.KINDS.items()}


@dataclass(frozen=True)
class Rows:
    """Rows of inputs as raw bytes: `n_rows` rows of numbers of one `kind`, `stride` numbers apart."""

    inputs: np.ndarray
    kind: int
    stride: int
    n_rows: int
    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray


@dataclass(frozen=True)
class Targets:
    """Targets as rows of numbers or as labels; the other array is empty."""

    numbers: np.ndarray
    labels: np.ndarray
    are_classes: bool


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written: one type of array for the kernels, whatever the caller's flags."""
    view = array.view()
    view.flags.writeable = False
    return view


def is_sparse(values: Any) -> bool:
    """Whether it is a matrix or array of scipy.sparse."""
    return hasattr(values, "tocsr") and hasattr(values, "nnz")


def as_indexable(name: str, values: Any) -> Any:
    """The argument as an array, or sparse rows, of which rows can be selected."""
    return _as_csr(name, values) if is_sparse(values) else as_numeric_array(name, values)


def column_names_of(values: Any) -> tuple[str, ...] | None:
    """The names of a table's columns, where they are texts."""
    names = getattr(values, "columns", None)
    if names is None or callable(names):
        return None
    found = tuple(names)
    return found if all(isinstance(name, str) for name in found) else None


MAIN_MEMORY = (1, 3, 11)
"""Kinds of devices in the DLPack protocol: the CPU's memory, pageable or pinned for a CUDA or ROCm card."""

NOT_REAL = (str, bytes, np.complexfloating, np.datetime64, np.timedelta64)
"""Objects that NumPy would make a float64 of, another number than they say or one that they only spell."""


def _as_array(name: str, values: Any) -> np.ndarray:
    """The argument as NumPy sees it: where it lies, if it is an array of whatever library in this memory."""
    if type(values) is np.ndarray:
        return values
    parts = values if isinstance(values, list | tuple) else (values,)
    masked = 0
    if any(issubclass(kind, np.ma.MaskedArray) for kind in set(map(type, parts))):
        masked = sum(int(np.ma.count_masked(part)) for part in parts if isinstance(part, np.ma.MaskedArray))
    if masked:
        raise ValueError(f"{name} must not have masked values, got {masked}")
    kinds = getattr(values, "dtypes", None)  # a list in polars, which counts days where other columns are numbers
    if isinstance(kinds, list) and any(kind.is_temporal() for kind in kinds):
        raise TypeError(f"{name} must hold real numbers, got columns of {', '.join(map(str, kinds))}")
    try:
        device = values.__dlpack_device__() if hasattr(values, "__dlpack_device__") else None
        if device is None or device[0] in MAIN_MEMORY:
            return _in_place(values)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None
    except (TypeError, RuntimeError, BufferError) as error:  # a library's own, which knows nothing of the name
        raise TypeError(f"{name} must be a rectangular array of numbers: {error}") from None
    raise TypeError(f"{name} must lie in the memory of the CPU, got an array on device {tuple(device)}")


def _in_place(values: Any) -> np.ndarray:
    if hasattr(values, "requires_grad"):
        values = values.detach()  # of a PyTorch tensor NumPy takes the numbers only without their history
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
    elif hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
        return np.from_dlpack(values)
    return np.asarray(values)


def as_numeric_array(name: str, values: Any) -> np.ndarray:
    """The argument as an array of native real numbers, or a TypeError that names it."""
    if is_sparse(values):
        raise TypeError(f"{name} is a sparse matrix where rows of plain numbers are wanted; give {name}.toarray()")
    array = _as_array(name, values)
    if array.dtype == object:
        array = _numeric_from_objects(name, array)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        labels = array.dtype.kind in "US" and name.endswith("y")
        hint = "; numpy.unique(y, return_inverse=True) gives names and labels 0, 1, 2, ..." if labels else ""
        raise TypeError(f"{name} must hold real numbers of at most 8 bytes, got dtype {array.dtype}{hint}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _numeric_from_objects(name: str, array: np.ndarray) -> np.ndarray:
    if not any(issubclass(kind, NOT_REAL) for kind in set(map(type, array.flat))):
        try:
            return array.astype(np.float64)
        except OverflowError:
            raise ValueError(f"{name} must hold numbers within float64") from None
        except (TypeError, ValueError):
            pass  # said below, with the object that it was
    real = (int, float, np.number, np.bool_)
    strange = [value for value in array.flat if isinstance(value, NOT_REAL) or not isinstance(value, real)]
    objects = [value for value in strange if value is not None and type(value).__name__ != "NAType"]
    if objects:
        raise TypeError(f"{name} must hold numbers, got objects such as {objects[0]!r}")
    raise ValueError(f"{name} must not have missing values, got {len(strange)}")


def as_rows(name: str, values: Any, spec: Spec, finite: bool = False) -> Rows:
    """Inputs (n, n_in), checked for shape, kind and finite numbers.

    float32, float64, float16, uint8 and bool are read where they lie if each row is contiguous; other integers
    become float64. Of a sparse matrix the numbers are copied, in the network's type and scale. `finite`: the caller
    has seen to it.
    """
    if is_sparse(values):
        return _sparse_rows(name, values, spec)
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
    itemsize = array.itemsize
    if not array.flags.c_contiguous and not (
        array.flags.aligned
        and array.strides[1] == itemsize
        and array.strides[0] >= 0
        and array.strides[0] % itemsize == 0
    ):
        array = np.ascontiguousarray(array)
    n_rows = len(array)
    if array.flags.c_contiguous:
        stride, flat = n_in, array.reshape(-1).view(np.uint8)
    else:
        stride = array.strides[0] // itemsize
        span = ((n_rows - 1) * stride + n_in) * itemsize if n_rows else 0
        flat = np.lib.stride_tricks.as_strided(array[:, :1].view(np.uint8), (span,), (1,), writeable=False)
    if not finite:
        _check_finite(name, array, float(np.finfo(spec.dtype).max) / max(1.0, abs(spec.input_scale)), spec.dtype)
    return Rows(read_only(flat), KINDS[array.dtype], stride, n_rows, *_no_sparse(spec))


@lru_cache(maxsize=64)
def _no_sparse(spec: Spec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    nothing = (np.empty(0, spec.dtype), np.empty(0, np.int32), np.empty(0, np.int64))
    values, columns, starts = (read_only(array) for array in nothing)
    return values, columns, starts


def _sparse_rows(name: str, matrix: Any, spec: Spec) -> Rows:
    n_in = spec.sizes[0]
    if matrix.ndim != 2 or matrix.shape[1] != n_in:
        raise ValueError(f"{name} must have shape (n, {n_in}), got {matrix.shape}")
    matrix = _as_csr(name, matrix)
    if not matrix.has_sorted_indices:
        matrix = matrix.sorted_indices()
    numbers = as_numeric_array(name, matrix.data)
    columns, starts = matrix.indices, matrix.indptr
    limit = float(np.finfo(spec.dtype).max) / max(1.0, abs(spec.input_scale))
    if len(numbers) and not (numbers.max() <= limit and numbers.min() >= -limit):
        raise ValueError(f"{name} must hold finite numbers within {spec.dtype}")
    values = np.multiply(numbers, spec.input_scale, dtype=np.float64).astype(spec.dtype)
    kept = (values, columns.astype(np.int32), starts.astype(np.int64))
    return Rows(read_only(np.empty(0, np.uint8)), gather.CSR, 0, matrix.shape[0], *(read_only(part) for part in kept))


def _as_csr(name: str, matrix: Any) -> Any:
    """The matrix by rows, whose indices lie in it."""
    inside = _points_inside(matrix)
    if inside and matrix.format != "csr":
        matrix = matrix.tocsr()
        inside = _points_inside(matrix)  # of formats that say nowhere how far they reach
    if not inside:
        raise ValueError(f"{name} is a sparse matrix whose indices point outside it")
    return matrix


def _points_inside(matrix: Any) -> bool:
    """Whether the indices of a sparse matrix lie in it; scipy's own code writes where they point, unchecked."""
    if matrix.format == "coo":
        within = zip((matrix.row, matrix.col), matrix.shape, strict=True)
        return all(len(at) == len(matrix.data) and _lie_below(at, size) for at, size in within)
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
    sizes = (matrix.shape[0] // height, matrix.shape[1] // width)
    n_lines, n_places = sizes[::-1] if matrix.format == "csc" else sizes
    starts, places = matrix.indptr, matrix.indices
    if len(starts) != n_lines + 1 or starts[0] != 0 or starts[-1] > len(places) or len(places) != len(matrix.data):
        return False
    return bool((np.diff(starts) >= 0).all()) and _lie_below(places, n_places)


def _lie_below(places: np.ndarray, size: int) -> bool:
    return not len(places) or 0 <= int(places.min()) <= int(places.max()) < size


def _check_finite(name: str, array: np.ndarray, limit: float, dtype: str) -> None:
    """No NaN, no infinity, nothing that overflows the network's numbers; a maximum needs no temporary array."""
    if array.dtype.kind != "f" or not array.size or (float(array.max()) <= limit and float(array.min()) >= -limit):
        return
    for row, numbers in enumerate(array):  # pragma: no branch - one of the rows is not sound
        sound = np.abs(numbers.astype(np.float64)) <= limit
        if not sound.all():
            column = int(np.argmin(sound))
            raise ValueError(
                f"{name} must hold finite numbers within {dtype}, got {numbers[column]} at row {row}, column {column}"
            )


def as_targets(name: str, values: Any, spec: Spec, n_rows: int) -> Targets:
    """Targets of `n_rows` examples: rows of numbers, or integer labels that stand for one-hot rows."""
    array = as_numeric_array(name, values)
    n_out = spec.sizes[-1]
    if len(array.shape) == 0 or len(array) != n_rows:
        raise ValueError(f"{name} must have one entry for each of the {n_rows} rows of inputs, got shape {array.shape}")
    no_labels, no_numbers = read_only(np.empty(0, np.int64)), read_only(np.empty(0, spec.dtype))
    if array.ndim == 1 and n_out > 1:
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise ValueError(f"{name} must not have missing values, got {int(np.isnan(array).sum())}")
        if array.dtype.kind not in "iu":
            raise TypeError(
                f"{name} of shape ({n_rows},) must hold integer labels 0..{n_out - 1}, got dtype {array.dtype}; "
                f"give labels as integers, or numbers in shape ({n_rows}, {n_out})"
            )
        labels = array.astype(np.int64)  # a copy: kernels write where a label points, whatever becomes of y
        if n_rows and (labels.min() < 0 or labels.max() >= n_out):
            worst = array.min() if array.min() < 0 else array.max()
            raise ValueError(f"{name} must hold labels 0..{n_out - 1} for {n_out} outputs, got {worst}")
        return Targets(no_numbers, read_only(labels), True)
    if array.shape not in ((n_rows, n_out), (n_rows,)):
        hint = f"; for labels use {name}.reshape(-1)" if array.shape == (n_rows, 1) and array.dtype.kind in "iu" else ""
        raise ValueError(f"{name} must have shape ({n_rows}, {n_out}) or ({n_rows},), got {array.shape}{hint}")
    with np.errstate(over="ignore"):
        numbers = np.ascontiguousarray(array.reshape(n_rows, n_out), spec.dtype)
    if numbers.size and not (np.isfinite(numbers.min()) and np.isfinite(numbers.max())):
        row = int(np.argmin(np.isfinite(numbers).all(axis=1)))
        raise ValueError(f"{name} must hold finite numbers within {spec.dtype}, got {array[row]} at row {row}")
    with np.errstate(over="ignore", invalid="ignore"):
        sums = numbers @ np.ones(n_out, spec.dtype)  # a product is several times as fast as a sum over short rows
        _check_range(name, numbers, sums, spec)
        one_hot = n_out > 1 and bool((sums == 1).all()) and _all_0_or_1(numbers)
    return Targets(read_only(numbers.reshape(-1)), no_labels, one_hot)


def _all_0_or_1(numbers: np.ndarray) -> bool:
    return bool((numbers * numbers == numbers).all())


def _check_range(name: str, numbers: np.ndarray, sums: np.ndarray, spec: Spec) -> None:
    if not (spec.classifies or spec.loss == "poisson") or not numbers.size:
        return
    low, high = numbers.min(), numbers.max()
    if spec.loss == "poisson":
        if low < 0:
            raise ValueError(f"{name} must be 0 or more for loss 'poisson', got {low}")
        return
    if low < 0 or high > 1:
        raise ValueError(f"{name} must lie in 0..1 for loss {spec.loss!r}, got {low} to {high}")
    if spec.loss == "perceptron" and not _all_0_or_1(numbers):
        raise ValueError(f"{name} must be 0 or 1 for loss 'perceptron'")
    if spec.loss == "cross_entropy" and (sums.max() > 1.001 or sums.min() < 0.999):
        row = int(np.argmax(np.abs(sums - 1)))
        raise ValueError(
            f"{name} must hold rows of probabilities that sum to 1 for loss 'cross_entropy', "
            f"got a sum of {sums[row]:.6g} in row {row}"
        )


MOST_WEIGHT = 1e300
"""Sum of weights beyond which their products with losses may leave float64."""


def as_weights(name: str, values: Any, spec: Spec, n_rows: int) -> np.ndarray:
    """Weights of examples: (n,), finite, not negative, not all 0; empty for None."""
    if values is None:
        return read_only(np.empty(0, spec.dtype))
    array = as_numeric_array(name, values)
    if array.shape != (n_rows,):
        raise ValueError(f"{name} must have shape ({n_rows},), got {array.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        weights = np.ascontiguousarray(array, spec.dtype)
        total = weights.sum(dtype=np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"{name} must hold finite numbers of 0 or more")
    if not weights.any():
        raise ValueError(f"{name} must not be 0 for every example")
    if total > MOST_WEIGHT:
        raise ValueError(f"{name} must have a sum of at most {MOST_WEIGHT:g}, got {total:g}")
    return read_only(weights)


def as_examples(
    X: Any, y: Any, sample_weight: Any, spec: Spec, names: tuple[str, str, str], finite: bool = False
) -> tuple[layout.Examples, bool]:
    """All checks on a set of examples; with it, whether its targets are classes. `finite`: as in `as_rows`."""
    rows = as_rows(names[0], X, spec, finite)
    if rows.n_rows == 0:
        raise ValueError(f"{names[0]} must have at least one row, got 0")
    targets = as_targets(names[1], y, spec, rows.n_rows)
    weights = as_weights(names[2], sample_weight, spec, rows.n_rows)
    examples = layout.Examples(
        rows.inputs,
        rows.kind,
        rows.stride,
        spec.input_scale,
        rows.n_rows,
        0,
        targets.numbers,
        targets.labels,
        weights,
        rows.values,
        rows.columns,
        rows.starts,
    )
    return examples, targets.are_classes


def apply_class_weight(examples: layout.Examples, class_weight: Any, spec: Spec, are_classes: bool) -> layout.Examples:
    """The examples, each weight multiplied by that of its class."""
    name = "class_weight"
    n_classes = max(2, spec.sizes[-1])
    targets = examples.targets.reshape(examples.n_rows, -1) if examples.targets.size else examples.targets
    if examples.labels.size:
        labels = examples.labels
    elif are_classes:
        labels = targets.argmax(axis=1)
    elif spec.sizes[-1] == 1 and bool(np.isin(targets, (0, 1)).all()):
        labels = targets[:, 0].astype(np.int64)
    else:
        raise ValueError(f"{name} takes labels, one-hot rows, or 0 and 1 for one output; y has other numbers")
    factors = np.ones(n_classes)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"{name} must be a dict of weights by label or 'balanced', got {class_weight!r}")
        counts = np.bincount(labels, minlength=n_classes)
        present = counts > 0
        factors[present] = examples.n_rows / (present.sum() * counts[present])
    elif isinstance(class_weight, dict):
        for label, weight in class_weight.items():
            if isinstance(label, bool) or not isinstance(label, int | np.integer) or not 0 <= label < n_classes:
                raise ValueError(f"{name} must have labels 0..{n_classes - 1} as keys, got {label!r}")
            factors[label] = check_float(f"{name}[{label}]", weight)
            if factors[label] < 0:
                raise ValueError(f"{name}[{label}] must be 0 or more, got {weight!r}")
    else:
        raise TypeError(f"{name} must be a dict of weights by label or 'balanced', got {class_weight!r}")
    weights = factors[labels] * (examples.weights if examples.weights.size else 1.0)
    return examples._replace(weights=as_weights(name, weights, spec, examples.n_rows))


def without_targets(rows: Rows, spec: Spec) -> layout.Examples:
    """Rows of inputs alone."""
    examples = empty_examples(spec)._replace(inputs=rows.inputs, kind=rows.kind, stride=rows.stride, n_rows=rows.n_rows)
    return examples._replace(values=rows.values, columns=rows.columns, starts=rows.starts)


def all_sparse(*parts: layout.Examples) -> bool:
    """Whether the inputs of all examples are sparse, so that no room for plain rows is needed."""
    return all(part.kind == gather.CSR for part in parts if part.n_rows)


@lru_cache(maxsize=64)
def empty_examples(spec: Spec) -> layout.Examples:
    """The empty set of examples, for a training without validation."""
    empty = read_only(np.empty(0, spec.dtype))
    bytes_, labels = read_only(np.empty(0, np.uint8)), read_only(np.empty(0, np.int64))
    return layout.Examples(bytes_, gather.UINT8, spec.sizes[0], 1.0, 0, 0, empty, labels, empty, *_no_sparse(spec))


FETCHED_AHEAD = 1 << 17
"""Bytes of rows fetched before they are wanted: a part of a second-level cache."""


def prefetch_distance(examples: layout.Examples, batch_size: int) -> int:
    """How many examples ahead of the one that it reads a thread fetches: a batch, or what the cache holds."""
    bytes_per_row = max(1, examples.inputs.size // examples.n_rows)
    return min(batch_size, max(1, FETCHED_AHEAD // bytes_per_row))
