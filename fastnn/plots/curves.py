"""Curves: loss and accuracy by epoch, a learned function of one input, and a learning-rate search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .canvas import new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..network import Network
    from ..training.lr_finder import RateSearch

LOG_SPAN = 30
"""Factor of change beyond which a loss is drawn on a logarithmic scale."""

MIN_ACCURACY_SPAN = 0.02
"""Least height of the scale of accuracies."""

TRAINING, VALIDATION = "tab:blue", "tab:orange"


def learning_curves(history: Mapping[str, Sequence[float]], *, loss_label: str = "loss") -> Figure:
    """Plot the loss and, if there is one, the accuracy of each epoch, in training and on the validation data.

    The scale of the accuracies is that of the later epochs; the curves of the first ones may begin below it.

    Parameters
    ----------
    history : History
        What `Network.fit` returned, or any mapping that has its columns.
    loss_label : str, default "loss"
        Label of the loss axis.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the history has no epoch.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = learning_curves({"loss": [0.9, 0.4], "accuracy": [0.5, 0.8]})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss', 'accuracy']
    """
    if not len(history.get("loss", ())):
        raise ValueError("history must hold at least one epoch, got none")
    kinds = [("loss", loss_label)]
    if "accuracy" in history or "val_accuracy" in history:
        kinds.append(("accuracy", "accuracy"))
    figure = new_figure(4.8 * len(kinds), 3.6, layout="constrained")
    for axes, (kind, label) in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        curves = {"training": history.get(kind, ()), "validation": history.get(f"val_{kind}", ())}
        _draw_curves(axes, curves)
        axes.set_ylabel(plain(label))
        if kind == "loss":
            _set_loss_scale(axes, curves)
        else:
            _set_accuracy_scale(axes, curves)
    return figure


def _draw_curves(axes: Axes, curves: Mapping[str, Sequence[float]]) -> None:
    """Draw one line for each curve that has values, over the epochs from 1."""
    from matplotlib.ticker import MaxNLocator

    for colour, (name, values) in zip((TRAINING, VALIDATION), curves.items(), strict=True):
        if len(values):
            epochs = np.arange(1, len(values) + 1)
            axes.plot(epochs, values, color=colour, label=name, marker="o" if len(values) < 10 else None)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def _set_loss_scale(axes: Axes, curves: Mapping[str, Sequence[float]]) -> None:
    """Make the scale logarithmic if the losses change by a large factor."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    finite = [value for values in curves.values() for value in values if np.isfinite(value)]
    if not finite or not 0 < LOG_SPAN * min(finite) < max(finite):
        return
    axes.set_yscale("log")
    digits = (1, 2, 5) if max(finite) < 1e3 * min(finite) else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=digits))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _set_accuracy_scale(axes: Axes, curves: Mapping[str, Sequence[float]]) -> None:
    """Fit the scale to the epochs after the first tenth, so that these do not squeeze all others together."""
    later = [value for values in curves.values() for value in values[len(values) // 10 :] if np.isfinite(value)]
    if later:
        high = max(later)
        low = min(*later, high - MIN_ACCURACY_SPAN)
        margin = 0.05 * (high - low)
        axes.set_ylim(low - margin, high + margin)


def fitted_curve(
    net: Network,
    X: Any,
    y: Any,
    *,
    input_name: str = "input",
    output_name: str = "output",
    predict: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Figure:
    """Plot the function that a network of one input and one output has learned, over the data.

    Parameters
    ----------
    net : Network
        The network. Its scaler, if it has one, is applied.
    X : array_like, (n, 1) or (n,)
        Inputs, not scaled.
    y : array_like, (n,) or (n, 1)
        Their targets.
    input_name, output_name : str
        Labels of the axes.
    predict : callable, optional
        Return the values, (n,), of inputs, (n, 1): `TableModel.predict`, whose preprocessing the network lacks.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the network has more inputs or outputs, or `X` and `y` differ in length or are empty.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([1, 8, 1], activation=["tanh", "identity"], seed=0)
    >>> figure = fitted_curve(net, [0.0, 1.0, 2.0], [1.0, 2.0, 4.0])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['data', 'network']
    """
    if (net.sizes[0], net.sizes[-1]) != (1, 1):
        raise ValueError(f"net must have one input and one output, got sizes {list(net.sizes)}")
    inputs, targets = np.asarray(X, np.float64).ravel(), np.asarray(y, np.float64).ravel()
    if inputs.size != targets.size or not inputs.size:
        raise ValueError(f"X and y must be of the same length and not empty, got {inputs.size} and {targets.size}")
    margin = 0.02 * np.ptp(inputs)
    grid = np.linspace(inputs.min() - margin, inputs.max() + margin, 500).reshape(-1, 1)
    if predict is None:
        curve = net.predict(grid if net.scaler is None else net.scaler.transform(grid))
    else:
        curve = np.asarray(predict(grid)).reshape(-1, 1)
    figure = new_figure(6.4, 4.4, layout="constrained")
    axes = figure.subplots()
    size = float(np.clip(2000 / inputs.size, 3, 25))
    axes.scatter(inputs, targets, s=size, color=TRAINING, alpha=0.6, linewidths=0, label="data")
    axes.plot(grid[:, 0], curve[:, 0], color=VALIDATION, linewidth=2, label="network")
    axes.set_xlabel(plain(input_name))
    axes.set_ylabel(plain(output_name))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def rate_search(search: RateSearch) -> Figure:
    """Plot the loss over the learning rate in a search by `Network.find_learning_rate`, with its suggestion.

    Parameters
    ----------
    search : RateSearch
        What `find_learning_rate` returned.

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
    >>> X, y = fastnn.datasets.load_digits()
    >>> net = fastnn.Network([64, 10], activation="softmax", loss="cross_entropy", input_scale=1 / 16, seed=0)
    >>> rate_search(net.find_learning_rate(X, y)).axes[0].get_xlabel()
    'learning rate'
    """
    figure = new_figure(6.4, 4.4, layout="constrained")
    axes = figure.subplots()
    axes.plot(search.learning_rates, search.losses, color=TRAINING, alpha=0.35, linewidth=1, label="batches")
    axes.plot(search.learning_rates, search.smoothed, color=TRAINING, linewidth=2, label="running mean")
    axes.axvline(search.suggestion, color=VALIDATION, linestyle="--", label=f"suggestion {search.suggestion:.2g}")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    top = 1.5 * float(np.max(search.smoothed[: int(np.argmin(search.smoothed)) + 1]))
    axes.set_ylim(0, top)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure
