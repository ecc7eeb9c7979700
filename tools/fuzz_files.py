"""Read damaged files of every kind: python -m tools.fuzz_files --count 100000.

Each file is a sound one with bits, lengths, chunks or values changed. A reader must return or raise
`fastnn.FileFormatError` within `SECONDS`, and the whole run must stay within `MEMORY`; anything else is printed and
counted.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from fastnn.compat.textbook import network2
from fastnn.io import checkpoint_file
from fastnn.tables import ClassTarget, TableEncoder, read_table

SECONDS, MEMORY = 5.0, 6 << 30
STRANGE = [
    "0",
    "-1",
    "1e999",
    "NaN",
    "null",
    "true",
    '""',
    "[]",
    "{}",
    "9223372036854775808",
    "[" * 5000,
    '"\\ud800"',
    "1.5",
]


def samples(folder: Path) -> dict[str, tuple[bytes, Callable[[Path], Any]]]:
    """Return a sound file of each kind, with its reader."""
    net = fastnn.Network([3, 4, 2], activation=["tanh", "softmax"], loss="cross_entropy", seed=0)
    net.column_names, net.class_names = ("a", "b", "c"), tuple(np.array([3, 5], np.int8))
    net.scaler = fastnn.preprocessing.StandardScaler().fit(np.eye(3))
    net.save(folder / "model.safetensors")
    columns = {"n": [1.5, 2.0, np.nan], "k": ["x", "y", "x"], "day": np.array(["2020-01-01"] * 3, "datetime64[s]")}
    encoder = TableEncoder.fit(columns)
    inner = fastnn.Network([len(encoder.feature_names), 3], activation="softmax", loss="cross_entropy", seed=0)
    fastnn.TableModel(inner, encoder, ClassTarget("t", ("a", "b", "c"))).save(folder / "table.safetensors")
    stop = [fastnn.callbacks.EarlyStopping("loss", patience=9)]
    net.fit(np.eye(3), [0, 1, 0], epochs=3, optimizer="adam", checkpoint=folder / "run", callbacks=stop)
    header, rows = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (5, 2, 3)), bytes(range(30))
    table = "a,b,label\n1,2.5,x\n-3,4e5,y\n,6,x\n" * 3
    npz = io.BytesIO()
    np.savez(npz, X=np.eye(3), y=np.arange(3), columns=np.array(["a", "b", "c"]))
    np.random.seed(0)  # noqa: NPY002 - the textbook's network draws from there
    network2.Network([3, 4, 2]).save(folder / "net.json")
    return {
        "model": ((folder / "model.safetensors").read_bytes(), fastnn.load_model),
        "checkpoint": ((folder / "run" / checkpoint_file.NAME).read_bytes(), checkpoint_file.read_file),
        "idx": (header + rows, fastnn.datasets.read_idx),
        "idx.gz": (gzip.compress(header + rows), fastnn.datasets.read_idx),
        "table": ((folder / "table.safetensors").read_bytes(), fastnn.load_model),
        "csv": (table.encode(), read_table),
        "csv.gz": (gzip.compress(table.encode()), read_table),
        "npz": (npz.getvalue(), read_table),
        "json": ((folder / "net.json").read_bytes(), network2.load),
    }


def damaged(content: bytes, kind: str, rng: random.Random) -> bytes:
    """Return the content with one to three changes."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place, change = rng.randrange(len(data) or 1), rng.randrange(10)
        near = min(place, 200) if rng.random() < 0.5 else place  # most of the meaning is in the headers
        if change <= 1 and data:
            data[near] ^= 1 << rng.randrange(8)
        elif change == 2:
            del data[place:]
        elif change == 3:
            del data[near : near + rng.randrange(1, 40)]
        elif change == 4:
            data[near:near] = rng.randbytes(rng.randrange(1, 40))
        elif change == 5 and data:
            at = rng.randrange(len(data))
            data[near:near] = data[at : at + rng.randrange(1, 400)]
        elif change == 6:
            data[near : near + 8] = rng.choice((b"\xff" * 8, bytes(8), (1 << 40).to_bytes(8, "little")))
        elif change == 7:
            data += rng.randbytes(rng.randrange(1, 100))
        else:
            data = bytearray(strange_value(bytes(data), rng))
    return with_checksum(bytes(data)) if kind == "checkpoint" and rng.random() < 0.5 else bytes(data)


def strange_value(data: bytes, rng: random.Random) -> bytes:
    """Replace one number, text or key of what looks like JSON."""
    found = list(re.finditer(rb'-?\d+(?:\.\d+)?|\\?"[\w.]*\\?"', data))
    if not found:
        return data
    match = rng.choice(found)
    return data[: match.start()] + rng.choice(STRANGE).encode() + data[match.end() :]


def with_checksum(data: bytes) -> bytes:
    """Return a checkpoint whose checksum holds again, if it can be parsed, so that the checks behind it are reached."""
    from safetensors import deserialize
    from safetensors.numpy import load, save

    try:
        deserialize(data)
        length = int.from_bytes(data[:8], "little")
        texts = json.loads(data[8 : 8 + length])["__metadata__"]
        texts.pop("sha256", None)
        tensors = load(data)
        return save(tensors, texts | {"sha256": checkpoint_file.checksum(texts, tensors)})
    except Exception:  # whatever it is, the file is damaged before its checksum matters
        return data


def complaint(read: Callable[[Path], Any], path: Path) -> str | None:
    """Return what is wrong with the way in which a file is read, or None."""
    began = time.perf_counter()
    try:
        read(path)
    except fastnn.FileFormatError as error:
        if path.name not in str(error):
            return f"does not name the file: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - began
    return f"took {seconds:.1f} s" if seconds > SECONDS else None


def fuzz(count: int, seed: int, keep: Path | None = None) -> list[str]:
    """Read so many damaged files; return what went wrong."""
    rng, found = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder:
        kinds = samples(Path(folder))
        for number in range(count):
            kind = rng.choice(tuple(kinds))
            content, read = kinds[kind]
            path = Path(folder, f"damaged.{kind}")
            path.write_bytes(damaged(content, kind, rng))
            what = complaint(read, path)
            if what:
                found.append(f"{kind}, file {number} of seed {seed}: {what:.300}")
                if keep:
                    (keep / f"{seed}-{number}.{kind}").write_bytes(path.read_bytes())
    return found


def main() -> int:
    """Fuzz; return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that were read wrongly")
    chosen = parser.parse_args()
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except ImportError:
        pass  # a matter of POSIX
    began = time.perf_counter()
    found = fuzz(chosen.count, chosen.seed, chosen.keep)
    print("\n".join(found[:50]))
    print(f"{chosen.count} files in {time.perf_counter() - began:.0f} s, {len(found)} read wrongly")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
