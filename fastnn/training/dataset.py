"""The data of one training: examples and validation examples as the kernels read them, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import inputs
from ..checks import check_float
from ..kernels import layout
from ..spec import Spec

NAMES = ("X", "y", "sample_weight")


@dataclass(frozen=True)
class Dataset:
    """Examples to learn from, and those to evaluate on after every epoch.

    Attributes
    ----------
    examples, validation : Examples
        Validation is empty where none was given.
    has_accuracy, has_val_accuracy : bool
        Whether the accuracy means something: the targets are classes, or the loss is one for classification.
    """

    examples: layout.Examples
    validation: layout.Examples
    has_accuracy: bool
    has_val_accuracy: bool

    @property
    def columns(self) -> list[str]:
        """Columns that the history of a training on this data has."""
        names = ["loss"] + ["accuracy"] * self.has_accuracy
        if self.validation.n_rows:
            names += ["val_loss"] + ["val_accuracy"] * self.has_val_accuracy
        return names


def make_dataset(
    spec: Spec,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    class_weight: Any = None,
    validation_data: Any = None,
    validation_split: Any = None,
    split_seed: int = 0,
) -> Dataset:
    """Check the data of `Network.fit`, and hold out the validation examples.

    Parameters
    ----------
    spec : Spec
        Of the network that will learn.
    X, y, sample_weight, class_weight, validation_data, validation_split
        As in `Network.fit`.
    split_seed : int, default 0
        Seed of the draw that holds examples out.

    Raises
    ------
    ValueError, TypeError
        Naming the argument.
    """
    if validation_split is not None:
        if validation_data is not None:
            raise ValueError("give validation_data or validation_split, not both")
        X, y, sample_weight, validation_data = _split(spec, X, y, sample_weight, validation_split, split_seed)
    examples, are_classes = inputs.as_examples(X, y, sample_weight, spec, NAMES)
    validation, val_are_classes = inputs.empty_examples(spec), False
    if validation_data is not None:
        validation, val_are_classes = as_validation(spec, validation_data)
    if class_weight is not None:
        examples = inputs.apply_class_weight(examples, class_weight, spec, are_classes)
    return Dataset(examples, validation, are_classes or spec.classifies, val_are_classes or spec.classifies)


def as_validation(spec: Spec, validation_data: Any) -> tuple[layout.Examples, bool]:
    """Check `validation_data`; with the examples, whether their targets are classes."""
    if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
        raise TypeError("validation_data must be a pair (X, y) or a triple (X, y, sample_weight)")
    X, y, weight = (*validation_data, None)[:3]
    names = ("validation X", "validation y", "validation sample_weight")
    return inputs.as_examples(X, y, weight, spec, names)


def _split(spec: Spec, X: Any, y: Any, weight: Any, fraction: Any, seed: int) -> tuple[Any, Any, Any, tuple[Any, ...]]:
    """Draw the examples that are held out; both parts keep the order of the rows."""
    fraction = check_float("validation_split", fraction)
    X = inputs.as_indexable("X", X)
    n_rows = inputs.as_rows("X", X, spec).n_rows
    if n_rows == 0:
        raise ValueError("X must have at least one row, got 0")
    inputs.as_targets("y", y, spec, n_rows)
    y = inputs.as_numeric_array("y", y)
    weights = inputs.as_weights("sample_weight", weight, spec, n_rows)
    n_held_out = round(n_rows * fraction)
    if not 0 < n_held_out < n_rows:
        raise ValueError(
            f"validation_split must leave at least one example on either side, got {fraction} of the {n_rows} rows of X"
        )
    order = np.random.default_rng(seed).permutation(n_rows)
    train, held_out = np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
    if weight is None:
        return X[train], y[train], None, (X[held_out], y[held_out])
    return X[train], y[train], weights[train], (X[held_out], y[held_out], weights[held_out])
