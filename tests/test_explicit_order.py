"""Epochs in a given order, and the penalty that is shared out over a batch."""

import numpy as np
import pytest
from helpers import BOTH

import fastnn
from fastnn import inputs
from fastnn.kernels import layout, optimizer_steps
from fastnn.kernels.jit import from_python
from fastnn.parameters import aligned_zeros
from fastnn.training.explicit_order import ExplicitOrderTraining
from fastnn.training.update_rule import plain_sgd_rule

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(23, 5)), RNG.normal(size=(23, 2))
WEIGHTS = RNG.uniform(0.5, 2, size=23)
ORDER = RNG.permutation(23)


def new(dtype="float64"):
    return fastnn.Network([5, 4, 2], activation="tanh", dtype=dtype, seed=1)


def training(net, batch, rule, weights=None, n_threads=None):
    examples, _ = inputs.as_examples(X, Y, weights, net.engine.spec, ("X", "y", "w"))
    return ExplicitOrderTraining(net.engine, examples, batch, rule, n_threads)


@BOTH
@pytest.mark.parametrize("batch", [1, 5, 23])
def test_an_epoch_has_the_bits_of_a_fit_on_the_rows_in_that_order(batch, dtype):
    net, other = new(dtype), new(dtype)
    run = training(net, batch, plain_sgd_rule(net.engine.buffer))
    for rate in (0.1, 0.05):
        loss = run.epoch(ORDER, rate)
        history = other.fit(X[ORDER], Y[ORDER], epochs=1, batch_size=batch, learning_rate=rate, shuffle=False)
        assert loss == history["loss"][0]
    assert np.array_equal(net.parameters, other.parameters)
    assert run.steps == 2 * -(-23 // batch)


def shared_rule(net, l2, times):
    norms = np.zeros(net.engine.buffer.size // optimizer_steps.PENALTY_CHUNK + len(net.sizes))
    return plain_sgd_rule(net.engine.buffer)._replace(plain=0, l2=l2, penalty_per_batch=times, norms=norms)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_penalty_per_batch_by_hand(weights, n_threads):
    """Of each batch: gradient + l2 W / w, loss (sum w l + l2/2 |W|^2) / w times its rows, w the batch's weight."""
    net, other, l2, rate, total = new(), new(), 0.7, 0.1, 0.0
    run = training(net, 10, shared_rule(net, l2, 1.0), weights, n_threads)
    loss = run.epoch(ORDER, rate)
    for start in (0, 10, 20):
        rows = ORDER[start : start + 10]
        share = np.ones(len(rows)) if weights is None else weights[rows]
        squares = sum(float((w**2).sum()) for w in other.weights)
        value = other.loss(X[rows], Y[rows], sample_weight=share) + l2 / 2 * squares / share.sum()
        total += value * len(rows)
        weight_gradients, bias_gradients = other.gradients(X[rows], Y[rows], sample_weight=share)
        for weight, gradient in zip(other.weights, weight_gradients, strict=True):
            weight -= rate * (gradient + l2 / share.sum() * weight)
        for bias, gradient in zip(other.biases, bias_gradients, strict=True):
            bias -= rate * gradient
    assert loss == pytest.approx(total / 23, rel=1e-13)
    assert np.allclose(net.parameters, other.parameters, rtol=0, atol=1e-14)


@BOTH
@pytest.mark.parametrize("count", [1, 63, 64, 4095, 4096, 4097, 9000])
def test_sums_of_squares_are_exact_for_any_length(count, dtype):
    w = aligned_zeros(count, np.dtype(dtype))
    w[:] = RNG.integers(-3, 4, count)  # exact in any order
    found = np.full(-(-count // optimizer_steps.PENALTY_CHUNK) + 1, np.nan)
    lanes = np.full(layout.scratch_size(1, 4), 9, dtype)
    call = from_python(optimizer_steps.sum_chunk_squares)
    call(found, w, lanes, 0, len(found) - 1)
    assert found[:-1].sum() == (w**2).sum()
    assert np.isnan(found[-1])


@BOTH
def test_l2_in_the_update_equals_l2_added_to_the_gradient(dtype):
    """With clipping the penalty is added to the gradient first; both ways give the same step."""
    nets = [new(dtype) for _ in range(2)]
    options = {"epochs": 2, "batch_size": 5, "learning_rate": 0.05, "l2": 0.3, "shuffle": False}
    nets[0].fit(X, Y, optimizer=fastnn.SGD(momentum=0.5), **options)
    nets[1].fit(X, Y, optimizer=fastnn.SGD(momentum=0.5), clip_norm=1e6, **options)
    assert np.abs(nets[0].parameters - nets[1].parameters).max() < 10 * np.finfo(dtype).eps
