"""`TabularRegressor(quantiles=...)`: columns that never cross, their scores, calibration, and scikit-learn's tools."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")

import pandas
from sklearn.base import clone
from sklearn.metrics import d2_pinball_score, mean_pinball_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastnn
from fastnn.calibration import quantile_shifts
from fastnn.callbacks import EarlyStopping
from fastnn.sklearn import TabularRegressor

N = 160
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 0, "n_threads": 1, "variant": "td_s"}


def table(n=N):
    rng = np.random.default_rng(1)
    size, colour = rng.normal(100, 30, n), rng.choice(["red", "green", "blue"], n, p=[0.5, 0.3, 0.2])
    size[::9] = np.nan
    cost = np.where(np.isnan(size), 100, size) + 40 * (colour == "red") + rng.normal(0, 5, n)
    return pandas.DataFrame({"size": size, "colour": colour}), cost


FRAME, COST = table()
LEVELS = [0.9, 0.1, 0.5]
CHECKED = {"hidden_layer_sizes": (16,), "n_threads": 1, "max_iter": 100, "variant": "td_s"}
CHECKS = parametrize_with_checks([TabularRegressor(**CHECKED, quantiles=each) for each in ([0.5], LEVELS)])
OF_ONE_COLUMN = "check_regressors_train"
"""It wants predictions of the shape of y, which several quantiles do not have."""


def _is_for(estimator, check):
    return len(estimator.quantiles) == 1 or check.func.__name__ != OF_ONE_COLUMN


@pytest.mark.parametrize(
    CHECKS.args[0], [case for case in CHECKS.args[1] if _is_for(*getattr(case, "values", case))], **CHECKS.kwargs
)
def test_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_columns_go_by_the_levels_and_never_cross():
    reg = TabularRegressor(**SMALL, quantiles=LEVELS).fit(FRAME, COST)
    found = reg.predict(FRAME)
    assert found.shape == (N, 3)
    assert (found[:, 1] <= found[:, 2]).all()
    assert (found[:, 2] <= found[:, 0]).all()
    raw = reg.networks_[0].predict(reg.encoder_.transform({name: FRAME[name] for name in FRAME}))
    assert (np.diff(raw[:, [1, 2, 0]], axis=1) < 0).any()  # which the network's own outputs do
    assert len(reg.networks_) == 1


def test_the_band_holds_its_share_of_new_rows():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 4000)
    y = x + rng.normal(size=4000) * (0.1 + x)  # noise that grows
    X = x[:, np.newaxis]
    reg = TabularRegressor((32,), max_iter=60, random_state=0, quantiles=[0.1, 0.9]).fit(X[:3000], y[:3000])
    low, high = reg.predict(X[3000:]).T
    inside = (low <= y[3000:]) & (y[3000:] <= high)
    # 1,000 rows: a standard error of 0.013, and as much again for what was learned
    assert abs(inside.mean() - 0.8) < 0.05
    narrow = x[3000:] < 0.5
    assert (high - low)[narrow].mean() < 0.7 * (high - low)[~narrow].mean()


def test_scores_are_those_of_scikit_learn():
    held = FRAME[:50], COST[:50]
    reg = TabularRegressor(**SMALL, quantiles=LEVELS).fit(FRAME[50:], COST[50:], X_val=held[0], y_val=held[1])
    found = reg.predict(held[0])
    losses = [mean_pinball_loss(held[1], found[:, j], alpha=q) for j, q in enumerate(LEVELS)]
    assert reg.best_validation_score_ == pytest.approx(np.mean(losses))
    scores = [d2_pinball_score(held[1], found[:, j], alpha=q) for j, q in enumerate(LEVELS)]
    assert reg.score(*held) == pytest.approx(np.mean(scores))
    best = int(np.argmin(reg.histories_[0]["val_loss"]))
    weighted = [loss / reg.target_.std[0] for loss in losses]
    assert reg.evals_result_["validation_0"]["loss"][best] == pytest.approx(np.mean(weighted), rel=0.2)


def test_several_networks_are_averaged_before_they_are_sorted():
    reg = TabularRegressor(**SMALL, quantiles=[0.25, 0.75], n_ensemble=2).fit(FRAME, COST)
    rows = reg.encoder_.transform({name: FRAME[name] for name in FRAME})
    mean = np.mean([net.predict(rows) for net in reg.networks_], axis=0)
    np.testing.assert_allclose(reg.predict(FRAME), np.sort(reg.target_.mean + reg.target_.std * mean), rtol=1e-5)


def test_a_file_a_pickle_and_the_whole_variant_give_the_same_answers(tmp_path):
    reg = TabularRegressor(**SMALL | {"variant": "td"}, quantiles=LEVELS).fit(FRAME, COST)
    expected = reg.predict(FRAME)
    reg.save(tmp_path / "model.safetensors")
    model = fastnn.load_model(tmp_path / "model.safetensors")
    assert (model.predict(FRAME) == expected).all()
    assert model.target.output_names == ("target_q0.9", "target_q0.1", "target_q0.5")
    assert (pickle.loads(pickle.dumps(reg)).predict(FRAME) == expected).all()


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({"quantiles": [0.1, 1.0]}, COST, "quantiles must hold levels between 0 and 1"),
        ({"quantiles": [0.5, 0.5]}, COST, "quantiles must differ"),
        ({"quantiles": []}, COST, "quantiles must hold levels between 0 and 1"),
        (
            {"quantiles": [0.1], "validation_metric": "rmse"},
            COST,
            "chosen by validation_metric='pinball'",
        ),
        ({"validation_metric": "pinball"}, COST, "validation_metric='pinball' is for quantiles"),
        (
            {"quantiles": [0.5]},
            np.stack([COST, COST], axis=1),
            "quantiles are of one quantity, got y with 2",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(options, y, message):
    with pytest.raises(ValueError, match=message):
        TabularRegressor(**SMALL, **options).fit(FRAME, y)


def test_options_reach_the_networks():
    """Early stopping by the pinball loss, weights of rows, and a clone of everything."""
    options = {"quantiles": LEVELS, "max_iter": 200, "callbacks": [EarlyStopping("val_loss", 2)]}
    reg = TabularRegressor(**SMALL | options).fit(FRAME, COST)
    assert reg.n_iter_ < 200
    assert (clone(reg).fit(FRAME, COST).predict(FRAME) == reg.predict(FRAME)).all()


def test_rows_of_weight_0_do_not_count():
    weight = np.r_[np.ones(120), np.zeros(N - 120)]
    weighted = TabularRegressor(**SMALL, quantiles=LEVELS, calibrate=True).fit(FRAME, COST, sample_weight=weight)
    fewer = TabularRegressor(**SMALL, quantiles=LEVELS, calibrate=True).fit(FRAME[:120], COST[:120])
    np.testing.assert_allclose(weighted.predict(FRAME), fewer.predict(FRAME), rtol=1e-6)


def test_searches_and_cross_validation():
    search = GridSearchCV(
        TabularRegressor(**SMALL, quantiles=LEVELS),
        {"quantiles": [LEVELS, [0.2, 0.8]], "calibrate": [False, True]},
        cv=2,
    ).fit(FRAME, COST)
    first = TabularRegressor(**SMALL, quantiles=LEVELS).fit(FRAME[80:], COST[80:])
    assert search.cv_results_["split0_test_score"][0] == pytest.approx(first.score(FRAME[:80], COST[:80]))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert cross_val_predict(TabularRegressor(**SMALL, quantiles=LEVELS), FRAME, COST, cv=2).shape == (N, 3)


def held_out():
    return FRAME[100:], COST[100:]


@pytest.mark.parametrize("options", [{}, {"n_ensemble": 2}, {"variant": "td"}], ids=str)
def test_calibration_shifts_the_mean_outputs(options):
    X_val, y_val = held_out()
    plain, calibrated = (
        TabularRegressor(**SMALL | options, quantiles=LEVELS, calibrate=chosen).fit(
            FRAME[:100], COST[:100], X_val=X_val, y_val=y_val
        )
        for chosen in (False, True)
    )
    rows = plain.encoder_.transform(X_val)
    mean = np.mean([net.predict(rows) for net in plain.networks_], axis=0)
    shifts = quantile_shifts(mean, plain.target_.standardised(y_val[:, np.newaxis])[:, 0], LEVELS)
    np.testing.assert_allclose(calibrated.shifts_, shifts * plain.target_.std, rtol=1e-4)
    np.testing.assert_allclose(calibrated.predict(X_val), plain.target_.values(mean + shifts), rtol=1e-4)
    assert plain.shifts_ is None


def test_calibration_weighs_the_validation_rows(monkeypatch):
    seen = []

    def spy(quantiles, y, levels, sample_weight=None):
        seen.append(sample_weight)
        return quantile_shifts(quantiles, y, levels, sample_weight)

    monkeypatch.setattr("fastnn.tabular.estimators.quantile_shifts", spy)
    weight = np.random.default_rng(2).uniform(1, 2, N)
    TabularRegressor(**SMALL, quantiles=LEVELS, calibrate=True).fit(FRAME, COST, sample_weight=weight)
    assert len(seen) == 2  # before the training, whether rows suffice; and behind it
    assert all(set(given) < set(weight) for given in seen)


def test_a_calibrated_model_is_saved_as_it_is(tmp_path):
    reg = TabularRegressor(**SMALL, quantiles=LEVELS, calibrate=True).fit(FRAME, COST)
    reg.save(tmp_path / "model.safetensors")
    model = fastnn.load_model(tmp_path / "model.safetensors")
    assert (model.predict(FRAME) == reg.predict(FRAME)).all()
    two = TabularRegressor(**SMALL, quantiles=LEVELS, n_ensemble=2).fit(FRAME, COST)
    with pytest.raises(ValueError, match="a model holds one network"):
        two.save(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calibrate": True}, "calibrate=True is for quantiles, got quantiles=None"),
        (
            {"calibrate": True, "quantiles": LEVELS, "validation_fraction": None},
            "calibrate=True needs rows that were not trained on",
        ),
        ({"calibrate": True, "quantiles": [0.5, 0.01]}, "a quantile of level 0.01 takes at least 99 rows .* got 32"),
        ({"calibrate": 1, "quantiles": LEVELS}, "'calibrate' parameter of TabularRegressor must be"),
    ],
)
def test_calibration_that_makes_no_sense_is_refused_before_the_training(options, message):
    with pytest.raises(ValueError, match=message):
        TabularRegressor(**SMALL, **options, callbacks=[lambda net, history: pytest.fail("trained")]).fit(FRAME, COST)


def test_calibration_brings_the_band_of_few_rows_to_its_share():
    """A network that learned 500 rows for long is too sure of them: its band is too narrow.

    The standard error of 20 runs with 100 validation rows each is 0.01.
    """
    plain, calibrated = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.uniform(-1, 1, (5500, 4))
        y = np.sin(3 * X[:, 0]) + X[:, 1] + rng.normal(size=5500) * (0.2 + np.abs(X[:, 2]))
        new, truth = X[500:], y[500:, np.newaxis]
        options = {"hidden_layer_sizes": (64, 64), "max_iter": 100, "random_state": seed, "variant": "td_s"}
        reg = TabularRegressor(**options, quantiles=[0.1, 0.9], calibrate=True).fit(X[:500], y[:500])
        answers = reg.predict(new)
        for shares, band in ((plain, answers - reg.shifts_), (calibrated, answers)):
            shares.append(((band[:, :1] <= truth) & (truth <= band[:, 1:])).mean())
    assert abs(np.mean(calibrated) - 0.8) < 0.03
    assert np.mean(plain) < 0.76
