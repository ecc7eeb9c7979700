"""One training on rows that lie with several ranks."""

import numpy as np
import pytest
from test_data_parallel import on_ranks

import fastnn
from fastnn.callbacks import EarlyStopping
from fastnn.training.partitioned import GatheredMetric, PartitionedGroup, fit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(103, 6))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
WEIGHT = np.linspace(0.1, 2, 103)
OPTIONS = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01, "optimizer": "adam"}


def network(**settings):
    return fastnn.Network(
        [6, 20, 2], activation=["tanh", "softmax"], loss="cross_entropy", dtype="float64", **{"seed": 5} | settings
    )


def rows_of(rank, size):
    """Rows in blocks, of which the first is short."""
    ends = [0, *(10 + 93 * number // (size - 1) for number in range(size - 1)), 103] if size > 1 else [0, 103]
    return np.arange(ends[rank], ends[rank + 1])


def assert_same(net, history, other, expected):
    np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-9, atol=1e-12)
    assert list(history) == list(expected)
    for name in history:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [{}, {"drop_last": True}, {"shuffle": False}, {"batch_size": 500}, {"sample_weight": WEIGHT}, {"clip_norm": 0.1}],
    ids=["plain", "drop_last", "order", "one batch", "weights", "clip"],
)
def test_ranks_with_their_own_rows_train_as_one_process_with_all(size, options):
    options = OPTIONS | options
    other = network()
    expected = other.fit(X, Y, validation_data=(X[:20], Y[:20]), **options)

    def train(comm):
        rows, held = rows_of(comm.rank, size), slice(comm.rank, 20, size)
        own = options | ({"sample_weight": WEIGHT[rows]} if "sample_weight" in options else {})
        group, net = PartitionedGroup(comm, rows, 103), network(seed=5 + comm.rank)
        return net, fit(net, X[rows], Y[rows], group, validation_data=(X[:20][held], Y[:20][held]), **own)

    results = on_ranks(size, train)
    assert len({net.parameters.tobytes() for net, _ in results}) == 1
    for net, history in results:
        assert_same(net, history, other, expected)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_a_metric_sees_the_validation_rows_of_all_ranks(weight):
    seen = []

    def spread(y, outputs, weight):
        seen.append((y, outputs, weight))
        return float(outputs.std())

    def train(comm):
        rows, net = rows_of(comm.rank, 2), network()
        metric = GatheredMetric("val_spread", spread, X[rows], Y[rows], None if weight is None else weight[rows])
        stop = EarlyStopping("val_spread", patience=1, min_delta=1e9)
        callbacks = [metric, stop] if comm.rank == 0 else [metric]
        return net, fit(net, X[rows], Y[rows], PartitionedGroup(comm, rows, 103), callbacks=callbacks, **OPTIONS)

    results = on_ranks(2, train)
    assert [history.stop_reason for _, history in results] == ["early_stopping"] * 2
    assert len(seen) == 2
    y, outputs, weights = seen[0]
    np.testing.assert_array_equal(y, Y)
    assert outputs.shape == (103, 2)
    assert (weights is None) if weight is None else np.array_equal(weights, weight)
    assert results[0][1]["val_spread"][0] == outputs.std()
