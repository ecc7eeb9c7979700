"""Tables from files: reading, what each column is, and the encoding of a table as the inputs of a network."""

from .reading import Table, read_table

__all__ = ["Table", "read_table"]
