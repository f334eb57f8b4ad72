"""Load the pixels of a case from a folder, a DICOM file or an ``.npz``."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from bedside.core.errors import BadInput
from bedside.readers import dicom_file
from bedside.readers.dicom_walk import is_dicom
from bedside.readers.npz import NpzImages
from bedside.runtime.preprocess import SUFFIXES, Pixels, decode

_MEMBER = re.compile(r"^(\w+)\[(\d+)\]$")


@functools.lru_cache(maxsize=2)
def _archive(path: Path, stamp: tuple[int, int]) -> NpzImages:
    return NpzImages(path)


def bytes_of(root: Path, file: str) -> bytes:
    """Return a case's content for hashing: the file's bytes, or the array's of an ``.npz``."""
    if root.is_dir():
        return stored_path(root, file).read_bytes()
    return np.ascontiguousarray(_stored(root, file)).tobytes()


def stored_path(root: Path, file: str) -> Path:
    """Return the file of a case: its own, or the one of many frames."""
    return root / dicom_file.stored_file(root, file)[0]


def frame_of(root: Path, file: str) -> int | None:
    """Return the frame that a case's name asks for, counted from 1, or None."""
    return dicom_file.stored_file(root, file)[1] if root.is_dir() else None


def _stored(root: Path, file: str) -> Pixels:
    found = _MEMBER.match(file)
    if not found:
        raise BadInput(f"no image {file!r}", where=root, remedy="Check the data set.")
    status = root.stat()
    archive = _archive(root, (status.st_mtime_ns, status.st_size))
    return archive.image(found[1], int(found[2]))


def pixels_of(root: Path, file: str, channels: int | None = 1) -> Pixels:
    """Decode one image of a data set.

    Args:
        root: the listing's root (a folder, or an ``.npz``).
        file: the case's file (``benign/1.png``, ``train_images[12]``, ``cine.dcm/frame-0012``).
        channels: 1 gives grey (colour by ITU-R 601 luma), 3 gives RGB, None what is stored.

    Returns:
        (H, W) for one channel, (H, W, 3) for three; uint8 or uint16.

    Raises:
        BadInput: unreadable, see :func:`bedside.runtime.preprocess.decode` and
            :func:`bedside.readers.dicom_file.read_file`.
    """
    if root.is_dir():
        path = stored_path(root, file)
        if path.suffix.lower() not in SUFFIXES and is_dicom(path):
            return dicom_file.pixels(root, file, channels)
        return decode(root / file, channels)
    pixels = _stored(root, file)
    if channels == 3 and pixels.ndim == 2:
        return cast(Pixels, np.repeat(pixels[..., None], 3, axis=2))
    return to_grey(pixels) if channels == 1 else pixels


def to_grey(pixels: Pixels) -> Pixels:
    """Return RGB pixels (H, W, 3) as grey by ITU-R 601 luma, grey ones (H, W) as they are."""
    if pixels.ndim == 2:
        return pixels
    grey: npt.NDArray[np.uint8] = np.asarray(
        Image.fromarray(np.ascontiguousarray(pixels)).convert("L"), dtype=np.uint8)
    return grey
