"""How well a network tells classes apart: which ones it confuses, and its most confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .canvas import LETTER, add_scale, image_shape_of, names_or_numbers, new_figure, sheet_of_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

MAX_COUNTED_CLASSES = 40
"""Number of classes up to which a confusion matrix shows its counts."""

FAINTEST = 0.3
"""Least intensity of a count above 0 in a confusion matrix that has no numbers."""

MAX_NUMBERS = 300
"""Size up to which a table of mistakes shows its numbers."""


def brightest(outputs: Any) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the predicted label of each row of outputs, and its confidence: the largest output.

    Parameters
    ----------
    outputs : array_like, (n, n_outputs)
        What `Network.predict` returned. A single output stands for label 1 if it is 0.5 or more; the confidence of
        label 0 is one minus the output.

    Returns
    -------
    labels : ndarray of int64, (n,)
    confidence : ndarray, (n,)

    Raises
    ------
    ValueError
        If `outputs` is not two-dimensional.

    Examples
    --------
    >>> labels, confidence = brightest([[0.1, 0.9], [0.75, 0.25]])
    >>> labels.tolist(), confidence.tolist()
    ([1, 0], [0.9, 0.75])
    """
    values = np.asarray(outputs)
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"outputs must have shape (n, n_outputs), got {values.shape}")
    if values.shape[1] == 1:
        positive = values[:, 0] >= 0.5
        return positive.astype(np.int64), np.where(positive, values[:, 0], 1 - values[:, 0])
    return values.argmax(axis=1).astype(np.int64), values.max(axis=1)


def confusion_matrix(y_true: Any, y_pred: Any, class_names: Sequence[str] | None = None) -> Figure:
    """Plot how often examples of each class were predicted as each class.

    Parameters
    ----------
    y_true, y_pred : array_like of int, (n,)
        True and predicted labels, from 0.
    class_names : sequence of str, optional
        Name of each label; default the labels.

    Returns
    -------
    matplotlib.figure.Figure
        One row for each true class. Colours show fractions of the row, so that rare classes count as much as common
        ones. Above 40 classes the counts are left out, and the names of most classes.

    Raises
    ------
    ValueError
        If the labels are not integers from 0, differ in number, or exceed the names.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = confusion_matrix([0, 0, 1], [0, 1, 1], ["apple", "orange"])
    >>> figure.axes[0].get_title()
    '2 of 3 right: 66.67%'
    """
    truth = _labels("y_true", y_true)
    predicted = _labels("y_pred", y_pred)
    if truth.size != predicted.size:
        raise ValueError(f"y_true and y_pred must be of the same length, got {truth.size} and {predicted.size}")
    n_classes = max(len(class_names or ()), int(max(np.max(truth), np.max(predicted))) + 1)
    names = names_or_numbers(class_names, n_classes, "class_names")
    counts = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(counts, (truth, predicted), 1)
    figure = _matrix_figure(counts, names)
    right = int(np.trace(counts))
    figure.axes[0].set_title(f"{right:,} of {truth.size:,} right: {right / truth.size:.2%}", fontsize=11)
    return figure


def _matrix_figure(counts: NDArray[np.int64], names: Sequence[str]) -> Figure:
    n_classes = len(counts)
    with_counts = n_classes <= MAX_COUNTED_CLASSES
    side = float(np.clip(0.48 * n_classes, 2.4, 18)) if with_counts else 9.0
    figure = new_figure(side + 1.6, side + 1.6, layout="constrained")
    axes = figure.subplots()
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    intensity = np.sqrt(fractions)  # the root makes the few mistakes of a good network visible
    if not with_counts:
        intensity = np.where(counts, FAINTEST + (1 - FAINTEST) * intensity, 0)
    axes.imshow(intensity, cmap="Blues", vmin=0, vmax=1.2, interpolation="nearest")
    cell = 72 * side / n_classes  # points
    if with_counts:
        size = float(np.clip(1.4 * cell / len(f"{np.max(counts):,}"), 3, 10))
        for row, column in np.argwhere(counts):
            colour = "white" if fractions[row, column] > 0.5 else "black"
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=size)
    label_size = float(np.clip(0.6 * cell, 7, 9))
    every = max(1, int(np.ceil(1.4 * label_size / cell)))  # names that lines of text have space for
    rotation = 90 if 72 * LETTER * max(map(len, names)) > every * cell else 0
    shown = range(0, n_classes, every)
    axes.set_xticks(shown, names[::every], rotation=rotation, fontsize=label_size)
    axes.set_yticks(shown, names[::every], fontsize=label_size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure


def worst_mistakes(
    X: Any,
    y: Any,
    outputs: Any,
    image_shape: Sequence[int] | None = None,
    *,
    class_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    count: int = 24,
) -> Figure:
    """Show the most confident wrong predictions: true class → predicted class.

    Parameters
    ----------
    X : array_like, (n, n_inputs)
        Examples, not scaled.
    y : array_like of int, (n,)
        True labels.
    outputs : array_like, (n, n_outputs)
        What `Network.predict` returned.
    image_shape : (height, width), optional
        Draw each example as an image of this shape. Default: a square, if the number of inputs is a square of 16 or
        more and they have no names; otherwise one table with a row for each mistake, whose colours show how many
        standard deviations each number lies from the mean of its column.
    class_names : sequence of str, optional
        Name of each label; default the labels.
    column_names : sequence of str, optional
        Names of the inputs.
    count : int, default 24
        Largest number of mistakes.

    Returns
    -------
    matplotlib.figure.Figure
        One axes that holds an image of each mistake; or the axes of the table, then that of its scale. If there is no
        mistake, a line that says so.

    Raises
    ------
    ValueError
        If shapes, labels or names do not match.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.zeros((3, 64)), [0, 1, 1]
    >>> figure = worst_mistakes(X, y, [[0.8, 0.2], [0.7, 0.3], [0.9, 0.1]])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1 → 0: 0.900', '1 → 0: 0.700']
    """
    examples, truth = np.asarray(X), _labels("y", y)
    predicted, confidence = brightest(outputs)
    if examples.ndim != 2 or not len(examples) == truth.size == predicted.size:
        raise ValueError(
            f"X, y and outputs must have a row for each example, got shapes {examples.shape}, {truth.shape} "
            f"and {np.shape(outputs)}"
        )
    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}")
    shape = image_shape_of(examples.shape[1], image_shape, column_names)
    names = names_or_numbers(class_names, int(max(np.max(truth), np.max(predicted))) + 1, "class_names", 10)
    wrong = np.flatnonzero(predicted != truth)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    if not worst.size:
        return _message(f"No mistake among {truth.size:,} examples")
    title = f"Worst mistakes: {worst.size:,} of {wrong.size:,} (true → predicted: confidence)"
    labels = [f"{names[truth[i]]} → {names[predicted[i]]}: {confidence[i]:.3f}" for i in worst]
    if shape is not None:
        images = examples[worst].reshape(-1, *shape)
        return sheet_of_images(images, labels, title, longest=1.1, right=0, cmap="gray_r").figure
    columns = names_or_numbers(column_names, examples.shape[1], "column_names")
    return _table(examples, worst, labels, columns, title)


def _labels(name: str, values: Any) -> NDArray[np.int64]:
    labels = np.asarray(values)
    if labels.ndim != 1 or not labels.size or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(
            f"{name} must hold integer labels from 0 in shape (n,), got dtype {labels.dtype} of shape {labels.shape}"
        )
    return labels.astype(np.int64)


def _message(text: str) -> Figure:
    figure = new_figure(5, 1.2)
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


def _table(
    examples: np.ndarray, worst: np.ndarray, labels: Sequence[str], columns: Sequence[str], title: str
) -> Figure:
    values = examples.astype(np.float64)
    spread = values.std(axis=0)
    scores = (values[worst] - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    n_rows, n_columns = scores.shape
    with_numbers = scores.size <= MAX_NUMBERS
    width = float(np.clip((0.62 if with_numbers else 0.24) * n_columns, 3.5, 14)) + 3
    figure = new_figure(width, max(0.26 * n_rows + 2.2, 4.4), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(scores, cmap="RdBu_r", vmin=-3, vmax=3, aspect="auto", interpolation="nearest")
    if with_numbers:
        for (row, column), score in np.ndenumerate(scores):
            colour = "white" if abs(score) > 2 else "black"
            text = f"{values[worst[row], column]:.3g}"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    axes.set_yticks(range(n_rows), labels, fontsize=8)
    if n_columns <= 80:
        axes.set_xticks(range(n_columns), columns, rotation=90, fontsize=8)
    figure.suptitle(title, fontsize=11)
    add_scale(figure, axes, image, "standard deviations from the column's mean")
    return figure
