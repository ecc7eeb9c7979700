"""What the cases of `tools.record_bits` share: names, digests, data, networks, and a training on 1, 2 and n threads.

Each family of cases is a generator of pairs (name, function); the function returns the values whose bits count. It is
to be called before the generator moves on: files that it reads may be gone afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from safetensors import safe_open

import fastnn

Case = tuple[str, Callable[..., Iterable[Any]]]

DTYPES = ("float32", "float64")
THREADS = (1, 2, None)
ABSENT = "absent"
"""The value of a case whose library is not installed."""

# ---- Values and their digests


class ThreadsDisagreeError(Exception):
    """The values of a case depend on the number of threads."""


def digest(values: Iterable[Any]) -> str:
    """Return the SHA-256 of arrays, numbers, texts and bytes: of types, shapes and every bit."""
    found = hashlib.sha256()
    for value in values:
        if isinstance(value, str | bytes):
            kind, content = type(value).__name__, value if isinstance(value, bytes) else value.encode()
        else:
            array = np.asarray(value)
            if array.dtype.hasobject:
                raise TypeError(f"objects have no bits of their own, got {value!r:.80}")
            kind, content = f"{array.dtype.str}{array.shape}", array.tobytes()
        found.update(f"{kind} {len(content)} ".encode() + content)
    return found.hexdigest()


def same_for_all(found: Mapping[Any, Iterable[Any]]) -> list[Any]:
    """Return the values of the first entry; an error where another's are not the same bits."""
    values = {key: list(entry) for key, entry in found.items()}
    digests = {key: digest(entry) for key, entry in values.items()}
    if len(set(digests.values())) != 1:
        raise ThreadsDisagreeError(", ".join(f"{key}: {value[:12]}" for key, value in digests.items()))
    return next(iter(values.values()))


def history_values(history: fastnn.History) -> Iterator[Any]:
    """Yield what a history holds, but for times and the number of threads."""
    for name, column in history.items():
        yield name
        yield np.array(column)
    yield from (np.array(history.learning_rates), history.stop_reason)


def network_values(net: fastnn.Network) -> Iterator[Any]:
    """Yield the parameters and the position in the training."""
    yield from (net.parameters, net.epochs_trained, np.array(net.frozen, np.int64), net.seed)


# ---- Data and networks


def normal(n_rows: int, n_columns: int, seed: int = 0) -> np.ndarray:
    """Return normal numbers, always the same."""
    return np.random.default_rng(seed).normal(size=(n_rows, n_columns))


@cache
def problem(n_rows: int = 603, n_in: int = 12, n_classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and labels that can be learned."""
    X = normal(n_rows, n_in)
    return X, (X @ normal(n_in, n_classes, seed=1)).argmax(axis=1)


@cache
def regression(n_outputs: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and numbers, positive and negative."""
    X = normal(203, 6)
    return X, np.sin(X @ normal(6, n_outputs, seed=2))


@cache
def bag_of_words() -> tuple[Any, np.ndarray]:
    """Return sparse rows, some of them empty, and labels."""
    words = scipy.sparse.random_array((350, 900), density=0.01, format="csr", rng=np.random.default_rng(3))
    return words, np.arange(350) % 3


CLASSIFIER: dict[str, Any] = {
    "sizes": [12, 33, 4],
    "activation": ["tanh", "softmax"],
    "loss": "cross_entropy",
    "seed": 5,
}
DEEP: dict[str, Any] = {
    "sizes": [12, 70, 45, 4],
    "activation": ["relu", "tanh", "softmax"],
    "loss": "cross_entropy",
    "seed": 6,
}
REGRESSOR: dict[str, Any] = {"sizes": [6, 19, 3], "activation": ["tanh", "identity"], "seed": 7}
SPARSE: dict[str, Any] = {"sizes": [900, 20, 3], "activation": ["relu", "softmax"], "loss": "cross_entropy", "seed": 8}


@cache
def register() -> None:
    """Register an activation and a loss, once in this process."""
    fastnn.register_activation("bent", lambda z: z if z > 0 else 0.2 * z, lambda z: 1.0 if z > 0 else 0.2)
    fastnn.register_loss("fourth_power", lambda a, y: (a - y) ** 4, lambda a, y: 4 * (a - y) ** 3)


def new(about: Mapping[str, Any]) -> fastnn.Network:
    """Return a network of that description."""
    if "bent" in about.get("activation", ()) or about.get("loss") == "fourth_power":
        register()
    return fastnn.Network(**about)


def trained(
    about: Mapping[str, Any],
    X: Any,
    y: Any,
    options: Mapping[str, Any],
    threads: Iterable[int | None] = THREADS,
    before: Callable[[fastnn.Network], Any] | None = None,
    after: Callable[[fastnn.Network], Iterable[Any]] | None = None,
) -> list[Any]:
    """Return what `fit` on each number of threads makes of a network; `before` and `after` stand around it."""
    found = {}
    for n_threads in threads:
        net = new(about)
        if before is not None:
            before(net)
        history = net.fit(X, y, n_threads=n_threads, progress=False, **options)
        values = [*network_values(net), *history_values(history), net.predict(X)]
        found[n_threads] = values + list(after(net) if after is not None else ())
    return same_for_all(found)


def both(name: str, about: Mapping[str, Any], X: Any, y: Any, **options: Any) -> Iterator[Case]:
    """Yield a training in each dtype; `before` and `after` are those of `trained`."""
    around = {key: options.pop(key) for key in ("before", "after") if key in options}
    for dtype in DTYPES:
        yield f"{name}/{dtype}", partial(trained, {**about, "dtype": dtype}, X, y, options, **around)


def in_each_dtype(name: str, function: Callable[..., Iterable[Any]], *given: Any) -> Iterator[Case]:
    """Yield function(dtype, *given) for each dtype."""
    for dtype in DTYPES:
        yield f"{name}/{dtype}", partial(function, dtype, *given)


def tensors_in(path: Path) -> Iterator[Any]:
    """Yield the names and tensors of a safetensors file."""
    with safe_open(path, framework="numpy") as file:
        for name in sorted(file.keys()):
            yield from (name, file.get_tensor(name))
