"""Warnings of the estimators point at the caller's line, and heed filters that name scikit-learn's module."""

import inspect
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnn.sklearn import MLPClassifier, MLPRegressor

X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)


def interrupt(net, history):
    raise KeyboardInterrupt


def replacing(kind):
    """Return a subclass with a gradient of its own, which scikit-learn's training honours."""
    return type(f"Own{kind.__name__}", (kind,), {"_backprop": lambda self, *given: kind._backprop(self, *given)})


def fit_in_steps(kind):
    kind(hidden_layer_sizes=(4,), random_state=0, max_iter=1).fit(X, Y)  # warns


def search(kind):
    kind(hidden_layer_sizes=(4,), random_state=0, max_iter=1, solver="lbfgs").fit(X, Y)  # warns


def clip_the_batch(kind):
    kind(hidden_layer_sizes=(4,), random_state=0, batch_size=100, max_iter=30, tol=10.0).fit(X, Y)  # warns


def interrupted(kind):
    kind(hidden_layer_sizes=(4,), random_state=0, max_iter=3, callbacks=[interrupt]).fit(X, Y)  # warns


def in_a_pipeline(kind):
    make_pipeline(StandardScaler(), kind(hidden_layer_sizes=(4,), random_state=0, max_iter=1)).fit(X, Y)  # warns


def in_a_cross_validation(kind):
    cross_val_score(kind(hidden_layer_sizes=(4,), random_state=0, max_iter=1), X, Y, cv=2)  # warns


def with_a_gradient_of_its_own(kind):
    replacing(kind)(hidden_layer_sizes=(4,), random_state=0, max_iter=30, tol=10.0).fit(X, Y)  # warns


CALLS = {
    fit_in_steps: ConvergenceWarning,
    search: ConvergenceWarning,
    clip_the_batch: UserWarning,
    interrupted: UserWarning,
    in_a_pipeline: ConvergenceWarning,
    in_a_cross_validation: ConvergenceWarning,
    with_a_gradient_of_its_own: RuntimeWarning,
}
THEIRS = [call for call, category in CALLS.items() if category is not RuntimeWarning]  # scikit-learn has them too
KINDS = [MLPClassifier, MLPRegressor]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def warning_line(call):
    lines, first = inspect.getsourcelines(call)
    return first + next(number for number, line in enumerate(lines) if line.rstrip().endswith("# warns"))


@each_kind
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_the_callers_line_is_the_place(call, kind):
    with pytest.warns(CALLS[call]) as seen:
        call(kind)
    places = {(warning.category, warning.filename, warning.lineno) for warning in seen}
    assert places == {(CALLS[call], __file__, warning_line(call))}


@each_kind
@pytest.mark.parametrize("call", THEIRS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("module", ["sklearn.neural_network", r"sklearn\.neural_network\._multilayer_perceptron", "sk"])
def test_a_filter_of_scikit_learns_module_silences_them(call, kind, module):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=module)
        call(kind)


@each_kind
def test_a_filter_of_the_category_and_the_module_can_make_an_error(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", category=ConvergenceWarning, module="sklearn.neural_network")
        with pytest.raises(ConvergenceWarning):
            fit_in_steps(kind)


@each_kind
def test_a_filter_of_another_module_leaves_them(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="sklearn.linear_model")
        with pytest.raises(ConvergenceWarning):
            fit_in_steps(kind)
