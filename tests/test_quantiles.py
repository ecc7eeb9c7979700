"""The quantile loss with one level for each output: values by hand, and targets of one column."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import functional
from fastnn.losses import Quantile

LEVELS = [0.125, 0.5, 0.75]
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = X[:, 0] + RNG.normal(size=60)


def three_outputs(dtype="float64", outputs=(2.0, 4.0, 8.0)):
    """A network that answers `outputs`, whatever it sees."""
    net = fastnn.Network([1, 3], activation="identity", loss=Quantile(LEVELS), init="zeros", dtype=dtype, seed=0)
    net.biases[0][...] = outputs
    return net


def network(seed=0, **options):
    return fastnn.Network([2, 5, 3], activation=["tanh", "identity"], loss=Quantile(LEVELS), seed=seed, **options)


def test_the_levels_are_kept_as_a_tuple():
    assert Quantile(LEVELS) == Quantile(tuple(LEVELS)) == Quantile(np.array(LEVELS))
    assert Quantile(LEVELS).q == (0.125, 0.5, 0.75)
    assert len({Quantile(LEVELS), Quantile(LEVELS)}) == 1


@DTYPES
@pytest.mark.parametrize("y", [[4.0], [[4.0]], [[4.0, 4.0, 4.0]], [4]], ids=["(n,)", "(n, 1)", "(n, 3)", "integers"])
def test_a_loss_by_hand(y, dtype):
    net = three_outputs(dtype)
    assert net.loss([[0.0]], y) == 0.125 * 2 + 0 + 0.25 * 4
    assert net.gradients([[0.0]], y)[1][0].tolist() == [-0.125, 0, 0.25]  # below, equal, above


@DTYPES
def test_each_output_may_have_a_target_of_its_own(dtype):
    net = three_outputs(dtype)
    assert net.loss([[0.0]], [[0.0, 8.0, 10.0]]) == 0.875 * 2 + 0.5 * 4 + 0.75 * 2
    assert net.gradients([[0.0]], [[0.0, 8.0, 10.0]])[1][0].tolist() == [0.875, -0.5, -0.75]


def test_weights_of_examples_by_hand():
    net = three_outputs()
    assert net.loss([[0.0], [0.0]], [4.0, 12.0], sample_weight=[3, 1]) == (3 * 1.25 + 1.25 + 4 + 3) / 4


def test_one_number_is_the_level_of_targets_of_their_own():
    """Integers of shape (n,) stay labels there, as for every loss."""
    net = fastnn.Network([1, 3], activation="identity", loss=Quantile(0.25), init="zeros", dtype="float64", seed=0)
    assert net.loss([[0.0]], [1]) == net.loss([[0.0]], [[0.0, 1.0, 0.0]]) == 0.25
    with pytest.raises(TypeError, match="must hold integer labels"):
        net.loss([[0.0]], [1.5])


def test_other_shapes_of_targets_are_refused():
    with pytest.raises(ValueError, match=r"y must have shape \(60, 3\) or \(60,\), got \(60, 2\)"):
        network().fit(X, np.ones((60, 2)), epochs=1)


@pytest.mark.parametrize(
    "options", [{}, {"optimizer": "adam"}, {"validation_split": 0.2}, {"optimizer": "lbfgs"}], ids=str
)
def test_a_column_trains_as_its_copies_do(options):
    nets = [network(), network()]
    histories = [
        net.fit(X, y, epochs=3, **options) for net, y in zip(nets, (Y, np.repeat(Y[:, None], 3, axis=1)), strict=True)
    ]
    assert histories[0]["loss"] == histories[1]["loss"]
    assert nets[0].parameters.tobytes() == nets[1].parameters.tobytes()
    assert "accuracy" not in histories[0]


def test_equal_levels_train_as_one_level_for_all():
    """The bits of a single level do not depend on how it is given."""
    nets = [
        fastnn.Network([2, 5, 2], activation=["tanh", "identity"], loss=Quantile(q), seed=0) for q in (0.9, [0.9, 0.9])
    ]
    for net in nets:
        net.fit(X, np.stack([Y, Y], axis=1), epochs=3)
    assert nets[0].parameters.tobytes() == nets[1].parameters.tobytes()


def test_outputs_find_their_quantiles():
    y = np.arange(1.0, 201.0)
    net = three_outputs(outputs=(100.0, 100.0, 100.0))
    net.fit(np.zeros((200, 1)), y, epochs=400, batch_size=200, learning_rate=10.0)
    low, middle, high = net.predict([[0.0]])[0]
    # Between the neighbours 25 and 26, 100 and 101, 150 and 151; a step there is at most 10 / 200 times a few targets.
    assert (24.5 < low < 26.5, 99.5 < middle < 101.5, 149.5 < high < 151.5) == (True, True, True)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_copies_keep_the_levels(again):
    net = network()
    other = again(net)
    assert (other.engine.spec, other.loss(X, Y)) == (net.engine.spec, net.loss(X, Y))


def test_a_training_resumes_with_its_levels(tmp_path):
    whole, part = network(), network()
    whole.fit(X, Y, epochs=4)
    part.fit(X, Y, epochs=2, checkpoint=tmp_path)
    again = network()
    again.fit(X, Y, epochs=4, checkpoint=tmp_path, resume=True)
    assert again.parameters.tobytes() == whole.parameters.tobytes()


def test_other_levels_do_not_resume_a_training(tmp_path):
    network().fit(X, Y, epochs=2, checkpoint=tmp_path)
    other = fastnn.Network([2, 5, 3], activation=["tanh", "identity"], loss=Quantile([0.2, 0.5, 0.75]), seed=0)
    with pytest.raises(ValueError, match="checkpoint"):
        other.fit(X, Y, epochs=4, checkpoint=tmp_path, resume=True)


def test_the_functional_interface_takes_levels():
    net = network(dtype="float64")
    weights, biases = [w.copy() for w in net.weights], [b.copy() for b in net.biases]
    given = {"activation": ["tanh", "identity"], "loss": Quantile(LEVELS), "orientation": "out_in"}
    assert functional.loss(weights, biases, X, Y, **given) == net.loss(X, Y)


def test_populations_repeat_the_target_where_levels_are_several():
    """A single level for several outputs would take the same integers for labels."""
    labels = np.arange(60) % 3
    configs = [{"loss": Quantile(LEVELS)}, {"loss": Quantile(0.5)}]
    shared = {"sizes": [2, 5, 3], "activation": ["tanh", "identity"], "epochs": 2, "seed": 0}
    networks = fastnn.fit_many(configs, X, labels, **shared).networks
    alone = network()
    alone.fit(X, labels, epochs=2)
    assert networks[0].parameters.tobytes() == alone.parameters.tobytes()


def test_streams_take_a_column():
    net, whole = network(), network()
    net.fit_stream(lambda: [(X[:30], Y[:30]), (X[30:], Y[30:])], epochs=2, batch_size=10)
    whole.fit(X, Y, epochs=2, batch_size=10, shuffle=False)
    np.testing.assert_allclose(net.parameters, whole.parameters, rtol=1e-6)


def test_step_takes_a_column():
    nets = [network(), network()]
    losses = [net.step(X, y, 0.1) for net, y in zip(nets, (Y, np.repeat(Y[:, None], 3, axis=1)), strict=True)]
    assert losses[0] == losses[1]
    assert nets[0].parameters.tobytes() == nets[1].parameters.tobytes()
