"""`fastnn predict`: a model's predictions for the rows of a file, as CSV."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError
from ..network import Network, load
from ..plots import brightest
from ..tables.reading import Table, read_table
from .results import model_file
from .tasks import has_own_names


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit code."""
    net = load(model_file(arguments.model))
    X = read_inputs(net, arguments.file, arguments.target, arguments.header)
    outputs = net.predict(X if net.scaler is None else net.scaler.transform(X))
    if arguments.output is None:
        write_answers(sys.stdout, net, outputs)
    else:
        with open(arguments.output, "w", newline="", encoding="utf-8") as file:
            write_answers(file, net, outputs)
    return 0


def read_inputs(net: Network, path: str, target: str | int | None, header: Any) -> NDArray[np.float64]:
    """Return the columns of a file that a model takes, matched by name if possible, else by order.

    Columns without names are called "column 1", "column 2", ..., which matches them in a file of the same layout.

    Raises
    ------
    OSError
        If the file cannot be read.
    FileFormatError
        If it is damaged, lacks columns, or has so many that the right ones are unclear.
    """
    names = net.column_names
    if names is None:
        return _by_order(net, path, target, header).X
    try:
        return read_table(path, target=False, header=header, columns=names).X
    except FileFormatError as by_name:
        try:
            table = _by_order(net, path, target, header)
        except FileFormatError:
            raise by_name from None
        other_names = has_own_names(names) and has_own_names(table.column_names)
        if other_names or {*names} <= {*table.column_names, table.target_name}:
            raise
        return table.X


def _by_order(net: Network, path: str, target: str | int | None, header: Any) -> Table:
    """Return all columns except the target: the column named, or the last one if there is one too many."""
    n_inputs = net.sizes[0]
    for left_out in (False, None) if target is None else (target,):
        try:
            table = read_table(path, target=left_out, header=header)
        except FileFormatError:
            if left_out is not False:
                raise
            continue  # text in the last column must be a target: the next round leaves it out
        if table.X.shape[1] == n_inputs:
            if target is None and left_out is None:
                print(f"fastnn: {path}: left out {table.target_name!r}, the last column, as a target", file=sys.stderr)
            return table
        width = table.X.shape[1]
        if width < n_inputs:
            break
    raise FileFormatError(
        f"{path}: the model takes {n_inputs} columns, the file has {width} beside any target; "
        "give a file of the model's columns, with or without a target (named with --target)"
    )


def write_answers(file: TextIO, net: Network, outputs: NDArray) -> None:
    """Write class and confidence of each row, or the values."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows(_rows(net, outputs))


def _rows(net: Network, outputs: NDArray) -> Iterable[list[Any]]:
    if net.class_names is None and net.loss_name == "squared_error":
        n_outputs = outputs.shape[1]
        yield ["prediction"] if n_outputs == 1 else [f"prediction {number + 1}" for number in range(n_outputs)]
        for row in outputs:
            yield [str(value) for value in row]
        return
    labels, confidence = brightest(outputs)
    names = net.class_names or [str(label) for label in range(max(2, outputs.shape[1]))]
    yield ["class", "confidence"]
    for label, sure in zip(labels, confidence, strict=True):
        yield [names[label], f"{sure:.6g}"]
