"""Networks from fitted scikit-learn perceptrons and back."""

import sys
import warnings

import numpy as np
import pytest

import fastnn

pytest.importorskip("sklearn")

from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

import fastnn.sklearn

DIGITS, LABELS = (array[:300] for array in fastnn.datasets.load_digits())
DIGITS = DIGITS / 16.0
SEVERAL = np.stack([LABELS % 2, LABELS > 4, LABELS < 3], axis=1).astype(int)
CLOSE = {"rtol": 0, "atol": 1e-12}  # float64: sums of 64 products in another order


def fitted(kind, y, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(hidden_layer_sizes=(9, 5), max_iter=5, random_state=0, **arguments).fit(DIGITS, y)


CASES = [
    (MLPClassifier, LABELS, {"activation": "relu"}),
    (MLPClassifier, LABELS, {"activation": "tanh"}),
    (MLPClassifier, np.where(LABELS > 4, "yes", "no"), {"activation": "logistic"}),
    (MLPClassifier, SEVERAL, {"activation": "identity"}),
    (MLPRegressor, LABELS.astype(float), {}),
    (MLPRegressor, DIGITS[:, :3], {}),
    (MLPRegressor, LABELS, {"loss": "poisson"}),
]


@pytest.mark.parametrize(("kind", "y", "arguments"), CASES)
def test_outputs_are_those_of_the_estimator_and_back(kind, y, arguments):
    theirs = fitted(kind, y, **arguments)
    net = fastnn.from_sklearn(theirs)
    wanted = theirs.predict_proba(DIGITS) if kind is MLPClassifier else theirs.predict(DIGITS)
    wanted = wanted[:, 1:] if net.sizes[-1] == 1 and kind is MLPClassifier else wanted
    assert np.allclose(net.predict(DIGITS), wanted.reshape(len(DIGITS), -1), **CLOSE)
    again = net.to_sklearn(classes=None if y is SEVERAL else getattr(theirs, "classes_", None))
    assert type(again) is kind
    assert np.allclose(again.predict(DIGITS) == theirs.predict(DIGITS), True) or np.allclose(
        again.predict(DIGITS), theirs.predict(DIGITS), **CLOSE
    )
    assert again.score(DIGITS, y) == pytest.approx(theirs.score(DIGITS, y))


def test_names_travel():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(DIGITS[:, :3], columns=["a", "b", "c"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = MLPClassifier((4,), max_iter=2).fit(frame, LABELS > 4)
    net = fastnn.from_sklearn(theirs)
    assert net.column_names == ("a", "b", "c")
    assert net.class_names == ("False", "True")
    assert list(net.to_sklearn().feature_names_in_) == ["a", "b", "c"]


def test_fastnns_own_estimators_are_read_too():
    mine = fitted(fastnn.sklearn.MLPClassifier, LABELS, dtype="float32")
    net = fastnn.from_sklearn(mine)
    assert net.dtype == np.float32
    # predict_proba takes the float64 inputs in float64
    assert np.allclose(net.predict(DIGITS), mine.predict_proba(DIGITS), atol=1e-5)


def test_a_network_becomes_an_estimator_that_learns_on():
    net = fastnn.Network([64, 12, 10], activation=["relu", "softmax"], loss="cross_entropy", seed=0, input_scale=1 / 16)
    images, labels = (array[:300] for array in fastnn.datasets.load_digits())
    net.fit(images, labels, epochs=5, learning_rate=0.3)
    estimator = net.to_sklearn()
    assert np.allclose(estimator.predict_proba(images), net.predict(images), atol=1e-5)
    assert (estimator.predict(images) == net.classify(images)).all()
    before = estimator.score(images, labels)
    for _ in range(20):
        estimator.partial_fit(images, labels)
    assert estimator.score(images, labels) > before


@pytest.mark.parametrize(
    ("net", "classes", "message"),
    [
        (fastnn.Network([2, 3, 3, 1], activation=["relu", "tanh", "identity"], seed=0), None, "one activation for all"),
        (fastnn.Network([2, 3, 1], activation=["gelu", "identity"], seed=0), None, "one activation for all"),
        (fastnn.Network([2, 3, 1], seed=0), None, "no 'sigmoid' outputs with loss 'squared_error'"),
        (fastnn.Network([2, 3], activation="softmax", loss="cross_entropy", seed=0), [2, 1, 0], "ascending"),
        (fastnn.Network([2, 3], activation="softmax", loss="cross_entropy", seed=0), [1, 2], "3 labels"),
    ],
)
def test_what_scikit_learn_cannot_be_says_so(net, classes, message):
    with pytest.raises(ValueError, match=message):
        net.to_sklearn(classes)


def test_what_is_no_fitted_perceptron_says_so():
    with pytest.raises(TypeError, match="MLPClassifier or an MLPRegressor, got LinearRegression"):
        fastnn.from_sklearn(LinearRegression())
    with pytest.raises(NotFittedError):
        fastnn.from_sklearn(MLPClassifier())


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    for name in ("sklearn", "sklearn.neural_network"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"fastnn\[sklearn\]"):
        fastnn.Network([2, 1], activation="identity", seed=0).to_sklearn()
