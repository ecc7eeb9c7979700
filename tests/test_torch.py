"""Networks from PyTorch modules and back: outputs, slopes, trainings, state dicts, files."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import fastnn

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from fastnn.convert import torch as bridge  # noqa: E402

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
    rows, target = X.astype(dtype), torch.from_numpy(Y.astype(dtype))
    # some 10 roundings of numbers around 1; PyTorch's slope of Hardsigmoid is 1/6 in float32 for float64 too
    close = 1e-14 if dtype == "float64" else 2e-6
    assert np.abs(outputs(module, rows, dtype) - net.predict(rows)).max() < close
    found = slopes(module, ((module(torch.from_numpy(rows)) - target) ** 2).sum(dim=1).mean())
    close = max(close, 1e-7) if activation == "hard_sigmoid" else close
    largest = max(np.abs(theirs).max() for theirs in found)
    for mine, theirs in zip(interleaved(net.gradients(rows, Y)), found, strict=True):
        assert np.abs(mine - theirs).max() <= close * largest


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("last", "loss", "theirs"),
    [
        ("softmax", "cross_entropy", nn.functional.cross_entropy),
        ("identity", "squared_error", lambda a, y: ((a - y) ** 2).sum(dim=1).mean()),
    ],
)
def test_both_take_the_same_steps(last, loss, theirs, dtype):
    net = fastnn.Network([6, 9, 4], activation=["tanh", last], loss=loss, dtype=dtype, seed=1)
    rows, targets = X.astype(dtype), (Y / Y.sum(axis=1, keepdims=True)).astype(dtype)
    module = net.to_torch(logits=True).train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(20):
        net.step(rows, targets, 0.1)
        optimizer.zero_grad()
        theirs(module(torch.from_numpy(rows)), torch.from_numpy(targets)).backward()
        optimizer.step()
    # 20 steps of slopes that agree to some roundings, of parameters around 1
    assert np.abs(fastnn.from_torch(module).parameters - net.parameters).max() < (1e-14 if dtype == "float64" else 2e-6)


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


def test_the_scale_of_the_inputs_comes_along():
    net = fastnn.Network([6, 4], input_scale=0.25, seed=2)
    X = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")
    module = net.to_torch()
    np.testing.assert_allclose(module(torch.from_numpy(X)).detach().numpy(), net.predict(X), rtol=1e-6)
    assert fastnn.from_torch(module).input_scale == 0.25


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


class Headed(nn.Sequential):
    """A Sequential by another name."""


class Doubled(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


def test_an_activation_at_several_places_is_found_at_each():
    relu = nn.ReLU()
    module = nn.Sequential(nn.Linear(6, 5), relu, nn.Linear(5, 4), relu, nn.Linear(4, 4), relu).double()
    net = fastnn.from_torch(module)
    assert net.activation == ("relu", "relu", "relu")
    assert np.abs(outputs(module) - net.predict(X)).max() < 1e-12


def test_a_linear_at_several_places_becomes_as_many_layers():
    linear = nn.Linear(6, 6)
    module = nn.Sequential(linear, nn.Tanh(), linear).double()
    assert np.abs(outputs(module) - fastnn.from_torch(module).predict(X)).max() < 1e-12


def test_subclasses_and_identities_change_nothing():
    module = Headed(nn.Identity(), nn.Linear(6, 5), nn.Identity(), nn.Tanh(), nn.Identity(), nn.Linear(5, 4)).double()
    net = fastnn.from_torch(module, loss="cross_entropy")
    assert net.activation == ("tanh", "softmax")
    assert np.abs(outputs(module.append(nn.Softmax(dim=1))) - net.predict(X)).max() < 1e-12


def test_dropouts_in_a_row_are_one():
    parts = (nn.Dropout(0.1), nn.Linear(3, 4), nn.Dropout(0.0), nn.ReLU(), nn.Dropout(0.5), nn.Dropout(0.2))
    assert fastnn.from_torch(nn.Sequential(*parts, nn.Linear(4, 2))).dropout == (0.1, 0.6)


def test_modules_and_networks_are_copies():
    module = nn.Linear(3, 2)
    net = fastnn.from_torch(module)
    before, parameters = module.weight.detach().clone(), net.parameters
    net.weights[0][...] = 7
    assert torch.equal(module.weight, before)
    net.parameters = parameters
    back = net.to_torch()
    with torch.no_grad():
        back[0].weight.fill_(7)
    assert np.array_equal(net.parameters, parameters)


def test_a_module_is_made_without_drawing_numbers():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    fastnn.Network([3, 2], seed=0).to_torch()
    assert torch.equal(torch.get_rng_state(), before)


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
        (nn.Sequential(nn.Linear(2, 2), nn.Flatten()), TypeError, "1: fastnn has nothing like Flatten there"),
        (nn.Sequential(nn.Linear(3, 4), nn.Linear(1, 2)), ValueError, "1: Linear takes 1 inputs, .* has 4 outputs"),
        (nn.Sequential(nn.Linear(3, 4), nn.Softmax(1), nn.Linear(4, 2)), ValueError, "2: Linear follows a softmax"),
        (nn.Sequential(nn.Linear(3, 4), nn.Softmax(0)), ValueError, "1: Softmax has dim=0, fastnn only 1"),
        (nn.Sequential(nn.Linear(3, 4), nn.Softplus(threshold=1)), ValueError, "1: Softplus has threshold=1"),
        (nn.Sequential(nn.Flatten(0), nn.Linear(3, 4)), ValueError, "0: Flatten has start_dim=0"),
        (nn.Sequential(nn.Linear(3, 4), nn.Dropout(1.0), nn.Linear(4, 2)), ValueError, "1: Dropout has p=1"),
        (nn.Sequential(Doubled(nn.Linear(3, 4))), TypeError, "0: fastnn has nothing like Doubled"),
        (nn.Linear(2, 2).half(), TypeError, r"float32 or of float64 .* call module\.float\(\)"),
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()), TypeError, "float32 or of float64"),
        (nn.Linear(2, 2, dtype=torch.complex64), TypeError, "got torch.complex64$"),
        ("linear", TypeError, "module must be a torch.nn.Sequential or a torch.nn.Linear, got str"),
    ],
)
def test_what_fastnn_has_not_is_named_with_its_place(module, error, message):
    with pytest.raises(error, match=message):
        fastnn.from_torch(module)


def test_hooks_are_refused_because_they_may_change_the_outputs():
    module = nn.Sequential(nn.Linear(2, 2))
    hook = module[0].register_forward_hook(lambda part, given, found: 2 * found)
    with pytest.raises(ValueError, match="0: Linear has hooks"):
        fastnn.from_torch(module)
    hook.remove()
    assert fastnn.from_torch(module).sizes == (2, 2)


def test_a_module_that_diverged_is_refused():
    module = nn.Linear(2, 2)
    nn.init.constant_(module.weight, float("nan"))
    with pytest.raises(ValueError, match="parameters must be finite"):
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
    "tensor", [lambda array: torch.from_numpy(array).bfloat16(), np.asfortranarray, lambda array: array.tolist()]
)
def test_a_state_may_hold_other_numbers_than_the_network(tensor):
    net, halves = fastnn.Network([6, 5], seed=0), np.arange(30.0).reshape(5, 6) / 2
    bridge.load_state_dict(net, {"weight": tensor(halves)})
    assert np.array_equal(net.weights[0], halves)
    assert not net.biases[0].any()


def test_layers_with_names_are_taken_as_they_come():
    net, other = fastnn.Network([3, 4, 2], seed=0), fastnn.Network([3, 4, 2], seed=1)
    names = iter(["second.weight", "second.bias", "first.weight", "first.bias"])
    bridge.load_state_dict(other, {next(names): value for value in bridge.state_dict(net).values()})
    assert np.array_equal(other.parameters, net.parameters)


def test_a_file_of_many_layers_is_taken_in_their_order(tmp_path):
    from safetensors.torch import load_file

    nets = [fastnn.Network([4] * 13, seed=seed) for seed in range(2)]
    nets[0].save(tmp_path / "deep.safetensors")
    state = load_file(tmp_path / "deep.safetensors")
    assert list(state)[4:6] == ["layers.10.bias", "layers.10.weight"]  # in the order of texts
    bridge.load_state_dict(nets[1], state)
    assert np.array_equal(nets[1].parameters, nets[0].parameters)


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
    other = fastnn.Network([6, 5, 4], activation="tanh", seed=1)
    bridge.load_state_dict(other, found)
    module.load_state_dict(bridge.state_dict(other))
    assert np.abs(outputs(module, X, "float32") - net.predict(X)).max() < 1e-6


def test_without_torch_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("fastnn.convert.torch", "fastnn.convert.torch_modules"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"fastnn\[torch\]"):
        fastnn.from_torch(None)


def test_fastnn_is_imported_without_the_libraries_that_it_converts():
    program = "import sys, fastnn; print(*sorted({'torch', 'sklearn', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"


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


def test_a_network_trained_here_goes_on_in_a_program():
    images, labels = PROGRAM["digits"]()
    net = fastnn.Network([64, 32, 10], activation=["relu", "softmax"], loss="cross_entropy", seed=0)
    flat = images.reshape(-1, 64)
    net.fit(flat, labels, epochs=3, learning_rate=0.5)
    module = net.to_torch(logits=True)
    before = nn.functional.cross_entropy(module(flat), labels).item()
    assert before == pytest.approx(net.loss(flat, labels), rel=1e-5)  # float32, summed in another order
    PROGRAM["train"](module, flat, labels)
    assert nn.functional.cross_entropy(module(flat), labels).item() < before / 2
