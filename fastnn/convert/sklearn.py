"""Read fitted scikit-learn perceptrons, and make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..io.labels import kind_of
from ..io.model_file import SavedModel
from ..parameters import flatten
from ..spec import Spec, make_spec

ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
OUTPUTS = {"identity": "identity", "logistic": "sigmoid", "softmax": "softmax", "exp": "exponential"}
LOSSES = {
    "softmax": "cross_entropy",
    "sigmoid": "binary_cross_entropy",
    "exponential": "poisson",
    "identity": "squared_error",
}
SKLEARN_ACTIVATIONS = {name: key for key, name in ACTIVATIONS.items()}
SKLEARN_OUTPUTS = {name: key for key, name in OUTPUTS.items()}


def _sklearn() -> Any:
    try:
        import sklearn.neural_network
    except ImportError as error:
        raise ImportError("this needs scikit-learn: pip install 'fastnn[sklearn]'") from error
    return sklearn


def from_estimator(estimator: Any) -> SavedModel:
    """Return the description of a fitted perceptron; `fastnn.from_sklearn` documents it."""
    sklearn = _sklearn()
    from sklearn.utils.validation import check_is_fitted

    kinds = (sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor)
    if not isinstance(estimator, kinds):
        raise TypeError(f"estimator must be an MLPClassifier or an MLPRegressor, got {type(estimator).__name__}")
    check_is_fitted(estimator)
    coefs = estimator.coefs_
    given = estimator.activation
    hidden = [given] * (len(coefs) - 1) if isinstance(given, str) else list(given)
    names = [ACTIVATIONS.get(name, name) for name in hidden] + [OUTPUTS[estimator.out_activation_]]
    loss = estimator.loss
    if isinstance(loss, str) and loss == "log_loss":
        loss = LOSSES[names[-1]]
    sizes = [len(coefs[0]), *(coef.shape[1] for coef in coefs)]
    spec = make_spec(sizes, names, loss, np.result_type(*coefs).name)
    classes = np.asarray(getattr(estimator, "classes_", ()))
    columns = getattr(estimator, "feature_names_in_", None)
    model = SavedModel(
        spec=spec,
        parameters=flatten(tuple(coef.T for coef in coefs), tuple(estimator.intercepts_)).astype(spec.dtype),
        seed=0,
        column_names=None if columns is None else tuple(columns),
        class_names=_as_names(classes) if len(classes) == max(2, sizes[-1]) else None,
    )
    model.check_finite(f"parameters must be finite within {spec.dtype}, got an estimator with others")
    return model


def _as_names(classes: np.ndarray) -> tuple[Any, ...]:
    """Return the labels as Python's values, or as NumPy's where these would lose their type."""
    plain = tuple(classes.tolist())
    return plain if np.asarray(plain).dtype.kind == "U" or np.asarray(plain).dtype == classes.dtype else tuple(classes)


def to_estimator(model: SavedModel, classes: Sequence[Any] | None = None) -> Any:
    """Return a fitted estimator; `Network.to_sklearn` documents it."""
    sklearn, spec = _sklearn(), model.spec
    _check_convertible(spec, classes)
    hidden = spec.activation[:-1]
    settings: dict[str, Any] = {
        "hidden_layer_sizes": spec.sizes[1:-1],
        "random_state": model.seed % (1 << 32),
        "activation": SKLEARN_ACTIVATIONS[hidden[0]] if hidden else "relu",
    }
    layers = [(np.ascontiguousarray(weight.T), bias.copy()) for weight, bias in model.folded_layers("to_sklearn")]
    layers[0][0][...] *= np.dtype(spec.dtype).type(spec.input_scale)
    last = spec.activation[-1]
    if _classifies(spec):
        estimator = sklearn.neural_network.MLPClassifier(**settings)
        if _has_several_labels(spec):
            binarizer = sklearn.preprocessing.LabelBinarizer()
            binarizer.fit(np.tri(spec.sizes[-1], dtype=int))  # rows with several ones
        else:
            labels = _labels(model, classes)
            binarizer = sklearn.preprocessing.LabelBinarizer().fit(labels)
            order = np.argsort(labels)
            layers[-1] = _in_order(layers[-1][0], order), _in_order(layers[-1][1], order)
            last = last if len(labels) > 2 else "sigmoid"
        estimator._label_binarizer, estimator.classes_ = binarizer, binarizer.classes_
    else:
        loss = "poisson" if last == "exponential" else "squared_error"
        estimator = sklearn.neural_network.MLPRegressor(loss=loss, **settings)
    estimator.out_activation_ = SKLEARN_OUTPUTS[last]
    _set_fitted(estimator, model, layers)
    return estimator


def _set_fitted(estimator: Any, model: SavedModel, layers: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Set the attributes that `fit` leaves behind."""
    estimator.coefs_, estimator.intercepts_ = [coef for coef, _ in layers], [bias for _, bias in layers]
    estimator.n_layers_, estimator.n_outputs_ = len(model.spec.sizes), len(estimator.intercepts_[-1])
    estimator.n_features_in_ = model.spec.sizes[0]
    if model.column_names is not None:
        estimator.feature_names_in_ = np.array(model.column_names, dtype=object)
    estimator.n_iter_, estimator.t_, estimator._no_improvement_count = model.epochs, 0, 0
    estimator.loss_curve_, estimator.loss_, estimator.best_loss_ = [], np.inf, np.inf
    estimator.validation_scores_ = estimator.best_validation_score_ = None


def _classifies(spec: Spec) -> bool:
    return spec.loss in ("cross_entropy", "binary_cross_entropy")


def _has_several_labels(spec: Spec) -> bool:
    """Return whether an example can have several labels at once."""
    return spec.activation[-1] == "sigmoid" and spec.sizes[-1] > 1


def _check_convertible(spec: Spec, classes: Sequence[Any] | None) -> None:
    """Raise for what scikit-learn's perceptrons cannot be."""
    hidden, last = set(spec.activation[:-1]), spec.activation[-1]
    if len(hidden) > 1 or hidden - SKLEARN_ACTIVATIONS.keys():
        raise ValueError(
            f"scikit-learn has one activation for all hidden layers, of {', '.join(SKLEARN_ACTIVATIONS)}; "
            f"got {spec.activation[:-1]}"
        )
    if last not in SKLEARN_OUTPUTS or (last == "sigmoid" and not _classifies(spec)):
        raise ValueError(f"scikit-learn has no {last!r} outputs with loss {spec.loss!r}")
    if classes is not None and (_has_several_labels(spec) or not _classifies(spec)):
        raise ValueError(f"classes are for one label of several, got loss {spec.loss!r}, {spec.sizes[-1]} outputs")


def _in_order(part: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return weights or biases of the last layer for classes in ascending order.

    Of two classes one output is left, that of the second: softmax is sigmoid(z1 - z0).
    """
    if part.shape[-1] == 1:
        return part if order[0] == 0 else -part
    part = part[..., order]
    return np.ascontiguousarray(part if len(order) > 2 else part[..., 1:] - part[..., :1])


def _labels(model: SavedModel, classes: Sequence[Any] | None) -> np.ndarray:
    """Return the label of each output, or of 0 and 1 of a single one."""
    count = max(2, model.spec.sizes[-1])
    if classes is None:
        classes = range(count) if model.class_names is None else model.class_names
    found = np.asarray(classes)
    if found.shape != (count,) or len(set(found.tolist())) < count:
        raise ValueError(f"classes must be {count} different labels, one for each output; got {classes!r}")
    kind = kind_of(classes)
    if kind is None or (kind is float and not (np.mod(found, 1) == 0).all()):
        raise ValueError(
            f"classes must be labels that scikit-learn takes, all of them texts, booleans or whole numbers; "
            f"got {classes!r}"
        )
    return found
