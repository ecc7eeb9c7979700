"""Draw how the recipes of benchmarks/digits.py learned: python -m tools.draw_digits.

Reads benchmarks/results/digits.json, writes docs/images/digits_curves.png.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
RESULTS, PICTURE = ROOT / "benchmarks/results/digits.json", ROOT / "docs/images/digits_curves.png"


def draw(runs: list[dict[str, Any]]) -> Any:
    """Return a figure with the validation error of each run after every epoch, in percent."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for number, run in enumerate(runs):
        errors = 100 * (1 - np.array(run["val_accuracy"]))
        axes.plot(np.arange(1, len(errors) + 1), errors, color=f"C{number}", linewidth=0.8)
        axes.plot(run["best_epoch"], run["validation_error"], "o", color=f"C{number}", markersize=4)
        axes.plot(
            [],
            [],
            color=f"C{number}",
            label=f"{run['recipe']}, seed {run['seed']}: {run['test_error']}% on the test images",
        )
    axes.set(xscale="log", yscale="log", xlabel="epoch", ylabel="wrong of the validation images, %")
    ticks = [0.5, 1, 2, 5, 10]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", frameon=False, loc="lower left")
    return figure


def main() -> None:
    """Draw the runs on record."""
    draw(json.loads(RESULTS.read_text("utf-8"))["runs"]).savefig(PICTURE)


if __name__ == "__main__":
    main()
