"""A model beside its rows, one column of which can be replaced at a time without encoding the others again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import inputs
from ..network import Network
from ..table_model import TableModel
from ..tables.columns import Column, columns_of, default_name
from ..tables.encoded import CategoryColumn
from ..tables.targets import ClassTarget

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Subject(ABC):
    """A model and the rows that it is asked about.

    Attributes
    ----------
    names : tuple of str
        The columns.
    n_rows : int
    class_names : tuple or None
        The classes; None if the model predicts quantities.
    """

    names: tuple[str, ...]
    n_rows: int
    class_names: tuple[Any, ...] | None

    @abstractmethod
    def reorder(self, column: int, order: NDArray[np.int64]) -> None:
        """Give each row the value that row `order[i]` has in a column."""

    @abstractmethod
    def fill(self, column: int, value: Any) -> None:
        """Give all rows one value in a column, one of `grid`."""

    @abstractmethod
    def restore(self, column: int) -> None:
        """Give all rows their own values in a column."""

    @abstractmethod
    def values(self, column: int) -> tuple[NDArray[Any], tuple[str, ...] | None]:
        """Return the present values of a column as `fill` takes them, and of a category the names of all its levels."""

    def level(self, code: int, levels: tuple[str, ...]) -> Any:
        """Return a level of a category as `fill` takes it."""
        return code

    @abstractmethod
    def outputs(self) -> NDArray[Any]:
        """Return the probabilities of the classes, (n, n_classes), or the quantities, (n, n_outputs)."""

    @abstractmethod
    def answers(self) -> NDArray[Any]:
        """Return what the model's `predict` returns."""

    def truth(self, y: Any) -> NDArray[Any]:
        """Return targets as `outputs` is compared with: indices of classes, (n,), or quantities, (n, n_outputs)."""
        given = np.asarray(y)
        if len(given) != self.n_rows:
            raise ValueError(f"y must have {self.n_rows} rows, as X, got {len(given)}")
        if self.class_names is None:
            return given.astype(np.float64).reshape(self.n_rows, -1)
        places = {str(name): place for place, name in enumerate(self.class_names)}
        texts, codes = np.unique(given, return_inverse=True)
        unknown = [text for text in texts.tolist() if str(text) not in places]
        if unknown:
            raise ValueError(f"y must hold classes of the model, got {unknown[0]!r}")
        labels: NDArray[np.int64] = np.array([places[str(text)] for text in texts.tolist()], np.int64)[codes.ravel()]
        return labels

    def position(self, column: Any) -> int:
        """Return the place of a column that is given by its name or its number."""
        if isinstance(column, str):
            if column in self.names:
                return self.names.index(column)
        elif isinstance(column, int | np.integer) and -len(self.names) <= column < len(self.names):
            return int(column) % len(self.names)
        known = ", ".join(self.names[:10]) + (", ..." if len(self.names) > 10 else "")
        raise ValueError(f"column must be one of {known}, or its number, got {column!r}")


class _EncodedSubject(Subject):
    """A network whose inputs stand in one array, in which those of one column are overwritten."""

    def __init__(self, network: Network, features: NDArray[Any], widths: Sequence[int]) -> None:
        self.network, self.n_rows = network, len(features)
        self._original = features
        self._features = features.copy()
        ends = np.cumsum(widths)
        self._slices = [slice(end - width, end) for end, width in zip(ends.tolist(), widths, strict=True)]
        self._out = np.empty((len(features), network.sizes[-1]), network.dtype)

    def reorder(self, column: int, order: NDArray[np.int64]) -> None:
        """Exchange the values of a column."""
        place = self._slices[column]
        self._features[:, place] = self._original[order, place]

    def restore(self, column: int) -> None:
        """Undo either."""
        place = self._slices[column]
        self._features[:, place] = self._original[:, place]

    def _network_outputs(self) -> NDArray[Any]:
        return self.network.predict(self._features, out=self._out)


class NetworkSubject(_EncodedSubject):
    """A network and its rows, (n, n_inputs)."""

    def __init__(self, network: Network, X: Any, classes: bool) -> None:
        if inputs.is_sparse(X):
            raise TypeError("X must be dense rows, one column of which is replaced at a time; give X.toarray()")
        array = inputs.as_numeric_array("X", X)
        network.predict(X)  # its errors name what is wrong with X
        super().__init__(network, np.array(array, network.dtype), [1] * network.sizes[0])
        names = network.column_names or inputs.column_names_of(X)
        self.names = tuple(names or map(default_name, range(network.sizes[0])))
        self.class_names = None
        if classes:
            self.class_names = network.class_names or tuple(range(max(2, network.sizes[-1])))

    def fill(self, column: int, value: Any) -> None:
        """Set a column to one value."""
        self._features[:, column] = value

    def values(self, column: int) -> tuple[NDArray[Any], tuple[str, ...] | None]:
        """Return the present values of a column, and of one that holds codes of categories these as texts."""
        embedding = self.network.category_embedding
        count = embedding.counts.get(column) if embedding else None
        levels = None if count is None else tuple(map(str, range(count)))
        return self._original[:, column].astype(np.float64), levels

    def outputs(self) -> NDArray[Any]:
        """Return the probabilities of the classes, or the quantities."""
        outputs = self._network_outputs()
        return np.hstack([1 - outputs, outputs]) if self.class_names and outputs.shape[1] == 1 else outputs

    def answers(self) -> NDArray[Any]:
        """Return the model's answers."""
        return self._network_outputs().copy()


class TableSubject(_EncodedSubject):
    """A table model and the rows of a table."""

    def __init__(self, model: TableModel, X: Any) -> None:
        self.model, encoder = model, model.encoder
        self._columns = encoder.columns
        self._raw, _ = encoder.raw(X)
        features = encoder.encode(self._raw, model.network.dtype)
        super().__init__(model.network, features, [len(column.feature_names) for column in encoder.columns])
        self.names, self.class_names = encoder.column_names, model.classes

    def fill(self, column: int, value: Any) -> None:
        """Set a column to one value."""
        place = self._slices[column]
        raw = self._raw[:1].copy()
        raw[0, column] = value
        self._features[:, place] = self.model.encoder.encode(raw, self._features.dtype)[:, place]

    def values(self, column: int) -> tuple[NDArray[Any], tuple[str, ...] | None]:
        """Return the present values of a column, and the names of its levels."""
        known, raw = self._columns[column], self._raw[:, column]
        return raw[~np.isnan(raw)], known.levels if isinstance(known, CategoryColumn) else None

    def outputs(self) -> NDArray[Any]:
        """Return the probabilities of the classes, or the quantities."""
        outputs = self._network_outputs()
        if isinstance(self.model.target, ClassTarget):
            return self.model.probabilities(outputs)
        return self.model.target.values(outputs)

    def answers(self) -> NDArray[Any]:
        """Return the model's answers."""
        return self.model.answers(self._network_outputs())


class AnySubject(Subject):
    """Anything that has `predict`, and a table that it takes: an array, a DataFrame or a mapping of columns."""

    def __init__(self, model: Any, X: Any) -> None:
        if not callable(getattr(model, "predict", None)):
            raise TypeError(f"model must have predict, got {type(model).__name__}")
        self.model = model
        named = isinstance(X, Mapping) or hasattr(X, "columns")
        self._table = X if named else np.asarray(X)
        self._columns: dict[str, Column] = columns_of(X)
        self.names = tuple(self._columns)
        self.n_rows = len(next(iter(self._columns.values())))
        classes = getattr(model, "classes_", None)
        self.class_names = None if classes is None else tuple(np.asarray(classes).tolist())
        self._current = self._copy()

    def _copy(self) -> Any:
        if isinstance(self._table, Mapping):
            return dict(self._table)
        return self._table.clone() if hasattr(self._table, "clone") else self._table.copy()

    def _own(self, column: int) -> NDArray[Any]:
        if isinstance(self._table, np.ndarray):
            return np.array(self._table[:, column])
        return np.asarray(self._table[list(self._table if isinstance(self._table, Mapping) else self.names)[column]])

    def _set_column(self, column: int, values: NDArray[Any]) -> None:
        if isinstance(self._current, np.ndarray):
            self._current[:, column] = values
        elif hasattr(self._current, "with_columns"):
            series = type(self._current[self.names[column]])
            self._current = self._current.with_columns(series(self.names[column], values))
        else:
            self._current[list(self._current)[column]] = values

    def reorder(self, column: int, order: NDArray[np.int64]) -> None:
        """Exchange the values of a column."""
        self._set_column(column, self._own(column)[order])

    def fill(self, column: int, value: Any) -> None:
        """Set a column to one value."""
        self._set_column(column, np.full(self.n_rows, value, self._own(column).dtype))

    def restore(self, column: int) -> None:
        """Undo either."""
        self._set_column(column, self._own(column))

    def values(self, column: int) -> tuple[NDArray[Any], tuple[str, ...] | None]:
        """Return the present values of a column, and the names of its levels."""
        own = self._own(column)
        if own.dtype.kind in "iufb":
            numbers = own.astype(np.float64)
            return numbers[~np.isnan(numbers)], None
        levels, codes = np.unique([str(value) for value in own], return_inverse=True)
        return codes, tuple(levels.tolist())

    def level(self, code: int, levels: tuple[str, ...]) -> Any:
        """Return a level as `fill` takes it."""
        return levels[code]

    def outputs(self) -> NDArray[Any]:
        """Return the probabilities of the classes, or the quantities."""
        if self.class_names is None:
            return np.asarray(self.answers(), np.float64).reshape(self.n_rows, -1)
        if hasattr(self.model, "predict_proba"):
            return np.asarray(self.model.predict_proba(self._current))
        one_hot: NDArray[np.float64] = np.eye(len(self.class_names))[self.truth(self.answers())]
        return one_hot

    def answers(self) -> NDArray[Any]:
        """Return the model's answers."""
        return np.asarray(self.model.predict(self._current))


def subject_of(model: Any, X: Any, y: Any = None) -> Subject:
    """Return a model beside its rows; `y` tells whether a network's outputs are classes."""
    if isinstance(model, TableModel):
        return TableSubject(model, X)
    if isinstance(model, Network):
        spec = model.engine.spec
        labels = y is not None and np.ndim(y) == 1 and (np.asarray(y).dtype.kind not in "f" or spec.classifies)
        return NetworkSubject(model, X, spec.classifies or (labels and spec.sizes[-1] > 1))
    return AnySubject(model, X)
