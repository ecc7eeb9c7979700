"""Models that take the rows of a table: a control for each column, the curve of a column, the plane of two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..table_model import TableModel
from ..tables.dates import HOURS
from ..tables.encoded import CategoryColumn, DateColumn, EncodedColumn
from .request import check_fields, integer, numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

CURVE_POINTS, PLANE_POINTS = 121, 72
MOST_POINTS = 600
"""Rows of data that are drawn."""

WIDTH = 3.0
"""Half the range of a quantity of unknown limits, in its encoder's units."""


@dataclass(frozen=True, eq=False)
class TableData:
    """Rows to show beside a model's answers.

    Attributes
    ----------
    values : ndarray of float64, (n, n_columns)
        As `TableEncoder.raw` returns them.
    targets : ndarray, (n,), or None
        Index of each row's class, or its quantity.
    """

    values: NDArray[np.float64]
    targets: NDArray[Any] | None = None


class TableInputs:
    """Turn the positions of controls into the columns of a model.

    Parameters
    ----------
    model : TableModel
    data : TableData, optional
        Rows to draw and to choose from; they tell the range of each quantity, too.
    """

    kind = "table"

    def __init__(self, model: TableModel, data: TableData | None = None) -> None:
        self.model, self.data = model, data
        self.columns = model.encoder.columns
        self.ranges = [self._range(position) for position in range(len(self.columns))]

    @property
    def questions(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """Return what the page may ask beyond the model's answer."""
        return {"curve": self.curve, "plane": self.plane, "row": self.row}

    @property
    def has_plane(self) -> bool:
        """Tell whether the model takes two quantities and nothing else."""
        return len(self.columns) == 2 and all(column.kind != "category" for column in self.columns)

    def describe(self) -> dict[str, Any]:
        """Return what the page needs to know once."""
        return {
            "controls": [self._control(position) for position in range(len(self.columns))],
            "features": self._features(),
            "plane": self.has_plane,
            "rows": 0 if self.data is None else len(self.data.values),
            "points": self._points(),
        }

    def _features(self) -> list[str]:
        """Return the names of what the first layer takes."""
        names, embedding = list(self.model.encoder.feature_names), self.model.network.embedding
        return names if embedding is None else names + embedding.added_names(names)

    def _points(self) -> dict[str, Any] | None:
        """Return rows to draw: all columns, and what is to be learned of them."""
        if self.data is None or self.data.targets is None:
            return None
        chosen = np.random.default_rng(0).permutation(len(self.data.values))[:MOST_POINTS]
        return {"values": self.data.values[chosen], "targets": self.data.targets[chosen]}

    def _range(self, position: int) -> tuple[float, float]:
        """Return the smallest and largest position of a control: of the training, of the data, or a guess."""
        column = self.columns[position]
        if isinstance(column, CategoryColumn):
            return 0.0, float(len(column.levels) - 1)
        if self.data is not None:
            present = self.data.values[:, position]
            present = present[~np.isnan(present)]
            if len(present) and present.min() < present.max():
                return float(present.min()), float(present.max())
        if column.name in self.model.ranges:
            return self.model.ranges[column.name]
        if isinstance(column, DateColumn) and column.format in HOURS:
            return 0.0, 1.0
        scale = abs(column.scale * (1 if self.model.encoder.targets else self.model.network.input_scale))
        half = WIDTH / scale if scale > 0 else 1.0
        return column.centre - half, column.centre + half

    def _control(self, position: int) -> dict[str, Any]:
        column = self.columns[position]
        control: dict[str, Any] = {
            "name": column.name,
            "kind": column.kind,
            "range": self.ranges[position],
            "value": self._typical(column, self.ranges[position]),
            "missing": bool(self.model.encoder.targets),
        }
        if isinstance(column, CategoryColumn):
            control |= {"levels": column.levels, "others": column.rare}
        if isinstance(column, DateColumn):
            clock = column.format in HOURS
            control["field"] = "time" if clock else "datetime-local" if "day" in column.parts else "date"
        return control

    def _typical(self, column: EncodedColumn, limits: tuple[float, float]) -> float | None:
        """Return where a control begins: the most frequent level, the middle of the training rows."""
        if isinstance(column, CategoryColumn):
            return 0.0 if column.levels else None
        centre = column.centre
        middle = centre if self.model.encoder.targets and column.scale else sum(limits) / 2
        return float(np.floor(middle)) if isinstance(column, DateColumn) and "day" not in column.parts else middle

    def read(self, request: dict[str, Any]) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Return the columns of a request, (1, n): field `values`, one number for each, null where it is missing."""
        check_fields(request, "values")
        return self._values(request), {}

    def _values(self, request: dict[str, Any]) -> NDArray[np.float64]:
        return numbers(request, "values", len(self.columns)).reshape(1, -1)

    def curve(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answers along field `column`, all other columns as in field `values`."""
        check_fields(request, "values", "column")
        values = self._values(request)
        position = integer(request, "column", 0, len(self.columns))
        column, (low, high) = self.columns[position], self.ranges[position]
        if isinstance(column, CategoryColumn):
            x = np.arange(len(column.levels), dtype=np.float64)
        else:
            here = values[0, position]
            x = np.linspace(np.fmin(low, here), np.fmax(high, here), CURVE_POINTS)
        rows = np.repeat(values, len(x), axis=0)
        rows[:, position] = x
        return {"x": x, "y": self._answers(rows)}

    def plane(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answers over the plane of a model's two quantities, row by row from the smallest values."""
        check_fields(request)
        if not self.has_plane:
            raise ValueError("the plane is for models of two quantities")
        sides = [np.linspace(low, high, PLANE_POINTS) for low, high in self.ranges]
        x, y = np.meshgrid(*sides)
        return {"n": PLANE_POINTS, "answers": self._answers(np.column_stack([x.ravel(), y.ravel()]))}

    def row(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the row of the data at field `index`, with what is to be learned of it."""
        check_fields(request, "index")
        if self.data is None:
            raise ValueError("no data were given")
        index = integer(request, "index", 0, len(self.data.values))
        truth = None if self.data.targets is None else self.data.targets[index]
        return {"values": self.data.values[index], "truth": truth}

    def _answers(self, rows: NDArray[np.float64]) -> NDArray[Any]:
        """Return for each row a share for each class, or the quantities."""
        network, target = self.model.network, self.model.target
        outputs = network.predict(self.model.encoder.encode(rows, network.dtype))
        if self.model.classes is not None:
            return self.model.probabilities(outputs)
        return np.asarray(target.values(outputs))
