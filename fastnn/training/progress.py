"""The progress bar of a training, in a terminal or a notebook."""

from __future__ import annotations

import sys
import time
from typing import Any

from ..history import History


class NoProgressBar:
    """A progress bar that shows nothing."""

    def show(self, history: History, step: int) -> None:
        """Do nothing."""

    def __enter__(self) -> NoProgressBar:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class ProgressBar(NoProgressBar):
    """Epochs done, loss, accuracy and examples per second; tqdm adds the time left."""

    def __init__(self, epochs: int, steps_per_epoch: int, n_rows: int, delay: float) -> None:
        from tqdm.auto import tqdm

        self._bar: Any = tqdm(
            total=epochs,
            unit="epoch",
            delay=delay,
            file=sys.stderr,
            bar_format=("{l_bar}{bar}| {n:.3g}/{total_fmt} epochs [{elapsed}<{remaining}{postfix}]"),
        )
        self._steps_per_epoch, self._n_rows, self._began = steps_per_epoch, n_rows, time.perf_counter()

    def show(self, history: History, step: int) -> None:
        """Move the bar to a step, and show the last values of the history."""
        epochs = step / self._steps_per_epoch
        examples_per_second = epochs * self._n_rows / max(time.perf_counter() - self._began, 1e-9)
        names = [name for name in ("val_accuracy", "accuracy", "val_loss", "loss") if name in history]
        values = {name: f"{history[name][-1]:.4g}" for name in dict.fromkeys([*names[:1], *names[-1:]])}
        self._bar.set_postfix({**values, "examples/s": f"{examples_per_second:,.0f}"}, refresh=False)
        self._bar.update(epochs - self._bar.n)

    def __exit__(self, *error: object) -> None:
        self._bar.close()


def shown_by_default() -> bool:
    """Return whether progress is shown unless the caller decides: whether stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def make_progress_bar(progress: bool | None, epochs: int, steps_per_epoch: int, n_rows: int) -> NoProgressBar:
    """Return the bar for the argument `progress` of `fit`.

    None shows a bar if stderr is a terminal, and only after a second.
    """
    if progress is None:
        return ProgressBar(epochs, steps_per_epoch, n_rows, 1.0) if shown_by_default() else NoProgressBar()
    return ProgressBar(epochs, steps_per_epoch, n_rows, 0.0) if progress and sys.stderr is not None else NoProgressBar()
