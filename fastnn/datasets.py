"""Handwritten digits: a small set that comes with fastnn, and MNIST, downloaded on first use."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import sys
import time
import zlib
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .errors import FileFormatError

__all__ = ["load_digits", "load_mnist", "read_idx"]

_IDX_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_MAX_IDX_DIMENSIONS = 64  # that of NumPy
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile)
_MAX_DEFLATE_RATIO = 1032  # bytes that one byte of deflated data can hold at most
_CHUNK = 1 << 20

_Examples = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class _PublishedFile:
    """A file to download, gzipped on the mirrors; size in bytes and MD5 are those of its uncompressed content."""

    name: str
    size: int
    md5: str


_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_MNIST_FILES = (
    _PublishedFile("train-images-idx3-ubyte", 47_040_016, "6bbc9ace898e44ae57da46a324031adb"),
    _PublishedFile("train-labels-idx1-ubyte", 60_008, "a25bea736e30d166cdddb491f175f624"),
    _PublishedFile("t10k-images-idx3-ubyte", 7_840_016, "2646ac647ad5339dbf082846283269ea"),
    _PublishedFile("t10k-labels-idx1-ubyte", 10_008, "27ae3e4e09519cfbb04c329615203637"),
)


def load_digits() -> _Examples:
    """Return 1,797 handwritten digits of 8 x 8 pixels, which are part of the package.

    This is the test set of E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
    Learning Repository, https://doi.org/10.24432/C50P49, as distributed with scikit-learn. Licence: CC BY 4.0.

    Returns
    -------
    X : ndarray of uint8, shape (1797, 64)
        One image per row, row by row from the top left, from 0 (background) to 16 (ink).
    y : ndarray of int64, shape (1797,)
        The digits, 0 to 9.

    Examples
    --------
    >>> from fastnn.datasets import load_digits
    >>> X, y = load_digits()
    >>> X.shape, y[:5].tolist()
    ((1797, 64), [0, 1, 2, 3, 4])
    """
    content = resources.files(__package__).joinpath("data", "digits.npz").read_bytes()  # also from a zipped package
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        return arrays["X"], arrays["y"].astype(np.int64)


def load_mnist(path: str | os.PathLike[str] | None = None) -> tuple[_Examples, _Examples]:
    """Return MNIST, handwritten digits of 28 x 28 pixels: 60,000 for training and 10,000 for testing.

    With `path`, the four files, gzipped or not, are read from that folder. Otherwise they are read from the first of
    these folders that holds all four: the one named by the environment variable ``FASTNN_DATA``, its subfolder
    ``mnist``, and the user's cache (``$XDG_CACHE_HOME/fastnn/mnist``, usually ``~/.cache/fastnn/mnist``;
    ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows). If there is none, they are downloaded into the
    cache: 11 MB, verified by the published checksums.

    Parameters
    ----------
    path : str or os.PathLike, optional
        Folder that holds the files. If it is given, nothing is downloaded.

    Returns
    -------
    (X_train, y_train), (X_test, y_test)
        Images, uint8 of shape (60000, 784) and (10000, 784), one per row, row by row from the top left,
        from 0 (background) to 255 (ink); labels, int64 of shape (60000,) and (10000,), from 0 to 9.

    Raises
    ------
    FileNotFoundError
        If `path` is given and lacks one of the files.
    FileFormatError
        If a file is damaged or holds something other than digits; delete it, so that it is downloaded again.
    OSError
        If a file cannot be read, downloaded or written to the cache.

    Notes
    -----
    Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits". With `path`, data sets whose
    files have the same names and shapes can be read too, such as Fashion-MNIST.

    Examples
    --------
    >>> from fastnn.datasets import load_mnist
    >>> (X_train, y_train), (X_test, y_test) = load_mnist()  # doctest: +SKIP
    >>> X_train.shape, y_train[:5].tolist()  # doctest: +SKIP
    ((60000, 784), [5, 0, 4, 1, 9])
    """
    if path is not None:
        paths = _find_mnist(Path(path))
        if missing := [file.name for file in _MNIST_FILES if file.name not in paths]:
            raise FileNotFoundError(f"the folder {path} lacks {', '.join(missing)} (each may end in .gz)")
        return _read_mnist(paths)
    cache, data_folder = _cache_folder() / "mnist", os.environ.get("FASTNN_DATA")
    folder = local_mnist()
    if folder is not None:
        return _read_mnist(_find_mnist(folder))
    paths = _find_mnist(cache)
    try:
        for file in _MNIST_FILES:
            if file.name not in paths:
                _download(file, cache, _MNIST_MIRRORS)
    except OSError as error:
        if not data_folder:
            raise
        raise OSError(f"FASTNN_DATA, {data_folder}, does not hold the four files of MNIST, and {error}") from None
    return _read_mnist(_find_mnist(cache))


def local_mnist() -> Path | None:
    """Return the folder from which `load_mnist` reads without a download; None if it would download."""
    folders = [_cache_folder() / "mnist"]
    if data_folder := os.environ.get("FASTNN_DATA"):
        folders = [Path(data_folder), Path(data_folder) / "mnist", *folders]
    return next((folder for folder in folders if len(_find_mnist(folder)) == len(_MNIST_FILES)), None)


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    r"""Read an array from a file in the IDX format, which MNIST uses.

    No more memory is used than the file really fills, whatever its header says.

    Parameters
    ----------
    path : str or os.PathLike
        The file, plain or gzipped; which of the two is told by its first bytes, not by its name.

    Returns
    -------
    ndarray
        An array of the shape and type that the header states (uint8, int8, int16, int32, float32 or float64), in native
        byte order.

    Raises
    ------
    FileFormatError
        If the file is in another format, damaged, or shorter or longer than its header says.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastnn.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "labels-idx1-ubyte")
    ...     n_bytes = file.write_bytes(b"\0\0\x08\1" + b"\0\0\0\3" + bytes([5, 0, 4]))
    ...     read_idx(file)
    array([5, 0, 4], dtype=uint8)
    """
    name = os.fspath(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        gzipped = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if not gzipped:
            return _parse_idx(file, size, name)
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                return _parse_idx(stream, size * _MAX_DEFLATE_RATIO, name)
        except _GZIP_ERRORS as error:
            raise FileFormatError(f"{name}: damaged or truncated gzip data ({error})") from None


def _parse_idx(stream: BinaryIO | gzip.GzipFile, max_bytes: int, name: str) -> NDArray[Any]:
    """Return the array in a stream of at most `max_bytes`; errors call it `name`."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_TYPES:
        raise FileFormatError(f"{name}: not an IDX file (its first bytes are {magic.hex(' ') or 'missing'})")
    dtype, n_dimensions = _IDX_TYPES[magic[2]], magic[3]
    if not 1 <= n_dimensions <= _MAX_IDX_DIMENSIONS:
        raise FileFormatError(f"{name}: the header announces {n_dimensions} dimensions, not 1 to 64")
    sizes = stream.read(4 * n_dimensions)
    if len(sizes) < 4 * n_dimensions:
        raise FileFormatError(f"{name}: truncated within the header")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    n_bytes = math.prod(shape) * dtype.itemsize
    if len(magic) + len(sizes) + n_bytes > max_bytes:
        raise FileFormatError(f"{name}: the header announces shape {shape}, more than the file can hold")
    content = bytearray()
    while chunk := stream.read(min(_CHUNK, n_bytes + 1 - len(content))):
        content += chunk
    if len(content) != n_bytes:
        more_or_fewer = "fewer" if len(content) < n_bytes else "more"
        raise FileFormatError(f"{name}: {more_or_fewer} bytes than the {n_bytes} that shape {shape} announces")
    try:
        array = np.ndarray(shape, dtype, buffer=content)
    except ValueError as error:  # an empty array with a size that NumPy cannot hold
        raise FileFormatError(f"{name}: shape {shape}: {error}") from None
    return array.astype(dtype.newbyteorder("="), copy=False)


def _find_mnist(folder: Path) -> dict[str, Path]:
    """Return the paths of those files that `folder` holds, by their names."""
    paths = {}
    for file in _MNIST_FILES:
        for candidate in (folder / file.name, folder / f"{file.name}.gz"):
            if candidate.is_file():
                paths[file.name] = candidate
                break
    return paths


def _read_mnist(paths: dict[str, Path]) -> tuple[_Examples, _Examples]:
    arrays = []
    for file in _MNIST_FILES:
        path = paths[file.name]
        array = read_idx(path)
        image = (28, 28) if "images" in file.name else ()
        if array.dtype != np.uint8 or array.shape[1:] != image:
            raise FileFormatError(
                f"{path}: expected uint8 of shape {('n', *image)}, got {array.dtype} of shape {array.shape}"
            )
        if not image and array.size and array.max() > 9:
            raise FileFormatError(f"{path}: labels must lie in 0..9, got {array.max()}")
        arrays.append(array)
    X_train, y_train, X_test, y_test = arrays
    for part, X, y in (("train", X_train, y_train), ("t10k", X_test, y_test)):
        if len(X) != len(y):
            folder = paths[f"{part}-images-idx3-ubyte"].parent
            raise FileFormatError(f"{folder}: the {part} files hold {len(X)} images, but {len(y)} labels")
    return (
        (X_train.reshape(-1, 784), y_train.astype(np.int64)),
        (X_test.reshape(-1, 784), y_test.astype(np.int64)),
    )


def _cache_folder() -> Path:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fastnn"


def _download(
    file: _PublishedFile,
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
        f"{file.name} could not be downloaded ({tried}). Download the MNIST files by hand into a folder and "
        "set the environment variable FASTNN_DATA to that folder."
    )


def _fetch(url: str, file: _PublishedFile, timeout: float) -> bytes:
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


def _verify(compressed: bytes, file: _PublishedFile) -> None:
    """Raise a FileFormatError if the file, decompressed, is not the one published."""
    try:
        with gzip.GzipFile(fileobj=BytesIO(compressed)) as stream:
            content = stream.read(file.size + 1)
    except _GZIP_ERRORS as error:
        raise FileFormatError(f"damaged or truncated in transit ({error})") from None
    if len(content) > file.size:
        raise FileFormatError(f"unpacks to more than the {file.size} bytes published")
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
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
