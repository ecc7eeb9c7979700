"""Write a network with the preprocessing of its table as one C99 file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..io.files import write_bytes
from ..io.model_file import SavedModel
from ..tables.encoded import YEAR, CategoryColumn, DateColumn, EncodedColumn, QuantityColumn
from ..tables.encoder import TableEncoder
from ..tables.quantiles import ranks
from ..tables.targets import ClassTarget, QuantityTarget
from .c_source import c_string, check_identifier, identifier_of, source

__all__ = ["table_source", "write"]

MOST_LISTED = 40
"""Values of a category that a comment lists; the array of them is whole."""

HELPERS = {
    "quantity": """
static {number} {name}_quantity(double x, double centre, double scale, double offset, int clip) {{
    double z;
    if (x != x) return ({number})offset;
    z = (x - centre) * scale;
    if (clip) {{
        z = z > 1e100 ? 1e100 : (z < -1e100 ? -1e100 : z);
        z /= sqrt(1.0 + (z / 3.0) * (z / 3.0));
    }}
    return ({number})(z + offset);
}}
""",
    "category": """
/* 1 at the place of a category's code, or at `other` for a code not listed, or at `missing` for NAN; none if -1 */
static void {name}_category(double x, {number} *z, int n_levels, int n, int other, int missing) {{
    int j, at;
    for (j = 0; j < n; j++) z[j] = 0;
    at = x != x ? missing : (x >= 0.0 && x < (double)n_levels ? (int)x : other);
    if (at >= 0) z[at] = 1;
}}
""",
    "turn": """
/* sine and cosine of the part of a turn */
static void {name}_turn(double t, {number} *z) {{
    const double angle = 6.283185307179586 * (t - floor(t));
    z[0] = ({number})sin(angle);
    z[1] = ({number})cos(angle);
}}
""",
}


def write(
    path: str | os.PathLike[str],
    model: SavedModel,
    encoder: TableEncoder,
    target: ClassTarget | QuantityTarget,
    name: str | None = None,
) -> None:
    """Write the file; `TableModel.to_c` documents it."""
    prefix = identifier_of(Path(path).stem) if name is None else check_identifier(name)
    write_bytes(path, table_source(model, encoder, target, prefix).encode())


def table_source(model: SavedModel, encoder: TableEncoder, target: ClassTarget | QuantityTarget, name: str) -> str:
    """Return the text of the file, whose functions' names begin with `name`."""
    number = "float" if model.spec.dtype == "float32" else "double"
    network = source(replace(model, table=None), f"{name}_network")
    encode = _encode(encoder, number, name)
    used = [text for helper, text in HELPERS.items() if f"{name}_{helper}(" in encode]
    parts = [_head(encoder, target, name), network, *[text.format(number=number, name=name) for text in used], encode]
    parts.append(_predict(model, target, number, name))
    return "".join(parts)


def _head(encoder: TableEncoder, target: ClassTarget | QuantityTarget, name: str) -> str:
    upper = name.upper()
    outputs = target.class_names if isinstance(target, ClassTarget) else target.output_names
    what = "the probabilities of the classes" if isinstance(target, ClassTarget) else "the quantities"
    lines = [
        f"/* {name}_predict takes the columns of a table, one number each, NAN where a value is missing:",
        *[f"   inputs[{i}]: {_comment(_about(column))}" for i, column in enumerate(encoder.columns)],
        f"   Its outputs are {what} {_comment(', '.join(outputs[:MOST_LISTED]))}. */",
        "",
        f"#define {upper}_COLUMNS {len(encoder.columns)}",
        f"#define {upper}_ANSWERS {len(outputs)}",
        f"void {name}_predict(const double *inputs, double *outputs);",
    ]
    lines += _strings(f"{name}_columns", encoder.column_names)
    if isinstance(target, ClassTarget):
        lines += [f"int {name}_classify(const double *inputs);", *_strings(f"{name}_class_names", target.class_names)]
    for position, column in enumerate(encoder.columns):
        if isinstance(column, CategoryColumn) and column.levels:
            lines += _strings(f"{name}_levels_{position}", column.levels)
    return "\n".join([*lines, "", ""])


def _strings(name: str, texts: Sequence[str]) -> list[str]:
    listed = ", ".join(map(c_string, texts))
    return [
        f"extern const char *const {name}[{len(texts)}];",
        f"const char *const {name}[{len(texts)}] = {{{listed}}};",
    ]


def _about(column: EncodedColumn) -> str:
    if isinstance(column, CategoryColumn):
        listed = ", ".join(f"{code} {level}" for code, level in enumerate(column.levels[:MOST_LISTED]))
        return f"{column.name}: code of {listed}{', ...' if len(column.levels) > MOST_LISTED else ''}; any other, -1"
    return f"{column.name}: " + ("days since 1970-01-01" if isinstance(column, DateColumn) else "number")


def _comment(text: str) -> str:
    """Return a text that no comment ends in."""
    return " ".join(text.split()).replace("*/", "* /").replace("/*", "/ *").replace("\\", "/").replace("??", "? ?")


def _literal(number: float) -> str:
    text = f"{number:.17g}"
    return text if "." in text or "e" in text else text + ".0"


def _encode(encoder: TableEncoder, number: str, name: str) -> str:
    columns, indicators = encoder.columns, encoder.indicators
    lines = [f"\nstatic void {name}_encode(const double *x, {number} *z) {{"]
    if any(isinstance(column, DateColumn) for column in columns):
        lines.append("    int j;")
    at = 0
    for position, column in enumerate(columns):
        x = f"x[{position}]"
        if isinstance(column, QuantityColumn):
            arguments = ", ".join(map(_literal, (column.centre, column.scale, column.offset)))
            lines.append(f"    z[{at}] = {name}_quantity({x}, {arguments}, {int(column.clip)});")
            if column.indicator:
                lines.append(f"    z[{at + 1}] = {x} != {x} ? 1 : 0;")
        elif isinstance(column, CategoryColumn):
            lines += _category(column, x, at, number, name)
        else:
            lines += _date(column, x, at, number, name)
        at += len(column.feature_names)
    for place, *constants in zip(indicators.places, indicators.centre, indicators.scale, strict=True):
        scaling = ", ".join(map(_literal, constants))
        lines.append(f"    z[{place}] = {name}_quantity(z[{place}], {scaling}, 0.0, 1);")
    return "\n".join([*lines, "}", ""])


def _category(column: CategoryColumn, x: str, at: int, number: str, name: str) -> list[str]:
    if column.is_binary:
        return [f"    z[{at}] = {x} >= 0.0 && {x} < 2.0 ? ({number})({x} < 1.0 ? -1 : 1) : 0;"]
    n = len(column.feature_names)
    if not n:
        return []
    if column.embedded:
        known = f"{x} >= 0.0 && {x} < {len(column.levels)}.0 ? floor({x}) : {_literal(column.code_of_others)}"
        return [f"    z[{at}] = ({number})({x} != {x} ? {_literal(column.code_of_missing)} : ({known}));"]
    other = len(column.levels) if column.rare else -1
    missing = n - 1 if column.missing else -1
    return [f"    {name}_category({x}, z + {at}, {len(column.levels)}, {n}, {other}, {missing});"]


def _date(column: DateColumn, x: str, at: int, number: str, name: str) -> list[str]:
    n = len(column.feature_names) - column.indicator
    lines = [f"    for (j = 0; j < {n + column.indicator}; j++) z[{at} + j] = 0;"]
    body, place = [], at
    for part in column.parts:
        if part == "elapsed":
            body.append(f"z[{place}] = ({number})(({x} - {_literal(column.centre)}) * {_literal(column.scale)});")
            place += 1
        elif part == "week":
            day = f"floor({x}) + 3.0"
            body.append(f"z[{place} + (int)({day} - 7.0 * floor(({day}) / 7.0))] = 1;")
            place += 7
        else:
            turns = f"{x} / {_literal(YEAR)}" if part == "year" else x
            body.append(f"{name}_turn({turns}, z + {place});")
            place += 2
    lines += [f"    if ({x} == {x}) {{", *[f"        {line}" for line in body], "    }"] if body else []
    return lines + [f"    z[{place}] = {x} != {x} ? 1 : 0;"] * column.indicator


def _predict(model: SavedModel, target: ClassTarget | QuantityTarget, number: str, name: str) -> str:
    n_in, n_out = model.spec.sizes[0], model.spec.sizes[-1]
    lines = [
        f"void {name}_predict(const double *inputs, double *outputs) {{",
        f"    {number} z[{n_in}], a[{n_out}];",
        *["    int j;"] * (n_out > 1 and isinstance(target, ClassTarget)),
        *([f"    double value, sorted[{n_out}];", "    int i, j;"] if _has_levels(target) else []),
        *["    double total = 0.0;"] * _needs_total(model, target),
        f"    {name}_encode(inputs, z);",
        f"    {name}_network_predict(z, a);",
    ]
    loop = f"    for (j = 0; j < {n_out}; j++)"
    if isinstance(target, QuantityTarget) and target.levels:
        lines += _sorted_quantiles(target)
    elif isinstance(target, QuantityTarget):
        pairs = zip(target.std.tolist(), target.mean.tolist(), strict=True)
        lines += [f"    outputs[{i}] = a[{i}] * {_literal(s)} + {_literal(m)};" for i, (s, m) in enumerate(pairs)]
        lines += [line for i in range(n_out) for line in _clipped(f"outputs[{i}]", target, i)]
    elif n_out == 1:
        lines += ["    outputs[0] = 1 - a[0];", "    outputs[1] = a[0];"]
    elif _needs_total(model, target):
        lines += [f"{loop} total += a[j] > 0 ? a[j] : 0;"]
        lines += [f"{loop} outputs[j] = total > 0.0 ? (a[j] > 0 ? a[j] : 0) / total : 1.0 / {n_out};"]
    else:
        lines += [f"{loop} outputs[j] = a[j];"]
    lines += ["}", ""]
    if isinstance(target, ClassTarget):
        n = len(target.classes)
        lines += [
            f"int {name}_classify(const double *inputs) {{",
            f"    double outputs[{n}];",
            "    int best = 0, j;",
            f"    {name}_predict(inputs, outputs);",
            f"    for (j = 1; j < {n}; j++) best = outputs[j] > outputs[best] ? j : best;",
            "    return best;",
            "}",
            "",
        ]
    return "\n" + "\n".join(lines)


def _has_levels(target: ClassTarget | QuantityTarget) -> bool:
    return isinstance(target, QuantityTarget) and bool(target.levels)


def _clipped(variable: str, target: QuantityTarget, column: int) -> list[str]:
    """Return lines that clip a variable to the limits of a column, if there are some."""
    if target.limits is None:
        return []
    low, high = map(_literal, target.limits[:, column])
    return [f"    if ({variable} < {low}) {variable} = {low};", f"    if ({variable} > {high}) {variable} = {high};"]


def _sorted_quantiles(target: QuantityTarget) -> list[str]:
    """Return lines that sort the row's values by insertion, and give each level the one of its rank."""
    scale, shift = _literal(float(target.std[0])), _literal(float(target.mean[0]))
    return [
        f"    for (j = 0; j < {len(target.levels)}; j++) {{",
        f"        value = a[j] * {scale} + {shift};",
        *(f"    {line}" for line in _clipped("value", target, 0)),
        "        for (i = j; i > 0 && sorted[i - 1] > value; i--) sorted[i] = sorted[i - 1];",
        "        sorted[i] = value;",
        "    }",
        *[f"    outputs[{i}] = sorted[{rank}];" for i, rank in enumerate(ranks(target.levels))],
    ]


def _needs_total(model: SavedModel, target: ClassTarget | QuantityTarget) -> bool:
    """Tell whether outputs must be divided by their sum to be probabilities."""
    several = isinstance(target, ClassTarget) and model.spec.sizes[-1] > 1
    return several and model.spec.activation[-1] != "softmax"
