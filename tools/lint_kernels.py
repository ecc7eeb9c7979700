"""Read the kernels' syntax trees and report what they must not do: python -m tools.lint_kernels.

A compiled function has one of the decorators of kernels/jit.py and no other, a docstring, no defaults, nothing that
allocates, raises, prints or draws random numbers, and writes to one of its first two arguments: outputs come first.
Nothing is compiled with fastmath=True, and only `fastnn/kernels` imports numba.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "fastnn"
DECORATORS = {"kernel", "piece", "entry", "parallel_entry"}
ALLOCATE = {
    "zeros",
    "empty",
    "ones",
    "full",
    "array",
    "arange",
    "zeros_like",
    "empty_like",
    "ones_like",
    "copy",
    "astype",
}
ALLOCATE |= {"concatenate", "append", "list", "dict", "set", "tolist", "ravel", "linspace"}
FORBIDDEN = {
    ast.Raise: "raises",
    ast.Assert: "asserts",
    ast.Try: "has a try",
    ast.With: "has a with",
    ast.Global: "has a global",
    ast.Nonlocal: "has a nonlocal",
    ast.List: "makes a list",
    ast.Dict: "makes a dict",
    ast.Set: "makes a set",
    ast.ListComp: "makes a list",
    ast.DictComp: "makes a dict",
    ast.SetComp: "makes a set",
    ast.GeneratorExp: "makes a generator",
    ast.Lambda: "makes a function",
    ast.Yield: "yields",
}


def name_of(node: ast.expr) -> str:
    """The last name of a dotted expression, or of what is called."""
    if isinstance(node, ast.Call):
        return name_of(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def root_of(node: ast.expr) -> str:
    """The first name of a chain of attributes, subscripts and slices."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return getattr(node, "id", "")


def complaints_of_kernel(function: ast.FunctionDef) -> Iterator[str]:
    """What is wrong with one compiled function."""
    if len(function.decorator_list) != 1:
        yield "has more than one decorator"
    if not ast.get_docstring(function):
        yield "has no docstring"
    arguments = function.args
    if arguments.defaults or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
        yield "has defaults, or arguments by keyword or in any number"
    for node in ast.walk(function):
        what = FORBIDDEN.get(type(node))
        if what:
            yield f"{what} in line {node.lineno}"  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and (name_of(node) in ALLOCATE or name_of(node) == "print"):
            yield f"calls {name_of(node)} in line {node.lineno}"
        if isinstance(node, ast.Attribute) and node.attr == "random":
            yield f"draws random numbers in line {node.lineno}"
    returns = any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(function))
    first_two = {argument.arg for argument in arguments.args[:2]}
    if not returns and first_two and not first_two & reached(function):
        yield "writes to neither of its first two arguments"


def reached(function: ast.FunctionDef) -> set[str]:
    """Names that are written to, or handed on to what may write to them; views of an argument count as it."""
    views = {arg.arg: arg.arg for arg in function.args.args}
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            pairs = [(node.targets[0], node.value)]
            if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(node.targets[0].elts, node.value.elts, strict=True))
            for target, value in pairs:
                for part in (value, *([value.body, value.orelse] if isinstance(value, ast.IfExp) else [])):
                    if isinstance(target, ast.Name) and root_of(part) in views:
                        views[target.id] = views[root_of(part)]
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Tuple):
                targets = [*targets, *target.elts]
        for target in targets:
            if isinstance(target, ast.Subscript):
                found.add(views.get(root_of(target), ""))
        if isinstance(node, ast.Call):
            found |= {views.get(root_of(argument), "") for argument in node.args}
    return found


def complaints(path: Path, text: str) -> Iterator[str]:
    """What is wrong with one module."""
    tree = ast.parse(text, str(path))
    inside = "kernels" in path.parts
    for node in ast.walk(tree):
        where = f"{path}:{getattr(node, 'lineno', 0)}"
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
        if not inside and any(module.split(".")[0] == "numba" for module in modules):
            yield f"{where}: only fastnn/kernels imports numba"
        if isinstance(node, ast.keyword) and node.arg == "fastmath" and getattr(node.value, "value", None) is True:
            yield f"{where}: fastmath=True drops the checks for NaN and infinity"
        if isinstance(node, ast.FunctionDef) and DECORATORS & {name_of(part) for part in node.decorator_list}:
            yield from (f"{where}: {node.name} {what}" for what in complaints_of_kernel(node))


def main() -> int:
    """Lint the package; 1 where anything is wrong."""
    found = [line for path in sorted(PACKAGE.rglob("*.py")) for line in complaints(path, path.read_text("utf-8"))]
    print("\n".join(found) or "the kernels keep the rules")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
