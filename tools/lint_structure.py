"""Check the shape of the package: sizes of files, functions and records, and names that are private to a module.

Usage: python -m tools.lint_structure
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "fastnn"
MAX_FILE, MAX_BODY, MAX_FIELDS = 400, 60, 12
LONG_FILES = {"network.py"}
"""Files whose length is that of their docstrings."""

MANY_FIELDS = {"FitOptions"}
FOREIGN = {"_optimizer", "_score", "_no_improvement_count", "_cache"}
"""Private names of scikit-learn and Numba, which subclasses of theirs share."""

OWNERS = {"self", "cls", "other", "super"}
"""Names through which a method reaches private attributes of its own class."""


def body_lines(function: ast.FunctionDef) -> int:
    """Return the lines of a function's body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body and body[-1].end_lineno else 0


def fields_of(node: ast.ClassDef) -> int:
    """Return the fields of a dataclass, 0 for other classes."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    if not any(decorator.startswith("dataclass") for decorator in decorators):
        return 0
    return sum(isinstance(item, ast.AnnAssign) for item in node.body)


def is_own(node: ast.expr) -> bool:
    """Whether an expression is the object or class to which a method belongs."""
    return isinstance(node, ast.Name) and node.id in OWNERS


def defined_names(tree: ast.Module) -> set[str]:
    """Return the private names that a module defines: functions, methods, attributes of self, module variables."""
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    attributes = (
        node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    )
    names |= {node.attr for node in attributes if is_own(node.value)}
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def problems(path: Path, tree: ast.Module, of_package: set[str]) -> Iterator[str]:
    """Yield what is wrong with one file, given the private names that the package defines."""
    text, name = path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix()
    in_kernels = name.startswith("kernels/")
    if not in_kernels and name not in LONG_FILES and len(text.splitlines()) > MAX_FILE:
        yield f"{name}: {len(text.splitlines())} lines, at most {MAX_FILE}"
    foreign = of_package - defined_names(tree) - FOREIGN
    for node in ast.walk(tree):
        place = f"{name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.FunctionDef) and not in_kernels and body_lines(node) > MAX_BODY:
            yield f"{place}: the body of {node.name} has {body_lines(node)} lines, at most {MAX_BODY}"
        if isinstance(node, ast.ClassDef) and fields_of(node) > MAX_FIELDS and node.name not in MANY_FIELDS:
            yield f"{place}: {node.name} has {fields_of(node)} fields, at most {MAX_FIELDS}"
        if isinstance(node, ast.ImportFrom) and node.level:
            for alias in node.names:
                if alias.name in foreign:
                    yield f"{place}: {alias.name} is private to {node.module}"
        if isinstance(node, ast.Attribute) and node.attr in foreign and not is_own(node.value):
            yield f"{place}: {ast.unparse(node)} is private to another module"


def main() -> int:
    """Print what is wrong with every file of the package."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
    of_package = set[str]().union(*map(defined_names, trees.values()))
    wrong = [problem for path, tree in trees.items() for problem in problems(path, tree, of_package)]
    print("\n".join(wrong) or "the package has its shape")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
