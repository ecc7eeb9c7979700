"""A table as a task for `fastnn train`: read, understood, split, encoded, each step told in a line."""

from __future__ import annotations

import argparse
import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..errors import FileFormatError
from ..losses import Quantile
from ..spec import LOSS_OUTPUT
from ..tables.columns import Column, Texts, as_texts, missing_rows, take
from ..tables.encoder import TableEncoder, has_own_names
from ..tables.kinds import ColumnKind, Overrides, column_kinds
from ..tables.reading import Table, read_table
from ..tables.targets import ClassTarget, QuantityTarget, make_target
from ..tabular.recipe import variant_of
from .splits import Split, split_rows
from .table_reading import (
    ColumnUse,
    read_rows,
    reading_options,
    resolve_name,
    resolve_names,
    tell_columns,
    tell_reading,
    uses_of,
)
from .tasks import Recipe, TableParts, Task, recipe_for_table, variant_for_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST_IMAGE = 64
"""Columns without names that are a square number from 8 x 8 up are taken for an image."""


def load_table_task(arguments: argparse.Namespace, tell: Callable[[str], None]) -> Task:
    """Return the task of a table's file."""
    table = read_table(arguments.data, as_texts=_as_texts(arguments), **reading_options(arguments))
    tell_reading(table, tell)
    targets = _targets(table, arguments.target)
    columns = _without_missing_targets(table, targets, tell)
    n_rows = len(next(iter(columns.values())))
    kinds = _kinds(columns, targets, arguments)
    target = _make_target(table.path, columns, targets, arguments.task, arguments.quantiles)
    labels = target.labels(columns) if isinstance(target, ClassTarget) else None
    share = 0.0 if arguments.test else arguments.held_out
    split = split_rows(labels, n_rows, share, arguments.seed, _split_column(columns, arguments.split_by))
    if isinstance(target, QuantityTarget):
        target = _standardised(target, columns, split.train, _outputs_are_linear(arguments))
    image_shape = _image_shape(columns, kinds, arguments.image_shape, table)
    kinds = kinds if image_shape is None else {name: ColumnKind("quantity", "a pixel") for name in kinds}
    variant = variant_of(None, arguments.precision, len(split.train))
    of_variant = variant_for_table(variant, classes=isinstance(target, ClassTarget))
    try:
        encoder = TableEncoder.fit(
            columns, targets=targets, rows=split.train, kinds=kinds, missing=frozenset(arguments.missing),
            scale_indicators=image_shape is None, one_hot_limit=of_variant.one_hot_limit,
        )  # fmt: skip
    except ValueError as error:
        raise FileFormatError(f"{table.path}: {error}") from None
    uses = uses_of(columns, kinds, encoder)
    tell_columns(uses, tell)
    tell(_said_of_target(target))
    return _task(arguments, table, columns, encoder, target, split, image_shape, uses, tell)


def _task(
    arguments: argparse.Namespace,
    table: Table,
    columns: dict[str, Column],
    encoder: TableEncoder,
    target: ClassTarget | QuantityTarget,
    split: Split,
    image_shape: tuple[int, int] | None,
    uses: tuple[ColumnUse, ...],
    tell: Callable[[str], None],
) -> Task:
    inputs, y = _examples(encoder, target, columns)
    recipe = _recipe(arguments, target, encoder, len(split.train), images=image_shape is not None)
    if isinstance(target, QuantityTarget) and _outputs_are_linear(arguments):
        target = _clipped(target, recipe, columns, split.train)
    if arguments.test:
        held = _test_columns(arguments, encoder, target, tell)
        X_held, y_held = _examples(encoder, target, held)
    else:
        held = {name: take(column, split.held) for name, column in columns.items()}
        X_held, y_held = inputs[split.held], y[split.held]
        tell(split.said)
    validation = (inputs[split.validation], y[split.validation]) if len(split.validation) else None
    info = {
        "fastnn": __version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "data": Path(table.path).name,
        "sha256": table.digest,
        "ranges": _ranges(encoder, columns, split.train),
        "rows": {"training": len(split.train), "validation": len(split.validation), "held out": len(X_held)},
        "options": _options(arguments),
        "reading": list(table.notes),
    }
    return Task(
        name=_name(table.path),
        X=inputs[split.train],
        y=y[split.train],
        X_held=X_held,
        y_held=y_held,
        recipe=recipe,
        class_names=target.class_names if isinstance(target, ClassTarget) else None,
        target_names=target.names if isinstance(target, ClassTarget) else target.output_names,
        image_shape=image_shape,
        table=TableParts(encoder, target, held, validation, info, uses),
    )


def _recipe(
    arguments: argparse.Namespace,
    target: ClassTarget | QuantityTarget,
    encoder: TableEncoder,
    n_rows: int,
    *,
    images: bool,
) -> Recipe:
    """Return the settings for the table; of quantiles with their loss."""
    classes, variant = isinstance(target, ClassTarget), variant_of(None, arguments.precision, n_rows)
    n_quantities = None if encoder.category_counts else len(encoder.feature_names)
    recipe = recipe_for_table(n_rows, n_quantities, classes=classes, images=images, variant=variant)
    if isinstance(target, QuantityTarget) and target.levels:
        return replace(recipe, loss=Quantile(target.levels))
    return recipe


def _clipped(
    target: QuantityTarget, recipe: Recipe, columns: Mapping[str, Column], rows: NDArray[Any]
) -> QuantityTarget:
    """Return the target whose answers are clipped to the range of the training rows, if the recipe clips them."""
    if recipe.tabular is None or "clipping" not in recipe.tabular.pieces:
        return target
    numbers = target.numbers(columns)[rows]
    return replace(target, limits=np.array([numbers.min(axis=0), numbers.max(axis=0)]))


def _ranges(encoder: TableEncoder, columns: Mapping[str, Column], rows: NDArray[Any]) -> dict[str, list[float]]:
    """Return the smallest and the largest number of each column of the training rows that holds quantities or dates."""
    numeric = [column for column in encoder.columns if column.kind != "category"]
    values = {column.name: column.raw(take(columns[column.name], rows))[0] for column in numeric}
    known = {name: numbers[~np.isnan(numbers)] for name, numbers in values.items()}
    return {name: [float(found.min()), float(found.max())] for name, found in known.items() if len(found)}


def _name(path: str) -> str:
    name = Path(path).name
    for ending in (".gz", ".bz2", ".xz", ".zip", ".zst", ".tar"):
        name = name.removesuffix(ending)
    return name.rsplit(".", 1)[0] or "table"


def _as_texts(arguments: argparse.Namespace) -> set[str]:
    given = [*arguments.categorical, *arguments.date]
    return {part.strip() for name in given for part in (name, *name.split(","))}


def _targets(table: Table, given: str | None) -> tuple[str, ...]:
    names = list(table.columns)
    if given is None:
        if table.targets:
            return table.targets
        if table.kind == "npz":
            raise FileFormatError(
                f"{table.path}: no array named y to learn; save it with numpy.savez(path, X=..., y=...), or name a "
                "column with --target"
            )
        if len(names) < 2:
            raise FileFormatError(f"{table.path}: no column is left beside the target {names[0]!r}")
        return (names[-1],)
    return (resolve_name(given, names, "--target"),)


def _without_missing_targets(table: Table, targets: Sequence[str], tell: Callable[[str], None]) -> dict[str, Column]:
    """Return the columns without the rows that lack the target; refuse a target in which texts stand among numbers."""
    for damage in table.damaged:
        if damage.column in targets:
            raise FileFormatError(
                f"{table.path}, line {damage.line}, column {damage.column!r}: {damage.text!r:.60} is not a number, and "
                "the column is the target; correct it, remove the row, or give --missing with this text"
            )
    lacking = np.zeros(table.n_rows, bool)
    for name in targets:
        lacking |= missing_rows(table.columns[name])
    if lacking.all():
        raise FileFormatError(f"{table.path}: the target {targets[0]!r} has no values")
    if not lacking.any():
        return table.columns
    line = table.line_of(int(np.flatnonzero(lacking)[0]))
    tell(f"{int(lacking.sum()):,} rows without a value of {targets[0]!r} left out, the first in line {line}")
    kept = np.flatnonzero(~lacking)
    return {name: take(column, kept) for name, column in table.columns.items()}


def _kinds(
    columns: Mapping[str, Column], targets: Sequence[str], arguments: argparse.Namespace
) -> dict[str, ColumnKind]:
    names = list(columns)
    given = {
        option: frozenset(resolve_names(getattr(arguments, option), names, f"--{option}"))
        for option in ("categorical", "numeric", "date", "drop")
    }
    for option, chosen in given.items():
        if chosen & set(targets):
            raise ValueError(f"--{option} names {sorted(chosen & set(targets))[0]!r}, which is the target")
    wanted = resolve_names(arguments.columns, names, "--columns")
    if set(wanted) & set(targets):
        raise ValueError(f"--columns names {targets[0]!r}, which is the target; name another with --target")
    kinds = column_kinds(columns, targets, Overrides(**given))
    if wanted:
        listed = set(wanted)
        left = {name: ColumnKind("dropped", "not in --columns") for name in kinds if name not in listed}
        kinds = {name: kinds[name] for name in wanted} | left
    if arguments.split_by is not None:
        name = resolve_name(arguments.split_by, names, "--split-by")
        if isinstance(columns[name], Texts) and kinds[name].kind != "date":
            kinds[name] = ColumnKind("split", "its groups are held out")
    return kinds


def _split_column(columns: Mapping[str, Column], given: str | None) -> tuple[str, Column] | None:
    if given is None:
        return None
    name = resolve_name(given, list(columns), "--split-by")
    return name, columns[name]


def _make_target(
    path: str, columns: Mapping[str, Column], targets: Sequence[str], task: Any, levels: tuple[float, ...] | None
) -> ClassTarget | QuantityTarget:
    """Return the target; errors name the file and the options of the command line."""
    try:
        return _with_levels(make_target(columns, targets, None, task), levels)
    except ValueError as error:
        text = re.sub(r"task='(\w+)'", r"--task \1", str(error))
        text = text.replace("name another column", "name another column with --target")
        raise FileFormatError(f"{path}: {text}") from None


def _with_levels(
    target: ClassTarget | QuantityTarget, levels: tuple[float, ...] | None
) -> ClassTarget | QuantityTarget:
    """Return the target as one of which quantiles are learned, if levels are given."""
    if levels is None:
        return target
    if isinstance(target, ClassTarget):
        raise ValueError(
            f"--quantiles: the target {target.name!r} is taken for classes, because it holds {target.reason}; if it is "
            "a quantity, add task='regression'"
        )
    if len(target.names) > 1:
        raise ValueError(f"--quantiles: for one target column, got {len(target.names)}; choose one with --target")
    return replace(target, levels=levels)


def _standardised(
    target: QuantityTarget, columns: Mapping[str, Column], rows: NDArray[Any], linear: bool
) -> QuantityTarget:
    """Return the target with mean and deviation of the training rows; as it is where outputs are bounded."""
    n = len(target.names)
    if not linear:
        return replace(target, mean=np.zeros(n), std=np.ones(n))
    numbers = target.numbers(columns)[rows]
    std = numbers.std(axis=0)
    return replace(target, mean=numbers.mean(axis=0), std=np.where(std > 0, std, 1.0))


def _outputs_are_linear(arguments: argparse.Namespace) -> bool:
    """Tell whether the network's outputs are free to be standardised quantities."""
    given = arguments.activation
    last = given[-1] if given and (len(given) > 1 or arguments.hidden == ()) else "identity"
    return LOSS_OUTPUT.get(arguments.loss, last) == "identity"


def _said_of_target(target: ClassTarget | QuantityTarget) -> str:
    if isinstance(target, ClassTarget):
        names = ", ".join(target.class_names[:6]) + (", ..." if len(target.classes) > 6 else "")
        other = "" if target.reason == "texts" else "; --task regression learns it as a quantity"
        return (
            f"target {target.name!r}: {len(target.classes)} classes ({names}), because it holds {target.reason}{other}"
        )
    if target.levels:
        return f"target {target.names[0]!r}: the quantiles {', '.join(map(repr, target.levels))} of a quantity"
    listed = ", ".join(map(repr, target.names))
    other = "; --task classification learns it as classes" if len(target.names) == 1 else ""
    return f"target {listed}: a quantity{other}" if len(target.names) == 1 else f"targets {listed}: quantities"


def _examples(
    encoder: TableEncoder, target: ClassTarget | QuantityTarget, columns: Mapping[str, Column]
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    values, _ = encoder.raw(columns)
    inputs = encoder.encode(values)
    if isinstance(target, ClassTarget):
        return inputs, target.labels(columns)
    return inputs, target.standardised(target.numbers(columns))


def _test_columns(
    arguments: argparse.Namespace,
    encoder: TableEncoder,
    target: ClassTarget | QuantityTarget,
    tell: Callable[[str], None],
) -> dict[str, Column]:
    """Return the columns of the file of --test that the model knows, without rows that lack the target."""
    table = read_rows(arguments.test, encoder, arguments, targets=isinstance(target, ClassTarget))
    tell_reading(table, tell)
    columns = table.columns
    by_order = not (table.has_names and has_own_names(encoder.file_columns))
    if by_order and not set(target.names) <= set(columns) and len(columns) == len(encoder.file_columns):
        columns = dict(zip(encoder.file_columns, columns.values(), strict=True))
    lacking = [name for name in target.names if name not in columns]
    if lacking:
        raise FileFormatError(
            f"{table.path}: no column {lacking[0]!r}, the target, by which the rows could be evaluated"
        )
    if isinstance(target, ClassTarget):
        labels = target.labels(columns)
        if (labels == -2).any():
            row = int(np.flatnonzero(labels == -2)[0])
            text = as_texts(columns[target.name]).text_at(row)
            raise FileFormatError(
                f"{table.path}, line {table.line_of(row)}, column {target.name!r}: {text!r:.60} is no class of the "
                f"training: {', '.join(target.class_names[:10])}"
            )
        kept = np.flatnonzero(labels >= 0)
    else:
        kept = np.flatnonzero(np.isfinite(target.numbers(columns)).all(axis=1))
    if not len(kept):
        raise FileFormatError(f"{table.path}: no row has a value of the target {target.names[0]!r}")
    tell(f"evaluated on {len(kept):,} rows of {arguments.test}")
    chosen = encoder.resolve(columns) | {name: columns[name] for name in target.names}
    return {name: take(column, kept) for name, column in chosen.items()}


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given, as plain data."""
    left_out = {"command", "data", "output", "threads", "resume", "show"}
    given = {name: value for name, value in vars(arguments).items() if name not in left_out}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value not in (None, [])
    }


def _image_shape(
    columns: Mapping[str, Column],
    kinds: Mapping[str, ColumnKind],
    option: tuple[int, ...] | None,
    table: Table,
) -> tuple[int, int] | None:
    """Return what a row is a picture of; None if it is none."""
    n = sum(kind.kind != "dropped" for kind in kinds.values())
    if option is not None:
        if len(option) != 2 or option[0] * option[1] != n:
            raise ValueError(f"--image-shape must be a height and a width with {n} pixels, one for each column")
        return option[0], option[1]
    pixels = [columns[name] for name in kinds]
    side = round(n**0.5)
    if table.has_names or len(kinds) != n or n < SMALLEST_IMAGE or side * side != n:
        return None
    if any(isinstance(column, Texts) or column.dtype.kind == "M" or missing_rows(column).any() for column in pixels):
        return None
    return side, side
