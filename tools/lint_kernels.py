"""Read the kernels' syntax trees and report what they must not do: python -m tools.lint_kernels.

A compiled function has one of fastnn's decorators and no other, a docstring, no defaults, nothing that allocates,
raises, prints or draws random numbers, and writes to one of its first two arguments: outputs come first. A linked
kernel has a slot and a signature as long as its arguments, and is called through `call` alone: nothing else names a
slot or indexes a kernel table. Nothing is compiled with fastmath=True, and only `fastnn/kernels` imports numba.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "fastnn"
LINKED = {"linked_kernel": 2, "linked_entry": 2, "user_prototype": 1}
"""The decorators with a signature, the last of so many arguments."""

DECORATORS = {"kernel", "entry", "parallel_entry", *LINKED}
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
    """Return the last name of a dotted expression, or of what is called."""
    if isinstance(node, ast.Call):
        return name_of(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def root_of(node: ast.expr) -> str:
    """Return the first name of a chain of attributes, subscripts and slices."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return getattr(node, "id", "")


def complaints_of_kernel(function: ast.FunctionDef) -> Iterator[str]:
    """Yield what is wrong with one compiled function."""
    if len(function.decorator_list) != 1:
        yield "has more than one decorator"
    if not ast.get_docstring(function):
        yield "has no docstring"
    arguments = function.args
    if arguments.defaults or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
        yield "has defaults, or arguments by keyword or in any number"
    for decorator in function.decorator_list:
        if name_of(decorator) in LINKED and not has_signature(decorator, len(arguments.args)):
            yield "has no signature, or one that is not as long as its arguments"
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
    if not returns and first_two and not first_two & written(function):
        yield "writes to neither of its first two arguments"


def has_signature(decorator: ast.expr, n_arguments: int) -> bool:
    """Return whether a linking decorator is called with all that it takes, a signature of that length included."""
    if not isinstance(decorator, ast.Call) or len(decorator.args) != LINKED[name_of(decorator)]:
        return False
    signature = decorator.args[-1]
    return isinstance(signature, ast.Tuple) and len(signature.elts) == n_arguments


def written(function: ast.FunctionDef) -> set[str]:
    """Return the names that are written to, or passed to what may write to them; views of an argument count as it."""
    views = {arg.arg: arg.arg for arg in function.args.args}
    names = set()
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
                names.add(views.get(root_of(target), ""))
        if isinstance(node, ast.Call):
            names |= {views.get(root_of(argument), "") for argument in node.args}
    return names


def linked_in(tree: ast.Module) -> set[str]:
    """Return the names of a module's linked kernels."""
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and LINKED.keys() & {name_of(part) for part in node.decorator_list}
    }


def complaints_of_linking(tree: ast.Module, linked: Mapping[str, set[str]]) -> Iterator[tuple[int, str]]:
    """Yield the line of each call that bypasses the kernel table, or reads it by hand, and what is wrong with it.

    linked: the linked kernels of every module, by the module's name.
    """
    names, modules = linked_in(tree), dict[str, set[str]]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")[-1]
            names |= {alias.asname or alias.name for alias in node.names if alias.name in linked.get(module, ())}
            modules |= {alias.asname or alias.name: linked[alias.name] for alias in node.names if alias.name in linked}
    decorators = [part for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for part in node.decorator_list]
    in_decorators = {id(node) for decorator in decorators for node in ast.walk(decorator)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            of_module = modules.get(root_of(function), set()) if isinstance(function, ast.Attribute) else set()
            if getattr(function, "id", "") in names or getattr(function, "attr", "") in of_module:
                yield node.lineno, f"calls {name_of(function)} directly, not through the kernel table"
        if isinstance(node, ast.Attribute) and root_of(node) == "Slot" and id(node) not in in_decorators:
            yield node.lineno, f"names Slot.{node.attr} outside of its kernel's decorator"
        if isinstance(node, ast.Subscript) and name_of(node.value) == "kernel_table":
            yield node.lineno, "indexes the kernel table"


def complaints(path: Path, text: str, linked: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield what is wrong with one module; linked: the linked kernels of every module, by the module's name."""
    tree = ast.parse(text, str(path))
    inside = "kernels" in path.parts
    if inside:
        yield from (f"{path}:{line}: {what}" for line, what in complaints_of_linking(tree, linked))
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
    """Lint the package; return 1 if anything is wrong."""
    texts = {path.relative_to(PACKAGE.parent): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    linked = {path.stem: linked_in(ast.parse(text)) for path, text in texts.items() if "kernels" in path.parts}
    lines = [line for path, text in texts.items() for line in complaints(path, text, linked)]
    print("\n".join(lines) or "the kernels keep the rules")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
