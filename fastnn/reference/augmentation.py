"""Distorted images: where each pixel is read from, and what is read there."""

from __future__ import annotations

import numpy as np

from .activations import Array


def smooth_field(field: Array, sigma: float) -> Array:
    """Return the field convolved with a Gaussian of this standard deviation, cut at four, 0 being outside."""
    radius = int(4 * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    for axis in (0, 1):
        moved = np.moveaxis(np.pad(field, [(radius, radius) if i == axis else (0, 0) for i in (0, 1)]), axis, 0)
        n = field.shape[axis]
        field = np.moveaxis(sum(tap * moved[t : t + n] for t, tap in enumerate(taps)), 0, axis)
    return field


def read_bilinear(image: Array, at_y: Array, at_x: Array, background: float = 0.0) -> Array:
    """Return the image at these places between its pixels, `background` being outside."""
    height, width = image.shape
    bordered = np.full((height + 3, width + 3), background, image.dtype)
    bordered[1 : height + 1, 1 : width + 1] = image
    y, x = np.clip(at_y + 1, 0, height + 1), np.clip(at_x + 1, 0, width + 1)
    row, column = y.astype(int), x.astype(int)
    below, right = y - row, x - column
    upper = (1 - right) * bordered[row, column] + right * bordered[row, column + 1]
    lower = (1 - right) * bordered[row + 1, column] + right * bordered[row + 1, column + 1]
    return (1 - below) * upper + below * lower


def distort_image(image: Array, matrix: Array, shift: Array, displacement: Array, background: float = 0.0) -> Array:
    """Return pixel p = image at c + matrix (p - c) + shift + displacement(p), c being the centre.

    Parameters
    ----------
    image : ndarray, (height, width)
    matrix : ndarray, (2, 2)
        Of (y, x).
    shift : ndarray, (2,)
    displacement : ndarray, (2, height, width)
        alpha times the smoothed field of each axis.
    background : float, default 0
    """
    center = (np.array(image.shape) - 1) / 2
    offset = np.indices(image.shape) - center[:, None, None]
    at = (center + shift)[:, None, None] + np.tensordot(matrix, offset, 1) + displacement
    return read_bilinear(image, at[0], at[1], background)
