"""The search for a learning rate."""

import signal

import numpy as np
import pytest

import fastnn
from fastnn.training import lr_finder

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))
Y = X @ RNG.normal(size=(3, 2))


def network(**options):
    return fastnn.Network([3, 2], activation="identity", dtype="float64", seed=0, **options)


def test_a_training_at_the_suggestion_succeeds():
    # the curvature of this loss is about 2, so that rates above 1 diverge and those below 0.01 crawl
    search = network().find_learning_rate(X, Y, batch_size=20)
    assert 0.01 < search.suggestion < 1
    net = network()
    before = net.loss(X, Y)
    net.fit(X, Y, epochs=3, batch_size=20, learning_rate=search.suggestion)
    assert net.loss(X, Y) < 0.1 * before


def test_the_search_leaves_the_network_as_it_is():
    net = network()
    before = net.parameters
    net.find_learning_rate(X, Y)
    assert (net.parameters == before).all()
    assert net.epochs_trained == 0


def test_the_search_ends_where_the_loss_explodes():
    search = network().find_learning_rate(X, Y, max_lr=1e4, steps=60)
    assert 6 < len(search.learning_rates) < 60
    assert len(search.learning_rates) == len(search.losses) == len(search.smoothed)
    assert np.isfinite(search.losses).all()


def test_learning_rates_rise_by_a_constant_factor():
    search = network().find_learning_rate(X, Y, min_lr=1e-4, max_lr=1e-2, steps=21)
    ratios = search.learning_rates[1:] / search.learning_rates[:-1]
    np.testing.assert_allclose(ratios, 100 ** (1 / 20), rtol=1e-12)
    assert (search.learning_rates[0], len(ratios)) == (1e-4, 20)


def test_the_running_mean_by_hand():
    search = network().find_learning_rate(X, Y, steps=12, max_lr=1e-3)
    first, second = search.losses[:2]
    np.testing.assert_allclose(search.smoothed[:2], [first, (0.09 * first + 0.1 * second) / 0.19], rtol=1e-12)


def test_the_same_seed_gives_the_same_suggestion():
    searches = [network().find_learning_rate(X, Y, optimizer="adam") for _ in range(2)]
    assert searches[0].suggestion == searches[1].suggestion


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"steps": 9}, ValueError, "steps must be 10 or more"),
        ({"min_lr": 1.0, "max_lr": 1.0}, ValueError, "min_lr must be below max_lr, got 1.0 and 1.0"),
        ({"min_lr": 0}, ValueError, "min_lr must be positive"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"optimizer": "adams"}, ValueError, "optimizer"),
    ],
)
def test_invalid_arguments_are_refused(options, error, word):
    with pytest.raises(error, match=word):
        network().find_learning_rate(X, Y, **options)


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="X must"):
        network().find_learning_rate(X[:, :2], Y)


def test_a_search_that_diverges_at_once_suggests_its_first_rate():
    search = network().find_learning_rate(X, Y, min_lr=1e200, max_lr=1e300, steps=20)
    assert len(search.learning_rates) < 3
    assert search.suggestion == 1e200


def test_a_batch_has_no_more_rows_than_the_data():
    found = [network().find_learning_rate(X, Y, batch_size=size).suggestion for size in (200, 10**12)]
    assert found[0] == found[1]


def test_sparse_rows_are_searched_too():
    from scipy import sparse

    found = [network().find_learning_rate(rows, Y).suggestion for rows in (X, sparse.csr_array(X))]
    assert found[0] == pytest.approx(found[1], rel=1e-9)


@pytest.mark.usefixtures("default_sigint")
def test_ctrl_c_ends_the_search(monkeypatch):
    fit_steps, steps = lr_finder.fit_steps, []

    def press(*given, **named):
        steps.append(1)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)
        return fit_steps(*given, **named)

    monkeypatch.setattr(lr_finder, "fit_steps", press)
    with pytest.raises(KeyboardInterrupt):
        network().find_learning_rate(X, Y)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(steps) == 3
