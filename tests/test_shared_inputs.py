"""Threads that share the inputs of a first layer."""

from itertools import pairwise

import numpy as np
import pytest
from helpers import bits, team_of_python_threads

import fastnn
from fastnn.kernels import barrier, layout, shared_inputs, threads
from fastnn.kernels.jit import from_python
from fastnn.parameters import MAX_CHUNKED_COLUMNS, MIN_CHUNKED_INPUTS
from fastnn.training.update_rule import no_stochastic_regularization

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (45, 300)).astype("uint8")
Y = RNG.normal(size=(45, 2))


def has_chunks(sizes):
    return (fastnn.Network(sizes, seed=0).engine.memory(1).table[:, layout.PARTIAL_SUMS] >= 0).tolist()


@pytest.mark.parametrize(
    ("sizes", "chunked"),
    [
        ([784, 30, 10], [True, False]),
        ([784, 10], [True]),
        ([MIN_CHUNKED_INPUTS, MAX_CHUNKED_COLUMNS, 300, 10], [True, False, False]),
        ([MIN_CHUNKED_INPUTS - 1, 30, 10], [False, False]),
        ([784, MAX_CHUNKED_COLUMNS + 1, 10], [False, False]),
    ],
)
def test_first_layers_of_many_inputs_and_few_neurons_have_chunks(sizes, chunked):
    assert has_chunks(sizes) == chunked


@pytest.mark.parametrize(("n_in", "starts"), [(784, [0, 192, 400, 592, 784]), (300, [0, 80, 144, 224, 300])])
def test_chunks_begin_with_a_cache_line(n_in, starts):
    found = [from_python(layout.chunk_start)(n_in, chunk) for chunk in range(layout.INPUT_CHUNKS + 1)]
    assert found == starts
    assert all(first < last for first, last in pairwise(found))


def test_a_sum_is_one_chain_for_each_chunk_added_in_order():
    """All numbers are powers of two whose sums show the order: 1 is lost beside 2^24, unless it has its own chain."""
    net = fastnn.Network([300, 1], activation="identity", seed=0)
    inputs = np.ones((1, 300), "float32")
    net.weights[0][...] = 0
    net.biases[0][...] = 2.0**24
    net.weights[0][0, [79, 80, 81, 82, 144, 299]] = 1  # alone; three of one chain; alone in each of the others
    # 2^24 + 1 is 2^24; + 3 is 2^24 + 4, the nearest even number; + 1 and + 1 again are lost
    assert net.predict(inputs)[0, 0] == 2.0**24 + 4


@pytest.mark.parametrize("kind", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("options", [{}, {"optimizer": "adam", "clip_norm": 0.5, "l2": 0.01}], ids=["plain", "adam"])
def test_any_team_has_the_bits_of_one_thread(kind, size, options, monkeypatch):
    nets = [fastnn.Network([300, 6, 2], input_scale=1 / 256, seed=0) for _ in range(2)]
    given = {"epochs": 2, "batch_size": 20, "validation_data": (X[:9].astype(kind), Y[:9]), **options}
    nets[0].fit(X.astype(kind), Y, n_threads=1, **given)
    monkeypatch.setattr(threads, "run_on_team", team_of_python_threads(size))
    monkeypatch.setattr(threads, "max_threads", lambda: size)
    monkeypatch.setattr(barrier, "SPINS", 3)
    nets[1].fit(X.astype(kind), Y, n_threads=size, **given)
    assert bits(nets[0].parameters) == bits(nets[1].parameters)


@pytest.mark.parametrize("options", [{"dropout": 0.3}, {"learned_input_scale": True}], ids=str)
def test_what_changes_the_inputs_keeps_the_bits_too(options, monkeypatch):
    nets = [fastnn.Network([300, 6, 2], seed=0, **options) for _ in range(2)]
    given = {"epochs": 2, "batch_size": 20, "input_noise": 0.1}
    nets[0].fit(X / 256, Y, n_threads=1, **given)
    monkeypatch.setattr(threads, "run_on_team", team_of_python_threads(2))
    monkeypatch.setattr(threads, "max_threads", lambda: 2)
    monkeypatch.setattr(barrier, "SPINS", 3)
    nets[1].fit(X / 256, Y, n_threads=2, **given)
    assert bits(nets[0].parameters) == bits(nets[1].parameters)


def test_which_teams_share():
    net = fastnn.Network([300, 6, 2], seed=0).engine
    layer, plain = net.memory(4).table[0], no_stochastic_regularization(net.buffer)
    shares = from_python(shared_inputs.shares_inputs)
    assert [bool(shares(layer, 0, plain, 20, size)) for size in range(1, 9)] == [size in (2, 4) for size in range(1, 9)]
    assert not shares(layer, 0, plain, 301, 2)  # more rows than inputs: the sums are more than the weights
    assert not shares(layer, 4, plain, 20, 2)  # sparse
    assert not shares(layer, 0, plain._replace(input_noise=0.1), 20, 2)


def test_training_computes_the_bits_of_predict():
    net = fastnn.Network([300, 6, 2], seed=0)
    rows = X.astype("float32") / 256
    assert (net.engine.activations(rows)[-1] == net.predict(rows)).all()
    assert (net.predict(rows)[7] == net.predict(rows[7:8])[0]).all()
