"""How each library trains a case: built once from the same weights, then called for epochs."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np

from ..reference.backpropagation import backpropagate
from ..reference.losses import LOSSES
from .case import Case

OLDER_RUNTIME = (0, 6)
"""Last versions of JAX that still have the CPU runtime before thunks."""

Train = Callable[[int, bool], float]
"""(epochs, shuffled) -> running-mean loss of the last epoch; each call continues the training."""


BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's constants, the same for every library."""


class UnsupportedError(Exception):
    """The library cannot train this network."""


def fastnn_trainer(case: Case, n_threads: int | None = None, precision: str | None = None) -> Train:
    """Build a `Network`, trained by `fit` as a user calls it."""
    from ..network import Network

    X, y = case.data()
    start = case.start()
    net = Network(case.sizes, activation=case.activation, loss=case.loss, seed=0, precision=precision)
    for parameters, initial in zip((*net.weights, *net.biases), (*start.weights, *start.biases), strict=True):
        parameters[...] = initial

    def train(epochs: int, shuffled: bool) -> float:
        history = net.fit(
            X,
            y,
            epochs=epochs,
            batch_size=case.batch_size,
            learning_rate=case.learning_rate,
            optimizer=case.optimizer,
            shuffle=shuffled,
            n_threads=n_threads,
            progress=False,
        )
        return history["loss"][-1]

    return train


def numpy_trainer(case: Case) -> Train:
    """Build the reference in plain NumPy; BLAS uses its own threads."""
    X, y = case.data()
    net = case.start()
    if case.optimizer == "adam":
        net.step = NumPyAdam(net, case.learning_rate)  # type: ignore[assignment,method-assign]
    generator = np.random.default_rng(0)

    def train(epochs: int, shuffled: bool) -> float:
        losses = net.train(
            X,
            y,
            epochs=epochs,
            batch_size=case.batch_size,
            learning_rate=case.learning_rate,
            order=(lambda epoch: generator.permutation(case.rows)) if shuffled else None,
        )
        return losses[-1]

    return train


class NumPyAdam:
    """Adam on the parameters of a reference network, in the place of its step."""

    def __init__(self, net: Any, learning_rate: float) -> None:
        self.net, self.rate, self.steps = net, learning_rate, 0
        self.moments = [(np.zeros_like(part), np.zeros_like(part)) for part in (*net.weights, *net.biases)]

    def __call__(self, X: np.ndarray, t: np.ndarray, learning_rate: float, weight: Any = None) -> float:
        """Make one update; return the loss before it."""
        net = self.net
        z, a = net.forward(X)
        loss = LOSSES[net.loss][0](z[-1], a[-1], t).sum(dtype=np.float64) / len(X)
        by_weight, by_bias = backpropagate(net.weights, net.activation, net.loss, z, a, t, 1 / len(X))
        self.steps += 1
        rate = self.rate * np.sqrt(1 - BETA_2**self.steps) / (1 - BETA_1**self.steps)
        epsilon = EPSILON * np.sqrt(1 - BETA_2**self.steps)
        parameters = (*net.weights, *net.biases)
        for part, gradient, (m, v) in zip(parameters, (*by_weight, *by_bias), self.moments, strict=True):
            m += (1 - BETA_1) * (gradient - m)
            v += (1 - BETA_2) * (gradient * gradient - v)
            part -= part.dtype.type(rate) * m / (np.sqrt(v) + part.dtype.type(epsilon))
        return float(loss)


def sklearn_trainer(case: Case) -> Train:
    """Build an MLPClassifier or MLPRegressor with plain SGD or Adam, and no penalty.

    The gradient of its squared loss is half of fastnn's, so that it gets twice the learning rate, but for Adam; the
    loss that it reports is the mean over the outputs.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    names = {"sigmoid": "logistic", "relu": "relu", "tanh": "tanh"}
    classify = case.loss == "cross_entropy"
    if not classify and case.activation[-1] != "identity":
        raise UnsupportedError("scikit-learn has no squared error on sigmoid outputs")
    X, y = case.data()
    model = (MLPClassifier if classify else MLPRegressor)(
        hidden_layer_sizes=case.sizes[1:-1],
        activation=names[case.activation[0]],
        solver=case.optimizer,
        alpha=0.0,
        batch_size=case.batch_size,
        learning_rate_init=case.learning_rate * (1 if classify or case.optimizer == "adam" else 2),
        momentum=0.0,
        nesterovs_momentum=False,
        max_iter=1,
        n_iter_no_change=10**9,
        warm_start=True,
        shuffle=False,
        random_state=0,
    )
    warnings.simplefilter("ignore", ConvergenceWarning)
    targets = y if classify or case.sizes[-1] > 1 else y.ravel()
    rate = model.learning_rate_init
    model.set_params(learning_rate_init=1e-30)
    model.fit(X, targets)
    model.set_params(learning_rate_init=rate)
    start = case.start()
    for layer, (weight, bias) in enumerate(zip(start.weights, start.biases, strict=True)):
        model.coefs_[layer][...] = weight.T
        model.intercepts_[layer][...] = bias
    model._optimizer.learning_rate = model._optimizer.learning_rate_init = rate
    if case.optimizer == "adam":  # the first fit took steps
        model._optimizer.t = 0
        for moment in (*model._optimizer.ms, *model._optimizer.vs):
            moment[...] = 0

    def train(epochs: int, shuffled: bool) -> float:
        model.set_params(max_iter=epochs, shuffle=shuffled)
        model.n_iter_ = 0
        model.fit(X, targets)
        return float(model.loss_) * (1 if classify else 2 * case.sizes[-1])

    return train


def torch_trainer(case: Case, n_threads: int = 1, compiled: bool = False, precision: str = "float32") -> Train:
    """Build a PyTorch model with the usual loop, its batches indexed by a permutation.

    Parameters
    ----------
    case : Case
    n_threads : int, default 1
    compiled : bool, default False
        With `torch.compile` over model and loss, forward and backward, and over the optimizer's step.
    precision : {"float32", "autocast", "bfloat16"}, default "float32"
        "autocast": the products' operands are rounded to bfloat16; "bfloat16": all is, inputs, parameters and updates,
        but the loss.
    """
    import torch

    torch.set_num_threads(n_threads)
    X, y = (torch.from_numpy(array) for array in case.data())
    layers: list[Any] = []
    modules = {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
    start = case.start()
    for weight, bias, name in zip(start.weights, start.biases, case.activation, strict=True):
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        layers.append(linear)
        if name in modules:
            layers.append(modules[name]())
    model = torch.nn.Sequential(*layers)
    if precision == "bfloat16":
        model, X = model.to(torch.bfloat16), X.to(torch.bfloat16)
    if case.optimizer == "adam":
        optimizer: Any = torch.optim.Adam(model.parameters(), lr=case.learning_rate, eps=EPSILON)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=case.learning_rate)

    def loss_of(x: Any, target: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast"):
            output = model(x).float()
        if case.loss == "cross_entropy":
            return torch.nn.functional.cross_entropy(output, target)
        return (output - target).square().sum(dim=1).mean()

    step = optimizer.step
    if compiled:
        loss_of, step = torch.compile(loss_of), torch.compile(optimizer.step)

    def train(epochs: int, shuffled: bool) -> float:
        for _ in range(epochs):
            order: Any = torch.randperm(case.rows) if shuffled else torch.arange(case.rows)
            total = torch.zeros(())
            for batch in order.split(case.batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(X[batch], y[batch])
                loss.backward()
                step()
                total += loss.detach() * len(batch)
        return float(total) / case.rows

    return train


def jax_update(case: Case, state: Any, gradients: Any) -> Any:
    """Return parameters, moments and steps after one step of the case's optimizer."""
    import jax
    import jax.numpy as jnp

    parameters, moments, steps = state
    if case.optimizer == "adam":
        first = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, moments[0], gradients)
        second = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, moments[1], gradients)
        moments, steps = (first, second), steps + 1
        rate, root = case.learning_rate / (1 - BETA_1**steps), 1 / jnp.sqrt(1 - BETA_2**steps)
        directions = jax.tree.map(lambda m, v: rate * m / (root * jnp.sqrt(v) + EPSILON), first, second)
    else:
        directions = jax.tree.map(lambda g: case.learning_rate * g, gradients)
    return jax.tree.map(lambda p, d: p - d, parameters, directions), moments, steps


def jax_trainer(case: Case, donated: bool = False, older_runtime: bool = False) -> Train:
    """Build a JAX function that runs a whole epoch in one jitted scan, a ragged last batch after it.

    Parameters
    ----------
    case : Case
    donated : bool, default False
        Whether the epoch may write into the buffers of the parameters that it is given.
    older_runtime : bool, default False
        Whether to use the CPU runtime before thunks, said to be faster on small models: up to JAX 0.6.
    """
    if older_runtime:
        version = metadata.version("jax")
        if tuple(map(int, version.split(".")[:2])) > OLDER_RUNTIME:
            raise UnsupportedError(f"JAX {version} has no older CPU runtime; 0.6.2 has")
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_use_thunk_runtime=false"
    import jax
    import jax.numpy as jnp

    X, y = (jnp.asarray(array) for array in case.data())
    start = case.start()
    parameters = [
        (jnp.asarray(weight.T), jnp.asarray(bias)) for weight, bias in zip(start.weights, start.biases, strict=True)
    ]
    functions = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu, "tanh": jnp.tanh}

    def loss_of(parameters: Any, a: Any, target: Any) -> Any:
        for (weight, bias), name in zip(parameters, case.activation, strict=True):
            a = a @ weight + bias
            a = functions[name](a) if name in functions else a
        if case.loss == "cross_entropy":
            target_logits = jnp.take_along_axis(a, target[:, None], axis=1)[:, 0]
            return (jax.nn.logsumexp(a, axis=1) - target_logits).mean()
        return ((a - target) ** 2).sum(axis=1).mean()

    def step(state: Any, batch: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(state[0], X[batch], y[batch])
        return jax_update(case, state, gradients), loss

    full = case.rows // case.batch_size
    ragged = case.rows - full * case.batch_size

    @partial(jax.jit, donate_argnums=(0,) if donated else ())
    def epoch(state: Any, order: Any) -> Any:
        batches = order[: full * case.batch_size].reshape(full, case.batch_size)
        state, losses = jax.lax.scan(step, state, batches)
        total = losses.sum() * case.batch_size
        if ragged:
            state, loss = step(state, order[full * case.batch_size :])
            total += loss * ragged
        return state, total / case.rows

    zeros = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(2 if case.optimizer == "adam" else 0)]
    state = parameters, tuple(zeros), jnp.zeros((), jnp.float32)
    key = jax.random.key(0)

    def train(epochs: int, shuffled: bool) -> float:
        nonlocal state, key
        loss = jnp.zeros(())
        for _ in range(epochs):
            key, epoch_key = jax.random.split(key)
            order = jax.random.permutation(epoch_key, case.rows) if shuffled else jnp.arange(case.rows)
            state, loss = epoch(state, order)
        return float(loss)

    return train


LIBRARIES: dict[str, Callable[[Case], Train]] = {
    "fastnn": fastnn_trainer,
    "fastnn 1 thread": lambda case: fastnn_trainer(case, 1),
    "NumPy": numpy_trainer,
    "scikit-learn": sklearn_trainer,
    "PyTorch 1 thread": torch_trainer,
    "PyTorch": lambda case: torch_trainer(case, os.cpu_count() or 1),
    "JAX": jax_trainer,
}

MORE_LIBRARIES: dict[str, Callable[[Case], Train]] = LIBRARIES | {
    "fastnn bfloat16": lambda case: fastnn_trainer(case, precision="bfloat16"),
    "PyTorch autocast": lambda case: torch_trainer(case, os.cpu_count() or 1, precision="autocast"),
    "PyTorch bfloat16": lambda case: torch_trainer(case, os.cpu_count() or 1, precision="bfloat16"),
    "PyTorch compiled 1 thread": lambda case: torch_trainer(case, compiled=True),
    "PyTorch compiled": lambda case: torch_trainer(case, os.cpu_count() or 1, compiled=True),
    "JAX donated": lambda case: jax_trainer(case, donated=True),
    "JAX older runtime": lambda case: jax_trainer(case, donated=True, older_runtime=True),
}
"""All of them, and those in other settings."""
