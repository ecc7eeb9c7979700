"""A drawing as the pixels of a data set: cut out, scaled and centred as its digits are."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 112
"""Pixels of a drawing in each direction, as the page sends it."""

INK = 0.1
"""Share of full ink from which a pixel belongs to what is drawn."""


def parse_drawing(text: Any) -> NDArray[np.float64]:
    """Return a drawing, (SIDE, SIDE) from 0 to 1, of its bytes in base64, row by row.

    Raises
    ------
    ValueError
        If it is no drawing.
    """
    if not isinstance(text, str):
        raise ValueError(f"drawing must be a text in base64, got {type(text).__name__}")
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("drawing must be in base64") from None
    if len(content) != SIDE * SIDE:
        raise ValueError(f"drawing must have {SIDE} x {SIDE} bytes, got {len(content)}")
    return np.frombuffer(content, np.uint8).reshape(SIDE, SIDE) / 255.0


@dataclass(frozen=True)
class Frame:
    """Where an image lies on a drawing, in pixels of the drawing; `scale` of them are one of the image."""

    top: float
    left: float
    scale: float


def frame_of(drawing: NDArray[np.float64], shape: tuple[int, int]) -> Frame | None:
    """Return the frame in which what is drawn has the size and place that digits have in the data.

    Parameters
    ----------
    drawing : ndarray, (height, width)
        From 0 (background) to 1 (ink).
    shape : (height, width)
        Of the image.

    Returns
    -------
    Frame or None
        In small images, up to 16 pixels, digits have the full height or width and their box is in the middle, as in
        the UCI digits; in larger ones 20/28 of it, and their centre of mass is in the middle, as in MNIST
        (http://yann.lecun.com/exdb/mnist). None if nothing is drawn.
    """
    rows, columns = np.nonzero(drawing > INK)
    if not len(rows):
        return None
    box = np.array([[rows.min(), rows.max() + 1], [columns.min(), columns.max() + 1]], np.float64)
    small = max(shape) <= 16
    share = 1.0 if small else 20 / 28
    scale = float(((box[:, 1] - box[:, 0]) / (share * np.array(shape))).max())  # pixels of the drawing in one of shape
    centre = box.mean(axis=1) if small else _centre_of_mass(drawing)
    top, left = centre - scale * np.array(shape) / 2
    return Frame(float(top), float(left), scale)


def as_image(drawing: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return what is drawn as an image of the data, (height, width) from 0 to 1; see `frame_of`."""
    frame = frame_of(drawing, shape)
    if frame is None:
        return np.zeros(shape)
    by_row = _overlaps(shape[0], frame.top, frame.scale, drawing.shape[0])
    by_column = _overlaps(shape[1], frame.left, frame.scale, drawing.shape[1])
    image: NDArray[np.float64] = np.clip(by_row @ drawing @ by_column.T, 0, 1)
    return image


def _centre_of_mass(drawing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centre of mass, in pixels from the upper left corner."""
    by_axis = [drawing.sum(axis=1), drawing.sum(axis=0)]
    return np.array([float(np.average(np.arange(len(mass)) + 0.5, weights=mass)) for mass in by_axis])


def _overlaps(n_out: int, start: float, scale: float, n_in: int) -> NDArray[np.float64]:
    """Return the share of each output pixel that each input pixel covers, (n_out, n_in).

    Output pixels are `scale` input pixels wide; the first begins at `start`.
    """
    edges = start + scale * np.arange(n_out + 1)
    low, high = edges[:-1, np.newaxis], edges[1:, np.newaxis]
    pixels = np.arange(n_in)
    covered: NDArray[np.float64] = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)
    return covered / scale


def enlarged(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an image as a drawing, (SIDE, SIDE), between its pixels interpolated linearly."""
    return _between(image.shape[0]) @ image @ _between(image.shape[1]).T


def _between(n: int) -> NDArray[np.float64]:
    """Return the weights, (SIDE, n), of n pixels' centres in a row of SIDE."""
    places = np.clip((np.arange(SIDE) + 0.5) * n / SIDE - 0.5, 0, n - 1)
    weights: NDArray[np.float64] = np.clip(1 - np.abs(places[:, np.newaxis] - np.arange(n)), 0, 1)
    return weights
