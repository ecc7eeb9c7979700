"""`fastnn show`: a local page on which a model works; and the page of a training, for `fastnn train --show`."""

from __future__ import annotations

import argparse
import os
import sys
import time
import webbrowser
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets import load_digits, load_mnist
from ..datasets.collections import MNIST, data_folders, local_folder
from ..network import Network
from ..page import (
    Examples,
    ModelPage,
    PageServer,
    PictureInputs,
    TableData,
    TableInputs,
    TrainingWatcher,
    enlarged_digits,
)
from ..table_model import TableModel, load_model
from ..tables.encoded import QuantityColumn
from ..tables.encoder import has_own_names
from ..tables.reading import Table
from ..tables.targets import ClassTarget
from .notices import notice_of_compilation
from .predict import read_inputs
from .table_reading import resolve_name
from .tasks import DIGIT_NAMES, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST_IMAGE = 64
PATIENCE = 10.0
"""Seconds that a training waits for the browser, so that one sees it begin."""


def run(arguments: argparse.Namespace) -> int:
    """Run the command until Ctrl-C; return the exit code."""
    model = load_model(arguments.model)
    shape = _image_shape(model, arguments.image_shape)
    if shape is not None and not model.encoder.targets and model.network.sizes[-1] == len(DIGIT_NAMES):
        model = TableModel(model.network, model.encoder, ClassTarget("digit", DIGIT_NAMES))
    inputs: PictureInputs | TableInputs
    if arguments.data in ("digits", "mnist") or (arguments.data is None and shape in ((8, 8), (28, 28))):
        inputs = _digit_inputs(model, shape, arguments)
    else:
        data = None if arguments.data is None else _read_data(model, arguments)
        inputs = make_inputs(model, shape, data, arguments.ink)
    page = ModelPage(model, inputs, Path(arguments.model).resolve().name.removesuffix(".safetensors"))
    with notice_of_compilation():
        page.prepare()
    with PageServer(page) as server:
        open_page(server, browser=not arguments.no_browser)
        stay()
    return 0


def open_page(server: PageServer, *, browser: bool = True) -> None:
    """Print the address of the page, open it where there is a browser with windows, and wait until it is there."""
    print(f"the page is at {server.address} (Ctrl-C ends it)", flush=True)
    windows = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if not browser or not windows:
        return
    try:
        opened = webbrowser.open(server.new_ticket())
    except (OSError, webbrowser.Error):
        opened = False
    if opened:
        server.wait_for_visit(PATIENCE)
    else:
        print("fastnn: no browser could be opened; open the address in one", file=sys.stderr)


def stay() -> None:
    """Wait for Ctrl-C."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print("the page is closed")


@contextmanager
def watching(net: Network, task: Task, epochs: int) -> Iterator[TrainingWatcher]:
    """Serve the page of a training; the callback that it yields watches."""
    if task.table is None:
        model = TableModel.from_description(net.describe())
        data = TableData(np.asarray(task.X_held, np.float64), task.y_held)
    else:
        model = TableModel(net.copy(), task.table.encoder, task.table.target)
        values, _ = task.table.encoder.raw(task.table.held)
        target = task.table.target
        targets = task.y_held if isinstance(target, ClassTarget) else target.numbers(task.table.held)[:, 0]
        data = TableData(values, targets)
    watcher = TrainingWatcher(net.engine.spec.widths, epochs)
    inputs = make_inputs(model, task.image_shape if task.classifies else None, data)
    with PageServer(ModelPage(model, inputs, task.name, watcher)) as server:
        open_page(server)
        yield watcher


def make_inputs(
    model: TableModel, shape: tuple[int, int] | None, data: TableData | None, ink: float | None = None
) -> PictureInputs | TableInputs:
    """Return how the page's pictures, or its controls where there is no shape, become the inputs of a model."""
    if shape is None:
        return TableInputs(model, data)
    if data is None or data.targets is None:
        examples = Examples(np.empty((0, shape[0] * shape[1])), np.empty(0, np.int64))
    else:
        examples = Examples(data.values, data.targets)
    return PictureInputs(model, shape, ink or _full_ink(model, data), examples)


def _full_ink(model: TableModel, data: TableData | None) -> float:
    """Return the value of a pixel full of ink: of the data, or what the model scales to 1."""
    if data is not None and data.values.max(initial=0) > 0:
        return float(data.values.max())
    columns = [column for column in model.encoder.columns if isinstance(column, QuantityColumn) and column.scale > 0]
    scale = abs(model.network.input_scale)
    return max((column.centre + 1 / (column.scale * scale) for column in columns), default=1.0)


def _image_shape(model: TableModel, option: tuple[int, ...] | None) -> tuple[int, int] | None:
    """Return the height and width of the picture that a model takes; None if it takes none."""
    n = len(model.encoder.columns)
    if option is not None:
        if len(option) != 2 or option[0] * option[1] != n:
            raise ValueError(f"--image-shape must be a height and a width with {n} pixels, one for each column")
        return option[0], option[1]
    side = round(n**0.5)
    pixels = all(isinstance(column, QuantityColumn) for column in model.encoder.columns)
    classes = model.classes is not None or model.network.sizes[-1] == len(DIGIT_NAMES)
    if not pixels or not classes or has_own_names(model.encoder.column_names) or n < SMALLEST_IMAGE or side * side != n:
        return None
    return side, side


def _digit_inputs(model: TableModel, shape: tuple[int, int] | None, arguments: argparse.Namespace) -> PictureInputs:
    """Return the inputs of a model of digits, with those of a data set, or near it, to choose from."""
    wanted = {"digits": (8, 8), "mnist": (28, 28)}.get(arguments.data, shape)
    if shape != wanted or shape is None:
        n = len(model.encoder.columns)
        raise ValueError(f"{arguments.data} is for models of pictures of {wanted} pixels; {arguments.model} takes {n}")
    if shape == (8, 8):
        found, full = Examples(*load_digits()), 16
    elif arguments.data == "mnist" or local_folder(MNIST, data_folders("", MNIST.folder)) is not None:
        found, full = Examples(*load_mnist()[1]), 255
    else:
        found, full = enlarged_digits(), 255
    ink = arguments.ink or _full_ink(model, None)
    pixels = found.pixels if ink == full else found.pixels * (ink / full)
    return PictureInputs(model, shape, ink, Examples(pixels, found.labels))


def _read_data(model: TableModel, arguments: argparse.Namespace) -> TableData:
    """Return the rows of a file as the model takes them, with what is to be learned of them if it is there."""
    table, columns, values = read_inputs(model, arguments.data, arguments, targets=True)
    targets = _targets(model, table, arguments.target, columns)
    if targets is None:
        return TableData(values)
    known = np.isfinite(targets) & (targets >= 0 if model.classes is not None else True)
    return TableData(values[known], targets[known]) if known.any() else TableData(values)


def _targets(model: TableModel, table: Table, option: str | None, columns: Collection[str]) -> NDArray[Any] | None:
    """Return the index of each row's class, or its quantity; None if the file has no such column."""
    by_name = has_own_names(model.encoder.column_names)
    inputs = model.encoder.column_names if by_name else columns
    left_out = [] if by_name else [name for name in table.columns if name not in columns]
    candidates = [*table.targets, model.target.names[0], *left_out]
    free = [name for name in candidates if name in table.columns and name not in inputs]
    name = resolve_name(option, list(table.columns), "--target") if option is not None else next(iter(free), None)
    if name is None:
        return None
    if isinstance(model.target, ClassTarget):
        return replace(model.target, name=name).labels(table.columns)
    return replace(model.target, names=(name,)).numbers(table.columns)[:, 0]
