"""The results of a training: a summary on the terminal, the model, the history and figures."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .. import plots
from ..history import History
from ..network import Network
from ..preprocessing import StandardScaler
from .tasks import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MODEL = "model.safetensors"


def model_file(path: str) -> str:
    """Return the model in a folder that `fastnn train` wrote; return any other path unchanged."""
    inside = os.path.join(path, MODEL)
    return inside if os.path.isfile(inside) else path


def report(task: Task, history: History, outputs: NDArray, target_scaler: StandardScaler | None) -> None:
    """Print how well the network does on the held-out examples, and how fast it was trained."""
    more = " and a part of the next" if history.stop_reason == "interrupted" else ""
    plural = "s" * (history.n_threads > 1)
    print(
        f"{history.epochs} epochs{more} in {history.seconds:.2f} s, "
        f"{history.examples_per_second:,.0f} examples per second on {history.n_threads} thread{plural}"
    )
    if task.classifies:
        right = int((plots.brightest(outputs)[0] == task.y_held).sum())
        print(f"held-out accuracy {right / len(outputs):.2%} ({right:,} of {len(outputs):,}){_best_accuracy(history)}")
        return
    squared = np.square(outputs.astype(np.float64) - task.y_held).mean(axis=0)
    spread = task.y_held.std(axis=0)
    for name, mean_squared, deviation in zip(task.target_names, squared, spread, strict=True):
        print(
            f"held-out error of {name}: root mean squared {np.sqrt(mean_squared):.4g}, mean squared "
            f"{mean_squared:.4g} (the standard deviation of {name} is {deviation:.4g})"
        )
    if history.epochs:
        print(f"best epoch {_best_error(history, target_scaler)}")


def _best_accuracy(history: History) -> str:
    if not history.get("val_accuracy"):
        return ""
    best = int(np.argmax(history["val_accuracy"]))
    return f"; best epoch {best + 1}: {history['val_accuracy'][best]:.2%}"


def _best_error(history: History, target_scaler: StandardScaler | None) -> str:
    losses = history["val_loss"]
    best = int(np.argmin(losses))
    if target_scaler is None:
        return f"{best + 1}: loss {losses[best]:.4g}"
    deviations = target_scaler.state()["std"]
    if len(deviations) > 1:
        return f"{best + 1}: loss {losses[best]:.4g} on the standardised targets"
    return f"{best + 1}: root mean squared {np.sqrt(losses[best]) * deviations[0]:.4g}"


def write_results(folder: Path, net: Network, task: Task, history: History, outputs: NDArray) -> list[str]:
    """Write the model, the history and, if matplotlib is installed, the figures; return the names of the files."""
    net.save(folder / MODEL)
    history.to_csv(folder / "history.csv")
    written = [MODEL, "history.csv"]
    try:
        figures = make_figures(net, task, history, outputs)
    except ImportError as error:
        print(f"fastnn: no pictures: {error}", file=sys.stderr)
        return written
    for name, figure in figures.items():
        figure.savefig(folder / name)
    return written + list(figures)


def make_figures(net: Network, task: Task, history: History, outputs: NDArray) -> dict[str, Figure]:
    """Return the figures that suit the task, by file name."""
    figures = {}
    if history.epochs:
        scaled = "" if task.classifies or net.activation[-1] != "identity" else ", target standardised"
        figures["curves.png"] = plots.learning_curves(history, loss_label=f"loss ({net.loss_name}{scaled})")
    figures["first_layer.png"] = plots.first_layer(net, task.image_shape)
    if task.classifies:
        predicted, _ = plots.brightest(outputs)
        figures["confusion.png"] = plots.confusion_matrix(task.y_held, predicted, task.class_names)
        figures["mistakes.png"] = plots.worst_mistakes(
            task.X_held,
            task.y_held,
            outputs,
            task.image_shape,
            class_names=task.class_names,
            column_names=task.column_names,
        )
    if (net.sizes[0], net.sizes[-1]) == (1, 1):
        X, y = np.concatenate([task.X, task.X_held]), np.concatenate([task.y, task.y_held])
        figures["fit.png"] = plots.fitted_curve(
            net, X, y, input_name=(task.column_names or ("input",))[0], output_name=task.target_names[0]
        )
    return figures
