"""Networks from PyTorch modules and back: outputs, slopes, trainings, state dicts, files."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import fastnn

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from fastnn.compat import torch as bridge  # noqa: E402

PROGRAM = runpy.run_path(str(Path(__file__).parent / "programs" / "torch_digits.py"))
TRAINABLE = [name for name in bridge.MODULES if name != "softmax"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6))
Y = RNG.uniform(size=(40, 4))


def outputs(module, rows=X, dtype="float64"):
    with torch.no_grad():
        return module(torch.from_numpy(np.asarray(rows, dtype))).numpy()


def slopes(module, loss):
    module.zero_grad()
    loss.backward()
    return [parameter.grad.numpy() for parameter in module.parameters()]


def interleaved(gradients):
    return [part for pair in zip(*gradients, strict=True) for part in pair]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", TRAINABLE)
def test_outputs_and_slopes_agree(activation, dtype):
    net = fastnn.Network([6, 9, 4], activation=[activation, "sigmoid"], dtype=dtype, seed=1)
    module = net.to_torch()
    assert np.abs(outputs(module, X, dtype) - net.predict(X)).max() < 1e-6
    target = torch.from_numpy(Y.astype(dtype))
    found = slopes(module, ((module(torch.from_numpy(X.astype(dtype))) - target) ** 2).sum(dim=1).mean())
    for mine, theirs in zip(interleaved(net.gradients(X, Y)), found, strict=True):
        assert np.abs(mine - theirs).max() <= 1e-6 * max(1, np.abs(theirs).max())


@pytest.mark.parametrize(
    ("last", "loss", "theirs"),
    [
        ("softmax", "cross_entropy", lambda z, y: nn.functional.cross_entropy(z, y)),
        ("sigmoid", "binary_cross_entropy",
         lambda z, y: nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none").sum(1).mean()),
        ("exponential", "poisson",
         lambda z, y: nn.functional.poisson_nll_loss(z, y, reduction="none").sum(1).mean()),
    ],
)  # fmt: skip
def test_losses_on_logits_have_the_same_slopes(last, loss, theirs):
    net = fastnn.Network([6, 9, 4], activation=["tanh", last], loss=loss, dtype="float64", seed=1)
    targets = Y / Y.sum(axis=1, keepdims=True)
    module = net.to_torch(logits=True)
    value = theirs(module(torch.from_numpy(X)), torch.from_numpy(targets))
    assert value.item() == pytest.approx(net.loss(X, targets), rel=1e-9)
    for mine, found in zip(interleaved(net.gradients(X, targets)), slopes(module, value), strict=True):
        assert np.abs(mine - found).max() < 1e-12
    assert np.abs(outputs(net.to_torch()) - net.predict(X)).max() < 1e-12


@pytest.mark.parametrize("activation", [*TRAINABLE, "softmax"])
def test_there_and_back_is_the_same_network(activation):
    names, loss = [activation, "identity"], "squared_error"
    if activation == "softmax":
        names, loss = ["relu", "softmax"], "cross_entropy"
    net = fastnn.Network([6, 5, 4], activation=names, loss=loss, seed=2, input_scale=0.5, dropout=[0.1, 0.25])
    again = fastnn.from_torch(net.to_torch())
    assert (again.sizes, again.activation, again.loss_name) == (net.sizes, net.activation, net.loss_name)
    assert (again.input_scale, again.dropout, again.dtype) == (net.input_scale, net.dropout, net.dtype)
    assert np.array_equal(again.parameters, net.parameters)


def test_dropout_is_asleep_until_train_is_called():
    net = fastnn.Network([6, 50, 4], dtype="float64", seed=0, dropout=0.5)
    module = net.to_torch()
    assert np.abs(outputs(module) - net.predict(X)).max() < 1e-12
    assert np.abs(outputs(module.train()) - net.predict(X)).max() > 1e-3


def test_nested_modules_a_missing_bias_and_a_flat_start():
    module = nn.Sequential(
        nn.Flatten(), nn.Sequential(nn.Linear(6, 5, bias=False), nn.GELU()), nn.Linear(5, 2)
    ).double()
    net = fastnn.from_torch(module)
    assert net.activation == ("gelu", "identity")
    assert not net.biases[0].any()
    assert np.abs(outputs(module) - net.predict(X)).max() < 1e-12
    assert fastnn.from_torch(nn.Linear(3, 2)).sizes == (3, 2)


@pytest.mark.parametrize(
    ("last", "loss", "activation", "chosen"),
    [
        ([], None, "identity", "squared_error"),
        ([], "cross_entropy", "softmax", "cross_entropy"),
        ([], "binary_cross_entropy", "sigmoid", "binary_cross_entropy"),
        ([], "huber", "identity", "huber"),
        ([nn.Sigmoid()], None, "sigmoid", "binary_cross_entropy"),
        ([nn.Sigmoid()], "squared_error", "sigmoid", "squared_error"),
        ([nn.Softmax(dim=-1)], None, "softmax", "cross_entropy"),
        ([nn.LogSoftmax(dim=1)], None, "softmax", "cross_entropy"),
    ],
)
def test_the_end_of_a_module_says_what_it_learns(last, loss, activation, chosen):
    net = fastnn.from_torch(nn.Sequential(nn.Linear(3, 2), *last), loss)
    assert (net.activation[-1], net.loss_name) == (activation, chosen)


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 1, 3)), TypeError, "0: fastnn has nothing like Conv2d"),
        (nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2))), TypeError, r"1\.0: .* BatchNorm1d"),
        (nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), ValueError, "0: ReLU must follow a Linear"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Tanh()), ValueError, "2: Tanh must follow a Linear"),
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.ReLU()), ValueError, "2: ReLU must follow a Linear"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Dropout(0.5)), ValueError, "ends in a Dropout"),
        (nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(0.2)), ValueError, "1: LeakyReLU has negative_slope=0.2"),
        (nn.Sequential(nn.Linear(2, 2), nn.GELU(approximate="tanh")), ValueError, "approximate='tanh'"),
        (nn.Sequential(nn.Flatten()), ValueError, "at least one Linear"),
        (nn.Linear(2, 2).half(), TypeError, "float32 or of float64"),
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()), TypeError, "float32 or of float64"),
    ],
)
def test_what_fastnn_has_not_is_named_with_its_place(module, error, message):
    with pytest.raises(error, match=message):
        fastnn.from_torch(module)


def test_what_torch_has_not_is_named():
    with pytest.raises(ValueError, match="'step' has no module"):
        fastnn.Network([2, 1], activation="step", loss="perceptron", seed=0).to_torch()


def test_state_dicts_go_both_ways():
    net = fastnn.Network([6, 5, 4], activation="tanh", seed=0)
    module = net.to_torch()
    assert list(bridge.state_dict(net)) == list(module.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    other = fastnn.Network([6, 5, 4], activation="tanh", seed=1)
    renamed = {f"fc{key}": value for key, value in bridge.state_dict(net).items()}
    bridge.load_state_dict(other, renamed)
    assert np.array_equal(other.parameters, net.parameters)
    module.load_state_dict(bridge.state_dict(other))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "must have the 1 layers"),
        ({"a.weight": torch.zeros(2, 3)}, r"'a\.weight'\] must have shape \(1, 2\), got \(2, 3\)"),
        ({"a.bias": torch.zeros(1)}, r"'a\.weight'\] must have shape \(1, 2\), got None"),
        ({"a.running_mean": torch.zeros(1)}, "neither a weight nor a bias"),
    ],
)
def test_a_state_that_does_not_fit_says_so(state, message):
    net = fastnn.Network([2, 1], seed=0)
    before = net.parameters
    with pytest.raises(ValueError, match=message):
        bridge.load_state_dict(net, state)
    assert np.array_equal(net.parameters, before)


def test_a_saved_network_is_read_by_others(tmp_path):
    from safetensors.torch import load_file

    net = fastnn.Network([6, 5, 4], activation="tanh", seed=0)
    net.save(tmp_path / "net.safetensors")
    found = load_file(tmp_path / "net.safetensors")
    assert sorted(found) == ["layers.0.bias", "layers.0.weight", "layers.1.bias", "layers.1.weight"]
    assert np.array_equal(found["layers.1.weight"].numpy(), net.weights[1])
    same = safetensors.numpy.load_file(tmp_path / "net.safetensors")
    assert all(np.array_equal(same[name], found[name].numpy()) for name in same)
    module = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh())
    places = {"layers.0": "0", "layers.1": "2"}
    module.load_state_dict(
        {places[key.rpartition(".")[0]] + "." + key.rpartition(".")[2]: v for key, v in found.items()}
    )
    assert np.abs(outputs(module, X, "float32") - net.predict(X)).max() < 1e-6


def test_without_torch_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "fastnn.compat.torch")
    with pytest.raises(ImportError, match=r"fastnn\[torch\]"):
        fastnn.from_torch(None)


def test_a_program_trains_the_same_in_either_library():
    images, labels = PROGRAM["digits"]()
    theirs = PROGRAM["model"]()
    mine = fastnn.from_torch(theirs, loss="cross_entropy")
    PROGRAM["train"](theirs, images, labels)
    mine.fit(images.reshape(len(labels), 64), labels.numpy(), epochs=3, batch_size=32, learning_rate=0.5, shuffle=False)
    # 171 steps in float32, each within some 1e-7
    assert np.abs(mine.parameters - fastnn.from_torch(theirs, loss="cross_entropy").parameters).max() < 1e-4
    found = PROGRAM["probabilities"](mine.to_torch(logits=True), images.reshape(-1, 64)).numpy()
    assert np.abs(found - mine.predict(images.reshape(-1, 64))).max() < 1e-6
    assert (
        mine.classify(images.reshape(-1, 64)) == PROGRAM["probabilities"](theirs, images).argmax(1).numpy()
    ).mean() > 0.999
