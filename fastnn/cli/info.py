"""`fastnn info`: a description of a model file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..io.checkpoint_file import holds_training
from ..io.model_file import in_folder
from ..network import Network
from ..table_model import TableModel, load_model
from ..tables.encoded import CategoryColumn, DateColumn
from ..tables.targets import ClassTarget

MAX_NAMES = 12


def run(arguments: argparse.Namespace) -> int:
    """Describe the model file; return the exit code."""
    path = in_folder(arguments.model)
    print("\n".join([*describe_model(load_model(path)), f"{'optimizer':9} {describe_optimizer(path)}"]))
    return 0


def describe_model(model: TableModel) -> list[str]:
    """Return a description of a model in lines: its network, its columns, and where it comes from."""
    lines = describe(model.network)
    if not model.encoder.targets:
        names = {"columns": model.encoder.column_names, "classes": model.classes}
        return lines + [f"{key:8}  {_listed(found)}" for key, found in names.items()]
    answers = model.classes if isinstance(model.target, ClassTarget) else model.target.levels
    of_what = "quantiles " if model.classes is None else ""
    lines.append(
        f"{'target':8}  {', '.join(model.target.names)}" + (f": {of_what}{_listed(answers)}" if answers else "")
    )
    lines += ["", f"{'column':30}  {'kind':10}  encoding"]
    for column in model.encoder.columns:
        limits = model.ranges.get(column.name)
        known = f", from {limits[0]:.6g} to {limits[1]:.6g} in training" if limits else ""
        lines.append(f"{column.name:30}  {column.kind:10}  {_encoding(column)}{known}")
    lines += [f"{name:30}  {'left out':10}  {why}" for name, why in model.encoder.left_out.items()]
    return [*lines, "", *_flat({key: value for key, value in model.info.items() if key != "ranges"})]


def _encoding(column: Any) -> str:
    if isinstance(column, CategoryColumn) and column.embedded:
        return f"the code of {column.n_categories} categories: {_listed(column.levels)}" + ", others" * column.rare
    if isinstance(column, CategoryColumn):
        return f"{len(column.feature_names)} inputs: {_listed(column.levels)}" + ", others" * column.rare
    if isinstance(column, DateColumn):
        return f"{len(column.feature_names)} inputs: {', '.join(column.parts)}"
    clipped = ", softly clipped" if column.clip else ""
    missing = ", and whether it is missing" if column.indicator else ""
    return f"(x - {column.centre:.6g}) * {column.scale:.6g}{clipped}{missing}"


def _flat(info: dict[str, Any], before: str = "") -> list[str]:
    """Return nested data as lines of a key and a value."""
    lines = []
    for key, value in info.items():
        if isinstance(value, dict):
            lines += _flat(value, f"{before}{key} ")
        else:
            text = f"{value:.6g}" if isinstance(value, float) else _listed(value) if isinstance(value, list) else value
            lines.append(f"{before}{key}: {text}")
    return lines


def describe_optimizer(path: str) -> str:
    """Return what a file means for further training: a checkpoint continues it, a model starts it anew."""
    if holds_training(path):
        return "its state is in this checkpoint, which fit(checkpoint=..., resume=True) or --resume continues"
    return "its state is not in a model file: fit starts it anew"


def describe(net: Network) -> list[str]:
    """Return a description of the network in lines."""
    lines = [f"{'layer':8}{'neurons':>10}  {'activation':12}{'parameters':>12}"]
    lines.append(f"{'input':8}{net.sizes[0]:>10,}")
    for number, (weight, activation) in enumerate(zip(net.weights, net.activation, strict=True), start=1):
        n_out, n_in = weight.shape
        name = "output" if number == len(net.weights) else f"hidden {number}"
        lines.append(f"{name:8}{n_out:>10,}  {activation:12}{n_out * (n_in + 1):>12,}")
    of_embeddings = sum(part.size for part in (*net.embedding_parameters.values(), *net.category_vectors.values()))
    if of_embeddings:
        embedded = {*(net.embedding.inputs or () if net.embedding else ()), *net.category_vectors}
        lines.insert(2, f"{'embedded':8}{len(embedded):>10,}  {'':12}{of_embeddings:>12,}")
    lines.append(f"{'in all':32}{net.n_parameters:>12,}")
    scale = "as they are" if net.input_scale == 1 else f"multiplied by {net.input_scale:.6g}"
    properties = {
        "loss": net.loss_name,
        "numbers": net.dtype.name,
        "trained": f"{net.epochs_trained:,} epochs, seed {net.seed}",
        "inputs": scale,
    }
    return lines + [f"{name:8}  {text}" for name, text in properties.items()]


def _listed(names: Sequence[Any] | None) -> str:
    if names is None:
        return "not named"
    more = f", ... ({len(names):,} in all)" if len(names) > MAX_NAMES else ""
    return ", ".join(map(str, names[:MAX_NAMES])) + more
