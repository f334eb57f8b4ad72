"""File and folder names that say nothing: keyed ids, and the words that a user lets stay."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from bedside.data.deid.key import Key

_MASK = re.compile(r"^(?P<stem>.+?)(?P<mask>_mask(?:_\d+)?)$")


def folders(path: PurePosixPath, key: Key, keep: Iterable[str]) -> str:
    """The folders of a path, each as it is where it is a word to keep, else as its keyed id.

    The same name gives the same id wherever it stands, so that a patient's folders stay one.
    """
    kept = {word.casefold() for word in keep}
    return "/".join(part if part.casefold() in kept else "d" + key.name("folder", part)
                    for part in path.parent.parts)


def renamed(files: Iterable[str], key: Key, keep: Iterable[str]) -> dict[str, str]:
    """Keyed id to name of every folder whose name does not stay."""
    kept = {word.casefold() for word in keep}
    return {"d" + key.name("folder", part): part
            for name in files for part in PurePosixPath(name).parent.parts
            if part.casefold() not in kept}


def stems(files: Iterable[str], key: Key) -> dict[str, str]:
    """A keyed id for each file, without its suffix; ``X_mask.png`` follows ``X.png``.

    Args:
        files: paths relative to the source, in a fixed order.

    Returns:
        path to id; ids are unique within a folder.
    """
    found: dict[str, str] = {}
    taken: set[tuple[str, str]] = set()
    for name in files:
        path = PurePosixPath(name)
        mask = _MASK.match(path.stem)
        stem, tail = (mask["stem"], mask["mask"]) if mask else (path.stem, "")
        folder = path.parent.as_posix()
        made = "f" + key.name("file", f"{folder}/{stem}") + tail
        if (folder, made) in taken:
            # a.png beside a.jpg: both become PNG.
            made = "f" + key.name("file", name)
        taken.add((folder, made))
        found[name] = made
    return found


def join(folder: str, name: str) -> str:
    """Folder and name, with a slash where there is a folder."""
    return f"{folder}/{name}" if folder else name
