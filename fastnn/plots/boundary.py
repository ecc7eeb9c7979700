"""The classes that a network of two inputs predicts, over the plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .canvas import names_or_numbers, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..network import Network

RESOLUTION = 300
COLOURS = ("#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3", "#937860", "#da8bc3", "#8c8c8c", "#ccb974", "#64b5cd")


def decision_boundary(
    net: Network, X: Any, y: Any, *, input_names: Sequence[str] = ("input 1", "input 2"), class_names: Any = None
) -> Figure:
    """Colour the plane by the class that the network predicts at each point, and draw the examples on it.

    Parameters
    ----------
    net : Network
        With two inputs and at most ten classes. Its scaler, if it has one, is applied.
    X : array_like, (n, 2)
        Examples, not scaled.
    y : array_like, (n,)
        Their labels; 0 and 1 for a network with one output.
    input_names : pair of str
        Labels of the axes.
    class_names : sequence of str, optional
        Name of each label; default the labels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the network has other than two inputs or more than ten classes, or `X` and `y` do not match it.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([2, 8, 1], activation="tanh", seed=1)
    >>> figure = decision_boundary(net, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['0', '1']
    """
    n_classes = max(2, net.sizes[-1])
    if net.sizes[0] != 2 or n_classes > len(COLOURS):
        raise ValueError(f"net must have two inputs and at most {len(COLOURS)} classes, got sizes {list(net.sizes)}")
    points, labels = np.asarray(X, np.float64), np.asarray(y).ravel()
    if points.ndim != 2 or points.shape[1] != 2 or len(points) != len(labels) or not len(points):
        raise ValueError(f"X must have shape ({len(labels)}, 2) and y its labels, got shape {points.shape}")
    if not np.isin(labels, range(n_classes)).all():
        raise ValueError(f"y must hold labels 0..{n_classes - 1}")
    names = names_or_numbers(class_names, n_classes, "class_names", 24)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.where(high > low, 0.08 * (high - low), 0.5)
    sides = [np.linspace(start, end, RESOLUTION) for start, end in zip(low - margin, high + margin, strict=True)]
    grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    predicted = net.classify(grid if net.scaler is None else net.scaler.transform(grid)).reshape(RESOLUTION, RESOLUTION)
    figure = new_figure(6.0, 5.0, layout="constrained")
    axes = figure.subplots()
    colours = COLOURS[:n_classes]
    levels = np.arange(n_classes + 1) - 0.5
    axes.contourf(*sides, predicted, levels=levels, colors=colours, alpha=0.25)
    for label in range(n_classes):  # one by one: contours of all labels would coincide where 0 borders on 5
        axes.contour(*sides, predicted == label, levels=[0.5], colors="0.35", linewidths=0.5)
    size = float(np.clip(3000 / len(points), 6, 30))
    for label, (colour, name) in enumerate(zip(colours, names, strict=True)):
        of_class = points[labels == label]
        axes.scatter(
            of_class[:, 0], of_class[:, 1], s=size, color=colour, edgecolors="white", linewidths=0.4, label=plain(name)
        )
    axes.set_xlabel(plain(input_names[0]))
    axes.set_ylabel(plain(input_names[1]))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, markerscale=math.sqrt(30 / size))
    return figure
