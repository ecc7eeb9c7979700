"""Tables from files: reading, what each column is, and the encoding of a table as the inputs of a network."""

from .encoder import TableEncoder
from .kinds import ColumnKind, Overrides, column_kinds
from .reading import Table, read_table
from .targets import ClassTarget, QuantityTarget, make_target

__all__ = [
    "ClassTarget",
    "ColumnKind",
    "Overrides",
    "QuantityTarget",
    "Table",
    "TableEncoder",
    "column_kinds",
    "make_target",
    "read_table",
]
