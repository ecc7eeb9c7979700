"""`fastnn train`: build a network for the data, train it, evaluate it on held-out examples, and write the results."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..history import History
from ..io.checkpoint_file import read
from ..network import Network
from ..preprocessing import StandardScaler
from ..spec import LOSS_OUTPUT
from ..training.loop import RESUMABLE
from ..warmup import warmup
from .results import MODEL, report, write_results
from .tasks import Task, load_task

CAUTIOUS_RATE = 0.1
"""Learning rate if the loss or the activation is not that of the recipe, whose rate does not apply then."""

FLOAT32_SPREAD = 1e-4
"""Targets whose standard deviation is a smaller fraction of their mean need float64: float32 would blur them."""

PATIENCE = 2.0
"""Seconds after which the user is told that kernels are compiled."""


@dataclass(frozen=True)
class Settings:
    """Settings of the training."""

    epochs: int
    batch_size: int
    rate: float
    n_threads: int | None
    folder: Path
    resume: bool


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit code. Under mpiexec only rank 0 prints and writes."""
    comm = communicator()
    if comm is None or comm.Get_rank() == 0:
        return train(arguments, comm)
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        return train(arguments, comm)


def communicator() -> Any:
    """Return the communicator of all ranks if mpiexec started several of them, else None."""
    sizes = [os.environ.get(name, "") for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")]
    if not any(size.isdigit() and int(size) > 1 for size in sizes):
        return None
    try:
        from mpi4py import MPI
    except ImportError:
        raise ImportError("training on several ranks needs mpi4py: pip install fastnn[mpi]") from None
    comm = MPI.COMM_WORLD
    here, cores = comm.Split_type(MPI.COMM_TYPE_SHARED).Get_size(), os.cpu_count() or 1
    if here > cores and comm.Get_rank() == 0:
        print(f"fastnn: {here} ranks share {cores} cores; they will be slower than {cores} ranks", file=sys.stderr)
    return comm


def train(arguments: argparse.Namespace, comm: Any) -> int:
    """Train and write the results; return the exit code."""
    task = load_task(arguments)
    net, settings = build(task, arguments)
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    prepare_kernels(net)
    print(f"{task.name}: {len(task.X):,} examples to train on, {len(task.X_held):,} held out")
    print(
        f"{'-'.join(map(str, net.sizes))} ({', '.join(net.activation)}; {net.loss_name}), {net.n_parameters:,} "
        f"parameters: {settings.epochs} epochs, batches of {settings.batch_size}, rate {settings.rate:g}",
        flush=True,
    )
    target_scaler = scaler_of_targets(task, net)
    if settings.resume:
        print(what_is_left(settings, net.seed), flush=True)
    elif (folder / MODEL).exists():
        print(f"the model in {folder} will be replaced", flush=True)
    history = fit(net, task, settings, target_scaler, comm)
    if comm is not None and comm.Get_rank() != 0:
        return 0
    if target_scaler is not None:
        give_outputs_the_units_of(net, target_scaler)
    outputs = net.predict(task.prepared(task.X_held))
    report(task, history, outputs, target_scaler)
    print(f"written to {folder}: {', '.join(write_results(folder, net, task, history, outputs))}")
    if history.stop_reason == "interrupted":
        print("fastnn: interrupted; the training so far is saved, and --resume continues it", file=sys.stderr)
        return 130
    return 0


def build(task: Task, arguments: argparse.Namespace) -> tuple[Network, Settings]:
    """Build the network from the options, with the recipe's settings for those left out."""
    recipe = task.recipe
    loss = arguments.loss or recipe.loss
    sizes = _sizes(task, arguments, loss)
    net = Network(
        sizes,
        activation=_activation(task, arguments.activation, len(sizes) - 1, loss),
        loss=loss,
        dtype=_dtype(task),
        seed=arguments.seed,
        input_scale=task.input_scale,
    )
    net.scaler, net.column_names, net.class_names = task.scaler, task.column_names, task.class_names
    of_recipe = loss == recipe.loss and arguments.activation in (None, (recipe.activation,))
    settings = Settings(
        epochs=arguments.epochs or recipe.epochs,
        batch_size=arguments.batch_size or recipe.batch_size,
        rate=arguments.rate or (recipe.rate if of_recipe else CAUTIOUS_RATE),
        n_threads=arguments.threads,
        folder=Path(arguments.output or Path("runs", task.name)),
        resume=arguments.resume,
    )
    return net, settings


def _sizes(task: Task, arguments: argparse.Namespace, loss: str) -> tuple[int, ...]:
    n_inputs = task.X.shape[1]
    if task.class_names is None:
        possible: tuple[int, ...] = (task.y.shape[1],)
    elif len(task.class_names) > 2:
        possible = (len(task.class_names),)
    else:
        possible = (1, 2) if loss in ("binary_cross_entropy", "perceptron") else (2, 1)
    if arguments.sizes is None:
        hidden = task.recipe.hidden if arguments.hidden is None else arguments.hidden
        return (n_inputs, *hidden, possible[0])
    sizes: tuple[int, ...] = arguments.sizes
    if len(sizes) < 2 or sizes[0] != n_inputs or sizes[-1] not in possible:
        raise ValueError(
            f"--sizes must begin with the {n_inputs} inputs of {task.name} and end with its {possible[0]} "
            f"output{'s' * (possible[0] > 1)}, got {','.join(map(str, sizes)) or 'none'}"
        )
    return sizes


def _activation(task: Task, option: Sequence[str] | None, n_layers: int, loss: str) -> tuple[str, ...]:
    """Return a name for each layer: those of the option, or one for the hidden layers and the one of the loss."""
    if option is not None and (len(option) > 1 or n_layers == 1):
        return tuple(option)
    (hidden,) = option or (task.recipe.activation,)
    output = LOSS_OUTPUT.get(loss, "sigmoid" if task.classifies else "identity")
    return (*[hidden] * (n_layers - 1), output)


def _dtype(task: Task) -> str:
    if task.classifies:
        return "float32"
    blurred = task.y.std(axis=0) < FLOAT32_SPREAD * np.abs(task.y.mean(axis=0))
    return "float64" if blurred.any() else "float32"


def prepare_kernels(net: Network) -> None:
    """Compile or load the kernels before the training is timed; tell the user if that takes long."""
    text = "preparing the kernels; the first run on a machine compiles them, which takes about 20 seconds ..."
    notice = threading.Timer(PATIENCE, print, (text,), {"file": sys.stderr, "flush": True})
    notice.daemon = True
    notice.start()
    try:
        warmup([net.dtype.name], progress=False)
    finally:
        notice.cancel()


def what_is_left(settings: Settings, seed: int) -> str:
    """Describe where a resumed training continues; ValueError where it was begun with another seed."""
    saved = read(settings.folder)
    if saved is None:
        return f"{settings.folder} holds no checkpoint: the training starts from the beginning"
    if saved.model.seed != seed:
        raise ValueError(f"the checkpoint in {settings.folder} was made with --seed {saved.model.seed}, not {seed}")
    done, reason = len(saved.arrays.get("history.loss", ())), saved.progress["stop_reason"]
    if reason not in RESUMABLE or done >= settings.epochs:
        more = "" if reason not in RESUMABLE else "; to train longer, give more --epochs"
        return f"the training in {settings.folder} is complete after {done} epochs{more}"
    return f"the training in {settings.folder} continues after epoch {done}"


def scaler_of_targets(task: Task, net: Network) -> StandardScaler | None:
    """Return the scaler of the targets; None for labels, and for outputs of a bounded range."""
    if task.classifies or net.activation[-1] != "identity":
        return None
    return StandardScaler().fit(task.y)


def fit(
    net: Network, task: Task, settings: Settings, target_scaler: StandardScaler | None, comm: Any = None
) -> History:
    """Train, evaluating on the held-out examples after every epoch."""

    def targets(y: NDArray) -> NDArray:
        return y if target_scaler is None else target_scaler.transform(y)

    return net.fit(
        task.prepared(task.X),
        targets(task.y),
        epochs=settings.epochs,
        batch_size=settings.batch_size if comm is None else max(1, settings.batch_size // comm.Get_size()),
        learning_rate=settings.rate,
        comm=comm,
        validation_data=(task.prepared(task.X_held), targets(task.y_held)),
        progress=sys.stderr is not None and sys.stderr.isatty(),
        n_threads=settings.n_threads,
        checkpoint=settings.folder,
        resume=settings.resume,
    )


def give_outputs_the_units_of(net: Network, target_scaler: StandardScaler) -> None:
    """Fold the inverse scaling of the targets into the last layer, which is linear: w s, and b s + mean."""
    state = target_scaler.state()
    mean, std = np.array(state["mean"]), np.array(state["std"])
    net.weights[-1][...] = net.weights[-1] * std[:, np.newaxis]
    net.biases[-1][...] = net.biases[-1] * std + mean
