"""The incoming weights of the first layer, as one image per neuron or as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .canvas import add_scale, image_shape_of, names_or_numbers, new_figure, sheet_of_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..network import Network

COLOURS = "RdBu_r"
FULL_COLOUR = 99.8
"""Percentile of the weights' magnitudes that gets the full colour, so that one outlier does not pale all the others."""

SCALE_WIDTH = 1.25
"""Inches beside images for the scale, its numbers and its label."""

MAX_NAMED_ROWS = 80
"""Number of rows up to which a heat map shows their names."""


def first_layer(
    net: Network,
    image_shape: Sequence[int] | None = None,
    *,
    column_names: Sequence[str] | None = None,
    max_neurons: int = 144,
) -> Figure:
    """Show the incoming weights of each neuron of the first layer: red is positive, blue negative, white 0.

    Parameters
    ----------
    net : Network
    image_shape : (height, width), optional
        Draw each neuron's weights as an image of this shape. Default: a square, if the number of inputs is a square of
        16 or more and they have no names; otherwise one heat map with a row for each input.
    column_names : sequence of str, optional
        Names of the inputs; default those that the network carries.
    max_neurons : int, default 144
        Largest number of neurons; the first ones are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        The first axes holds one image for each neuron, or the heat map; the second is the scale.

    Raises
    ------
    ValueError
        If the shape or the names do not match the number of inputs, or `max_neurons` is below 1.
    ImportError
        If matplotlib is not installed.

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
    n_inputs = net.sizes[0]  # what an embedding adds to them is not drawn
    names = net.column_names if column_names is None else column_names
    if names is not None and len(names) != n_inputs:
        raise ValueError(f"column_names must hold {n_inputs} names, got {len(names)}")
    spec = net.engine.spec
    embeds = spec.widths[0] != n_inputs
    shape = None if embeds and image_shape is None else image_shape_of(n_inputs, image_shape, names)
    if embeds and shape is not None:
        raise ValueError("image_shape is for networks without embeddings, whose first layer takes more than the inputs")
    weights = np.asarray(net.weights[0], np.float64)[:max_neurons]
    limit = float(np.percentile(np.abs(weights), FULL_COLOUR)) or 1.0
    title = _title(net, len(weights))
    class_names = net.class_names if len(net.sizes) == 2 else None
    labels = names_or_numbers(class_names, len(weights), "class_names", 12)
    named = names_or_numbers(names, n_inputs, "column_names")
    if shape is not None:
        return _images(weights.reshape(-1, *shape), limit, title, labels)
    return _heat_map(weights.T, limit, title, labels, spec.first_layer_names(named))


def _title(net: Network, n_shown: int) -> str:
    what = "output" if len(net.sizes) == 2 else "hidden neuron"
    part = "" if n_shown == net.sizes[1] else f" ({n_shown} of {net.sizes[1]})"
    return f"What each {what} sees: its incoming weights{part}"


def _images(weights: np.ndarray, limit: float, title: str, labels: Sequence[str]) -> Figure:
    longest = 1.1 if len(weights) <= 40 else 0.8
    sheet = sheet_of_images(
        weights, labels, title, longest=longest, right=SCALE_WIDTH, cmap=COLOURS, vmin=-limit, vmax=limit
    )
    width, height = sheet.figure.get_size_inches()
    bar = min(height - 0.9, 3.0)
    place = ((width - SCALE_WIDTH + 0.1) / width, (height - 0.4 - bar) / 2 / height, 0.13 / width, bar / height)
    sheet.figure.colorbar(
        sheet.last_image, cax=sheet.figure.add_axes(place), label="weight", extend="both", extendfrac=0.04
    )
    return sheet.figure


def _heat_map(weights: np.ndarray, limit: float, title: str, labels: Sequence[str], names: Sequence[str]) -> Figure:
    """Draw one row for each input and one column for each neuron."""
    n_inputs, n_neurons = weights.shape
    width = float(np.clip(0.24 * n_neurons, 3.5, 14)) + 2.6
    height = float(np.clip(0.24 * n_inputs, 1.2, 14)) + 1.2
    figure = new_figure(width, height, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(weights, cmap=COLOURS, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    figure.suptitle(title, fontsize=11)
    if n_inputs <= MAX_NAMED_ROWS:
        axes.set_yticks(range(n_inputs), names, fontsize=8)
    step = -(-n_neurons // 40)
    axes.set_xticks(range(0, n_neurons, step), labels[:n_neurons:step], fontsize=8)
    axes.set_xlabel("neuron")
    axes.set_ylabel("input")
    add_scale(figure, axes, image, "weight")
    return figure
