"""Which images are lesion masks of others: by their names, and by what their pixels hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from bedside.core.errors import BadInput
from bedside.core.types import SetAside
from bedside.readers import names
from bedside.readers.files import stem
from bedside.runtime.preprocess import decode

ORPHAN_MASK = "a lesion mask without its image"
# Values a mask holds: background, lesion, perhaps two more classes of tissue.
_MOST_VALUES = 4
_SAMPLE = 6
_LARGEST_BYTES = 4 << 20

Content = Literal["mask", "image", "flat"]


@dataclass(frozen=True, slots=True)
class Pairing:
    """Images with the masks of each, masks without an image, and sentences on what was done."""

    images: tuple[str, ...]
    masks: dict[str, tuple[str, ...]]
    orphans: tuple[SetAside, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def every_mask(self) -> tuple[str, ...]:
        """Every mask, with an image or without."""
        return (*(m for own in self.masks.values() for m in own), *(s.file for s in self.orphans))


def content(path: Path) -> Content:
    """Return whether an image holds a mask: at most four grey levels, or two blurred by JPEG."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            return "image"
        pixels = decode(path)
    except (BadInput, OSError):
        return "flat"
    counts = np.bincount(pixels.reshape(-1))
    values = np.flatnonzero(counts)
    counts = counts[values]
    if len(values) == 1:
        return "flat"
    if len(values) <= _MOST_VALUES:
        return "mask"
    low, high = int(values[0]), int(values[-1])
    near = (high - low) // 10
    at_ends = counts[(values <= low + near) | (values >= high - near)].sum()
    lit = counts[values >= high - near].sum()
    return "mask" if at_ends >= 0.97 * pixels.size and lit >= 0.001 * pixels.size else "image"


def sampled(root: Path, files: Sequence[str], count: int = _SAMPLE) -> Content:
    """Return what a sample of files holds: ``mask`` or ``image`` where all others are flat.

    A single grey image among them makes it ``image``.
    """
    step = max(1, len(files) // count)
    found = {content(root / f) for f in files[::step][:count]}
    return "image" if "image" in found else "mask" if "mask" in found else "flat"


def pair(root: Path, files: Sequence[str], literal: bool = False) -> Pairing:
    """Find the masks among a folder's images.

    ``X_mask.png`` and ``X_mask_1.png`` beside ``X.png`` are masks by their name alone. Other words
    (``X_tumor.png``) and folders of masks (``GT``, ``labels``) are masks if their pixels are, too.

    Args:
        root: the data set's folder.
        files: sorted names of images.
        literal: whether only the first kind counts (``--layout classes``).

    Raises:
        BadInput: files named as masks that hold grey images.
    """
    plain, asides, notes = list(files), [], []
    masks: dict[str, list[str]] = {}
    if not literal:
        in_folders = [f for f in files if any(map(names.is_mask_folder, f.split("/")[:-1]))]
        if in_folders and len(in_folders) < len(files):
            _check(root, in_folders, "lie in folders named as masks")
            others = sorted(set(files) - set(in_folders))
            masks, lost = _by_folder(others, in_folders)
            plain, asides = others, lost
            notes.append(f"Masks by folder ({', '.join(_folders(in_folders))}): "
                         f"{len(in_folders) - len(lost)}, without an image: {len(lost)}.")
    plain, beside, lost = _beside(root, plain, literal, notes)
    asides += lost
    for image, own in beside.items():
        masks.setdefault(image, []).extend(own)
    for own in masks.values():
        for mask in own:
            if "|" in mask:
                raise BadInput(f"the name {mask!r} holds a |", where=mask, remedy="Rename it.")
    return Pairing(tuple(plain), {image: tuple(sorted(own, key=lambda m: (len(m), m)))
                                  for image, own in masks.items()},
                   tuple(SetAside(m, ORPHAN_MASK) for m in asides), tuple(notes))


def _check(root: Path, files: Sequence[str], what: str) -> None:
    if sampled(root, files) == "image":
        raise BadInput(f"{len(files)} files, as {files[0]!r}, {what} and hold grey images",
                       where=root, remedy="If they are images of a class, give --layout classes; "
                       "if not, move them out of the data set.")


def _folders(files: Sequence[str]) -> list[str]:
    return sorted({next(p for p in f.split("/")[:-1] if names.is_mask_folder(p)) for f in files})


def _place(file: str) -> tuple[str, ...]:
    """Return the folders of a file but for words for images or masks: ``train_masks`` is train."""
    found: list[str] = []
    for folder in file.split("/")[:-1]:
        mask = names.is_mask_folder(folder)
        part = names.part_of(folder, loose=mask)
        if part is not None:
            found.append(part)
        elif not mask and not names.is_image_folder(folder):
            found.append(names.folded(folder))
    return tuple(found)


def _by_folder(images: Sequence[str], masks: Sequence[str]
               ) -> tuple[dict[str, list[str]], list[str]]:
    """Match masks of folders to images by place and stem; else by the stem without first word."""
    own: dict[str, list[str]] = {}
    left = list(masks)
    for key in (names.folded, names.bare_stem, names.tail):
        at: dict[tuple[tuple[str, ...], str], list[str]] = {}
        for image in images:
            at.setdefault((_place(image), key(stem(image))), []).append(image)
        rest = []
        for mask in left:
            found = at.get((_place(mask), key(stem(mask))), [])
            if len(found) == 1:
                own.setdefault(found[0], []).append(mask)
            else:
                rest.append(mask)
        left = rest
    return own, left


def _beside(root: Path, files: Sequence[str], literal: bool, notes: list[str]
            ) -> tuple[list[str], dict[str, list[str]], list[str]]:
    """Return images, masks named after an image of their folder, and masks that have none."""
    first: dict[tuple[str, str], str] = {}
    for file in files:
        # A mask goes to the first image of its stem where a.png and a.jpg both exist.
        first.setdefault((file.rpartition("/")[0], stem(file)), file)
    images: list[str] = []
    masks: dict[str, list[str]] = {}
    lost: list[str] = []
    doubtful: dict[str, tuple[str, str]] = {}
    for file in files:
        own = names.companion_of(stem(file))
        image = None if own is None else first.get((file.rpartition("/")[0], own))
        word = "" if own is None else names.words(stem(file)[len(own):])[0]
        if word == "mask" and own is not None:
            (lost if image is None else masks.setdefault(image, [])).append(file)
        elif image is None or literal:
            images.append(file)
        else:
            doubtful[file] = image, word
    if doubtful:
        spoken = sorted({f"_{word}" for _, word in doubtful.values()})
        _check(root, list(doubtful), f"are named as masks ({', '.join(spoken)}) of another image")
        for file, (image, _) in doubtful.items():
            masks.setdefault(image, []).append(file)
        notes.append(f"Two-valued files beside their image taken as masks ({', '.join(spoken)}): "
                     f"{len(doubtful)}.")
    return images, masks, lost
