"""Façades whose bits `tools.record_bits` records: plain arrays, scikit-learn, the textbook, files, commands, MPI."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numba
import numpy as np

import fastnn
from fastnn import functional
from fastnn.callbacks import EarlyStopping
from fastnn.compat.textbook import network, network2

from .bit_cases import (
    ABSENT,
    CLASSIFIER,
    DEEP,
    DTYPES,
    REGRESSOR,
    THREADS,
    Case,
    bag_of_words,
    in_each_dtype,
    new,
    normal,
    problem,
    same_for_all,
)

# ---- Plain arrays, from Python and from compiled code


def arrays_of(dtype: str, about: Mapping[str, Any], orientation: str, order: Any) -> tuple[list[Any], list[Any]]:
    """Return a network's weights and biases as arrays of the caller's."""
    net = new({**about, "dtype": dtype})
    weights = [(w if orientation == "out_in" else w.T).copy(order=order) for w in net.weights]
    return weights, [b.copy() for b in net.biases]


def on_arrays(dtype: str, about: Mapping[str, Any], orientation: str, order: str) -> Iterator[Any]:
    """Yield what `fastnn.functional` computes on 1, 40 and 300 rows."""
    X, y = problem()
    options: dict[str, Any] = {"activation": about["activation"], "orientation": orientation}
    wanted: dict[str, Any] = {**options, "loss": about["loss"]}
    for count in (1, 40, 300):
        weights, biases = arrays_of(dtype, about, orientation, order)
        rows, labels, weight = X[:count], y[:count], np.linspace(0.5, 2, count)
        yield functional.forward(weights, biases, rows, **options)
        yield functional.loss(weights, biases, rows, labels, sample_weight=weight, **wanted)
        value, of_weights, of_biases = functional.backward(weights, biases, rows, labels, **wanted)
        yield from (value, *of_weights, *of_biases)
        for rate in (0.1, 0.02):
            yield functional.sgd_step(weights, biases, rows, labels, rate, sample_weight=weight, **wanted)
        yield from (*weights, *biases)
        out = np.zeros((about["sizes"][-1], count), dtype).T
        yield functional.forward(weights, biases, rows, out=out, **options)


@cache
def compiled_functions() -> tuple[Any, Any]:
    """Return functions that call every one of `fastnn.compiled`, compiled on first use."""

    @numba.njit
    def predict(out, X, model):
        fastnn.compiled.predict(out, X, model)

    @numba.njit
    def train(out, gradients, weights, biases, X, y, room):
        fastnn.compiled.forward(out, X, weights, biases, room)
        before = fastnn.compiled.backward(gradients[0], gradients[1], X, y, weights, biases, room)
        for _ in range(3):
            loss = fastnn.compiled.sgd_step(weights, biases, X, y, 0.1, room)
        return before, loss

    return predict, train


def in_compiled_code(dtype: str, orientation: str) -> Iterator[Any]:
    """Yield what compiled code computes on a network and on plain arrays, 1 and 300 rows."""
    predict, train = compiled_functions()
    net = new({**CLASSIFIER, "dtype": dtype})
    X, y = problem()
    for count in (1, 300):
        rows, targets = X[:count].astype(dtype), np.eye(4, dtype=dtype)[y[:count]]
        out = np.empty((count, 4), dtype)
        predict(out, rows, net.compiled())
        yield out.copy()
        weights, biases = map(tuple, arrays_of(dtype, CLASSIFIER, orientation, "C"))
        gradients = tuple(map(np.empty_like, weights)), tuple(map(np.empty_like, biases))
        about: dict[str, Any] = {
            "activation": net.activation,
            "loss": "cross_entropy",
            "dtype": dtype,
            "orientation": orientation,
        }
        yield train(out, gradients, weights, biases, rows, targets, fastnn.compiled.workspace(net.sizes, 300, **about))
        yield from (out, *gradients[0], *gradients[1], *weights, *biases)


def plain_arrays() -> Iterator[Case]:
    """Yield `fastnn.functional` and `fastnn.compiled`, in both orientations."""
    aligned = {**DEEP, "sizes": [12, 64, 32, 4]}
    for orientation in ("out_in", "in_out"):
        for order in ("C", "F"):
            for name, about in {"deep": DEEP, "aligned": aligned, "shallow": CLASSIFIER}.items():
                case = f"functional/{name}/{orientation}/{order}"
                yield from in_each_dtype(case, on_arrays, about, orientation, order)
        yield from in_each_dtype(f"compiled/{orientation}", in_compiled_code, orientation)


# ---- scikit-learn's estimators


def estimated(
    make: Callable[..., Any], X: Any, y: Any, options: Mapping[str, Any], fit: Callable[..., Any]
) -> list[Any]:
    """Return what an estimator learns, on each number of threads."""
    found = {}
    for n_threads in THREADS:
        given: dict[str, Any] = {
            "hidden_layer_sizes": (24, 11),
            "max_iter": 6,
            "random_state": 3,
            "n_threads": n_threads,
        }
        estimator = make(**{**given, **options})
        fit(estimator, X, y)
        answers = estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)
        values = [*estimator.coefs_, *estimator.intercepts_, estimator.loss_, estimator.n_iter_, answers]
        values += [np.array(getattr(estimator, "loss_curve_", ())), estimator.score(X, y)]
        values += [np.array(getattr(estimator, "validation_scores_", None) or ())]
        for seen in getattr(estimator, "evals_result_", {}).values():
            values += [np.array(column) for column in seen.values()]
        found[n_threads] = values
    return same_for_all(found)


def in_one(estimator: Any, X: Any, y: Any) -> None:
    """Fit."""
    estimator.fit(X, y)


def twice(estimator: Any, X: Any, y: Any) -> None:
    """Fit, and fit again."""
    estimator.fit(X, y).fit(X, y)


def in_pieces(estimator: Any, X: Any, y: Any) -> None:
    """Fit partially, four times."""
    for start in (0, 100, 200, 0):
        known = {"classes": np.unique(y)} if hasattr(estimator, "predict_proba") else {}
        estimator.partial_fit(X[start : start + 100], y[start : start + 100], **known)


def with_sets(estimator: Any, X: Any, y: Any) -> None:
    """Fit with weights, and sets to evaluate."""
    estimator.fit(X, y, np.linspace(0, 2, X.shape[0]), eval_set=[(X[:50], y[:50]), (X, y)])


def estimators() -> Iterator[Case]:
    """Yield scikit-learn's classifier and regressor, with their options and fastnn's."""
    if find_spec("sklearn") is None:
        yield "sklearn", lambda: [ABSENT]
        return
    from fastnn.sklearn import MLPClassifier, MLPRegressor

    sgd = {"solver": "sgd", "learning_rate_init": 0.1}
    chosen: dict[str, tuple[dict[str, Any], Callable[..., Any]]] = {
        "adam": ({}, in_one),
        "sgd": (sgd, in_one),
        "sgd_plain": ({**sgd, "momentum": 0.0, "alpha": 0.1, "batch_size": 7}, in_one),
        "momentum": ({**sgd, "nesterovs_momentum": False, "shuffle": False}, in_one),
        "invscaling": ({**sgd, "learning_rate": "invscaling"}, in_one),
        "adaptive": ({**sgd, "learning_rate": "adaptive", "max_iter": 15, "n_iter_no_change": 1, "tol": 0.1}, in_one),
        "lbfgs": ({"solver": "lbfgs", "max_iter": 15}, in_one),
        "early_stopping": ({"early_stopping": True, "n_iter_no_change": 2, "max_iter": 20}, in_one),
        "warm_start": ({"warm_start": True}, twice),
        "warm_start_lbfgs": ({"warm_start": True, "solver": "lbfgs"}, twice),
        "partial_fit": ({}, in_pieces),
        "partial_fit_sgd": (sgd, in_pieces),
        "partial_fit_adamw": ({"optimizer": "adamw"}, in_pieces),
        "dropout": ({"dropout": [0.2, 0.4], "batch_size": 32}, in_one),
        "rmsprop": ({"optimizer": fastnn.RMSprop(momentum=0.5), "batch_size": 300}, in_one),
        "adagrad": ({"optimizer": "adagrad", "activation": ["selu", "gelu"]}, in_one),
        "callbacks": ({"callbacks": [EarlyStopping("loss", patience=1, min_delta=0.5)]}, in_one),
        "eval_set": ({"activation": "logistic"}, with_sets),
    }
    X, y = problem()
    numbers = normal(603, 2, seed=4)
    for name, (options, fit) in chosen.items():
        for dtype in DTYPES:
            rows = X.astype(dtype)
            yield f"sklearn/classifier/{name}/{dtype}", partial(estimated, MLPClassifier, rows, y, options, fit)
            yield f"sklearn/regressor/{name}/{dtype}", partial(estimated, MLPRegressor, rows, numbers, options, fit)
    words, labels = bag_of_words()
    more: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
        "classifier/sparse": (MLPClassifier, words, labels, {}),
        "classifier/sparse_lbfgs": (MLPClassifier, words, labels, {"solver": "lbfgs"}),
        "classifier/two": (MLPClassifier, X, y > 1, {"class_weight": "balanced"}),
        "classifier/several": (MLPClassifier, X, numbers > 0, {"dtype": "float32"}),
        "classifier/squared_error": (MLPClassifier, X, y, {"loss": "squared_error"}),
        "regressor/one": (MLPRegressor, X, numbers[:, 0], {"dtype": "float32"}),
    }
    losses = {
        "absolute_error": "absolute_error",
        "huber": "huber",
        "poisson": "poisson",
        "Huber": fastnn.losses.Huber(0.2),
    }
    for name, loss in {**losses, "quantile": fastnn.losses.Quantile(0.8)}.items():
        more[f"regressor/{name}"] = (MLPRegressor, X, np.abs(numbers), {"loss": loss})
        more[f"regressor/{name}_lbfgs"] = (MLPRegressor, X, np.abs(numbers), {"loss": loss, "solver": "lbfgs"})
    for name, (make, rows, targets, options) in more.items():
        yield f"sklearn/{name}", partial(estimated, make, rows, targets, options, in_one)
    yield from in_each_dtype("sklearn/from_and_to", from_and_to_sklearn)


def from_and_to_sklearn(dtype: str) -> Iterator[Any]:
    """Yield a network as an estimator, and what comes back."""
    X, y = problem()
    for about in ({**CLASSIFIER, "input_scale": 0.5}, {**REGRESSOR, "sizes": [12, 9, 2]}):
        net = new({**about, "dtype": dtype})
        estimator = net.to_sklearn(["d", "b", "a", "c"] if about["sizes"][-1] == 4 else None)
        back = fastnn.from_sklearn(estimator)
        yield from (*estimator.coefs_, *estimator.intercepts_, back.parameters, back.predict(X), repr(back.class_names))
        back.fit(X, y if about["sizes"][-1] == 4 else X[:, :2], epochs=1)
        yield back.parameters


# ---- The textbook's networks


class Cubic:
    """A cost that fastnn has not."""

    @staticmethod
    def fn(a: np.ndarray, y: np.ndarray) -> Any:
        """Return the cost."""
        return (np.abs(a - y) ** 3).sum()

    @staticmethod
    def delta(z: np.ndarray, a: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return its derivative by z."""
        return 3 * np.abs(a - y) * (a - y) * network2.sigmoid_prime(z)


def of_textbook(make: Callable[[], Any], train: Callable[..., Any]) -> Iterator[Any]:
    """Yield a network of columns after a training, what it printed and returned, and its outputs."""
    np.random.seed(7)  # noqa: NPY002 - the book's draws
    random.seed(8)
    X, y = problem(150)
    columns = [(x.reshape(-1, 1), np.eye(4)[:, [label]]) for x, label in zip(X, y, strict=True)]
    labelled = [(x, int(target.argmax())) for x, target in columns[:60]]
    net, printed = make(), io.StringIO()
    with contextlib.redirect_stdout(printed):
        returned = train(net, columns, labelled)
    yield from (*net.weights, *net.biases, printed.getvalue(), repr(returned), net.feedforward(X[:9].T))
    for part in net.backprop(*columns[0]):
        yield from part


def textbook() -> Iterator[Case]:
    """Yield both versions of the textbook's network."""

    def first(net: Any, columns: Any, labelled: Any) -> Any:
        return net.SGD(columns, 3, 10, 3.0, test_data=labelled)

    def second(net: Any, columns: Any, labelled: Any) -> Any:
        return net.SGD(columns, 3, 7, 0.5, 0.1, labelled, True, True, True, True)

    def by_hand(net: Any, columns: Any, labelled: Any) -> Any:
        return net.update_mini_batch(columns[:10], 0.5)

    sizes = [12, 20, 4]
    yield "textbook/network", partial(of_textbook, partial(network.Network, sizes), first)
    yield "textbook/network/update_mini_batch", partial(of_textbook, partial(network.Network, sizes), by_hand)
    for cost in (network2.CrossEntropyCost, network2.QuadraticCost, Cubic):
        make = partial(network2.Network, sizes, cost=cost)
        yield f"textbook/network2/{cost.__name__}", partial(of_textbook, make, second)


FAMILIES = (plain_arrays, estimators, textbook)
