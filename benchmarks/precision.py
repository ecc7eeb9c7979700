"""Compare training in float32 with products of bfloat16: python -m benchmarks.precision [--cases 4,5] [--json FILE].

fastnn and PyTorch, in both, PyTorch also with every number in bfloat16; JAX and NumPy in float32. Each has its own
process, and they take turns, see `fastnn.bench.runner`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.peers import machine
from fastnn.bench.runner import measure, print_case
from fastnn.kernels.target import BFLOAT16_PATH

NAMES = ["fastnn", "fastnn bfloat16", "NumPy", "JAX", "PyTorch", "PyTorch autocast", "PyTorch bfloat16"]
WIDE = [number for number, case in enumerate(CASES) if case.loss == "cross_entropy" and max(case.sizes[1:]) >= 128]


def main() -> None:
    """Measure the cases with wide layers, or those named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(map(str, WIDE)), help="numbers of cases")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.7, help="length of one turn")
    parser.add_argument("--json", type=Path, help="write the results here")
    arguments = parser.parse_args()
    print(f"products of bfloat16: {BFLOAT16_PATH}")
    results = []
    for number in map(int, arguments.cases.split(",")):
        results.append(measure(CASES[number], NAMES, arguments.rounds, arguments.seconds))
        print_case(results[-1])
    if arguments.json:
        content = {"machine": machine(), "bfloat16": BFLOAT16_PATH, "results": results}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
