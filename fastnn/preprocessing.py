"""What data need before a network sees them: scaling, one-hot rows, and a part set aside for testing."""

import math
from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnn.errors import FileFormatError

__all__ = ["MinMaxScaler", "StandardScaler", "one_hot", "scaler_from_state", "train_test_split"]

_STATE_KEYS = {
    "minmax": ("feature_range", "minimum", "maximum"),
    "standard": ("mean", "std"),
}


class _Scaler(ABC):
    """Z = (X - centre) / spread * gain + offset, column by column; the subclasses say what these are."""

    def fit(self, X: ArrayLike) -> Self:
        """Take the statistics of each column; those of an earlier fit are forgotten.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            The training data: finite numbers, at least one row and one column.

        Returns
        -------
        self
            The scaler, fitted.

        Raises
        ------
        TypeError
            If `X` does not hold real numbers.
        ValueError
            If `X` is not two-dimensional, is empty, holds NaN or infinity, or has a column whose spread
            float64 cannot hold.
        """
        table = _check_table(X, "X")
        if not table.size:
            raise ValueError(f"X must have at least one row and one column, got shape {table.shape}")
        self._take_statistics(table)
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Scale data with the statistics taken by `fit`.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Finite numbers, with as many columns as the data given to `fit`.

        Returns
        -------
        ndarray, shape (n, n_features)
            A new array: float32 if `X` is float32, float64 otherwise. Columns that were constant in `fit`
            carry nothing to learn from and become the offset (the lower end of the range, or 0) whatever
            they hold now.

        Raises
        ------
        TypeError
            If `X` does not hold real numbers.
        ValueError
            If the scaler is not fitted, or `X` has another number of columns, NaN or infinity.
        """
        centre, spread, gain, offset = self._affine()
        table = _check_table(X, "X", n_features=centre.size)
        constant = spread == 0
        Z = np.empty(table.shape, _float_type(table))
        np.subtract(table, centre, out=Z, dtype=np.float64)
        np.divide(Z, np.where(constant, 1.0, spread), out=Z, dtype=np.float64)
        Z *= gain
        Z += offset
        Z[:, constant] = offset
        return Z

    def fit_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Do `fit(X)`, then `transform(X)`, with the same parameters, result and errors."""
        return self.fit(X).transform(X)

    def inverse_transform(self, Z: ArrayLike) -> NDArray[Any]:
        """Undo `transform`.

        Parameters
        ----------
        Z : array_like, shape (n, n_features)
            Scaled data: finite numbers.

        Returns
        -------
        ndarray, shape (n, n_features)
            A new array: float32 if `Z` is float32, float64 otherwise. Columns that were constant in `fit`
            get their constant back.

        Raises
        ------
        TypeError
            If `Z` does not hold real numbers.
        ValueError
            If the scaler is not fitted, or `Z` has another number of columns, NaN or infinity.
        """
        centre, spread, gain, offset = self._affine()
        table = _check_table(Z, "Z", n_features=centre.size)
        X = np.empty(table.shape, _float_type(table))
        np.subtract(table, offset, out=X, dtype=np.float64)
        np.multiply(X, spread / gain, out=X, dtype=np.float64)
        np.add(X, centre, out=X, dtype=np.float64)
        return X

    @abstractmethod
    def _take_statistics(self, X: NDArray[Any]) -> None:
        """Set the statistics, or raise with the old ones untouched."""

    @abstractmethod
    def _affine(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
        """Return centre, spread, gain and offset, or raise if not fitted."""

    def _not_fitted(self) -> ValueError:
        return ValueError(f"this {type(self).__name__} is not fitted: call fit(X) on the training data first")


class MinMaxScaler(_Scaler):
    """Scale each column so that its smallest and largest training values become the ends of a range.

    A column that is constant in the training data becomes the lower end of the range, whatever it holds
    later, and `inverse_transform` gives the constant back. Values outside what `fit` saw land outside the
    range; they are not clipped.

    Parameters
    ----------
    feature_range : tuple of two float, optional
        The two ends, lower first; default (0.0, 1.0).

    Attributes
    ----------
    feature_range : tuple of two float
        As given.
    minimum, maximum : ndarray of float64, shape (n_features,), or None
        The extremes of each column; None until `fit`.

    Raises
    ------
    TypeError
        If `feature_range` is not a pair of numbers.
    ValueError
        If the ends are not finite or the first is not below the second.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.preprocessing import MinMaxScaler
    >>> scaler = MinMaxScaler().fit([[0.0, 5.0], [10.0, 5.0]])
    >>> Z = scaler.transform([[2.5, 5.0], [20.0, 5.0]])
    >>> Z
    array([[0.25, 0.  ],
           [2.  , 0.  ]])
    >>> scaler.inverse_transform(Z)
    array([[ 2.5,  5. ],
           [20. ,  5. ]])
    """

    def __init__(self, feature_range: tuple[float, float] = (0.0, 1.0)) -> None:
        self.feature_range = _check_range(feature_range)
        self.minimum: NDArray[np.float64] | None = None
        self.maximum: NDArray[np.float64] | None = None

    def __repr__(self) -> str:
        return f"MinMaxScaler(feature_range={self.feature_range})"

    def state(self) -> dict[str, Any]:
        """Return the fitted scaler as plain values, which `scaler_from_state` turns back into the scaler.

        Returns
        -------
        dict
            Strings, floats and lists of floats; JSON keeps them to the last bit.

        Raises
        ------
        ValueError
            If the scaler is not fitted.
        """
        if self.minimum is None or self.maximum is None:
            raise self._not_fitted()
        return {
            "kind": "minmax",
            "feature_range": list(self.feature_range),
            "minimum": self.minimum.tolist(),
            "maximum": self.maximum.tolist(),
        }

    def _take_statistics(self, X: NDArray[Any]) -> None:
        minimum = X.min(axis=0).astype(np.float64)
        maximum = X.max(axis=0).astype(np.float64)
        _check_spread(minimum, maximum)
        self.minimum, self.maximum = minimum, maximum

    def _affine(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
        if self.minimum is None or self.maximum is None:
            raise self._not_fitted()
        low, high = self.feature_range
        return self.minimum, self.maximum - self.minimum, high - low, low


class StandardScaler(_Scaler):
    """Scale each column to mean 0 and standard deviation 1 over the training data.

    The standard deviation is that of the data themselves (divided by n, not n - 1). A column that is
    constant in the training data becomes 0, whatever it holds later, and `inverse_transform` gives the
    constant back.

    Attributes
    ----------
    mean, std : ndarray of float64, shape (n_features,), or None
        The statistics of each column, a constant column's `std` being 0; None until `fit`.

    Examples
    --------
    >>> from fastnn.preprocessing import StandardScaler
    >>> scaler = StandardScaler()
    >>> scaler.fit_transform([[1.0, 7.0], [3.0, 7.0]])
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> scaler.inverse_transform([[0.0, 0.0]])
    array([[2., 7.]])
    """

    def __init__(self) -> None:
        self.mean: NDArray[np.float64] | None = None
        self.std: NDArray[np.float64] | None = None

    def __repr__(self) -> str:
        return "StandardScaler()"

    def state(self) -> dict[str, Any]:
        """Return the fitted scaler as plain values, which `scaler_from_state` turns back into the scaler.

        Returns
        -------
        dict
            Strings and lists of floats; JSON keeps them to the last bit.

        Raises
        ------
        ValueError
            If the scaler is not fitted.
        """
        if self.mean is None or self.std is None:
            raise self._not_fitted()
        return {"kind": "standard", "mean": self.mean.tolist(), "std": self.std.tolist()}

    def _take_statistics(self, X: NDArray[Any]) -> None:
        minimum = X.min(axis=0).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = X.mean(axis=0, dtype=np.float64)
            std = X.std(axis=0, dtype=np.float64)
        # The mean of equal numbers is rounded, which would leave a tiny spread to be blown up to 1.
        constant = minimum == X.max(axis=0)
        mean[constant] = minimum[constant]
        std[constant] = 0.0
        _check_spread(mean, mean + std)
        self.mean, self.std = mean, std

    def _affine(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
        if self.mean is None or self.std is None:
            raise self._not_fitted()
        return self.mean, self.std, 1.0, 0.0


def scaler_from_state(state: dict[str, Any]) -> MinMaxScaler | StandardScaler:
    """Rebuild a fitted scaler from what its `state` method returned.

    Parameters
    ----------
    state : dict
        Plain values, as from a model file. Nothing in it is trusted: every key, type, length and number
        is checked.

    Returns
    -------
    MinMaxScaler or StandardScaler
        A scaler that gives the same bits as the one that was stored.

    Raises
    ------
    FileFormatError
        If `state` is not a state that a fitted scaler can have.

    Examples
    --------
    >>> from fastnn.preprocessing import StandardScaler, scaler_from_state
    >>> state = StandardScaler().fit([[1.0], [3.0]]).state()
    >>> state
    {'kind': 'standard', 'mean': [2.0], 'std': [1.0]}
    >>> scaler_from_state(state).transform([[4.0]])
    array([[2.]])
    """
    if not isinstance(state, dict) or state.get("kind") not in tuple(_STATE_KEYS):
        raise FileFormatError(f"scaler: expected a dict with 'kind' one of {list(_STATE_KEYS)}, got {state!r:.80}")
    kind: str = state["kind"]
    if set(state) != {"kind", *_STATE_KEYS[kind]}:
        raise FileFormatError(
            f"scaler: kind {kind!r} has the keys {['kind', *_STATE_KEYS[kind]]}, got {list(state)!r:.200}"
        )
    if kind == "standard":
        standard = StandardScaler()
        standard.mean, standard.std = _state_columns(state, "mean", "std")
        if (standard.std < 0).any():
            raise FileFormatError("scaler: 'std' holds a negative number")
        return standard
    feature_range: Any = tuple(_state_numbers(state, "feature_range"))
    try:
        minmax = MinMaxScaler(feature_range)
    except ValueError as error:
        raise FileFormatError(f"scaler: {error}") from None
    minmax.minimum, minmax.maximum = _state_columns(state, "minimum", "maximum")
    with np.errstate(over="ignore"):
        spread = minmax.maximum - minmax.minimum
    if not ((spread >= 0) & np.isfinite(spread)).all():
        raise FileFormatError("scaler: 'maximum' - 'minimum' is negative or infinite in a column")
    return minmax


def one_hot(labels: ArrayLike, n_classes: int | None = None, dtype: DTypeLike = "float32") -> NDArray[Any]:
    """Turn integer labels into rows of zeros with a one at the label.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        Labels from 0 to ``n_classes - 1``.
    n_classes : int, optional
        The number of columns; default the largest label plus one.
    dtype : dtype, optional
        A real number type for the result; default "float32".

    Returns
    -------
    ndarray, shape (n, n_classes)
        The rows, of the given dtype.

    Raises
    ------
    TypeError
        If the labels or `n_classes` are not integers, or `dtype` is not a real number type.
    ValueError
        If `labels` is not one-dimensional, a label lies out of range, `n_classes` is below 1, or there
        are no labels to take `n_classes` from.

    Examples
    --------
    >>> from fastnn.preprocessing import one_hot
    >>> one_hot([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    indices = np.asarray(labels)
    if indices.ndim != 1:
        raise ValueError(f"labels must have shape (n,), got {indices.shape}")
    if indices.size and indices.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, got dtype {indices.dtype}; use labels.astype(int) if they are whole")
    result_type = np.dtype(dtype)
    if result_type.kind not in "biuf":
        raise TypeError(f"dtype must be a real number type, got {result_type}")
    if n_classes is None:
        if not indices.size:
            raise ValueError("labels is empty, so n_classes must be given")
        count = int(indices.max()) + 1
    else:
        if isinstance(n_classes, bool) or not isinstance(n_classes, Integral):
            raise TypeError(f"n_classes must be an integer, got {type(n_classes).__name__}")
        count = int(n_classes)
        if count < 1:
            raise ValueError(f"n_classes must be at least 1, got {count}")
    outside = np.flatnonzero((indices < 0) | (indices >= count))
    if outside.size:
        first = outside[0]
        raise ValueError(f"labels must lie in 0..{count - 1}, got {indices[first]} at index {first}")
    rows = np.zeros((indices.size, count), result_type)
    rows[np.arange(indices.size), indices.astype(np.intp)] = 1
    return rows


def train_test_split(
    X: ArrayLike,
    y: ArrayLike,
    *,
    test_fraction: float = 0.2,
    seed: int | np.random.Generator | None = 0,
    stratify: bool = False,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Shuffle the examples and set a part of them aside for testing.

    Parameters
    ----------
    X : array_like, shape (n, ...)
        One example per row.
    y : array_like, shape (n, ...)
        Their targets.
    test_fraction : float, optional
        The share of the examples that goes to the test set, between 0 and 1; default 0.2. Their number is
        rounded to the nearest whole one, but neither part is left empty.
    seed : int, numpy.random.Generator or None, optional
        The same integer gives the same split; None gives another one each time; default 0.
    stratify : bool, optional
        Split each class on its own by the rule above, so that every class of `y` stands in both parts in
        its share; `y` is then labels of shape (n,). Default False.

    Returns
    -------
    X_train, X_test, y_train, y_test : ndarray
        New arrays, in random order.

    Raises
    ------
    TypeError
        If `test_fraction` is not a number, or `seed` is neither an integer, a generator nor None.
    ValueError
        If `X` and `y` differ in length, there are fewer than two examples (with `stratify`: of some
        class), `test_fraction` does not lie between 0 and 1, `seed` is negative, or `y` has not one
        dimension with `stratify`.

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
    rank = np.empty(n, np.intp)
    rank[by_group] = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    is_test = rank < n_test[groups[order]]
    train, test = order[~is_test], order[is_test]
    return examples[train], examples[test], targets[train], targets[test]


def _check_table(X: ArrayLike, name: str, n_features: int | None = None) -> NDArray[Any]:
    table = np.asarray(X)
    if table.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {table.dtype}")
    expected = "n_features" if n_features is None else n_features
    if table.ndim != 2 or n_features not in (None, table.shape[1]):
        raise ValueError(f"{name} must have shape (n, {expected}), got {table.shape}")
    finite = np.isfinite(table)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise ValueError(f"{name} must be finite, got {table[row, column]} in row {row}, column {column}")
    return table


def _float_type(table: NDArray[Any]) -> type[np.float32] | type[np.float64]:
    return np.float32 if table.dtype == np.float32 else np.float64


def _check_spread(low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        spread = high - low
    if not np.isfinite(spread).all():
        column = np.flatnonzero(~np.isfinite(spread))[0]
        raise ValueError(f"X must have columns whose spread float64 can hold, column {column} has not")


def _check_range(feature_range: Any) -> tuple[float, float]:
    if not isinstance(feature_range, tuple | list) or any(
        isinstance(end, bool) or not isinstance(end, Real) for end in feature_range
    ):
        raise TypeError(f"feature_range must be two numbers, got {feature_range!r:.80}")
    if len(feature_range) != 2:
        raise ValueError(f"feature_range must be two numbers, got {len(feature_range)}")
    low, high = (float(end) for end in feature_range)
    if not (low < high and math.isfinite(high - low)):
        raise ValueError(f"feature_range must be finite, the lower end first, got {(low, high)}")
    return low, high


def _state_numbers(state: dict[str, Any], key: str) -> list[float]:
    numbers = state[key]
    if not isinstance(numbers, list) or not numbers or any(type(number) not in (int, float) for number in numbers):
        raise FileFormatError(f"scaler: {key!r} must be a list of numbers, got {numbers!r:.80}")
    try:
        floats = [float(number) for number in numbers]
    except OverflowError:
        floats = [math.inf]
    if not all(map(math.isfinite, floats)):
        raise FileFormatError(f"scaler: {key!r} holds a number that is not finite")
    return floats


def _state_columns(state: dict[str, Any], first: str, second: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    columns = np.array(_state_numbers(state, first)), np.array(_state_numbers(state, second))
    if columns[0].size != columns[1].size:
        raise FileFormatError(f"scaler: {first!r} has {columns[0].size} numbers, {second!r} {columns[1].size}")
    return columns
