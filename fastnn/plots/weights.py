"""What a neuron sees: its incoming weights, as an image or as a column of a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .canvas import add_scale, names_or_numbers, new_figure, shape_of_images, sheet_of_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..network import Network

COLOURS = "RdBu_r"
BRIGHTEST_SHARE = 99.8
"""Percentile of the weights' sizes that gets the full colour: a single outlier must not pale all the rest."""

SCALE = 1.25
"""Inches that the scale takes beside images, its numbers and its name included."""

MOST_NAMES = 80
"""Rows of a heat map beyond which their names cannot be read."""


def first_layer(
    net: Network,
    image_shape: Sequence[int] | None = None,
    *,
    column_names: Sequence[str] | None = None,
    max_neurons: int = 144,
) -> Figure:
    """The incoming weights of each neuron of the first layer: red excites it, blue inhibits it, white is 0.

    Parameters
    ----------
    net : Network
        The network.
    image_shape : (height, width), optional
        Draw each neuron's weights as an image of this shape. Default: a square, if the number of inputs is a
        square of 16 or more and they have no names; otherwise one heat map with a row for each input.
    column_names : sequence of str, optional
        Names of the inputs; default those that the network carries.
    max_neurons : int, default 144
        At most that many neurons are drawn, the first ones.

    Returns
    -------
    matplotlib.figure.Figure
        Its first axes holds one image for each neuron, or the heat map; the second is the scale.

    Raises
    ------
    ValueError
        If the shape or the names do not fit the number of inputs, or `max_neurons` is below 1.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> import fastnn
    >>> figure = first_layer(fastnn.Network([64, 16, 10], seed=0))
    >>> images = figure.axes[0].images
    >>> len(images), images[0].get_array().shape
    (16, (8, 8))
    """
    if max_neurons < 1:
        raise ValueError(f"max_neurons must be 1 or more, got {max_neurons}")
    n_inputs = net.sizes[0]
    names = net.column_names if column_names is None else column_names
    if names is not None and len(names) != n_inputs:
        raise ValueError(f"column_names must hold {n_inputs} names, got {len(names)}")
    shape = shape_of_images(n_inputs, image_shape, names)
    weights = np.asarray(net.weights[0], np.float64)[:max_neurons]
    limit = float(np.percentile(np.abs(weights), BRIGHTEST_SHARE)) or 1.0
    title = _title(net, len(weights))
    class_names = net.class_names if len(net.sizes) == 2 else None
    labels = names_or_numbers(class_names, len(weights), "class_names", 12)
    if shape is not None:
        return _images(weights.reshape(-1, *shape), limit, title, labels)
    return _heat_map(weights.T, limit, title, labels, names_or_numbers(names, n_inputs, "column_names"))


def _title(net: Network, n_shown: int) -> str:
    what = "output" if len(net.sizes) == 2 else "hidden neuron"
    part = "" if n_shown == net.sizes[1] else f" ({n_shown} of {net.sizes[1]})"
    return f"What each {what} sees: its incoming weights{part}"


def _images(weights: np.ndarray, limit: float, title: str, labels: Sequence[str]) -> Figure:
    longest = 1.1 if len(weights) <= 40 else 0.8
    sheet = sheet_of_images(weights, labels, title, longest=longest, right=SCALE, cmap=COLOURS, vmin=-limit, vmax=limit)
    width, height = sheet.figure.get_size_inches()
    bar = min(height - 0.9, 3.0)
    place = ((width - SCALE + 0.1) / width, (height - 0.4 - bar) / 2 / height, 0.13 / width, bar / height)
    sheet.figure.colorbar(sheet.shown, cax=sheet.figure.add_axes(place), label="weight", extend="both", extendfrac=0.04)
    return sheet.figure


def _heat_map(weights: np.ndarray, limit: float, title: str, labels: Sequence[str], names: Sequence[str]) -> Figure:
    """One row for each input, one column for each neuron."""
    n_inputs, n_neurons = weights.shape
    width = float(np.clip(0.24 * n_neurons, 3.5, 14)) + 2.6
    height = float(np.clip(0.24 * n_inputs, 1.2, 14)) + 1.2
    figure = new_figure(width, height, layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(weights, cmap=COLOURS, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    figure.suptitle(title, fontsize=11)
    if n_inputs <= MOST_NAMES:
        axes.set_yticks(range(n_inputs), names, fontsize=8)
    step = -(-n_neurons // 40)
    axes.set_xticks(range(0, n_neurons, step), labels[:n_neurons:step], fontsize=8)
    axes.set_xlabel("neuron")
    axes.set_ylabel("input")
    add_scale(figure, axes, shown, "weight")
    return figure
