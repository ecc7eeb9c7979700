"""How the command reads tables: options, names of columns, and what it says of a file."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..tables.columns import Column, missing_rows
from ..tables.encoder import TableEncoder, describe_problem, has_own_names
from ..tables.kinds import ColumnKind
from ..tables.reading import Table, read_table

MOST_WARNINGS, MOST_SHOWN = 10, 100


def reading_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says of how a file is read."""
    names = ("header", "separator", "decimal", "encoding", "missing")
    return {name: getattr(arguments, name) for name in names}


def tell_reading(table: Table, tell: Callable[[str], None]) -> None:
    """Say how a file was understood and what is damaged in it."""
    if table.notes:
        tell(f"{Path(table.path).name}: {'; '.join(table.notes)}")
    for warning in table.warnings:
        tell(f"warning: {table.path}: {warning}")
    fields: dict[tuple[str, str], list[int]] = {}
    for damage in table.damaged:
        fields.setdefault((damage.column, damage.text), []).append(damage.line)
    for (column, text), lines in list(fields.items())[:MOST_WARNINGS]:
        more = f" and {len(lines) - 3:,} more" if len(lines) > 3 else ""
        where = f"line{'s' * (len(lines) > 1)} {', '.join(map(str, lines[:3]))}{more}"
        tell(
            f"warning: column {column!r}, {where}: {text!r:.60} is not a number; taken as a missing value (correct "
            "it, or give --categorical if the column holds categories)"
        )
    if len(fields) > MOST_WARNINGS:
        tell(f"warning: {len(fields) - MOST_WARNINGS:,} more texts among numbers are taken as missing values")


def tell_surprises(table: Table, tell: Callable[[str], None]) -> None:
    """Say what is damaged in a file, and of how it was understood only what may surprise."""
    notes = tuple(note for note in table.notes if "missing value" in note or "also named" in note)
    tell_reading(replace(table, notes=notes), tell)


def resolve_names(given: Iterable[str], names: Sequence[str], option: str) -> list[str]:
    """Return the columns that an option names: a whole name, an index, or several names with commas between.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    found: list[str] = []
    for text in given:
        parts = [text] if text in names or text.strip() in names else [part.strip() for part in text.split(",")]
        for part in parts:
            found.append(resolve_name(part, names, option))
    return list(dict.fromkeys(found))


def resolve_name(text: str, names: Sequence[str], option: str) -> str:
    """Return the column that a text names or, if it is none's name and a whole number, counts."""
    for name in (text, text.strip()):
        if name in names:
            return name
    if text.strip().lstrip("-").isdecimal() and -len(names) <= int(text) < len(names):
        return names[int(text)]
    near = difflib.get_close_matches(text, names, 3, 0.6)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    listed = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
    raise ValueError(f"{option}: no column {text!r}{hint}; the table has {listed}")


class ColumnUse(NamedTuple):
    """What a column of a table is taken for."""

    name: str
    kind: str
    inputs: int  # of the network; 0: the column is left out
    missing: int  # rows without a value
    reason: str


def uses_of(
    columns: Mapping[str, Column], kinds: Mapping[str, ColumnKind], encoder: TableEncoder
) -> tuple[ColumnUse, ...]:
    """Return what each column is taken for."""
    inputs = {column.name: len(column.feature_names) for column in encoder.columns}
    return tuple(
        ColumnUse(name, kind.kind, inputs.get(name, 0), int(missing_rows(columns[name]).sum()), kind.reason)
        for name, kind in kinds.items()
    )


def tell_columns(uses: Sequence[ColumnUse], tell: Callable[[str], None]) -> None:
    """Show what each column is taken for, as one table."""
    width = min(max(len(use.name) for use in uses), 40)
    tell(f"{'column':{width}}  {'kind':10}  {'inputs':>8}  {'missing':>8}  why")
    for name, kind, inputs, missing, reason in uses[:MOST_SHOWN]:
        used = f"{inputs:,}" if inputs else "left out"
        tell(f"{name:{width}}  {kind:10}  {used:>8}  {missing or '':>8}  {reason}")
    if len(uses) > MOST_SHOWN:
        tell(f"... and {len(uses) - MOST_SHOWN:,} more columns")


def read_rows(path: str, encoder: TableEncoder, arguments: argparse.Namespace, *, targets: bool = False) -> Table:
    """Read a file of rows for a model: its columns by their names, as the training's file had them."""
    options = reading_options(arguments)
    options["missing"] = encoder.missing | set(options["missing"])
    as_texts = encoder.text_columns | (set(encoder.targets) if targets else set())
    known = encoder.file_columns if has_own_names(encoder.column_names) else ()
    return read_table(path, as_texts=as_texts, known_names=known, keep_empty=True, **options)


def tell_problems(table: Table, problems: Sequence[Any], tell: Callable[[str], None]) -> None:
    """Say which fields of new rows are damaged or were not seen in training."""
    lines = None if table.lines is None else table.lines.tolist()
    for problem in problems[:MOST_WARNINGS]:
        tell(f"warning: {describe_problem(problem, lines)}")
    if len(problems) > MOST_WARNINGS:
        tell(f"warning: {len(problems) - MOST_WARNINGS:,} more texts are unknown")
