"""Weights of examples, and of classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..checks import check_non_negative
from ..kernels import layout
from ..spec import Spec
from .arrays import as_numeric_array, nothing_of, read_only

MAX_TOTAL_WEIGHT = 1e300
"""Largest sum of weights: beyond it their products with losses may exceed float64."""

RAISED = 2.0**500
"""Factor of weights that are all so small that their sums could be subnormal: what counts is how they compare."""


def as_weights(name: str, values: Any, spec: Spec, n_rows: int) -> np.ndarray:
    """Return the weights of examples (n,): finite, not negative, not all 0; an empty array for None."""
    if values is None:
        return nothing_of(spec.dtype)
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
    if total > MAX_TOTAL_WEIGHT:
        raise ValueError(f"{name} must have a sum of at most {MAX_TOTAL_WEIGHT:g}, got {total:g}")
    return read_only(weights * RAISED if weights.dtype == np.float64 and weights.max() < 1 / RAISED else weights)


def apply_class_weight(examples: layout.Examples, class_weight: Any, spec: Spec, are_classes: bool) -> layout.Examples:
    """Multiply the weight of each example by that of its class.

    Parameters
    ----------
    examples : Examples
    class_weight : dict or "balanced"
        Weights by label, 1 for a label that is missing; or n / (n_classes * count) of the classes that occur.
    spec : Spec
    are_classes : bool
        Whether the targets are labels or one-hot rows.
    """
    class_weight = check_class_weight(class_weight, spec)
    labels = _labels_of(examples, spec, are_classes)
    factors = _class_factors(class_weight, labels, _n_classes(spec))
    weights = factors[labels] * (examples.weights if examples.weights.size else 1.0)
    return examples._replace(weights=as_weights("class_weight", weights, spec, examples.n_rows))


def _labels_of(examples: layout.Examples, spec: Spec, are_classes: bool) -> np.ndarray:
    if examples.labels.size:
        return examples.labels
    targets = examples.targets.reshape(examples.n_rows, -1)
    if are_classes:
        labels: np.ndarray = targets.argmax(axis=1)
        return labels
    if spec.sizes[-1] == 1 and bool(np.isin(targets, (0, 1)).all()):
        return targets[:, 0].astype(np.int64)
    raise ValueError("class_weight takes labels, one-hot rows, or 0 and 1 for one output; y has other numbers")


def _n_classes(spec: Spec) -> int:
    """Return how many classes the outputs tell apart: one output tells two."""
    return max(2, spec.sizes[-1])


def check_class_weight(class_weight: Any, spec: Spec) -> Any:
    """Return the argument `class_weight` as a dict of floats by label, or "balanced", whatever the examples are."""
    name, n_classes = "class_weight", _n_classes(spec)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"{name} must be a dict of weights by label or 'balanced', got {class_weight!r}")
        return class_weight
    if not isinstance(class_weight, dict):
        raise TypeError(f"{name} must be a dict of weights by label or 'balanced', got {class_weight!r}")
    checked = {}
    for label, weight in class_weight.items():
        if isinstance(label, bool) or not isinstance(label, int | np.integer) or not 0 <= label < n_classes:
            raise ValueError(f"{name} must have labels 0..{n_classes - 1} as keys, got {label!r}")
        checked[int(label)] = check_non_negative(f"{name}[{label}]", weight)
    return checked


def _class_factors(class_weight: Any, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return one factor for each class."""
    factors = np.ones(n_classes)
    if class_weight == "balanced":
        counts = np.bincount(labels, minlength=n_classes)
        present = counts > 0
        factors[present] = len(labels) / (present.sum() * counts[present])
        return factors
    for label, weight in class_weight.items():
        factors[label] = weight
    return factors
