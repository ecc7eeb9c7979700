"""What all figures share: their creation, sheets of images, text, and the guess whether inputs are an image."""

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
"""Average width in inches of a letter of the smallest text, 8 points."""

MIN_IMAGE_SIDE = 4
"""Side of the smallest square of inputs that is taken for an image."""


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """Return an empty figure of a size in inches.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message says how to install it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("figures need matplotlib: pip install fastnn[plot]") from None
    return Figure(figsize=(width, height), **options)


@dataclass(frozen=True)
class Sheet:
    """A figure of many small images on one axes, whose coordinates are inches from the lower left.

    Attributes
    ----------
    figure : Figure
    axes : Axes
        Holds the images in their order.
    last_image : AxesImage
        For a colour bar.
    """

    figure: Figure
    axes: Axes
    last_image: AxesImage


def sheet_of_images(
    images: np.ndarray,
    labels: Sequence[str],
    title: str,
    *,
    longest: float,
    right: float,
    n_columns: int | None = None,
    **look: Any,
) -> Sheet:
    """Draw images in rows, a label above each; the figure becomes about twice as wide as high.

    All images share one axes: a hundred axes would take seconds.

    Parameters
    ----------
    images : ndarray, (n, height, width)
    labels : sequence of str
        One for each image.
    title : str
        Title of the figure.
    longest : float
        Length in inches of an image's longer side.
    right : float
        Inches left free on the right.
    n_columns : int, optional
        Images in a row; None chooses.
    **look
        Options of matplotlib's `imshow`: colours and their limits.
    """
    n = len(images)
    w, h = _inches(images.shape[1:], longest)
    step_x = max(w, LETTER * max(map(len, labels))) + 0.12
    step_y = h + 0.26
    n_columns = n_columns or min(n, max(1, math.ceil(math.sqrt(1.8 * n * step_y / step_x))))
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
        last_image = axes.imshow(image, extent=(x, x + w, y, y + h), interpolation="nearest", **look)
        axes.plot([x, x + w, x + w, x, x], [y, y, y + h, y + h, y], color="0.7", linewidth=0.8)
        axes.text(x + w / 2, y + h + 0.04, label, ha="center", va="bottom", fontsize=8)
    axes.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    figure.suptitle(title, y=1 - 0.14 / height, va="top", fontsize=11)
    return Sheet(figure, axes, last_image)


def _inches(shape: Sequence[int], longest: float) -> tuple[float, float]:
    """Return width and height of an image whose longer side is `longest`; thin images are widened."""
    height, width = (max(side * longest / max(shape), 0.2 * longest) for side in shape)
    return width, height


def add_scale(figure: Figure, axes: Axes, image: AxesImage, label: str) -> None:
    """Add a colour bar of at most 4 inches beside an axes."""
    height = figure.get_size_inches()[1]
    figure.colorbar(image, ax=axes, label=label, extend="both", extendfrac=0.04, aspect=25, shrink=min(1.0, 4 / height))


def plain(text: object, max_length: int = 60) -> str:
    """Return a text that matplotlib shows literally, shortened in its middle, since names often differ at the end."""
    string = " ".join(str(text).split())
    if len(string) > max_length:
        end = (max_length - 1) // 3
        string = string[: max_length - 1 - end] + "…" + string[len(string) - end :]
    return string.replace("$", r"\$")


def image_shape_of(
    n_inputs: int, image_shape: Sequence[int] | None, column_names: Sequence[str] | None
) -> tuple[int, int] | None:
    """Return the (height, width) of the image that a row of inputs is, or None if it is no image.

    Without `image_shape`, inputs are taken for an image if they have no names and their number is a square of 16 or
    more.

    Raises
    ------
    ValueError
        If `image_shape` is not a height and a width, or has a different number of pixels.
    """
    if image_shape is not None:
        shape = tuple(image_shape)
        if len(shape) != 2 or not all(isinstance(side, int | np.integer) and side > 0 for side in shape):
            raise ValueError(f"image_shape must be a height and a width, got {image_shape!r}")
        if shape[0] * shape[1] != n_inputs:
            raise ValueError(f"image_shape must have {n_inputs} pixels, one for each input, got {shape}")
        return int(shape[0]), int(shape[1])
    side = math.isqrt(n_inputs)
    if column_names is not None or side < MIN_IMAGE_SIDE or side * side != n_inputs:
        return None
    return side, side


def names_or_numbers(names: Sequence[str] | None, n: int, argument: str, max_length: int = 24) -> list[str]:
    """Return the first `n` names, shortened to `max_length` characters, or the numbers from 0 if there are none."""
    if names is None:
        return [str(index) for index in range(n)]
    if len(names) < n:
        raise ValueError(f"{argument} must hold {n} names, got {len(names)}")
    return [plain(name, max_length) for name in names[:n]]
