"""The estimators against scikit-learn's own: the same weights, attributes, warnings and errors."""

import io
import pickle
import runpy
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
import sklearn.neural_network as original
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastnn
import fastnn.sklearn as ours

PROGRAM = Path(__file__).parent / "programs" / "sklearn_digits.py"
DIGITS, LABELS = (array[:400] for array in fastnn.datasets.load_digits())
DIGITS = DIGITS / 16.0
WEIGHTS = np.random.default_rng(0).uniform(0, 2, len(LABELS))
SEVERAL = np.stack([LABELS % 2, LABELS > 4, LABELS < 3], axis=1).astype(int)
TARGETS = np.random.default_rng(1).normal(size=(len(LABELS), 3))
INK = DIGITS.sum(axis=1)
SHORT = {"random_state": 3, "max_iter": 6}


@pytest.fixture(autouse=True)
def _unconverged():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def both(kind, X, y, fit=None, **arguments):
    return [getattr(module, kind)(**arguments).fit(X, y, **(fit or {})) for module in (original, ours)]


def same_parameters(theirs, mine, tolerance):
    pairs = zip(theirs.coefs_ + theirs.intercepts_, mine.coefs_ + mine.intercepts_, strict=True)
    assert all(a.dtype == b.dtype and np.abs(a - b).max() <= tolerance for a, b in pairs)


CHECKS = parametrize_with_checks([ours.MLPClassifier(), ours.MLPRegressor()])  # an iterator, in old versions


@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


# in float64 a step differs by rounding, some 1e-16; 60 steps of Adam, which divides by small roots, leave 1e-14
CLASSIFIERS = [
    {},
    {"batch_size": 32, "hidden_layer_sizes": (16,)},
    {"batch_size": 300, "hidden_layer_sizes": (16, 8), "activation": "tanh", "alpha": 0.5},
    {"hidden_layer_sizes": [], "batch_size": 32},
    {"hidden_layer_sizes": 5, "activation": "identity", "shuffle": False, "batch_size": 37},
    {"solver": "sgd", "activation": "logistic", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    {"solver": "sgd", "nesterovs_momentum": False, "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1},
    {"solver": "sgd", "momentum": 0, "alpha": 0.0, "batch_size": 32},
    {"solver": "sgd", "momentum": 1.0, "learning_rate_init": 1e-4},
    {"early_stopping": True, "validation_fraction": 0.2},
    {"solver": "lbfgs", "hidden_layer_sizes": (8,)},
]


@pytest.mark.parametrize("arguments", CLASSIFIERS, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_classifier_takes_the_same_way(arguments, weighted):
    fit = {"sample_weight": WEIGHTS} if weighted else {}
    theirs, mine = both("MLPClassifier", DIGITS, LABELS, fit, **SHORT | arguments)
    same_parameters(theirs, mine, 1e-12)
    assert theirs.n_iter_ == mine.n_iter_
    assert theirs.loss_ == pytest.approx(mine.loss_, rel=1e-12)
    assert np.abs(theirs.predict_log_proba(DIGITS) - mine.predict_log_proba(DIGITS)).max() < 1e-10
    assert (theirs.predict(DIGITS) == mine.predict(DIGITS)).all()


@pytest.mark.parametrize(
    ("y", "out"), [(LABELS, "softmax"), (LABELS > 4, "logistic"), (SEVERAL, "logistic"), (LABELS * 0, "logistic")]
)
def test_outputs_follow_the_kind_of_target(y, out):
    theirs, mine = both("MLPClassifier", DIGITS, y, **SHORT)
    assert theirs.out_activation_ == mine.out_activation_ == out
    same_parameters(theirs, mine, 1e-12)
    assert theirs.predict_proba(DIGITS).shape == mine.predict_proba(DIGITS).shape
    assert theirs.score(DIGITS, y) == mine.score(DIGITS, y)


@pytest.mark.parametrize("arguments", [{}, {"solver": "lbfgs"}, {"alpha": 2.0, "batch_size": 30}], ids=str)
@pytest.mark.parametrize(("y", "loss"), [(INK, "squared_error"), (TARGETS, "squared_error"), (INK, "poisson")])
def test_a_regression_takes_the_same_way(y, loss, arguments):
    for fit in ({}, {"sample_weight": WEIGHTS}):
        theirs, mine = both("MLPRegressor", DIGITS, y, fit, loss=loss, **SHORT | arguments)
        same_parameters(theirs, mine, 1e-11)
        assert theirs.loss_ == pytest.approx(mine.loss_, rel=1e-11)
        assert np.allclose(theirs.predict(DIGITS), mine.predict(DIGITS), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array"])
def test_sparse_rows_give_what_dense_rows_give(kind):
    rows = getattr(sparse, kind)(DIGITS)
    theirs, mine = both("MLPClassifier", rows, LABELS, **SHORT)
    same_parameters(theirs, mine, 1e-12)
    assert (theirs.predict(rows) == mine.predict(rows)).all()


def test_float32_is_kept():
    theirs, mine = both("MLPClassifier", DIGITS.astype("float32"), LABELS, solver="sgd", **SHORT)
    same_parameters(theirs, mine, 1e-5)  # some 20 steps, each within a few ulp of float32
    assert mine.predict_proba(DIGITS.astype("float32")).dtype == theirs.predict_proba(DIGITS.astype("float32")).dtype


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("arguments", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_the_fitted_attributes_are_the_same(kind, arguments):
    theirs, mine = both(kind, DIGITS, LABELS, **SHORT | arguments)
    public = [{name for name in vars(model) if not name.startswith("_")} for model in (theirs, mine)]
    assert public[0] <= public[1]
    assert public[1] - public[0] <= set(mine.get_params())
    for name in ("n_layers_", "n_outputs_", "t_", "n_iter_", "n_features_in_", "out_activation_"):
        assert getattr(theirs, name, None) == getattr(mine, name, None)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_parameters_and_defaults_are_theirs_and_more(kind):
    theirs, mine = getattr(original, kind)().get_params(), getattr(ours, kind)().get_params()
    assert theirs.items() <= mine.items()


BAD = [
    {"hidden_layer_sizes": (5, 0)},
    {"hidden_layer_sizes": "no"},
    {"activation": "sinus"},
    {"solver": "newton"},
    {"alpha": -1},
    {"batch_size": 0},
    {"max_iter": 0},
    {"validation_fraction": 2.0, "early_stopping": True},
    {"early_stopping": True, "validation_fraction": 0.001},
    {"momentum": 2},
    {"learning_rate_init": 0},
    {"random_state": "x"},
]


@pytest.mark.parametrize("arguments", BAD, ids=str)
def test_errors_are_theirs(arguments):
    found = []
    for module in (original, ours):
        with pytest.raises(Exception, match=r".") as error:
            module.MLPClassifier(**arguments).fit(DIGITS, LABELS)
        found.append(error)
    assert type(found[0].value) is type(found[1].value) or isinstance(found[1].value, type(found[0].value))
    if "activation" not in arguments:  # the list of what is allowed is longer
        assert str(found[0].value) == str(found[1].value)


def messages(model, X, y):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model.fit(X, y)
    return [(warning.category, str(warning.message)) for warning in seen]


@pytest.mark.parametrize(
    "arguments", [{}, {"batch_size": 400}, {"batch_size": 1000}, {"max_iter": 500, "tol": 10.0}, {"solver": "lbfgs"}]
)
def test_warnings_are_theirs(arguments):
    given = SHORT | arguments
    theirs, mine = (messages(module.MLPClassifier(**given), DIGITS, LABELS) for module in (original, ours))
    assert theirs == mine


def test_what_it_prints_is_theirs():
    printed = []
    for module in (original, ours):
        with redirect_stdout(io.StringIO()) as text:
            module.MLPClassifier(
                verbose=True, solver="sgd", learning_rate="adaptive", tol=5.0, n_iter_no_change=2, **SHORT
            ).fit(DIGITS, LABELS)
        printed.append(text.getvalue())
    assert printed[0] == printed[1]
    assert "Setting learning rate" in printed[0]


@pytest.mark.parametrize("arguments", [{}, {"solver": "sgd", "learning_rate": "invscaling"}], ids=str)
def test_partial_fit_keeps_its_optimizer(arguments):
    models = [module.MLPClassifier(random_state=0, **arguments) for module in (original, ours)]
    for start in range(0, 400, 50):
        for model in models:
            model.partial_fit(DIGITS[start : start + 50], LABELS[start : start + 50], classes=np.arange(10))
        rates = [model._optimizer.learning_rate for model in models]
        assert rates[1] == pytest.approx(rates[0], rel=1e-12)
        models[1] = pickle.loads(pickle.dumps(models[1]))
    same_parameters(*models, 1e-13)


def test_partial_fit_is_for_solvers_that_take_steps():
    assert not hasattr(ours.MLPClassifier(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        ours.MLPClassifier(early_stopping=True).partial_fit(DIGITS, LABELS, classes=np.arange(10))


def test_a_warm_start_goes_on():
    models = [module.MLPClassifier(warm_start=True, **SHORT) for module in (original, ours)]
    for model in models:
        model.fit(DIGITS, LABELS).fit(DIGITS, LABELS)
    same_parameters(*models, 1e-12)
    assert models[0].loss_curve_ == pytest.approx(models[1].loss_curve_)


def test_coefficients_that_a_user_assigns_count():
    theirs, mine = both("MLPClassifier", DIGITS, LABELS, **SHORT)
    for model in (theirs, mine):
        model.predict(DIGITS)
        model.coefs_[0][:] = 0
        model.coefs_[1] = model.coefs_[1] * 2
    assert np.allclose(theirs.predict_proba(DIGITS), mine.predict_proba(DIGITS), atol=1e-14)


def test_an_output_activation_that_a_user_assigns_counts():
    theirs, mine = both("MLPRegressor", DIGITS, TARGETS, **SHORT)
    for model in (theirs, mine):
        model.predict(DIGITS)
        model.out_activation_ = "tanh"
    assert np.allclose(theirs.predict(DIGITS), mine.predict(DIGITS), atol=1e-14)


def test_numbers_that_explode_are_refused_as_theirs():
    for module in (original, ours):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
                module.MLPRegressor(solver="sgd", learning_rate_init=1e10, random_state=0).fit(DIGITS, INK)


def test_ctrl_c_keeps_what_was_learned():
    def interrupt(net, history):
        if history.epochs == 2:
            raise KeyboardInterrupt

    model = ours.MLPClassifier(callbacks=[interrupt], **SHORT)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(DIGITS, LABELS)
    assert model.n_iter_ == 2
    assert model.score(DIGITS, LABELS) > 0.2


def test_unfitted_says_so():
    with pytest.raises(NotFittedError):
        ours.MLPClassifier().predict(DIGITS)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_grid_search_finds_what_theirs_finds(backend):
    joblib = pytest.importorskip("joblib")
    found = []
    for module in (original, ours):
        model = make_pipeline(StandardScaler(), module.MLPClassifier(**SHORT))
        search = GridSearchCV(model, {"mlpclassifier__alpha": [1e-4, 10.0]}, cv=2, n_jobs=2)
        with joblib.parallel_backend(backend, inner_max_num_threads=None), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(search.fit(DIGITS, LABELS))
    assert found[0].best_params_ == found[1].best_params_
    assert np.allclose(found[0].cv_results_["mean_test_score"], found[1].cv_results_["mean_test_score"])


def test_clones_shows_itself_and_gives_tables():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(DIGITS, columns=[f"pixel {number}" for number in range(64)])
    model = clone(ours.MLPClassifier((4,), dropout=0.1, **SHORT)).fit(frame, LABELS)
    assert list(model.feature_names_in_) == list(frame.columns)
    assert "MLPClassifier" in model._repr_html_()
    scaled = make_pipeline(StandardScaler(), model).set_output(transform="pandas").fit(frame, LABELS)
    assert scaled.predict(frame).shape == (400,)
    with pytest.warns(UserWarning, match="feature names"):
        model.predict(DIGITS)


def test_metadata_finds_its_way():
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        model = make_pipeline(scaler, ours.MLPClassifier(**SHORT).set_fit_request(sample_weight=True))
        weighted = model.fit(DIGITS, LABELS, sample_weight=WEIGHTS)[-1].coefs_[0]
    plain = make_pipeline(StandardScaler(), ours.MLPClassifier(**SHORT)).fit(DIGITS, LABELS)[-1].coefs_[0]
    assert np.abs(weighted - plain).max() > 1e-3


# ---- what scikit-learn's have not


def test_an_optimizer_of_ones_own_goes_on_in_partial_fit_after_a_pickle():
    straight, pickled = (ours.MLPClassifier(optimizer="rmsprop", random_state=0) for _ in range(2))
    for _ in range(3):
        straight.partial_fit(DIGITS, LABELS, classes=np.arange(10))
        pickled = pickle.loads(pickle.dumps(pickled)).partial_fit(DIGITS, LABELS, classes=np.arange(10))
    assert np.array_equal(straight.coefs_[0], pickled.coefs_[0])


def test_predictions_leave_the_estimator_as_it_is():
    model = ours.MLPClassifier(**SHORT).fit(DIGITS, LABELS)
    before = set(vars(model))
    model.predict(DIGITS)
    assert set(vars(model)) == before


@pytest.mark.slow
def test_a_program_written_for_scikit_learn_runs_unchanged_but_for_the_import(tmp_path):
    text = PROGRAM.read_text(encoding="utf-8")
    changed = text.replace("from sklearn.neural_network import", "from fastnn.sklearn import")
    assert changed != text
    (tmp_path / "program.py").write_text(changed, encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = runpy.run_path(str(PROGRAM))["main"]()
        mine = runpy.run_path(str(tmp_path / "program.py"))["main"]()
    assert theirs["best"] == mine["best"]
    for name in theirs.keys() - {"best"}:
        # hundreds of steps of Adam enlarge the rounding of the first
        assert np.allclose(theirs[name], mine[name], rtol=1e-6, atol=1e-8), name


def test_without_scikit_learn_the_error_names_the_extra():
    code = "import sys; sys.modules['sklearn'] = None; import fastnn.sklearn"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'fastnn[sklearn]'" in found.stderr


@pytest.mark.parametrize("backend", [ours, original])
def test_two_held_out_examples_are_enough_and_one_is_not(backend):
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20.0)
    arguments = {"early_stopping": True, "max_iter": 3, "n_iter_no_change": 5, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = backend.MLPRegressor(hidden_layer_sizes=(4,), validation_fraction=0.1, **arguments).fit(X, y)
        assert len(model.validation_scores_) == 3
        with pytest.raises(ValueError, match="validation set is too small"):
            backend.MLPRegressor(hidden_layer_sizes=(4,), validation_fraction=0.05, **arguments).fit(X, y)


def test_coefficients_are_views_of_one_network_before_and_after_a_pickle():
    model = ours.MLPClassifier(**SHORT).fit(DIGITS, LABELS)
    for estimator in (model, pickle.loads(pickle.dumps(model))):
        expected = estimator.predict_proba(DIGITS)
        base = estimator.coefs_[0].base
        assert all(array.base is base for array in estimator.coefs_ + estimator.intercepts_)
        estimator.coefs_[0][:] = 0
        assert np.abs(estimator.predict_proba(DIGITS) - expected).max() > 1e-3


def test_a_changed_size_cannot_be_continued():
    model = ours.MLPClassifier((8,), warm_start=True, **SHORT).fit(DIGITS, LABELS).set_params(hidden_layer_sizes=(9,))
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"hidden_layer_sizes is .9,., but the fitted network has"):
            method(DIGITS, LABELS)
