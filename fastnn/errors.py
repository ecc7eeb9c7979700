"""The exceptions and warnings that fastnn adds to Python's own."""

from __future__ import annotations

from typing import Any

__all__ = ["DivergenceError", "FileFormatError", "TrainingWarning"]


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
    cause : str, optional
        What in the data probably made it diverge, and what to do about it.

    Attributes
    ----------
    reason, epoch, learning_rate, history, cause
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
        self,
        reason: str,
        *,
        epoch: int | None = None,
        learning_rate: float | None = None,
        history: Any = None,
        cause: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason, self.epoch, self.learning_rate, self.history = reason, epoch, learning_rate, history
        self.cause = cause

    def __str__(self) -> str:
        if self.learning_rate is None:
            advice = self.cause or "scaled inputs and targets may help"
            return f"{describe_divergence(self.reason, self.epoch, 'iteration')}; {advice}"
        smaller = f"a smaller learning_rate may help (it was {self.learning_rate:g})"
        advice = f"{self.cause}; {smaller} too" if self.cause else smaller
        return f"{describe_divergence(self.reason, self.epoch)}; {advice}. The last finite parameters are kept."


class TrainingWarning(UserWarning):
    """A training cannot work well as it is set up; the message says why, and what to change.

    `fit`, `fit_stream` and `fit_many` warn at most once each of targets that the output's activation cannot give, of
    inputs in the hundreds, of a hidden layer whose neurons are all dead, of outputs that are the same for all
    examples, and of precision="bfloat16" on a processor that does not multiply such numbers.

    Examples
    --------
    >>> import warnings, fastnn
    >>> net = fastnn.Network([1, 3, 1], seed=0)  # sigmoid outputs, from 0 to 1
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     history = net.fit([[0.0], [1.0]], [-3.0, 3.0], epochs=1)
    >>> caught[0].category.__name__
    'TrainingWarning'

    Silence them, once the reason is known, as any other warnings:

    >>> warnings.filterwarnings("ignore", category=fastnn.TrainingWarning)  # doctest: +SKIP
    """


def describe_divergence(reason: str, epoch: int | None, unit: str = "epoch") -> str:
    """Return a sentence on what diverged and when; a reason that compares epochs names them itself."""
    when = f" in {unit} {epoch}" if epoch is not None and "epoch" not in reason else ""
    return f"training diverged: {reason}{when}"
