"""`fastnn predict`: a model's answers for the rows of a file, as CSV."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import FileFormatError
from ..plots import brightest
from ..table_model import TableModel, load_model
from ..tables.columns import Column, default_name
from ..tables.encoder import has_own_names
from ..tables.reading import Table
from ..tables.targets import ClassTarget
from .table_reading import read_rows, resolve_name, tell_problems, tell_surprises

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit code."""
    model = load_model(arguments.model)
    _, _, values = read_inputs(model, arguments.file, arguments)
    outputs = model.network.predict(model.encoder.encode(values, model.network.dtype))
    if arguments.output is None:
        write_answers(sys.stdout, model, outputs)
    else:
        with open(arguments.output, "w", newline="", encoding="utf-8") as file:
            write_answers(file, model, outputs)
    return 0


def read_inputs(
    model: TableModel, path: str, arguments: argparse.Namespace, *, targets: bool = False
) -> tuple[Table, dict[str, Column], NDArray[np.float64]]:
    """Read the rows of a file for a model, and say on stderr what surprises in them.

    Parameters
    ----------
    model : TableModel
    path : str
    arguments : Namespace
        How the file is read, and which column is the target.
    targets : bool, default False
        Whether what is to be learned is read, too, where the file has it.

    Returns
    -------
    Table
        The whole file.
    dict
        Its columns that the model takes.
    ndarray of float64, (n, n_columns)
        As `TableEncoder.raw` returns them.
    """
    table = read_rows(path, model.encoder, arguments, targets=targets)
    tell_surprises(table, _say)
    columns = without_target(model, table, arguments.target)
    try:
        values, problems = model.encoder.raw(columns)
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path}: {error}") from None
    tell_problems(table, problems, _say)
    return table, columns, values


def _say(text: str) -> None:
    print(f"fastnn: {text}", file=sys.stderr)


def without_target(model: TableModel, table: Table, option: str | None) -> dict[str, Column]:
    """Return the columns that the model may take: all but the target, where columns go by their order.

    The target is the one named; that of the training, where the file has as many columns; or the last column, where the
    model does not know its training's table and the file has one column too many.
    """
    columns = {name: column for name, column in table.columns.items() if name not in table.targets}
    if option is not None:
        left_out = resolve_name(option, list(columns), "--target")
        columns = {name: column for name, column in columns.items() if name != left_out}
        n = len(model.encoder.columns)
        if len(columns) == n and not (has_own_names(columns) and has_own_names(model.encoder.column_names)):
            return dict(zip(model.encoder.column_names, columns.values(), strict=True))
        return columns
    wanted = model.encoder.column_names
    n, counted = len(wanted), wanted == tuple(map(default_name, range(len(wanted))))
    if model.encoder.targets or (set(wanted) <= set(columns) and not counted) or len(columns) <= n:
        return columns
    if len(columns) > n + 1 or (has_own_names(wanted) and has_own_names(columns)):
        return columns if has_own_names(wanted) else _refuse(model, table)
    _say(f"{table.path}: left out {list(columns)[-1]!r}, the last column, as a target")
    return dict(list(columns.items())[:n])


def _refuse(model: TableModel, table: Table) -> dict[str, Column]:
    raise FileFormatError(
        f"{table.path}: the model takes {len(model.encoder.columns)} columns, the table has {len(table.columns)} "
        "beside any target; give the columns of the model in their order, with or without a target (named with "
        "--target)"
    )


def write_answers(file: TextIO, model: TableModel, outputs: NDArray[Any]) -> None:
    """Write class and confidence of each row, or its values."""
    csv.writer(file, lineterminator="\n").writerows(_rows(model, outputs))


def _rows(model: TableModel, outputs: NDArray[Any]) -> Iterable[list[Any]]:
    if isinstance(model.target, ClassTarget):
        labels, confidence = brightest(outputs)
        names = model.target.class_names
        yield ["class", "confidence"]
        for label, sure in zip(labels, confidence, strict=True):
            yield [names[label], f"{sure:.6g}"]
        return
    values = model.target.values(outputs)
    exact = values if model.encoder.targets else outputs  # of a plain network: as it gives them, to the last bit
    n = exact.shape[1]
    if model.target.levels:
        yield list(model.target.output_names)
    else:
        yield ["prediction"] if n == 1 else [f"prediction {number + 1}" for number in range(n)]
    for row in exact:
        yield [str(value) for value in row]
