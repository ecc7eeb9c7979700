"""The exceptions that fastnn adds to Python's own."""

from typing import Any

__all__ = ["DivergenceError", "FileFormatError"]


class FileFormatError(ValueError):
    """A file was read, but what it holds is not what its format or fastnn requires.

    The message names the file and, where there is one, the place in it. Files that cannot be read at
    all (missing, no permission, a broken disk) raise `OSError` instead.

    Examples
    --------
    >>> from fastnn.errors import FileFormatError
    >>> try:
    ...     raise FileFormatError("digits.csv, line 3: 4 fields, but line 1 has 5")
    ... except ValueError as error:
    ...     print(error)
    digits.csv, line 3: 4 fields, but line 1 has 5
    """


class DivergenceError(ArithmeticError):
    """Training diverged: a loss or a parameter is no longer finite, or the loss has exploded.

    Parameters
    ----------
    message : str
        What happened, and when.
    history : object, optional
        The record of the run up to the divergence; default None.

    Attributes
    ----------
    history : object
        As given.

    Examples
    --------
    >>> from fastnn.errors import DivergenceError
    >>> try:
    ...     raise DivergenceError("the loss is nan in epoch 2", history={"loss": [0.9]})
    ... except DivergenceError as error:
    ...     print(error, error.history)
    the loss is nan in epoch 2 {'loss': [0.9]}
    """

    def __init__(self, message: str, history: Any = None) -> None:
        super().__init__(message)
        self.history = history
