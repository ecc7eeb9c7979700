"""Draw how the cost of training grows: python -m benchmarks.growth [--json FILE] [--out PICTURE].

Width, depth, batch and rows grow one at a time from the same network, on one thread and on all; the number of threads
grows on the widest. A point is the median of several turns, and the points take turns, so that a drift of the
machine's speed meets all of them. The first panels set the cost beside that of the multiply-adds alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers import machine
from fastnn import Network
from fastnn.kernels.threads import max_threads

BASE = {"width": 128, "depth": 2, "batch": 64, "rows": 4096}
GROWTH = {
    "width": [8, 16, 32, 64, 128, 256, 512, 1024],
    "depth": [1, 2, 3, 4, 6, 8, 12, 16],
    "batch": [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
    "rows": [64, 256, 1024, 4096, 16_384, 65_536],
}
WIDEST = {"width": 1024, "batch": 256, "depth": 3}
N_INPUTS, N_OUTPUTS = 64, 10
LABELS = {
    "width": "neurons of a hidden layer",
    "depth": "hidden layers",
    "batch": "examples in a batch",
    "rows": "examples of an epoch",
    "threads": "threads",
}


class Point(NamedTuple):
    """One training to measure: which number grows, its value, the whole setting, and the threads."""

    axis: str
    value: int
    setting: dict[str, int]
    n_threads: int

    @property
    def sizes(self) -> list[int]:
        """Neurons of each layer."""
        return [N_INPUTS, *[self.setting["width"]] * self.setting["depth"], N_OUTPUTS]

    @property
    def products(self) -> int:
        """Multiply-adds of one example: forward, weight gradients, deltas of the hidden layers."""
        layers = [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        return 3 * sum(layers) - layers[0]


def points(most_threads: int) -> Iterator[Point]:
    """Yield all points."""
    for axis, values in GROWTH.items():
        for value in values:
            for n_threads in sorted({1, most_threads}):
                yield Point(axis, value, BASE | {axis: value}, n_threads)
    for n_threads in range(1, most_threads + 1):
        yield Point("threads", n_threads, BASE | WIDEST, n_threads)


def trainer(point: Point, seconds: float) -> Any:
    """Return a function that trains for about so many seconds, and returns nanoseconds for each example."""
    generator = np.random.default_rng(0)
    n_rows = point.setting["rows"]
    X = generator.random((n_rows, N_INPUTS), dtype=np.float32)
    y = generator.integers(0, N_OUTPUTS, n_rows)
    activation = ["relu"] * point.setting["depth"] + ["softmax"]
    net = Network(point.sizes, activation=activation, loss="cross_entropy", seed=0)

    def train(epochs: int) -> float:
        options = {"batch_size": point.setting["batch"], "learning_rate": 1e-4, "progress": False}
        history = net.fit(X, y, epochs=epochs, n_threads=point.n_threads, **options)
        return 1e9 / history.examples_per_second

    train(1)
    epochs = max(1, round(seconds / (1e-9 * n_rows * train(1))))
    return lambda: train(epochs)


def measure(most_threads: int, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Return for each point what it is, and median, low and high of the nanoseconds that an example takes."""
    chosen = list(points(most_threads))
    trainers = [trainer(point, seconds) for point in chosen]
    turns = [[train() for train in trainers] for _ in range(rounds)]
    return [
        point._asdict()
        | {"products": point.products, "median": statistics.median(spent), "low": min(spent), "high": max(spent)}
        for point, spent in zip(chosen, zip(*turns, strict=True), strict=True)
    ]


def draw(content: dict[str, Any], path: Path) -> None:
    """Draw one panel for each number that grows: microseconds of an example over it."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    figure = Figure(figsize=(13, 7), layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    for panel, axis in zip(panels, LABELS, strict=False):
        measured = [point for point in content["points"] if point["axis"] == axis]
        # the threads are themselves what grows in the last panel
        counts = sorted({point["n_threads"] for point in measured}) if axis != "threads" else [None]
        for count in counts:
            line = [point for point in measured if count in (None, point["n_threads"])]
            values, medians = [point["value"] for point in line], [point["median"] / 1e3 for point in line]
            label = "measured" if count is None else f"{count} thread{'s' * (count > 1)}"
            panel.plot(values, medians, "o-", label=label)
            panel.fill_between(values, [p["low"] / 1e3 for p in line], [p["high"] / 1e3 for p in line], alpha=0.2)
        line = [point for point in measured if point["n_threads"] == 1 or axis == "threads"]
        anchor = line[-1] if axis != "threads" else line[0]
        scale = [p["products"] if axis != "threads" else 1 / p["value"] for p in line]
        base = anchor["products"] if axis != "threads" else 1.0
        ideal = [anchor["median"] / 1e3 * number / base for number in scale]
        name = "as the multiply-adds" if axis != "threads" else "one thread's, shared"
        panel.plot([p["value"] for p in line], ideal, "--", color="0.5", label=name)
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        ticks = sorted({point["value"] for point in measured})
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.xaxis.set_minor_locator(NullLocator())
        spent = [point["median"] for point in measured]
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(spent) > 10 * min(spent) else range(1, 10)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.set_xlabel(LABELS[axis])
        panel.set_ylabel("microseconds of an example")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    of = content["machine"]
    text = ", ".join(f"{name} {value}" for name, value in BASE.items())
    widest = ", ".join(f"{name} {value}" for name, value in WIDEST.items())
    panels[-1].set_axis_off()
    panels[-1].text(
        0, 1,
        f"Training, float32, relu, {N_INPUTS} inputs, {N_OUTPUTS} classes.\n\nOne number grows from\n{text};\n"
        f"threads at\n{widest}.\n\nMedians; shaded: lowest to highest.\n\n{of['processor']},\n{of['cores']} cores, "
        f"{of['date']}",
        va="top", fontsize=11,
    )  # fmt: skip
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, or read what was measured, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="length of one turn")
    parser.add_argument("--json", type=Path, help="write the results here, or with --draw read them")
    parser.add_argument("--draw", action="store_true", help="draw the results in --json, measure nothing")
    parser.add_argument("--out", type=Path, default=Path("docs/images/cost_growth.png"))
    chosen = parser.parse_args()
    if chosen.draw:
        content = json.loads(chosen.json.read_text())
    else:
        content = {"machine": machine(), "points": measure(max_threads(), chosen.rounds, chosen.seconds)}
        if chosen.json:
            chosen.json.write_text(json.dumps(content, indent=1) + "\n")
    draw(content, chosen.out)


if __name__ == "__main__":
    main()
