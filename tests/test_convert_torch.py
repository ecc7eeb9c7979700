"""Networks from PyTorch modules and back: outputs, gradients, trainings, state dicts, files."""

import itertools
import math
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from helpers import BOTH

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


def gradients(module, loss):
    module.zero_grad()
    loss.backward()
    return [parameter.grad.numpy() for parameter in module.parameters()]


def interleaved(weights_and_biases):
    return [part for pair in zip(*weights_and_biases, strict=True) for part in pair]


@BOTH
@pytest.mark.parametrize("activation", TRAINABLE)
def test_outputs_and_gradients_agree(activation, dtype):
    net = fastnn.Network([6, 9, 4], activation=[activation, "sigmoid"], dtype=dtype, seed=1)
    module = net.to_torch()
    rows, target = X.astype(dtype), torch.from_numpy(Y.astype(dtype))
    # some 10 roundings of numbers around 1; PyTorch's derivative of Hardsigmoid is 1/6 in float32 for float64 too
    close = 1e-14 if dtype == "float64" else 2e-6
    assert np.abs(outputs(module, rows, dtype) - net.predict(rows)).max() < close
    found = gradients(module, ((module(torch.from_numpy(rows)) - target) ** 2).sum(dim=1).mean())
    close = max(close, 1e-7) if activation == "hard_sigmoid" else close
    largest = max(np.abs(theirs).max() for theirs in found)
    for mine, theirs in zip(interleaved(net.gradients(rows, Y)), found, strict=True):
        assert np.abs(mine - theirs).max() <= close * largest


@BOTH
@pytest.mark.parametrize(
    ("last", "loss", "theirs"),
    [
        ("softmax", "cross_entropy", nn.functional.cross_entropy),
        ("identity", "squared_error", lambda a, y: ((a - y) ** 2).sum(dim=1).mean()),
    ],
)
def test_both_libraries_take_the_same_steps(last, loss, theirs, dtype):
    net = fastnn.Network([6, 9, 4], activation=["tanh", last], loss=loss, dtype=dtype, seed=1)
    rows, targets = X.astype(dtype), (Y / Y.sum(axis=1, keepdims=True)).astype(dtype)
    module = net.to_torch(logits=True).train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(20):
        net.step(rows, targets, 0.1)
        optimizer.zero_grad()
        theirs(module(torch.from_numpy(rows)), torch.from_numpy(targets)).backward()
        optimizer.step()
    # 20 steps of gradients that agree to some roundings, of parameters around 1
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
def test_losses_on_logits_have_the_same_gradients(last, loss, theirs):
    net = fastnn.Network([6, 9, 4], activation=["tanh", last], loss=loss, dtype="float64", seed=1)
    targets = Y / Y.sum(axis=1, keepdims=True)
    module = net.to_torch(logits=True)
    value = theirs(module(torch.from_numpy(X)), torch.from_numpy(targets))
    assert value.item() == pytest.approx(net.loss(X, targets), rel=1e-9)
    for mine, found in zip(interleaved(net.gradients(X, targets)), gradients(module, value), strict=True):
        assert np.abs(mine - found).max() < 1e-12
    assert np.abs(outputs(net.to_torch()) - net.predict(X)).max() < 1e-12


@pytest.mark.parametrize("activation", [*TRAINABLE, "softmax"])
def test_a_round_trip_gives_the_same_network(activation):
    names, loss = [activation, "identity"], "squared_error"
    if activation == "softmax":
        names, loss = ["relu", "softmax"], "cross_entropy"
    net = fastnn.Network([6, 5, 4], activation=names, loss=loss, seed=2, input_scale=0.5, dropout=[0.1, 0.25])
    again = fastnn.from_torch(net.to_torch())
    assert (again.sizes, again.activation, again.loss_name) == (net.sizes, net.activation, net.loss_name)
    assert (again.input_scale, again.dropout, again.dtype) == (net.input_scale, net.dropout, net.dtype)
    assert np.array_equal(again.parameters, net.parameters)


def test_the_input_scale_is_converted():
    net = fastnn.Network([6, 4], input_scale=0.25, seed=2)
    X = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")
    module = net.to_torch()
    np.testing.assert_allclose(module(torch.from_numpy(X)).detach().numpy(), net.predict(X), rtol=1e-6)
    assert fastnn.from_torch(module).input_scale == 0.25


def test_dropout_is_off_until_train_is_called():
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


def test_consecutive_dropouts_become_one():
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


def test_conversion_draws_no_random_numbers():
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
def test_the_end_of_a_module_decides_the_loss(last, loss, activation, chosen):
    net = fastnn.from_torch(nn.Sequential(nn.Linear(3, 2), *last), loss)
    assert (net.activation[-1], net.loss_name) == (activation, chosen)


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 1, 3)), TypeError, "0: fastnn has nothing like Conv2d"),
        (nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm2d(2))), TypeError, r"1\.0: .* BatchNorm2d"),
        (
            nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)),
            TypeError,
            "1: .* LayerNorm, which normalises .* BatchNorm1d",
        ),
        (nn.Sequential(nn.Linear(2, 2), nn.GroupNorm(1, 2)), TypeError, "1: .* GroupNorm, which normalises"),
        (nn.Sequential(nn.Linear(2, 2), nn.PReLU()), TypeError, "1: fastnn has nothing like PReLU"),
        (nn.Sequential(nn.Linear(2, 2), nn.CELU(2.0)), ValueError, "1: CELU has alpha=2.0"),
        (nn.Sequential(nn.Linear(2, 2), nn.Hardtanh(0, 1)), ValueError, "1: Hardtanh has min_val=0, fastnn only -1.0"),
        (
            nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)),
            ValueError,
            "1: BatchNorm1d has track_running_stats=False",
        ),
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(3)), ValueError, "1: BatchNorm1d takes 3 inputs, .* has 2 out"),
        (nn.Sequential(nn.BatchNorm1d(3), nn.Linear(2, 2)), ValueError, "1: Linear takes 2 inputs, .* has 3 outputs"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.BatchNorm1d(2)), ValueError, "ends in a BatchNorm1d"),
        (
            nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5), nn.Linear(2, 2)),
            ValueError,
            "1: Dropout follows a BatchNorm1d",
        ),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.BatchNorm1d(2), nn.Tanh()), ValueError, "3: Tanh must follow"),
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
        ("linear", TypeError, "module must be a torch.nn.Module, got str"),
    ],
)
def test_what_fastnn_lacks_is_named_with_its_place(module, error, message):
    with pytest.raises(error, match=message):
        fastnn.from_torch(module)


# ---- Modules of other kinds


class Perceptron(nn.Module):
    """What most programs write: layers as attributes, a forward that applies them, one activation for all."""

    def __init__(self, *between):
        super().__init__()
        self.out = nn.Linear(5, 3)  # not in the order of forward
        self.act = nn.Tanh()
        self.hidden = nn.ModuleList([nn.Linear(6, 8), nn.Linear(8, 5)])
        self.drop = nn.Dropout(0.25)
        self.criterion = nn.CrossEntropyLoss()  # which forward does not apply

    def forward(self, x):
        x = x.view(x.size(0), -1)
        for layer in self.hidden:
            x = self.drop(self.act(layer(x)))
        return self.out(x)


class Wrapped(nn.Module):
    def __init__(self, *parts):
        super().__init__()
        self.parts = nn.Sequential(*parts)

    def forward(self, x):
        return self.between(self.parts(x))

    def between(self, x):
        return x


def wrapped(between, *parts):
    return type("Wrapped", (Wrapped,), {"between": lambda self, x: between(x)})(*parts)


def test_a_module_of_any_kind_becomes_its_submodules_in_the_order_of_its_forward():
    module = Perceptron().double().eval()
    net = fastnn.from_torch(module, loss="cross_entropy")
    assert (net.sizes, net.activation, net.dropout) == ((6, 8, 5, 3), ("tanh", "tanh", "softmax"), (0, 0.25, 0.25))
    assert np.abs(outputs(nn.Sequential(module, nn.Softmax(1))) - net.predict(X)).max() < 1e-14


def test_modules_of_any_kind_may_be_nested():
    block = wrapped(lambda x: x, nn.Linear(6, 6, bias=False), nn.ReLU(inplace=True))
    module = nn.Sequential(block, block, wrapped(lambda x: x.squeeze(-1), nn.Linear(6, 1), nn.Sigmoid())).double()
    net = fastnn.from_torch(nn.DataParallel(module))
    assert (net.sizes, net.activation) == ((6, 6, 6, 1), ("relu", "relu", "sigmoid"))
    assert np.abs(outputs(module) - net.predict(X)[:, 0]).max() < 1e-14


def test_conversion_leaves_the_module_and_the_random_state_alone():
    module = nn.Sequential(Perceptron(), nn.BatchNorm1d(3)).double().train()
    state = {key: value.clone() for key, value in module.state_dict().items()}
    torch.manual_seed(0)
    before = torch.get_rng_state()
    fastnn.from_torch(module)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    assert all(part.training and not part._forward_hooks for part in module.modules())


@pytest.mark.parametrize(
    "between",
    [
        torch.relu,
        lambda x: 2 * x,
        lambda x: x.clamp(-100, 100),
        lambda x: x + 1e-6,
        lambda x: x.flip(0),
        lambda x: x.reshape(1, -1),
        lambda x: (x, x),
        lambda x: x.sum(),
        lambda x: x.numpy(),
        lambda x: x.add_(1),
        lambda x: nn.functional.dropout(x, 0.5),
    ],
)
def test_a_function_between_the_submodules_is_refused(between):
    inner = wrapped(between, nn.Linear(6, 4))
    with pytest.raises(
        TypeError, match=r"^1: fastnn has nothing like Wrapped, whose forward is not just .* torch\.nn\.R"
    ):
        fastnn.from_torch(nn.Sequential(nn.Identity(), inner, nn.Linear(4, 2)))


def test_a_function_that_acts_only_in_training_is_refused():
    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 4)

        def forward(self, x):
            return nn.functional.dropout(self.layer(x), 0.5, self.training)

    with pytest.raises(TypeError, match="module: fastnn has nothing like Dropping"):
        fastnn.from_torch(Dropping())


def test_a_module_that_applies_others_in_training_is_refused():
    class Fickle(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.other = nn.Linear(6, 4), nn.ReLU()

        def forward(self, x):
            return self.other(self.layer(x)) if self.training else self.layer(x)

    with pytest.raises(TypeError, match="module: fastnn has nothing like Fickle"):
        fastnn.from_torch(Fickle())


def test_a_branch_around_a_submodule_is_refused():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 6)

        def forward(self, x):
            return x + self.layer(x)

    with pytest.raises(TypeError, match="0: fastnn has nothing like Residual"):
        fastnn.from_torch(nn.Sequential(Residual(), nn.Linear(6, 2)))


def test_a_module_that_cannot_be_run_says_why():
    class Broken(nn.Module):
        def __init__(self, *parts):
            super().__init__()
            self.parts = nn.ModuleList(parts)

        def forward(self, x):
            raise RuntimeError("out of order")

    with pytest.raises(TypeError, match=r"module: Broken cannot be run on rows of 6 or 4 numbers: .*out of order"):
        fastnn.from_torch(Broken(nn.Linear(6, 4), nn.Linear(4, 2)))
    with pytest.raises(TypeError, match=r"parts\.1: fastnn has nothing like LSTM"):
        fastnn.from_torch(Broken(nn.Linear(6, 4), nn.LSTM(4, 2)))
    with pytest.raises(ValueError, match="at least one Linear"):
        fastnn.from_torch(Broken(nn.ReLU()))


def with_statistics(norm):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (norm.running_mean, norm.running_var, *norm.parameters()):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return norm


@pytest.mark.parametrize(
    "parts",
    [
        (nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4)),
        (nn.Linear(6, 5, bias=False), nn.Identity(), nn.BatchNorm1d(5, affine=False), nn.Tanh(), nn.Linear(5, 4)),
        (nn.Linear(6, 5), nn.ReLU(), nn.BatchNorm1d(5), nn.Linear(5, 4, bias=False), nn.BatchNorm1d(4)),
        (nn.BatchNorm1d(6), nn.BatchNorm1d(6, eps=0.1), nn.Linear(6, 4)),
        (nn.Linear(6, 5), nn.Dropout(0.5), nn.BatchNorm1d(5), nn.Linear(5, 4)),
        (bridge.Scale(0.5), nn.BatchNorm1d(6), nn.Linear(6, 4)),
        (wrapped(lambda x: x, nn.Linear(6, 5), nn.BatchNorm1d(5)), nn.Linear(5, 4)),
    ],
)
@BOTH
def test_a_batch_norm_becomes_part_of_a_linear(parts, dtype):
    module = nn.Sequential(*parts).to(getattr(torch, dtype)).eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            with_statistics(part)
    net = fastnn.from_torch(module)
    assert net.n_parameters == sum(a * b + b for a, b in itertools.pairwise(net.sizes))
    found, wanted = net.predict(X.astype(dtype)), outputs(module, X, dtype)
    # some ten roundings of numbers of a few units
    assert np.abs(found - wanted).max() < (1e-14 if dtype == "float64" else 5e-6) * max(1, np.abs(wanted).max())


# ---- Activations that fastnn has not, or not yet

MENTIONED = {
    nn.Mish: "mish", nn.Hardtanh: "hard_tanh", nn.ReLU6: "relu6", nn.Hardswish: "hard_swish",
    nn.LogSigmoid: "log_sigmoid", nn.Tanhshrink: "tanh_shrink", nn.Softshrink: "soft_shrink",
    nn.Hardshrink: "hard_shrink",
}  # fmt: skip


@pytest.mark.parametrize("kind", MENTIONED)
def test_an_activation_that_can_be_registered_is_named_with_what_to_call(kind):
    from fastnn.spec import activation_code

    module = nn.Sequential(nn.Linear(6, 5), kind(), nn.Linear(5, 4)).double()
    name = MENTIONED[kind]
    try:
        activation_code(name)
    except ValueError:
        with pytest.raises(
            TypeError, match=f"1: fastnn has nothing like {kind.__name__}; register it as '{name}' "
        ) as e:
            fastnn.from_torch(module)
        exec(str(e.value).split("first: ")[1], {"fastnn": fastnn, "math": math})  # does what the error says
    net = fastnn.from_torch(module)
    assert net.activation[0] == name
    rows = X * np.array([1, 30, 1000, 1e-3])[np.arange(40) % 4, None]
    wanted = outputs(module, rows)
    assert np.abs(net.predict(rows) - wanted).max() <= 1e-13 * np.abs(wanted).max()
    loss = ((module(torch.from_numpy(rows)) - torch.from_numpy(Y)) ** 2).sum(dim=1).mean()
    for mine, theirs in zip(interleaved(net.gradients(rows, Y)), gradients(module, loss), strict=True):
        assert np.abs(mine - theirs).max() <= 1e-12 * max(1, np.abs(theirs).max())


def test_celu_with_alpha_1_is_elu():
    module = nn.Sequential(nn.Linear(6, 5), nn.CELU(), nn.Linear(5, 4)).double()
    net = fastnn.from_torch(module)
    assert net.activation == ("elu", "identity")
    assert np.abs(outputs(module) - net.predict(X)).max() < 1e-14


# ---- Logits


def test_a_module_that_ends_in_one_logit_needs_a_loss_unless_it_says_that_it_is_a_number():
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1)).double()
    for ambiguous in (module, nn.Linear(6, 1), wrapped(lambda x: x.squeeze(1), nn.Linear(6, 1)), nn.Sequential(module)):
        with pytest.raises(
            ValueError, match=r"ends in a Linear of one output, .* loss='binary_cross_entropy' for a logit"
        ):
            fastnn.from_torch(ambiguous)
    logits = outputs(module)
    net = fastnn.from_torch(module, loss="binary_cross_entropy")
    assert (net.classify(X) == (logits[:, 0] >= 0)).all()
    assert np.abs(fastnn.from_torch(module, loss="squared_error").predict(X) - logits).max() < 1e-14
    number = fastnn.from_torch(nn.Sequential(module, nn.Identity()))
    assert (number.activation[-1], number.loss_name) == ("identity", "squared_error")
    assert np.abs(number.predict(X) - logits).max() < 1e-14


@pytest.mark.parametrize("last", ["identity", "sigmoid", "exponential", "tanh"])
def test_a_network_of_one_output_is_read_back_but_not_from_its_logit(last):
    net = fastnn.Network([6, 5, 1], activation=["tanh", last], seed=0)
    again = fastnn.from_torch(net.to_torch())
    assert again.activation == net.activation
    assert np.array_equal(again.parameters, net.parameters)
    if last in ("sigmoid", "exponential"):
        with pytest.raises(ValueError, match="may be a logit"):
            fastnn.from_torch(net.to_torch(logits=True))


def test_hooks_are_refused_because_they_may_change_the_outputs():
    module = nn.Sequential(nn.Linear(2, 2))
    hook = module[0].register_forward_hook(lambda part, given, found: 2 * found)
    with pytest.raises(ValueError, match="0: Linear has hooks"):
        fastnn.from_torch(module)
    hook.remove()
    assert fastnn.from_torch(module).sizes == (2, 2)


def test_parametrizations_are_refused_because_they_change_the_weights():
    module = nn.Sequential(nn.Linear(2, 2), nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)))
    with pytest.raises(ValueError, match="1: ParametrizedLinear has parametrizations; call remove_parametrizations"):
        fastnn.from_torch(module)
    nn.utils.parametrize.remove_parametrizations(module[1], "weight")
    assert fastnn.from_torch(module).sizes == (2, 2, 2)


def test_a_compiled_module_is_read_without_compiling_it():
    def compiled(graph, inputs):
        raise RuntimeError("compiled")

    module = torch.compile(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)), backend=compiled)
    assert fastnn.from_torch(module).activation == ("relu", "identity")


def test_a_module_without_a_linear_names_what_it_has():
    class Own(nn.Module):
        def forward(self, x):
            return x

    with pytest.raises(TypeError, match=r"parts\.0: fastnn has nothing like Own"):
        fastnn.from_torch(wrapped(lambda x: x, Own()))


def test_a_module_that_diverged_is_refused():
    module = nn.Linear(2, 2)
    nn.init.constant_(module.weight, float("nan"))
    with pytest.raises(ValueError, match="parameters must be finite"):
        fastnn.from_torch(module)


def test_what_torch_lacks_is_named():
    with pytest.raises(ValueError, match="'step' has no module"):
        fastnn.Network([2, 1], activation="step", loss="perceptron", seed=0).to_torch()


def test_state_dicts_are_converted_both_ways():
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
def test_a_state_dict_may_have_another_dtype_than_the_network(tensor):
    net, halves = fastnn.Network([6, 5], seed=0), np.arange(30.0).reshape(5, 6) / 2
    bridge.load_state_dict(net, {"weight": tensor(halves)})
    assert np.array_equal(net.weights[0], halves)
    assert not net.biases[0].any()


def test_layers_with_names_are_taken_in_the_order_of_the_state_dict():
    net, other = fastnn.Network([3, 4, 2], seed=0), fastnn.Network([3, 4, 2], seed=1)
    names = iter(["second.weight", "second.bias", "first.weight", "first.bias"])
    bridge.load_state_dict(other, {next(names): value for value in bridge.state_dict(net).values()})
    assert np.array_equal(other.parameters, net.parameters)


def test_a_file_of_many_layers_is_read_in_their_order(tmp_path):
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
def test_a_state_dict_that_does_not_fit_says_so(state, message):
    net = fastnn.Network([2, 1], seed=0)
    before = net.parameters
    with pytest.raises(ValueError, match=message):
        bridge.load_state_dict(net, state)
    assert np.array_equal(net.parameters, before)


def test_a_saved_network_is_read_by_other_libraries(tmp_path):
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


def test_a_network_trained_here_is_trained_further_in_a_pytorch_program():
    images, labels = PROGRAM["digits"]()
    net = fastnn.Network([64, 32, 10], activation=["relu", "softmax"], loss="cross_entropy", seed=0)
    flat = images.reshape(-1, 64)
    net.fit(flat, labels, epochs=3, learning_rate=0.5)
    module = net.to_torch(logits=True)
    before = nn.functional.cross_entropy(module(flat), labels).item()
    assert before == pytest.approx(net.loss(flat, labels), rel=1e-5)  # float32, summed in another order
    PROGRAM["train"](module, flat, labels)
    assert nn.functional.cross_entropy(module(flat), labels).item() < before / 2
