"""Predictions of fitted estimators: by the network that their arrays are views of, or by one that copies them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...training.engine import Engine
from .coefficients import coefficients_of, dtype_of, fill, prediction_spec, same_arrays
from .overrides import replaced_activations

FEW_ROWS = 32
"""Rows that are converted before the call: the engine has a short way for a few rows of its own type."""


def fast_outputs(estimator: Any, X: Any) -> np.ndarray | None:
    """Return the outputs for an array that needs none of scikit-learn's checks; None for all other inputs."""
    coefficients = coefficients_of(estimator)
    if coefficients is None or type(X) is not np.ndarray or X.ndim != 2 or not coefficients.serves(estimator):
        return None
    engine: Engine = coefficients.network.engine  # type: ignore[union-attr]
    if X.shape[1] != engine.spec.sizes[0] or len(X) == 0 or X.dtype.kind not in "fiub" or X.dtype.itemsize > 8:
        return None
    if "feature_names_in_" in vars(estimator) or replaced_activations(estimator):
        return None
    if X.dtype != engine.dtype:
        dtype = dtype_of(X.dtype, engine.dtype)
        engine = engine if engine.dtype == dtype else prediction_engine(estimator, dtype)
        X = X.astype(engine.dtype) if len(X) <= FEW_ROWS else X
    try:
        return engine.predict(X)
    except ValueError:
        return None  # scikit-learn's check says what is wrong


def labels_of(binarizer: Any, outputs: np.ndarray) -> np.ndarray:
    """Return the labels for outputs, as a LabelBinarizer's `inverse_transform` does."""
    classes = binarizer.classes_
    if binarizer.y_type_ == "multiclass" and outputs.shape[1] > 1:
        return np.asarray(classes.take(outputs.argmax(axis=1)))
    if binarizer.y_type_ == "binary" and outputs.shape[1] == 1 and len(classes) == 2:
        return np.asarray(classes.take(outputs[:, 0] > (binarizer.pos_label + binarizer.neg_label) / 2))
    return np.asarray(binarizer.inverse_transform(outputs[:, 0] if outputs.shape[1] == 1 else outputs))


def prediction_engine(estimator: Any, dtype: str) -> Engine:
    """Return an engine of this type with the estimator's weights as they are now.

    Arrays that are not the network's, or of another type, are copied in every call: a user may have changed them.
    """
    coefficients = coefficients_of(estimator)
    if coefficients is not None and coefficients.serves(estimator) and coefficients.network is not None:
        engine = coefficients.network.engine
        if engine.dtype == dtype:
            return engine
    arrays = [*estimator.coefs_, *estimator.intercepts_]
    about = (estimator.activation, estimator.out_activation_, dtype)
    kept = None if coefficients is None else coefficients.copy
    # an engine is filled again with the same arrays alone: another thread may be predicting with it
    if kept is not None and kept[1] == about and same_arrays(kept[0], arrays):
        engine = kept[2]
    else:
        engine = Engine(prediction_spec(estimator, dtype))
    fill(engine.buffer, engine.spec, estimator.coefs_, estimator.intercepts_)
    if coefficients is not None:
        coefficients.copy = arrays, about, engine
    return engine
