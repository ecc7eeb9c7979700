"""Subclasses written for scikit-learn's estimators: their methods are called, their attributes are their own."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn.neural_network as original
from estimator_data import DIGITS, INK, LABELS, SHORT
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import _base

import fastnn
import fastnn.sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
REPLACES = "scikit-learn's own training runs"
MODULES = [original, ours]


def twins(body, kind="MLPClassifier"):
    """Return a subclass of scikit-learn's estimator and one of fastnn's, with the same body."""
    return [type("Twin", (getattr(module, kind),), dict(body)) for module in MODULES]


def same_weights(models, tolerance=1e-12):
    pairs = zip(models[0].coefs_ + models[0].intercepts_, models[1].coefs_ + models[1].intercepts_, strict=True)
    assert all(np.abs(a - b).max() <= tolerance for a, b in pairs)


def fit_both(kinds, X=DIGITS, y=LABELS, method="fit", fit=None, **settings):
    models = [kind(**SHORT | settings) for kind in kinds]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f".*{REPLACES}")
        for model in models:
            getattr(model, method)(X, y, **fit or {})
    same_weights(models)
    return models


# ---- methods that compute gradients


def backprop(self, *arguments):
    """Count, and double the gradient of the first layer."""
    self.calls = getattr(self, "calls", 0) + 1
    loss, coef_grads, intercept_grads = super(type(self), self)._backprop(*arguments)
    coef_grads[0] = 2 * coef_grads[0]
    return loss, coef_grads, intercept_grads


def forward_pass(self, activations):
    activations = super(type(self), self)._forward_pass(activations)
    self.calls = getattr(self, "calls", 0) + 1
    activations[1][:, 0] = 0
    return activations


def compute_loss_grad(self, layer, weight, activations, deltas, coef_grads, intercept_grads):
    self.calls = getattr(self, "calls", 0) + 1
    super(type(self), self)._compute_loss_grad(layer, weight, activations, deltas, coef_grads, intercept_grads)
    coef_grads[layer] *= 0.5


GRADIENTS = {"_backprop": backprop, "_forward_pass": forward_pass, "_compute_loss_grad": compute_loss_grad}


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_methods_that_compute_gradients_take_part_in_the_training(kind, name, solver):
    y = LABELS if kind == "MLPClassifier" else INK
    theirs, mine = fit_both(twins({name: GRADIENTS[name]}, kind), y=y, solver=solver)
    assert theirs.calls == mine.calls > 0
    plain = getattr(ours, kind)(solver=solver, **SHORT).fit(DIGITS, y)
    assert np.abs(plain.coefs_[0] - mine.coefs_[0]).max() > 1e-4


@pytest.mark.parametrize("fit", [{}, {"sample_weight": np.linspace(0, 2, 400)}], ids=["plain", "weighted"])
def test_they_do_so_with_early_stopping_and_in_partial_fit(fit):
    kinds = twins({"_backprop": backprop})
    fit_both(kinds, early_stopping=True, fit=fit)
    models = [kind(**SHORT) for kind in kinds]
    with pytest.warns(RuntimeWarning, match=REPLACES):  # noqa: PT031
        for start in (0, 200):
            part = {name: value[start : start + 200] for name, value in fit.items()}
            for model in models:
                X, y = DIGITS[start : start + 200], LABELS[start : start + 200]
                model.partial_fit(X, y, classes=np.arange(10), **part)
    same_weights(models)


@pytest.mark.parametrize("name", ["_loss_grad_lbfgs", "_unpack"])
def test_methods_of_the_search_are_called(name):
    def method(self, *arguments):
        self.calls = getattr(self, "calls", 0) + 1
        return getattr(super(type(self), self), name)(*arguments)

    theirs, mine = fit_both(twins({name: method}), solver="lbfgs")
    assert theirs.calls == mine.calls > 0


def test_a_warning_says_that_the_training_is_scikit_learns():
    class Mine(ours.MLPClassifier):
        _backprop = backprop

    with pytest.warns(RuntimeWarning, match=f"^Mine replaces _backprop: {REPLACES}") as seen:
        Mine(**SHORT).fit(DIGITS, LABELS)
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        ours.MLPClassifier(**SHORT).fit(DIGITS, LABELS)


@pytest.mark.parametrize("where", ["instance", "class"])
def test_assigned_methods_count_as_those_of_a_subclass(where, monkeypatch):
    calls = []
    inherited = ours.MLPClassifier._compute_loss_grad

    def method(self, *arguments):
        calls.append(1)
        return inherited(self, *arguments)

    model = ours.MLPClassifier(**SHORT)
    if where == "class":
        monkeypatch.setattr(ours.MLPClassifier, "_compute_loss_grad", method)
    else:
        model._compute_loss_grad = method.__get__(model)
    with pytest.warns(RuntimeWarning, match=REPLACES):
        model.fit(DIGITS, LABELS)
    assert calls


@pytest.mark.parametrize("table", ["ACTIVATIONS", "DERIVATIVES", "LOSS_FUNCTIONS"])
def test_functions_in_scikit_learns_tables_can_be_replaced(table, monkeypatch):
    name = "log_loss" if table == "LOSS_FUNCTIONS" else "tanh"
    own = getattr(_base, table)[name]

    def halved(*arguments):
        found = own(*arguments)
        if table == "LOSS_FUNCTIONS":
            return found / 2
        arguments[-1][...] /= 2
        return None

    monkeypatch.setitem(getattr(_base, table), name, halved)
    theirs, mine = fit_both([original.MLPClassifier, ours.MLPClassifier], activation="tanh")
    assert theirs.loss_ == pytest.approx(mine.loss_)
    assert np.allclose(theirs.predict_proba(DIGITS), mine.predict_proba(DIGITS))


def test_a_program_may_give_its_own_optimizer():
    class Descent:
        def update_params(self, parameters, gradients):
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= 0.5 * gradient

        def iteration_ends(self, time_step):
            pass

    models = [module.MLPClassifier(**SHORT) for module in MODULES]
    with pytest.warns(RuntimeWarning, match=f"replaces _optimizer: {REPLACES}"):  # noqa: PT031
        for model in models:
            model.partial_fit(DIGITS, LABELS, classes=np.arange(10))
            model._optimizer = Descent()
            model.partial_fit(DIGITS, LABELS)
    same_weights(models)


def test_what_is_not_scikit_learns_cannot_go_with_them():
    class Mine(ours.MLPRegressor):
        _backprop = backprop

    with pytest.raises(ValueError, match=r"Mine replaces _backprop, .* has no loss 'huber'"):
        Mine("huber").fit(DIGITS, INK)


# ---- called with arrays


def call(model, X, y, sample_weight):
    activations = [X] + [None] * (model.n_layers_ - 1)
    deltas = [None] * (len(activations) - 1)
    gradients = [np.empty_like(coef) for coef in model.coefs_], [np.empty_like(part) for part in model.intercepts_]
    loss, of_coefs, of_intercepts = model._backprop(X, y, sample_weight, activations, deltas, *gradients)
    return [np.array(loss), *of_coefs, *of_intercepts, *activations[1:]]


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("sample_weight", [None, np.linspace(0.5, 2, 400)], ids=["plain", "weighted"])
def test_gradients_of_arrays_are_scikit_learns(solver, sample_weight):
    theirs, mine = (module.MLPClassifier((7, 5), solver=solver, **SHORT).fit(DIGITS, LABELS) for module in MODULES)
    mine.coefs_, mine.intercepts_ = theirs.coefs_, theirs.intercepts_
    y = np.eye(10, dtype=bool)[LABELS]
    pairs = zip(call(theirs, DIGITS, y, sample_weight), call(mine, DIGITS, y, sample_weight), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert all(np.array_equal(a, b) for a, b in zip(theirs._forward_pass([DIGITS, 0, 0, 0]),
                                                    mine._forward_pass([DIGITS, 0, 0, 0]), strict=True))  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [
        {"activation": "gelu"},
        {"activation": ["silu", "tanh"]},
        {"loss": "huber"},
        {"loss": fastnn.losses.Quantile(0.8)},
    ],
    ids=str,
)
def test_gradients_of_arrays_with_fastnns_functions_are_those_of_the_loss(settings):
    model = ours.MLPRegressor(hidden_layer_sizes=(5, 4), alpha=0.1, **settings | SHORT).fit(DIGITS, INK)
    y, step, weight = INK.reshape(-1, 1), 1e-6, np.linspace(0.5, 2, 400)
    before = [coef.copy() for coef in model.coefs_]
    gradient = call(model, DIGITS, y, weight)[1][20, 3]
    losses = []
    for sign in (1, -1):
        model.coefs_[0][20, 3] = before[0][20, 3] + sign * step
        losses.append(call(model, DIGITS, y, weight)[0])
    assert gradient == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-5)
    model.coefs_[0][20, 3] = before[0][20, 3]
    assert all(np.array_equal(a, b) for a, b in zip(model.coefs_, before, strict=True))


# ---- methods that are called between


def test_the_hook_of_an_epoch_sees_the_weights_of_that_epoch():
    def hook(self, *arguments):
        vars(self).setdefault("seen", []).append([coef.copy() for coef in self.coefs_])
        super(type(self), self)._update_no_improvement_count(*arguments)

    for settings in ({}, {"early_stopping": True}):
        theirs, mine = fit_both(twins({"_update_no_improvement_count": hook}), **settings)
        assert len(theirs.seen) == len(mine.seen) == 6
        for one, two in zip(theirs.seen, mine.seen, strict=True):
            assert all(np.abs(a - b).max() < 1e-12 for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("in_place", [True, False])
def test_weights_that_the_hook_changes_are_trained_on(in_place):
    class Pruned(ours.MLPClassifier):
        def _update_no_improvement_count(self, *arguments):
            if in_place:
                self.coefs_[0][:, 0] = 0
            else:
                self.coefs_[0] = self.coefs_[0] * (np.arange(self.coefs_[0].shape[1]) > 0)
            super()._update_no_improvement_count(*arguments)

    model = Pruned((8,), **SHORT).fit(DIGITS, LABELS)
    plain = ours.MLPClassifier((8,), **SHORT).fit(DIGITS, LABELS)
    assert not model.coefs_[0][:, 0].any()
    assert np.abs(model.coefs_[1] - plain.coefs_[1]).max() > 1e-4


def initialize(self, y, layer_units, dtype):
    super(type(self), self)._initialize(y, layer_units, dtype)
    self.coefs_[0][:] = 0.01


def init_coef(self, fan_in, fan_out, dtype):
    return np.full((fan_in, fan_out), 0.001, dtype) * np.arange(fan_out), np.zeros(fan_out, dtype)


def validate_input(self, X, y, incremental, reset):
    X, y = super(type(self), self)._validate_input(X, y, incremental, reset)
    return X * 2, y


def score(self, X, y, sample_weight=None):
    self.calls = getattr(self, "calls", 0) + 1
    return self.calls % 3


def fit_stochastic(self, X, *arguments):
    super(type(self), self)._fit_stochastic(X * 3, *arguments)
    self.loss_curve_.append(0.0)


HOOKS = {"_initialize": initialize, "_init_coef": init_coef, "_validate_input": validate_input, "_score": score,
         "_fit_stochastic": fit_stochastic, "_fit_lbfgs": lambda self, X, *rest: None}  # fmt: skip


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize("name", HOOKS)
def test_other_methods_are_called_as_scikit_learn_calls_them(name, settings):
    theirs, mine = fit_both(twins({name: HOOKS[name]}), **settings)
    assert getattr(theirs, "calls", 0) == getattr(mine, "calls", 0)
    assert getattr(theirs, "loss_curve_", []) == pytest.approx(getattr(mine, "loss_curve_", []))


def test_a_training_of_the_subclass_is_its_own():
    """It runs in the place of fastnn's, which knows the options, and is told so if there are any."""

    def own(self, X, y, *arguments):
        self.coefs_[0][:] = 0.5
        self.loss_, self.n_iter_ = 0.0, 1

    fit_both(twins({"_fit_stochastic": own}))

    class Mine(ours.MLPClassifier):
        _fit_stochastic = own

    with pytest.raises(ValueError, match=r"Mine._fit_stochastic has taken the place .* could not honour dropout"):
        Mine(dropout=0.5).fit(DIGITS, LABELS)


def test_a_subclass_may_have_its_own_fit_below_the_checks():
    def _fit(self, X, y, sample_weight=None, incremental=False):
        self._fitted_by = "mine"
        return super(type(self), self)._fit(X / 2, y, sample_weight=sample_weight, incremental=incremental)

    _, mine = fit_both(twins({"_fit": _fit}))
    assert mine._fitted_by == "mine"


@pytest.mark.parametrize("name", ["_predict", "_forward_pass_fast"])
def test_methods_that_predict_are_called(name):
    def method(self, X, check_input=True):
        found = getattr(super(type(self), self), name)(X, check_input=check_input)
        return found[::-1]

    theirs, mine = fit_both(twins({name: method}))
    assert np.array_equal(theirs.predict(DIGITS), mine.predict(DIGITS))
    assert np.allclose(theirs.predict_proba(DIGITS), mine.predict_proba(DIGITS), atol=1e-12)
    theirs, mine = fit_both(twins({name: method}, "MLPRegressor"), y=INK)
    assert np.allclose(theirs.predict(DIGITS), mine.predict(DIGITS), atol=1e-12)


# ---- attributes and parameters


def own_init(self, hidden_layer_sizes=(10,), class_weight="balanced", dropout=0.7, callbacks="none", random_state=3):
    super(type(self), self).__init__(hidden_layer_sizes=hidden_layer_sizes, max_iter=6, random_state=random_state)
    self.class_weight, self.dropout, self.callbacks = class_weight, dropout, callbacks


def own_init_first(self, class_weight="balanced", dropout=0.7):
    self.class_weight, self.dropout = class_weight, dropout
    super(type(self), self).__init__(max_iter=6, random_state=3)


def own_fit(self, X, y):
    self.class_weight, self.dropout, self.optimizer, self.n_threads = {0: 100.0}, 0.5, "sgd", 7
    return super(type(self), self).fit(X, y)


@pytest.mark.parametrize(
    "body",
    [{"__init__": own_init}, {"__init__": own_init_first}, {"fit": own_fit}],
    ids=lambda body: next(iter(body.values())).__name__,
)
def test_attributes_of_a_subclass_do_not_change_the_fit(body):
    settings = {} if "__init__" in body else SHORT
    models = [kind(**settings) for kind in twins(body)]
    for model in models:
        model.fit(DIGITS, LABELS)
    same_weights(models)
    assert models[0].class_weight == models[1].class_weight
    assert models[0].dropout == models[1].dropout
    if "__init__" in body:  # a copy of the other is built with what its attributes have become
        same_weights([clone(model).fit(DIGITS, LABELS) for model in models])


def test_a_search_over_a_subclass_own_parameter_does_not_change_the_fit():
    found = []
    for kind in twins({"__init__": own_init}):
        search = GridSearchCV(kind(), {"dropout": [0.1, 0.9]}, cv=2).fit(DIGITS, LABELS)
        found.append(search.best_estimator_)
    same_weights(found)


def test_members_of_a_subclass_are_not_covered_by_options():
    class Mine(ours.MLPClassifier):
        optimizer = "mine"

        def dropout(self, X):
            return X / 2

        @property
        def dtype(self):
            return "mine"

        def callbacks(self):
            return 5

    model = Mine(**SHORT).fit(DIGITS, LABELS)
    assert (model.optimizer, model.dropout(4), model.dtype, model.callbacks()) == ("mine", 2, "mine", 5)
    assert np.array_equal(model.coefs_[0], ours.MLPClassifier(**SHORT).fit(DIGITS, LABELS).coefs_[0])


class Passing(ours.MLPClassifier):
    """A subclass that hands an option on."""

    def __init__(self, width=8, dropout=0.0):
        super().__init__((width,), dropout=dropout, **SHORT)
        self.width = width


def test_options_that_a_subclass_hands_on_are_honoured():
    def weights(dropout):
        return ours.MLPClassifier((8,), dropout=dropout, **SHORT).fit(DIGITS, LABELS).coefs_[0]

    model = Passing(dropout=0.5).fit(DIGITS, LABELS)
    assert np.array_equal(model.coefs_[0], weights(0.5))
    assert np.array_equal(clone(model).fit(DIGITS, LABELS).coefs_[0], weights(0.5))
    model.set_params(dropout=0.25).fit(DIGITS, LABELS)
    assert np.array_equal(model.coefs_[0], weights(0.25))
    search = GridSearchCV(Passing(), {"dropout": [0.5]}, cv=2).fit(DIGITS, LABELS)
    assert np.array_equal(search.best_estimator_.coefs_[0], weights(0.5))


def test_a_subclass_without_a_constructor_has_the_options_of_its_parent():
    class Plain(ours.MLPClassifier):
        pass

    expected = ours.MLPClassifier(dropout=0.5, **SHORT).fit(DIGITS, LABELS).coefs_[0]
    assert np.array_equal(Plain(dropout=0.5, **SHORT).fit(DIGITS, LABELS).coefs_[0], expected)
    assert np.array_equal(Plain(**SHORT).set_params(dropout=0.5).fit(DIGITS, LABELS).coefs_[0], expected)


def test_a_subclass_may_leave_out_the_constructor():
    class Bare(ours.MLPClassifier):
        def __init__(self):
            vars(self).update(original.MLPClassifier(**SHORT).get_params(), loss="log_loss", dropout="mine")

    same_weights([original.MLPClassifier(**SHORT).fit(DIGITS, LABELS), Bare().fit(DIGITS, LABELS)])


def test_a_subclass_may_have_a_constructor_of_its_own():
    class Small(ours.MLPClassifier):
        def __init__(self, width=4):
            super().__init__((width,), **SHORT)
            self.width = width

    assert Small(5).fit(DIGITS, LABELS).coefs_[0].shape == (64, 5)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_names_of_a_subclass_meet_none_of_fastnns(kind):
    """All that fastnn adds under a private name begins with _fastnn."""
    theirs, mine = (set(dir(getattr(module, kind)())) for module in MODULES)
    added = {name for name in mine - theirs if name.startswith("_") and not name.startswith("__")}
    assert all(name.startswith("_fastnn") for name in added), added
