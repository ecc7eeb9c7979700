"""What the command says while something takes its time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 2.0
"""Seconds after which the user is told that kernels are compiled."""


@contextmanager
def notice_of_compilation() -> Iterator[None]:
    """Tell the user that kernels are compiled if that takes long."""
    text = "preparing the kernels; the first run on a machine compiles them, which takes about 20 seconds ..."
    notice = threading.Timer(PATIENCE, print, (text,), {"file": sys.stderr, "flush": True})
    notice.daemon = True
    notice.start()
    try:
        yield
    finally:
        notice.cancel()
