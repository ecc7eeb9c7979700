"""The public names and signatures are those of `public_api.txt`; `python -m tools.public_api` writes it anew."""

import importlib.util
from types import ModuleType

import fastnn
from tools.public_api import LIST, MODULES, NEEDS, public_api


def listed():
    lines = LIST.read_text("utf-8").splitlines()
    missing = tuple(f"{module}." for module, package in NEEDS.items() if importlib.util.find_spec(package) is None)
    return [line for line in lines if not line.startswith(missing or "\0")]


def test_the_public_api_is_the_one_listed():
    assert public_api() == listed()


def test_every_public_module_is_listed():
    names = [name for name in (*fastnn.__all__, *fastnn.LATER) if isinstance(getattr(fastnn, name), ModuleType)]
    assert len(names) > 5
    assert [name for name in names if f"fastnn.{name}" not in MODULES] == []
