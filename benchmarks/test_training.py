"""Steps and whole epochs of every case, beside the reference in NumPy: pytest benchmarks --benchmark-only."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cases import CASES
from fastnn import Network
from fastnn.bench.libraries import fastnn_trainer, numpy_trainer


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    """Return one network with its batch and data."""
    return request.param


def same_start(case):
    """Return the case's network and its reference, with the same parameters."""
    start = case.start()
    net = Network(case.sizes, activation=case.activation, loss=case.loss, seed=0)
    for parameters, initial in zip((*net.weights, *net.biases), (*start.weights, *start.biases), strict=True):
        parameters[...] = initial
    return net, start


def test_step(benchmark, case):
    net, start = same_start(case)
    X, y = (array[: case.batch_size] for array in case.data())
    assert net.step(X, y, case.learning_rate) == pytest.approx(start.step(X, y, case.learning_rate), rel=1e-4)
    np.testing.assert_allclose(net.weights[-1], start.weights[-1], rtol=1e-3, atol=1e-5)
    benchmark(net.step, X, y, case.learning_rate)


def test_predict_one_row(benchmark, case):
    net, start = same_start(case)
    X = case.data()[0][:1]
    np.testing.assert_allclose(net.predict(X), start.predict(X), rtol=1e-4, atol=1e-5)
    benchmark(net.predict, X, out=np.empty((1, case.sizes[-1]), np.float32))


@pytest.mark.parametrize("trainer", [fastnn_trainer, numpy_trainer], ids=["fastnn", "numpy"])
def test_epoch(benchmark, case, trainer):
    train = trainer(case)
    assert train(1, False) == pytest.approx(numpy_trainer(case)(1, False), rel=1e-2)
    benchmark.extra_info["rows"] = case.rows
    benchmark.pedantic(train, args=(1, True), rounds=5, warmup_rounds=1)
