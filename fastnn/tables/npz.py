"""Arrays X and y of .npz files as tables, with every header checked before memory is taken for it."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FileFormatError
from .columns import Column, default_name, texts_of
from .source import Source, in_memory
from .text import Content

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_npz"]

MAX_DEFLATE_RATIO = 1032
"""One byte of deflate's output never stands for more."""


def read_npz(source: Source) -> tuple[Content, tuple[str, ...]]:
    """Read the array X (or x), (n, n_columns), and, if there is one, y, (n,) or (n, n_outputs).

    Returns
    -------
    content : Content
        Columns "column 1", "column 2", ..., then "y", or "y 1", "y 2", ...
    targets : tuple of str
        The names of the columns of y.

    Raises
    ------
    FileFormatError
        If the file is damaged, holds no X, objects, or numbers that are infinite.
    """
    path = source.path
    try:
        with source.open() as packed, zipfile.ZipFile(packed if not source.notes else in_memory(source)) as archive:
            X = _read_member(archive, path, ("X", "x"), "biuf")
            y = _read_member(archive, path, ("y",), "biufU")
    except FileFormatError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise FileFormatError(f"{path}: not a .npz file, or damaged ({error})") from None
    if X is None:
        raise FileFormatError(f"{path}: no array named X; save it with numpy.savez(path, X=..., y=...)")
    if X.ndim != 2 or not X.size:
        raise FileFormatError(f"{path}: X must have shape (n, n_features) and not be empty, got {X.shape}")
    X = _float64_at_most(X, f"{path}: X")
    columns: dict[str, Column] = {default_name(i): X[:, i] for i in range(X.shape[1])}
    targets = {} if y is None else _targets(y, len(X), path)
    return Content({**columns, **targets}, None, False, (*source.notes, "arrays of a .npz file")), tuple(targets)


def _targets(y: NDArray[Any], n: int, path: str) -> dict[str, Column]:
    if y.ndim not in (1, 2) or len(y) != n or not y.size:
        raise FileFormatError(f"{path}: y must have shape ({n},) or ({n}, n_outputs), got {y.shape}")
    if y.dtype.kind != "U":
        y = _float64_at_most(y, f"{path}: y")
        return {"y": y.ravel()} if y.size == n else {f"y {i + 1}": y[:, i] for i in range(y.shape[1])}
    if y.ndim != 1:
        raise FileFormatError(f"{path}: y holds texts, so it must have shape ({n},), got {y.shape}")
    # NumPy takes any 32-bit numbers for characters; Python's own strings break on those that are none.
    characters = np.ascontiguousarray(y, y.dtype.newbyteorder("=")).view(np.uint32)
    if ((characters > 0x10FFFF) | ((characters >= 0xD800) & (characters <= 0xDFFF))).any():
        raise FileFormatError(f"{path}: y holds texts that are not Unicode")
    return {"y": texts_of(y.tolist())}


def _read_member(archive: zipfile.ZipFile, path: str, names: Sequence[str], kinds: str) -> NDArray[Any] | None:
    """Read the first of the arrays `names` that the archive has, once its header is known to be honest."""
    present = set(archive.namelist())
    name = next((name for name in names if f"{name}.npy" in present), None)
    if name is None:
        return None
    info = archive.getinfo(f"{name}.npy")
    file_size = archive.fp.seek(0, os.SEEK_END)  # type: ignore[union-attr]
    if not 0 <= info.header_offset < file_size:
        raise FileFormatError(f"{path}: damaged, {name} should begin at byte {info.header_offset}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FileFormatError(f"{path}: {name} is compressed in a way that NumPy does not use")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read_header is None:
            raise FileFormatError(f"{path}: {name} has the unknown .npy version {version}")
        shape, _, dtype = read_header(member)
        n_bytes = member.tell() + math.prod(shape) * dtype.itemsize
    if dtype.kind not in kinds or not dtype.itemsize:
        what = "real numbers or texts" if "U" in kinds else "real numbers"
        raise FileFormatError(f"{path}: {name} must hold {what}, got dtype {dtype}")
    if n_bytes != info.file_size or n_bytes > file_size * MAX_DEFLATE_RATIO:
        raise FileFormatError(f"{path}: {name} is not as long as its shape {shape} says")
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _float64_at_most(given: NDArray[Any], what: str) -> NDArray[Any]:
    """Return numbers in a type that tables hold; NaN is a missing value, infinity is refused."""
    if given.dtype.kind != "f":
        return given
    with np.errstate(over="ignore"):
        numbers = given if given.dtype.itemsize in (4, 8) else given.astype(np.float64)
    infinite = np.isinf(numbers)
    if infinite.any():
        place = np.argwhere(infinite)[0].tolist()
        raise FileFormatError(f"{what}{place} is {numbers[tuple(place)]}; fill it in or remove the row")
    return numbers
