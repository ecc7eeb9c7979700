"""How each library trains a case: built once from the same weights, then called for epochs."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .case import Case

Train = Callable[[int, bool], float]
"""(epochs, shuffled) -> running-mean loss of the last epoch; each call continues the training."""


class UnsupportedError(Exception):
    """The library cannot train this network."""


def fastnn_trainer(case: Case, n_threads: int | None = None) -> Train:
    """Build a `Network`, trained by `fit` as a user calls it."""
    from ..network import Network

    X, y = case.data()
    start = case.start()
    net = Network(case.sizes, activation=case.activation, loss=case.loss, seed=0)
    for parameters, initial in zip((*net.weights, *net.biases), (*start.weights, *start.biases), strict=True):
        parameters[...] = initial

    def train(epochs: int, shuffled: bool) -> float:
        history = net.fit(
            X,
            y,
            epochs=epochs,
            batch_size=case.batch_size,
            learning_rate=case.learning_rate,
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


def sklearn_trainer(case: Case) -> Train:
    """Build an MLPClassifier or MLPRegressor with plain SGD and no penalty.

    The gradient of its squared loss is half of fastnn's, so that it gets twice the learning rate; the loss that it
    reports is the mean over the outputs.
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
        solver="sgd",
        alpha=0.0,
        batch_size=case.batch_size,
        learning_rate_init=case.learning_rate * (1 if classify else 2),
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

    def train(epochs: int, shuffled: bool) -> float:
        model.set_params(max_iter=epochs, shuffle=shuffled)
        model.n_iter_ = 0
        model.fit(X, targets)
        return float(model.loss_) * (1 if classify else 2 * case.sizes[-1])

    return train


def torch_trainer(case: Case, n_threads: int = 1) -> Train:
    """Build an eager PyTorch model with the usual loop, its batches indexed by a permutation."""
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
    optimizer = torch.optim.SGD(model.parameters(), lr=case.learning_rate)

    def loss_of(output: Any, target: Any) -> Any:
        if case.loss == "cross_entropy":
            return torch.nn.functional.cross_entropy(output, target)
        return (output - target).square().sum(dim=1).mean()

    def train(epochs: int, shuffled: bool) -> float:
        for _ in range(epochs):
            order = torch.randperm(case.rows) if shuffled else torch.arange(case.rows)
            total = torch.zeros(())
            for batch in order.split(case.batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(model(X[batch]), y[batch])
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(batch)
        return float(total) / case.rows

    return train


def jax_trainer(case: Case) -> Train:
    """Build a JAX function that runs a whole epoch in one jitted scan, a ragged last batch after it."""
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

    def step(parameters: Any, batch: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(parameters, X[batch], y[batch])
        updated = jax.tree.map(lambda p, g: p - case.learning_rate * g, parameters, gradients)
        return updated, loss

    full = case.rows // case.batch_size
    ragged = case.rows - full * case.batch_size

    @jax.jit
    def epoch(parameters: Any, order: Any) -> Any:
        batches = order[: full * case.batch_size].reshape(full, case.batch_size)
        parameters, losses = jax.lax.scan(step, parameters, batches)
        total = losses.sum() * case.batch_size
        if ragged:
            parameters, loss = step(parameters, order[full * case.batch_size :])
            total += loss * ragged
        return parameters, total / case.rows

    key = jax.random.key(0)

    def train(epochs: int, shuffled: bool) -> float:
        nonlocal parameters, key
        loss = jnp.zeros(())
        for _ in range(epochs):
            key, epoch_key = jax.random.split(key)
            order = jax.random.permutation(epoch_key, case.rows) if shuffled else jnp.arange(case.rows)
            parameters, loss = epoch(parameters, order)
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
