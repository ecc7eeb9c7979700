"""Images as they are, or as a training sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..checks import check_int
from .canvas import image_shape_of, sheet_of_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike


def image_sheet(
    X: ArrayLike,
    *,
    image_shape: Sequence[int] | None = None,
    labels: Sequence[object] | None = None,
    title: str = "",
    n_columns: int | None = None,
) -> Figure:
    """Draw the rows of X as images, dark on light.

    Parameters
    ----------
    X : array_like, shape (n, height * width)
        Finite numbers, one image in a row.
    image_shape : (int, int), optional
        Height and width in pixels. None: a square.
    labels : sequence, optional
        What stands above each image.
    title : str, default ""
    n_columns : int, optional
        Images in a row. None: so many that the figure becomes about twice as wide as high.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If X is empty or not two-dimensional, its rows are no images of that shape, or there is not a label for each.

    Examples
    --------
    >>> import fastnn
    >>> X, y = fastnn.datasets.load_digits()
    >>> figure = fastnn.plots.image_sheet(X[:10], labels=y[:10], title="Digits", n_columns=5)
    """
    rows = np.asarray(X)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"X must have shape (n, height * width) and at least one row, got {rows.shape}")
    shape = image_shape_of(rows.shape[1], image_shape, None)
    if shape is None:
        raise ValueError(f"image_shape must be given: {rows.shape[1]} pixels are no square of 16 or more")
    if n_columns is not None:
        n_columns = check_int("n_columns", n_columns, 1)
    names = [""] * len(rows) if labels is None else [str(label) for label in labels]
    if len(names) != len(rows):
        raise ValueError(f"labels must have one entry for each of {len(rows)} rows, got {len(names)}")
    images = rows.reshape(-1, *shape)
    return sheet_of_images(images, names, title, longest=0.8, right=0, n_columns=n_columns, cmap="gray_r").figure
