"""What the pictures share: the figure, sheets of images, texts, and the guess whether inputs are an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

LETTER = 0.068
"""Inches that a letter of the smallest texts, 8 points, takes on average."""

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


@dataclass(frozen=True)
class Sheet:
    """A figure full of small images on one axes, which is measured in inches from the lower left.

    Attributes
    ----------
    figure : Figure
    axes : Axes
        Its images are in the order in which they were given.
    shown : AxesImage
        The last image, for a colour bar.
    """

    figure: Figure
    axes: Axes
    shown: AxesImage


def sheet_of_images(
    images: np.ndarray, labels: Sequence[str], title: str, *, longest: float, right: float, **look: Any
) -> Sheet:
    """Images side by side in rows, about twice as wide as high, a label above each.

    One axes for all: an axes of its own for each would take seconds for a hundred.

    Parameters
    ----------
    images : ndarray, (n, height, width)
        The images.
    labels : sequence of str
        One for each.
    title : str
        Above them all.
    longest : float
        Inches of an image's longer side.
    right : float
        Inches kept free on the right.
    **look
        For matplotlib's `imshow`: colours and their limits.
    """
    n = len(images)
    w, h = _inches(images.shape[1:], longest)
    step_x = max(w, LETTER * max(map(len, labels))) + 0.12
    step_y = h + 0.26
    n_columns = min(n, max(1, math.ceil(math.sqrt(1.8 * n * step_y / step_x))))
    n_rows = math.ceil(n / n_columns)
    width = max(n_columns * step_x + 0.25 + right, LETTER * 1.4 * len(title) + 0.5)
    height = max(n_rows * step_y + 0.62, 1.9)
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[])
    left = (width - right - n_columns * step_x) / 2
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        row, column = divmod(index, n_columns)
        x = left + column * step_x + (step_x - w) / 2
        y = height - 0.5 - (row + 1) * step_y
        shown = axes.imshow(image, extent=(x, x + w, y, y + h), interpolation="nearest", **look)
        axes.plot([x, x + w, x + w, x, x], [y, y, y + h, y + h, y], color="0.7", linewidth=0.8)
        axes.text(x + w / 2, y + h + 0.04, label, ha="center", va="bottom", fontsize=8)
    axes.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    figure.suptitle(title, y=1 - 0.14 / height, va="top", fontsize=11)
    return Sheet(figure, axes, shown)


def _inches(shape: Sequence[int], longest: float) -> tuple[float, float]:
    """Width and height of an image whose longer side is `longest`; thin images are widened."""
    height, width = (max(side * longest / max(shape), 0.2 * longest) for side in shape)
    return width, height


def add_scale(figure: Figure, axes: Axes, shown: AxesImage, label: str) -> None:
    """A colour bar beside an axes, no longer than 4 inches."""
    height = figure.get_size_inches()[1]
    figure.colorbar(shown, ax=axes, label=label, extend="both", extendfrac=0.04, aspect=25, shrink=min(1.0, 4 / height))


def plain(text: object, most: int = 60) -> str:
    """A text that matplotlib shows as it is, cut to `most` characters in its middle: often the ends differ."""
    string = " ".join(str(text).split())
    if len(string) > most:
        end = (most - 1) // 3
        string = string[: most - 1 - end] + "…" + string[len(string) - end :]
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


def names_or_numbers(names: Sequence[str] | None, n: int, argument: str, most: int = 24) -> list[str]:
    """The `n` names, each cut to `most` characters, or the numbers from 0 in their place: ready to be shown."""
    if names is None:
        return [str(index) for index in range(n)]
    if len(names) < n:
        raise ValueError(f"{argument} must hold {n} names, got {len(names)}")
    return [plain(name, most) for name in names[:n]]
