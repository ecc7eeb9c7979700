"""What is written twice, for people and for packagers, says the same."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = ROOT / "pyproject.toml"
RECIPE = next(ROOT.rglob("conda-recipe/recipe.yaml"), None)


def project():
    return tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]


def section(text, name):
    """Return the entries of a list of the recipe, as `package >=bound`."""
    (found,) = re.findall(rf"^  {name}:\n((?:    - .*\n)+)", text, re.MULTILINE)
    return [line.removeprefix("    - ") for line in found.splitlines()]


@pytest.mark.skipif(RECIPE is None, reason="the source archive has no recipe")
def test_the_recipe_runs_with_what_the_project_depends_on():
    run = section(RECIPE.read_text("utf-8"), "run")
    assert run[0] == "python >=${{ python_min }}"
    assert sorted(run[1:]) == sorted(dependency.replace(">=", " >=") for dependency in project()["dependencies"])


@pytest.mark.skipif(RECIPE is None, reason="the source archive has no recipe")
def test_the_recipe_is_built_as_the_project_is():
    text = RECIPE.read_text("utf-8")
    build = tomllib.loads(PYPROJECT.read_text("utf-8"))["build-system"]["requires"]
    assert section(text, "host")[2:] == [requirement.replace(">=", " >=") for requirement in build]
    assert f'python_min: "{project()["requires-python"].removeprefix(">=")}"' in text


def test_the_citation_names_the_project():
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"title: {project()['name']}\n" in text
    assert f"license: {project()['license']}\n" in text
    assert re.findall(r"^  - (.+)$", text.split("keywords:")[1], re.MULTILINE) == project()["keywords"]
