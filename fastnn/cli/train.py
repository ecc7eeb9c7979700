"""`fastnn train`: build a network for the data, train it, evaluate it on held-out examples, and write the results."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..calibration import calibrate, quantile_shifts, with_shifts
from ..calibration.probabilities import checked_network
from ..callbacks import Callback, EarlyStopping
from ..history import History
from ..io.checkpoint_file import read
from ..io.model_file import NAME
from ..losses import Quantile
from ..network import Network
from ..spec import LOSS_OUTPUT
from ..tables.targets import QuantityTarget
from ..tabular.recipe import fit_arguments, network_arguments
from ..tabular.start import fit_start
from ..training.loop import RESUMABLE
from ..warmup import warmup
from .notices import notice_of_compilation
from .report import Training, make_page, make_sections
from .results import finished_model, report, write_results
from .show import stay, watching
from .tasks import Recipe, Task, load_task

REPORT = "report.html"

CAUTIOUS_RATE = 0.1
"""Learning rate if the loss or the activation is not that of the recipe, whose rate does not apply then."""


@dataclass(frozen=True)
class Settings:
    """Settings of the training."""

    epochs: int
    batch_size: int
    rate: float
    n_threads: int | None
    folder: Path
    resume: bool
    recipe: Recipe


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
    if arguments.show and comm is not None:
        raise ValueError("--show: not for a training on several ranks; leave it out")
    task = load_task(arguments)
    net, settings = build(task, arguments)
    if arguments.calibrate:
        check_calibration(net, task)
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    prepare_kernels(net)
    print(f"{task.name}: {len(task.X):,} examples to train on, {len(task.X_held):,} held out")
    at_most = "at most " if task.has_validation and settings.recipe.patience else ""
    print(
        f"{'-'.join(map(str, net.sizes))} ({', '.join(net.activation)}; {net.loss_name}), {net.n_parameters:,} "
        f"parameters: {at_most}{settings.epochs} epochs, batches of {settings.batch_size}, rate {settings.rate:g}",
        flush=True,
    )
    if settings.resume:
        print(what_is_left(settings, net.seed), flush=True)
    elif (folder / NAME).exists():
        print(f"the model in {folder} will be replaced", flush=True)
    if not arguments.show:
        return fit_and_report(net, task, settings, arguments, comm)
    with watching(net, task, settings.epochs) as watcher:
        code = fit_and_report(net, task, settings, arguments, comm, [watcher])
        if not code:
            stay()
    return code


def fit_and_report(
    net: Network,
    task: Task,
    settings: Settings,
    arguments: argparse.Namespace,
    comm: Any,
    watchers: Sequence[Callback] = (),
) -> int:
    """Train, evaluate and write the results; return the exit code."""
    history = fit(net, task, settings, comm, watchers)
    if arguments.calibrate:
        net = calibrated(net, task)
    if comm is not None and comm.Get_rank() != 0:
        return 0
    outputs = net.predict(task.X_held)
    scores = report(net, task, history, outputs)
    model = finished_model(net, task, arguments, scores)
    written = write_results(settings.folder, model, task, history, outputs)
    written.append(write_report(Training(model, task, history, outputs, scores, settings.folder)))
    print(f"written to {settings.folder}: {', '.join(written)}", flush=True)
    if history.stop_reason == "interrupted":
        print("fastnn: interrupted; the training so far is saved, and --resume continues it", file=sys.stderr)
        return 130
    return 0


def check_calibration(net: Network, task: Task) -> None:
    """Raise ValueError if there is nothing to calibrate, or there are too few rows to calibrate it on."""
    target = _quantile_target(task)
    if not task.classifies and target is None:
        raise ValueError(
            "--calibrate: for classes, whose answers have a confidence, and for --quantiles; the target is a quantity"
        )
    if task.table is None or task.table.validation is None:
        raise ValueError("--calibrate: needs validation rows, which are held out of tables that are large enough")
    if target is None:
        checked_network(net)
        return
    if net.activation[-1] != "identity":
        raise ValueError(f"--calibrate: shifts quantiles of 'identity' outputs, got --activation {net.activation[-1]}")
    y = task.table.validation[1]
    try:
        quantile_shifts(y, y[:, 0], target.levels)
    except ValueError as error:
        raise ValueError(f"--calibrate: {error}") from None


def calibrated(net: Network, task: Task) -> Network:
    """Return a copy of the network whose confidence, or whose quantiles, fit the validation rows."""
    assert task.table is not None
    assert task.table.validation is not None
    X, y = task.table.validation
    target = _quantile_target(task)
    if target is not None:
        shifts = quantile_shifts(net.predict(X), y[:, 0], target.levels)
        pairs = zip(target.output_names, shifts * target.std, strict=True)
        print(f"calibrated on {len(X):,} validation rows: {', '.join(f'{name} {add:+.4g}' for name, add in pairs)}")
        return with_shifts(net, shifts)
    net, temperature = calibrate(net, X, y)
    print(f"calibrated on {len(X):,} validation rows: temperature {temperature:.3f}")
    return net


def _quantile_target(task: Task) -> QuantityTarget | None:
    """Return the target if quantiles of it are learned."""
    target = None if task.table is None else task.table.target
    return target if isinstance(target, QuantityTarget) and target.levels else None


def write_report(training: Training) -> str:
    """Write the report of a training beside its model; return the name of the file."""
    page = make_page(f"Training on {training.task.name}", make_sections(training))
    (training.folder / REPORT).write_text(page, "utf-8")
    return REPORT


def build(task: Task, arguments: argparse.Namespace) -> tuple[Network, Settings]:
    """Build the network from the options, with the recipe's settings for those left out."""
    recipe = task.recipe
    loss = arguments.loss or recipe.loss
    sizes = _sizes(task, arguments, loss)
    more = {}
    if recipe.tabular is not None and task.table is not None:
        encoder = task.table.encoder
        more = network_arguments(len(sizes) - 1, recipe.tabular, encoder.quantity_places, encoder.category_counts)
    net = Network(
        sizes,
        activation=_activation(task, arguments.activation, len(sizes) - 1, loss),
        loss=loss,
        seed=arguments.seed,
        input_scale=task.input_scale,
        precision=arguments.precision,
        **more,
    )
    if recipe.tabular is not None:
        fit_start(net, task.X, recipe.tabular)
    if task.table is None:
        net.class_names = task.class_names
    of_recipe = loss == recipe.loss and arguments.activation in (None, (recipe.activation,))
    settings = Settings(
        epochs=arguments.epochs or recipe.epochs,
        batch_size=arguments.batch_size or recipe.batch_size,
        rate=arguments.rate or (recipe.rate if of_recipe or recipe.optimizer != "sgd" else CAUTIOUS_RATE),
        n_threads=arguments.threads,
        folder=Path(arguments.output or Path("runs", task.name)),
        resume=arguments.resume,
        recipe=recipe,
    )
    return net, settings


def _sizes(task: Task, arguments: argparse.Namespace, loss: str | Quantile) -> tuple[int, ...]:
    n_inputs = task.X.shape[1]
    if task.class_names is None:
        possible: tuple[int, ...] = (len(task.target_names),)
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


def _activation(task: Task, option: Sequence[str] | None, n_layers: int, loss: str | Quantile) -> tuple[str, ...]:
    """Return a name for each layer: those of the option, or one for the hidden layers and the one of the loss."""
    if option is not None and (len(option) > 1 or n_layers == 1):
        return tuple(option)
    (hidden,) = option or (task.recipe.activation,)
    default = "sigmoid" if task.classifies else "identity"
    output = LOSS_OUTPUT.get(loss, default) if isinstance(loss, str) else default
    return (*[hidden] * (n_layers - 1), output)


def prepare_kernels(net: Network) -> None:
    """Compile or load the kernels before the training is timed; tell the user if that takes long."""
    with notice_of_compilation():
        warmup([net.dtype.name], progress=False)


def what_is_left(settings: Settings, seed: int) -> str:
    """Describe where a resumed training continues; ValueError where it was begun with another seed."""
    saved = read(settings.folder)
    if saved is None:
        return f"{settings.folder} holds no checkpoint: the training starts from the beginning"
    if saved.model.seed != seed:
        raise ValueError(f"the checkpoint in {settings.folder} was made with --seed {saved.model.seed}, not {seed}")
    done, reason = len(saved.arrays.get("history.loss", ())), saved.progress["stop_reason"]
    if reason not in RESUMABLE:
        return f"the training in {settings.folder} is complete after {done} epochs"
    if done >= settings.epochs:
        state = "was interrupted" if reason == "interrupted" else "is complete"
        return f"the training in {settings.folder} {state} after {done} epochs; to train longer, give more --epochs"
    return f"the training in {settings.folder} continues after epoch {done}"


def fit(net: Network, task: Task, settings: Settings, comm: Any = None, watchers: Sequence[Callback] = ()) -> History:
    """Train, evaluating after every epoch: on the validation rows of a table, or on the held-out examples."""
    validation = (task.X_held, task.y_held) if task.table is None else task.table.validation
    options = training_arguments(net, task, settings)
    options["callbacks"] += watchers  # last: they see the parameters that are kept
    if comm is not None:
        options |= {"batch_size": max(1, settings.batch_size // comm.Get_size()), "drop_last": False}
    return net.fit(
        task.X,
        task.y,
        **options,
        comm=comm,
        validation_data=validation,
        progress=sys.stderr is not None and sys.stderr.isatty(),
        n_threads=settings.n_threads,
        checkpoint=settings.folder,
        resume=settings.resume,
    )


def training_arguments(net: Network, task: Task, settings: Settings) -> dict[str, Any]:
    """Return the arguments of `fit` that say how to train."""
    recipe, epochs = settings.recipe, settings.epochs
    callbacks: list[Any] = []
    if task.has_validation and recipe.patience != 0:
        patience = epochs if recipe.patience is None else recipe.patience
        callbacks.append(EarlyStopping(recipe.monitor, patience, prefer_later=recipe.patience is None))
    if recipe.tabular is not None:
        chosen = replace(
            recipe.tabular, hidden=net.sizes[1:-1], activation=net.activation[0], loss=net.loss_name,
            rate=settings.rate, epochs=epochs, batch_size=settings.batch_size,
        )  # fmt: skip
        quantities = () if net.embedding is None else net.embedding.inputs or ()
        categories = {} if net.category_embedding is None else net.category_embedding.counts
        return fit_arguments(net.sizes, chosen, quantities, categories) | {"callbacks": callbacks}
    return {
        "epochs": epochs,
        "batch_size": settings.batch_size,
        "learning_rate": settings.rate,
        "optimizer": recipe.optimizer,
        "callbacks": callbacks,
    }
