"""What is written twice, for people and for packagers, says the same."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import fastnn

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


@pytest.mark.slow
def test_a_zipped_package_trains_on_its_digits(tmp_path):
    package, archive = Path(fastnn.__file__).parent, tmp_path / "zipped.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in package.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                packed.write(path, path.relative_to(package.parent))
    program = """
import fastnn
X, y = fastnn.datasets.load_digits()
net = fastnn.Network([64, 10], activation="softmax", loss="cross_entropy", input_scale=1 / 16, seed=0)
net.fit(X, y, epochs=1)
print(fastnn.__file__, X.shape, net.epochs_trained)
"""
    given = os.environ | {"PYTHONPATH": str(archive), "FASTNN_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, env=given, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{archive}{os.sep}fastnn{os.sep}__init__.py (1797, 64) 1\n"
