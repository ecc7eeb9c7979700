"""Locks that a forked child gets anew: those of the parent's other threads would stay locked there for ever."""

from __future__ import annotations

import os
import threading
import weakref

_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


class ForkSafeLock:
    """A lock that is free in a forked child, whichever thread of the parent holds it.

    As a context it blocks; `acquire` does not. A thread that forks while it holds the lock releases it in the child
    as in the parent.

    Examples
    --------
    >>> from fastnn.locks import ForkSafeLock
    >>> lock = ForkSafeLock()
    >>> lock.acquire(), lock.acquire()
    (True, False)
    >>> lock.release()
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[threading.Lock] = []  # changed by the holder alone
        _locks.add(self)

    def acquire(self) -> bool:
        """Take the lock if it is free; return whether it was."""
        lock = self._lock
        taken = lock.acquire(blocking=False)
        if taken:
            self._held.append(lock)
        return taken

    def release(self) -> None:
        """Release the lock that this thread took last."""
        self._held.pop().release()

    def __enter__(self) -> None:
        lock = self._lock
        lock.acquire()
        self._held.append(lock)

    def __exit__(self, *error: object) -> None:
        self.release()

    def renew(self) -> None:
        """Replace the lock by a free one."""
        self._lock = threading.Lock()


def _renew_all() -> None:
    for lock in _locks:
        lock.renew()


if hasattr(os, "register_at_fork"):  # pragma: no branch - other systems
    os.register_at_fork(after_in_child=_renew_all)
