"""skl2onnx converts the estimators, whichever is imported first."""

import sys
import warnings

import numpy as np
import pytest
from helpers import run_python

pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")

import onnxruntime
from estimator_data import DIGITS, INK, LABELS, SHORT
from skl2onnx import to_onnx
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnn.compat.estimators.skl2onnx_converters import register_when_imported
from fastnn.sklearn import MLPClassifier, MLPRegressor

ROWS = DIGITS.astype(np.float32)
TEXTS = np.array(["zero", "one"])[LABELS % 2]
TOLERANCE = 1e-5  # of probabilities in float32


def fitted(estimator, y, in_pipeline=False):
    model = make_pipeline(StandardScaler(), estimator) if in_pipeline else estimator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few epochs do not converge
        return model.fit(ROWS, y)


def run(model, **arguments):
    session = onnxruntime.InferenceSession(to_onnx(model, ROWS[:1], **arguments).SerializeToString())
    return session.run(None, {"X": ROWS})


@pytest.mark.parametrize("in_pipeline", [False, True])
@pytest.mark.parametrize("y", [LABELS, LABELS % 2, TEXTS], ids=["several", "two", "texts"])
def test_labels_and_probabilities_are_those_of_the_classifier(y, in_pipeline):
    model = fitted(MLPClassifier((8,), **SHORT), y, in_pipeline)
    given = model[-1] if in_pipeline else model
    labels, probabilities = run(model, options={id(given): {"zipmap": False}})
    assert labels.tolist() == model.predict(ROWS).tolist()
    np.testing.assert_allclose(probabilities, model.predict_proba(ROWS), atol=TOLERANCE)


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_outputs_are_those_of_the_regressor(in_pipeline):
    model = fitted(MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", **SHORT), INK, in_pipeline)
    (outputs,) = run(model)
    np.testing.assert_allclose(outputs[:, 0], model.predict(ROWS), rtol=1e-4, atol=TOLERANCE)


REFUSED = [
    (MLPClassifier((8,), activation="gelu", **SHORT), LABELS, "got 'gelu'"),
    (MLPClassifier((8,), loss="squared_error", **SHORT), LABELS, "got 'squared_error'"),
    (MLPRegressor(hidden_layer_sizes=(8,), **SHORT), DIGITS[:, 20:22], "got 2"),
]


@pytest.mark.parametrize(("estimator", "y", "reason"), REFUSED, ids=["activation", "loss", "outputs"])
def test_what_skl2onnx_would_write_wrongly_is_refused(estimator, y, reason):
    with pytest.raises(ValueError, match=reason):
        run(fitted(estimator, y))


@pytest.mark.slow
@pytest.mark.parametrize("modules", [("skl2onnx", "fastnn.sklearn"), ("fastnn.sklearn", "skl2onnx")])
def test_either_may_be_imported_first(modules):
    program = "".join(f"import {name}\n" for name in modules)
    program += "from skl2onnx._supported_operators import get_model_alias\n"
    program += "print(get_model_alias(fastnn.sklearn.MLPRegressor))"
    assert run_python(program) == "FastnnMLPRegressor\n"


def test_a_version_that_lacks_what_is_needed_is_named(monkeypatch):
    monkeypatch.delattr("skl2onnx.update_registered_converter")
    with pytest.warns(RuntimeWarning, match="no converters for this version of skl2onnx"):
        register_when_imported(MLPClassifier, MLPRegressor)


def test_where_skl2onnx_is_not_installed_nothing_happens(monkeypatch):
    monkeypatch.setattr("sys.meta_path", [])
    monkeypatch.setattr("sys.modules", {name: module for name, module in sys.modules.items() if name != "skl2onnx"})
    register_when_imported(MLPClassifier, MLPRegressor)
    (finder,) = sys.meta_path
    assert finder.find_spec("skl2onnx", None) is None


def test_it_registers_once_the_module_has_run(monkeypatch):
    monkeypatch.setattr("sys.modules", {name: module for name, module in sys.modules.items() if name != "skl2onnx"})
    monkeypatch.setattr("sys.meta_path", list(sys.meta_path))
    register_when_imported(MLPClassifier, MLPRegressor)
    finder = sys.meta_path[0]
    ran = []
    monkeypatch.setattr(finder, "register", lambda: ran.append("registered"))
    assert finder.find_spec("numpy", None) is None
    spec = finder.find_spec("skl2onnx", None)
    assert ran == []
    finder._execute(ran.append, "module")
    assert ran == ["module", "registered"]
    assert spec.loader.exec_module.func == finder._execute
