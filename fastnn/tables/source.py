"""Files by what they hold: compression, archives, formats, and what is no table, told from the first bytes."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import importlib
import io
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..errors import FileFormatError

__all__ = ["Source", "import_library", "open_source"]

HEAD = 1 << 16
MOST_LAYERS = 3
"""A file may be packed so many times over, such as .tar.gz."""

DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, OSError)
NOT_READ = {
    b"ARROW1": "an Arrow file (Feather); write it as Parquet or CSV",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file; write its table as Parquet or CSV",
    b"\x93NUMPY": "a .npy file; save the arrays with numpy.savez(path, X=..., y=...)",
    b"MATLAB 5.0": "a MATLAB file; write its table as CSV",
    b"SQLite format 3\0": "an SQLite database; write its table as CSV",
    b"%PDF": "a PDF file; a table must be CSV, Excel, Parquet, ARFF or libsvm",
    b"\x89PNG": "a picture; a table must be CSV, Excel, Parquet, ARFF or libsvm",
    b"GIF8": "a picture; a table must be CSV, Excel, Parquet, ARFF or libsvm",
    b"\xff\xd8\xff": "a picture; a table must be CSV, Excel, Parquet, ARFF or libsvm",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"\x80\x04": "a Python pickle, which may run anything when it is loaded; write the table as CSV or Parquet",
    b"\x80\x05": "a Python pickle, which may run anything when it is loaded; write the table as CSV or Parquet",
}
LFS = b"version https://git-lfs.github.com/spec/"
HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<\?xml[^>]*>\s*<!doctype html)", re.IGNORECASE)
SVMLIGHT = re.compile(
    rb"(?:#[^\n]*\n|\s*\n)*[-+]?[\d.eE+-]+(?:,[-+]?[\d.]+)*(?: +qid:\d+)?(?: +\d+:[-+]?[\d.eE+-]+)+ *(?:#[^\n]*)?\r?\n"
)
ARFF = re.compile(rb"(?:\s*(?:%[^\n]*)?\n)*\s*@relation\b", re.IGNORECASE)


Opener = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Source:
    """A file whose content is known.

    Attributes
    ----------
    path : str
        Its path, as messages name it.
    kind : str
        "text", "npz", "parquet", "xlsx", "xls", "arff" or "libsvm".
    open : callable
        Return a context that holds a new binary stream of the unpacked content.
    notes : tuple of str
        How it was packed.
    """

    path: str
    kind: str
    open: Opener
    notes: tuple[str, ...]

    def digest(self) -> str:
        """Return the SHA-256 of the file as it lies."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def import_library(module: str, package: str, extra: str, what: str) -> Any:
    """Import an optional library, or say which extra of fastnn brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{what} needs the package {package}: pip install 'fastnn[{extra}]'") from error


def open_source(path: str | os.PathLike[str]) -> Source:
    """Find out what a file holds, whatever its name says.

    Raises
    ------
    FileFormatError
        If it is empty, a pointer of git-LFS, a web page, or of a format that holds no table or is not read.
    ImportError
        If a library that unpacks it is missing.
    OSError
        If it cannot be read.
    """
    name = os.fspath(path)

    def open_file() -> BinaryIO:
        return open(name, "rb")

    opened: Opener = open_file
    notes: list[str] = []
    for _ in range(MOST_LAYERS):
        head = _head(name, opened)
        kind = _kind_of_zip(name, opened) if head[:4] == b"PK\x03\x04" else None
        if kind is not None:
            return Source(name, kind, opened, tuple(notes))
        layer = _layer(name, head, opened)
        if layer is None:
            return Source(name, _kind(name, head), opened, tuple(notes))
        opened, note = layer
        notes.append(note)
    raise FileFormatError(f"{name}: packed more than {MOST_LAYERS - 1} times over; unpack it first")


def _head(path: str, opened: Opener) -> bytes:
    with damage_named(path), opened() as file:
        return bytes(file.read(HEAD))


@contextlib.contextmanager
def damage_named(path: str) -> Iterator[None]:
    """Name the file in errors of the libraries that read it; errors of the operating system stay as they are."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and (error.filename is not None or error.errno is not None):
            raise
        raise FileFormatError(f"{path}: damaged or truncated compressed data ({error})") from None
    except (
        ValueError,
        RuntimeError,
        NotImplementedError,
    ) as error:  # of zipfile: encrypted, or packed in a strange way
        if isinstance(error, FileFormatError):
            raise
        what = "read as a table" if type(error).__module__.startswith("pandas") else "unpacked"
        raise FileFormatError(f"{path}: cannot be {what} ({error})") from None


def _layer(path: str, head: bytes, opened: Opener) -> tuple[Opener, str] | None:
    """Return how to open what is packed in the file, and a note; None if it is not packed."""
    if head[:2] == b"\x1f\x8b":
        return _within(opened, lambda file: gzip.GzipFile(fileobj=file, mode="rb")), "unpacked (gzip)"
    if head[:3] == b"BZh" and head[4:10] == b"1AY&SY":
        return _within(opened, bz2.BZ2File), "unpacked (bzip2)"
    if head[:6] == b"\xfd7zXZ\0":
        return _within(opened, lzma.LZMAFile), "unpacked (xz)"
    if head[:4] == b"\x28\xb5\x2f\xfd":
        library = import_library("zstandard", "zstandard", "zstd", f"reading {path}, which is packed with zstd,")
        return _within(opened, lambda file: library.ZstdDecompressor().stream_reader(file)), "unpacked (zstd)"
    if head[:4] == b"PK\x03\x04":
        member = _only_member(path, _zip_names(path, opened))
        return _within(opened, zipfile.ZipFile, lambda archive: archive.open(member)), f"unpacked {member!r} (zip)"
    if head[257:262] == b"ustar":
        with damage_named(path), opened() as file, tarfile.open(fileobj=file) as archive:
            member = _only_member(path, [info.name for info in archive if info.isfile()])
        return _within(opened, _open_tar, lambda archive: archive.extractfile(member)), f"unpacked {member!r} (tar)"
    return None


def _open_tar(file: Any) -> tarfile.TarFile:
    return tarfile.open(fileobj=file)


def _within(opened: Opener, *unpackers: Callable[[Any], Any]) -> Opener:
    """Return how to open what lies within: each unpacker around the stream of the one before, all closed together."""

    @contextlib.contextmanager
    def open_inner() -> Iterator[Any]:
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(opened())
            for unpack in unpackers:
                stream = stack.enter_context(unpack(stream))
            yield stream

    return open_inner


def _zip_names(path: str, opened: Opener) -> list[str]:
    with damage_named(path), opened() as file, zipfile.ZipFile(file) as archive:
        return archive.namelist()


def _kind_of_zip(path: str, opened: Opener) -> str | None:
    """Return the format of a zip file that is one, such as .xlsx and .npz; None if it only packs a file."""
    names = _zip_names(path, opened)
    if "[Content_Types].xml" in names:
        if any(name.startswith("xl/") for name in names):
            return "xlsx"
        raise FileFormatError(f"{path}: an Office file, but no Excel table; save the table as CSV or .xlsx")
    if "mimetype" in names and "content.xml" in names:
        raise FileFormatError(f"{path}: an OpenDocument file; save the table as CSV or .xlsx")
    return "npz" if names and all(name.endswith(".npy") for name in names) else None


def _only_member(path: str, names: list[str]) -> str:
    """Return the one file in an archive, what systems and people add to it left aside."""
    found = [name for name in names if not name.endswith("/") and "__MACOSX/" not in name]
    found = [name for name in found if not os.path.basename(name).startswith(".")]
    tables = [
        name for name in found if not re.search(r"(?i)(^|/)(readme|licen[cs]e)[^/]*$|\.(md|pdf|names|html?)$", name)
    ]
    found = tables or found
    if len(found) != 1:
        listed = ", ".join(map(repr, found[:5])) + (", ..." if len(found) > 5 else "")
        raise FileFormatError(
            f"{path}: an archive of {len(found)} files ({listed or 'none'}); unpack it and give the file of the table"
        )
    return found[0]


def _kind(path: str, head: bytes) -> str:
    """Return the format of unpacked content, or refuse it by name."""
    if not head.strip(b"\0 \t\r\n"):
        raise FileFormatError(f"{path}: the file is empty; write one row per line")
    if head.startswith(LFS):
        raise FileFormatError(
            f"{path}: a pointer of git-LFS, not the file itself; run 'git lfs pull' in its repository, or download it"
        )
    if HTML.match(head.removeprefix(b"\xef\xbb\xbf")):
        raise FileFormatError(
            f"{path}: a web page (HTML), not a table; a download often gives the page around a file: use its raw link"
        )
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        return "xls"
    for magic, what in NOT_READ.items():
        if head.startswith(magic):
            raise FileFormatError(f"{path}: {what}")
    text = head.removeprefix(b"\xef\xbb\xbf")
    if ARFF.match(text):
        return "arff"
    if SVMLIGHT.match(text):
        return "libsvm"
    if text.lstrip()[:1] in (b"{", b"[") and re.match(rb'\s*[\[{]\s*["\[{]', text):
        raise FileFormatError(f"{path}: looks like JSON, which is not read; write the table as CSV or Parquet")
    return "text"


def in_memory(source: Source) -> io.BytesIO:
    """Return the whole unpacked content as a stream that can be read at any place."""
    with damage_named(source.path), source.open() as file:
        return io.BytesIO(file.read())
