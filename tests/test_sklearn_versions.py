"""What the estimators need of scikit-learn beyond its public interface is checked where it is imported."""

import importlib
import runpy
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

from fastnn.compat.estimators import scikit_learn

ROOT = Path(__file__).parent.parent
SUPPORTED = r"fastnn\.sklearn works with scikit-learn 1\.\d+ to 1\.\d+, but \S+ is installed: "
PERCEPTRONS = "sklearn.neural_network._multilayer_perceptron"
OPTIMIZERS = "sklearn.neural_network._stochastic_optimizers"
NEEDED = {
    PERCEPTRONS: ["BaseMultilayerPerceptron"],
    OPTIMIZERS: ["AdamOptimizer", "BaseOptimizer", "SGDOptimizer"],
    "sklearn.utils._param_validation": ["Interval", "StrOptions", "validate_parameter_constraints"],
    "sklearn.utils.validation": ["validate_data"],
    "sklearn.neural_network._base": ["ACTIVATIONS", "DERIVATIVES", "LOSS_FUNCTIONS"],
}
NAMES = [(module, name) for module, names in NEEDED.items() for name in names]


def import_anew():
    """Run the module as a first import does; the package keeps the one that it has."""
    runpy.run_path(scikit_learn.__file__)


def refused(message):
    return pytest.raises(ImportError, match=SUPPORTED + ".*" + message)


def test_the_installed_version_passes():
    import_anew()


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[name for _, name in NAMES])
def test_a_name_that_is_gone_is_said_with_the_versions_that_work(module, name, monkeypatch):
    monkeypatch.delattr(f"{module}.{name}")
    with refused(name):
        import_anew()


@pytest.mark.parametrize("name", scikit_learn.METHODS)
def test_a_method_that_is_gone_is_said(name, monkeypatch):
    perceptrons = importlib.import_module(PERCEPTRONS)
    for kind in (perceptrons.BaseMultilayerPerceptron, perceptrons.MLPClassifier, perceptrons.MLPRegressor):
        if name in vars(kind):
            monkeypatch.delattr(kind, name)
    with refused(f"MLPClassifier.{name} takes None"):
        import_anew()


@pytest.mark.parametrize("name", scikit_learn.METHODS)
def test_a_method_with_other_parameters_is_said(name, monkeypatch):
    monkeypatch.setattr(f"{PERCEPTRONS}.MLPRegressor.{name}", lambda self, other: None)
    with refused(rf"MLPRegressor.{name} takes \('other',\)"):
        import_anew()


@pytest.mark.parametrize(
    ("method", "attribute"),
    [(method, attribute) for method, attributes in scikit_learn.ATTRIBUTES.items() for attribute in attributes],
)
def test_a_method_that_no_longer_sets_an_attribute_is_said(method, attribute, monkeypatch):
    kind = importlib.import_module(PERCEPTRONS).BaseMultilayerPerceptron
    original = getattr(kind, method)
    names = tuple(name for name in original.__code__.co_names if name != attribute)
    changed = type(original)(original.__code__, original.__globals__)
    changed.__code__ = original.__code__.replace(co_names=(*names, "another"))
    changed.__defaults__ = original.__defaults__
    monkeypatch.setattr(kind, method, changed)
    with refused(f"{method} does not set {attribute}"):
        import_anew()


def test_a_classifier_without_its_binarizer_is_said(monkeypatch):
    def _validate_input(self, X, y, incremental, reset):
        return X, y

    monkeypatch.setattr(f"{PERCEPTRONS}.MLPClassifier._validate_input", _validate_input)
    with refused("MLPClassifier._validate_input does not set _label_binarizer"):
        import_anew()


def test_estimators_without_constraints_are_said(monkeypatch):
    perceptrons = importlib.import_module(PERCEPTRONS)
    for kind in perceptrons.BaseMultilayerPerceptron, perceptrons.MLPRegressor:
        monkeypatch.delattr(kind, "_parameter_constraints")
    monkeypatch.delattr("sklearn.base.BaseEstimator._parameter_constraints", raising=False)
    with refused("MLPClassifier has no _parameter_constraints"):
        import_anew()


@pytest.mark.parametrize(
    ("kind", "attribute"), [("AdamOptimizer", "ms"), ("AdamOptimizer", "beta_1"), ("SGDOptimizer", "velocities")]
)
def test_an_optimizer_without_its_state_is_said(kind, attribute, monkeypatch):
    def hidden(self):
        raise AttributeError(attribute)

    def ignore(self, value):
        pass

    monkeypatch.setattr(f"{OPTIMIZERS}.{kind}.{attribute}", property(hidden, ignore), raising=False)
    with refused(f"{kind} has no {attribute}"):
        import_anew()


def test_an_optimizer_that_takes_other_settings_is_said(monkeypatch):
    original = importlib.import_module(OPTIMIZERS).SGDOptimizer

    class SGDOptimizer(original):
        def __init__(self, params, lr=0.1):
            super().__init__(params)

    monkeypatch.setattr(f"{OPTIMIZERS}.SGDOptimizer", SGDOptimizer)
    with refused("SGDOptimizer does not take learning_rate_init, lr_schedule, momentum, nesterov, power_t"):
        import_anew()


def test_the_versions_of_the_error_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    first, last = (int(version.partition(".")[2]) for version in (scikit_learn.VERSIONS[0], scikit_learn.VERSIONS[-1]))
    assert project["optional-dependencies"]["sklearn"] == [f"scikit-learn>=1.{first},<1.{last + 1}"]
    assert len(scikit_learn.VERSIONS) == last - first + 1
