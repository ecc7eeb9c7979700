"""The encoding of a text file: found by reading all of it once."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Any

from ..errors import FileFormatError
from .source import HEAD, Source, damage_named

__all__ = ["Encoding", "find_encoding"]

CHUNK = 1 << 20
MAX_LINE = 1 << 24
"""Bytes; a million columns fit."""

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


@dataclass(frozen=True)
class Encoding:
    """How bytes become text.

    Attributes
    ----------
    name : str
        Python's name of the encoding.
    errors : str
        "strict", or "replace" where a file in UTF-8 holds a few bytes that are not.
    notes, warnings : tuple of str
        What was found out, and what is damaged.
    """

    name: str
    errors: str = "strict"
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find_encoding(source: Source, given: str | None = None) -> Encoding:
    """Find the encoding of a text file.

    A byte order mark decides; else UTF-8 if all of the file is; else Windows-1252, or Latin-1 where that has no
    character. A file of UTF-8 in which a few bytes are damaged stays UTF-8.

    Raises
    ------
    FileFormatError
        If it is no text, or not in the encoding given.
    """
    with damage_named(source.path), source.open() as file:
        head = bytes(file.read(HEAD))
        if given is not None:
            return _check_given(source.path, file, head, given)
        for mark, name in BOMS:
            if head.startswith(mark):
                said = () if name == "utf-8-sig" else (f"encoding {name.upper()}",)
                return Encoding(name, "strict", said)
        without_mark = _utf16_without_mark(head)
        if without_mark is not None:
            return Encoding(without_mark, "strict", (f"encoding {without_mark.upper()}",))
        control = CONTROL.search(head)
        if control is not None:
            raise FileFormatError(
                f"{source.path}: not a text file (byte {control.start() + 1} is 0x{control[0][0]:02x}); a table must "
                "be CSV or other text, Excel, Parquet, ARFF or libsvm"
            )
        return _utf8_or_windows(file, head)


def _utf16_without_mark(head: bytes) -> str | None:
    """Return which half of the bytes of a text in UTF-16 are zero."""
    even, odd = head[0:2000:2], head[1:2000:2]
    if len(odd) > 1 and odd.count(0) > 0.7 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    if len(even) > 1 and even.count(0) > 0.7 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "utf-16-be"
    return None


def _check_given(path: str, file: Any, head: bytes, given: str) -> Encoding:
    try:
        decoder = codecs.getincrementaldecoder(given)()
    except LookupError:
        raise ValueError(f"encoding must be one that Python knows, such as 'latin-1', got {given!r}") from None
    block, done = head, 0
    while block:
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            raise FileFormatError(
                f"{path}: byte {done + error.start + 1} is not {given}; name another encoding"
            ) from None
        done += len(block)
        block = file.read(CHUNK)
    return Encoding(given)


def _utf8_or_windows(file: Any, head: bytes) -> Encoding:
    """Read on to the end, if need be, and count what is UTF-8 beyond ASCII and what is not."""
    good = bad = line = 0
    high: set[int] = set()
    first: tuple[int, int] | None = None
    block, rest = head, b""
    while block or rest:
        data = rest + block
        ended = not block
        cut = len(data) if ended or len(data) > MAX_LINE else data.rfind(b"\n") + 1
        data, rest = data[:cut], data[cut:]
        if not data.isascii():
            sound = len(MULTIBYTE.findall(data))
            left = MULTIBYTE.sub(b"", data)
            broken = [byte for byte in left if byte >= 0x80]
            good += sound
            bad += len(broken)
            high.update(broken)
            if broken and first is None:
                first = _first_bad(data, line)
        line += data.count(b"\n")
        block = b"" if ended else file.read(CHUNK)
    if first is None:
        return Encoding("utf-8")
    where = f"line {first[0]} holds byte 0x{first[1]:02x}"
    if good > 10 * bad:
        many = f" and {bad - 1:,} more such bytes" if bad > 1 else ""
        return Encoding("utf-8", "replace", warnings=(f"{where}{many}, which is not UTF-8: read as \ufffd",))
    name = "latin-1" if high & {0x81, 0x8D, 0x8F, 0x90, 0x9D} else "cp1252"
    title = {"latin-1": "Latin-1", "cp1252": "Windows-1252 (Latin-1)"}[name]
    return Encoding(name, "strict", (f"encoding {title}: {where}, so it is not UTF-8",))


def _first_bad(data: bytes, lines_before: int) -> tuple[int, int]:
    masked = MULTIBYTE.sub(lambda match: b"?" * len(match[0]), data)
    at = next(position for position, byte in enumerate(masked) if byte >= 0x80)
    return lines_before + data.count(b"\n", 0, at) + 1, data[at]
