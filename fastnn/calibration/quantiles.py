"""The conformal correction of quantiles: a constant that is added to the output of each level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import check_levels
from ..network import Network
from .weights import checked_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray


def quantile_shifts(quantiles: Any, y: Any, levels: Any, sample_weight: Any = None) -> NDArray[np.float64]:
    """Return what must be added to predicted quantiles so that new rows lie below them as often as their levels say.

    Parameters
    ----------
    quantiles : array_like, (n, n_levels)
        Predicted for rows that were not trained on.
    y : array_like, (n,)
        The quantity of these rows.
    levels : sequence of float
        Between 0 and 1.
    sample_weight : array_like, (n,), optional
        Weight of each row.

    Returns
    -------
    ndarray of float64, (n_levels,)

    Raises
    ------
    ValueError
        If shapes do not match, or a level is so close to 0 or 1 that the rows say nothing of it: that of 0.1 takes 9
        rows, that of 0.01 takes 99.

    Notes
    -----
    The conformal correction of Romano, Patterson and Candes, "Conformalized Quantile Regression", NeurIPS 2019, with
    the two ends of a band corrected by themselves (their theorem 2): of n errors y - quantile in ascending order, the
    shift is number ceil((n + 1) q) for levels q from 0.5, and number floor((n + 1) q) below 0.5. If new rows come as
    these do, at least q lie below the shifted quantile of a level from 0.5, at most q below that of another, and a band
    between two of them holds at least the difference of their levels; of all rows, not of every kind of row.

    With weights, rows count as often as their weights say, and the new row has their mean.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> y = np.arange(1.0, 20.0)
    >>> fastnn.calibration.quantile_shifts(np.zeros((19, 2)), y, [0.1, 0.9]).tolist()
    [2.0, 18.0]
    """
    table, truth, checked = np.asarray(quantiles, np.float64), np.asarray(y, np.float64), check_levels("levels", levels)
    if truth.ndim != 1 or not len(truth) or table.shape != (len(truth), len(checked)):
        raise ValueError(
            f"quantiles must have a row for each of y and a column for each of {len(checked)} levels, got shapes "
            f"{table.shape} and {truth.shape}"
        )
    if not np.isfinite(table).all() or not np.isfinite(truth).all():
        raise ValueError("quantiles and y must be finite")
    weight = np.ones(len(truth)) if sample_weight is None else checked_weight(sample_weight, len(truth))
    errors = truth[:, np.newaxis] - table
    shifts = [
        _error_at(errors[:, j], level, weight) if level >= 0.5 else -_error_at(-errors[:, j], 1 - level, weight)
        for j, level in enumerate(checked)
    ]
    for level, shift in zip(checked, shifts, strict=True):
        if not np.isfinite(shift):
            outer = max(level, 1 - level)
            raise ValueError(
                f"a quantile of level {level:g} takes at least {int(np.ceil(outer / (1 - outer) - 1e-9)):,} rows that "
                f"were not trained on to be calibrated, got {np.count_nonzero(weight):,}"
            )
    return np.array(shifts)


def _error_at(errors: NDArray[np.float64], level: float, weight: NDArray[np.float64]) -> float:
    """Return the smallest error at or below which a share `level` of the rows and an infinite one lies."""
    order = np.argsort(errors, kind="stable")
    sums = np.cumsum(weight[order])
    mean = sums[-1] / np.count_nonzero(weight)
    share = level * (sums[-1] + mean) * (1 - 1e-12)  # 0.9 of 10 rows are 9, not a rounding more
    place = int(np.searchsorted(sums, share))
    return float(errors[order[place]]) if place < len(errors) else np.inf


def with_shifts(net: Network, shifts: Any) -> Network:
    """Return a copy of a network with a constant added to each output, which its last biases take up.

    Parameters
    ----------
    net : Network
        With "identity" outputs.
    shifts : array_like, (n_outputs,)
        In units of the outputs, such as `quantile_shifts` returns.

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If the outputs are not "identity", or `shifts` are not a finite number for each.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([1, 2], activation="identity", init="zeros", seed=0)
    >>> fastnn.calibration.with_shifts(net, [-1.0, 2.0]).predict([[0.0]]).tolist()
    [[-1.0, 2.0]]
    """
    added = np.asarray(shifts, np.float64)
    if net.activation[-1] != "identity":
        raise ValueError(f"shifts are added to 'identity' outputs, got {net.activation[-1]!r}")
    if added.shape != (net.sizes[-1],) or not np.isfinite(added).all():
        raise ValueError(f"shifts must be {net.sizes[-1]} finite numbers, one for each output, got {shifts!r:.200}")
    copy = net.copy()
    copy.biases[-1][...] += added.astype(net.dtype)
    return copy
