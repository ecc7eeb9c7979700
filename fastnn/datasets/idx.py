"""Read arrays from files in the IDX format, which MNIST uses."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..errors import FileFormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
GZIP_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile)
_MAX_DEFLATE_RATIO = 1032  # bytes that one byte of deflated data can hold at most
_CHUNK = 1 << 20


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
        except GZIP_ERRORS as error:
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
