"""Train and predict under valgrind, which sees every access outside of a buffer: python -m tools.memcheck.

The kernels are compiled for AVX2 and kept before it starts: valgrind knows no AVX-512, and compiling under it takes
for ever. Reads and writes that go wrong in code without a name, which is what was compiled here, are printed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = """
import sys
import numpy as np, scipy.sparse, fastnn
rng = np.random.default_rng(0)
X, labels = rng.normal(size=(37, 13)), rng.integers(0, 3, 37)
about = dict(activation=["relu", "tanh", "softmax"], loss="cross_entropy", seed=0)
how = dict(batch_size=10, n_threads=1, progress=False)
for dtype in ("float32", "float64"):
    net = fastnn.Network([13, 21, 9, 3], dtype=dtype, **about)
    net.fit(X.astype(dtype), labels, epochs=2, validation_split=0.2, **how)
    net.predict(X[:1].astype(dtype)), net.predict(X), net.gradients(X, labels)
    net.fit(scipy.sparse.csr_array(X * (X > 0)), labels, epochs=1, **how)
    net = fastnn.Network([13, 150, 3], dtype=dtype, dropout=0.2, **about | {"activation": ["gelu", "softmax"]})
    net.fit(X, labels, epochs=1, optimizer="adam", input_noise=0.1, label_smoothing=0.1, clip_norm=1.0, **how)
    net.fit((X * 9).astype("uint8"), labels, epochs=1, optimizer="rmsprop", max_norm=1.0, l1=0.01, **how)
    net.predict(X.astype("float16"))
if len(sys.argv) > 1:  # shows that the check can fail: one number behind a buffer
    from numba import njit
    njit(lambda x, i: x[i])(np.empty(1000), 1000)
print("trained")
"""
AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+bmi,+bmi2,+sse4.2,+sse4.1,+ssse3,+sse3,+sse2,+popcnt,+lzcnt,+f16c,+movbe",
}
VALGRIND = ["valgrind", "--tool=memcheck", "--undef-value-errors=no", "--error-limit=no", "--num-callers=6"]


def wrong_accesses(report: str) -> list[str]:
    """Return what valgrind says of each read or write outside of a buffer by code without a name."""
    text = re.sub(r"^==\d+== ?", "", report, flags=re.MULTILINE)
    blocks = [block for block in text.split("\n\n") for _ in re.findall(r"Invalid (?:read|write)", block)[:1]]
    return [block for block in blocks if "???" in "".join(block.splitlines()[1:3])]


def main() -> None:
    """Compile, run, report; an argument adds one access that is wrong."""
    if shutil.which("valgrind") is None:
        sys.exit("there is no valgrind here")
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | AVX2 | {"FASTNN_CACHE_DIR": folder, "PYTHONMALLOC": "malloc"}
        program = Path(folder, "program.py")
        program.write_text(PROGRAM, "utf-8")
        subprocess.run([sys.executable, str(program)], env=environment, check=True)
        command = [*VALGRIND, sys.executable, str(program), *sys.argv[1:]]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found = wrong_accesses(done.stderr)
    print(*found, f"{done.stdout.strip()}; {len(found)} accesses outside of a buffer", sep="\n\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
