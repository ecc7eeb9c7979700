"""The network behind a fitted estimator: its memory is what `coefs_` and `intercepts_` are views of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import is_
from typing import Any

import numpy as np

from ...network import Network
from ...parameters import make_layout, views
from ...spec import Spec, make_spec

ATTRIBUTE = "_fastnn_coefficients"
"""Where an estimator keeps its `Coefficients`."""

ACTIVATIONS = {"logistic": "sigmoid", "exp": "exponential"}
"""scikit-learn's names of activations that fastnn calls otherwise."""

PREDICTION_LOSS = {"softmax": "cross_entropy"}
"""Output activation -> the loss that it takes, where it does not take any."""


class Coefficients:
    """What an estimator's arrays are views of, and the engine that predicts for arrays that are not.

    Copies and pickles of an estimator have arrays of their own, and begin with empty coefficients.

    Parameters
    ----------
    network : Network, optional
        None: the arrays are none of fastnn's.
    activation : str or sequence of str, optional
        The estimator's parameter, from which the network was made.
    out_activation : str, optional
        The estimator's `out_activation_`.
    """

    def __init__(self, network: Network | None = None, activation: Any = None, out_activation: str = "") -> None:
        self.network = network
        self.activations = (activation, out_activation)
        self.coefs = [] if network is None else [weights.T for weights in network.weights]
        self.intercepts = [] if network is None else list(network.biases)
        self.copy: tuple[list[np.ndarray], tuple[Any, ...], Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Coefficients, ()

    def has_arrays(self, estimator: Any) -> bool:
        """Whether the estimator's arrays are the network's: a user may assign others."""
        return same_arrays(estimator.coefs_, self.coefs) and same_arrays(estimator.intercepts_, self.intercepts)

    def serves(self, estimator: Any) -> bool:
        """Whether the network is the estimator as it stands."""
        activations = (estimator.activation, estimator.out_activation_)
        return self.network is not None and activations == self.activations and self.has_arrays(estimator)


def same_arrays(arrays: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether two sequences hold the same objects."""
    return len(arrays) == len(others) and all(map(is_, arrays, others))


def coefficients_of(estimator: Any) -> Coefficients | None:
    """Return what the estimator keeps of its network, if anything."""
    return vars(estimator).get(ATTRIBUTE)


def sizes_of(estimator: Any) -> list[int]:
    """Return the number of inputs, and of neurons of each layer."""
    return [len(estimator.coefs_[0]), *(coef.shape[1] for coef in estimator.coefs_)]


def activations_of(estimator: Any, n_hidden: int) -> list[str]:
    """Return fastnn's name of the activation of each layer."""
    given = estimator.activation
    hidden = [given] * n_hidden if isinstance(given, str) else list(given)
    return [ACTIVATIONS.get(name, name) for name in (*hidden, estimator.out_activation_)]


def dtype_of(*parts: Any) -> str:
    """Return the one of fastnn's types in which arrays of these types meet."""
    return "float32" if np.result_type(*parts) in (np.float32, np.float16) else "float64"


def fill(buffer: np.ndarray, spec: Spec, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> None:
    """Write arrays (n_in, n_out) and (n_out,) into a buffer that is laid out as a network's parameters."""
    weights, biases = views(buffer, make_layout(spec).table)
    for part, given in zip((*weights, *biases), (*(coef.T for coef in coefs), *intercepts), strict=True):
        part[...] = given


def read(buffer: np.ndarray, spec: Spec, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> None:
    """Write what such a buffer holds into the arrays."""
    weights, biases = views(buffer, make_layout(spec).table)
    for part, array in zip((*weights, *biases), (*(coef.T for coef in coefs), *intercepts), strict=True):
        array[...] = part


def training_network(estimator: Any, loss: Any, dtype: str, dropout: Any, precision: str | None) -> Network:
    """Return the network of which the estimator's arrays are views if it is of this kind, or a new one."""
    sizes = sizes_of(estimator)
    spec = make_spec(
        sizes, activations_of(estimator, len(sizes) - 2), loss, dtype, dropout=dropout, precision=precision
    )
    coefficients = coefficients_of(estimator)
    network = None if coefficients is None else coefficients.network
    if network is not None and network.engine.spec == spec and coefficients.serves(estimator):  # type: ignore[union-attr]
        return network
    return new_network(estimator, loss, dtype, dropout, precision)


def new_network(estimator: Any, loss: Any, dtype: str, dropout: Any = 0.0, precision: str | None = None) -> Network:
    """Return a network with the estimator's weights, whose memory its arrays become views of."""
    network = make_network(estimator, loss, dtype, dropout, precision)
    coefficients = Coefficients(network, estimator.activation, estimator.out_activation_)
    estimator.coefs_, estimator.intercepts_ = list(coefficients.coefs), list(coefficients.intercepts)
    setattr(estimator, ATTRIBUTE, coefficients)
    return network


def make_network(estimator: Any, loss: Any, dtype: str, dropout: Any = 0.0, precision: str | None = None) -> Network:
    """Return a network with the estimator's weights."""
    sizes = sizes_of(estimator)
    names = activations_of(estimator, len(sizes) - 2)
    network = Network(
        sizes, activation=names, loss=loss, dtype=dtype, dropout=dropout, precision=precision, seed=0, init="zeros"
    )
    fill(network.engine.buffer, network.engine.spec, estimator.coefs_, estimator.intercepts_)
    return network


def take_in(estimator: Any) -> None:
    """Write arrays that a program has assigned during a training into the network's memory."""
    coefficients = coefficients_of(estimator)
    if coefficients is None or coefficients.network is None or coefficients.has_arrays(estimator):
        return
    engine = coefficients.network.engine
    fill(engine.buffer, engine.spec, estimator.coefs_, estimator.intercepts_)
    estimator.coefs_, estimator.intercepts_ = list(coefficients.coefs), list(coefficients.intercepts)


def attach_arrays(estimator: Any) -> None:
    """Give an estimator that has arrays of its own a network with their values, if there can be one.

    Only for arrays that nobody else has seen yet: after a training by scikit-learn, or when a pickle is read.
    """
    coefficients = coefficients_of(estimator)
    if coefficients is not None and coefficients.serves(estimator):
        return
    if _can_be_views(estimator):
        new_network(estimator, _prediction_loss(estimator), np.result_type(*estimator.coefs_).name)


def _can_be_views(estimator: Any) -> bool:
    """Whether views of one network could stand for the estimator's arrays: they agree in type and shapes."""
    arrays = [*getattr(estimator, "coefs_", ()), *getattr(estimator, "intercepts_", ())]
    if not arrays or not all(isinstance(array, np.ndarray) and array.dtype == arrays[0].dtype for array in arrays):
        return False
    coefs, intercepts = estimator.coefs_, estimator.intercepts_
    shapes = [coef.shape for coef in coefs] + [intercept.shape for intercept in intercepts]
    if [len(shape) for shape in shapes] != [2] * len(coefs) + [1] * len(coefs):
        return False
    fits = all(before[1] == after[0] for before, after in pairwise(shapes[: len(coefs)]))
    fits = fits and all(coef.shape[1] == len(intercept) for coef, intercept in zip(coefs, intercepts, strict=True))
    return fits and arrays[0].dtype in (np.float32, np.float64) and _spec_or_none(estimator, "float32") is not None


def _prediction_loss(estimator: Any) -> str:
    return PREDICTION_LOSS.get(estimator.out_activation_, "squared_error")


def _spec_or_none(estimator: Any, dtype: str) -> Any:
    """Return the description of the network that predicts; None if an activation is not known here."""
    try:
        return prediction_spec(estimator, dtype)
    except (AttributeError, TypeError, ValueError):
        return None


def prediction_spec(estimator: Any, dtype: str) -> Spec:
    """Return the description of a network that predicts as the estimator does, in this type."""
    sizes = sizes_of(estimator)
    return make_spec(sizes, activations_of(estimator, len(sizes) - 2), _prediction_loss(estimator), dtype)
