"""Temperature scaling and the expected calibration error, by numbers worked by hand."""

import numpy as np
import pytest

import fastnn
from fastnn.calibration import (
    calibrate,
    expected_calibration_error,
    fit_temperature,
    logits,
    quantile_shifts,
    reliability,
    with_shifts,
)
from fastnn.tables import ClassTarget, QuantityTarget, TableEncoder


def classifier(**options):
    options = {"activation": ["tanh", "softmax"], "loss": "cross_entropy", "dtype": "float64"} | options
    net = fastnn.Network([4, 5, 3], seed=0, **options)
    net.parameters = 3 * np.random.default_rng(1).normal(size=net.n_parameters)
    return net


def rows():
    rng = np.random.default_rng(2)
    return rng.normal(size=(80, 4)), rng.integers(0, 3, 80)


def test_the_error_worked_by_hand():
    # bins of a fifth: 0.55 and 0.6 in one, half of them right; 0.9 and 1.0 in another, all right
    probabilities = [[0.45, 0.55], [0.4, 0.6], [0.9, 0.1], [1.0, 0.0]]
    found = reliability(probabilities, [1, 0, 0, 0], n_bins=5)
    np.testing.assert_allclose(found.confidence, [0.575, 0.95])
    np.testing.assert_allclose(found.accuracy, [0.5, 1.0])
    assert found.counts.tolist() == [2, 2]
    assert found.expected_calibration_error == pytest.approx((0.075 + 0.05) / 2)
    assert expected_calibration_error(probabilities, [1, 0, 0, 0], n_bins=5) == pytest.approx(0.0625)


def test_one_column_is_that_of_class_1():
    assert expected_calibration_error([0.25, 0.25], [0, 1]) == pytest.approx(0.25)
    assert expected_calibration_error([[0.25], [0.25]], [0, 1]) == pytest.approx(0.25)


def test_the_temperature_worked_by_hand():
    # nine of ten right at logits 4 and 0: p = 0.9 where 4 / T = ln 9; with one output the same
    z, y = np.tile([4.0, 0.0], (10, 1)), np.array([0] * 9 + [1])
    assert fit_temperature(z, y) == pytest.approx(4 / np.log(9), rel=1e-9)
    assert fit_temperature(np.full(10, -4.0), y) == pytest.approx(4 / np.log(9), rel=1e-9)


def test_the_temperature_is_where_the_cross_entropy_is_least():
    rng = np.random.default_rng(0)
    z = 5 * rng.normal(size=(50, 4))
    y = (z + 5 * rng.normal(size=(50, 4))).argmax(axis=1)

    def loss(t):
        return (np.log(np.exp(z / t).sum(axis=1)) - z[np.arange(50), y] / t).mean()

    best = fit_temperature(z, y)
    assert loss(best) < min(loss(0.999 * best), loss(1.001 * best))


def test_temperatures_without_a_best_one():
    assert fit_temperature([[3.0, 0.0], [0.0, 1.0]], [0, 1]) == 1
    assert fit_temperature([[3.0, 0.0], [0.0, 1.0]], [1, 0]) == pytest.approx(20)


@pytest.mark.parametrize("options", [{}, {"dtype": "float32"}, {"input_scale": 0.5, "learned_input_scale": True}])
def test_logits_are_what_softmax_takes(options):
    net, (X, _) = classifier(**options), rows()
    z = logits(net, X)
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    tolerance = 1e-5 if net.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(net.predict(X), expected, rtol=tolerance, atol=tolerance)


def test_logits_of_one_layer_with_learned_scales():
    net = fastnn.Network([4, 2], activation="identity", dtype="float64", learned_input_scale=True, seed=0)
    net.input_scales[:] = 1, 2, 3, 4
    X, _ = rows()
    np.testing.assert_allclose(logits(net, X), net.predict(X), rtol=1e-12, atol=1e-14)


def test_a_calibrated_network_gives_the_same_answers_and_a_lower_loss():
    net, (X, noise) = classifier(), rows()
    y = np.where(np.arange(80) % 3, net.classify(X), noise)
    calibrated, temperature = calibrate(net, X, y)
    z = logits(net, X) / temperature
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(calibrated.predict(X), expected, rtol=1e-10)
    np.testing.assert_array_equal(calibrated.classify(X), net.classify(X))
    assert calibrated.loss(X, y) < net.loss(X, y)
    again = calibrate(calibrated, X, y)[1]
    assert again == pytest.approx(1, rel=1e-8)


def test_one_sigmoid_output():
    net = classifier(activation=["tanh", "sigmoid"], loss="binary_cross_entropy")
    with pytest.raises(ValueError, match="the network has 3 'sigmoid'"):
        calibrate(net, *rows())
    net = fastnn.Network([4, 1], loss="binary_cross_entropy", dtype="float64", seed=0)
    X, y = rows()
    calibrated, temperature = calibrate(net, X, y % 2)
    np.testing.assert_allclose(logits(calibrated, X) * temperature, logits(net, X), rtol=1e-12)


def table_model():
    X = np.random.default_rng(0).normal(size=(60, 2))
    encoder = TableEncoder.fit({"a": X[:, 0], "b": X[:, 1]})
    net = fastnn.Network([2, 4, 2], activation=["tanh", "softmax"], loss="cross_entropy", seed=0)
    net.parameters = 3 * net.parameters
    y = np.where(X[:, 0] + np.random.default_rng(1).normal(size=60) > 0, "yes", "no")
    return fastnn.TableModel(net, encoder, ClassTarget("c", ("no", "yes"))), {"a": X[:, 0], "b": X[:, 1]}, y


def test_a_table_model_keeps_its_temperature_in_its_file(tmp_path):
    model, X, y = table_model()
    calibrated, temperature = calibrate(model, X, y)
    calibrated.save(tmp_path / "model.safetensors")
    loaded = fastnn.load_model(tmp_path / "model.safetensors")
    assert loaded.info["temperature"] == temperature
    np.testing.assert_array_equal(loaded.predict_proba(X), calibrated.predict_proba(X))
    z = logits(model.network, model.encoder.transform(X)) / temperature
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(loaded.predict_proba(X), expected, rtol=1e-4, atol=1e-6)
    assert "temperature" not in model.info


def test_twice_calibrated_notes_the_product():
    model, X, y = table_model()
    once, first = calibrate(model, X, y)
    twice, second = calibrate(once, X, np.roll(y, 1))
    assert twice.info["temperature"] == pytest.approx(first * second)


def test_what_is_refused():
    model, X, y = table_model()
    with pytest.raises(ValueError, match="got 'maybe' in row 1"):
        calibrate(model, X, ["yes", "maybe", *y[2:]])
    target = QuantityTarget(("price",), np.zeros(1), np.ones(1))
    net = fastnn.Network([2, 1], activation="identity", seed=0)
    with pytest.raises(ValueError, match="predicts quantities"):
        calibrate(fastnn.TableModel(net, model.encoder, target), X, y)
    with pytest.raises(ValueError, match="shapes"):
        fit_temperature(np.zeros((3, 2)), [0.5, 1.0, 0.0])
    with pytest.raises(ValueError, match="classes 0 to 1, got 0 to 2"):
        fit_temperature(np.zeros((3, 2)), [0, 1, 2])
    with pytest.raises(ValueError, match="finite"):
        fit_temperature([[np.nan, 0.0]], [0])
    with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
        reliability([[1.5, -0.5]], [0])


def test_a_row_of_weight_2_counts_as_two_rows():
    rng = np.random.default_rng(0)
    z, y, weight = rng.normal(size=(40, 3)) * 4, rng.integers(0, 3, 40), rng.integers(0, 3, 40)
    repeated = fit_temperature(np.repeat(z, weight, axis=0), np.repeat(y, weight))
    assert fit_temperature(z, y, weight) == pytest.approx(repeated)


@pytest.mark.parametrize("weight", [[1.0], [1, -1], [0, 0], [np.nan, 1]])
def test_weights_that_make_no_sense_are_refused(weight):
    with pytest.raises(ValueError, match="sample_weight must hold 2 finite numbers of 0 or more, not all 0"):
        fit_temperature([[0.0, 1.0], [1.0, 0.0]], [0, 0], weight)


def test_shifts_worked_by_hand():
    """Of 9 errors, 10 times 0.9, 0.5 and 0.1 are numbers 9, 5 and 1; of 11, 12 times are 10.8, 6 and 1.2."""
    errors = np.array([3.0, 9, 1, 7, 5, 2, 8, 4, 6])
    assert quantile_shifts(np.zeros((9, 3)), errors, [0.9, 0.5, 0.1]).tolist() == [9, 5, 1]
    assert quantile_shifts(np.zeros((11, 3)), np.r_[errors, 10, 11], [0.9, 0.5, 0.1]).tolist() == [11, 6, 1]
    assert quantile_shifts([[1.0], [2.0], [4.0]], [2.0, 2.0, 7.0], [0.5]).tolist() == [1]


def test_shifts_of_weighted_rows():
    """Weights 1, 2, 1 and a new row of their mean, 4 / 3: half of 16 / 3 is 8 / 3, which the second row passes."""
    table, y = np.zeros((3, 1)), [1.0, 5.0, 9.0]
    assert quantile_shifts(table, y, [0.5], [1, 2, 1]).tolist() == [5]
    assert quantile_shifts(table, y, [0.5], [4, 1, 1]).tolist() == [1]
    assert quantile_shifts(table, y, [0.4], [0, 1, 1]).tolist() == [5]  # a row of weight 0 does not count


def test_new_rows_lie_below_as_often_as_promised():
    """The mean over draws of n = 20 rows is exactly floor or ceil of (n + 1) q, over n + 1, where errors do not tie."""
    rng = np.random.default_rng(0)
    below = []
    for _ in range(2000):
        y = rng.normal(size=21)
        below.append(y[20] <= quantile_shifts(np.zeros((20, 2)), y[:20], [0.1, 0.9]))
    np.testing.assert_allclose(np.mean(below, axis=0), [2 / 21, 19 / 21], atol=0.02)  # a standard error of 0.007


def test_shifts_are_added_to_the_last_biases():
    net = fastnn.Network([2, 4, 2], activation=["tanh", "identity"], loss=fastnn.losses.Quantile([0.1, 0.9]), seed=0)
    X = np.random.default_rng(0).normal(size=(5, 2))
    shifted = with_shifts(net, [-1.5, 2])
    np.testing.assert_allclose(shifted.predict(X), net.predict(X) + np.array([-1.5, 2]), rtol=1e-6)
    assert shifted.engine.spec == net.engine.spec


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((9, 2)), np.zeros(9), [0.5]), r"a column for each of 1 levels, got shapes \(9, 2\) and \(9,\)"),
        ((np.zeros((0, 1)), np.zeros(0), [0.5]), "a row for each of y"),
        ((np.zeros((9, 1)), np.full(9, np.nan), [0.5]), "must be finite"),
        ((np.zeros((9, 1)), np.zeros(9), [1.0]), "levels must hold levels between 0 and 1"),
        ((np.zeros((8, 1)), np.zeros(8), [0.1]), "a quantile of level 0.1 takes at least 9 rows .* got 8"),
        ((np.zeros((8, 1)), np.zeros(8), [0.9]), "a quantile of level 0.9 takes at least 9 rows .* got 8"),
        ((np.zeros((9, 1)), np.zeros(9), [0.5], [1]), "sample_weight must hold 9 finite numbers"),
    ],
)
def test_shifts_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        quantile_shifts(*arguments)


def test_networks_that_take_no_shifts_are_refused():
    net = fastnn.Network([2, 2], activation="identity", seed=0)
    with pytest.raises(ValueError, match="shifts must be 2 finite numbers, one for each output"):
        with_shifts(net, [1.0])
    with pytest.raises(ValueError, match="'identity' outputs, got 'sigmoid'"):
        with_shifts(fastnn.Network([2, 2], seed=0), [1.0, 2.0])


def test_an_ensemble_has_no_temperature():
    net = fastnn.Network([2, 2], activation="softmax", loss="cross_entropy", seed=0)
    with pytest.raises(TypeError, match="model must be a Network or a TableModel, got Ensemble"):
        fastnn.calibration.calibrate(fastnn.Ensemble([net, net]), np.eye(2), [0, 1])
