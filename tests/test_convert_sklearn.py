"""Networks from fitted scikit-learn perceptrons and back."""

import pickle
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


def test_names_are_converted_both_ways():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(DIGITS[:, :3], columns=["a", "b", "c"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = MLPClassifier((4,), max_iter=2).fit(frame, LABELS > 4)
    net = fastnn.from_sklearn(theirs)
    assert net.column_names == ("a", "b", "c")
    assert net.class_names == (False, True)
    assert list(net.to_sklearn().feature_names_in_) == ["a", "b", "c"]


def saved_and_loaded(net, folder):
    net.save(folder / "net.safetensors")
    return fastnn.load(folder / "net.safetensors")


def resumed(net, folder):
    """The network out of a checkpoint of a training that began with it."""
    net.fit(DIGITS, np.eye(max(2, net.sizes[-1]))[LABELS % 2][:, -net.sizes[-1] :], epochs=0, checkpoint=folder)
    return fastnn.load(folder / "checkpoint.safetensors")


WAYS = {
    "at once": lambda net, folder: net,
    "file": saved_and_loaded,
    "file of a file": lambda net, folder: saved_and_loaded(saved_and_loaded(net, folder), folder),
    "checkpoint": resumed,
    "pickle": lambda net, folder: pickle.loads(pickle.dumps(net)),
    "copy": lambda net, folder: net.copy(),
    "estimator": lambda net, folder: fastnn.from_sklearn(net.to_sklearn()),
}
LABELS_OF_CLASSES = [
    np.array(["no", "yes", "zebra"]),
    np.array(["False", "True"]),
    np.array(["0", "1", "10"]),
    np.array([0, 1, 2]),
    np.array([-3, 5, 2**40]),
    np.array([3, 5, 9], "int32"),
    np.array([3, 5], "uint8"),
    np.array([0.0, 1.0, 4.0]),
    np.array([0.0, 1.0, 4.0], "float32"),
    np.array([False, True]),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("labels", LABELS_OF_CLASSES, ids=lambda labels: f"{labels.dtype}-{labels[-1]}")
@pytest.mark.parametrize("kind", [MLPClassifier, fastnn.sklearn.MLPClassifier])
def test_labels_and_their_type_survive_every_conversion(kind, labels, way, tmp_path):
    theirs = fitted(kind, labels[LABELS % len(labels)])
    net = WAYS[way](fastnn.from_sklearn(theirs), tmp_path)
    assert isinstance(net.class_names, tuple)
    assert list(net.class_names) == labels.tolist()
    again = net.to_sklearn()
    for found, wanted in ((again.classes_, theirs.classes_), (again.predict(DIGITS), theirs.predict(DIGITS))):
        assert found.dtype == wanted.dtype
        assert (found == wanted).all()
    assert again.coefs_[0].dtype == theirs.coefs_[0].dtype
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again.partial_fit(DIGITS, labels[LABELS % len(labels)])  # which checks the labels against classes_


def test_labels_of_every_usual_type_become_python_values():
    for labels, kind in ((["a", "b"], str), ([0, 1], int), ([False, True], bool), ([0.0, 1.0], float)):
        net = fastnn.from_sklearn(fitted(MLPClassifier, np.array(labels)[LABELS % 2]))
        assert [type(name) for name in net.class_names] == [kind, kind]


@pytest.mark.parametrize(
    "classes", [(0, "1", 2), (0, 2, True), [0, 1, 2.5], (0.5, 1.5, 2.5), (None, 1, 2), np.array([0, "1", 2], object)]
)
def test_labels_that_scikit_learn_does_not_accept_are_refused(classes):
    net = fastnn.Network([2, 3], activation="softmax", loss="cross_entropy", seed=0)
    with pytest.raises(ValueError, match="labels that scikit-learn takes, all of them texts, booleans or whole"):
        net.to_sklearn(classes)
    net.class_names = classes
    with pytest.raises(ValueError, match="labels that scikit-learn takes, all of them texts, booleans or whole"):
        net.to_sklearn()


def test_fastnns_own_estimators_are_converted_too():
    mine = fitted(fastnn.sklearn.MLPClassifier, LABELS, dtype="float32")
    net = fastnn.from_sklearn(mine)
    assert net.dtype == np.float32
    # predict_proba takes the float64 inputs in float64
    assert np.allclose(net.predict(DIGITS), mine.predict_proba(DIGITS), atol=1e-5)


def test_a_converted_estimator_can_be_trained_further():
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
    ("activation", "names"),
    [
        ("sigmoid", ("spam", "ham")),
        ("sigmoid", ("ham", "spam")),
        ("softmax", ("spam", "ham")),
        ("softmax", ("ham", "spam")),
        ("softmax", ("c", "a", "b")),
        ("softmax", tuple(map(str, range(12)))),  # "10" comes before "2"
    ],
)
def test_class_names_in_any_order_stay_with_their_outputs(activation, names):
    count = len(names) if activation == "softmax" else 1
    loss = "cross_entropy" if activation == "softmax" else "binary_cross_entropy"
    net = fastnn.Network([64, 9, count], activation=["tanh", activation], loss=loss, dtype="float64", seed=0)
    net.class_names = names
    estimator = net.to_sklearn()
    assert estimator.classes_.tolist() == sorted(names)
    assert estimator.predict(DIGITS).tolist() == [names[number] for number in net.classify(DIGITS)]
    outputs = net.predict(DIGITS) if count > 1 else np.hstack([1 - net.predict(DIGITS), net.predict(DIGITS)])
    assert np.allclose(estimator.predict_proba(DIGITS), outputs[:, np.argsort(names)], **CLOSE)
    again = fastnn.from_sklearn(estimator).to_sklearn()
    assert np.allclose(again.predict_proba(DIGITS), estimator.predict_proba(DIGITS), **CLOSE)


def test_two_softmax_outputs_are_trained_further_as_one():
    net = fastnn.Network([64, 9, 2], activation=["relu", "softmax"], loss="cross_entropy", seed=0)
    estimator = net.to_sklearn().set_params(learning_rate_init=0.01)
    for _ in range(20):
        estimator.partial_fit(DIGITS, LABELS > 4)
    assert estimator.n_outputs_ == estimator.coefs_[-1].shape[1] == 1
    assert estimator.score(DIGITS, LABELS > 4) > 0.8


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_converted_estimator_has_the_attributes_of_a_fitted_one(kind):
    theirs = fitted(kind, LABELS)
    made = fastnn.from_sklearn(theirs).to_sklearn()
    assert {name for name in vars(theirs) if not name.startswith("_")} == {
        name for name in vars(made) if not name.startswith("_")
    }


@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-5), ("float64", 1e-12)])
def test_the_dtype_is_kept(dtype, close):
    rows = DIGITS.astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = MLPClassifier((9,), max_iter=5, random_state=0).fit(rows, LABELS)
    net = fastnn.from_sklearn(theirs)
    made = net.to_sklearn()
    assert net.dtype == made.coefs_[0].dtype == dtype
    assert np.abs(net.predict(rows) - theirs.predict_proba(rows)).max() < close  # sums of 64 products in another order
    assert np.array_equal(made.predict_proba(rows), theirs.predict_proba(rows))


@pytest.mark.parametrize(
    ("net", "classes", "message"),
    [
        (fastnn.Network([2, 3, 3, 1], activation=["relu", "tanh", "identity"], seed=0), None, "one activation for all"),
        (fastnn.Network([2, 3, 1], activation=["gelu", "identity"], seed=0), None, "one activation for all"),
        (fastnn.Network([2, 3, 1], seed=0), None, "no 'sigmoid' outputs with loss 'squared_error'"),
        (fastnn.Network([2, 3], activation="softmax", loss="cross_entropy", seed=0), [1, 2, 1], "3 different labels"),
        (fastnn.Network([2, 3], activation="softmax", loss="cross_entropy", seed=0), [1, 2], "3 different labels"),
        (fastnn.Network([2, 3], activation="identity", seed=0), [1, 2, 3], "classes are for one label of several"),
        (fastnn.Network([2, 3], loss="binary_cross_entropy", seed=0), [1, 2, 3], "classes are for one label"),
    ],
)
def test_a_network_that_scikit_learn_cannot_express_says_why(net, classes, message):
    with pytest.raises(ValueError, match=message):
        net.to_sklearn(classes)


def test_an_estimator_that_is_not_a_fitted_perceptron_says_so():
    with pytest.raises(TypeError, match="MLPClassifier or an MLPRegressor, got LinearRegression"):
        fastnn.from_sklearn(LinearRegression())
    with pytest.raises(NotFittedError):
        fastnn.from_sklearn(MLPClassifier())


def test_an_estimator_that_diverged_is_refused():
    theirs = fitted(MLPClassifier, LABELS)
    theirs.intercepts_[0][3] = np.nan
    with pytest.raises(ValueError, match="parameters must be finite within float64, got an estimator"):
        fastnn.from_sklearn(theirs)


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    for name in ("sklearn", "sklearn.neural_network"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"fastnn\[sklearn\]"):
        fastnn.Network([2, 1], activation="identity", seed=0).to_sklearn()
