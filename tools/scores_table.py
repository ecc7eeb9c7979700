"""Write the tables of scores on real tables from a result of `benchmarks.tabular`: python -m tools.scores_table JSON.

Each replaces what stands between the two marks of its page, README.md and docs/benchmarks.md. With --seconds the latter
shows how long fastnn's fits took; a machine that did other work meanwhile says nothing of that.
"""

from __future__ import annotations

import argparse
import json
import statistics
import textwrap
from pathlib import Path
from typing import Any

from tools.readme_table import replace_table

MARKS = "<!-- scores: written by tools/scores_table.py -->", "<!-- end of the scores -->"


def means_of(results: list[dict[str, Any]], key: str) -> dict[str, dict[str, float]]:
    """Return table -> model -> the mean over the seeds that fastnn was measured with."""
    ours = {(result["table"], result["seed"]) for result in results if result["model"] == "fastnn"}
    found: dict[str, dict[str, list[float]]] = {}
    for result in results:
        if (result["table"], result["seed"]) in ours:
            found.setdefault(result["table"], {}).setdefault(result["model"], []).append(result[key])
    return {
        table: {model: statistics.fmean(values) for model, values in models.items()} for table, models in found.items()
    }


def table(content: dict[str, Any], *, seconds: bool) -> str:
    """Return Markdown: the score of each model on each table, the best in bold, and the seconds of fastnn's fit."""
    results = content["results"]
    scores, times = means_of(results, "score"), means_of(results, "fit_seconds")
    models = list(dict.fromkeys(result["model"] for result in results))
    classes = {result["table"]: result["classes"] for result in results}
    rows = {result["table"]: result["rows"] for result in results}
    last = "fit, s | " if seconds else ""
    lines = [
        f"| table | rows | score | {' | '.join(models)} | {last}",
        f"|---|---:|---|{'---:|' * (len(models) + seconds)}",
    ]
    for name, found in scores.items():
        best = max(found.values())
        cells = [_cell(found.get(model), best) for model in models]
        more = f" {times[name]['fastnn']:.1f} |" if seconds else ""
        kind = "accuracy" if classes[name] else "R2"
        lines.append(f"| {name} | {rows[name]:,} | {kind} | {' | '.join(cells)} |{more}")
    machine = content["machine"]
    seeds = sorted({result["seed"] for result in results if result["model"] == "fastnn"})
    versions = {name: v for name, v in machine["versions"].items() if not (name == "fastnn" and name in content)}
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    text = (
        f"Scores on a fifth of the rows that was held out, means over the splits {', '.join(map(str, seeds))} "
        f"as far as they were measured, the best in bold, all models with their defaults. {machine['date']}, "
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}, {named}."
    )
    if "fastnn" in content:  # whose results were measured anew
        own = content["fastnn"]
        text += f" fastnn: {own['date']}, {own['processor']}, {own['versions']['fastnn']}."
    return "\n".join([*(line.rstrip() for line in lines), "", textwrap.fill(text, 120)])


def _cell(score: float | None, best: float) -> str:
    if score is None:
        return ""
    return f"**{score:.3f}**" if score == best else f"{score:.3f}"


def main() -> None:
    """Rewrite the tables of both pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json", type=Path)
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--page", type=Path, default=Path("docs/benchmarks.md"))
    parser.add_argument("--seconds", action="store_true", help="show the seconds of fastnn's fits")
    chosen = parser.parse_args()
    content = json.loads(chosen.json.read_text("utf-8"))
    replace_table(chosen.readme, table(content, seconds=False), MARKS)
    replace_table(chosen.page, table(content, seconds=chosen.seconds), MARKS)


if __name__ == "__main__":
    main()
