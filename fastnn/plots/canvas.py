"""What the pictures share: the figure, grids of panels, texts, and the guess whether inputs are an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALLEST_SIDE = 4
"""Below 4 x 4 pixels a square number of inputs says nothing about a picture."""


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """An empty figure of a size in inches.

    Raises
    ------
    ImportError
        Without matplotlib; says how to get it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install fastnn[plot]") from None
    return Figure(figsize=(width, height), **options)


def grid_of_panels(
    n_panels: int, panel: tuple[float, float], gap: tuple[float, float], margins: tuple[float, float, float]
) -> tuple[Figure, list[Axes]]:
    """A figure with a grid of panels, about twice as wide as high, ticks off; all lengths in inches.

    Parameters
    ----------
    n_panels : int
        Number of panels.
    panel, gap : (width, height)
        Of each panel, and of the space between two.
    margins : (top, side, right)
        Above the grid, on its left and below it, and on its right.
    """
    step_x, step_y = panel[0] + gap[0], panel[1] + gap[1]
    n_columns = min(n_panels, max(1, math.ceil(math.sqrt(1.8 * n_panels * step_y / step_x))))
    n_rows = math.ceil(n_panels / n_columns)
    top, side, right = margins
    inside = n_columns * step_x - gap[0]
    width, height = max(inside + side + right, 5.0), n_rows * step_y - gap[1] + top + side
    figure = new_figure(width, height)
    left = (width - right - inside - side) / 2 + side
    panels = []
    for index in range(n_panels):
        row, column = divmod(index, n_columns)
        x, y = left + column * step_x, height - top - row * step_y - panel[1]
        axes = figure.add_axes((x / width, y / height, panel[0] / width, panel[1] / height))
        axes.set_xticks([])
        axes.set_yticks([])
        panels.append(axes)
    return figure, panels


def panel_size(image_shape: tuple[int, int], longest: float) -> tuple[float, float]:
    """Width and height of a panel for an image whose longer side is `longest` inches; thin images are widened."""
    height, width = image_shape
    scale = longest / max(height, width)
    return max(width * scale, 0.2 * longest), max(height * scale, 0.2 * longest)


def plain(text: object, most: int = 24) -> str:
    """A text that matplotlib shows as it is, cut to `most` characters."""
    string = " ".join(str(text).split())
    string = string if len(string) <= most else string[: most - 1] + "…"
    return string.replace("$", r"\$")


def shape_of_images(
    n_inputs: int, image_shape: Sequence[int] | None, column_names: Sequence[str] | None
) -> tuple[int, int] | None:
    """(height, width) of the image that a row of inputs is; None where it is none.

    Inputs that have names are no image, and neither are a few; a square number of others is.

    Raises
    ------
    ValueError
        For a shape that is not a height and a width, or has another number of pixels.
    """
    if image_shape is not None:
        shape = tuple(image_shape)
        if len(shape) != 2 or not all(isinstance(side, int | np.integer) and side > 0 for side in shape):
            raise ValueError(f"image_shape must be a height and a width, got {image_shape!r}")
        if shape[0] * shape[1] != n_inputs:
            raise ValueError(f"image_shape must have {n_inputs} pixels, one for each input, got {shape}")
        return int(shape[0]), int(shape[1])
    side = math.isqrt(n_inputs)
    if column_names is not None or side < SMALLEST_SIDE or side * side != n_inputs:
        return None
    return side, side


def names_or_numbers(names: Sequence[str] | None, n: int, argument: str) -> list[str]:
    """The `n` names, or the numbers from 0 in their place, ready to be shown."""
    if names is None:
        return [str(index) for index in range(n)]
    if len(names) < n:
        raise ValueError(f"{argument} must hold {n} names, got {len(names)}")
    return [plain(name) for name in names]
