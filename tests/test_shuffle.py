"""The order in which an epoch visits the examples."""

import numpy as np
import pytest
import scipy.stats
from helpers import bits, regression, regressor, shuffled

import fastnn
from fastnn.kernels.jit import from_python
from fastnn.kernels.train_loop import shuffle


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_shuffle_is_a_permutation(n):
    assert sorted(shuffled(n, 3, 5)) == list(range(n))


def test_shuffle_depends_on_seed_and_epoch_alone():
    order = np.arange(50)[::-1].copy()
    from_python(shuffle)(order, 3, 5)  # whatever was there before
    assert order.tolist() == shuffled(50, 3, 5).tolist()


def test_shuffle_is_the_same_with_and_without_compilation():
    assert shuffled(10, 3, 5).tolist() == [2, 5, 3, 0, 6, 1, 7, 4, 9, 8]
    assert shuffled(10, (1 << 63) - 1, 1000).tolist() == [9, 1, 2, 8, 6, 7, 4, 3, 5, 0]


def test_shuffle_differs_with_seed_and_with_epoch():
    assert len({shuffled(50, seed, epoch).tobytes() for seed in range(20) for epoch in range(20)}) == 400


def test_shuffle_puts_every_example_in_every_place_equally_often():
    counts = np.zeros((6, 6))
    for epoch in range(3000):
        counts[np.arange(6), shuffled(6, 1, epoch)] += 1
    assert scipy.stats.chi2.sf(((counts - 500) ** 2 / 500).sum(), 25) > 0.01


@pytest.mark.parametrize("vary", ["seed", "epoch"])
def test_shuffle_gives_every_permutation_equally_often(vary):
    counts = {}
    for i in range(2400):
        order = shuffled(4, *((i, 0) if vary == "seed" else (0, i))).tobytes()
        counts[order] = counts.get(order, 0) + 1
    deviation = sum((count - 100) ** 2 / 100 for count in counts.values())
    assert len(counts) == 24
    assert scipy.stats.chi2.sf(deviation, 23) > 0.01


def test_shuffles_of_neighbouring_epochs_are_unrelated():
    places = np.array([shuffled(500, 1, epoch) for epoch in range(20)], float)
    correlations = np.corrcoef(places)[np.triu_indices(20, 1)]
    assert np.abs(correlations).max() < 0.2  # 4.5 standard deviations of 1/sqrt(500)


def test_fit_shuffles_by_default():
    X, y = regression()
    default, explicit, plain = regressor(), regressor(), regressor()
    default.fit(X, y, epochs=1, batch_size=5)
    explicit.fit(X, y, epochs=1, batch_size=5, shuffle=True)
    plain.fit(X, y, epochs=1, batch_size=5, shuffle=False)
    assert bits(default.parameters) == bits(explicit.parameters) != bits(plain.parameters)


def test_the_seed_shuffles():
    X, y = regression()
    nets = [fastnn.Network([4, 2], seed=seed) for seed in (1, 2)]
    for net in nets:
        net.parameters = nets[0].parameters
        net.fit(X, y, epochs=1, batch_size=5)
    assert bits(nets[0].parameters) != bits(nets[1].parameters)
