"""Draw the memory layout of a network from its layer table: python -m tools.draw_layout [SIZES] [--out PNG]."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from fastnn.kernels import layout
from fastnn.parameters import MemoryLayout, make_layout
from fastnn.spec import make_spec

BLOCK = 4
"""Rows of the block that is drawn."""

USED, PADDING = {"W": "#4c72b0", "b": "#dd8452", "x": "#8c8c8c", "a": "#55a868", "δ": "#c44e52"}, "#e8e8ee"


class Part:
    """A matrix in a buffer: its name, where it begins, and its shape with and without padding."""

    def __init__(self, name: str, offset: int, rows: int, used_columns: int, stride: int, end: int) -> None:
        self.name, self.offset, self.rows, self.used_columns = name, offset, rows, used_columns
        self.stride, self.end = stride, end

    @property
    def label(self) -> str:
        """Name, shape and place."""
        shape = f"{self.rows} x {self.used_columns}" if self.rows > 1 else f"{self.used_columns}"
        return f"{self.name}: {shape}, stride {self.stride}, numbers {self.offset}..{self.end - 1}"


def parameter_parts(memory: MemoryLayout) -> list[Part]:
    """Return weights and biases of every layer, in the order of the buffer."""
    parts = []
    ends = [int(row[layout.WEIGHTS]) for row in memory.table[1:]] + [memory.n_parameters]
    for number, (row, end) in enumerate(zip(memory.table, ends, strict=True)):
        n_in, n_out, ld = int(row[layout.N_IN]), int(row[layout.N_OUT]), int(row[layout.LD])
        weights, biases = int(row[layout.WEIGHTS]), int(row[layout.BIASES])
        parts.append(Part(f"W{number}", weights, n_in, n_out, ld, biases))
        parts.append(Part(f"b{number}", biases, 1, n_out, ld, end))
    return parts


def workspace_parts(memory: MemoryLayout) -> list[Part]:
    """Return the block's inputs, then activations and deltas of every layer."""
    first = memory.table[0]
    parts = [
        Part("x", int(first[layout.INPUTS]), BLOCK, int(first[layout.N_IN]), int(first[layout.LD_IN]),
             int(first[layout.OUTPUTS]))
    ]  # fmt: skip
    ends = [int(row[layout.OUTPUTS]) for row in memory.table[1:]] + [memory.n_workspace]
    for number, (row, end) in enumerate(zip(memory.table, ends, strict=True)):
        n_out, ld, deltas = int(row[layout.N_OUT]), int(row[layout.LD]), int(row[layout.DELTAS])
        parts.append(Part(f"a{number}", int(row[layout.OUTPUTS]), BLOCK, n_out, ld, deltas))
        parts.append(Part(f"δ{number}", deltas, BLOCK, n_out, ld, end))
    return parts


def draw_part(axes: Any, part: Part, top: float) -> float:
    """Draw a part below `top`, one line for each row in memory; return its lower edge."""
    rows = -(-(part.end - part.offset) // part.stride)
    axes.text(0, top - 0.4, part.label, fontsize=8, va="center")
    for row in range(rows):
        y = top - 1.7 - row
        width = min(part.stride, part.end - part.offset - row * part.stride)
        used = part.used_columns if row < part.rows else 0
        numbers = np.arange(width)
        colours = [USED[part.name[0]] if number < used else PADDING for number in numbers]
        axes.bar(numbers, 0.9, width=0.9, bottom=y, align="edge", color=colours)
    return top - 1.7 - rows - 0.3


def draw(sizes: list[int], path: Path) -> None:
    """Draw both buffers of a float32 network of these sizes."""
    from matplotlib.figure import Figure

    memory = make_layout(make_spec(sizes), BLOCK)
    columns = {
        "parameters: the weights from input k are row k": parameter_parts(memory),
        f"workspace: a block of {BLOCK} examples, one in a row": workspace_parts(memory),
    }
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    for axes, (title, parts) in zip(figure.subplots(1, 2), columns.items(), strict=True):
        top = 0.0
        for part in parts:
            top = draw_part(axes, part, top)
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_xlim(0, max(part.stride for part in parts))
        axes.set_ylim(top, 0)
        axes.axis("off")
    figure.suptitle(f"{'-'.join(map(str, sizes))}, float32: numbers in colour, padding in grey", fontsize=10)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Draw the picture of the architecture page, or another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="?", default="5,20,3", help="neurons of every layer (default 5,20,3)")
    parser.add_argument("--out", type=Path, default=Path("docs/images/memory_layout.png"))
    chosen = parser.parse_args()
    draw([int(size) for size in chosen.sizes.split(",")], chosen.out)


if __name__ == "__main__":
    main()
