"""Compare two results of `benchmarks.peers`: python -m tools.compare_results OLD NEW.

fastnn's pace is set against the fastest other library of the same run, which meets the same noise. A change counts
where the spreads of the two runs, low to high, do not overlap. Exit code 1 where a case became slower.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def relative(entries: dict[str, Any]) -> tuple[float, float, float]:
    """Fastnn's low, median and high pace over the median of the fastest other library."""
    rival = max(
        entry["median"] for name, entry in entries.items() if not name.startswith("fastnn") and "median" in entry
    )
    ours = entries["fastnn"]
    return ours["low"] / rival, ours["median"] / rival, ours["high"] / rival


def verdict(old: tuple[float, float, float], new: tuple[float, float, float]) -> str:
    """Faster, slower, or within the noise of the runs."""
    if new[0] > old[2]:
        return "faster"
    return "slower" if new[2] < old[0] else "no difference beyond noise"


def main() -> None:
    """Print one line for each case that both results hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    chosen = parser.parse_args()
    old, new = (
        {result["case"]: relative(result["entries"]) for result in json.loads(path.read_text())["results"]}
        for path in (chosen.old, chosen.new)
    )
    slower = False
    for case in old.keys() & new.keys():
        found = verdict(old[case], new[case])
        slower = slower or found == "slower"
        print(f"{case:48s} {old[case][1]:7.2f} -> {new[case][1]:7.2f} times the next  {found}")
    raise SystemExit(1 if slower else 0)


if __name__ == "__main__":
    main()
