"""Count the instructions of the main benchmarks, and keep and draw them by commit: python -m tools.speed_history.

Times drift on shared machines; counts of instructions do not. The cases train on one thread under valgrind's
cachegrind, compiled for AVX2, which it knows. The count of a case is the difference that more epochs of it make, over
their examples: what starts a program and a training cancels. A line for each case is added to the file, or replaces
that of the same commit.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from fastnn.bench.case import Case
from tools.memcheck import AVX2

FILE = Path("benchmarks/results/instructions.csv")
PICTURE = Path("docs/images/speed_history.png")
FIELDS = ("commit", "date", "case", "instructions")
FLOPS = 5e8
"""Work of an epoch: enough that what differs by chance between two runs is small beside it."""

MORE_EPOCHS = 2
"""Epochs that the count of a case is the difference of."""

PROGRAM = """
import json, sys
import numpy as np
import fastnn
from fastnn.training import loop
loop.CALL_SECONDS = 1e9  # the lengths of the compiled calls must not depend on the clock
for case in json.loads(sys.argv[1]):
    rng = np.random.default_rng(7)
    X = rng.random((case["rows"], case["sizes"][0]), dtype=np.float32)
    y = rng.integers(0, case["sizes"][-1], case["rows"])
    y = y if case["loss"] == "cross_entropy" else rng.random((case["rows"], case["sizes"][-1]), dtype=np.float32)
    net = fastnn.Network(case["sizes"], activation=case["activation"], loss=case["loss"], seed=0)
    net.fit(
        X, y, epochs=case["epochs"], batch_size=case["batch_size"], learning_rate=1e-3, n_threads=1, progress=False
    )
"""


def settings_of(case: Case) -> dict[str, Any]:
    """Return what the program needs of a case, with as many rows as make the work wanted."""
    batches = max(2, round(FLOPS / (case.flops * case.batch_size)))
    return {
        "sizes": case.sizes,
        "activation": case.activation,
        "loss": case.loss,
        "batch_size": case.batch_size,
        "rows": batches * case.batch_size,
        "epochs": 1,
    }


def total(settings: list[dict[str, Any]], environment: dict[str, str]) -> int:
    """Return the instructions of a whole run."""
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command = [*valgrind, sys.executable, "-c", PROGRAM, json.dumps(settings)]
    report = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr
    found = re.search(r"I +refs: +([\d,]+)", report)
    if not found:
        raise RuntimeError(f"valgrind counted nothing: {report:.500}")
    return int(found[1].replace(",", ""))


def count(cases: list[Case]) -> dict[str, float]:
    """Return the instructions of a training example, by the name of the case."""
    settings = [settings_of(case) for case in cases]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | AVX2
        environment |= {"FASTNN_CACHE_DIR": folder, "PYTHONPATH": os.getcwd(), "PYTHONHASHSEED": "0"}
        # compiles, which would take for ever under valgrind
        subprocess.run([sys.executable, "-c", PROGRAM, json.dumps(settings)], env=environment, check=True)
        base = total(settings, environment)
        counts = {}
        for number, case in enumerate(cases):
            longer = [chosen | {"epochs": 1 + MORE_EPOCHS * (n == number)} for n, chosen in enumerate(settings)]
            counts[case.name] = (total(longer, environment) - base) / (MORE_EPOCHS * settings[number]["rows"])
    return counts


def git(*arguments: str) -> str:
    """Return what git prints."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def read(path: Path) -> list[dict[str, str]]:
    """Return the lines of the file; none if there is no file yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def add(path: Path, counts: dict[str, float]) -> None:
    """Write the counts of the commit that is checked out into the file."""
    commit, date = git("rev-parse", "--short=10", "HEAD"), git("log", "-1", "--format=%cs")
    dirty = "+" if git("status", "--porcelain", "--untracked-files=no", "--", "fastnn") else ""
    new = [
        {"commit": commit + dirty, "date": date, "case": name, "instructions": f"{n:.1f}"} for name, n in counts.items()
    ]
    replaced = {(line["commit"], line["case"]) for line in new}
    kept = [line for line in read(path) if (line["commit"], line["case"]) not in replaced]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(kept + new)


def draw(path: Path, picture: Path) -> None:
    """Draw a line for each case over the commits, relative to its first count."""
    from matplotlib.figure import Figure

    lines = read(path)
    commits = list(dict.fromkeys(line["commit"] for line in lines))
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    for name in dict.fromkeys(line["case"] for line in lines):
        counts = {line["commit"]: float(line["instructions"]) for line in lines if line["case"] == name}
        first, last = next(iter(counts.values())), list(counts.values())[-1]
        places = [commits.index(commit) for commit in counts]
        axes.plot(places, [n / first for n in counts.values()], marker="o", label=f"{name}: {last:,.0f}")
    axes.set_xticks(range(len(commits)), commits, rotation=30, fontsize=7, ha="right")
    axes.set_ylabel("instructions / first count")
    axes.set_title("Instructions of a training example", fontsize=10)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=7, title="case: last count", title_fontsize=7)
    figure.savefig(picture, dpi=90)


def main() -> None:
    """Count, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="2,3,6,7", help="numbers of cases in benchmarks/cases.py")
    parser.add_argument("--file", type=Path, default=FILE)
    parser.add_argument("--draw", action="store_true", help=f"only draw the file, into {PICTURE}")
    chosen = parser.parse_args()
    if not chosen.draw:
        if shutil.which("valgrind") is None:
            sys.exit("there is no valgrind here")
        counts = count([CASES[int(number)] for number in chosen.cases.split(",")])
        add(chosen.file, counts)
        for name, instructions in counts.items():
            print(f"{instructions:14,.1f}  {name}")
    draw(chosen.file, PICTURE)


if __name__ == "__main__":
    main()
