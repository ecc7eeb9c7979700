"""Figures of what a model has learned: importance of columns, partial dependence, gradients of inputs, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import check_int
from .canvas import add_scale, image_shape_of, names_or_numbers, new_figure, plain, sheet_of_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..calibration import Reliability
    from ..inspection import Importance, PartialDependence
    from ..network import Network

BAR, OTHER = "tab:blue", "0.5"
FULL_COLOUR = 99.5
"""Percentile of the magnitudes that gets the full colour."""

UNITS = {"accuracy": "loss of accuracy", "r2": "loss of R2", "log_loss": "more log loss"}


def importance(importance: Importance, *, max_columns: int = 25) -> Figure:
    """Draw how much worse a model does without each column, as bars with the deviation over the repeats.

    Parameters
    ----------
    importance : Importance
        What `fastnn.inspection.permutation_importance` returned.
    max_columns : int, default 25
        Columns that are drawn, the most important first.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> found = fastnn.inspection.Importance(("age", "size"), np.array([[0.1, 0.3], [0.0, 0.0]]), 0.9, "accuracy")
    >>> [label.get_text() for label in importance(found).axes[0].get_yticklabels()]
    ['age', 'size']
    """
    if max_columns < 1:
        raise ValueError(f"max_columns must be 1 or more, got {max_columns}")
    shown = importance.order[:max_columns]
    figure = new_figure(6.4, 1.2 + 0.26 * len(shown), layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(shown)), importance.mean[shown], xerr=importance.std[shown], color=BAR, height=0.65)
    axes.set_yticks(range(len(shown)), [plain(importance.names[i], 32) for i in shown], fontsize=9)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set_xlabel(UNITS.get(importance.metric, f"change of {plain(importance.metric)}") + " when exchanged")
    axes.grid(axis="x", alpha=0.3)
    left_out = len(importance.names) - len(shown)
    more = f"; {left_out} less important ones left out" if left_out else ""
    axes.set_title(
        f"Importance of {len(shown)} columns{more}" if left_out else "Importance of the columns", fontsize=11
    )
    return figure


def partial_dependence(dependence: PartialDependence, *, outputs: Sequence[int] | None = None) -> Figure:
    """Draw a model's average answer over the values of a column, or as colours over those of two.

    Parameters
    ----------
    dependence : PartialDependence
        What `fastnn.inspection.partial_dependence` returned.
    outputs : sequence of int, optional
        The classes or quantities that are drawn. Default: all up to eight, of two classes the second; over two columns
        the last.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> found = fastnn.inspection.PartialDependence(
    ...     ("age",), (np.array([1.0, 2.0]),), (None,), np.array([[0.1], [0.4]]), ("risk",)
    ... )
    >>> partial_dependence(found).axes[0].get_ylabel()
    'risk'
    """
    n_outputs = len(dependence.output_names)
    if outputs is None:
        outputs = [1] if n_outputs == 2 else range(min(n_outputs, 8))
    chosen = [int(number) for number in outputs]
    if not chosen or not all(0 <= number < n_outputs for number in chosen):
        raise ValueError(f"outputs must be numbers from 0 to {n_outputs - 1}, got {list(outputs)}")
    if len(dependence.grids) == 2:
        return _dependence_map(dependence, chosen[-1])
    figure = new_figure(6.4, 4.0, layout="constrained")
    axes = figure.subplots()
    grid, levels = dependence.grids[0], dependence.levels[0]
    for number in chosen:
        values, label = dependence.values[:, number], plain(dependence.output_names[number], 24)
        if levels is None:
            axes.plot(grid, values, label=label, marker="o" if len(grid) < 10 else None)
        else:
            offset = 0.8 * (chosen.index(number) - (len(chosen) - 1) / 2) / len(chosen)
            axes.bar(grid + offset, values, 0.8 / len(chosen), label=label)
    if levels is not None:
        axes.set_xticks(
            grid, [plain(level, 18) for level in levels], rotation=30 if len(levels) > 4 else 0, ha="center"
        )
    axes.set_xlabel(plain(dependence.names[0]))
    axes.set_ylabel(plain(dependence.output_names[chosen[0]]) if len(chosen) == 1 else "mean output")
    axes.grid(alpha=0.3)
    if len(chosen) > 1:
        axes.legend(frameon=False, fontsize=8)
    return figure


def _dependence_map(dependence: PartialDependence, output: int) -> Figure:
    figure = new_figure(6.4, 4.8, layout="constrained")
    axes = figure.subplots()
    values = dependence.values[:, :, output].T
    image = axes.pcolormesh(*dependence.grids, values, shading="nearest", cmap="viridis")
    for axis, name, place, levels in zip(
        (axes.xaxis, axes.yaxis), dependence.names, dependence.grids, dependence.levels, strict=True
    ):
        axis.set_label_text(plain(name))
        if levels is not None:
            axis.set_ticks(place, [plain(level, 18) for level in levels])
    figure.colorbar(image, ax=axes, label=plain(dependence.output_names[output]))
    return figure


def input_gradients(
    net: Network,
    X: Any,
    *,
    output: Any = None,
    image_shape: Sequence[int] | None = None,
    column_names: Sequence[str] | None = None,
    max_rows: int = 40,
) -> Figure:
    """Draw how an output changes with each input of each row: red where it grows with the input, blue where it falls.

    Parameters
    ----------
    net : Network
    X : array_like, (n, n_inputs)
        Examples, one in a row.
    output : int or array_like of int, optional
        The output, one for all rows or one for each. Default: the answer of each row.
    image_shape : (height, width), optional
        Draw each row as an image of this shape. Default: a square, if the number of inputs is a square of 16 or more
        and they have no names; otherwise one heat map.
    column_names : sequence of str, optional
        Names of the inputs; default those that the network carries.
    max_rows : int, default 40
        Rows that are drawn, the first ones.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        As `Network.input_gradients`.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import fastnn
    >>> X, y = fastnn.datasets.load_digits()
    >>> net = fastnn.Network([64, 10], activation="softmax", loss="cross_entropy", input_scale=1 / 16, seed=0)
    >>> len(input_gradients(net, X[:5]).axes[0].images)
    5
    """
    if max_rows < 1:
        raise ValueError(f"max_rows must be 1 or more, got {max_rows}")
    rows = np.asarray(X)[:max_rows]
    if output is None:
        outputs = net.classify(rows) if net.sizes[-1] > 1 else np.zeros(len(rows), np.int64)
    else:
        outputs = np.broadcast_to(np.atleast_1d(output)[:max_rows], (len(rows),))
    gradients = net.input_gradients(rows, output=outputs).astype(np.float64)
    if not len(rows):
        raise ValueError("X must have at least one row, got 0")
    names = net.column_names if column_names is None else column_names
    shape = image_shape_of(gradients.shape[1], image_shape, names)
    answers = names_or_numbers(net.class_names and list(map(str, net.class_names)), net.sizes[-1], "class_names", 12)
    labels = [answers[number] for number in outputs]
    title = "Gradient of an output with respect to each input"
    if shape is not None:
        largest = np.abs(gradients).max(axis=1, keepdims=True)
        images = (gradients / np.where(largest > 0, largest, 1)).reshape(-1, *shape)
        look: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1}
        return sheet_of_images(images, labels, title + ", each row's own scale", longest=1.1, right=0, **look).figure
    width = float(np.clip(0.24 * gradients.shape[1], 3.5, 14)) + 3
    figure = new_figure(width, max(0.24 * len(rows) + 2.2, 4.0), layout="constrained")
    axes = figure.subplots()
    limit = float(np.percentile(np.abs(gradients), FULL_COLOUR)) or 1.0
    image = axes.imshow(gradients, aspect="auto", interpolation="nearest", cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.set_yticks(range(len(rows)), [f"{i}: {label}" for i, label in enumerate(labels)], fontsize=8)
    if gradients.shape[1] <= 80:
        columns = names_or_numbers(names, gradients.shape[1], "column_names")
        axes.set_xticks(range(gradients.shape[1]), columns, rotation=90, fontsize=8)
    axes.set_ylabel("row: output")
    figure.suptitle(title, fontsize=11)
    add_scale(figure, axes, image, "gradient")
    return figure


def reliability(reliability: Reliability) -> Figure:
    """Draw how often answers of a confidence are right, beside the diagonal of perfect calibration.

    Parameters
    ----------
    reliability : Reliability
        What `fastnn.calibration.reliability` returned.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import fastnn
    >>> found = fastnn.calibration.reliability([[0.25, 0.75], [0.25, 0.75]], [1, 0])
    >>> reliability(found).axes[0].get_xlabel()
    'confidence'
    """
    figure = new_figure(4.8, 4.4, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=OTHER, linestyle="--", linewidth=1, label="perfect")
    sizes = 15 + 300 * reliability.counts / reliability.counts.max()
    axes.plot(reliability.confidence, reliability.accuracy, color=BAR, alpha=0.5)
    axes.scatter(reliability.confidence, reliability.accuracy, s=sizes, color=BAR, alpha=0.7, linewidths=0)
    low = max(0.0, min(float(reliability.confidence.min()), float(reliability.accuracy.min())) - 0.05)
    axes.set(xlim=(low, 1.02), ylim=(low, 1.02), xlabel="confidence", ylabel="fraction right")
    error = reliability.expected_calibration_error
    axes.set_title(f"Calibration: expected error {error:.4f}", fontsize=11)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
    return figure


def residuals(y: Any, predicted: Any, *, name: str = "target", max_points: int = 3000) -> Figure:
    """Draw predictions of a quantity beside the real values, and how their differences are spread.

    Parameters
    ----------
    y : array_like, (n,)
        The real values.
    predicted : array_like, (n,)
        The predictions, in the same units.
    name : str, default "target"
        What is predicted.
    max_points : int, default 3000
        Most points; of more rows some are drawn at random, always the same. The spread is that of all.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the lengths differ, or there are no rows.

    Examples
    --------
    >>> residuals([1.0, 2.0, 4.0], [1.5, 2.0, 3.0], name="price").axes[0].get_xlabel()
    'price'
    """
    real, answers = (np.asarray(values, np.float64).ravel() for values in (y, predicted))
    if len(real) != len(answers) or not len(real):
        raise ValueError(f"y and predicted must have the same length, at least 1; got {len(real)} and {len(answers)}")
    check_int("max_points", max_points, 1)
    shown = np.random.default_rng(0).permutation(len(real))[:max_points]
    figure = new_figure(9.0, 4.2, layout="constrained")
    beside, spread = figure.subplots(1, 2)
    ends = [min(real.min(), answers.min()), max(real.max(), answers.max())]
    beside.plot(ends, ends, color=OTHER, linestyle="--", linewidth=1, label="perfect")
    beside.scatter(real[shown], answers[shown], s=8, color=BAR, alpha=0.4, linewidths=0)
    beside.set(xlabel=plain(name), ylabel=f"predicted {plain(name)}")
    beside.legend(frameon=False, loc="upper left")
    spread.hist(answers - real, bins=40, color=BAR)
    spread.axvline(0, color=OTHER, linestyle="--", linewidth=1)
    spread.set(xlabel="predicted minus real", ylabel="rows")
    for axes in (beside, spread):
        axes.grid(alpha=0.3)
    return figure
