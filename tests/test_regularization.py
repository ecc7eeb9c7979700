"""Penalties, limits, averages, frozen layers, class weights, and what is disturbed on purpose."""

import math

import numpy as np
import pytest

import fastnn
from fastnn.kernels import stochastic_regularization
from fastnn.kernels.jit import from_python

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 5)), RNG.normal(size=(40, 3))
LABELS = RNG.integers(0, 3, 40)


def network(dtype="float64", **options):
    return fastnn.Network([5, 19, 3], activation=["tanh", "identity"], dtype=dtype, seed=1, **options)


def classifier(**options):
    return fastnn.Network(
        [5, 9, 3], activation=["tanh", "softmax"], loss="cross_entropy", dtype="float64", seed=1, **options
    )


def one_step(net, X=X, y=Y, **options):
    """Change of weights and biases by one step over all rows at rate 0.1."""
    before = [np.array(part) for part in (*net.weights, *net.biases)]
    net.fit(X, y, epochs=1, batch_size=len(X), learning_rate=0.1, **options)
    return [part - old for part, old in zip((*net.weights, *net.biases), before, strict=True)]


# ---- Penalties


@pytest.mark.parametrize("options", [{"l1": 0.3}, {"l2": 0.7}, {"l1": 0.2, "l2": 0.5}])
def test_penalties_shrink_weights_and_not_biases(options):
    net = network()
    weights = [np.array(weight) for weight in net.weights]
    plain, penalised = one_step(network()), one_step(net, **options)
    for weight, without, changed in zip(weights, plain[:2], penalised[:2], strict=True):
        pull = options.get("l1", 0) * np.sign(weight) + options.get("l2", 0) * weight
        np.testing.assert_allclose(changed - without, -0.1 * pull, atol=1e-15)
    for without, changed in zip(plain[2:], penalised[2:], strict=True):
        np.testing.assert_allclose(changed, without, atol=1e-16)


def test_the_history_excludes_the_penalty():
    histories = [network().fit(X, Y, epochs=1, batch_size=40, l2=l2) for l2 in (0, 5)]
    assert histories[0]["loss"] == histories[1]["loss"]


# ---- Limits


def test_a_gradient_above_clip_norm_is_scaled_down_to_it():
    plain, clipped = one_step(network()), one_step(network(), clip_norm=0.25)
    norm = math.sqrt(sum(float((part**2).sum()) for part in plain)) / 0.1
    assert norm > 0.25
    for without, changed in zip(plain, clipped, strict=True):
        np.testing.assert_allclose(changed, without * 0.25 / norm, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("penalty", [{"l2": 0.7}, {"l1": 0.2, "l2": 0.5}])
def test_clip_norm_limits_the_gradient_with_its_penalty(penalty):
    penalised, clipped = one_step(network(), **penalty), one_step(network(), clip_norm=0.25, **penalty)
    norm = math.sqrt(sum(float((part**2).sum()) for part in penalised)) / 0.1
    assert norm > 0.25
    for without, changed in zip(penalised, clipped, strict=True):
        np.testing.assert_allclose(changed, without * 0.25 / norm, rtol=1e-11, atol=1e-15)


def test_a_gradient_below_clip_norm_is_unchanged():
    plain, clipped = one_step(network()), one_step(network(), clip_norm=1e3)
    for without, changed in zip(plain, clipped, strict=True):
        np.testing.assert_allclose(changed, without, rtol=1e-13, atol=1e-16)


def test_max_norm_shortens_longer_weight_vectors_and_leaves_the_rest():
    free, limited = network(), network()
    free.fit(X, Y, epochs=1, batch_size=40)
    limited.fit(X, Y, epochs=1, batch_size=40, max_norm=0.9)
    for before, after in zip(free.weights, limited.weights, strict=True):
        norms = np.linalg.norm(before, axis=1)
        assert (norms > 0.9).any()
        factors = np.minimum(1, 0.9 / norms)
        np.testing.assert_allclose(after, before * factors[:, None], rtol=1e-13)
        assert (after[norms <= 0.9] == before[norms <= 0.9]).all()


def test_max_norm_limits_layers_wider_than_one_pass():
    y = RNG.normal(size=(40, 150))
    free, limited = (
        fastnn.Network(
            [4, 200, 150], activation="identity", seed=0, dtype="float64", init=fastnn.initialisers.Normal(0.5)
        )
        for _ in range(2)
    )
    for bias in (*free.biases, *limited.biases):
        bias[...] = 3.0  # no weight: what reads on behind the weights would shorten others because of it
    free.fit(X[:, :4], y, epochs=1, batch_size=40, learning_rate=1e-6)
    limited.fit(X[:, :4], y, epochs=1, batch_size=40, learning_rate=1e-6, max_norm=1.0)
    for before, after in zip(free.weights, limited.weights, strict=True):
        norms = np.linalg.norm(before, axis=1)
        np.testing.assert_allclose(after, before * np.minimum(1, 1 / norms)[:, None], rtol=1e-13)


# ---- Averages, frozen layers


def test_the_moving_average_follows_its_recursion():
    seen = []
    net = network()
    average = net.parameters
    net.fit(X, Y, epochs=5, batch_size=40, ema_decay=0.75, callbacks=[lambda net, history: seen.append(net.parameters)])
    for parameters in seen:
        average = 0.75 * average + 0.25 * parameters
    np.testing.assert_allclose(net.averaged().parameters, average, rtol=1e-12, atol=1e-15)
    assert (net.parameters == seen[-1]).all()


def test_without_ema_decay_there_is_no_average():
    net = network()
    net.fit(X, Y, epochs=1)
    with pytest.raises(ValueError, match="no average"):
        net.averaged()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", fastnn.AdamW(weight_decay=0.5)])
@pytest.mark.parametrize("options", [{}, {"l1": 0.1, "l2": 0.1}, {"clip_norm": 0.1}, {"max_norm": 0.1}])
def test_a_frozen_layer_keeps_its_bits_and_the_others_learn(optimizer, options):
    net = network()
    net.freeze(0)
    before = [np.array(part) for part in (*net.weights, *net.biases)]
    net.fit(X, Y, epochs=2, optimizer=optimizer, **options)
    same = [(a == b).all() for a, b in zip(before, (*net.weights, *net.biases), strict=True)]
    assert same == [True, False, True, False]


def test_step_leaves_frozen_layers_alone_and_gradients_do_not():
    net = network()
    net.freeze(-1)
    before = np.array(net.weights[1])
    net.step(X, Y, 0.1)
    assert net.frozen == (1,)
    assert (net.weights[1] == before).all()
    assert net.gradients(X, Y)[0][1].any()


def test_unfrozen_layers_learn_again():
    net = network()
    net.freeze(0, 1)
    net.unfreeze(0)
    assert net.frozen == (1,)
    net.unfreeze()
    assert net.frozen == ()
    assert all(change.any() for change in one_step(net))


@pytest.mark.parametrize("layer", [2, -3, 1.0, True, "0"])
def test_missing_layers_are_refused(layer):
    with pytest.raises(ValueError, match=r"layers must be numbers of layers of weights, 0\.\.1"):
        network().freeze(layer)


# ---- Class weights


def test_class_weights_act_as_sample_weights():
    weight = {0: 2.0, 2: 0.5}
    by_class, by_example = classifier(), classifier()
    by_class.fit(X, LABELS, epochs=2, class_weight=weight)
    by_example.fit(X, LABELS, epochs=2, sample_weight=[weight.get(int(label), 1.0) for label in LABELS])
    assert (by_class.parameters == by_example.parameters).all()


def test_balanced_classes_have_the_same_total_weight():
    labels = np.repeat([0, 1, 2], [5, 10, 25])
    nets = classifier(), classifier()
    nets[0].fit(X, labels, epochs=2, class_weight="balanced")
    # 40 / (3 classes * count)
    nets[1].fit(X, labels, epochs=2, class_weight={0: 40 / 15, 1: 40 / 30, 2: 40 / 75})
    assert (nets[0].parameters == nets[1].parameters).all()


def test_class_weights_multiply_sample_weights():
    weights = RNG.random(40)
    nets = classifier(), classifier()
    nets[0].fit(X, LABELS, epochs=2, class_weight={1: 3.0}, sample_weight=weights)
    nets[1].fit(X, LABELS, epochs=2, sample_weight=weights * np.where(LABELS == 1, 3.0, 1.0))
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-13)


def test_one_hot_rows_and_a_single_output_have_classes_too():
    nets = classifier(), classifier()
    nets[0].fit(X, np.eye(3)[LABELS], epochs=2, class_weight={0: 2.0})
    nets[1].fit(X, LABELS, epochs=2, class_weight={0: 2.0})
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-13)
    y = (X[:, 0] > 0.5).astype(float)
    single = [fastnn.Network([5, 1], loss="binary_cross_entropy", seed=0) for _ in range(2)]
    single[0].fit(X, y, epochs=2, class_weight={1: 4.0})
    single[1].fit(X, y, epochs=2, sample_weight=1 + 3 * y)
    assert (single[0].parameters == single[1].parameters).all()


def test_one_hot_rows_of_two_classes_have_classes_too():
    labels = (X[:, 0] > 0.5).astype(int)
    nets = [fastnn.Network([5, 2], activation="softmax", loss="cross_entropy", seed=0) for _ in range(2)]
    histories = [
        net.fit(X, y, epochs=2, class_weight={1: 4.0}) for net, y in zip(nets, (np.eye(2)[labels], labels), strict=True)
    ]
    assert histories[0]["accuracy"] == histories[1]["accuracy"]
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-6)


@pytest.mark.parametrize(
    ("weight", "error", "word"),
    [
        ("equal", ValueError, "'balanced', got 'equal'"),
        ([1, 2, 3], TypeError, "class_weight must be a dict"),
        ({3: 1.0}, ValueError, r"labels 0\.\.2 as keys, got 3"),
        ({0: -1.0}, ValueError, r"class_weight\[0\] must be 0 or more"),
        ({0: "1"}, TypeError, r"class_weight\[0\] must be a number"),
    ],
)
def test_invalid_class_weights_are_refused(weight, error, word):
    with pytest.raises(error, match=word):
        classifier().fit(X, LABELS, epochs=1, class_weight=weight)


def test_class_weights_need_classes():
    with pytest.raises(ValueError, match="class_weight takes labels"):
        network().fit(X, Y, epochs=1, class_weight="balanced")


# ---- Smoothing, noise, dropout


def test_label_smoothing_trains_on_smoothed_targets():
    soft, by_hand = classifier(), classifier()
    soft.fit(X, LABELS, epochs=2, label_smoothing=0.3)
    by_hand.fit(X, 0.7 * np.eye(3)[LABELS] + 0.1, epochs=2)
    np.testing.assert_allclose(soft.parameters, by_hand.parameters, rtol=1e-12)


def test_label_smoothing_of_one_output_has_two_classes():
    y = (X[:, 0] > 0).astype(float)
    nets = [fastnn.Network([5, 1], loss="binary_cross_entropy", dtype="float64", seed=0) for _ in range(2)]
    nets[0].fit(X, y, epochs=2, label_smoothing=0.2)
    nets[1].fit(X, 0.8 * y + 0.1, epochs=2)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-12)


def test_validation_is_not_regularized():
    net = classifier(dropout=0.5)
    history = net.fit(
        X, LABELS, epochs=1, label_smoothing=0.3, input_noise=1.0, validation_data=(X, LABELS), batch_size=40
    )
    assert history["val_loss"][0] == pytest.approx(net.loss(X, LABELS), rel=1e-12)


def drawn(n_rows, n, rate, place=0, seed=3, stream=5):
    """Factors that `drop` puts on a matrix of ones, and on its derivatives."""
    a, derivative = np.ones(n_rows * n), np.full(n_rows * n, 2.0)
    threshold = round(rate * 2**24)
    from_python(stochastic_regularization.drop)(a, derivative, threshold, seed, stream, place, n_rows, 0, n, n, n)
    assert (derivative == 2 * a).all()
    return a.reshape(n_rows, n)


def test_dropout_drops_its_fraction_and_scales_the_rest():
    factors = drawn(100, 100, 0.3)
    np.testing.assert_allclose(np.unique(factors), [0, 1 / 0.7], rtol=1e-7)  # the share in units of 2^-24
    assert abs((factors == 0).mean() - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 10_000)


def test_dropout_depends_only_on_the_place_in_the_epoch():
    whole = drawn(20, 7, 0.5)
    assert (whole[8:] == drawn(12, 7, 0.5, place=8)).all()
    assert (whole != drawn(20, 7, 0.5, stream=6)).any()
    assert (whole != drawn(20, 7, 0.5, seed=4)).any()


def test_a_step_with_dropout_is_that_of_the_thinned_network():
    net = network(dropout=0.5)
    changes = one_step(net, shuffle=False)
    draws = fastnn.training.update_rule.make_stochastic_regularization(
        net.engine.spec, fastnn.training.update_rule.Regularization(), net.seed, 1
    )
    mask = drawn(40, 19, 0.5, seed=draws.seed, stream=stochastic_regularization.STREAMS * 0 + 1)
    w, b = network().weights, network().biases
    hidden = np.tanh(X @ w[0].T + b[0])
    delta = 2 * (hidden * mask @ w[1].T + b[1] - Y) / 40
    below = delta @ w[1] * (1 - hidden**2) * mask
    expected = [below.T @ X, delta.T @ (hidden * mask), below.sum(0), delta.sum(0)]
    for change, gradient in zip(changes, expected, strict=True):
        np.testing.assert_allclose(change, -0.1 * gradient, atol=1e-14)


def test_inputs_may_be_dropped_too():
    net = network(dropout=[0.5, 0.0])
    weights = one_step(net, shuffle=False)[0]
    draws = fastnn.training.update_rule.make_stochastic_regularization(
        net.engine.spec, fastnn.training.update_rule.Regularization(), net.seed, 1
    )
    inputs = X * drawn(40, 5, 0.5, seed=draws.seed, stream=0)
    expected = one_step(network(), X=inputs, shuffle=False)[0]
    np.testing.assert_allclose(weights, expected, atol=1e-14)


def test_predictions_are_without_dropout():
    assert (network(dropout=0.5).predict(X) == network().predict(X)).all()
    assert (network(dropout=0.5).gradients(X, Y, flat=True) == network().gradients(X, Y, flat=True)).all()


def test_dropout_draws_anew_in_each_epoch_and_across_fits():
    whole, parts = network(dropout=0.4), network(dropout=0.4)
    whole.fit(X, Y, epochs=4, batch_size=7)
    for _ in range(2):
        parts.fit(X, Y, epochs=2, batch_size=7)
    assert (whole.parameters == parts.parameters).all()
    again = network(dropout=0.4)
    again.training_state.epochs = 1
    first = [one_step(net, shuffle=False)[0] for net in (network(dropout=0.4), again)]
    assert (first[0] != first[1]).any()


class Falling(fastnn.schedules.Schedule):
    """1 in the first epoch, then 0.5, 0.25, ..., and less in every batch."""

    def at(self, t):
        return self.rate * 0.5 ** np.asarray(t)


def test_a_schedule_multiplies_the_rates_of_dropout_in_every_step(monkeypatch):
    thresholds = []
    kernel = from_python(stochastic_regularization.scheduled_dropout)
    net, plain = network(dropout=0.6), network(dropout=0.3)
    net.fit(X, Y, epochs=2, batch_size=7, dropout_schedule=fastnn.schedules.Constant(0.5))
    plain.fit(X, Y, epochs=2, batch_size=7)
    assert (net.parameters == plain.parameters).all()
    factors = fastnn.learning_rates.as_step_factors("dropout_schedule", Falling(1.0))
    plan = fastnn.training.plan.TrainingPlan(5, 7, 4, 2, True, 0, None, None, "raise", None, factors)
    rule = fastnn.training.update_rule.plain_sgd_rule(net.engine.buffer)
    unscheduled = fastnn.training.update_rule.no_stochastic_regularization(net.engine.buffer)
    _, scheduled = fastnn.training.plan.with_schedules(rule, unscheduled, plan, 6, 11)
    for step in range(6, 11):  # of a training that began in epoch 2
        epoch, batch = divmod(step, 4)
        for row in (0, 6):
            thresholds.append(kernel(1 << 20, scheduled, 2 + epoch, 7 * batch + row))
            assert thresholds[-1] == int((1 << 20) * 0.5 ** (2 + step / 4))
    assert len(set(thresholds)) == 5
    assert kernel(1 << 20, unscheduled, 9, 100) == 1 << 20


def test_a_schedule_of_dropout_is_followed_from_epoch_to_epoch():
    net, parts = network(dropout=0.5), network(dropout=0.5)
    net.fit(X, Y, epochs=4, batch_size=7, dropout_schedule=Falling(1.0))
    for _ in range(2):
        parts.fit(X, Y, epochs=2, batch_size=7, dropout_schedule=Falling(1.0))
    assert (net.parameters == parts.parameters).all()
    whole = network(dropout=0.5)
    whole.fit(X, Y, epochs=4, batch_size=7)
    assert (net.parameters != whole.parameters).any()


@pytest.mark.parametrize("dropout", [0.5, [0.5, 0.0]])
def test_a_schedule_of_0_switches_dropout_off(dropout):
    class Zero(fastnn.schedules.Schedule):
        def at(self, t):
            return 0.0

    net, plain = network(dropout=dropout), network()
    net.fit(X, Y, epochs=2, batch_size=7, dropout_schedule=Zero(1.0))
    plain.fit(X, Y, epochs=2, batch_size=7)
    assert (net.parameters == plain.parameters).all()


def test_a_dropout_beyond_1_is_refused():
    with pytest.raises(
        ValueError, match=r"dropout_schedule: Constant\.at\(t\) must be 0 or more and at most 1, got 1\.5"
    ):
        network(dropout=0.5).fit(X, Y, epochs=1, dropout_schedule=fastnn.schedules.Constant(1.5))


@pytest.mark.parametrize(
    ("dropout", "rates"),
    [(0, (0, 0, 0)), (0.25, (0, 0.25, 0.25)), ([0.1, 0.2], (0, 0.1, 0.2)), ((0.3, 0.1, 0.2), (0.3, 0.1, 0.2))],
)
def test_forms_of_dropout(dropout, rates, tmp_path):
    net = fastnn.Network([3, 4, 5, 2], dropout=dropout, seed=0)
    assert net.dropout == rates
    net.save(tmp_path / "net.safetensors")
    assert fastnn.load(tmp_path / "net.safetensors").dropout == rates
    assert ("dropout" in repr(net)) == any(rates)


@pytest.mark.parametrize(
    ("dropout", "error"),
    [(1, ValueError), (-0.1, ValueError), (math.nan, ValueError), ([0.1] * 4, ValueError), ("0.5", TypeError)],
)
def test_invalid_dropout_is_refused(dropout, error):
    with pytest.raises(error, match="dropout must"):
        fastnn.Network([3, 4, 5, 2], dropout=dropout)


def test_input_noise_is_normal_and_depends_only_on_the_place():
    noise = np.zeros(200 * 51)
    add_noise = from_python(stochastic_regularization.add_noise)
    add_noise(noise, 0.5, 3, 7, 0, 200, 51, 51)
    # 10,200 draws: the mean within four of its deviations of 0.005, the deviation within 3%
    assert abs(noise.mean()) < 0.02
    assert noise.std() == pytest.approx(0.5, rel=0.03)
    assert (abs(noise) < 0.5).mean() == pytest.approx(0.6827, abs=0.02)
    later = np.zeros(100 * 51)
    add_noise(later, 0.5, 3, 7, 100, 100, 51, 51)
    assert (noise[100 * 51 :] == later).all()


def test_input_noise_changes_the_training():
    history = network().fit(np.zeros((4000, 5)), np.zeros((4000, 3)), epochs=1, input_noise=0.5, learning_rate=1e-9)
    calm = network().fit(np.zeros((4000, 5)), np.zeros((4000, 3)), epochs=1, learning_rate=1e-9)
    assert calm["loss"][0] == 0
    w = network().weights
    spread = np.random.default_rng(1).normal(0, 0.5, (40_000, 5))
    expected = np.square(np.tanh(spread @ w[0].T) @ w[1].T).sum(1).mean()
    assert history["loss"][0] == pytest.approx(expected, rel=0.1)


# ---- Threads


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"l1": -1}, ValueError, "l1 must be 0 or more"),
        ({"l2": math.inf}, ValueError, "l2 must be finite"),
        ({"clip_norm": 0}, ValueError, "clip_norm must be positive"),
        ({"max_norm": "1"}, TypeError, "max_norm must be a number"),
        ({"label_smoothing": 1.0}, ValueError, "label_smoothing must be at least 0 and below 1"),
        ({"label_smoothing": 0.1}, ValueError, "label_smoothing takes a cross-entropy as loss, got 'squared_error'"),
        ({"input_noise": -0.1}, ValueError, "input_noise must be 0 or more"),
        ({"ema_decay": 1}, ValueError, "ema_decay must be at least 0 and below 1"),
    ],
)
def test_invalid_settings_are_refused(options, error, word):
    net = network()
    before = net.parameters
    with pytest.raises(error, match=word):
        net.fit(X, Y, epochs=1, **options)
    assert (net.parameters == before).all()
