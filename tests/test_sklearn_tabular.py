"""The estimators for tables: DataFrames and arrays, scikit-learn's conventions, what chooses the best epoch."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")

import pandas
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import (
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastnn
from fastnn.sklearn import TabularClassifier, TabularRegressor

RNG = np.random.default_rng(0)
N = 160
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 0, "n_threads": 1}


def table(n=N):
    """Numbers, categories, two-valued ones and missing values."""
    rng = np.random.default_rng(1)
    size, colour = rng.normal(100, 30, n), rng.choice(["red", "green", "blue"], n, p=[0.5, 0.3, 0.2])
    size[::9] = np.nan
    frame = pandas.DataFrame({"size": size, "colour": pandas.Categorical(colour), "sex": rng.choice(["f", "m"], n)})
    cost = np.where(np.isnan(size), 100, size) + 40 * (colour == "red") + rng.normal(0, 5, n)
    frame.loc[::7, "colour"] = None
    return frame, cost


FRAME, COST = table()
DEAR = np.where(np.median(COST) < COST, "dear", "cheap")
THIRDS = np.digitize(COST, np.quantile(COST, [0.33, 0.67]))

CHECKS = parametrize_with_checks(  # an iterator, in old versions
    [
        TabularClassifier(hidden_layer_sizes=(16,), n_threads=1, max_iter=100),
        TabularRegressor(hidden_layer_sizes=(16,), n_threads=1, max_iter=100),
    ],
)


@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize(("kind", "y"), [(TabularClassifier, DEAR), (TabularRegressor, COST)])
def test_polars_pandas_and_arrays_of_objects_give_the_same_answers(kind, y):
    polars = pytest.importorskip("polars")
    expected = kind(**SMALL).fit(FRAME, y).predict(FRAME)
    theirs = polars.DataFrame(
        {
            "size": FRAME["size"].to_numpy(),
            "colour": polars.Series(FRAME["colour"].astype(object).where(FRAME["colour"].notna(), None).tolist()),
            "sex": FRAME["sex"].tolist(),
        }
    ).with_columns(polars.col("colour").cast(polars.Categorical))
    assert (kind(**SMALL).fit(theirs, y).predict(theirs) == expected).all()
    objects = FRAME.astype(object).to_numpy()
    assert (kind(**SMALL).fit(objects, y).predict(objects) == expected).all()


def test_categories_of_polars_that_look_like_numbers_stay_categories():
    polars = pytest.importorskip("polars")
    X = polars.DataFrame({"code": polars.Series(["1", "2", "3", "4"] * 10).cast(polars.Categorical)})
    assert TabularRegressor(**SMALL).fit(X, np.arange(40.0)).encoder_.columns[0].kind == "category"


def test_inputs_of_the_network_are_scaled_by_quartiles_and_softly_clipped():
    clf = TabularClassifier(**SMALL, validation_fraction=None).fit(FRAME, DEAR)
    assert clf.encoder_.feature_names == (
        "size", "size is missing", "colour: red", "colour: green", "colour: blue", "colour is missing", "sex: m, not f",
    )  # fmt: skip
    inputs = clf.encoder_.transform(FRAME)
    red = (FRAME["colour"] == "red").to_numpy(np.float64)
    # of fewer than three quarters and more than half of the rows, or less than half, 0: both quartiles differ
    low, middle, high = np.quantile(red, [0.25, 0.5, 0.75])
    z = (red - middle) / (high - low)
    np.testing.assert_allclose(inputs[:, 2], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-6)
    missing = FRAME["size"].isna().to_numpy()  # a ninth: the quartiles are equal, 2 / (max - min)
    np.testing.assert_allclose(inputs[:, 1], 2 * missing / np.sqrt(1 + (2 * missing / 3) ** 2), rtol=1e-6)
    assert np.abs(inputs).max() < 3


class TestTables:
    def test_other_names_or_another_order_are_refused(self):
        clf = TabularClassifier(**SMALL).fit(FRAME, DEAR)
        with pytest.raises(ValueError, match="feature names"):
            clf.predict(FRAME[["colour", "size", "sex"]])

    def test_an_unseen_category_is_no_error(self):
        clf = TabularClassifier(**SMALL).fit(FRAME, DEAR)
        other = FRAME.astype({"colour": object}).assign(colour="violet")
        assert set(clf.predict(other)) <= {"dear", "cheap"}

    def test_columns_that_are_left_out_are_named(self):
        X = FRAME.assign(passport=[f"P{i}" for i in range(N)])
        with pytest.warns(UserWarning, match=r"columns are left out: 'passport' \(identifier: 160 different texts"):
            clf = TabularClassifier(**SMALL).fit(X, DEAR)
        assert "passport" not in clf.encoder_.column_names

    def test_numbers_of_an_array_are_never_left_out(self):
        X = np.column_stack([np.arange(N), np.ones(N), COST])
        reg = TabularRegressor(**SMALL).fit(X, COST)
        assert len(reg.encoder_.columns) == 3

    def test_categorical_features(self):
        X = np.column_stack([RNG.integers(1, 4, N), COST])
        reg = TabularRegressor(**SMALL, categorical_features=[0]).fit(X, COST)
        assert [column.kind for column in reg.encoder_.columns] == ["category", "quantity"]
        frame = pandas.DataFrame(X, columns=["code", "cost"])
        reg = TabularRegressor(**SMALL, categorical_features=["code"]).fit(frame, COST)
        assert [column.kind for column in reg.encoder_.columns] == ["category", "quantity"]
        for wrong in (["nowhere"], [2], [True]):
            with pytest.raises(ValueError, match="categorical_features must hold names of columns, or their numbers"):
                TabularRegressor(**SMALL, categorical_features=wrong).fit(frame, COST)

    def test_sparse_rows_are_refused(self):
        with pytest.raises(TypeError, match="dense data is required"):
            TabularRegressor(**SMALL).fit(sparse.csr_matrix(np.eye(9)), np.arange(9.0))

    def test_infinity_is_refused(self):
        with pytest.raises(ValueError, match="infinity"):
            TabularRegressor(**SMALL).fit([[1.0], [np.inf]], [1.0, 2.0])
        with pytest.raises(ValueError, match="got infinity in column 'size'"):
            TabularRegressor(**SMALL).fit(FRAME.assign(size=np.append(np.inf, np.ones(N - 1))), COST)

    def test_rows_must_be_as_many(self):
        with pytest.raises(ValueError, match="X and y must have as many rows, got 160 and 3"):
            TabularRegressor(**SMALL).fit(FRAME, [1.0, 2.0, 3.0])

    @pytest.mark.parametrize("n", [2, 7, 49, 50])
    def test_few_rows(self, n):
        clf = TabularClassifier(**SMALL).fit(FRAME[:n], np.arange(n) % 2)
        assert (clf.best_validation_score_ is None) == (n < 50)
        assert clf.predict(FRAME).shape == (N,)

    def test_a_constant_quantity(self):
        np.testing.assert_allclose(TabularRegressor(**SMALL).fit(FRAME, np.full(N, 7.0)).predict(FRAME), 7, atol=0.5)

    def test_several_quantities(self):
        Y = np.column_stack([COST, -1000 * COST])
        reg = TabularRegressor(**SMALL | {"max_iter": 60}).fit(FRAME, Y)
        assert reg.predict(FRAME).shape == (N, 2)
        assert reg.score(FRAME, Y) > 0.5

    def test_one_class_is_refused(self):
        with pytest.raises(ValueError, match="two classes or more, got one class: \\['a'\\]"):
            TabularClassifier(**SMALL).fit(FRAME, ["a"] * N)


class TestWeights:
    def test_a_row_of_weight_0_is_as_if_it_were_not_there(self):
        weight = (np.arange(N) % 4 > 0).astype(float)
        kept = weight > 0
        expected = TabularClassifier(**SMALL).fit(FRAME[kept], DEAR[kept]).predict_proba(FRAME)
        found = TabularClassifier(**SMALL).fit(FRAME, DEAR, sample_weight=weight).predict_proba(FRAME)
        # the columns are read from all rows; every statistic is of the rows that count
        np.testing.assert_allclose(found, expected, rtol=1e-5)

    def test_weights_move_the_answers(self):
        heavy = TabularClassifier(**SMALL).fit(FRAME, DEAR, sample_weight=np.where(DEAR == "dear", 1.0, 50.0))
        assert (heavy.predict(FRAME) == "cheap").mean() > (DEAR == "cheap").mean()

    @pytest.mark.parametrize("weight", [{"dear": 1, "cheap": 50}, {"cheap": 50}])
    def test_weights_of_classes(self, weight):
        clf = TabularClassifier(**SMALL, class_weight=weight).fit(FRAME, DEAR)
        by_row = TabularClassifier(**SMALL).fit(FRAME, DEAR, sample_weight=np.where(DEAR == "dear", 1.0, 50.0))
        assert (clf.predict_proba(FRAME) == by_row.predict_proba(FRAME)).all()

    def test_balanced_classes(self):
        rare = np.where(np.quantile(COST, 0.8) < COST, "dear", "cheap")
        clf = TabularClassifier(**SMALL, class_weight="balanced").fit(FRAME, rare)
        assert (clf.predict(FRAME) == "dear").mean() > 0.2

    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            (np.zeros(N), "at least one non-zero number|must not be 0 for every"),
            (np.full(N, -1.0), "numbers of 0 or more"),
        ],
    )
    def test_weights_that_make_no_sense(self, weight, message):
        with pytest.raises(ValueError, match=message):
            TabularRegressor(**SMALL).fit(FRAME, COST, sample_weight=weight)

    def test_classes_that_all_weigh_nothing(self):
        with pytest.raises(ValueError, match="class_weight must not be 0 for every row"):
            TabularClassifier(**SMALL, class_weight={"dear": 0, "cheap": 0}).fit(FRAME, DEAR)


OF_OUTPUTS = {
    "error": lambda y, p, clf: (clf.classes_[p.argmax(axis=1)] != y).mean(),
    "log_loss": lambda y, p, clf: log_loss(y, p, labels=clf.classes_),
    "auc": lambda y, p, clf: roc_auc_score(y == "dear", p[:, 1]),
}
COLUMNS = {"error": "val_accuracy", "log_loss": "val_loss", "auc": "val_auc", "balanced_error": "val_balanced_error"}


class TestBestEpoch:
    @pytest.mark.parametrize("metric", OF_OUTPUTS)
    def test_of_classes(self, metric):
        clf = TabularClassifier(**SMALL, validation_metric=metric)
        clf.fit(FRAME[:100], DEAR[:100], X_val=FRAME[100:], y_val=DEAR[100:])
        score = OF_OUTPUTS[metric](DEAR[100:], clf.predict_proba(FRAME[100:]), clf)
        assert clf.best_validation_score_ == pytest.approx(score, rel=1e-5)
        column = np.array(clf.histories_[0][COLUMNS[metric]])
        best = 1 - column.max() if metric == "error" else column.max() if metric == "auc" else column.min()
        assert clf.best_validation_score_ == pytest.approx(best, rel=1e-5, abs=1e-12)

    @pytest.mark.parametrize(
        ("metric", "function"),
        [
            ("rmse", lambda y, found: np.sqrt(np.mean((y - found) ** 2))),
            ("mae", mean_absolute_error),
            ("r2", r2_score),
        ],
    )
    def test_of_quantities(self, metric, function):
        reg = TabularRegressor(**SMALL, validation_metric=metric)
        reg.fit(FRAME[:100], COST[:100], X_val=FRAME[100:], y_val=COST[100:])
        score = function(COST[100:], reg.predict(FRAME[100:]))
        assert reg.best_validation_score_ == pytest.approx(score, rel=1e-5)

    def test_balanced_error_of_several_classes(self):
        clf = TabularClassifier(**SMALL, validation_metric="balanced_error").fit(FRAME, THIRDS)
        assert clf.best_validation_score_ == pytest.approx(min(clf.histories_[0]["val_balanced_error"]))

    def test_auc_of_several_classes(self):
        clf = TabularClassifier(**SMALL, validation_metric="auc").fit(FRAME, THIRDS)
        assert clf.best_validation_score_ == pytest.approx(max(clf.histories_[0]["val_auc"]), rel=1e-5)

    def test_the_last_of_equally_good_epochs_is_kept(self):
        seen = []
        clf = TabularClassifier(**SMALL, callbacks=[lambda net, history: seen.append(net.parameters)])
        clf.fit(FRAME, DEAR)
        accuracy = np.array(clf.histories_[0]["val_accuracy"])
        last = np.flatnonzero(accuracy == accuracy.max())[-1]
        assert (clf.networks_[0].parameters == seen[last]).all()

    def test_without_validation_rows_the_last_epoch_is_kept(self):
        seen = []
        reg = TabularRegressor(
            **SMALL, validation_fraction=None, callbacks=[lambda net, history: seen.append(net.parameters)]
        ).fit(FRAME, COST)
        assert reg.best_validation_score_ is None
        assert (reg.networks_[0].parameters == seen[-1]).all()
        assert "val_loss" not in reg.histories_[0]

    @pytest.mark.parametrize(
        ("estimator", "metric"), [(TabularClassifier, "rmse"), (TabularRegressor, "auc"), (TabularRegressor, "error")]
    )
    def test_a_metric_of_another_task_is_refused(self, estimator, metric):
        with pytest.raises(ValueError, match="The 'validation_metric' parameter"):
            estimator(validation_metric=metric).fit(FRAME, THIRDS)

    def test_auc_needs_every_class(self):
        clf = TabularClassifier(**SMALL, validation_metric="auc")
        with pytest.raises(ValueError, match="needs every class among the validation rows; there is no 'dear'"):
            clf.fit(FRAME, DEAR, X_val=FRAME[DEAR == "cheap"], y_val=DEAR[DEAR == "cheap"])


class TestSets:
    def test_losses_and_scores_of_every_epoch(self):
        sets = [(FRAME[:50], DEAR[:50]), (FRAME[50:], DEAR[50:])]
        clf = TabularClassifier(**SMALL, validation_fraction=None).fit(FRAME, DEAR, eval_set=sets)
        for number, (X, y) in enumerate(sets):
            found = clf.evals_result_[f"validation_{number}"]
            assert len(found["loss"]) == len(found["score"]) == 12
            assert found["score"][-1] == pytest.approx(clf.score(X, y))
            assert found["loss"][-1] == pytest.approx(log_loss(y, clf.predict_proba(X)), rel=1e-5)
        reg = TabularRegressor(**SMALL, validation_fraction=None).fit(FRAME, COST, eval_set=[(FRAME, COST)])
        assert reg.evals_result_["validation_0"]["score"][-1] == pytest.approx(reg.score(FRAME, COST))

    @pytest.mark.parametrize(
        ("fit", "message"),
        [
            ({"eval_set": [(FRAME, ["grey"] * N)]}, r"eval_set\[0\]: y has the labels \['grey'\], but the classes"),
            ({"eval_set": [(FRAME[:3], DEAR)]}, r"eval_set\[0\]: X and y must have as many rows, got 3 and 160"),
            ({"X_val": FRAME}, "given together"),
            ({"X_val": FRAME[["sex"]], "y_val": DEAR}, "X_val, y_val: The feature names"),
        ],
    )
    def test_sets_that_do_not_fit(self, fit, message):
        with pytest.raises(ValueError, match=message):
            TabularClassifier(**SMALL).fit(FRAME, DEAR, **fit)

    def test_quantities_of_another_number(self):
        with pytest.raises(ValueError, match=r"eval_set\[0\]: y must have 1 columns of finite numbers"):
            TabularRegressor(**SMALL).fit(FRAME, COST, eval_set=[(FRAME, np.column_stack([COST, COST]))])


class TestEnsemble:
    def test_the_mean_of_networks_of_which_the_first_is_that_of_one(self):
        one = TabularClassifier(**SMALL).fit(FRAME, DEAR)
        three = TabularClassifier(**SMALL, n_ensemble=3).fit(FRAME, DEAR)
        assert len(three.networks_) == 3
        assert (three.networks_[0].parameters == one.networks_[0].parameters).all()
        inputs = three.encoder_.transform(FRAME)
        mean = np.mean([net.predict(inputs) for net in three.networks_], axis=0, dtype=np.float64)
        np.testing.assert_allclose(three.predict_proba(FRAME), mean, rtol=1e-12)

    def test_quantities(self):
        three = TabularRegressor(**SMALL, n_ensemble=3).fit(FRAME, COST)
        inputs = three.encoder_.transform(FRAME)
        mean = np.mean([net.predict(inputs)[:, 0] for net in three.networks_], axis=0, dtype=np.float64)
        np.testing.assert_allclose(three.predict(FRAME), mean * three.target_.std + three.target_.mean, rtol=1e-6)

    def test_callbacks_are_copied(self):
        stop = fastnn.callbacks.EarlyStopping("loss", patience=1)
        three = TabularRegressor(**SMALL, n_ensemble=3, callbacks=[stop]).fit(FRAME, COST)
        assert stop.best_epoch == 0
        assert three.n_iter_ == max(history.epochs for history in three.histories_)

    def test_a_file_holds_one_network(self, tmp_path):
        two = TabularRegressor(**SMALL, n_ensemble=2).fit(FRAME, COST)
        with pytest.raises(ValueError, match="a model holds one network, and this estimator has 2"):
            two.save(tmp_path / "two.safetensors")

    def test_a_network_that_diverges_is_left_out(self):
        seeds = [net.seed for net in TabularRegressor(**SMALL, n_ensemble=3).fit(FRAME, COST).networks_]

        def spoil(net, history):
            if net.seed == seeds[1] and history.epochs == 2:
                net.weights[0][...] = np.nan

        with pytest.warns(RuntimeWarning, match="1 of 3 networks diverged, and are left out"):
            reg = TabularRegressor(**SMALL, n_ensemble=3, callbacks=[spoil]).fit(FRAME, COST)
        assert [net.seed for net in reg.networks_] == [seeds[0], seeds[2]]

    @pytest.mark.filterwarnings("ignore::fastnn.TrainingWarning")
    def test_networks_that_all_diverge(self):
        with pytest.raises(fastnn.DivergenceError):
            TabularRegressor(**SMALL | {"activation": "identity"}, learning_rate_init=1e30, n_ensemble=2).fit(
                FRAME, COST
            )


class TestConventions:
    @pytest.mark.parametrize(("kind", "y"), [(TabularClassifier, DEAR), (TabularRegressor, COST)])
    def test_the_seed_decides_on_any_number_of_threads(self, kind, y):
        found = [kind(**SMALL | {"n_threads": n}).fit(FRAME, y).predict(FRAME) for n in (1, 2)]
        assert (found[0] == found[1]).all()
        other = kind(**SMALL | {"random_state": 1}).fit(FRAME, y)
        assert (other.networks_[0].weights[0] != kind(**SMALL).fit(FRAME, y).networks_[0].weights[0]).any()

    def test_clone_pickle_and_searches(self):
        clf = TabularClassifier(**SMALL, label_smoothing=0.0).fit(FRAME, DEAR)
        assert clone(clf).get_params() == clf.get_params()
        again = pickle.loads(pickle.dumps(clf))
        assert (again.predict_proba(FRAME) == clf.predict_proba(FRAME)).all()
        search = GridSearchCV(clone(clf), {"label_smoothing": [0.0, 0.1]}, cv=2).fit(FRAME, DEAR)
        assert search.best_score_ > 0.5

    def test_in_a_pipeline(self):
        X = np.column_stack([COST, RNG.normal(size=N)])
        pipeline = make_pipeline(StandardScaler(), TabularRegressor(**SMALL | {"max_iter": 60})).fit(X, COST)
        assert pipeline.score(X, COST) > 0.5

    def test_label_smoothing_can_be_off(self):
        smooth, sharp = (
            TabularClassifier(**SMALL | {"max_iter": 80}, label_smoothing=part, validation_fraction=None)
            .fit(FRAME, DEAR)
            .predict_proba(FRAME)
            for part in (0.1, 0.0)
        )
        assert np.abs(np.log(sharp)).max() > np.abs(np.log(smooth)).max()

    def test_log_probabilities(self):
        clf = TabularClassifier(**SMALL).fit(FRAME, DEAR)
        np.testing.assert_allclose(np.exp(clf.predict_log_proba(FRAME)), clf.predict_proba(FRAME), rtol=1e-6)

    @pytest.mark.parametrize(
        "wrong",
        [{"label_smoothing": 1.0}, {"n_ensemble": 0}, {"max_iter": 0}, {"activation": "softmax"}, {"batch_size": 0.5}],
    )
    def test_parameters_are_checked(self, wrong):
        with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter"):
            TabularClassifier(**SMALL | wrong).fit(FRAME, DEAR)

    def test_a_layer_without_neurons_is_refused(self):
        with pytest.raises(ValueError, match="hidden_layer_sizes must be 1 or more"):
            TabularClassifier(hidden_layer_sizes=(8, 0)).fit(FRAME, DEAR)

    def test_an_interruption_is_told(self):
        import signal

        def interrupt(net, history):
            if history.epochs == 3:
                signal.raise_signal(signal.SIGINT)

        with pytest.warns(UserWarning, match="interrupted by user"):
            reg = TabularRegressor(**SMALL, callbacks=[interrupt]).fit(FRAME, COST)
        assert reg.n_iter_ < 12


class TestFiles:
    @pytest.mark.parametrize(("kind", "y"), [(TabularClassifier, DEAR), (TabularRegressor, COST)])
    def test_a_file_gives_the_same_answers(self, kind, y, tmp_path):
        estimator = kind(**SMALL).fit(FRAME, y)
        estimator.save(tmp_path / "model.safetensors")
        model = fastnn.load_model(tmp_path / "model.safetensors")
        assert (model.predict(FRAME) == estimator.predict(FRAME)).all()
        if kind is TabularClassifier:
            assert (model.predict_proba(FRAME) == estimator.predict_proba(FRAME)).all()
        assert model.info["estimator"] == kind.__name__

    @pytest.mark.parametrize("labels", [(0, 1, 2), ("a", "b", "c"), (1.0, 2.0, 4.0)])
    def test_labels_keep_their_type(self, labels, tmp_path):
        y = np.array(labels)[THIRDS]
        clf = TabularClassifier(**SMALL).fit(FRAME, pandas.Series(y, name="kind"))
        clf.save(tmp_path / "model.safetensors")
        model = fastnn.load_model(tmp_path / "model.safetensors")
        assert model.classes == labels
        assert model.target.name == "kind"
        assert (model.predict(FRAME) == clf.predict(FRAME)).all()

    def test_a_target_named_as_a_column(self, tmp_path):
        reg = TabularRegressor(**SMALL).fit(FRAME, pandas.Series(COST, name="size"))
        reg.save(tmp_path / "model.safetensors")
        assert (fastnn.load_model(tmp_path / "model.safetensors").predict(FRAME) == reg.predict(FRAME)).all()


@pytest.mark.filterwarnings("ignore:this processor does not multiply bfloat16")
def test_products_in_bfloat16():
    y = np.arange(len(FRAME)) % 2
    rounded = TabularClassifier(**SMALL, precision="bfloat16").fit(FRAME, y).networks_[0]
    plain = TabularClassifier(**SMALL, precision="float32").fit(FRAME, y).networks_[0]
    assert (rounded.precision, rounded.dtype) == ("bfloat16", np.float32)
    assert rounded.parameters.tobytes() != plain.parameters.tobytes()


class TestCalibration:
    def test_answers_stay_and_the_loss_of_the_validation_rows_is_less(self, tmp_path):
        held = FRAME[:60], DEAR[:60]
        plain, calibrated = (
            TabularClassifier(**SMALL, calibrate=chosen).fit(FRAME[60:], DEAR[60:], X_val=held[0], y_val=held[1])
            for chosen in (False, True)
        )
        assert plain.temperatures_ == [1.0]
        (temperature,) = calibrated.temperatures_
        assert temperature != 1.0
        assert (calibrated.predict(FRAME) == plain.predict(FRAME)).all()
        losses = [log_loss(held[1], model.predict_proba(held[0])) for model in (plain, calibrated)]
        assert losses[1] < losses[0]
        calibrated.save(tmp_path / "model.safetensors")
        model = fastnn.load_model(tmp_path / "model.safetensors")
        np.testing.assert_allclose(model.predict_proba(FRAME), calibrated.predict_proba(FRAME), rtol=1e-6)

    def test_each_network_of_several_has_its_own_temperature(self):
        several = TabularClassifier(**SMALL, n_ensemble=2, calibrate=True).fit(FRAME, DEAR)
        one = TabularClassifier(**SMALL, calibrate=True).fit(FRAME, DEAR)
        assert several.temperatures_[0] == one.temperatures_[0]
        assert several.temperatures_[0] != several.temperatures_[1]

    def test_weights_of_the_rows_count(self, monkeypatch):
        seen = []

        def spy(net, X, y, sample_weight):
            seen.append((y, sample_weight))
            return fastnn.calibration.calibrate(net, X, y, sample_weight)

        monkeypatch.setattr("fastnn.tabular.estimators.calibrate", spy)
        TabularClassifier(**SMALL, class_weight={"dear": 5.0}, calibrate=True).fit(FRAME, DEAR)
        ((y, weight),) = seen
        np.testing.assert_array_equal(weight, np.where(y == 1, 5.0, 1.0))

    def test_without_validation_rows_there_is_nothing_to_calibrate_on(self):
        with pytest.raises(ValueError, match="calibrate=True needs rows that were not trained on"):
            TabularClassifier(**SMALL, calibrate=True, validation_fraction=None).fit(FRAME, DEAR)


WHOLE = SMALL | {"variant": "td"}


class TestWholeVariant:
    def test_its_pieces_are_in_the_network(self):
        net = TabularRegressor(**WHOLE).fit(FRAME, COST).networks_[0]
        assert net.learned_activation
        assert net.dropout == (0, 0.15)
        assert net.embedding == fastnn.PeriodicEmbedding((0,))
        assert (net.alphas[0] != 1).any()
        assert len(net.input_scales) == net.sizes[0] + 3

    def test_answers_stay_within_the_training_targets(self):
        reg = TabularRegressor(**WHOLE, validation_fraction=None).fit(FRAME, COST)
        reg.networks_[0].biases[-1][:] = 100.0
        assert (reg.predict(FRAME) == COST.max()).all()
        free = TabularRegressor(**SMALL, variant="td_s", validation_fraction=None).fit(FRAME, COST)
        free.networks_[0].biases[-1][:] = 100.0
        assert (free.predict(FRAME) > COST.max()).all()

    def test_the_score_is_that_of_clipped_answers(self):
        held = FRAME[:50], COST[:50]
        reg = TabularRegressor(**WHOLE, validation_metric="mae").fit(
            FRAME[50:], COST[50:], X_val=held[0], y_val=held[1]
        )
        expected = mean_absolute_error(held[1], reg.predict(held[0]))
        assert reg.best_validation_score_ == pytest.approx(expected)

    @pytest.mark.parametrize(("kind", "y"), [(TabularClassifier, DEAR), (TabularRegressor, COST)])
    def test_the_seed_decides_and_a_file_gives_the_same_answers(self, kind, y, tmp_path):
        one, other = kind(**WHOLE).fit(FRAME, y), kind(**WHOLE).fit(FRAME, y)
        expected = one.predict(FRAME)
        assert (other.predict(FRAME) == expected).all()
        one.save(tmp_path / "model.safetensors")
        assert (fastnn.load_model(tmp_path / "model.safetensors").predict(FRAME) == expected).all()
        assert (pickle.loads(pickle.dumps(one)).predict(FRAME) == expected).all()

    def test_it_learns(self):
        reg = TabularRegressor(**WHOLE | {"max_iter": 60}).fit(FRAME, COST)
        assert reg.score(FRAME, COST) > 0.8

    def test_several_networks_of_which_the_first_is_that_of_one(self):
        one, three = (
            TabularClassifier(**WHOLE).fit(FRAME, DEAR),
            TabularClassifier(**WHOLE, n_ensemble=3).fit(FRAME, DEAR),
        )
        assert len(three.networks_) == 3
        assert (three.networks_[0].parameters == one.networks_[0].parameters).all()
        assert (three.networks_[1].parameters != one.networks_[0].parameters).any()

    @pytest.mark.parametrize("n", [1, 2])
    def test_networks_that_diverge(self, n):
        steep = WHOLE | {"n_ensemble": n, "learning_rate_init": 1e30}
        with pytest.raises(fastnn.DivergenceError):
            TabularRegressor(**steep).fit(FRAME, COST)

    def test_a_table_of_categories_alone(self):
        clf = TabularClassifier(**WHOLE).fit(FRAME[["colour", "sex"]], DEAR)
        assert clf.networks_[0].embedding is None

    @pytest.mark.parametrize("variant", ["td_s", "td"])
    def test_quantities_may_be_embedded_piece_by_piece(self, variant, tmp_path):
        options = WHOLE | {"variant": variant, "embedding": "piecewise_linear", "n_ensemble": 2}
        reg = TabularRegressor(**options).fit(FRAME, COST)
        for net in reg.networks_:
            assert net.embedding == fastnn.PiecewiseLinearEmbedding((0,), n_bins=48, n_outputs=8)
            assert len(np.unique(net.embedding_parameters["slopes"])) > 2  # quantiles are not even
        one = TabularRegressor(**options | {"n_ensemble": 1}).fit(FRAME, COST)
        assert (one.networks_[0].parameters == reg.networks_[0].parameters).all()
        one.save(tmp_path / "model.safetensors")
        assert (fastnn.load_model(tmp_path / "model.safetensors").predict(FRAME) == one.predict(FRAME)).all()

    def test_the_simple_variant_may_have_periodic_embeddings(self):
        net = TabularRegressor(**SMALL, variant="td_s", embedding="periodic").fit(FRAME, COST).networks_[0]
        assert net.embedding == fastnn.PeriodicEmbedding((0,))
        assert not net.learned_activation

    def test_products_in_bfloat16_are_refused(self):
        with pytest.raises(ValueError, match="learned_activation takes products"):
            TabularClassifier(**WHOLE, precision="bfloat16").fit(FRAME, DEAR)


@pytest.mark.parametrize(
    ("n", "options", "whole"),
    [(60, {}, True), (49, {}, False), (60, {"precision": "bfloat16"}, False), (60, {"variant": "td_s"}, False)],
    ids=str,
)
def test_the_variant_is_the_whole_one_unless_rows_are_few_or_products_rounded(n, options, whole):
    clf = TabularClassifier((4,), max_iter=2, random_state=0, **options).fit(FRAME[:n], DEAR[:n])
    assert (clf.networks_[0].embedding is not None) == whole
