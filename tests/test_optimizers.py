"""Optimizers, each against its formula in plain NumPy, written here once more."""

import copy
import pickle

import numpy as np
import pytest
from helpers import BOTH

import fastnn
from fastnn import reference
from fastnn.parameters import buffer_to_vector

RNG = np.random.default_rng(0)
SIZES = [5, 19, 3]
X, Y = RNG.normal(size=(60, SIZES[0])), RNG.normal(size=(60, SIZES[-1]))
ALL = {
    "sgd": fastnn.SGD(learning_rate=0.05),
    "momentum": fastnn.SGD(learning_rate=0.01, momentum=0.9),
    "nesterov": fastnn.SGD(learning_rate=0.01, momentum=0.9, nesterov=True),
    "adam": fastnn.Adam(learning_rate=0.01, beta_1=0.8, beta_2=0.95),
    "adam, early epsilon": fastnn.Adam(learning_rate=0.01, epsilon=1e-2, epsilon_before_correction=True),
    "adamw": fastnn.AdamW(learning_rate=0.01, weight_decay=0.3),
    "rmsprop": fastnn.RMSprop(learning_rate=0.01, rho=0.8),
    "rmsprop, momentum": fastnn.RMSprop(learning_rate=0.01, momentum=0.5),
    "adagrad": fastnn.Adagrad(learning_rate=0.05),
}
EVERY = pytest.mark.parametrize("optimizer", ALL.values(), ids=ALL)


def network(dtype="float64", **options):
    return fastnn.Network(SIZES, activation=["tanh", "identity"], dtype=dtype, seed=1, **options)


class ByHand:
    """One parameter array under one optimizer; `step` is the rule as its paper has it."""

    def __init__(self, optimizer, w, is_weight):
        self.optimizer, self.w, self.is_weight, self.t = optimizer, w, is_weight, 0
        self.first, self.second = np.zeros_like(w), np.zeros_like(w)

    def step(self, g):
        optimizer, rate = self.optimizer, self.optimizer.learning_rate
        self.t += 1
        if isinstance(optimizer, fastnn.Adam):
            if isinstance(optimizer, fastnn.AdamW) and self.is_weight:
                self.w -= rate * optimizer.weight_decay * self.w
            self.first = optimizer.beta_1 * self.first + (1 - optimizer.beta_1) * g
            self.second = optimizer.beta_2 * self.second + (1 - optimizer.beta_2) * g**2
            m, part = self.first / (1 - optimizer.beta_1**self.t), np.sqrt(1 - optimizer.beta_2**self.t)
            if optimizer.epsilon_before_correction:
                self.w -= rate * m * part / (np.sqrt(self.second) + optimizer.epsilon)
            else:
                self.w -= rate * m / (np.sqrt(self.second) / part + optimizer.epsilon)
        elif isinstance(optimizer, fastnn.RMSprop):
            self.second = optimizer.rho * self.second + (1 - optimizer.rho) * g**2
            self.first = optimizer.momentum * self.first + g / (np.sqrt(self.second) + optimizer.epsilon)
            self.w -= rate * self.first
        elif isinstance(optimizer, fastnn.Adagrad):
            self.second = self.second + g**2
            self.w -= rate * g / (np.sqrt(self.second) + optimizer.epsilon)
        else:
            self.first = optimizer.momentum * self.first + g
            self.w -= rate * (g + optimizer.momentum * self.first if optimizer.nesterov else self.first)


def train_by_hand(net, optimizer, epochs, batch_size, X=X, Y=Y):
    plain = reference.Network(net.weights, net.biases, net.activation, net.loss_name)
    parts = [ByHand(optimizer, w, True) for w in plain.weights] + [ByHand(optimizer, b, False) for b in plain.biases]
    for _ in range(epochs):
        for start in range(0, len(X), batch_size):
            weight_gradients, bias_gradients = plain.gradients(
                X[start : start + batch_size], Y[start : start + batch_size]
            )
            for part, gradient in zip(parts, [*weight_gradients, *bias_gradients], strict=True):
                part.step(gradient)
    return np.concatenate([p.ravel() for pair in zip(plain.weights, plain.biases, strict=True) for p in pair])


@EVERY
@pytest.mark.parametrize("batch_size", [13, 60])
def test_float64_follows_the_formula_to_rounding(optimizer, batch_size):
    net = network()
    expected = train_by_hand(net, optimizer, 4, batch_size)
    net.fit(X, Y, epochs=4, batch_size=batch_size, shuffle=False, optimizer=optimizer)
    # twenty steps; a quotient g / sqrt(g^2) near 0 magnifies the rounding of g, hence more than a few ulp
    np.testing.assert_allclose(net.parameters, expected, rtol=1e-11, atol=1e-12)


@EVERY
def test_float32_follows_float64(optimizer):
    nets = network("float32"), network()
    for net in nets:
        net.fit(X, Y, epochs=4, batch_size=13, shuffle=False, optimizer=optimizer)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, atol=1e-4)


@EVERY
def test_a_batch_of_several_blocks_is_one_step(optimizer):
    many_x, many_y = np.tile(X, (9, 1))[:530], np.tile(Y, (9, 1))[:530]
    net = network()
    expected = train_by_hand(net, optimizer, 3, 530, many_x, many_y)
    net.fit(many_x, many_y, epochs=3, batch_size=530, shuffle=False, optimizer=optimizer)
    np.testing.assert_allclose(net.parameters, expected, rtol=1e-11, atol=1e-12)


@BOTH
@EVERY
def test_two_fits_are_one_fit_through_copies_and_pickles_too(optimizer, dtype):
    whole = network(dtype)
    whole.fit(X, Y, epochs=4, batch_size=13, optimizer=optimizer, ema_decay=0.9)
    for between in (lambda net: net, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))):
        net = network(dtype)
        net.fit(X, Y, epochs=2, batch_size=13, optimizer=optimizer, ema_decay=0.9)
        net = between(net)
        net.fit(X, Y, epochs=2, batch_size=13, optimizer=optimizer, ema_decay=0.9)
        assert (net.parameters == whole.parameters).all()
        assert (net.averaged().parameters == whole.averaged().parameters).all()


def test_another_optimizer_starts_afresh():
    nets = network(), network()
    for net in nets:
        net.fit(X, Y, epochs=2, optimizer=ALL["adam"])
    nets[1].fit(X, Y, epochs=0, optimizer="sgd")
    for net in nets:
        net.fit(X, Y, epochs=1, optimizer=ALL["adam"])
    assert (nets[0].parameters != nets[1].parameters).any()


def test_another_learning_rate_keeps_the_state():
    net = network()
    net.fit(X, Y, epochs=1, optimizer="adam", learning_rate=0.01)
    state = net.training_state.optimizer
    net.fit(X, Y, epochs=1, optimizer="adam", learning_rate=0.001)
    assert net.training_state.optimizer is state
    assert state.steps == 4


def test_a_diverged_training_leaves_no_state():
    net = network()
    net.fit(X, Y, epochs=1, optimizer=fastnn.SGD(learning_rate=0.01, momentum=0.5))
    before = net.parameters
    with pytest.raises(fastnn.DivergenceError):
        net.fit(X, Y, epochs=500, optimizer=fastnn.SGD(learning_rate=1e6, momentum=0.5))
    assert np.isfinite(net.parameters).all()
    assert before.shape == net.parameters.shape
    assert net.training_state.optimizer is None


@BOTH
@EVERY
def test_padding_stays_zero(optimizer, dtype):
    net = network(dtype)
    net.fit(X, Y, epochs=2, batch_size=13, optimizer=optimizer, ema_decay=0.9, l1=0.01, l2=0.01, max_norm=0.5)
    state = net.training_state.optimizer
    for buffer in (net.engine.buffer, state.moment1, state.moment2, state.ema):
        inside = buffer_to_vector(buffer, net.engine.spec)
        assert np.count_nonzero(buffer) == np.count_nonzero(inside)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop", "adagrad"])
def test_a_name_stands_for_its_object_with_the_documented_learning_rate(name):
    kinds = {"sgd": fastnn.SGD, "adam": fastnn.Adam, "adamw": fastnn.AdamW, "rmsprop": fastnn.RMSprop}
    rates = {"sgd": 0.1, "adam": 0.001, "adamw": 0.001, "rmsprop": 0.01, "adagrad": 0.01}
    nets = network(), network()
    nets[0].fit(X, Y, epochs=2, optimizer=name)
    nets[1].fit(X, Y, epochs=2, optimizer=kinds.get(name, fastnn.Adagrad)(learning_rate=rates[name]))
    assert (nets[0].parameters == nets[1].parameters).all()


def test_decay_has_factors_and_a_schedule_of_its_own():
    net = network(learned_input_scale=True)
    net.biases[0][:] = net.biases[1][:] = 2.0
    before = net.copy()
    still = {"weights": 0, "biases": 0, "input_scales": 0}  # what moves is decay alone
    factors = {"weights": [0.5, 3.0], "biases": [0.0, 1.0], "input_scales": 36.0}
    schedule = fastnn.schedules.FlatCosine(1.0, epochs=3)
    options = {"epochs": 3, "batch_size": 20, "lr_factors": still, "decay_factors": factors}
    net.fit(
        X, Y, optimizer=fastnn.AdamW(weight_decay=0.02), learning_rate=fastnn.schedules.CosLog4(0.1, 3),
        decay_schedule=schedule, **options,
    )  # fmt: skip
    t = np.arange(9) / 3
    moved = 0.02 * fastnn.schedules.CosLog4(0.1, 3).at(t) * schedule.at(t)

    def kept(factor):
        return np.prod(1 - factor * moved)

    for layer, factor in enumerate(factors["weights"]):
        np.testing.assert_allclose(net.weights[layer], before.weights[layer] * kept(factor), rtol=1e-12)
    for layer, factor in enumerate(factors["biases"]):
        np.testing.assert_allclose(net.biases[layer], before.biases[layer] * kept(factor), rtol=1e-12)
    np.testing.assert_allclose(net.input_scales, kept(36.0), rtol=1e-12)
    assert kept(36.0) < 0.99


def test_factors_of_decay_that_are_left_out_are_1_for_weights_alone():
    given, default = network(), network()
    given.fit(X, Y, epochs=2, optimizer=ALL["adamw"], decay_factors={})
    default.fit(X, Y, epochs=2, optimizer=ALL["adamw"])
    np.testing.assert_array_equal(given.parameters, default.parameters)


def test_adamw_without_decay_is_adam():
    nets = [fastnn.Network(SIZES, activation="tanh", seed=0) for _ in range(2)]
    nets[0].fit(X, Y, epochs=2, optimizer=fastnn.AdamW(weight_decay=0.0))
    nets[1].fit(X, Y, epochs=2, optimizer=fastnn.Adam())
    assert (nets[0].parameters == nets[1].parameters).all()


@pytest.mark.parametrize(
    ("make", "error", "word"),
    [
        (lambda: network().fit(X, Y, epochs=1, optimizer="adams"), ValueError, "optimizer must be one of sgd, adam"),
        (
            lambda: network().fit(X, Y, epochs=1, optimizer=fastnn.Adam),
            TypeError,
            "optimizer must be a name",
        ),
        (
            lambda: network().fit(X, Y, epochs=1, optimizer=fastnn.Adam(learning_rate=0.1), learning_rate=0.1),
            ValueError,
            "not to both",
        ),
        (lambda: fastnn.Adam(0.1), TypeError, "positional"),
        (lambda: fastnn.Adam(beta_1=1), ValueError, "beta_1 must be at least 0 and below 1"),
        (lambda: fastnn.Adam(beta_2="0.9"), TypeError, "beta_2 must be a number"),
        (lambda: fastnn.Adam(epsilon=0), ValueError, "epsilon must be positive"),
        (
            lambda: fastnn.Adam(epsilon_before_correction=1),
            TypeError,
            "epsilon_before_correction must be",
        ),
        (lambda: fastnn.AdamW(weight_decay=-1), ValueError, "weight_decay must be 0 or more"),
        (lambda: fastnn.SGD(momentum=1.0), ValueError, "momentum"),
        (lambda: fastnn.SGD(nesterov=True), ValueError, "nesterov takes a momentum"),
        (lambda: fastnn.LBFGS(learning_rate=0.1), ValueError, "LBFGS takes no learning_rate"),
        (lambda: fastnn.LBFGS(history_size=0), ValueError, "history_size"),
        (lambda: fastnn.LBFGS(tolerance=-1), ValueError, "tolerance"),
    ],
)
def test_invalid_settings_are_refused(make, error, word):
    with pytest.raises(error, match=word):
        make()


PYTORCH = {
    "sgd": lambda torch, parts: torch.optim.SGD(parts, 0.05),
    "momentum": lambda torch, parts: torch.optim.SGD(parts, 0.01, momentum=0.9),
    "nesterov": lambda torch, parts: torch.optim.SGD(parts, 0.01, momentum=0.9, nesterov=True),
    "adam": lambda torch, parts: torch.optim.Adam(parts, 0.01, betas=(0.8, 0.95)),
    "rmsprop": lambda torch, parts: torch.optim.RMSprop(parts, 0.01, alpha=0.8),
    "rmsprop, momentum": lambda torch, parts: torch.optim.RMSprop(parts, 0.01, momentum=0.5),
    "adagrad": lambda torch, parts: torch.optim.Adagrad(parts, 0.05),
}


@pytest.mark.parametrize("name", PYTORCH)
def test_every_step_is_that_of_pytorch(name):
    torch = pytest.importorskip("torch")
    net = network()
    tensors = [torch.tensor(np.array(p), requires_grad=True) for p in (*net.weights, *net.biases)]
    theirs = PYTORCH[name](torch, tensors)
    for step in range(12):
        rows = slice(5 * step, 5 * step + 5)
        net.fit(X[rows], Y[rows], epochs=1, batch_size=5, optimizer=ALL[name])
        theirs.zero_grad()
        hidden = torch.tanh(torch.tensor(X[rows]) @ tensors[0].T + tensors[2])
        ((hidden @ tensors[1].T + tensors[3] - torch.tensor(Y[rows])) ** 2).sum(1).mean().backward()
        theirs.step()
        for ours, tensor in zip((*net.weights, *net.biases), tensors, strict=True):
            np.testing.assert_allclose(ours, tensor.detach().numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    "optimizer", [fastnn.Adam(beta_1=1 - 1e-8), fastnn.Adam(beta_2=1 - 1e-8), fastnn.RMSprop(rho=1 - 1e-8)]
)
def test_a_beta_that_rounds_to_1_in_float32_still_decays(optimizer):
    losses = []
    for dtype in ("float32", "float64"):
        net = fastnn.Network([3, 2], activation="identity", dtype=dtype, seed=0)
        losses.append(net.fit(np.eye(3), np.eye(3)[:, :2], epochs=30, optimizer=optimizer)["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4, atol=1e-6)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.parametrize("optimizer", [fastnn.Adam, fastnn.AdamW, fastnn.RMSprop, fastnn.Adagrad])
def test_an_epsilon_that_is_0_in_float32_is_refused_for_float32(optimizer):
    options = {"epochs": 2, "optimizer": optimizer(epsilon=1e-46)}
    X, y = np.eye(3) - [1, 0, 0], np.eye(3)[:, :2]
    with pytest.raises(ValueError, match=r"epsilon must be at least 1\.18e-38 for float32, got 1e-46"):
        fastnn.Network([3, 2], seed=0).fit(X, y, **options)
    assert np.isfinite(fastnn.Network([3, 2], dtype="float64", seed=0).fit(X, y, **options)["loss"]).all()
