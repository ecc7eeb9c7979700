"""What the README shows runs as printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastnn.kernels.jit import COMPILED

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def title(block):
    lines = [line for line in block.splitlines() if "fastnn." in line or "Network" in line]
    return re.sub(r"\W+", " ", lines[0])[:50]


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="too slow without compilation")
@pytest.mark.parametrize("block", [pytest.param(block, id=title(block)) for block in BLOCKS])
def test_a_block_of_the_readme_runs(block, tmp_path):
    if "load_mnist" in block:
        pytest.skip("takes minutes, and MNIST")
    for package in ("sklearn", "torch", "mpi4py", "pandas", "onnx"):
        if re.search(rf"(import|from|,) {package}\b|to_{package}", block):
            pytest.importorskip(package)
    found = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert found.returncode == 0, found.stderr
