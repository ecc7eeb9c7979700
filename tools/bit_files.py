"""Files, commands and ranks whose bits `tools.record_bits` records."""

from __future__ import annotations

import csv
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from fastnn import preprocessing
from fastnn.callbacks import ModelCheckpoint

from .bit_cases import (
    ABSENT,
    CLASSIFIER,
    DEEP,
    Case,
    bag_of_words,
    history_values,
    in_each_dtype,
    network_values,
    new,
    normal,
    problem,
    tensors_in,
)

ROOT = Path(__file__).parent.parent
TIMEOUT = 300

# ---- Files of networks


def saved(dtype: str) -> Iterator[Any]:
    """Yield a model file, and the network that is read from it."""
    X, y = problem()
    about: dict[str, Any] = {
        **DEEP,
        "dtype": dtype,
        "dropout": [0.1, 0.2, 0.0],
        "input_scale": 0.25,
        "loss": "cross_entropy",
    }
    net = new(about)
    net.scaler = preprocessing.StandardScaler().fit(X)
    net.column_names, net.class_names = tuple(f"column {n}" for n in range(12)), ("a", "b", "c", "d")
    net.fit(X, y, epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        net.save(path)
        model = fastnn.load_model(path)
        yield from (path.read_bytes(), *tensors_in(path))
    other = model.network
    yield from (*network_values(other), other.predict(X), model.predict_proba(X), repr(other))
    other.fit(X, y, epochs=1)
    yield other.parameters
    yield pickle.loads(pickle.dumps(other)).predict(X)


def saved_loss(dtype: str) -> Iterator[Any]:
    """Yield the model file of a loss with a setting."""
    net = new({"sizes": [3, 2], "activation": "identity", "loss": fastnn.losses.Huber(0.3), "dtype": dtype, "seed": 1})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        net.save(path)
        yield path.read_bytes()
        yield fastnn.load(path).gradients(normal(9, 3), normal(9, 2), flat=True)


def exported(dtype: str, kind: str) -> Iterator[Any]:
    """Yield a network as C or as ONNX."""
    names = "identity step sigmoid tanh arctan relu leaky_relu elu softplus silu gelu selu softsign hard_sigmoid"
    layers = [*names.split(), "exponential", "softmax"]
    about: dict[str, Any] = {
        "sizes": [5] * len(layers) + [3],
        "activation": layers,
        "loss": "cross_entropy",
        "input_scale": 0.5,
    }
    for net in (new({**about, "dtype": dtype, "seed": 1}), new({**CLASSIFIER, "dtype": dtype})):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"net.{kind}")
            (net.to_c if kind == "c" else net.to_onnx)(path)
            yield path.read_bytes()


def logged(dtype: str) -> Iterator[Any]:
    """Yield what callbacks and the history write."""
    X, y = problem()
    net = new({**CLASSIFIER, "dtype": dtype})
    with tempfile.TemporaryDirectory() as folder:
        best, log, table = (Path(folder, name) for name in ("best.safetensors", "log.csv", "history.csv"))
        callbacks = [ModelCheckpoint(best), fastnn.callbacks.CSVLogger(log)]
        history = net.fit(X, y, epochs=4, validation_split=0.3, learning_rate=0.9, callbacks=callbacks)
        history.to_csv(table)
        yield from tensors_in(best)
        rows = list(csv.DictReader(log.read_text(encoding="utf-8").splitlines()))
        yield from (repr([{**row, "seconds": ""} for row in rows]), table.read_text(encoding="utf-8"))


def files() -> Iterator[Case]:
    """Yield model files, source text, logs."""
    yield from in_each_dtype("files/model", saved)
    yield from in_each_dtype("files/model/huber", saved_loss)
    yield from in_each_dtype("files/c", exported, "c")
    if find_spec("onnx") is None:
        yield "files/onnx", lambda: [ABSENT]
    else:
        yield from in_each_dtype("files/onnx", exported, "onnx")
    yield from in_each_dtype("files/logs", logged)


# ---- Data


def prepared(dtype: str) -> Iterator[Any]:
    """Yield what scalers, one-hot rows and splits make of a table."""
    X, y = problem()
    table = X.astype(dtype)
    for scaler in (preprocessing.MinMaxScaler((-1.0, 2.0)), preprocessing.StandardScaler()):
        scaled = scaler.fit_transform(table)
        yield from (scaled, scaler.inverse_transform(scaled), repr(scaler.state()))
        yield preprocessing.scaler_from_state(scaler.state()).transform(table)
    yield preprocessing.one_hot(y, dtype=dtype)
    for stratify in (False, True):
        yield from preprocessing.train_test_split(table, y, seed=1, stratify=stratify)


def data() -> Iterator[Case]:
    """Yield the digits that come with fastnn, and preprocessing."""
    yield "data/digits", fastnn.datasets.load_digits
    yield from in_each_dtype("data/prepared", prepared)


# ---- The command line


def run(command: Sequence[str | Path], folder: str) -> None:
    """Run a command in a folder, with this fastnn; its output in the error where it fails."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "MPLBACKEND": "agg"}
    found = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if found.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command[:6]))} failed: {(found.stdout + found.stderr)[-400:]}")


def commanded(data: str, *options: str) -> Iterator[Any]:
    """Yield the files of `fastnn train`, without options resumed, and of `fastnn predict`."""
    with tempfile.TemporaryDirectory() as folder:
        numbers, kinds = normal(240, 3), np.arange(240) % 3
        with Path(folder, "table.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["first", "second", "third", "value", "kind"])
            for row, kind in zip(numbers, kinds, strict=True):
                writer.writerow([*row, row[2] + row[0] * row[1], "xyz"[kind]])
        fast = (sys.executable, "-m", "fastnn")
        for more in (("--epochs", "3"), ("--epochs", "5", "--resume"))[: 1 if options else 2]:
            run([*fast, "train", data, "-o", "run", *options, *more], folder)
        result = Path(folder, "run")
        yield from (*tensors_in(result / "model.safetensors"), *tensors_in(result / "checkpoint.safetensors"))
        yield (result / "history.csv").read_text(encoding="utf-8")
        yield repr(fastnn.load_model(result / "model.safetensors").network)
        if data.endswith(".csv"):
            run([*fast, "predict", "run", data, "-o", "answers.csv", *options[:2]], folder)
            yield Path(folder, "answers.csv").read_text(encoding="utf-8")


def commands() -> Iterator[Case]:
    """Yield trainings on the command line."""
    yield "command/digits", partial(commanded, "digits")
    yield "command/classes", partial(commanded, "table.csv", "--target", "kind")
    yield "command/numbers", partial(commanded, "table.csv", "--target", "value", "--columns", "first,second,third")


# ---- Ranks


def train_on_ranks(folder: str) -> None:
    """Train on all ranks of the world, and write each rank's results into a folder: what mpiexec runs."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    rank, size = comm.Get_rank(), comm.Get_size()
    X, y = problem()
    words, labels = bag_of_words()
    wide = {**DEEP, "sizes": [12, 300, 100, 4]}
    own = {"X": X[rank::size], "y": y[rank::size], "data": "sharded"}
    chosen: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "plain": (CLASSIFIER, {"data": "replicated"}),
        "adam": (wide, {"optimizer": "adam", "clip_norm": 0.5, "l2": 0.01, "ema_decay": 0.9}),
        "dropout": ({**DEEP, "dropout": 0.2}, {"input_noise": 0.1}),
        "validation": (CLASSIFIER, {"validation_split": 0.2, "max_norm": 1.0}),
        "own": (CLASSIFIER, {**own, "validation_data": (X[rank:90:size], y[rank:90:size])}),
        "sparse": ({**CLASSIFIER, "sizes": [900, 20, 4]}, {"X": words, "y": labels}),
        "large": (wide, {"batch_size": 200}),
        "checkpoint": (CLASSIFIER, {"checkpoint": Path(folder, "part"), "optimizer": "adam"}),
        "resumed": (CLASSIFIER, {"checkpoint": Path(folder, "part"), "optimizer": "adam", "resume": True, "epochs": 5}),
    }
    for name, (about, options) in chosen.items():
        for dtype in ("float32", "float64"):
            if "checkpoint" in options:
                options["checkpoint"] = Path(folder, f"part-{dtype}")
            net = new({**about, "dtype": dtype})
            history = net.fit(**{"X": X, "y": y, "epochs": 3, "batch_size": 16, "comm": comm, **options})
            values = [*network_values(net), *history_values(history)]
            values += [net.averaged().parameters] if "ema_decay" in options else []
            Path(folder, f"{name}.{dtype}.{rank}").write_bytes(pickle.dumps(values))


@cache
def values_of_ranks() -> dict[str, list[Any]]:
    """Return the results of two ranks by the name of the training."""
    mpiexec = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if mpiexec is None or find_spec("mpi4py") is None:
        return {}
    found: dict[str, list[Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        code = f"from tools.bit_files import train_on_ranks; train_on_ranks({folder!r})"
        run([mpiexec, "-n", "2", sys.executable, "-c", code], folder)
        for path in sorted(Path(folder).glob("*.[01]")):
            found.setdefault(path.stem, []).extend(pickle.loads(path.read_bytes()))
        command = [sys.executable, "-m", "fastnn", "train", "digits", "--epochs", "2", "-o", "run"]
        run([mpiexec, "-n", "2", *command], folder)
        found["command"] = list(tensors_in(Path(folder, "run", "model.safetensors")))
    return found


def ranks() -> Iterator[Case]:
    """Yield trainings on two ranks over MPI, where it is installed."""
    names = ("plain", "adam", "dropout", "validation", "own", "sparse", "large", "checkpoint", "resumed")
    for name in (*(f"{name}.{dtype}" for name in names for dtype in ("float32", "float64")), "command"):
        yield f"ranks/{name.replace('.', '/')}", partial(of_ranks, name)


def of_ranks(name: str) -> list[Any]:
    """Return the results of one training on two ranks."""
    found = values_of_ranks()
    return found[name] if found else [ABSENT]


FAMILIES = (files, data, commands, ranks)
