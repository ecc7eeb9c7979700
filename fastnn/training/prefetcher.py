"""Items fetched by a thread before they are needed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .interrupts import Interruption

END = object()
POLL_SECONDS = 0.05


class Prefetcher:
    """Iterate over what another thread takes out of `source`, at most `ahead` items early.

    As a context it ends the thread, whatever it waits for; the iteration ends where Ctrl-C asks for it.

    Parameters
    ----------
    source : iterable
    ahead : int
    interruption : Interruption
    """

    def __init__(self, source: Iterable[Any], ahead: int, interruption: Interruption) -> None:
        self._interruption = interruption
        self._items: queue.Queue[Any] = queue.Queue(ahead)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._fetch, args=(source,), name="fastnn batches", daemon=True)

    def _fetch(self, source: Iterable[Any]) -> None:
        try:
            for item in source:
                if not self._put((_copied(item), None)):
                    return
            self._put((END, None))
        except BaseException as error:
            self._put((END, error))

    def _put(self, item: Any) -> bool:
        while not self._over.is_set():
            try:
                self._items.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def __enter__(self) -> Iterator[Any]:
        self._thread.start()
        return self._received()

    def _received(self) -> Iterator[Any]:
        while not self._interruption.requested:
            try:
                item, error = self._items.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if error is not None:
                raise error
            if item is END:
                return
            yield item

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(1.0)


def _copied(item: Any) -> Any:
    """Return the batch with arrays of its own: the source may refill the same ones, or read them from a file."""
    if not isinstance(item, tuple | list):
        return item
    return tuple(np.array(part) if isinstance(part, np.ndarray) else part for part in item)
