"""Compare training speed with other libraries: python -m benchmarks.peers [--cases 1,4] [--busy 1] [--json FILE]."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.roofline import measure_limits
from fastnn.bench.libraries import MORE_LIBRARIES
from fastnn.bench.runner import ROUNDED, measure, print_case

PEERS = [name for name in MORE_LIBRARIES if not name.endswith(ROUNDED)]


def machine() -> dict[str, Any]:
    """Return processor, cores, versions, commit and date."""
    processor = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        processor = next((line.split(":")[1].strip() for line in lines if "model name" in line), processor)
    versions = {}
    for package in ("fastnn", "numpy", "numba", "llvmlite", "scikit-learn", "torch", "jax"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
        "commit": commit,
        "date": time.strftime("%Y-%m-%d"),
    }


BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep so many processes busy meanwhile: other programs that want the processors."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default=",".join(map(str, range(len(CASES)))), help="numbers of cases")
    parser.add_argument("--peers", default=",".join(PEERS), help="names of libraries")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.7, help="length of one turn")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="measure beside N busy processes")
    parser.add_argument("--json", type=Path, help="write the results here")
    arguments = parser.parse_args()
    peers = arguments.peers.split(",")
    if not {"fastnn", "NumPy"} <= set(peers) <= set(PEERS):
        parser.error(f"--peers must name fastnn and NumPy, and others of {', '.join(PEERS)}; got {arguments.peers}")
    results = []
    for number in map(int, arguments.cases.split(",")):
        before = measure_limits()
        with busy_processes(arguments.busy):
            result = measure(CASES[number], peers, arguments.rounds, arguments.seconds)
        after = measure_limits()
        result["limits"] = {name: max(value, after[name]) for name, value in before.items()}
        result["gflops"] = result["entries"]["fastnn"]["median"] * result["flops"] * 1e-9
        result["fraction_of_peak"] = result["gflops"] / result["limits"]["gflops"]
        results.append(result)
        print_case(result)
        print(f"  {result['gflops']:.1f} GFLOP/s, {result['fraction_of_peak']:.0%} of the peak", flush=True)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"machine": machine(), "busy": arguments.busy, "results": results}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
