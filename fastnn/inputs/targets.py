"""Targets: rows of numbers (n, n_out), or integer labels (n,) that stand for one-hot rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..spec import Spec
from .arrays import as_numeric_array, nothing_of, read_only


class Targets(NamedTuple):
    """Targets as the kernels read them.

    Attributes
    ----------
    numbers : ndarray, (n * n_out,)
        Rows of numbers in the network's dtype; empty for labels.
    labels : ndarray of int64, (n,)
        Labels; empty for rows of numbers.
    are_classes : bool
        Whether they are labels or one-hot rows, so that an accuracy can be counted.
    """

    numbers: np.ndarray
    labels: np.ndarray
    are_classes: bool


def as_targets(name: str, values: Any, spec: Spec, n_rows: int) -> Targets:
    """Check the targets of `n_rows` examples and return them as the kernels read them.

    Integers of shape (n,) are labels if the network has several outputs, numbers if it has one, or if its outputs are
    quantiles of one quantity: each of those has the same target then.
    """
    array = as_numeric_array(name, values)
    n_out = spec.sizes[-1]
    if spec.repeats_target and array.shape in ((n_rows,), (n_rows, 1)):
        array = np.repeat(array.reshape(n_rows, 1), n_out, axis=1)
    if len(array.shape) == 0 or len(array) != n_rows:
        raise ValueError(f"{name} must have one entry for each of the {n_rows} rows of inputs, got shape {array.shape}")
    if array.ndim == 1 and n_out > 1:
        return Targets(nothing_of(spec.dtype), _labels(name, array, n_out), True)
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
    return Targets(read_only(numbers.reshape(-1)), nothing_of("int64"), one_hot)


def _labels(name: str, array: np.ndarray, n_out: int) -> np.ndarray:
    n_rows = len(array)
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError(f"{name} must not have missing values, got {int(np.isnan(array).sum())}")
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} of shape ({n_rows},) must hold integer labels 0..{n_out - 1}, got dtype {array.dtype}; "
            f"give labels as integers, or numbers in shape ({n_rows}, {n_out})"
        )
    labels = array.astype(np.int64)  # a copy: kernels index memory by labels, so the caller must not change them
    if n_rows and (np.minimum.reduce(labels) < 0 or np.maximum.reduce(labels) >= n_out):
        worst = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"{name} must hold labels 0..{n_out - 1} for {n_out} outputs, got {worst}")
    return read_only(labels)


def _all_0_or_1(numbers: np.ndarray) -> bool:
    return bool((numbers * numbers == numbers).all())


def _check_range(name: str, numbers: np.ndarray, sums: np.ndarray, spec: Spec) -> None:
    """Raise for targets outside the range of the loss; `sums` are those of the rows."""
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


def as_outputs(name: str, values: Any, n_rows: int, n_outputs: int) -> np.ndarray:
    """Return the number of one output for each row, (n,) of int64, from one number, one for each row, or None.

    Parameters
    ----------
    name : str
        What errors call the argument.
    values : int, array_like of int or None
        Negative numbers count from the last output; None is the only output.
    n_rows, n_outputs : int
    """
    if values is None and n_outputs > 1:
        raise ValueError(
            f"{name} must say which of the {n_outputs} outputs is meant, 0 to {n_outputs - 1}; net.classify(X) is each "
            "row's own answer"
        )
    numbers = np.asarray(0 if values is None else values)
    if numbers.dtype.kind not in "iu" or numbers.shape not in ((), (n_rows,)):
        raise ValueError(
            f"{name} must be a whole number or one for each of {n_rows} rows, got {numbers.dtype}{numbers.shape}"
        )
    bad = (numbers < -n_outputs) | (numbers >= n_outputs)
    if bad.any():
        raise ValueError(f"{name} must be from {-n_outputs} to {n_outputs - 1}, got {np.atleast_1d(numbers[bad])[0]}")
    chosen = np.empty(n_rows, np.int64)
    chosen[:] = numbers % n_outputs
    return chosen
