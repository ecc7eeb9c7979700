"""Ctrl-C while compiled code runs: noted when it comes, obeyed between steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interruption:
    """A context manager in which the first Ctrl-C sets `requested` and the second raises KeyboardInterrupt.

    Outside the main thread, or if the program has its own handler of Ctrl-C, it changes nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous_handler: Any = None
        self._depth = 0

    def _handle(self, signal_number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._depth += 1
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._previous_handler = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        if threading.current_thread() is threading.main_thread():
            self._depth -= 1
            if self._depth == 0 and self._previous_handler is not None:
                signal.signal(signal.SIGINT, self._previous_handler)
                self._previous_handler = None
