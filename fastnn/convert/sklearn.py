"""Networks from fitted scikit-learn perceptrons, and fitted perceptrons from networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..model import Model
from ..network import Network

ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
OUTPUTS = {"identity": "identity", "logistic": "sigmoid", "softmax": "softmax", "exp": "exponential"}
LOSSES = {
    "softmax": "cross_entropy",
    "sigmoid": "binary_cross_entropy",
    "exponential": "poisson",
    "identity": "squared_error",
}


def _sklearn() -> Any:
    try:
        import sklearn.neural_network
    except ImportError as error:
        raise ImportError("this needs scikit-learn: pip install 'fastnn[sklearn]'") from error
    return sklearn


def from_estimator(estimator: Any) -> Network:
    """See `fastnn.from_sklearn`."""
    sklearn = _sklearn()
    from sklearn.utils.validation import check_is_fitted

    kinds = (sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor)
    if not isinstance(estimator, kinds):
        raise TypeError(f"estimator must be an MLPClassifier or an MLPRegressor, got {type(estimator).__name__}")
    check_is_fitted(estimator)
    n_hidden = len(estimator.coefs_) - 1
    given = estimator.activation
    hidden = [given] * n_hidden if isinstance(given, str) else list(given)
    names = [ACTIVATIONS.get(name, name) for name in hidden] + [OUTPUTS[estimator.out_activation_]]
    loss = estimator.loss
    if isinstance(loss, str) and loss == "log_loss":
        loss = LOSSES[names[-1]]
    sizes = [len(estimator.coefs_[0]), *(coef.shape[1] for coef in estimator.coefs_)]
    dtype = np.result_type(*estimator.coefs_).name
    net = Network(sizes, activation=names, loss=loss, dtype=dtype, init="zeros", seed=0)
    for weight, bias, coef, intercept in zip(
        net.weights, net.biases, estimator.coefs_, estimator.intercepts_, strict=True
    ):
        weight[...], bias[...] = coef.T, intercept
    classes = getattr(estimator, "classes_", None)
    if classes is not None and len(classes) == max(2, net.sizes[-1]):
        net.class_names = tuple(str(label) for label in classes)
    columns = getattr(estimator, "feature_names_in_", None)
    if columns is not None:
        net.column_names = tuple(columns)
    return net


def to_estimator(net: Model, classes: Sequence[Any] | None = None) -> Any:
    """See `Network.to_sklearn`."""
    sklearn = _sklearn()
    from sklearn.preprocessing import LabelBinarizer

    theirs = {name: key for key, name in ACTIVATIONS.items()}
    hidden = set(net.activation[:-1])
    if len(hidden) > 1 or hidden - theirs.keys():
        raise ValueError(
            f"scikit-learn has one activation for all hidden layers, of {', '.join(theirs)}; got {net.activation[:-1]}"
        )
    last = net.activation[-1]
    outputs = {name: key for key, name in OUTPUTS.items()}
    classifies = net.loss_name in ("cross_entropy", "binary_cross_entropy")
    if last not in outputs or (last == "sigmoid" and not classifies):
        raise ValueError(f"scikit-learn has no {last!r} outputs with loss {net.loss_name!r}")
    several = last == "sigmoid" and net.sizes[-1] > 1  # labels at once
    if classes is not None and (several or not classifies):
        raise ValueError(f"classes are for one label of several, got loss {net.loss_name!r}, {net.sizes[-1]} outputs")
    coefs = [np.ascontiguousarray(weight.T) for weight in net.weights]
    coefs[0] *= net.dtype.type(net.input_scale)
    intercepts = [bias.copy() for bias in net.biases]
    about: dict[str, Any] = {"hidden_layer_sizes": net.sizes[1:-1], "random_state": net.seed % (1 << 32)}
    about["activation"] = theirs[hidden.pop()] if hidden else "relu"
    if classifies:
        estimator = sklearn.neural_network.MLPClassifier(**about)
        binarizer = LabelBinarizer()
        if several:
            binarizer.fit(np.tri(net.sizes[-1], dtype=int))  # rows with several ones
        else:
            labels = _classes(net, classes)
            binarizer.fit(labels)
            order = np.argsort(labels)
            coefs[-1], intercepts[-1] = (_in_order(part, order) for part in (coefs[-1], intercepts[-1]))
            last = last if len(labels) > 2 else "sigmoid"
        estimator._label_binarizer, estimator.classes_ = binarizer, binarizer.classes_
    else:
        loss = "poisson" if last == "exponential" else "squared_error"
        estimator = sklearn.neural_network.MLPRegressor(loss=loss, **about)
    estimator.coefs_, estimator.intercepts_ = coefs, intercepts
    estimator.n_layers_, estimator.n_outputs_ = len(net.sizes), len(intercepts[-1])
    estimator.n_features_in_, estimator.out_activation_ = net.sizes[0], outputs[last]
    if net.column_names is not None:
        estimator.feature_names_in_ = np.array(net.column_names, dtype=object)
    estimator.n_iter_, estimator.t_, estimator._no_improvement_count = net.epochs_trained, 0, 0
    estimator.loss_curve_, estimator.loss_, estimator.best_loss_ = [], np.inf, np.inf
    estimator.validation_scores_ = estimator.best_validation_score_ = None
    return estimator


def _in_order(part: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The last layer for classes in ascending order; of two, one output for the second: softmax is sigmoid(z1 - z0)."""
    if part.shape[-1] == 1:
        return part if order[0] == 0 else -part
    part = part[..., order]
    return np.ascontiguousarray(part if len(order) > 2 else part[..., 1:] - part[..., :1])


def _classes(net: Model, classes: Sequence[Any] | None) -> np.ndarray:
    count = max(2, net.sizes[-1])
    if classes is None:
        classes = range(count) if net.class_names is None else net.class_names
    found = np.asarray(classes)
    if found.shape != (count,) or len(set(found.tolist())) < count:
        raise ValueError(f"classes must be {count} different labels, one for each output; got {classes!r}")
    return found
