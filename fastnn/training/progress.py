"""The progress bar of a training, in a terminal or a notebook; silent elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from ..history import History


class NoBar:
    """Nothing to see."""

    def show(self, history: History, step: int) -> None:
        """Ignore the position."""

    def __enter__(self) -> NoBar:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class Bar(NoBar):
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
        self._steps, self._rows, self._began = steps_per_epoch, n_rows, time.perf_counter()

    def show(self, history: History, step: int) -> None:
        """Move the bar to a step."""
        done = step / self._steps
        pace = done * self._rows / max(time.perf_counter() - self._began, 1e-9)
        shown = [name for name in ("val_accuracy", "accuracy", "val_loss", "loss") if name in history]
        values = {name: f"{history[name][-1]:.4g}" for name in dict.fromkeys([*shown[:1], *shown[-1:]])}
        self._bar.set_postfix({**values, "examples/s": f"{pace:,.0f}"}, refresh=False)
        self._bar.update(done - self._bar.n)

    def __exit__(self, *error: object) -> None:
        self._bar.close()


def shown_by_default() -> bool:
    """Whether somebody watches: stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def progress_bar(wanted: bool | None, epochs: int, steps_per_epoch: int, n_rows: int) -> NoBar:
    """A bar where it is wanted; None: where stderr is a terminal, and then only after a second."""
    if wanted is None:
        return Bar(epochs, steps_per_epoch, n_rows, 1.0) if shown_by_default() else NoBar()
    return Bar(epochs, steps_per_epoch, n_rows, 0.0) if wanted and sys.stderr is not None else NoBar()
