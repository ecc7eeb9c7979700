"""Items that a thread fetches before they are needed."""

import threading
import time

import numpy as np
import pytest

from fastnn.training import prefetcher
from fastnn.training.interrupts import Interruption
from fastnn.training.prefetcher import Prefetcher


def test_batches_are_prefetched_no_further_than_requested():
    fetched, seen = [], []

    def batches():
        for number in range(6):
            fetched.append(number)
            yield number

    with Prefetcher(batches(), 2, Interruption()) as received:
        for _ in received:
            deadline = time.monotonic() + 5
            while len(fetched) < min(6, len(seen) + 3) and time.monotonic() < deadline:
                time.sleep(0.001)
            seen.append(len(fetched))
    # of those received the last, two in the queue, one that waits for space in it
    assert seen[0] in (3, 4)
    assert all(after - place <= 4 for place, after in enumerate(seen))


def test_source_and_training_wait_for_each_other(monkeypatch):
    monkeypatch.setattr(prefetcher, "POLL_SECONDS", 0.001)
    items = range(3)

    def slow():
        for item in items:
            time.sleep(0.02)
            yield item

    with Prefetcher(slow(), 1, Interruption()) as received:
        assert list(received) == list(items)
    with Prefetcher(items, 1, Interruption()) as received:
        found = []
        for item in received:
            time.sleep(0.02)
            found.append(item)
    assert found == list(items)


def test_arrays_are_copied_before_the_source_may_reuse_them():
    rows = np.zeros(3)

    def refilled():
        for number in range(4):
            rows[:] = number
            yield rows, "label"

    with Prefetcher(refilled(), 4, Interruption()) as received:
        items = list(received)
    assert [(array.tolist(), label) for array, label in items] == [([float(n)] * 3, "label") for n in range(4)]


def test_an_error_of_the_source_comes_after_the_items_before_it():
    def failing():
        yield 1
        raise OSError("the file is gone")

    received = []
    with pytest.raises(OSError, match="the file is gone"), Prefetcher(failing(), 1, Interruption()) as items:
        received.extend(iter(items.__next__, None))
    assert received == [1]


def test_leaving_the_context_ends_the_thread():
    def endless():
        while True:
            yield 0

    with Prefetcher(endless(), 1, Interruption()) as items:
        assert next(items) == 0
    assert "fastnn batches" not in [thread.name for thread in threading.enumerate()]


def test_an_interruption_ends_the_iteration():
    interruption, received = Interruption(), []
    with Prefetcher(iter(range(9)), 1, interruption) as items:
        for item in items:
            received.append(item)
            interruption.requested = item == 2
    assert received == [0, 1, 2]
