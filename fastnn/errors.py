"""The exceptions that fastnn adds to Python's own."""

from __future__ import annotations

from typing import Any

__all__ = ["DivergenceError", "FileFormatError"]


class FileFormatError(ValueError):
    """A file was read, but its content violates its format or what fastnn requires of it.

    The message names the file and, if possible, the place in it. A file that cannot be read at all (missing, no
    permission, a failing disk) raises `OSError` instead.

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
    reason : str
        What is wrong, such as "the loss is not finite".
    epoch : int, optional
        Epoch in which it was found, counted from 1 within the call of `fit`; for L-BFGS the iteration.
    learning_rate : float, optional
        Learning rate of the last update; None for L-BFGS, which has none.
    history : History, optional
        The history up to the divergence.

    Attributes
    ----------
    reason, epoch, learning_rate, history
        As given.

    Examples
    --------
    >>> from fastnn.errors import DivergenceError
    >>> try:
    ...     raise DivergenceError("the loss is not finite", epoch=2, learning_rate=30.0, history={"loss": [0.9]})
    ... except DivergenceError as error:
    ...     print(error.epoch, error.history)
    2 {'loss': [0.9]}
    """

    def __init__(
        self, reason: str, *, epoch: int | None = None, learning_rate: float | None = None, history: Any = None
    ) -> None:
        super().__init__(reason)
        self.reason, self.epoch, self.learning_rate, self.history = reason, epoch, learning_rate, history

    def __str__(self) -> str:
        if self.learning_rate is None:
            return f"{describe_divergence(self.reason, self.epoch, 'iteration')}; scaled inputs and targets may help"
        return (
            f"{describe_divergence(self.reason, self.epoch)}; a smaller learning_rate may help "
            f"(it was {self.learning_rate:g}). The last finite parameters are kept."
        )


def describe_divergence(reason: str, epoch: int | None, unit: str = "epoch") -> str:
    """Return a sentence on what diverged and when; a reason that compares epochs names them itself."""
    when = f" in {unit} {epoch}" if epoch is not None and "epoch" not in reason else ""
    return f"training diverged: {reason}{when}"
