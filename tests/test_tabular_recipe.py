"""The recipe for tables: its published constants, and that its layers are z = W x / sqrt(n_in) + b in other terms."""

import math

import numpy as np
import pytest

import fastnn
from fastnn.tabular.recipe import (
    CLASSES,
    OF_CLASSES,
    OF_QUANTITIES,
    ONE_HOT_LIMIT,
    PIECES,
    QUANTITIES,
    TabularRecipe,
    fit_arguments,
    network_arguments,
)


def test_constants():
    assert (CLASSES.hidden, CLASSES.activation, CLASSES.rate, CLASSES.label_smoothing) == (
        (256,) * 3,
        "selu",
        0.04,
        0.1,
    )
    assert (QUANTITIES.hidden, QUANTITIES.activation, QUANTITIES.rate) == ((256,) * 3, "mish", 0.07)
    for recipe in (CLASSES, QUANTITIES):
        found = fit_arguments((9, *recipe.hidden, 2), recipe)
        assert (found["epochs"], found["batch_size"], found["drop_last"]) == (256, 256, True)
        assert found["learning_rate"] == fastnn.schedules.CosLog4(recipe.rate, 256)
        assert found["optimizer"] == fastnn.Adam(beta_1=0.9, beta_2=0.95, epsilon=1e-8)
        assert found["lr_factors"] == {"weights": [1 / 3, *[1 / 16] * 3], "biases": 0.1, "input_scales": 6.0}
        assert found["label_smoothing"] == recipe.label_smoothing


@pytest.mark.parametrize(("recipe", "rate"), [(OF_CLASSES["td"], 0.04), (OF_QUANTITIES["td"], 0.2)])
def test_constants_of_the_whole_variant(recipe, rate):
    assert (recipe.rate, recipe.dropout, recipe.weight_decay, recipe.pieces) == (rate, 0.15, 0.02, PIECES)
    given = network_arguments(4, recipe, [0, 3])
    assert given == {
        "learned_input_scale": True,
        "dropout": 0.15,
        "learned_activation": True,
        "embedding": fastnn.PeriodicEmbedding((0, 3), n_frequencies=16, n_outputs=3, deviation=0.1),
    }
    found = fit_arguments((10, 256, 256, 256, 2), recipe, [0, 3])
    flat = fastnn.schedules.FlatCosine(1.0, 256)
    assert found["optimizer"] == fastnn.AdamW(beta_1=0.9, beta_2=0.95, epsilon=1e-8, weight_decay=0.02)
    assert found["lr_factors"] == {
        "weights": [1 / 4, *[1 / 16] * 3], "biases": 0.1, "input_scales": 6.0, "alphas": 0.1, "embedding": 0.1
    }  # fmt: skip
    assert found["decay_factors"] == pytest.approx({"input_scales": 36.0, "alphas": 0.01, "embedding": 0.01})
    assert found["decay_schedule"] == found["dropout_schedule"] == flat


def test_constants_of_embedded_categories():
    recipe = OF_CLASSES["td"]
    assert (ONE_HOT_LIMIT, "category embedding" in recipe.pieces, OF_CLASSES["td_s"].pieces) == (8, True, frozenset())
    given = network_arguments(4, recipe, [0], {1: 9, 3: 40})
    assert given["category_embedding"] == fastnn.CategoryEmbedding((9, 40), (1, 3), n_outputs=8, deviation=1.0)
    found = fit_arguments((4, 256, 256, 256, 2), recipe, [0], {1: 9, 3: 40})
    assert found["lr_factors"]["weights"][0] == 1 / math.sqrt(2 + 4 + 16 - 1)
    assert (found["lr_factors"]["category_embedding"], found["decay_factors"]["category_embedding"]) == (1.0, 1.0)


def test_the_whole_variant_without_quantities_or_hidden_layers():
    recipe = OF_QUANTITIES["td"]
    assert "embedding" not in network_arguments(4, recipe, [])
    assert set(fit_arguments((10, 1), recipe, [])["lr_factors"]) == {"weights", "biases", "input_scales"}
    net = fastnn.Network([10, 1], activation="identity", seed=0, **network_arguments(1, recipe))
    X = np.random.default_rng(0).normal(size=(40, 10))
    net.fit(X, X[:, :1], **fit_arguments((10, 1), recipe) | {"epochs": 2})


def test_only_cross_entropies_are_smoothed():
    recipe = TabularRecipe((4,), "selu", "squared_error", 0.04, label_smoothing=0.1)
    assert fit_arguments((3, 4, 2), recipe)["label_smoothing"] == 0


def test_initial_parameters():
    net = fastnn.Network([400, 300, 200, 2], activation="selu", seed=0, **network_arguments(3))
    # standard deviations of 300 numbers and more, to five standard errors
    for weights, n_in in zip(net.weights[:2], (400, 300), strict=True):
        assert weights.std() * math.sqrt(n_in) == pytest.approx(1, rel=0.02)
    assert all(bias.std() == pytest.approx(1, rel=0.25) for bias in net.biases[:2])
    assert not net.weights[2].any()
    assert not net.biases[2].any()
    assert (net.input_scales == 1).all()


def published_training(net, X, y, recipe, steps):
    """Return the parameters of the published form after full-batch steps: scale, then W x / sqrt(n_in) + b."""
    roots = [math.sqrt(weights.shape[1]) for weights in net.weights]
    parameters = [np.ones(X.shape[1])]
    for weights, bias, root in zip(net.weights, net.biases, roots, strict=True):
        parameters += [weights * root, bias.copy()]
    factors = [6.0, *[1.0, 0.1] * len(roots)]
    moments = [[np.zeros_like(p), np.zeros_like(p)] for p in parameters]
    for step in range(steps):
        scale, layers = parameters[0], list(zip(parameters[1::2], parameters[2::2], strict=True))
        values = [X * scale]
        for (W, b), root in zip(layers[:-1], roots[:-1], strict=True):
            values.append(np.tanh(values[-1] @ W.T / root + b))
        output = values[-1] @ layers[-1][0].T / roots[-1] + layers[-1][1]
        delta, gradients = 2 * (output - y) / len(X), []
        for number in reversed(range(len(layers))):
            W, root = layers[number][0], roots[number]
            gradients = [delta.T @ values[number] / root, delta.sum(axis=0), *gradients]
            below = delta @ W / root
            delta = below * (1 - values[number] ** 2) if number else below
        gradients = [(delta * X).sum(axis=0), *gradients]
        t = step / steps
        rate = recipe.rate * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t))) / 2
        flat = (1 + math.cos(math.pi * (max(1, 2 * t) - 1))) / 2
        for p, g, (m, v), factor in zip(parameters, gradients, moments, factors, strict=True):
            if factor != 0.1:  # biases do not decay
                p *= 1 - rate * recipe.weight_decay * flat * factor**2
            m[...] = 0.9 * m + 0.1 * g
            v[...] = 0.95 * v + 0.05 * g * g
            first, second = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.95 ** (step + 1))
            p -= factor * rate * first / (np.sqrt(second) + 1e-8)
    return parameters, roots


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_training_is_that_of_the_published_form(decay):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), rng.normal(size=(40, 1))
    recipe = TabularRecipe((7, 6), "tanh", "squared_error", rate=0.02, epochs=30, weight_decay=decay)
    net = fastnn.Network(
        [5, 7, 6, 1], activation=["tanh", "tanh", "identity"], seed=0, dtype="float64", **network_arguments(3)
    )
    expected, roots = published_training(net, X, y, recipe, steps=30)
    net.fit(X, y, **fit_arguments(net.sizes, recipe))
    # epsilon, 1e-8 beside gradients from 1e-3 up, is not scaled with the weights; 30 steps
    np.testing.assert_allclose(net.input_scales, expected[0], rtol=1e-4)
    for number, root in enumerate(roots):
        np.testing.assert_allclose(net.weights[number], expected[1 + 2 * number] / root, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(net.biases[number], expected[2 + 2 * number], rtol=1e-3, atol=1e-5)
