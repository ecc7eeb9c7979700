"""Curves: the course of a training, and a function of one number that a network has learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .canvas import new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..network import Network
    from ..training.lr_finder import RateSearch

LOG_SPAN = 30
"""A loss that falls by more than this factor is drawn on a logarithmic scale."""

TRAINING, VALIDATION = "tab:blue", "tab:orange"


def learning_curves(history: Mapping[str, Sequence[float]], *, loss_label: str = "loss") -> Figure:
    """Loss and, where there is one, accuracy of each epoch, in training and on the validation data.

    Parameters
    ----------
    history : History
        What `Network.fit` returned, or any mapping with its columns.
    loss_label : str, default "loss"
        Name of the vertical axis of the losses.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the history has no epoch.
    ImportError
        Without matplotlib.

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
        shown = {"training": history.get(kind, ()), "validation": history.get(f"val_{kind}", ())}
        _draw_course(axes, shown)
        axes.set_ylabel(plain(label))
        if kind == "loss":
            _logarithmic_where_it_falls_far(axes, [value for part in shown.values() for value in part])
    return figure


def _draw_course(axes: Axes, shown: Mapping[str, Sequence[float]]) -> None:
    """One line for each part that has values, the epochs counted from 1."""
    from matplotlib.ticker import MaxNLocator

    for colour, (name, values) in zip((TRAINING, VALIDATION), shown.items(), strict=True):
        if len(values):
            epochs = np.arange(1, len(values) + 1)
            axes.plot(epochs, values, color=colour, label=name, marker="o" if len(values) < 10 else None)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def _logarithmic_where_it_falls_far(axes: Axes, values: Sequence[float]) -> None:
    finite = [value for value in values if np.isfinite(value)]
    if finite and 0 < LOG_SPAN * min(finite) < max(finite):
        axes.set_yscale("log")


def fitted_curve(net: Network, X: Any, y: Any, *, input_name: str = "input", output_name: str = "output") -> Figure:
    """The function that a network of one input and one output has learned, over the data.

    Parameters
    ----------
    net : Network
        The network; its scaler, where it has one, is applied.
    X : array_like, (n, 1) or (n,)
        Inputs before any scaling.
    y : array_like, (n,) or (n, 1)
        Their targets.
    input_name, output_name : str
        Names of the axes.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the network has more inputs or outputs, or the data do not fit it.
    ImportError
        Without matplotlib.

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
    curve = net.predict(grid if net.scaler is None else net.scaler.transform(grid))
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
    """The course of `Network.find_learning_rate`: loss over learning rate, the suggestion marked.

    Parameters
    ----------
    search : RateSearch
        What it returned.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        Without matplotlib.

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
