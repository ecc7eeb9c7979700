"""Every code block of the README and of the documentation runs as printed, and every picture has its code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastnn import plots
from fastnn.kernels.jit import COMPILED
from tools.run_page import blocks_of, why_skipped

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
WITH_BLOCKS = [page for page in PAGES if blocks_of(page.read_text("utf-8"))]


def name_of(page):
    return page.relative_to(ROOT).as_posix()


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="too slow without compilation")
@pytest.mark.parametrize("page", WITH_BLOCKS, ids=name_of)
def test_the_blocks_of_the_page_run(page, tmp_path, subtests):
    folder, file = tmp_path / "page", tmp_path / "results.json"
    (folder / "images").mkdir(parents=True)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-m", "tools.run_page", str(page), "--results", str(file)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert file.exists(), done.stderr
    results = json.loads(file.read_text("utf-8"))
    for result in results:
        with subtests.test(msg=f"{name_of(page)}:{result['line']}"):
            if result["status"] == "skipped":
                pytest.skip(result["detail"])
            assert result["status"] == "passed", result["detail"] + done.stderr
    assert done.returncode == 0, done.stderr
    assert len(results) == len(blocks_of(page.read_text("utf-8")))


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=name_of)
def test_every_fence_of_a_runnable_language_is_found(page):
    text = page.read_text("utf-8")
    fences = re.findall(r"^ *```(?:python|bash)\b", text, re.MULTILINE)
    assert len([block for block in blocks_of(text) if block.language in ("python", "bash")]) == len(fences)


def test_a_block_that_fails_is_reported_and_ends_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```python\nx / 0\n```\n\n```python\nx\n```\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tools.run_page", str(page), "--results", str(tmp_path / "results.json")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert done.returncode == 1
    assert [(result["line"], result["status"]) for result in results] == [(2, "passed"), (6, "failed")]
    assert "ZeroDivisionError" in results[1]["detail"]
    assert f'{page}", line 6' in results[1]["detail"]


def test_marks_are_understood():
    assert why_skipped("") == why_skipped("needs json re") == ""
    assert why_skipped("needs no_such_module_anywhere") == "needs no_such_module_anywhere"
    assert why_skipped("skip, takes minutes") == "takes minutes"
    with pytest.raises(ValueError, match="'needs NAME' or 'skip, REASON'"):
        why_skipped("skipp")


def test_the_gallery_draws_every_kind_of_figure_and_every_stored_picture():
    blocks = blocks_of((DOCS / "gallery.md").read_text("utf-8"))
    code = "".join(block.code for block in blocks)
    drawing = [name for name in plots.__all__ if name != "brightest"]  # it returns labels, no figure
    assert [name for name in drawing if f"plots.{name}(" not in code] == []
    saved = set(re.findall(r'savefig\("images/([\w-]+\.png)"', code))
    shown = set(re.findall(r"!\[[^]]*\]\(images/([\w-]+\.png)\)", (DOCS / "gallery.md").read_text("utf-8")))
    assert saved == shown
    assert saved <= {path.name for path in (DOCS / "images").iterdir()}


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
            if "://" not in target and not target.startswith("mailto:"):
                assert (page.parent / target).exists(), f"{name_of(page)}: {target}"


def test_the_quick_start_is_two_blocks_to_install_and_train_and_to_test():
    section = re.search(r"\n## Quick start\n(.*?)\n## ", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[1]
    first, second = re.findall(r"^```bash\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert first.endswith("fastnn train digits\n")
    assert "-m pytest" in second
