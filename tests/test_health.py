"""Warnings where a training cannot work: each once in a fit, at the caller's line, with what to change."""

import warnings

import numpy as np
import pytest

import fastnn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))
Y = np.tanh(X[:, 0])


def caught(function):
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        function()
    return [record for record in records if record.category is fastnn.TrainingWarning]


def test_targets_outside_of_the_outputs_range_are_warned_of_once_at_the_callers_line():
    net = fastnn.Network([3, 4, 1], seed=0)
    (record,) = caught(lambda: net.fit(X, 3 * Y, epochs=4))
    assert "y holds targets from -2.9" in str(record.message)
    assert "'sigmoid' lie from 0 to 1" in str(record.message)
    assert "'identity'" in str(record.message)
    assert record.filename == __file__


def test_large_inputs_are_warned_of_with_their_column():
    large = X * [1, 1, 500]
    net = fastnn.Network([3, 4, 1], activation=["tanh", "identity"], seed=0)
    (record,) = caught(lambda: net.fit(large, Y, epochs=1, learning_rate=1e-6))
    assert "X holds large inputs, about 488 in column 2" in str(record.message)
    assert "StandardScaler" in str(record.message)


def test_a_hidden_layer_of_relus_that_are_all_dead_is_warned_of():
    net = fastnn.Network([3, 4, 1], activation=["relu", "identity"], seed=0)
    net.biases[0][:] = -1000
    (record,) = caught(lambda: net.fit(X, Y, epochs=3, learning_rate=1e-3))
    assert "hidden layer 1, with activation 'relu', are 0 for every example" in str(record.message)


def test_constant_outputs_are_warned_of_at_the_end():
    net = fastnn.Network([3, 4, 1], activation=["tanh", "identity"], seed=0)
    net.weights[0][...] = 0
    net.biases[0][:] = 30
    (record,) = caught(lambda: net.fit(X, Y, epochs=2, learning_rate=1e-4))
    assert "the outputs are the same for all examples after epoch 2" in str(record.message)


@pytest.mark.parametrize("inputs", ["array", "bytes", "sparse"])
def test_a_training_that_can_work_is_silent(inputs):
    import scipy.sparse

    bytes_ = RNG.integers(0, 256, (200, 5), dtype=np.uint8)
    data = {"array": X, "bytes": bytes_, "sparse": scipy.sparse.csr_array(X)}[inputs]
    net = fastnn.Network(
        [data.shape[1], 4, 1], activation=["tanh", "identity"], input_scale=1 / 255 if inputs == "bytes" else 1, seed=0
    )
    assert not caught(lambda: net.fit(data, Y, epochs=3, learning_rate=0.01))


def test_a_stream_warns_once_for_all_of_its_batches():
    net = fastnn.Network([3, 1], seed=0)
    batches = [(X[start : start + 50], 3 * Y[start : start + 50]) for start in range(0, 200, 50)]
    assert len(caught(lambda: net.fit_stream(batches, epochs=2))) == 1


def test_a_divergence_names_the_scale_of_the_inputs_where_that_is_its_cause():
    net = fastnn.Network([3, 8, 1], activation=["relu", "identity"], seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastnn.TrainingWarning)
        with pytest.raises(fastnn.DivergenceError, match="X holds large inputs, about") as error:
            net.fit(X * 1e4, Y, epochs=20, learning_rate=1.0)
    assert "StandardScaler" in error.value.cause
    other = fastnn.Network([3, 8, 1], activation=["relu", "identity"], seed=0)
    with pytest.raises(fastnn.DivergenceError) as error:
        other.fit(X, Y, epochs=20, learning_rate=1e30)
    assert error.value.cause is None
