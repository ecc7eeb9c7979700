"""What the report says: data, scores, curves, importance, calibration or residuals, mistakes, how to go on."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import calibration, inspection, plots
from ...history import History
from ...network import Network
from ...table_model import TableModel
from ...tables.columns import as_texts, take
from ...tables.encoded import CategoryColumn
from ...tables.quantiles import pinball_losses
from ...tables.targets import ClassTarget, QuantityTarget
from ..tasks import TableParts, Task
from .page import Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

MOST_ROWS_MEASURED = 2_000
"""Held-out rows on which importance is measured."""

MOST_COLUMNS_MEASURED = 200
"""Columns of a table beyond which importance is left out: each costs some predictions of all rows."""

MOST_LISTED = 200
WORST, COLUMNS_OF_WORST = 10, 8


@dataclass(frozen=True)
class Training:
    """What a training left.

    Attributes
    ----------
    model : Network or TableModel
        As it is saved.
    task : Task
    history : History
    outputs : ndarray
        Of the network, for the rows held out.
    scores : dict
        As `fastnn.cli.results.report` returned them.
    folder : Path
        Where the model is.
    """

    model: Network | TableModel
    task: Task
    history: History
    outputs: NDArray[Any]
    scores: dict[str, Any]
    folder: Path

    @property
    def network(self) -> Network:
        """The network."""
        return self.model.network if isinstance(self.model, TableModel) else self.model


def make_sections(training: Training) -> list[Section]:
    """Return the sections; without matplotlib they have no figures, and one says so."""
    importance = _importance(training)
    sections = [_scores(training), _network(training)]
    if training.task.table is not None:
        sections.append(_columns(training.task.table))
    sections.append(_curves(training))
    if importance is not None:
        figures = _drawn("Importance of the columns", lambda: plots.importance(importance))
        metric = {"r2": "R2", "quantile_loss": "the quantile loss"}.get(importance.metric, importance.metric)
        text = f"How much worse {metric} gets when the values of one column are exchanged among rows."
        sections.append(Section("What the answers depend on", [text], figures=figures))
    sections += _answers(training, None if importance is None else importance.mean)
    sections.append(_commands(training))
    if not any(section.figures for section in sections):
        sections[0].text.append("This report has no pictures: they need matplotlib, pip install fastnn[plot].")
    return sections


def _drawn(words: str, draw: Callable[[], Figure]) -> dict[str, Figure]:
    """Return a figure under its description; nothing without matplotlib."""
    try:
        return {words: draw()}
    except ImportError:
        return {}


def _scores(training: Training) -> Section:
    task, scores = training.task, training.scores
    section = Section("Scores on the rows held out", [f"{len(task.X_held):,} rows that the training never saw."])
    if task.classifies:
        names = {"accuracy": "this network", "most frequent class": "always the most frequent class"}
        section.table = [["", "right"], *([names.get(name, name), f"{value:.2%}"] for name, value in scores.items())]
        return section
    learned = None if training.task.table is None else training.task.table.target
    if isinstance(learned, QuantityTarget) and learned.levels:
        (found,) = scores.values()
        losses = {name: score["pinball_loss"] for name, score in found.items() if "pinball_loss" in score}
        section.table = [["", "mean quantile loss"]]
        section.table += [[{"network": "this network"}.get(name, name), f"{loss:.4g}"] for name, loss in losses.items()]
        return section
    section.table = [["", "target", "root mean squared error", "R2"]]
    names = {"network": "this network", "mean": "always the mean"}
    for target, found in scores.items():
        for model, score in found.items():
            error = f"{score['root_mean_squared_error']:.4g}"
            section.table.append([names.get(model, model), target, error, f"{score['r2']:.4f}"])
    return section


def _network(training: Training) -> Section:
    net, history = training.network, training.history
    layers = "-".join(map(str, net.sizes))
    text = (
        f"{layers} ({', '.join(net.activation)}), loss {net.loss_name}, {net.n_parameters:,} parameters, "
        f"{len(training.task.X):,} rows to learn from; {history.epochs:,} epochs in {history.seconds:.1f} s, "
        f"seed {net.seed}."
    )
    section = Section("The network", [text])
    info = training.model.info if isinstance(training.model, TableModel) else {}
    if info:
        section.text.append(f"Data: {info['data']}, {info['date']}, fastnn {info['fastnn']}.")
    return section


def _columns(table: TableParts) -> Section:
    learned = ", ".join(table.target.names)
    section = Section("What the columns were taken for", [f"Learned: {learned}."])
    section.table = [["column", "kind", "inputs", "missing", "values", "why"]]
    ranges = table.info["ranges"]
    levels = {column.name: column.levels for column in table.encoder.columns if isinstance(column, CategoryColumn)}
    for use in table.uses[:MOST_LISTED]:
        values = ""
        if use.name in ranges and use.kind == "quantity":
            values = "{:.6g} to {:.6g}".format(*ranges[use.name])
        elif use.name in levels:
            known = levels[use.name]
            values = ", ".join(known[:5]) + (f", ... ({len(known):,})" if len(known) > 5 else "")
        inputs = f"{use.inputs:,}" if use.inputs else "left out"
        section.table.append([use.name, use.kind, inputs, f"{use.missing:,}", values, use.reason])
    if len(table.uses) > MOST_LISTED:
        section.text.append(f"The first {MOST_LISTED} of {len(table.uses):,} columns:")
    return section


def _curves(training: Training) -> Section:
    section = Section("How it learned")
    if training.history.epochs:
        label = f"loss ({training.network.loss_name})"
        section.figures = _drawn(
            "Loss over the epochs", lambda: plots.learning_curves(training.history, loss_label=label)
        )
    else:
        section.text.append("Not for a whole epoch.")
    return section


def _importance(training: Training) -> inspection.Importance | None:
    """Return how much the answers depend on each column of a table."""
    table, model = training.task.table, training.model
    if table is None or training.task.image_shape or not isinstance(model, TableModel):
        return None
    if len(table.encoder.columns) > MOST_COLUMNS_MEASURED or len(training.task.X_held) < 2:
        return None
    n_rows = len(training.task.X_held)
    rows = np.random.default_rng(0).permutation(n_rows)[:MOST_ROWS_MEASURED]
    held = {name: take(column, rows) for name, column in table.held.items()}
    target = table.target
    if isinstance(target, QuantityTarget) and target.levels:
        truth = target.in_units(training.task.y_held[rows])

        def quantile_loss(y: NDArray[Any], answers: NDArray[Any]) -> float:
            return -float(pinball_losses(y, answers, target.levels).mean())

        return inspection.permutation_importance(model, held, truth, metric=quantile_loss, n_repeats=3)
    return inspection.permutation_importance(model, held, target.values(training.task.y_held[rows]), n_repeats=3)


def _answers(training: Training, importance: NDArray[np.float64] | None) -> list[Section]:
    if training.task.classifies:
        return _classes(training, importance)
    assert training.task.table is not None
    assert isinstance(training.task.table.target, QuantityTarget)
    if training.task.table.target.levels:
        return [_quantiles(training, training.task.table.target)]
    return _quantities(training, training.task.table, training.task.table.target, importance)


def _classes(training: Training, importance: NDArray[np.float64] | None) -> list[Section]:
    task, net, outputs = training.task, training.network, training.outputs
    names = task.class_names
    assert names is not None
    predicted, confidence = plots.brightest(outputs)
    confusion = _drawn("Confusion matrix", lambda: plots.confusion_matrix(task.y_held, predicted, names))
    sections = [Section("Which classes are taken for which", figures=confusion)]
    if net.activation[-1] == "softmax" or net.loss_name == "binary_cross_entropy":
        found = calibration.reliability(outputs, task.y_held)
        text = (
            f"Among answers of the same confidence, how many are right; expected calibration error "
            f"{found.expected_calibration_error:.4f}."
        )
        drawn = _drawn("Fraction of right answers by confidence", lambda: plots.reliability(found))
        sections.append(Section("How far to trust the confidence", [text], figures=drawn))
    wrong = np.flatnonzero(predicted != task.y_held)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST]
    mistakes = Section("The worst mistakes", [] if len(worst) else ["No row that was held out is answered wrongly."])
    if len(worst) and task.table is not None and not task.image_shape:
        said = [[names[task.y_held[r]], names[predicted[r]], f"{confidence[r]:.1%}"] for r in worst]
        mistakes.table = _listed(task.table, worst, ["is", "taken for", "confidence"], said, importance)
    elif len(worst):
        mistakes.figures = _drawn(
            "The most confident mistakes",
            lambda: plots.worst_mistakes(task.X_held, task.y_held, outputs, task.image_shape, class_names=names),
        )
    return [*sections, mistakes]


def _quantities(
    training: Training, table: TableParts, target: QuantityTarget, importance: NDArray[np.float64] | None
) -> list[Section]:
    truth, predicted = target.values(training.task.y_held), target.values(training.outputs)
    sections = []
    for number, name in enumerate(target.names):
        real, answer = truth[:, number], predicted[:, number]
        drawn = _drawn(f"Predicted and real {name}", partial(plots.residuals, real, answer, name=name))
        sections.append(Section(f"Answers and errors: {name}", figures=drawn))
        worst = np.argsort(-np.abs(answer - real), kind="stable")[:WORST]
        said = [[f"{real[r]:.6g}", f"{answer[r]:.6g}", f"{answer[r] - real[r]:.4g}"] for r in worst]
        listed = _listed(table, worst, ["is", "predicted", "error"], said, importance)
        sections.append(Section(f"The worst mistakes: {name}", table=listed))
    return sections


def _quantiles(training: Training, target: QuantityTarget) -> Section:
    """Return how many rows lie below each quantile, and a picture of the one next to the middle."""
    truth, values = target.in_units(training.task.y_held), target.values(training.outputs)
    below, losses = (truth < values).mean(axis=0), pinball_losses(truth, values, target.levels)
    middle = int(np.argmin(np.abs(np.array(target.levels) - 0.5)))
    name = target.output_names[middle]
    drawn = partial(plots.residuals, truth[:, 0], values[:, middle], name=name)
    figures = _drawn(f"Predicted {name} and real {target.names[0]}", drawn)
    section = Section("How many rows lie below each quantile", figures=figures)
    rows = zip(target.output_names, target.levels, below, losses, strict=True)
    section.table = [["quantile", "wanted", "rows below", "mean loss"]]
    section.table += [[name, f"{level:.1%}", f"{share:.1%}", f"{loss:.4g}"] for name, level, share, loss in rows]
    return section


def _listed(
    table: TableParts,
    rows: NDArray[Any],
    names: list[str],
    said: list[list[str]],
    importance: NDArray[np.float64] | None,
) -> list[list[str]]:
    """Return rows of the file, behind what is said of each; the columns that matter most come first."""
    columns = table.encoder.column_names
    order = range(len(columns)) if importance is None else np.argsort(-importance, kind="stable").tolist()
    shown = [columns[number] for number in order[:COLUMNS_OF_WORST]]
    texts = {name: as_texts(table.held[name]) for name in shown}
    fields = [[texts[name].text_at(int(row)) for name in shown] for row in rows]
    return [[*names, *shown], *([*words, *values] for words, values in zip(said, fields, strict=True))]


def _commands(training: Training) -> Section:
    folder, path = shlex.quote(str(training.folder)), str(training.folder / "model.safetensors")
    lines = [f"fastnn show {folder}"]
    if training.task.table is not None:
        name = "new.csv"
        lines = [f"fastnn predict {folder} {name}", *lines, "", "import fastnn", f"model = fastnn.load_model({path!r})"]
        if isinstance(training.task.table.target, ClassTarget):
            lines.append("model.predict(rows), model.predict_proba(rows)")
        else:
            lines.append("model.predict(rows)")
    else:
        lines += ["", "import fastnn", f"net = fastnn.load({path!r})", "net.predict(X)"]
    return Section("How to use it", code="\n".join(lines))
