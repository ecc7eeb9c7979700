"""A small network as circles and lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .canvas import names_or_numbers, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..network import Network

MOST = 24
"""Neurons of a layer that a picture can hold."""

POSITIVE, NEGATIVE = "#b2182b", "#2166ac"  # as in the pictures of weights
WIDEST = 5.0
RADIUS = 0.16
HEADING = 0.12
"""Share of the height that is kept for the names of the layers."""


def network_diagram(
    net: Network, *, input_names: Sequence[str] | None = None, class_names: Sequence[str] | None = None
) -> Figure:
    """Neurons as circles, weights as lines: red above 0, blue below, the wider the larger; a rim shows the bias.

    Parameters
    ----------
    net : Network
        With at most 24 neurons in every layer.
    input_names, class_names : sequence of str, optional
        Names beside the inputs and the outputs; those that the network carries where none are given.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If a layer has more neurons, or the names do not fit.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> import fastnn
    >>> figure = network_diagram(fastnn.Network([2, 3, 1], seed=0))
    >>> len(figure.axes[0].lines), len(figure.axes[0].patches)
    (9, 6)
    """
    if max(net.sizes) > MOST:
        raise ValueError(f"net must have at most {MOST} neurons in every layer, got sizes {list(net.sizes)}")
    inputs = names_or_numbers(input_names or net.column_names, net.sizes[0], "input_names", 24)
    wanted = class_names or (net.class_names if net.sizes[-1] > 1 else None)
    outputs = names_or_numbers(wanted, net.sizes[-1], "class_names", 24)
    tallest = max(net.sizes)
    figure = new_figure(max(4.5, 2.4 * len(net.sizes)), max(3.0, 0.5 * tallest + 1.2), layout="constrained")
    axes = figure.subplots()
    step = 5.0 * RADIUS * max(2.0, tallest / 3)
    places = [
        [(layer * step, (count - 1) / 2 * 3 * RADIUS - 3 * RADIUS * place) for place in range(count)]
        for layer, count in enumerate(net.sizes)
    ]
    largest = max([float(np.max(np.abs(part))) for part in (*net.weights, *net.biases)] + [1e-12])
    for layer, weights in enumerate(net.weights):
        for j, row in enumerate(weights):
            for k, weight in enumerate(row):
                (x0, y0), (x1, y1) = places[layer][k], places[layer + 1][j]
                share = abs(float(weight)) / largest
                colour = POSITIVE if weight > 0 else NEGATIVE
                axes.plot([x0, x1], [y0, y1], color=colour, linewidth=0.2 + WIDEST * share, alpha=0.75, zorder=1)
    _draw_neurons(net, places, largest, axes)
    for (x, y), name in zip(places[0], inputs, strict=True):
        axes.text(x - 2 * RADIUS, y, plain(name), ha="right", va="center", fontsize=9)
    for (x, y), name in zip(places[-1], outputs, strict=True):
        axes.text(x + 2 * RADIUS, y, plain(name), ha="left", va="center", fontsize=9)
    top = max(y for column in places for _, y in column)
    for layer, column in enumerate(places):
        title = "inputs" if layer == 0 else net.activation[layer - 1]
        axes.text(column[0][0], top + 2.5 * RADIUS, title, ha="center", va="bottom", fontsize=9, color="0.3")
    axes.plot([], [], color=POSITIVE, linewidth=3, label=f"weight up to {largest:.2g}")
    axes.plot([], [], color=NEGATIVE, linewidth=3, label="below 0")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2, frameon=False, fontsize=8)
    for line in axes.lines[-2:]:
        line.remove()  # the legend keeps its own copies
    axes.set_aspect("equal")
    axes.axis("off")
    axes.margins(0.12, 0.08)
    bottom, highest = min(y for column in places for _, y in column), top + 2.5 * RADIUS
    axes.set_ylim(bottom - 2 * RADIUS, highest + HEADING * (highest - bottom + 1))
    return figure


def _draw_neurons(net: Network, places: list, largest: float, axes: object) -> None:
    from matplotlib.patches import Circle

    for layer, column in enumerate(places):
        for j, (x, y) in enumerate(column):
            bias = float(net.biases[layer - 1][j]) if layer else 0.0
            rim = "0.2" if bias == 0 else POSITIVE if bias > 0 else NEGATIVE
            width = 1.0 + WIDEST * abs(bias) / largest
            circle = Circle((x, y), RADIUS, facecolor="white", edgecolor=rim, linewidth=width, zorder=2)
            axes.add_patch(circle)  # type: ignore[attr-defined]
