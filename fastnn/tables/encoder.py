"""A table as the inputs of a network: fitted on training rows, kept as plain data, applied to any later table."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..caller import warn_caller
from ..checks import check_int
from ..errors import FileFormatError
from .columns import Column, check_columns, columns_of, listed, n_rows_of, take
from .encoded import CategoryColumn, DateColumn, EncodedColumn, Problem, QuantityColumn, column_from_state
from .kinds import ColumnKind, Overrides, column_kinds
from .scaling import IndicatorScaling

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TableEncoder", "has_own_names"]

MOST_INPUTS = 1 << 20
MOST_NAMED = 5


def has_own_names(names: Iterable[str]) -> bool:
    """Tell whether columns have names, not only those that are given by their order."""
    return not all(re.fullmatch(r"column \d+", name) for name in names)


class TableEncoder:
    """Turn the columns of a table into inputs of a network.

    Parameters
    ----------
    columns : sequence of EncodedColumn
        How each column that is learned from is encoded, in their order.
    file_columns : sequence of str
        All columns of the training's table in their order, the target and those left out among them.
    targets : sequence of str
        The columns that are learned.
    left_out : mapping of str to str
        Columns that are not learned from, and why.
    missing : collection of str
        Texts that stand for a missing value, beyond those that always do.
    indicators : IndicatorScaling, optional
        How inputs that say yes or no are scaled; default not at all.

    Attributes
    ----------
    columns, file_columns, targets, left_out, missing, indicators
        As given.
    """

    def __init__(
        self,
        columns: Sequence[EncodedColumn],
        file_columns: Sequence[str] = (),
        targets: Sequence[str] = (),
        left_out: Mapping[str, str] | None = None,
        missing: Collection[str] = (),
        indicators: IndicatorScaling | None = None,
    ) -> None:
        self.columns = tuple(columns)
        self.file_columns = tuple(file_columns) or tuple(column.name for column in columns)
        self.targets = tuple(targets)
        self.left_out = dict(left_out or {})
        self.missing = frozenset(missing)
        self.indicators = indicators or IndicatorScaling()
        if not self.columns:
            raise ValueError("no column is left to learn from")

    @classmethod
    def fit(
        cls,
        X: Any,
        *,
        targets: Sequence[str] = (),
        rows: NDArray[Any] | None = None,
        kinds: Mapping[str, ColumnKind] | None = None,
        overrides: Overrides | None = None,
        scaling: str = "robust",
        missing: Collection[str] = (),
        scale_indicators: bool = False,
        weights: NDArray[np.float64] | None = None,
        one_hot_limit: int | None = None,
    ) -> TableEncoder:
        """Take the statistics of training rows.

        Parameters
        ----------
        X : DataFrame, mapping or array_like
            The table; see `columns_of`.
        targets : sequence of str, optional
            Columns that are to be learned.
        rows : ndarray, optional
            The training rows; default all.
        kinds : mapping of str to ColumnKind, optional
            What each column is; default found by `column_kinds` on all rows.
        overrides : Overrides, optional
            Columns whose kind is known.
        scaling : {"robust", "standard"}, default "robust"
            Of quantities, see `QuantityColumn.fit`.
        missing : collection of str, optional
            More texts that stand for a missing value.
        scale_indicators : bool, default False
            Whether inputs that say yes or no, those of categories among them, are scaled as quantities are with
            "robust", instead of being 0 and 1, or -1 and 1.
        weights : ndarray, optional
            Weights of the training rows, in their medians and quartiles.
        one_hot_limit : int, optional
            Values of a category, those rare in training counted as one, up to which each has an input of its own. A
            column of more is one input that holds its code for a `fastnn.CategoryEmbedding`, see `category_counts`;
            -1 stands for a value that has none. None: categories never are codes.

        Returns
        -------
        TableEncoder
        """
        columns = columns_of(X, frozenset(missing))
        if kinds is None:
            check_columns("targets", targets, columns)
            kinds = column_kinds(columns, targets, overrides)
        if one_hot_limit is not None:
            one_hot_limit = check_int("one_hot_limit", one_hot_limit, 0)
        encoded: list[EncodedColumn] = []
        left_out = {}
        for name, kind in kinds.items():
            if not kind.is_learned:
                left_out[name] = f"{kind.kind}: {kind.reason}"
                continue
            column = columns[name] if rows is None else take(columns[name], rows)
            if kind.kind == "category":
                encoded.append(CategoryColumn.fit(name, column, one_hot_limit))
            elif kind.kind == "date":
                encoded.append(DateColumn.fit(name, column, kind.date_format))
            else:
                encoded.append(QuantityColumn.fit(name, column, scaling=scaling, weights=weights))
        if not encoded:
            raise ValueError(f"no column is left to learn from; left out: {listed(left_out)}")
        encoder = cls(encoded, tuple(columns), targets, left_out, missing)
        if scale_indicators:
            trained = {name: columns[name] if rows is None else take(columns[name], rows) for name in columns}
            inputs = encoder.encode(encoder.raw(trained)[0])
            encoder.indicators = IndicatorScaling.fit(encoder.indicator_places, inputs, weights)
        return encoder

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns that the encoder takes, in their order."""
        return tuple(column.name for column in self.columns)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the network's inputs."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def indicator_places(self) -> list[int]:
        """The inputs that say yes or no, by their places among all."""
        return [start + place for start, column in self._first_places() for place in column.indicators]

    @property
    def quantity_places(self) -> list[int]:
        """The inputs that hold quantities, by their places among all."""
        return [place for place, column in self._first_places() if isinstance(column, QuantityColumn)]

    @property
    def category_counts(self) -> dict[int, int]:
        """Number of categories of each input that holds codes, by its place among all."""
        columns = self._first_places()
        return {
            place: column.n_categories
            for place, column in columns
            if isinstance(column, CategoryColumn) and column.embedded
        }

    def _first_places(self) -> list[tuple[int, EncodedColumn]]:
        """Return the columns, each with the place of its first input."""
        starts = np.cumsum([0, *(len(column.feature_names) for column in self.columns)]).tolist()
        return list(zip(starts[:-1], self.columns, strict=True))

    @property
    def text_columns(self) -> frozenset[str]:
        """Columns that a file should give as texts, as they stand there."""
        quantities = [column for column in self.columns if isinstance(column, QuantityColumn)]
        plain = {column.name for column in quantities if not column.format.describe()}
        return frozenset(self.column_names) - plain

    def raw(self, X: Any) -> tuple[NDArray[np.float64], list[Problem]]:
        """Return one number for each column: quantities, codes of categories, days; NaN where a value is missing.

        These are the inputs of an exported model.

        Parameters
        ----------
        X : DataFrame, mapping or array_like
            A table with the encoder's columns, found by their names; by their order where there are no names.

        Returns
        -------
        values : ndarray of float64, (n, n_columns)
        problems : list of Problem
            Texts that are no number or date, which are missing values, and levels not seen in training.
        """
        columns = self.resolve(columns_of(X, self.missing))
        values = np.empty((n_rows_of(columns), len(self.columns)))
        problems: list[Problem] = []
        for position, (known, column) in enumerate(zip(self.columns, columns.values(), strict=True)):
            values[:, position], found = known.raw(column)
            problems += found
        return values, problems

    def encode(self, values: NDArray[np.float64], dtype: Any = np.float32) -> NDArray[Any]:
        """Return the inputs of the network, (n, n_features), of what `raw` returned."""
        widths = [len(column.feature_names) for column in self.columns]
        inputs = np.empty((len(values), sum(widths)), dtype)
        at = 0
        for position, (column, width) in enumerate(zip(self.columns, widths, strict=True)):
            column.encode(values[:, position], inputs[:, at : at + width])
            at += width
        self.indicators.apply(inputs)
        return inputs

    def transform(self, X: Any, dtype: Any = np.float32) -> NDArray[Any]:
        """Return the inputs of the network of a table; texts that are no numbers or dates are warned of."""
        values, problems = self.raw(X)
        for problem in problems:
            if not problem.what.startswith("was not seen"):
                warn_caller(describe_problem(problem))
        return self.encode(values, dtype)

    def resolve(self, columns: Mapping[str, Column]) -> dict[str, Column]:
        """Return the columns that the encoder takes: by their names, or by their order where there are none.

        Raises
        ------
        ValueError
            If one is not there, or it cannot be told which are meant.
        """
        wanted = self.column_names
        if set(wanted) <= set(columns) and not (len(columns) < len(self.file_columns) and not has_own_names(wanted)):
            return {name: columns[name] for name in wanted}
        stripped = {name.strip(): column for name, column in columns.items()}
        if has_own_names(wanted) and {name.strip() for name in wanted} <= set(stripped):
            return {name: stripped[name.strip()] for name in wanted}
        if has_own_names(wanted) and has_own_names(columns):
            lacking = [name for name in wanted if name not in columns]
            raise ValueError(f"no column {listed(lacking)}; the table has {listed(columns)}")
        return dict(zip(wanted, self._by_order(list(columns.values())), strict=True))

    def _by_order(self, columns: list[Column]) -> list[Column]:
        orders = (
            list(self.file_columns),
            [name for name in self.file_columns if name not in self.targets],
            list(self.column_names),
        )
        for names in orders:
            if len(columns) == len(names):
                return [columns[names.index(name)] for name in self.column_names]
        raise ValueError(
            f"the model takes {len(orders[1])} columns, the table has {len(columns)} beside any target; give the "
            "columns of the training in their order, with or without the target"
        )

    def state(self) -> dict[str, Any]:
        """Return the encoder as plain data, which `from_state` turns back."""
        return {
            "columns": [column.state() for column in self.columns],
            "file_columns": list(self.file_columns),
            "targets": list(self.targets),
            "left_out": self.left_out,
            "missing": sorted(self.missing),
            **({"indicators": self.indicators.state()} if self.indicators.places else {}),
        }

    @classmethod
    def from_state(cls, state: Any) -> TableEncoder:
        """Rebuild an encoder from what `state` returned; nothing in it is trusted.

        Raises
        ------
        FileFormatError
            If no encoder can have that state.
        """
        try:
            columns = [column_from_state(column) for column in state["columns"]]
            lists = [state[key] for key in ("file_columns", "targets", "missing")]
            left_out = state["left_out"]
            if not all(isinstance(given, list) and all(isinstance(text, str) for text in given) for given in lists):
                raise ValueError("file_columns, targets and missing must be lists of texts")
            if not isinstance(left_out, dict) or not all(isinstance(text, str) for text in left_out.values()):
                raise ValueError("left_out must hold texts")
            names = [column.name for column in columns]
            if len(set(names)) < len(names) or not set(names) <= set(lists[0]) or len(set(lists[0])) < len(lists[0]):
                raise ValueError("the columns must have different names, all of the table's")
            encoder = cls(columns, lists[0], lists[1], left_out, lists[2])
            n_inputs = len(encoder.feature_names)
            if not 0 < n_inputs <= MOST_INPUTS:
                raise ValueError(f"{n_inputs} inputs")
            if "indicators" in state:
                encoder.indicators = IndicatorScaling.from_state(state["indicators"], n_inputs)
            return encoder
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"encoder: {error!r:.300}") from None


def describe_problem(problem: Problem, lines: Sequence[int] | None = None) -> str:
    """Return a problem in words: the column, what stands there, in which rows, and what becomes of it."""
    places = [row + 1 if lines is None else lines[row] for row in problem.rows[:MOST_NAMED]]
    more = f" and {len(problem.rows) - MOST_NAMED:,} more" if len(problem.rows) > MOST_NAMED else ""
    where = f"{'row' if lines is None else 'line'}{'s' * (len(problem.rows) > 1)} {', '.join(map(str, places))}{more}"
    becomes = "taken as a value not seen" if problem.what.startswith("was not seen") else "taken as a missing value"
    return f"column {problem.column!r}, {where}: {problem.text!r:.60} {problem.what}; {becomes}"
