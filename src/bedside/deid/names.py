"""File and folder names as keyed ids, except the words that the user keeps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import count
from pathlib import PurePosixPath

from bedside.deid.key import Key

_MASK = re.compile(r"(?P<stem>.+?)_mask(?:_(?P<number>\d+))?", re.DOTALL)
# Longer numbers may be dates or record numbers, and so may digits of other scripts.
_COUNT = re.compile(r"[0-9]{1,2}")


def image_of_mask(path: PurePosixPath) -> str | None:
    """Return ``folder/stem`` of the image that a mask belongs to; None for what is no mask."""
    found = _MASK.fullmatch(path.stem)
    return None if found is None else (path.parent / found["stem"]).as_posix()


def folders(path: PurePosixPath, key: Key, keep: Iterable[str]) -> str:
    """Return a path's folders, each unchanged where it is a word to keep, else its keyed id.

    The same name gives the same id wherever it stands, so that a patient's folders stay one.
    """
    kept = {word.casefold() for word in keep}
    return "/".join(part if part.casefold() in kept else "d" + key.name("folder", part)
                    for part in path.parent.parts)


def renamed(files: Iterable[str], key: Key, keep: Iterable[str]) -> dict[str, str]:
    """Return the keyed id and the name of every folder that is renamed."""
    kept = {word.casefold() for word in keep}
    return {"d" + key.name("folder", part): part
            for name in files for part in PurePosixPath(name).parent.parts
            if part.casefold() not in kept}


def stems(files: Iterable[str], key: Key) -> dict[str, str]:
    """Return a keyed id for each file, without its suffix; ``X_mask.png`` follows ``X.png``.

    ``X_mask_1.png`` keeps a number of one or two digits. A longer one may identify: such a mask
    is counted anew where its image is there, and is keyed as a whole where it is not.

    Args:
        files: paths relative to the source, in a fixed order.

    Returns:
        path to id; ids are unique within a folder.
    """
    paths = {name: PurePosixPath(name) for name in files}
    masks = {name: _MASK.fullmatch(path.stem) for name, path in paths.items()}
    images = {(path.parent, path.stem) for name, path in paths.items() if not masks[name]}
    # Numbers that stay are given first, so that a mask counted anew takes none of them.
    numbers = {(paths[name].parent, m["stem"], int(m["number"])) for name, m in masks.items()
               if m and m["number"] and _COUNT.fullmatch(m["number"])}
    found: dict[str, str] = {}
    taken: set[tuple[str, str]] = set()
    for name, path in paths.items():
        stem, tail = path.stem, ""
        if mask := masks[name]:
            number, tail = mask["number"], "_mask"
            if not number or _COUNT.fullmatch(number):
                stem, tail = mask["stem"], f"_mask_{number}" if number else "_mask"
            elif (path.parent, mask["stem"]) in images:
                stem = mask["stem"]
                free = next(n for n in count(1) if (path.parent, stem, n) not in numbers)
                numbers.add((path.parent, stem, free))
                tail = f"_mask_{free}"
        folder = path.parent.as_posix()
        made = "f" + key.name("file", f"{folder}/{stem}") + tail
        if (folder, made) in taken:
            # a.png beside a.jpg: both become PNG.
            made = "f" + key.name("file", name)
        taken.add((folder, made))
        found[name] = made
    return found


def join(folder: str, name: str) -> str:
    """Join folder and name, with a slash where there is a folder."""
    return f"{folder}/{name}" if folder else name
