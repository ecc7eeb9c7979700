"""The lint that finds locks which a forked child would not get anew: the package passes, and it can fail."""

import pytest
from helpers import in_checkout

lint = pytest.importorskip("tools.lint_locks")


def test_every_lock_of_the_package_is_renewed(capsys):
    assert lint.main() == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "lock"),
    [
        ("import threading\nlock = threading.Lock()\n", "Lock"),
        ("import threading as t\ncondition = t.Condition()\n", "Condition"),
        ("from threading import RLock as Guard\nguard = Guard()\n", "RLock"),
        ("import _thread\nlock = _thread.allocate_lock()\n", "allocate_lock"),
        ("import multiprocessing\nlock = multiprocessing.Semaphore()\n", "Semaphore"),
        ("def f():\n    from queue import Queue\n    return Queue()\n", "Queue"),
        ("import functools\nclass A:\n    a = functools.cached_property(len)\n", "cached_property"),
        ("from threading import *\n", "*"),
    ],
)
def test_a_lock_of_another_kind_is_reported(text, lock):
    (line,) = lint.complaints("some.py", text)
    assert f": {lock} stays locked in a forked child" in line


@pytest.mark.parametrize(
    "text",
    [
        "from .locks import ForkSafeLock\nlock = ForkSafeLock()\n",
        "import threading\nstore = threading.local()\n",
        "from .threading import Lock\n",
    ],
)
def test_what_is_no_lock_passes(text):
    assert not list(lint.complaints("some.py", text))


@in_checkout
@pytest.mark.parametrize("name", lint.ALLOWED)
def test_a_file_that_may_make_locks_makes_some(name, monkeypatch):
    """An exception for a file that makes none would cover the next one."""
    monkeypatch.setattr(lint, "ALLOWED", {})
    assert list(lint.complaints(name, (lint.PACKAGE / name).read_text("utf-8")))
