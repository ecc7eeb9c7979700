"""A small network as circles and lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .canvas import LETTER, names_or_numbers, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..network import Network

MAX_NEURONS = 24
"""Largest layer that a diagram can show."""

POSITIVE, NEGATIVE = "#b2182b", "#2166ac"  # as in the images of weights
MAX_LINE_WIDTH = 5.0
CROWDED = 10
"""Number of neurons in a layer above which lines become thinner."""

# inches
PITCH = (0.27, 0.5)
"""Smallest and largest distance between neighbouring neurons of a layer."""

COLUMN_HEIGHT = 5.0
"""Height of a layer that is not limited by the distances above."""

HEADING, LEGEND = 0.5, 0.5
"""Space above and below the neurons."""


def network_diagram(
    net: Network, *, input_names: Sequence[str] | None = None, class_names: Sequence[str] | None = None
) -> Figure:
    """Draw neurons as circles and weights as lines: red above 0, blue below, wider if larger; rims show biases.

    Parameters
    ----------
    net : Network
        With at most 24 neurons in every layer.
    input_names, class_names : sequence of str, optional
        Names beside the inputs and the outputs; default those that the network carries.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If a layer has more neurons, or there are too few names.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import fastnn
    >>> figure = network_diagram(fastnn.Network([2, 3, 1], seed=0))
    >>> len(figure.axes[0].lines), len(figure.axes[0].patches)
    (9, 6)
    """
    embedding, sizes = net.embedding, net.engine.spec.widths
    if max(sizes) > MAX_NEURONS:
        raise ValueError(f"net must have at most {MAX_NEURONS} neurons in every layer, got sizes {list(sizes)}")
    inputs = names_or_numbers(input_names or net.column_names, net.sizes[0], "input_names", 24)
    if embedding is not None:
        inputs += embedding.added_names(inputs)
    names = class_names or (net.class_names if net.sizes[-1] > 1 else None)
    outputs = names_or_numbers(names, net.sizes[-1], "class_names", 24)
    tallest = max(sizes)
    pitch = float(np.clip(COLUMN_HEIGHT / tallest, *PITCH))
    radius = pitch / 3
    column_height = (tallest - 1) * pitch + 2 * radius
    step = max(1.8, 0.42 * column_height)
    left, right = (max(0.6, 3 * radius + 1.15 * LETTER * max(map(len, side)) + 0.1) for side in (inputs, outputs))
    width, height = left + (len(sizes) - 1) * step + right, LEGEND + column_height + HEADING
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[], xlim=(0, width), ylim=(0, height))
    middle = LEGEND + column_height / 2
    places = [
        [(left + layer * step, middle + ((count - 1) / 2 - index) * pitch) for index in range(count)]
        for layer, count in enumerate(sizes)
    ]
    largest = max([float(np.max(np.abs(part))) for part in (*net.weights, *net.biases)] + [1e-12])
    line_width = MAX_LINE_WIDTH * min(1.0, CROWDED / tallest)
    _draw_weights(net, places, largest, line_width, axes)
    _draw_neurons(net, places, largest, line_width, radius, axes)
    for (x, y), name in zip(places[0], inputs, strict=True):
        axes.text(x - 1.6 * radius, y, plain(name), ha="right", va="center", fontsize=9)
    for (x, y), name in zip(places[-1], outputs, strict=True):
        axes.text(x + 1.6 * radius, y, plain(name), ha="left", va="center", fontsize=9)
    for name, ((x, _), *_) in zip(("inputs", *net.activation), places, strict=True):
        axes.text(x, height - HEADING + 0.12, name, ha="center", va="bottom", fontsize=9, color="0.3")
    _add_legend(largest, axes)
    return figure


def _draw_weights(
    net: Network, places: list[list[tuple[float, float]]], largest: float, line_width: float, axes: Axes
) -> None:
    for layer, weights in enumerate(net.weights):
        for j, row in enumerate(weights):
            for k, weight in enumerate(row):
                (x0, y0), (x1, y1) = places[layer][k], places[layer + 1][j]
                size = abs(float(weight)) / largest
                colour = POSITIVE if weight > 0 else NEGATIVE
                (line,) = axes.plot([x0, x1], [y0, y1], color=colour, linewidth=0.2 + line_width * size)
                line.set(alpha=0.3 + 0.6 * size, zorder=1 + size)  # large weights lie on top of small ones


def _draw_neurons(
    net: Network, places: list[list[tuple[float, float]]], largest: float, line_width: float, radius: float, axes: Axes
) -> None:
    from matplotlib.patches import Circle

    for layer, column in enumerate(places):
        for j, place in enumerate(column):
            bias = float(net.biases[layer - 1][j]) if layer else 0.0
            rim = "0.2" if bias == 0 else POSITIVE if bias > 0 else NEGATIVE
            rim_width = 1.0 + line_width * abs(bias) / largest
            axes.add_patch(Circle(place, radius, facecolor="white", edgecolor=rim, linewidth=rim_width, zorder=3))


def _add_legend(largest: float, axes: Axes) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=POSITIVE, linewidth=3, label="positive"),
        Line2D([], [], color=NEGATIVE, linewidth=3, label="negative"),
        Line2D([], [], linestyle="none", label=f"widest line: {largest:.2g}"),
    ]
    axes.legend(handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=8, handlelength=1.5)
