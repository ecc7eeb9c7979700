"""Write the speed tables and the chart from a result of `benchmarks.peers`: python -m tools.readme_table JSON.

Each table replaces what stands between the two marks of its page: some cases in README.md, all of them in
docs/benchmarks.md, with a chart.
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from pathlib import Path
from typing import Any

PICTURE = Path("docs/images/speed_by_shape.png")
BEGIN, END = "<!-- speed table: written by tools/readme_table.py -->", "<!-- end of the speed table -->"
COLUMNS = {
    "NumPy": ("NumPy",),
    "scikit-learn": ("scikit-learn",),
    "PyTorch": ("PyTorch 1 thread", "PyTorch", "PyTorch compiled 1 thread", "PyTorch compiled"),
    "JAX": ("JAX", "JAX donated", "JAX older runtime"),
}
SHORT = (
    "784-30-10 sigmoid, squared_error, 10",
    "784-128-10 relu, cross_entropy, 128",
    "784-512-512-10 relu, cross_entropy, 128",
    "13-64-64-1 tanh, squared_error, 32",
)
"""The cases of the README."""


def best(entries: dict[str, Any], names: tuple[str, ...]) -> float | None:
    """Return the speed of the fastest of a library's settings, in examples per second."""
    paces = [entries[name]["median"] for name in names if "median" in entries.get(name, {})]
    return max(paces, default=None)


def rows_of(results: list[dict[str, Any]]) -> list[tuple[str, float, dict[str, float | None]]]:
    """Return (case, fastnn's pace, pace of each library)."""
    return [
        (
            result["case"],
            result["entries"]["fastnn"]["median"],
            {library: best(result["entries"], names) for library, names in COLUMNS.items()},
        )
        for result in results
    ]


def table(content: dict[str, Any], *, short: bool = False) -> str:
    """Return Markdown: examples per second, and how many times as fast as each library."""
    machine = content["machine"]
    versions = machine["versions"]
    peak = "" if short else " share of peak |"
    lines = [
        f"| network, loss, batch | fastnn, examples/s | {' | '.join(COLUMNS)} |{peak}",
        f"|---|---:|{'---:|' * (len(COLUMNS) + (not short))}",
    ]
    for result, (case, ours, others) in zip(content["results"], rows_of(content["results"]), strict=True):
        if short and case not in SHORT:
            continue
        cells = [f"{ours / pace:.1f}x" if pace else "" for pace in others.values()]
        peak = "" if short else f" {result['fraction_of_peak']:.0%} |"
        lines.append(f"| {case} | {ours:,.0f} | {' | '.join(cells)} |{peak}")
    named = ", ".join(f"{name} {versions[name]}" for name in ("numpy", "numba", "scikit-learn", "torch", "jax"))
    text = (
        f"fastnn's speed over each library's, in one run, float32, PyTorch the better of one and all threads, JAX "
        f"with the whole epoch compiled. {machine['date']}, {machine['processor']}, {machine['cores']} cores, "
        f"Python {machine['python']}, {named}. Empty: the library cannot train that network."
    )
    if not short:
        text += (
            " Share of peak: of the multiply-adds that all cores reach in registers, measured before and after each "
            "case, the better."
        )
    return "\n".join([*lines, "", textwrap.fill(text, 120)])


def chart(content: dict[str, Any], path: Path) -> None:
    """Draw bars, examples per second of every library, a panel for each case."""
    from matplotlib.figure import Figure

    rows = rows_of(content["results"])
    figure = Figure(figsize=(11, 2.4 * ((len(rows) + 1) // 2)), layout="constrained")
    axes = figure.subplots((len(rows) + 1) // 2, 2, squeeze=False)
    for axis, (case, ours, others) in zip(axes.flat, rows, strict=False):
        paces = {"fastnn": ours, **{name: pace for name, pace in others.items() if pace}}
        bars = axis.barh(list(paces), list(paces.values()), color=["C1"] + ["C0"] * (len(paces) - 1))
        axis.bar_label(bars, [f"{pace:,.0f}" for pace in paces.values()], padding=3, fontsize=8)
        axis.set_title(case, fontsize=9)
        axis.invert_yaxis()
        axis.margins(x=0.2)
        axis.xaxis.set_visible(False)
        axis.spines[["top", "right", "bottom"]].set_visible(False)
    for axis in axes.flat[len(rows) :]:
        axis.set_visible(False)
    figure.suptitle("Training examples per second")
    figure.savefig(path, dpi=110)


def replace_table(page: Path, text: str, marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Put a table between the marks of a page."""
    before, (begin, end) = page.read_text("utf-8"), marks
    marked = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not marked.search(before):
        raise SystemExit(f"{page} has no place for the table: {begin}")
    page.write_text(marked.sub(lambda _: f"{begin}\n{text}\n{end}", before), "utf-8")


def main() -> None:
    """Rewrite the tables of both pages and draw the chart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json", type=Path)
    parser.add_argument("--readme", type=Path, default=Path("README.md"), help="page of some cases")
    parser.add_argument("--page", type=Path, default=Path("docs/benchmarks.md"), help="page of all cases")
    chosen = parser.parse_args()
    content = json.loads(chosen.json.read_text("utf-8"))
    replace_table(chosen.readme, table(content, short=True))
    replace_table(chosen.page, table(content))
    chart(content, PICTURE)


if __name__ == "__main__":
    main()
