"""`fastnn info`: a description of a model file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..io.checkpoint_file import holds_training
from ..network import Network, load
from .results import model_file

MAX_NAMES = 12


def run(arguments: argparse.Namespace) -> int:
    """Describe the model file; return the exit code."""
    path = model_file(arguments.model)
    print("\n".join([*describe(load(path)), f"{'optimizer':9} {describe_optimizer(path)}"]))
    return 0


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
    lines.append(f"{'in all':32}{net.n_parameters:>12,}")
    scale = "as they are" if net.input_scale == 1 else f"multiplied by {net.input_scale:.6g}"
    scaled = "" if net.scaler is None else f", after {net.scaler!r}"
    properties = {
        "loss": net.loss_name,
        "numbers": net.dtype.name,
        "trained": f"{net.epochs_trained:,} epochs, seed {net.seed}",
        "inputs": scale + scaled,
        "columns": _listed(net.column_names),
        "classes": _listed(net.class_names),
    }
    return lines + [f"{name:8}  {text}" for name, text in properties.items()]


def _listed(names: Sequence[Any] | None) -> str:
    if names is None:
        return "not named"
    more = f", ... ({len(names):,} in all)" if len(names) > MAX_NAMES else ""
    return ", ".join(map(str, names[:MAX_NAMES])) + more
