"""Record the bits of many trainings, or compare them with those recorded before a change.

    python -m tools.record_bits before.json
    python -m tools.record_bits after.json --compare before.json

A case is a name and the SHA-256 of all that a training, or a call, computes: parameters, outputs, the history's values.
Each runs on one thread, on two and on as many as are fastest, and has one digest for all. The digests are those of one
machine and one set of libraries; the file says which.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import fastnn

from . import bit_calls, bit_facades, bit_files, bit_trainings
from .bit_cases import Case, digest

LIBRARIES = ("numpy", "numba", "llvmlite", "scipy", "scikit-learn")


def environment() -> dict[str, str]:
    """Return what the digests depend on beside the code."""
    found = {"python": platform.python_version(), "machine": platform.machine(), "processor": processor()}
    return found | {name: version(name) for name in LIBRARIES}


def processor() -> str:
    """Return the processor's name, as far as it is known."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.processor())


def cases(only: str) -> Iterator[Case]:
    """Yield the cases whose names contain a text."""
    for module in (bit_trainings, bit_calls, bit_facades, bit_files):
        for family in module.FAMILIES:
            yield from (case for case in family() if only in case[0])


def record(only: str) -> tuple[dict[str, str], dict[str, str]]:
    """Run the cases; return their digests, and the errors of those that failed."""
    digests: dict[str, str] = {}
    errors: dict[str, str] = {}
    for name, function in cases(only):
        if name in digests or name in errors:
            raise ValueError(f"two cases are called {name!r}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                digests[name] = digest(function())
        except Exception as error:  # whatever a change broke, the other cases are still of interest
            errors[name] = f"{type(error).__name__}: {error}"[:300]
            print(f"FAILED {name}: {errors[name]}", flush=True)
    return digests, errors


def differences(before: dict[str, Any], after: dict[str, Any], only: str) -> int:
    """Print every case that differs, is missing or new; return how many differ or are missing."""
    for name, value in before["environment"].items():
        if after["environment"].get(name) != value:
            print(f"another {name}: {value} before, {after['environment'].get(name)} now")
    old = {name: value for name, value in before["digests"].items() if only in name}
    now = after["digests"]
    count = 0
    for name in sorted(old.keys() | now.keys()):
        if name not in old:
            print(f"new       {name}")
        elif name not in now:
            print(f"missing   {name}")
            count += 1
        elif now[name] != old[name]:
            print(f"differs   {name}")
            count += 1
    print(f"{len(old.keys() & now.keys())} cases compared, {count} of {len(old)} differ or are missing")
    return count


def main() -> int:
    """Record, and compare where a file to compare with is given; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT.json", help="file to write")
    parser.add_argument("--compare", type=Path, metavar="BEFORE.json", help="file of an earlier run")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="cases whose names contain this text")
    arguments = parser.parse_args()
    before = json.loads(arguments.compare.read_text(encoding="utf-8")) if arguments.compare else None
    if Path(fastnn.__file__).parent.parent != Path(__file__).parent.parent:
        parser.error(f"fastnn is imported from {fastnn.__file__}, not from beside {__file__}")
    began = time.monotonic()
    digests, errors = record(arguments.only)
    after = {"environment": environment(), "digests": digests}
    arguments.out.write_text(json.dumps(after, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(digests)} cases in {time.monotonic() - began:.0f} s, {len(errors)} failed")
    differ = differences(before, after, arguments.only) if before is not None else 0
    return 1 if errors or differ else 0


if __name__ == "__main__":
    sys.exit(main())
