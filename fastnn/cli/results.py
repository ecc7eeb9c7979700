"""The results of a training: a summary on the terminal, the model, the history and figures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import plots
from ..history import History, monitor_sign
from ..io.model_file import NAME
from ..network import Network
from ..table_model import TableModel
from ..tables.encoded import QuantityColumn
from ..tables.quantiles import pinball_losses
from ..tables.targets import QuantityTarget
from .baselines import linear_outputs
from .tasks import TableParts, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

MOST_IN_FIGURES = 200
"""Inputs beyond which a table of mistakes cannot be read."""


def report(net: Network, task: Task, history: History, outputs: NDArray[Any]) -> dict[str, Any]:
    """Print how well the network does on the held-out examples, beside simpler models; return the scores."""
    more = " and a part of the next" if history.stop_reason == "interrupted" else ""
    plural = "s" * (history.n_threads > 1)
    print(
        f"{history.epochs} epochs{more} in {history.seconds:.2f} s, "
        f"{history.examples_per_second:,.0f} examples per second on {history.n_threads} thread{plural}"
    )
    target = None if task.table is None else task.table.target
    if isinstance(target, QuantityTarget) and target.levels:
        return _report_quantiles(task, target, history, outputs)
    linear = None if target is None else linear_outputs(task)
    if task.classifies:
        return _report_classes(task, history, outputs, linear)
    assert isinstance(target, QuantityTarget)
    return _report_quantities(task, target, history, outputs, linear)


def _report_classes(task: Task, history: History, outputs: NDArray[Any], linear: NDArray[Any] | None) -> dict[str, Any]:
    def accuracy(labels: NDArray[Any]) -> float:
        return float((labels == task.y_held).mean())

    right = int((plots.brightest(outputs)[0] == task.y_held).sum())
    scores = {"accuracy": right / len(outputs)}
    beside = ""
    if task.table is not None and task.class_names is not None:
        frequent = int(np.bincount(task.y).argmax())
        scores["most frequent class"] = accuracy(np.full(len(task.y_held), frequent))
        beside = f"; always {task.class_names[frequent]}: {scores['most frequent class']:.2%}"
        if linear is not None:
            scores["linear model"] = accuracy(plots.brightest(linear)[0])
            beside += f", a linear model: {scores['linear model']:.2%}"
    print(f"held-out accuracy {right / len(outputs):.2%} ({right:,} of {len(outputs):,}){beside}{_best(task, history)}")
    return scores


def _best(task: Task, history: History) -> str:
    """Return the best epoch in words: of a table the one that is kept; else by accuracy."""
    if not history.epochs:
        return ""
    if task.table is not None:
        if not task.has_validation:
            return ""
        monitor, last = task.recipe.monitor, task.recipe.patience is None
        values = monitor_sign(monitor) * np.array(history[monitor])
        epoch = len(values) - int(np.argmin(values[::-1])) if last else int(np.argmin(values)) + 1
        return f"; epoch {epoch} was the best on the validation rows"
    best = int(np.argmax(history["val_accuracy"]))
    return f"; best epoch {best + 1}: {history['val_accuracy'][best]:.2%}"


def _report_quantities(
    task: Task, target: QuantityTarget, history: History, outputs: NDArray[Any], linear: NDArray[Any] | None
) -> dict[str, Any]:
    truth = target.values(task.y_held)
    models = {
        "network": target.values(outputs),
        "mean": np.broadcast_to(target.values(task.y).mean(axis=0), truth.shape),
    }
    if linear is not None:
        models["linear model"] = target.values(linear)
    scores: dict[str, Any] = {}
    for i, name in enumerate(target.names):
        found = {}
        for model, values in models.items():
            squared = float(np.square(values[:, i] - truth[:, i]).mean())
            spread = float(np.square(truth[:, i] - truth[:, i].mean()).mean())
            found[model] = {"root_mean_squared_error": squared**0.5, "r2": 1 - squared / spread if spread else 0.0}
        words = [f"{model}: {_error(found[model])}" for model in models if model != "network"]
        print(
            f"held-out error of {name}: root mean squared {_error(found['network'])}; {', '.join(words)}"
            f"{_best(task, history)}"
        )
        scores[name] = found
    return scores


def _report_quantiles(task: Task, target: QuantityTarget, history: History, outputs: NDArray[Any]) -> dict[str, Any]:
    """Print the mean quantile loss beside that of the training rows' quantiles, and how many rows lie below each."""
    truth, values = target.in_units(task.y_held), target.values(outputs)
    constant = np.quantile(target.in_units(task.y), target.levels)[np.newaxis]
    losses = {
        name: {"pinball_loss": float(pinball_losses(truth, found, target.levels).mean())}
        for name, found in (("network", values), ("quantiles of the training rows", constant))
    }
    below = dict(zip(target.output_names, (truth < values).mean(axis=0).tolist(), strict=True))
    loss, base = (found["pinball_loss"] for found in losses.values())
    print(
        f"held-out quantile loss of {target.names[0]}: {loss:.4g}; quantiles of the training rows: {base:.4g}"
        f"{_best(task, history)}"
    )
    print("held-out rows below " + ", ".join(f"{name}: {share:.1%}" for name, share in below.items()))
    return {target.names[0]: {**losses, "rows below": below}}


def _error(score: dict[str, float]) -> str:
    return f"{score['root_mean_squared_error']:.4g} (R2 {score['r2']:.4f})"


def finished_model(net: Network, task: Task, options: Any, scores: dict[str, Any]) -> Network | TableModel:
    """Return what is saved: of a table the model with its preprocessing and provenance."""
    if task.table is None:
        return net
    info = {**task.table.info, "scores": scores, "seed": options.seed}
    return TableModel(net, task.table.encoder, task.table.target, info)


def write_results(
    folder: Path, model: Network | TableModel, task: Task, history: History, outputs: NDArray[Any]
) -> list[str]:
    """Write the model, the history and, if matplotlib is installed, the figures; return the names of the files."""
    model.save(folder / NAME)
    history.to_csv(folder / "history.csv")
    written = [NAME, "history.csv"]
    try:
        figures = make_figures(model, task, history, outputs)
    except ImportError as error:
        print(f"fastnn: no pictures: {error}", file=sys.stderr)
        return written
    for name, figure in figures.items():
        figure.savefig(folder / name)
    return written + list(figures)


def make_figures(model: Network | TableModel, task: Task, history: History, outputs: NDArray[Any]) -> dict[str, Figure]:
    """Return the figures that suit the task, by file name."""
    net = model.network if isinstance(model, TableModel) else model
    names = None if task.table is None or task.image_shape else task.table.encoder.feature_names
    figures = {}
    if history.epochs:
        scaled = "" if task.classifies or net.activation[-1] != "identity" else ", target standardised"
        figures["curves.png"] = plots.learning_curves(history, loss_label=f"loss ({net.loss_name}{scaled})")
    figures["first_layer.png"] = plots.first_layer(net, task.image_shape, column_names=names)
    if task.classifies:
        predicted, _ = plots.brightest(outputs)
        figures["confusion.png"] = plots.confusion_matrix(task.y_held, predicted, task.class_names)
        if names is None or len(names) <= MOST_IN_FIGURES:
            figures["mistakes.png"] = plots.worst_mistakes(
                task.X_held,
                task.y_held,
                outputs,
                task.image_shape,
                class_names=task.class_names,
                column_names=names,
            )
    if isinstance(model, TableModel) and task.table is not None and _is_curve(task.table):
        figures["fit.png"] = _fitted_curve(model, task.table)
    return figures


def _is_curve(table: TableParts) -> bool:
    columns = table.encoder.columns
    return (
        isinstance(table.target, QuantityTarget)
        and len(columns) == len(table.target.output_names) == 1
        and _is_plain(columns[0])
    )


def _is_plain(column: Any) -> bool:
    return isinstance(column, QuantityColumn) and not column.indicator


def _fitted_curve(model: TableModel, table: TableParts) -> Figure:
    """Draw the learned function over the rows held out."""
    assert isinstance(table.target, QuantityTarget)
    values, _ = table.encoder.raw(table.held)
    inputs, targets = values[:, 0], table.target.numbers(table.held)[:, 0]
    known = ~np.isnan(inputs)
    return plots.fitted_curve(
        model.network,
        inputs[known],
        targets[known],
        input_name=table.encoder.column_names[0],
        output_name=table.target.names[0],
        predict=model.predict,
    )
