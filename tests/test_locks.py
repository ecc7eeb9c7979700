"""Locks that are free in a forked child, whichever thread of the parent holds them."""

import gc
import os
import threading
import weakref

import pytest
from helpers import run_python

from fastnn.locks import ForkSafeLock

FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def test_acquire_takes_a_free_lock_and_says_when_it_is_not():
    lock = ForkSafeLock()
    assert lock.acquire()
    assert not lock.acquire()
    lock.release()
    assert lock.acquire()


def test_as_a_context_it_waits_for_the_other_thread():
    lock, order = ForkSafeLock(), []

    def enter():
        with lock:
            order.append("second")

    with lock:
        other = threading.Thread(target=enter)
        other.start()
        other.join(0.1)
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]
    assert lock.acquire()


def test_an_error_inside_the_context_releases_it():
    lock = ForkSafeLock()
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert lock.acquire()


def test_releasing_what_was_not_taken_is_an_error():
    with pytest.raises(IndexError):
        ForkSafeLock().release()


def test_the_holder_may_release_a_lock_that_was_renewed_meanwhile():
    lock = ForkSafeLock()
    with lock:
        lock.renew()
        assert lock.acquire()  # another thread's, in the child
        lock.release()
    assert lock.acquire()


def test_locks_are_not_kept_alive():
    lock = ForkSafeLock()
    reference = weakref.ref(lock)
    del lock
    gc.collect()
    assert reference() is None


FORK = """
import os, threading
from fastnn.locks import ForkSafeLock

lock, held, leave = ForkSafeLock(), threading.Event(), threading.Event()

def outcome_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
HELD_BY_ANOTHER_THREAD = """
def hold():
    with lock:
        held.set()
        leave.wait(60)

holder = threading.Thread(target=hold)
holder.start()
assert held.wait(60)
child = os.fork()
if child == 0:
    os._exit(7 if lock.acquire() and not lock.acquire() else 1)
print(outcome_of(child), lock.acquire())
leave.set()
holder.join()
print(lock.acquire())
"""
HELD_BY_THE_THREAD_THAT_FORKS = """
with lock:
    child = os.fork()
if child == 0:
    os._exit(7 if lock.acquire() else 1)
print(outcome_of(child), lock.acquire())
"""


@FORKS
def test_a_lock_held_by_another_thread_is_free_in_the_child_and_held_in_the_parent():
    assert run_python(FORK + HELD_BY_ANOTHER_THREAD).split() == ["7", "False", "True"]


@FORKS
def test_the_thread_that_forks_while_it_holds_the_lock_releases_it_on_both_sides():
    assert run_python(FORK + HELD_BY_THE_THREAD_THAT_FORKS).split() == ["7", "True"]
