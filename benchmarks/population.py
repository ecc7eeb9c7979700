"""Compare `fit_many` with joblib over scikit-learn and JAX's vmap: python -m benchmarks.population [--json FILE].

Networks, data, batches and number of epochs are the same. Each library runs in its own process, in rounds, after an
untimed training that compiles. The mean losses of the populations must agree.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

SIZES, ROWS, BATCH, RATE = (20, 64, 64, 1), 10_000, 32, 0.01
TOLERANCE = 0.15
"""Relative difference allowed between mean losses: the libraries draw weights and orders differently."""


def examples() -> tuple[np.ndarray, np.ndarray]:
    """Return samples of a smooth function of 20 numbers."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(ROWS, SIZES[0])).astype(np.float32)
    y = np.sin(X[:, :1]) + 0.5 * X[:, 1:2] * X[:, 2:3]
    return X, y.astype(np.float32)


def fastnn_population(networks: int, epochs: int) -> Callable[[], float]:
    """Build a training by `fit_many` on all processors."""
    import fastnn

    X, y = examples()
    configs = [{"seed": seed} for seed in range(networks)]

    def train() -> float:
        result = fastnn.fit_many(
            configs, X, y, sizes=SIZES, activation=["tanh", "tanh", "identity"], init="glorot_uniform",
            learning_rate=RATE, batch_size=BATCH, epochs=epochs, progress=False,
        )  # fmt: skip
        return float(np.mean(result.scores))

    return train


def joblib_population(networks: int, epochs: int) -> Callable[[], float]:
    """Build a joblib loop over scikit-learn's regressor; its loss is half of fastnn's, its learning rate doubled."""
    import warnings

    from joblib import Parallel, delayed
    from sklearn.neural_network import MLPRegressor

    X, y = examples()

    def fit(seed: int) -> float:
        warnings.simplefilter("ignore")
        model = MLPRegressor(
            hidden_layer_sizes=SIZES[1:-1], activation="tanh", solver="sgd", alpha=0.0, batch_size=BATCH,
            learning_rate_init=2 * RATE,
            momentum=0.0, nesterovs_momentum=False, max_iter=epochs, n_iter_no_change=10**9, random_state=seed,
        )  # fmt: skip
        return 2 * float(model.fit(X, y.ravel()).loss_)

    def train() -> float:
        return float(np.mean(Parallel(n_jobs=-1)(delayed(fit)(seed) for seed in range(networks))))

    return train


def jax_population(networks: int, epochs: int) -> Callable[[], float]:
    """Build a jitted scan over an epoch, vmapped over the population."""
    import jax
    import jax.numpy as jnp

    X, y = (jnp.asarray(array) for array in examples())
    full = ROWS // BATCH

    def start(key: Any) -> Any:
        layers = []
        for n_in, n_out in pairwise(SIZES):
            key, layer_key = jax.random.split(key)
            bound = (6 / (n_in + n_out)) ** 0.5
            layers.append((jax.random.uniform(layer_key, (n_in, n_out), minval=-bound, maxval=bound), jnp.zeros(n_out)))
        return layers

    def loss_of(layers: Any, a: Any, target: Any) -> Any:
        for weight, bias in layers[:-1]:
            a = jnp.tanh(a @ weight + bias)
        return ((a @ layers[-1][0] + layers[-1][1] - target) ** 2).sum(axis=1).mean()

    def step(layers: Any, batch: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(layers, X[batch], y[batch])
        return jax.tree.map(lambda p, g: p - RATE * g, layers, gradients), loss

    def epoch(layers: Any, key: Any) -> Any:
        order = jax.random.permutation(key, ROWS)
        layers, losses = jax.lax.scan(step, layers, order[: full * BATCH].reshape(full, BATCH))
        layers, last = step(layers, order[full * BATCH :])
        return layers, (losses.sum() * BATCH + last * (ROWS - full * BATCH)) / ROWS

    population_epoch = jax.jit(jax.vmap(epoch))

    def train() -> float:
        keys = jax.random.split(jax.random.key(0), networks)
        layers = jax.vmap(start)(keys)
        for _ in range(epochs):
            keys = jax.vmap(lambda key: jax.random.split(key)[0])(keys)
            layers, losses = population_epoch(layers, keys)
        return float(losses.mean())

    return train


LIBRARIES: dict[str, Callable[[int, int], Callable[[], float]]] = {
    "fastnn": fastnn_population,
    "joblib and scikit-learn": joblib_population,
    "JAX vmap": jax_population,
}


def turn(name: str, networks: int, epochs: int) -> tuple[float, float]:
    """Train the population once in a new process; return the seconds and the mean loss."""
    command = [sys.executable, "-m", "benchmarks.population", "--one", name]
    command += ["--networks", str(networks), "--epochs", str(epochs)]
    completed = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, loss = json.loads(completed.stdout.splitlines()[-1])
    return seconds, loss


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--one", help="train with this library in this process")
    arguments = parser.parse_args()
    if arguments.one:
        train = LIBRARIES[arguments.one](arguments.networks, arguments.epochs)
        train()
        began = time.perf_counter()
        loss = train()
        print(json.dumps([time.perf_counter() - began, loss]))
        return
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in LIBRARIES}
    for _ in range(arguments.rounds):
        for name, timings in turns.items():
            timings.append(turn(name, arguments.networks, arguments.epochs))
    fastnn_median = statistics.median(seconds for seconds, _ in turns["fastnn"])
    results = {}
    for name, timings in turns.items():
        seconds = sorted(seconds for seconds, _ in timings)
        loss = timings[0][1]
        if abs(loss / turns["fastnn"][0][1] - 1) > TOLERANCE:
            raise SystemExit(f"{name} reached a mean loss of {loss:.4g}, fastnn {turns['fastnn'][0][1]:.4g}")
        median = statistics.median(seconds)
        examples_per_second = arguments.networks * arguments.epochs * ROWS / median
        results[name] = {"seconds": seconds, "loss": loss, "examples_per_second": examples_per_second}
        print(
            f"{name:24s} {median:8.3f} s ({seconds[0]:.3f} to {seconds[-1]:.3f}), "
            f"{examples_per_second:12,.0f} examples/s, fastnn is {median / fastnn_median:.1f} times as fast; "
            f"loss {loss:.4f}"
        )
    if arguments.json:
        from benchmarks.peers import machine

        content = {"machine": machine(), "networks": arguments.networks, "epochs": arguments.epochs, "results": results}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
