"""Download published files, and verify them."""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from ..errors import FileFormatError
from .idx import GZIP_ERRORS


@dataclass(frozen=True)
class PublishedFile:
    """A file to download, gzipped on the mirrors: bytes of its content, MD5 of the content or of the gzipped file."""

    name: str
    size: int
    md5: str
    of_gzip: bool = False


def download(
    file: PublishedFile,
    folder: Path,
    mirrors: tuple[str, ...],
    *,
    attempts: int = 3,
    pause: float = 1.0,
    timeout: float = 30.0,
) -> None:
    """Download `file` into `folder` and verify it, trying all mirrors in turn, again after pauses that double."""
    from http.client import HTTPException

    problems = {}
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        for mirror in mirrors:
            url = f"{mirror}{file.name}.gz"
            try:
                compressed = _fetch(url, file, timeout)
                _verify(compressed, file)
            except (OSError, HTTPException, FileFormatError) as error:
                problems[url] = str(error) or type(error).__name__
            else:
                _write_atomically(folder / f"{file.name}.gz", compressed)
                return
    tried = "; ".join(f"{url}: {problem}" for url, problem in problems.items())
    raise OSError(
        f"{file.name} could not be downloaded ({tried}). Download it by hand into the folder "
        f"{folder}, or into one that the environment variable FASTNN_DATA names."
    )


def _fetch(url: str, file: PublishedFile, timeout: float) -> bytes:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    from tqdm import tqdm

    max_bytes = file.size + 1024  # gzip adds a header to what it cannot compress
    content = bytearray()
    try:
        response = urlopen(url, timeout=timeout)
    except HTTPError as error:
        with error:
            raise OSError(f"HTTP status {error.code} {error.reason}") from None
    terminal = sys.stderr is not None and sys.stderr.isatty()
    with (
        response,
        tqdm(total=response.length, unit="B", unit_scale=True, desc=file.name, disable=not terminal) as bar,
    ):
        while chunk := response.read(1 << 16):
            content += chunk
            bar.update(len(chunk))
            if len(content) > max_bytes:
                raise FileFormatError(f"more than the {max_bytes} bytes that the file can have")
    return bytes(content)


def _verify(compressed: bytes, file: PublishedFile) -> None:
    """Raise a FileFormatError if the file, decompressed, is not the one published."""
    try:
        with gzip.GzipFile(fileobj=BytesIO(compressed)) as stream:
            content = stream.read(file.size + 1)
    except GZIP_ERRORS as error:
        raise FileFormatError(f"damaged or truncated in transit ({error})") from None
    if len(content) > file.size:
        raise FileFormatError(f"unpacks to more than the {file.size} bytes published")
    md5 = hashlib.md5(compressed if file.of_gzip else content, usedforsecurity=False).hexdigest()
    if md5 != file.md5:
        raise FileFormatError(f"not the file published (MD5 {md5}, expected {file.md5})")


def _write_atomically(path: Path, content: bytes) -> None:
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
