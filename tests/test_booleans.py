"""Integers are not booleans, nor booleans anything that is true: every such argument is checked by its name."""

import numpy as np
import pytest
from helpers import regression, regressor

import fastnn
from fastnn.callbacks import EarlyStopping, ModelCheckpoint

X, Y = regression()
CONFIG = {"sizes": [4, 2], "epochs": 1}
INTEGERS = {
    "sizes": lambda value: fastnn.Network([4, value]),
    "seed": lambda value: fastnn.Network([4, 2], seed=value),
    "epochs": lambda value: regressor().fit(X, Y, epochs=value),
    "batch_size": lambda value: regressor().fit(X, Y, epochs=1, batch_size=value),
    "n_threads": lambda value: regressor().fit(X, Y, epochs=1, n_threads=value),
    "prefetch": lambda value: regressor().fit_stream([(X, Y)], prefetch=value),
    "halving": lambda value: fastnn.fit_many([CONFIG], X, Y, halving=value),
    "ensemble": lambda value: fastnn.fit_many([CONFIG], X, Y, ensemble=value),
    "steps": lambda value: regressor().find_learning_rate(X, Y, steps=value),
    "layers": lambda value: regressor().freeze(value),
    "patience": lambda value: EarlyStopping(patience=value),
    "history_size": lambda value: fastnn.LBFGS(history_size=value),
}
BOOLEANS = {
    "restore_best": lambda value: EarlyStopping(restore_best=value),
    "prefer_later": lambda value: EarlyStopping(prefer_later=value),
    "save_best_only": lambda value: ModelCheckpoint("best.safetensors", save_best_only=value),
    "flat": lambda value: regressor().gradients(X, Y, flat=value),
    "logits": lambda value: regressor().to_torch(logits=value),
    "learned_input_scale": lambda value: fastnn.Network([4, 2], learned_input_scale=value),
    "learned_activation": lambda value: fastnn.Network([4, 2], learned_activation=value),
    "shuffle": lambda value: regressor().fit(X, Y, epochs=1, shuffle=value),
    "drop_last": lambda value: regressor().fit(X, Y, epochs=1, drop_last=value),
    "nesterov": lambda value: fastnn.SGD(momentum=0.9, nesterov=value),
}


@pytest.mark.parametrize("value", [True, np.True_], ids=["bool", "numpy"])
@pytest.mark.parametrize("name", INTEGERS)
def test_a_boolean_is_no_integer(name, value):
    with pytest.raises((TypeError, ValueError), match=name):
        INTEGERS[name](value)


@pytest.mark.parametrize("value", ["no", 1, []], ids=repr)
@pytest.mark.parametrize("name", BOOLEANS)
def test_what_is_true_is_no_boolean(name, value):
    with pytest.raises(TypeError, match=f"{name} must be True or False"):
        BOOLEANS[name](value)


@pytest.mark.parametrize("seed", [1 << 63, -1, True, 1.0])
def test_a_seed_that_is_set_later_is_checked_as_the_first_one(seed):
    net = regressor()
    before = net.seed
    for attempt in (lambda: setattr(net, "seed", seed), lambda: fastnn.Network([4, 2], seed=seed)):
        with pytest.raises((TypeError, ValueError), match="seed"):
            attempt()
    assert net.seed == before


@pytest.mark.parametrize("value", [False, True, np.True_], ids=repr)
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_an_estimators_own_options_take_no_booleans(kind, value):
    estimators = pytest.importorskip("fastnn.sklearn", exc_type=ImportError)
    estimator = getattr(estimators, kind)
    for name in estimator.fastnn_constraints:
        with pytest.raises((TypeError, ValueError), match=name):
            estimator(**{name: value}).fit(X, Y[:, 0] > 0)
