"""The table in `tests/README.md` that leads from a promise to its test."""

import re
from pathlib import Path

import pytest

import fastnn

TESTS = Path(__file__).parent
README = (TESTS / "README.md").read_text(encoding="utf-8")
TABLE = README[README.index("| promise | tests |") :].partition("\n\n")[0]
MODULES = re.findall(r"`(test_\w+\.py)`", TABLE)
NAMED = re.findall(r"`(test_\w+\.py)::(test_\w+)`", TABLE)


@pytest.mark.parametrize("row", TABLE.splitlines()[2:], ids=lambda row: row[2:50])
def test_every_promise_has_a_test(row):
    assert re.search(r"`test_\w+\.py(::test_\w+)?`", row)


@pytest.mark.parametrize("name", sorted({*MODULES, *(module for module, _ in NAMED)}))
def test_every_module_in_the_table_exists(name):
    assert (TESTS / name).is_file()


@pytest.mark.parametrize(("module", "name"), NAMED)
def test_every_test_in_the_table_exists(module, name):
    assert f"\ndef {name}(" in (TESTS / module).read_text(encoding="utf-8")


def test_every_module_of_tests_is_in_the_table_or_named_after_what_it_tests():
    package = Path(fastnn.__file__).parent
    paths = [path.relative_to(package) for path in package.rglob("*.py")]
    names = {part for path in paths for part in path.with_suffix("").parts}
    names |= {"_".join(path.with_suffix("").parts[-2:]) for path in paths}
    here = {path.name for path in TESTS.glob("test_*.py")} - {Path(__file__).name}
    unnamed = sorted(name for name in here - set(MODULES) if name[5:-3] not in names)
    assert not unnamed, "say in the table of tests/README.md what they hold the package to"
