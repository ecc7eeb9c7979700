"""Write the public names with their signatures: python -m tools.public_api [--check].

`tests/public_api.txt` is the list; a change of it is a change of the contract, see docs/policy.md.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

LIST = Path(__file__).parent.parent / "tests" / "public_api.txt"
MODULES = (
    "fastnn",
    "fastnn.augmentation",
    "fastnn.calibration",
    "fastnn.callbacks",
    "fastnn.compat.textbook.network",
    "fastnn.compat.textbook.network2",
    "fastnn.compiled",
    "fastnn.dask",
    "fastnn.datasets",
    "fastnn.functional",
    "fastnn.initialisers",
    "fastnn.inspection",
    "fastnn.losses",
    "fastnn.optimizers",
    "fastnn.plots",
    "fastnn.preprocessing",
    "fastnn.reference",
    "fastnn.schedules",
    "fastnn.sklearn",
    "fastnn.tables",
)
NEEDS = {"fastnn.dask": "distributed", "fastnn.sklearn": "sklearn"}
"""Module -> the package that it needs."""


def signature_of(function: Any) -> str:
    """Return the parameters with their defaults, without annotations."""
    signature = inspect.signature(getattr(function, "py_func", function))
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def public_names(module: ModuleType) -> list[str]:
    """Return `__all__`, or else the public functions and classes that the module defines."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )


def members_of(class_: type, name: str) -> Iterator[str]:
    """Yield the public methods and properties that fastnn defines in a class or its bases."""
    for member in sorted(set(dir(class_)) - set(dir(object))):
        owner = next((base for base in class_.__mro__ if member in vars(base)), class_)
        if member.startswith("_") or not owner.__module__.startswith("fastnn"):
            continue
        value = inspect.getattr_static(class_, member)
        if isinstance(value, property):
            yield f"{name}.{member}"
        elif callable(getattr(class_, member)):
            yield f"{name}.{member}{signature_of(getattr(class_, member))}"


def lines_of(module: ModuleType, seen: set[Any]) -> Iterator[str]:
    """Yield a line for each public name of a module, with its signature where it can be called.

    `seen` holds the classes and functions that stand under a shorter name already.
    """
    for name in public_names(module):
        value, full = getattr(module, name), f"{module.__name__}.{name}"
        if callable(value):
            if value in seen:
                continue
            seen.add(value)
        if inspect.isclass(value):
            yield f"{full}{'' if issubclass(value, Exception) else signature_of(value)}"
            yield from members_of(value, full)
        elif callable(value):
            yield f"{full}{signature_of(value)}"
        else:
            yield full


def public_api() -> list[str]:
    """Return the lines of all modules whose packages are installed."""
    lines: list[str] = []
    seen: set[Any] = set()
    for name in MODULES:
        if name not in NEEDS or importlib.util.find_spec(NEEDS[name]):
            lines += lines_of(importlib.import_module(name), seen)
    return lines


def main() -> None:
    """Write the list, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 if the list is not up to date")
    chosen = parser.parse_args()
    text = "\n".join(public_api()) + "\n"
    if not chosen.check:
        LIST.write_text(text, "utf-8")
    elif LIST.read_text("utf-8") != text:
        sys.exit(f"{LIST} is not up to date: run python -m tools.public_api")


if __name__ == "__main__":
    main()
