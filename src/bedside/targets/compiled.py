"""Cache of compiled artefacts by content: equal file, compiler and settings compile once.

They lie in the user's cache folder (``BEDSIDE_CACHE``, else ``XDG_CACHE_HOME/bedside``, else
``~/.cache/bedside``). Every file is compared with its recorded SHA-256 before it is used; a
changed one is compiled again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.runtime.files import disk_errors, sha256_file, write_text

_HASHES = ".sha256.json"


def cache_root() -> Path:
    """Return the user's cache folder for bedside."""
    named = os.environ.get("BEDSIDE_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "bedside"


def cached(kind: str, parts: tuple[object, ...], make: Callable[[Path], None]) -> Path:
    """Return the folder that ``make`` fills for these ``parts``, filled once.

    Args:
        kind: what it is, a folder name.
        parts: everything the result depends on: hashes of inputs, versions, settings.
        make: writes files into an empty folder; where it raises, nothing is kept.

    Returns:
        A read-only folder; copy from it.
    """
    key = hashlib.sha256(codec.to_json(list(parts)).encode()).hexdigest()[:32]
    folder = cache_root() / kind / key
    if _intact(folder):
        return folder
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=folder.parent))
    try:
        make(scratch)
        files = sorted(p for p in scratch.rglob("*") if p.is_file())
        write_text(scratch / _HASHES, codec.to_json(
            {p.relative_to(scratch).as_posix(): sha256_file(p) for p in files}))
        with disk_errors(folder):
            _swap(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _swap(scratch: Path, folder: Path) -> None:
    if folder.exists():
        if _intact(folder):  # another process was faster
            return
        shutil.rmtree(folder, ignore_errors=True)
    try:
        scratch.rename(folder)
    except OSError:
        if not _intact(folder):
            raise


def _intact(folder: Path) -> bool:
    if not (folder / _HASHES).is_file():
        return False
    try:
        hashes: dict[str, str] = codec.decode(
            dict[str, str], codec.parse_json(codec.read_text(folder / _HASHES), str(folder)))
    except BadInput:
        return False
    return all((folder / name).is_file() and sha256_file(folder / name) == sha256
               for name, sha256 in hashes.items())


def take(folder: Path, scratch: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Copy files of a kept folder into ``scratch``; returns their SHA-256 by name."""
    for name in names:
        shutil.copyfile(folder / name, scratch / name)
    return {name: sha256_file(scratch / name) for name in names}
