"""Inputs and targets as scikit-learn checks them, in types that the kernels take."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.utils import column_or_1d

from .request import EvaluationSet, FitRequest
from .scikit_learn import validate_data

FLOATS = (np.float64, np.float32)


def in_type(name: str, array: Any, dtype: Any) -> Any:
    """Return numbers, dense or sparse, in a type; raise for those that it cannot hold."""
    if dtype is None or array.dtype == dtype:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(dtype)
    if not np.isfinite(converted.data if issparse(converted) else converted).all():
        raise ValueError(f"{name} must hold finite numbers within {np.dtype(dtype)}")
    return converted


def in_kernel_type(name: str, array: Any) -> Any:
    """Return numbers of more than 8 bytes in float64, all others as they are."""
    return in_type(name, array, np.float64) if array.dtype.kind == "f" and array.dtype.itemsize > 8 else array


def check_width(estimator: Any, y: np.ndarray) -> None:
    """Raise ValueError for targets of another number of columns than the fitted network has outputs."""
    n_outputs, n_columns = estimator.coefs_[-1].shape[1], y[:1].size
    if n_columns != n_outputs:
        raise ValueError(
            f"y has {n_columns} columns, but the fitted network has {n_outputs} outputs, which neither a warm start "
            "nor partial_fit can change"
        )


def check_sets(request: FitRequest, y: np.ndarray) -> None:
    """Check the examples to evaluate, now that the classes are known.

    Parameters
    ----------
    request : FitRequest
    y : ndarray
        The targets to learn from, which scikit-learn has checked.
    """
    for name, pair in request.pairs.items():
        try:
            request.sets[name] = _evaluation_set(request, *pair, y[:1].size)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from error


def _evaluation_set(request: FitRequest, X: Any, y: Any, n_columns: int) -> EvaluationSet:
    estimator, classifies = request.estimator, is_classifier(request.estimator)
    options: dict[str, Any] = {"accept_sparse": ["csr", "csc"], "dtype": FLOATS, "multi_output": True}
    X, y = validate_data(estimator, X, y, y_numeric=not classifies, reset=False, **options)
    X = in_type("X", X, request.options.dtype)
    y = column_or_1d(y) if y[:1].size == 1 else y
    if classifies:
        return EvaluationSet(X, y, _class_targets(estimator, y))
    y = in_kernel_type("y", y)
    if y[:1].size != n_columns:
        raise ValueError(f"y must have {n_columns} columns, as that of fit, got {y[:1].size}")
    return EvaluationSet(X, y, y.reshape(len(y), -1))


def _class_targets(estimator: Any, y: np.ndarray) -> np.ndarray:
    """Return one column for each output; raise ValueError for a class that the estimator does not know."""
    binarizer, classes = estimator._label_binarizer, estimator.classes_
    if not binarizer.y_type_.startswith("multilabel"):
        unknown = [label for label in np.unique(y).tolist() if label not in classes.tolist()]
        if unknown:
            raise ValueError(f"y has the labels {unknown}, but the classes are {classes.tolist()}")
    return binarizer.transform(y).astype(bool)
