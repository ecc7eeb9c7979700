"""Replace files atomically and durably."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path


def write_bytes(path: str | os.PathLike[str], content: bytes, previous: str | os.PathLike[str] | None = None) -> None:
    """Replace a file in one step, so that at any moment either the old or the new one is there.

    With `previous`, the old file is kept under that name. A symbolic link stays a link: its target is replaced. The
    new file has the permissions of the old one.
    """
    target = Path(os.path.realpath(path))
    before = target.stat() if target.exists() else None
    if before is not None and not stat.S_ISREG(before.st_mode):
        raise OSError(errno.EINVAL, "not a regular file, and not replaced", str(path))
    temporary = target.with_name(f".{target.name}-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            temporary.chmod(stat.S_IMODE(before.st_mode))
        if previous is not None and target.exists():
            target.replace(previous)
        temporary.replace(target)
        sync_folder(target.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = str(path)
        raise


def remove_unfinished(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that killed writers of this file left behind."""
    target = Path(path)
    for unfinished in target.parent.glob(f".{target.name}-{'[0-9a-f]' * 16}"):
        unfinished.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush a folder's directory entries to disk, where the system allows it."""
    if os.name != "posix":  # pragma: no cover - elsewhere folders cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
