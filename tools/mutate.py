"""Break the code in one place at a time and see whether a test notices: python -m tools.mutate --count 200 --jobs 2.

Each mutant is one small change of an expression or a statement, drawn with a seed from the syntax trees of the modules
below, in a copy of the project. The tests of its module run until the first failure; for kernels without compilation,
where the plain-Python twins stand in for the intrinsics. What no test notices is printed with its change; what no
test can notice is listed in `equivalent_mutants.toml`, with the reason, and counted apart.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
KERNEL_TESTS = "losses explicit_order regularization network functional kernels gradients optimizers sparse shuffle"
COMPILED_TESTS = "elementary linking threads kernels determinism trajectory compiled numbers sparse memory"
PATTERNS = {
    "kernels/[!_]*.py": KERNEL_TESTS,
    "kernels/elementary.py": "elementary losses network",
    "kernels/barrier.py": "threads",
    "kernels/threads.py": "threads",
    "kernels/simd.py": "kernels gradients target explicit_order",
    "kernels/cache.py": "cache",
    "kernels/jit.py": "jit",
    "kernels/target.py": "target",
    "kernels/image_distortion.py": "augmentation",
    "kernels/compilation.py": "compilation linking",
    "kernels/registry.py": "linking losses",
    "kernels/kernel_table.py": "linking losses",
    "kernels/argument_types.py": "linking",
    "losses.py": "losses network",
    "optimizers.py": "optimizers regularization network",
    "parameters.py": "network functional kernels regularization",
    "functional.py": "functional",
    "training/update_rule.py": "optimizers regularization checkpointing",
    "training/explicit_order.py": "explicit_order sklearn textbook",
    "training/array_engine.py": "functional",
    "training/checkpointing.py": "checkpointing damaged_files",
    "io/checkpoint_file.py": "checkpointing model_file damaged_files",
    "io/model_file.py": "model_file checkpointing damaged_files losses released_files",
    "io/files.py": "model_file checkpointing",
    "tables/[!_]*.py": "tables table_encoder table_files table_kinds table_model table_npz",
    "datasets/[!_]*.py": "datasets",
    "inputs/[!_]*.py": "network inputs sparse trajectory regularization losses",
    "compat/estimators/[!_]*.py": "sklearn sklearn_options sklearn_subclasses",
    "compat/textbook/columns.py": "textbook",
}
"""Modules of the package, and the tests that hold them; the last pattern that a module matches counts."""

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult}
SECONDS = 900
KEY = ("module", "line", "nth", "before", "after")


@dataclass(frozen=True)
class Mutant:
    """A module's text with one change, and where it is: the `nth` of its kind in that line."""

    module: str
    number: int
    line: str
    nth: int
    before: str
    after: str
    text: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What it is known by while other lines come and go."""
        return tuple(getattr(self, name) for name in KEY)

    def __str__(self) -> str:
        return f"survived: {self.module}:{self.number}, {self.nth}: {self.before}  ->  {self.after}"


def modules() -> dict[str, list[Path]]:
    """Return the test files of every module; ValueError if a pattern matches no module, or a test does not exist."""
    tests = {}
    for pattern, names in PATTERNS.items():
        paths = [ROOT / "tests" / f"test_{name}.py" for name in names.split()]
        matching = sorted((ROOT / "fastnn").glob(pattern))
        if not matching or not all(path.exists() for path in paths):
            raise ValueError(f"{pattern} is no module, or a test of {names!r} does not exist")
        tests |= {path.relative_to(ROOT / "fastnn").as_posix(): paths for path in matching}
    return tests


def equivalent_mutants() -> set[tuple[Any, ...]]:
    """Return the keys of those that no test can tell from the code."""
    entries = tomllib.loads((ROOT / "tools" / "equivalent_mutants.toml").read_text("utf-8"))["mutant"]
    return {tuple(({"nth": 1} | entry)[name] for name in KEY) for entry in entries}


def places(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the number of a node in the order of `ast.walk`, and what can be changed in it; not in errors' texts."""
    words = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for number, node in enumerate(ast.walk(tree)):
        if node in words:
            continue
        if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
            yield number, "comparison"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
            yield number, "operator"
        elif isinstance(node, ast.BoolOp):
            yield number, "and or"
        elif isinstance(node, ast.If | ast.IfExp | ast.While):
            yield number, "condition"
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield number, "constant"
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield number, "call"
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
            yield number, "sign"


@contextmanager
def changed(node: Any, what: str) -> Iterator[None]:
    """Change a node within the block."""
    kept = dict(vars(node))
    if what == "comparison":
        node.ops = [COMPARISONS[type(node.ops[0])](), *node.ops[1:]]
    elif what == "operator":
        node.op = OPERATORS[type(node.op)]()
    elif what == "and or":
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif what == "condition":
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif what == "constant":
        node.value = node.value + 1
    elif what == "call":
        node.value = ast.Constant(None)
    else:
        node.op = ast.UAdd()
    try:
        yield
    finally:
        vars(node).update(kept)


def mutants_of(module: str) -> list[Mutant]:
    """Return every mutant of a module."""
    text = (ROOT / "fastnn" / module).read_text("utf-8")
    tree, lines = ast.parse(text), text.splitlines()
    nodes, original = list(ast.walk(tree)), ast.unparse(tree)
    mutants, seen = [], Counter[tuple[Any, ...]]()
    for number, what in list(places(tree)):
        node = nodes[number]
        before = ast.unparse(node).splitlines()[0]
        with changed(node, what):
            after, result = ast.unparse(node).splitlines()[0], ast.unparse(tree)
        if result != original:
            line = getattr(node, "lineno", 0)
            seen[line, before, after] += 1
            nth = seen[line, before, after]
            mutants.append(Mutant(module, line, lines[line - 1].strip(), nth, before, after, result))
    return mutants


def survives(mutant: Mutant, tests: list[Path], python: str) -> bool:
    """Return whether all tests of the module pass with the mutant in the module's place."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "project"
        shutil.copytree(
            ROOT, copied, ignore=shutil.ignore_patterns(".git", ".venv", "runs", "__pycache__", "*.egg-info")
        )
        (copied / "fastnn" / mutant.module).write_text(mutant.text, "utf-8")
        environment = os.environ | {"PYTHONPATH": str(copied), "PYTHONDONTWRITEBYTECODE": "1"}
        if not mutant.module.startswith("kernels/"):
            return passes(python, copied, tests, environment)
        plain, cold = {"NUMBA_DISABLE_JIT": "1"}, {"FASTNN_CACHE_DIR": folder, "NUMBA_NUM_THREADS": "4"}
        alive = passes(python, copied, tests, environment | plain)
        compiled = [ROOT / "tests" / f"test_{name}.py" for name in COMPILED_TESTS.split()]
        return alive and passes(python, copied, compiled, environment | cold)


def passes(python: str, project: Path, tests: list[Path], environment: dict[str, str]) -> bool:
    """Return whether these tests pass there."""
    names = [str(path.relative_to(ROOT)) for path in tests]
    command = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *names]
    try:
        return not subprocess.run(
            command, cwd=project, env=environment, capture_output=True, timeout=SECONDS, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return False


def main() -> None:
    """Draw mutants and run the tests on each."""
    tests_of = modules()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--again", type=Path, help="what an earlier run printed: its survivors alone")
    parser.add_argument("--module", action="append", choices=tuple(tests_of), help="of these modules alone")
    chosen = parser.parse_args()
    pool = [mutant for module in chosen.module or tests_of for mutant in mutants_of(module)]
    drawn = random.Random(chosen.seed).sample(pool, min(chosen.count, len(pool)))
    if chosen.again:
        printed = chosen.again.read_text("utf-8")
        drawn = [mutant for mutant in pool if f"{mutant}\n" in printed]
    known = equivalent_mutants()
    if stale := {key for key in known if key[0] in (chosen.module or tests_of)} - {mutant.key for mutant in pool}:
        parser.error(f"equivalent_mutants.toml has entries that are no mutants: {sorted(stale)}")
    tried = [mutant for mutant in drawn if mutant.key not in known]
    survivors = 0
    with ThreadPoolExecutor(chosen.jobs) as executor:
        for number, (mutant, alive) in enumerate(
            zip(
                tried,
                executor.map(lambda mutant: survives(mutant, tests_of[mutant.module], sys.executable), tried),
                strict=True,
            ),
            1,
        ):
            survivors += alive
            if alive:
                print(mutant, flush=True)
            if number % 10 == 0:
                print(f"{number} of {len(tried)} (of {len(pool)} there are), {survivors} survived", flush=True)
    print(
        f"{len(drawn)} drawn of {len(pool)}: {len(tried) - survivors} killed, "
        f"{len(drawn) - len(tried)} are equivalent, {survivors} survived"
    )


if __name__ == "__main__":
    main()
