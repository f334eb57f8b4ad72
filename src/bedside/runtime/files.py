"""Atomic writing of small files, hashes, and clear messages for disk faults."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bedside.core.errors import BadInput, BedsideError


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file, read in chunks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old text or the new, never half."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write bytes as :func:`write_text` writes; ``mode`` is the new file's, before the umask."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            scratch.unlink(missing_ok=True)  # left by a killed process of the same number
            handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            scratch.replace(path)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise


_DISK_FAULTS = {
    errno.ENOSPC: ("the disk is full", "Free some space and run again; finished work is kept."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space and run again."),
    errno.EFBIG: ("the file grew past the limit of this system", "Raise the limit (ulimit -f)."),
    errno.EACCES: ("no permission to write", "Choose another --out or change the permissions."),
    errno.EPERM: ("no permission to write", "Choose another --out or change the permissions."),
    errno.EROFS: ("the disk is read-only", "Choose another --out."),
    errno.EIO: ("the disk reports a fault", "Check the disk, or choose another --out."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter --out."),
    errno.ELOOP: ("links that lead in a circle", "Choose another --out."),
    errno.ENOTDIR: ("a file stands where a folder is needed", "Choose another --out."),
    errno.EISDIR: ("a folder stands where a file is needed", "Choose another --out."),
    errno.EEXIST: ("a file stands where a folder is needed", "Choose another --out."),
}


def disk_fault(error: OSError, path: Path | str) -> BedsideError | None:
    """Return the message for an OSError of the output disk; None for any other."""
    if error.errno not in _DISK_FAULTS:
        return None
    fault, remedy = _DISK_FAULTS[error.errno]
    return BadInput(fault, where=path, remedy=remedy)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full, read-only or forbidden output disk into one clear message."""
    try:
        yield
    except OSError as error:
        known = disk_fault(error, path)
        if known is None:
            raise
        raise known from error
