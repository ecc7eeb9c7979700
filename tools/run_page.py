"""Run the code blocks of a Markdown page in their order, as a reader would: python -m tools.run_page docs/gallery.md.

The blocks of a page share one folder, the current one, and its Python blocks one namespace. A block whose fence has a
title, as in ```c title="main.c", is written to that file. A comment on the line before a block marks it:

    <!-- block: needs torch -->          the module (or program) must be there, else the block is skipped
    <!-- block: skip, takes minutes -->  it is never run, for the reason given

A block that fails ends the page.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

BLOCK = re.compile(
    r"(?:^ *<!-- block: (?P<mark>[^\n]*?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)(?: +title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
RUNNABLE = ("python", "bash")


@dataclass(frozen=True)
class Block:
    """A code block of a page: the line of its first statement, its language, code, mark and file."""

    line: int
    language: str
    code: str
    mark: str
    title: str


@dataclass(frozen=True)
class Result:
    """What became of a block: "passed", "skipped" or "failed", and why."""

    line: int
    status: str
    detail: str


def blocks_of(text: str) -> list[Block]:
    """Return the blocks of a page that can be run or written; output and plain text are none."""
    blocks = []
    for match in BLOCK.finditer(text):
        indent = len(match["indent"])
        code = "".join(line[indent:] or "\n" for line in match["code"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start("code")) + 1
        if match["language"] in RUNNABLE or match["title"]:
            blocks.append(Block(line, match["language"], code, match["mark"] or "", match["title"] or ""))
    return blocks


def why_skipped(mark: str) -> str:
    """Return why a block with this mark is not run; "" if it is."""
    if mark.startswith("skip, "):
        return mark.removeprefix("skip, ")
    if mark and not mark.startswith("needs "):
        raise ValueError(f"a block is marked {mark!r}; it must be 'needs NAME' or 'skip, REASON'")
    for name in mark.removeprefix("needs ").split():
        if importlib.util.find_spec(name) is None and shutil.which(name, path=search_path()) is None:
            return f"needs {name}"
    return ""


def search_path() -> str:
    """Return the PATH of the blocks: this interpreter's folder first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def write_programs(folder: Path) -> None:
    """Write `fastnn` and `python` as this interpreter has them, for the blocks of the shell."""
    for name, module in (("fastnn", " -m fastnn"), ("python", "")):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n', "utf-8")
        program.chmod(0o755)


def run_block(block: Block, page: str, namespace: dict[str, Any], environment: dict[str, str]) -> None:
    """Run a block, or write it to its file."""
    if block.title:
        Path(block.title).write_text(block.code, "utf-8")
    elif block.language == "bash":
        subprocess.run(["bash", "-euo", "pipefail", "-c", block.code], env=environment, check=True)
    else:
        lines = "\n" * (block.line - 1)  # errors name the page's own lines
        exec(compile(lines + block.code, page, "exec"), namespace)


def run_page(path: Path) -> Iterator[Result]:
    """Run the blocks of a page in the current folder, and yield what became of each."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder:
        write_programs(Path(folder))
        environment = os.environ | {"PATH": os.pathsep.join([folder, search_path()])}
        for block in blocks_of(path.read_text("utf-8")):
            reason = why_skipped(block.mark)
            if reason:
                yield Result(block.line, "skipped", reason)
                continue
            try:
                run_block(block, str(path), namespace, environment)
            except Exception:
                yield Result(block.line, "failed", traceback.format_exc())
                return
            yield Result(block.line, "passed", "")


def main() -> None:
    """Run a page; exit with 1 if a block fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--results", type=Path, help="write what became of each block here, as JSON")
    chosen = parser.parse_args()
    sys.argv[1:] = []
    results = []
    for result in run_page(chosen.page):
        results.append(result)
        print(f"{chosen.page}:{result.line} {result.status} {result.detail}".rstrip(), file=sys.stderr, flush=True)
    if chosen.results:
        chosen.results.write_text(json.dumps([asdict(result) for result in results]), "utf-8")
    sys.exit(any(result.status == "failed" for result in results))


if __name__ == "__main__":
    main()
