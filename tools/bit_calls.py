"""Calls whose bits `tools.record_bits` records: methods, trainings in parts, streams, searches and sweeps."""

from __future__ import annotations

import pickle
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numba
import numpy as np

import fastnn
from fastnn import schedules
from fastnn.callbacks import Callback

from .bit_cases import (
    CLASSIFIER,
    DEEP,
    REGRESSOR,
    SPARSE,
    THREADS,
    Case,
    bag_of_words,
    both,
    history_values,
    in_each_dtype,
    network_values,
    new,
    problem,
    regression,
    same_for_all,
    tensors_in,
)

# ---- Calls of a network


def calls_of(dtype: str, about: Mapping[str, Any], X: Any, y: Any) -> list[Any]:
    """Return what every method computes, which must not depend on the threads that Numba grants."""
    found = {}
    before = numba.get_num_threads()
    for n_threads in range(1, min(2, before) + 1):
        numba.set_num_threads(n_threads)
        try:
            found[n_threads] = list(each_call({**about, "dtype": dtype}, X, y))
        finally:
            numba.set_num_threads(before)
    return same_for_all(found)


def each_call(about: Mapping[str, Any], X: Any, y: Any) -> Iterator[Any]:
    """Yield what each method returns, and the parameters after steps with and without frozen layers."""
    net = new(about)
    weight = np.linspace(0.1, 2, X.shape[0])
    yield from (net.predict(X), net.classify(X), net.loss(X, y), net.loss(X, y, sample_weight=weight))
    yield from (net.gradients(X, y, flat=True), net.gradients(X, y, sample_weight=weight, flat=True))
    for part in net.gradients(X, y):
        yield from part
    if isinstance(X, np.ndarray):
        yield from net.activations(X)
        out = np.empty((len(X), net.sizes[-1]), net.dtype)
        yield net.predict(X, out=out)
    yield from (net.step(X, y, 0.1), net.step(X, y, 0.05, sample_weight=weight), net.parameters)
    net.freeze(0)
    yield from (net.step(X, y, 0.1), net.parameters, net.predict(X))


def calls() -> Iterator[Case]:
    """Yield calls on one row, on few and on many, dense and sparse, tiny and wide."""
    X, y = problem()
    words, labels = bag_of_words()
    wide = {**DEEP, "sizes": [300, 512, 512, 4], "dropout": 0.2}
    rows = np.random.default_rng(1).normal(size=(603, 300))
    for count in (1, 2, 31, 32, 33, 100, 257, 603):
        for name, about, table in (("tiny", CLASSIFIER, X), ("deep", DEEP, X), ("wide", wide, rows)):
            yield from in_each_dtype(f"calls/{name}/{count}", calls_of, about, table[:count], y[:count])
            same = table[:count].astype("float32")
            yield from in_each_dtype(f"calls/{name}/{count}/of_float32", calls_of, about, same, y[:count])
    for count in (1, 20, 350):
        yield from in_each_dtype(f"calls/sparse/{count}", calls_of, SPARSE, words[:count], labels[:count])


def initial_weights(dtype: str, init: Any) -> Iterator[Any]:
    """Yield the parameters that a network begins with."""
    yield new({**DEEP, "init": init, "dtype": dtype}).parameters


def initialisers() -> Iterator[Case]:
    """Yield every way to draw weights."""
    names = "auto glorot_uniform glorot_normal he_uniform he_normal lecun_uniform lecun_normal orthogonal zeros"
    chosen = dict.fromkeys(names.split()) | {"normal": fastnn.initialisers.Normal(0.1)}
    chosen |= {"default": None, "mixed": ["he_normal", None, "orthogonal"]}
    for name, init in chosen.items():
        yield from in_each_dtype(f"initialisers/{name}", initial_weights, name if name in names.split() else init)


# ---- Trainings in parts


def continued(dtype: str, second: Mapping[str, Any]) -> Iterator[Any]:
    """Yield a network after a first and a second `fit`, and what a copy and a pickled one make of the second."""
    net = new({**DEEP, "dtype": dtype})
    X, y = problem()
    first: dict[str, Any] = {"optimizer": "adam", "ema_decay": 0.9}
    net.fit(X, y, epochs=2, **first)
    for other in (net.copy(), pickle.loads(pickle.dumps(net)), net):
        history = other.fit(X, y, epochs=2, **second)
        yield from (*network_values(other), *history_values(history))


class Interrupt(Callback):
    """Presses Ctrl-C after so many epochs; 0: never."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, net: fastnn.Network, history: fastnn.History) -> None:
        """Press."""
        if history.epochs == self.epoch:
            signal.raise_signal(signal.SIGINT)


def resumed(dtype: str, options: Mapping[str, Any]) -> list[Any]:
    """Return a training that was interrupted and resumed, and its checkpoint; the same as one that was not."""
    found = {}
    X, y = problem()
    for n_threads in (1, 2):
        given: dict[str, Any] = {"epochs": 5, "n_threads": n_threads, "progress": False, **options}
        with tempfile.TemporaryDirectory() as folder:
            first, net = (new({**DEEP, "dtype": dtype, "dropout": 0.1}) for _ in range(2))
            first.fit(X, y, checkpoint=folder, checkpoint_seconds=0, callbacks=[Interrupt(2)], **given)
            history = net.fit(X, y, checkpoint=folder, resume=True, callbacks=[Interrupt(0)], **given)
            tensors = list(tensors_in(Path(folder, "checkpoint.safetensors")))
        whole = new({**DEEP, "dtype": dtype, "dropout": 0.1})
        expected = whole.fit(X, y, **given)
        bits = {"resumed": [*network_values(net), *history_values(history)]}
        bits["whole"] = [*network_values(whole), *history_values(expected)]
        found[n_threads] = same_for_all(bits) + tensors
    return same_for_all(found)


def diverged(dtype: str) -> Iterator[Any]:
    """Yield what is left of trainings that diverge: one step an epoch, so that the clock decides nothing."""
    X, y = regression()
    for behaviour in ("raise", "continue"):
        net = new({**REGRESSOR, "activation": "identity", "dtype": dtype})
        try:
            given: dict[str, Any] = {"batch_size": len(X), "learning_rate": 5.0, "on_divergence": behaviour}
            history = net.fit(X, y, epochs=30, callbacks=[Callback()], **given)
        except fastnn.DivergenceError as error:
            history = error.history
        yield from (*history_values(history), *(network_values(net) if behaviour == "raise" else ()))


def in_parts() -> Iterator[Case]:
    """Yield trainings that are continued, interrupted and resumed, and those that diverge."""
    for name, second in {
        "adam": {"optimizer": "adam", "ema_decay": 0.9},
        "sgd": {},
        "lbfgs": {"optimizer": "lbfgs"},
    }.items():
        yield from in_each_dtype(f"continued/adam_then_{name}", continued, second)
    chosen: dict[str, dict[str, Any]] = {
        "sgd": {},
        "momentum": {"optimizer": fastnn.SGD(momentum=0.9), "validation_split": 0.2},
        "adam": {"optimizer": "adam", "ema_decay": 0.9, "clip_norm": 0.5, "l2": 0.01},
        "rmsprop": {"optimizer": fastnn.RMSprop(momentum=0.5), "batch_size": 300, "input_noise": 0.1},
        "plateau": {"learning_rate": schedules.ReduceOnPlateau(0.3, patience=1, min_delta=0.3)},
    }
    for name, options in chosen.items():
        yield from in_each_dtype(f"checkpoint/{name}", resumed, options)
    yield from in_each_dtype("diverged", diverged)
    yield from both("zero_epochs", CLASSIFIER, *problem(), epochs=0)
    nothing = np.zeros((203, 3))
    yield from both("converged", {**REGRESSOR, "init": "zeros"}, regression()[0], nothing, epochs=3, batch_size=203)


# ---- Streams, searches, sweeps


def streamed(dtype: str, options: Mapping[str, Any], sparse: bool = False) -> list[Any]:
    """Return what batches that come one after the other make of a network."""
    X, y = bag_of_words() if sparse else problem()
    found = {}

    def batches() -> Iterator[Any]:
        for start in range(0, X.shape[0], 130):
            yield X[start : start + 130], y[start : start + 130]

    for n_threads in THREADS:
        net = new({**(SPARSE if sparse else CLASSIFIER), "dtype": dtype})
        history = net.fit_stream(batches, epochs=3, n_threads=n_threads, **options)
        found[n_threads] = [*network_values(net), *history_values(history), net.predict(X)]
    return same_for_all(found)


def rate_search(dtype: str, optimizer: str) -> Iterator[Any]:
    """Yield what a search for a learning rate finds."""
    given: dict[str, Any] = {"batch_size": 20, "steps": 60, "optimizer": optimizer, "min_lr": 1e-4, "max_lr": 20.0}
    found = new({**CLASSIFIER, "dtype": dtype}).find_learning_rate(*problem(), **given)
    yield from (found.learning_rates, found.losses, found.smoothed, found.suggestion)


def population(dtype: str, options: Mapping[str, Any]) -> list[Any]:
    """Return what `fit_many` makes of eight networks, on one thread and on two."""
    found = {}
    configs = [
        {"sizes": [12, n, 4], "learning_rate": rate, "seed": seed}
        for n in (5, 40)
        for seed, rate in enumerate((0.01, 0.1, 0.5, 1.0))
    ]
    shared: dict[str, Any] = {
        "activation": ["relu", "softmax"],
        "loss": "cross_entropy",
        "dtype": dtype,
        "validation_split": 0.2,
    }
    X, y = problem()
    for n_threads in (1, 2):
        many = fastnn.fit_many(configs, X, y, epochs=6, n_threads=n_threads, progress=False, **shared, **options)
        values = [many.scores, np.array(many.ranking), many.monitor]
        for net, history in zip(many.networks, many.histories, strict=True):
            values += [*network_values(net), *history_values(history)]
        if many.ensemble is not None:
            values += [many.ensemble.predict(X), many.ensemble.classify(X)]
        found[n_threads] = values
    return same_for_all(found)


def many_batches() -> Iterator[Case]:
    """Yield streams, searches for a learning rate, sweeps and ensembles."""
    X, y = problem()
    chosen: dict[str, dict[str, Any]] = {
        "whole_batches": {},
        "small_batches": {"batch_size": 16, "validation_data": (X[:50], y[:50])},
        "adam": {"batch_size": 32, "optimizer": "adam", "ema_decay": 0.9, "l2": 0.01},
        "options": {
            "class_weight": {0: 2.0},
            "l1": 0.001,
            "clip_norm": 0.4,
            "label_smoothing": 0.1,
            "input_noise": 0.1,
        },
        "schedule": {"batch_size": 16, "learning_rate": schedules.Cosine(0.3, epochs=3)},
        "steps": {"batch_size": 16, "learning_rate": fastnn.schedules.Step(0.3, factor=0.5, step_size=1)},
        "plateau": {"learning_rate": schedules.ReduceOnPlateau(0.3, patience=1, min_delta=0.3)},
        "function": {"learning_rate": lambda epoch: 0.3 / (1 + epoch)},
    }
    for name, options in chosen.items():
        yield from in_each_dtype(f"stream/{name}", streamed, options)
    yield from in_each_dtype("stream/sparse", streamed, {"batch_size": 32}, True)
    for optimizer in ("sgd", "adam"):
        yield from in_each_dtype(f"rate_search/{optimizer}", rate_search, optimizer)
    for name, options in {"plain": {}, "halving": {"halving": 1, "ensemble": 3}, "ensemble": {"ensemble": 8}}.items():
        yield from in_each_dtype(f"fit_many/{name}", population, options)


FAMILIES = (calls, initialisers, in_parts, many_batches)
