"""Report locks that a forked child would not get anew: python -m tools.lint_locks.

A child is forked with the locks of the parent's other threads locked for ever. `fastnn.locks.ForkSafeLock` is renewed
in a child; no other lock may be made in the package.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "fastnn"
LOCKS = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier", "Event", "allocate_lock"}
LOCKS |= {"Queue", "LifoQueue", "PriorityQueue", "SimpleQueue", "cached_property"}
MODULES = {"threading", "_thread", "multiprocessing", "queue", "functools"}
ALLOWED = {
    "locks.py": "renews its locks",
    "kernels/threads.py": "renews Numba's locks",
    "training/prefetcher.py": "its queue and event belong to one stream, which a child does not carry on",
}
"""Files that make locks, and why a child is safe."""


def complaints(name: str, text: str) -> Iterator[str]:
    """Yield what is wrong with the module `name`, a path within the package."""
    if name in ALLOWED:
        return
    tree = ast.parse(text, name)
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name in MODULES}
    for node in ast.walk(tree):
        found: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module in MODULES:
            found = [alias.name for alias in node.names if alias.name in LOCKS or alias.name == "*"]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            found = [node.attr] if node.attr in LOCKS else []
        for lock in found:
            yield f"fastnn/{name}:{node.lineno}: {lock} stays locked in a forked child; use fastnn.locks.ForkSafeLock"


def main() -> int:
    """Lint the package; return 1 if anything is wrong."""
    paths = sorted(PACKAGE.rglob("*.py"))
    found = [
        line for path in paths for line in complaints(path.relative_to(PACKAGE).as_posix(), path.read_text("utf-8"))
    ]
    print("\n".join(found) or "every lock is renewed in a forked child")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
