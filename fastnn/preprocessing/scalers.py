"""Scalers: columns brought to a range, or to mean 0 and standard deviation 1."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import FileFormatError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_STATE_KEYS = {
    "minmax": ("feature_range", "minimum", "maximum"),
    "standard": ("mean", "std"),
}


class _Scaler(ABC):
    """The base of the scalers: Z = (X - centre) / spread * gain + offset, column by column."""

    def fit(self, X: ArrayLike) -> Self:
        """Compute the statistics of each column, replacing those of an earlier fit.

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
        self._set_statistics(table)
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Scale data by the statistics that `fit` computed.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Finite numbers, with as many columns as the data given to `fit`.

        Returns
        -------
        ndarray, shape (n, n_features)
            A new array: float32 if `X` is float32, float64 otherwise. Columns that were constant in `fit`
            carry no information and become the lower end of the range, or 0, whatever they hold now.

        Raises
        ------
        TypeError
            If `X` does not hold real numbers.
        ValueError
            If the scaler is not fitted, or `X` has a different number of columns, NaN or infinity.
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
        """Call `fit(X)`, then return `transform(X)`."""
        return self.fit(X).transform(X)

    def inverse_transform(self, Z: ArrayLike) -> NDArray[Any]:
        """Return scaled data to their original units.

        Parameters
        ----------
        Z : array_like, shape (n, n_features)
            Scaled data: finite numbers.

        Returns
        -------
        ndarray, shape (n, n_features)
            A new array: float32 if `Z` is float32, float64 otherwise. Columns that were constant in `fit`
            become that constant again.

        Raises
        ------
        TypeError
            If `Z` does not hold real numbers.
        ValueError
            If the scaler is not fitted, or `Z` has a different number of columns, NaN or infinity.
        """
        centre, spread, gain, offset = self._affine()
        table = _check_table(Z, "Z", n_features=centre.size)
        X = np.empty(table.shape, _float_type(table))
        np.subtract(table, offset, out=X, dtype=np.float64)
        np.multiply(X, spread / gain, out=X, dtype=np.float64)
        np.add(X, centre, out=X, dtype=np.float64)
        return X

    @abstractmethod
    def _set_statistics(self, X: NDArray[Any]) -> None:
        """Set the statistics, or raise and leave the old ones unchanged."""

    @abstractmethod
    def _affine(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
        """Return centre, spread, gain and offset, or raise if not fitted."""

    def _not_fitted(self) -> ValueError:
        return ValueError(f"this {type(self).__name__} is not fitted: call fit(X) on the training data first")


class MinMaxScaler(_Scaler):
    """Scale each column so that its smallest and largest training values become the ends of a range.

    Values beyond those extremes land outside the range; they are not clipped. A column that is constant in the
    training data becomes the lower end of the range, and `inverse_transform` returns the constant.

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
        """Return the fitted scaler as plain values, from which `scaler_from_state` rebuilds it.

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

    def _set_statistics(self, X: NDArray[Any]) -> None:
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

    The standard deviation is divided by n, not by n - 1. A column that is constant in the training data becomes 0,
    and `inverse_transform` returns the constant.

    Attributes
    ----------
    mean, std : ndarray of float64, shape (n_features,), or None
        The statistics of each column, `std` being 0 for a constant one; None until `fit`.

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
        """Return the fitted scaler as plain values, from which `scaler_from_state` rebuilds it.

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

    def _set_statistics(self, X: NDArray[Any]) -> None:
        minimum = X.min(axis=0).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = X.mean(axis=0, dtype=np.float64)
            std = X.std(axis=0, dtype=np.float64)
        # the mean of equal numbers is rounded, which would leave a tiny spread to be scaled up to 1
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
        Plain values, as in a model file. Every key, type, length and number is checked.

    Returns
    -------
    MinMaxScaler or StandardScaler
        A scaler whose results equal those of the original bit for bit.

    Raises
    ------
    FileFormatError
        If no fitted scaler can have this state.

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
        raise ValueError(f"X must have columns with a spread within float64, got a larger one in column {column}")


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
