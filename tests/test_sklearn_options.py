"""The estimators' options that scikit-learn lacks: what each does, and which training honours or refuses it."""

import inspect
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
from estimator_data import DIGITS, INK, LABELS, SHORT
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnn
import fastnn.sklearn as ours

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:this processor does not multiply bfloat16"),
]
NAMES = np.array(["zero", "one"])[(LABELS > 4).astype(int)]


def note(net, history):
    """Do nothing, after every epoch."""


class OwnGradient(ours.MLPClassifier):
    """A subclass whose training is scikit-learn's."""

    def _backprop(self, *arguments):
        return super()._backprop(*arguments)


def fitted(mode, fit=None, **options):
    """Return a classifier after a training of this kind."""
    kind = OwnGradient if mode == "override" else ours.MLPClassifier
    settings = {
        "sgd": {"solver": "sgd", "learning_rate_init": 0.1},
        "lbfgs": {"solver": "lbfgs"},
        "optimizer": {"optimizer": "adamw"},
        "early_stopping": {"early_stopping": True},
        "warm_start": {"warm_start": True},
    }.get(mode, {})
    model = kind((8,), **SHORT | settings | options)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "OwnGradient replaces")
        if mode == "partial_fit":
            return model.partial_fit(DIGITS, LABELS > 4, classes=[False, True])
        model.fit(DIGITS, LABELS > 4, **fit or {})
        return model.fit(DIGITS, LABELS > 4, **fit or {}) if mode == "warm_start" else model


MODES = ["adam", "sgd", "optimizer", "early_stopping", "warm_start", "partial_fit", "lbfgs", "override"]
IN_STEPS = r"is for training in steps, .* got solver='lbfgs'"
OWN_TRAINING = "OwnGradient replaces _backprop, .* cannot honour"
NO_SUCH = "OwnGradient replaces _backprop, .* has no"
OPTIONS = {  # option -> its value, and the modes that refuse it with the words of their error
    "dropout": (0.5, {"lbfgs": f"dropout {IN_STEPS}", "override": f"{OWN_TRAINING} dropout"}),
    "optimizer": ("rmsprop", {"lbfgs": f"optimizer {IN_STEPS}", "override": f"{OWN_TRAINING} optimizer"}),
    "callbacks": ([note], {"lbfgs": f"callbacks {IN_STEPS}", "override": f"{OWN_TRAINING} callbacks"}),
    "n_threads": (1, {"override": f"{OWN_TRAINING} n_threads"}),
    "dtype": ("float32", {}),
    "precision": ("bfloat16", {"lbfgs": f"precision {IN_STEPS}", "override": f"{OWN_TRAINING} precision"}),
    "class_weight": ({True: 7.0}, {}),
    "loss": ("squared_error", {"override": f"{NO_SUCH} loss 'squared_error'"}),
    "activation": (["gelu"], {"override": rf"{NO_SUCH} activation \['gelu'\]"}),
    "eval_set": (
        [(DIGITS, LABELS > 4)],
        {"lbfgs": f"eval_set {IN_STEPS}", "override": f"{OWN_TRAINING} eval_set", "partial_fit": None},
    ),
    "X_val": (
        DIGITS,
        {"lbfgs": f"X_val {IN_STEPS}", "override": f"{OWN_TRAINING} X_val", "partial_fit": None},
    ),
}


def test_no_option_is_without_a_row():
    fit = set(inspect.signature(ours.MLPClassifier.fit).parameters) - {"self", "X", "y", "sample_weight", "y_val"}
    assert set(OPTIONS) == set(ours.MLPClassifier.fastnn_constraints) | fit | {"activation"}


@pytest.mark.parametrize("mode", MODES)
def test_defaults_are_honoured_by_every_training(mode):
    assert hasattr(fitted(mode), "loss_")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("option", OPTIONS)
def test_every_training_honours_an_option_or_says_that_it_cannot(option, mode):
    value, refused = OPTIONS[option]
    fit = {"eval_set": {"eval_set": value}, "X_val": {"X_val": DIGITS, "y_val": LABELS > 4}}.get(option, {})
    given = {} if fit else {option: value}
    if mode in refused:
        if refused[mode] is not None:  # otherwise the method does not take it at all
            with pytest.raises(ValueError, match=refused[mode]):
                fitted(mode, fit, **given)
        return
    called = []
    if option == "callbacks":
        given = {option: [lambda net, history: called.append(1)]}
    plain, model = fitted(mode), fitted(mode, fit, **given)
    same = np.array_equal(plain.coefs_[0], model.coefs_[0])
    if option == "callbacks":
        assert called
    elif fit:
        assert len(model.evals_result_["validation_0"]["loss"]) == model.n_iter_
    elif option == "dtype":
        assert model.coefs_[0].dtype == np.float32
    elif option == "n_threads":
        assert same
    else:
        assert not same


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": "adaptive"}, "learning_rate is for solver='sgd'"),
        ({"power_t": 0.4}, "power_t is for"),
        ({"momentum": 0.5}, "momentum is for .* got momentum=0.5"),
        ({"nesterovs_momentum": False}, "nesterovs_momentum is for"),
        ({"beta_1": 0.5}, "beta_1 is for"),
        ({"beta_2": 0.5}, "beta_2 is for"),
        ({"epsilon": 1e-3}, "epsilon is for"),
        ({"learning_rate_init": 0.5}, "give learning_rate_init or the learning_rate of the optimizer, not both"),
    ],
)
def test_settings_of_the_solver_do_not_go_with_an_optimizer(settings, message):
    with pytest.raises(ValueError, match=message):
        ours.MLPClassifier(optimizer=fastnn.AdamW(learning_rate=0.01), **settings).fit(DIGITS, LABELS)


def test_an_optimizer_without_a_rate_takes_that_of_the_estimator():
    given, taken = fastnn.RMSprop(learning_rate=0.02), fastnn.RMSprop()
    one = ours.MLPClassifier(optimizer=given, **SHORT).fit(DIGITS, LABELS)
    two = ours.MLPClassifier(optimizer=taken, learning_rate_init=0.02, **SHORT).fit(DIGITS, LABELS)
    assert np.array_equal(one.coefs_[0], two.coefs_[0])


def test_an_optimizer_takes_the_place_of_the_solver():
    adam = ours.MLPClassifier(**SHORT).fit(DIGITS, LABELS)
    given = fastnn.Adam(epsilon_before_correction=True)
    same = ours.MLPClassifier(optimizer=given, **SHORT).fit(DIGITS, LABELS)
    other = ours.MLPClassifier(optimizer="rmsprop", **SHORT).fit(DIGITS, LABELS)
    assert np.array_equal(adam.coefs_[0], same.coefs_[0])
    assert np.abs(adam.coefs_[0] - other.coefs_[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("optimizer", "error", "message"),
    [
        ("banana", ValueError, "banana"),
        ("lbfgs", ValueError, "give solver='lbfgs'"),
        (
            fastnn.Adam(learning_rate=fastnn.schedules.Cosine(0.1, epochs=3)),
            TypeError,
            "learning_rate must be a number",
        ),
    ],
)
def test_an_optimizer_that_cannot_take_the_place_says_so(optimizer, error, message):
    with pytest.raises(error, match=message):
        ours.MLPClassifier(optimizer=optimizer, **SHORT).fit(DIGITS, LABELS)


def test_early_stopping_and_a_callback_that_restores_contradict_each_other():
    def stop(**settings):
        callback = fastnn.callbacks.EarlyStopping("loss", **settings)
        return ours.MLPClassifier(early_stopping=True, callbacks=[callback], **SHORT)

    with pytest.raises(ValueError, match="give it restore_best=False, or leave early_stopping out"):
        stop().fit(DIGITS, LABELS)
    assert stop(restore_best=False).fit(DIGITS, LABELS).validation_scores_


def test_parameters_that_a_callback_sets_at_the_end_are_kept():
    class Zero(fastnn.callbacks.Callback):
        def on_fit_end(self, net, history):
            net.parameters = 0 * net.parameters

    for early_stopping in (False, True):
        model = ours.MLPClassifier(early_stopping=early_stopping, callbacks=[Zero()], **SHORT).fit(DIGITS, LABELS)
        assert not model.coefs_[0].any()


@pytest.mark.parametrize(
    "callback", [fastnn.callbacks.EarlyStopping("loss"), fastnn.callbacks.TimeLimit(1)], ids=lambda c: type(c).__name__
)
def test_partial_fit_refuses_callbacks_that_choose_among_epochs(callback):
    with pytest.raises(ValueError, match=f"{type(callback).__name__}, which is for fit"):
        fitted("partial_fit", callbacks=[callback])


@pytest.mark.parametrize(
    ("callbacks", "error", "message"),
    [
        ([5], TypeError, "callbacks must be a sequence of callables"),
        ([fastnn.callbacks.EarlyStopping], TypeError, "the class itself"),
        ([fastnn.callbacks.EarlyStopping()], ValueError, "'val_loss'; give fit an eval_set, or X_val and y_val"),
        ([fastnn.callbacks.EarlyStopping("val_accuracy")], ValueError, "monitor must be one of loss in this training"),
    ],
)
def test_callbacks_are_checked_before_the_first_epoch(callbacks, error, message):
    model = ours.MLPClassifier(callbacks=callbacks, **SHORT)
    with pytest.raises(error, match=message):
        model.fit(DIGITS, LABELS)
    assert not hasattr(model, "coefs_")


def test_dropout_needs_a_hidden_layer():
    with pytest.raises(ValueError, match="dropout of hidden neurons must be 0 without hidden layers"):
        ours.MLPClassifier([], dropout=0.5).fit(DIGITS, LABELS)


def test_dropout_disturbs_the_training_and_not_the_prediction():
    plain, dropped = (ours.MLPClassifier(dropout=rate, **SHORT).fit(DIGITS, LABELS) for rate in (0.0, 0.5))
    assert np.abs(plain.coefs_[0] - dropped.coefs_[0]).max() > 1e-3
    assert np.array_equal(dropped.predict_proba(DIGITS), dropped.predict_proba(DIGITS))


def test_a_list_of_activations_is_one_for_each_layer():
    same = ours.MLPClassifier((6, 5), activation=["relu", "relu"], **SHORT).fit(DIGITS, LABELS)
    plain = ours.MLPClassifier((6, 5), **SHORT).fit(DIGITS, LABELS)
    mixed = ours.MLPClassifier((6, 5), activation=["gelu", "tanh"], **SHORT).fit(DIGITS, LABELS)
    assert np.array_equal(same.coefs_[0], plain.coefs_[0])
    assert not np.array_equal(mixed.coefs_[0], plain.coefs_[0])
    with pytest.raises(ValueError, match="one name for each of the 2 hidden layers"):
        ours.MLPClassifier((6, 5), activation=["relu"]).fit(DIGITS, LABELS)


@pytest.mark.parametrize("loss", ["huber", "absolute_error", fastnn.losses.Quantile(0.9)], ids=str)
def test_other_losses_of_a_regression_fall(loss):
    model = ours.MLPRegressor(loss=loss, random_state=0, max_iter=30).fit(DIGITS, INK)
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]


def test_a_classifier_with_squared_error_has_probabilities():
    model = ours.MLPClassifier(loss="squared_error", random_state=0, max_iter=60).fit(DIGITS, LABELS)
    assert np.allclose(model.predict_proba(DIGITS).sum(axis=1), 1)
    assert model.score(DIGITS, LABELS) > 0.8


def test_every_number_of_threads_gives_the_same_bits():
    one, two = (ours.MLPClassifier((300,), n_threads=n, **SHORT).fit(DIGITS, LABELS) for n in (1, 2))
    assert all((a == b).all() for a, b in zip(one.coefs_, two.coefs_, strict=True))


@pytest.mark.parametrize("n_threads", [None, 1, 2])
def test_lbfgs_keeps_to_the_number_of_threads(n_threads, monkeypatch):
    from fastnn.kernels import threads

    wanted = []
    run = threads.run_on_team

    def spy(parallel, member, count, *arguments):
        wanted.append(count)
        return run(parallel, member, count, *arguments)

    monkeypatch.setattr(threads, "run_on_team", spy)
    monkeypatch.setattr(threads, "max_threads", lambda: 3)
    ours.MLPClassifier((300,), solver="lbfgs", n_threads=n_threads, **SHORT).fit(DIGITS, LABELS)
    assert set(wanted) == {n_threads or 3}


@pytest.mark.parametrize("mode", ["adam", "lbfgs"])
def test_dtype_chooses_the_arithmetic(mode):
    model = fitted(mode, dtype="float32")
    assert {coef.dtype for coef in model.coefs_} == {np.dtype("float32")}
    assert model.score(DIGITS, LABELS > 4) > 0.5


def test_products_in_bfloat16_take_parameters_in_float32():
    model = ours.MLPClassifier((8,), precision="bfloat16", **SHORT).fit(DIGITS.astype(np.float64), LABELS > 4)
    assert {coef.dtype for coef in model.coefs_} == {np.dtype("float32")}
    with pytest.raises(
        ValueError, match="precision 'bfloat16' takes parameters of dtype 'float32', got dtype 'float64'"
    ):
        ours.MLPClassifier((8,), precision="bfloat16", dtype="float64", **SHORT).fit(DIGITS, LABELS > 4)


def test_values_beyond_the_dtype_are_refused_by_name():
    wide = DIGITS.copy()
    wide[3, 2] = 1e300
    model = ours.MLPClassifier(dtype="float32", **SHORT)
    with pytest.raises(ValueError, match="X must hold finite numbers within float32"):
        model.fit(wide, LABELS)
    with pytest.raises(ValueError, match=r"eval_set\[0\]: X must hold finite numbers within float32"):
        model.fit(DIGITS, LABELS, eval_set=[(wide, LABELS)])


# ---- class weights


def test_class_weights_count_as_sample_weights():
    balanced = ours.MLPClassifier(class_weight="balanced", **SHORT).fit(DIGITS, LABELS > 7)
    share = (LABELS > 7).mean()
    by_hand = np.where(LABELS > 7, 0.5 / share, 0.5 / (1 - share))
    weighted = ours.MLPClassifier(**SHORT).fit(DIGITS, LABELS > 7, sample_weight=by_hand)
    assert np.allclose(balanced.coefs_[0], weighted.coefs_[0], atol=1e-12)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weights_multiply_sample_weights(solver):
    given = np.linspace(0, 2, len(LABELS))
    by_hand = given * np.where(NAMES == "one", 3.0, 1.0)
    one = ours.MLPClassifier(class_weight={"one": 3}, solver=solver, **SHORT).fit(DIGITS, NAMES, sample_weight=given)
    two = ours.MLPClassifier(solver=solver, **SHORT).fit(DIGITS, NAMES, sample_weight=by_hand)
    assert np.array_equal(one.coefs_[0], two.coefs_[0])


@pytest.mark.parametrize("classes", [["a", "b", "c"], ["1", "2", "3"], [1.0, 2.0, 3.0], [7, 8, 9]], ids=str)
def test_a_class_with_a_weight_need_not_occur_in_a_batch(classes):
    y = np.array(classes)[np.arange(40) % 2]  # the third never occurs
    model = ours.MLPClassifier(class_weight={classes[2]: 5, classes[0]: 2.0}, **SHORT)
    model.partial_fit(DIGITS[:40], y, classes=classes).partial_fit(DIGITS[40:80], y)
    weighted = ours.MLPClassifier(**SHORT)
    for start in (0, 40):
        weight = np.where(y == classes[0], 2.0, 1.0)
        weighted.partial_fit(DIGITS[start : start + 40], y, classes=classes, sample_weight=weight)
    assert np.array_equal(model.coefs_[0], weighted.coefs_[0])


def test_a_batch_whose_classes_all_weigh_nothing_changes_nothing():
    model = ours.MLPClassifier(class_weight={0: 0.0, 1: 1.0}, **SHORT)
    model.partial_fit(DIGITS[:50], LABELS[:50] > 4, classes=[0, 1])
    before = model.coefs_[0].copy()
    model.partial_fit(DIGITS[LABELS == 3], np.zeros((LABELS == 3).sum(), int))
    assert np.array_equal(before, model.coefs_[0])
    model.partial_fit(DIGITS[LABELS == 8], np.ones((LABELS == 8).sum(), int))
    assert not np.array_equal(before, model.coefs_[0])


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({"one": -1.0}, r"class_weight\['one'\] must be 0 or more, got -1.0"),
        ({"one": np.nan}, r"class_weight\['one'\] must be finite"),
        ({"none": 2.0}, r"class_weight names \['none'\], but the classes are \['one', 'zero'\]"),
        ({"one": 0, "zero": 0}, "class_weight must not be 0 for every example"),
    ],
)
def test_class_weights_that_make_no_sense_are_refused_by_name(class_weight, message):
    with pytest.raises(ValueError, match=message):
        ours.MLPClassifier(class_weight=class_weight, **SHORT).fit(DIGITS, NAMES)


def test_class_weights_of_several_labels_are_balanced_in_each():
    several = np.stack([LABELS % 2, LABELS > 6], axis=1)
    balanced = ours.MLPClassifier(class_weight="balanced", **SHORT).fit(DIGITS, several)
    weight = sklearn.utils.compute_sample_weight("balanced", several)
    weighted = ours.MLPClassifier(**SHORT).fit(DIGITS, several, sample_weight=weight)
    assert np.array_equal(balanced.coefs_[0], weighted.coefs_[0])


def test_partial_fit_cannot_balance():
    with pytest.raises(ValueError, match="class_weight='balanced' is for fit"):
        fitted("partial_fit", class_weight="balanced")


BAD_INPUT = [
    ({"y": INK}, "Unknown label type"),
    ({"y": LABELS[:-1]}, "inconsistent numbers of samples"),
    ({"y": np.where(LABELS > 3, "a", None)}, "."),
    ({"X": np.where(DIGITS > 0.9, np.nan, DIGITS)}, "X contains NaN"),
    ({"sample_weight": np.full(400, np.nan)}, "sample_weight contains NaN"),
    ({"sample_weight": np.ones(7)}, r"sample_weight.shape == \(7,\)"),
    ({"sample_weight": np.r_[-1, np.ones(399)]}, "sample_weight must hold finite numbers of 0 or more"),
    (
        {"sample_weight": np.zeros(400)},
        "(?i)sample.weights? must (not be 0 for every example|contain at least one non-zero number)",
    ),
]


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize(("bad", "message"), BAD_INPUT, ids=[message for _, message in BAD_INPUT])
def test_what_is_wrong_with_the_input_is_said_before_classes_are_weighted(bad, message, options):
    errors = []
    for class_weight in (None, "balanced"):
        with pytest.raises((TypeError, ValueError), match=message) as error:
            ours.MLPClassifier(class_weight=class_weight, **SHORT | options).fit(**{"X": DIGITS, "y": LABELS} | bad)
        errors.append(error.value)
    assert str(errors[0]) == str(errors[1])
    assert type(errors[0]) is type(errors[1])


# ---- sets to evaluate


@pytest.mark.parametrize(
    "names", [LABELS, np.array(list("abcdefghij"))[LABELS], LABELS > 4], ids=["int", "str", "bool"]
)
def test_evaluation_sets_are_evaluated_after_every_epoch(names):
    sets = [(DIGITS[300:], names[300:]), (DIGITS[:300], names[:300])]
    model = ours.MLPClassifier(early_stopping=True, **SHORT).fit(*sets[1], eval_set=sets)
    assert len(model.validation_scores_) == 6
    model = ours.MLPClassifier(**SHORT).fit(*sets[1], eval_set=sets)
    for number, (X, y) in enumerate(sets):
        seen = model.evals_result_[f"validation_{number}"]
        assert len(seen["loss"]) == len(seen["score"]) == 6
        assert seen["score"][-1] == model.score(X, y)


def test_callbacks_see_the_evaluation_and_stop():
    stop = fastnn.callbacks.EarlyStopping(monitor="val_loss", patience=1, min_delta=1e9)
    model = ours.MLPClassifier(callbacks=[stop], **SHORT)
    model.fit(DIGITS, LABELS, eval_set=[(DIGITS, LABELS)])
    assert model.n_iter_ < 6


@pytest.mark.parametrize("warm_start", [False, True])
def test_an_evaluation_set_need_not_have_every_class(warm_start):
    some = LABELS < 7
    model = ours.MLPClassifier(warm_start=warm_start, **SHORT)
    model.fit(DIGITS, LABELS, eval_set=[(DIGITS[some], LABELS[some])]).fit(
        DIGITS, LABELS, eval_set=[(DIGITS[some], LABELS[some])]
    )
    assert model.evals_result_["validation_0"]["score"][-1] == model.score(DIGITS[some], LABELS[some])


BAD_SETS = [
    ({"eval_set": 5}, TypeError, "eval_set must be a list of pairs"),
    ({"eval_set": (DIGITS, LABELS)}, TypeError, "eval_set must be a list of pairs"),
    ({"eval_set": [(DIGITS,)]}, TypeError, "eval_set must be a list of pairs"),
    ({"eval_set": [(DIGITS[:, :9], LABELS)]}, ValueError, r"eval_set\[0\]: X has 9 features"),
    ({"eval_set": [(DIGITS, LABELS), (DIGITS, LABELS + 1)]}, ValueError, r"eval_set\[1\]: y has the labels \[10\]"),
    ({"eval_set": [(DIGITS * np.nan, LABELS)]}, ValueError, r"eval_set\[0\]: Input X contains NaN"),
    ({"X_val": DIGITS, "y_val": LABELS[:-3]}, ValueError, "X_val, y_val: .* inconsistent numbers"),
    ({"X_val": DIGITS}, ValueError, "X_val and y_val must be given together, got X_val without y_val"),
    ({"y_val": LABELS}, ValueError, "X_val and y_val must be given together, got y_val without X_val"),
]


@pytest.mark.parametrize(("given", "error", "message"), BAD_SETS, ids=[message for *_, message in BAD_SETS])
def test_sets_are_checked_before_the_training(given, error, message):
    model = ours.MLPClassifier((3,), max_iter=1)
    with pytest.raises(error, match=message):
        model.fit(DIGITS, LABELS, **given)
    assert not hasattr(model, "coefs_")


def test_targets_of_an_evaluation_set_have_the_columns_of_the_others():
    with pytest.raises(ValueError, match=r"eval_set\[0\]: y must have 1 columns, as that of fit, got 2"):
        ours.MLPRegressor().fit(DIGITS, INK, eval_set=[(DIGITS, np.stack([INK, INK], axis=1))])


def test_validation_data_come_first_and_are_those_of_early_stopping():
    held = (DIGITS[300:], LABELS[300:])
    model = ours.MLPClassifier(early_stopping=True, **SHORT)
    model.fit(DIGITS[:300], LABELS[:300], X_val=held[0], y_val=held[1], eval_set=[(DIGITS, LABELS)])
    assert model.evals_result_["validation_0"]["score"] == model.validation_scores_
    assert model.best_validation_score_ == model.score(*held)
    assert model.t_ == 6 * 300  # nothing is held out of the examples


def test_validation_data_go_through_a_pipeline():
    train, held = (DIGITS[:300] * 50 + 7, LABELS[:300]), (DIGITS[300:] * 50 + 7, LABELS[300:])
    scaler = StandardScaler().fit(train[0])
    expected = ours.MLPClassifier(**SHORT)
    expected.fit(scaler.transform(train[0]), train[1], X_val=scaler.transform(held[0]), y_val=held[1])
    with sklearn.config_context(enable_metadata_routing=True):
        model = ours.MLPClassifier(**SHORT).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), model, transform_input=["X_val"])
        pipeline.fit(*train, X_val=held[0], y_val=held[1])
    assert pipeline[-1].evals_result_ == expected.evals_result_
