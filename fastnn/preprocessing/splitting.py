"""Splitting examples into training and test sets."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FEWEST = 25
"""Rows of a table below which none are set aside to choose the best epoch."""


def train_test_split(
    X: ArrayLike,
    y: ArrayLike,
    *,
    test_fraction: float = 0.2,
    seed: int | np.random.Generator | None = 0,
    stratify: bool = False,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Shuffle the examples and split them into a training and a test set.

    Parameters
    ----------
    X : array_like, shape (n, ...)
        One example per row.
    y : array_like, shape (n, ...)
        Their targets.
    test_fraction : float, default 0.2
        Fraction of the examples in the test set, between 0 and 1. Their number is rounded to the nearest integer, but
        neither set is left empty.
    seed : int, numpy.random.Generator or None, default 0
        The same integer gives the same split; None gives a different one each time.
    stratify : bool, default False
        Split each class separately, so that both sets have every class in the same proportion; `y` must then be labels
        of shape (n,).

    Returns
    -------
    X_train, X_test, y_train, y_test : ndarray
        New arrays, their rows in random order.

    Raises
    ------
    TypeError
        If `test_fraction` is not a number, or `seed` is neither an integer, a generator nor None.
    ValueError
        If `X` and `y` differ in length, there are fewer than two examples (of a class, with `stratify`),
        `test_fraction` is not between 0 and 1, `seed` is negative, or `y` is not one-dimensional with `stratify`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.preprocessing import train_test_split
    >>> X, y = np.arange(20).reshape(10, 2), np.repeat([0, 1], 5)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=True)
    >>> X_train.shape, X_test.shape, sorted(y_test.tolist())
    ((8, 2), (2, 2), [0, 1])
    """
    examples, targets = np.asarray(X), np.asarray(y)
    if examples.ndim == 0 or targets.ndim == 0:
        raise ValueError(f"X and y must be arrays of examples, got shapes {examples.shape} and {targets.shape}")
    n = len(examples)
    if len(targets) != n:
        raise ValueError(f"X and y must have one row per example, got {n} and {len(targets)} rows")
    if isinstance(test_fraction, bool) or not isinstance(test_fraction, Real):
        raise TypeError(f"test_fraction must be a number, got {type(test_fraction).__name__}")
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction must lie between 0 and 1, got {test_fraction}")
    if stratify and targets.ndim != 1:
        raise ValueError(f"y must have shape (n,) to stratify, got {targets.shape}")

    if stratify:
        classes, groups, counts = np.unique(targets, return_inverse=True, return_counts=True)
    else:
        classes, groups, counts = None, np.zeros(n, np.intp), np.array([n])
    small = np.flatnonzero(counts < 2)
    if small.size:
        of_class = "" if classes is None else f" of class {classes[small[0]]}"
        raise ValueError(f"a split needs at least two examples{of_class}, got {counts[small[0]]}")
    n_test = np.clip(np.rint(counts * float(test_fraction)).astype(np.intp), 1, counts - 1)

    order = np.random.default_rng(seed).permutation(n)
    by_group = np.argsort(groups[order], kind="stable")
    place_in_group = np.empty(n, np.intp)
    place_in_group[by_group] = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    is_test = place_in_group < n_test[groups[order]]
    train, test = order[~is_test], order[is_test]
    return examples[train], examples[test], targets[train], targets[test]


def split_at_random(
    rows: NDArray[Any], labels: NDArray[Any] | None, share: float, seed: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Split the numbers of rows at random, in the proportions of the classes where each has two rows or more.

    Parameters
    ----------
    rows : ndarray of int
        At least two.
    labels : ndarray of int or None
        The class of each row of the table; None for quantities.
    share : float
        Part that the second array gets.
    seed : int
    """
    here = np.zeros(len(rows), np.int64) if labels is None else labels[rows]
    counts = np.unique(here, return_counts=True)[1]
    first, second, *_ = train_test_split(
        rows, here, test_fraction=share, seed=seed, stratify=bool(labels is not None and counts.min() >= 2)
    )
    return first, second
