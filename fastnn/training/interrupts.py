"""Ctrl-C between steps: requested for while compiled code runs, answered when all that belongs together is done."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interruption:
    """A context in which the first Ctrl-C sets `requested`; the second one raises KeyboardInterrupt as ever.

    Where signals are not this thread's, or somebody else handles Ctrl-C, nothing changes.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: Any = None
        self._depth = 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._depth += 1
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        if threading.current_thread() is threading.main_thread():
            self._depth -= 1
            if self._depth == 0 and self._before is not None:
                signal.signal(signal.SIGINT, self._before)
                self._before = None
