"""Header and frames of one DICOM file; it is parsed in worker processes only.

A case of a multi-frame file is named as if the frame lay inside it: ``a/cine.dcm/frame-0012``
(counted from 1; no file can really have that name). The bare name of a file is its middle frame.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from bedside.core import codec
from bedside.core.types import SetAside
from bedside.readers import sandbox
from bedside.readers.dicom_header import DicomFacts
from bedside.runtime.preprocess import Pixels

Frames = Literal["first", "middle", "all"]

_HEADER = "bedside.readers.dicom_header:header"
_FRAME = "bedside.readers.dicom_pixels:frame"
_NAME = re.compile(r"^(?P<file>.+)/frame-(?P<number>[0-9]{4,5})$")


@dataclass(frozen=True, slots=True)
class DicomImage:
    """Frames of one file, each (H, W) or (H, W, 3), uint8 or uint16, with their numbers from 1."""

    facts: DicomFacts
    numbers: tuple[int, ...]
    frames: tuple[Pixels, ...]


# ------------------------------------------------------------------ names


def frame_name(file: str, number: int) -> str:
    """Return the name of one frame of a file."""
    return f"{file}/frame-{number:04d}"


def stored_file(root: Path, file: str) -> tuple[str, int | None]:
    """Return the file of a case's name, and the frame it asks for (None: the middle one)."""
    found = _NAME.match(file)
    if found and (root / found["file"]).is_file():
        return found["file"], int(found["number"])
    return file, None


def chosen_names(file: str, count: int, frames: Frames) -> list[str]:
    """Return the names of the cases of a file of ``count`` frames."""
    if count == 1 or frames == "middle":
        return [file]
    return [frame_name(file, n + 1) for n in range(count if frames == "all" else 1)]


# ------------------------------------------------------------------ one file


# For pseudonyms that nobody compares across processes. Made on import, not when first asked for:
# threads that ask at once would get keys of their own, and one patient several names.
SESSION_KEY = os.urandom(32)


def read_file(source: Path | bytes, frames: Frames = "middle", channels: int | None = 1,
              crop: bool = True, key: bytes | None = None, name: str | None = None,
              pool: sandbox.Pool | None = None) -> DicomImage:
    """Read frames of one DICOM file in a worker.

    Args:
        source: a file, or its bytes.
        frames: which; ``middle`` is frame (n + 1) // 2 of n.
        channels: 1 gives grey (colour by ITU-R 601 luma), 3 gives RGB, None what the file holds.
        crop: cut to the 2-D tissue regions where they can be trusted.
        key: for the pseudonyms; without one they hold for this process only.
        name: what to call it in a message.
        pool: of workers; the process's own by default.

    Raises:
        BadInput: not DICOM, no image, damaged, beyond the caps on size, memory and time.
        MissingComponent: pydicom is not installed.
    """
    workers = pool or sandbox.pool()
    where = name or (str(source) if isinstance(source, Path) else "image")
    blob, path = (b"", str(source)) if isinstance(source, Path) else (source, None)
    wanted: list[int | None] = [None if frames == "middle" else 1]
    numbers, found = [], []
    while wanted:
        reply = workers.call(_FRAME, where, blob, path=path, number=wanted.pop(0), crop=crop,
                             key=(key or SESSION_KEY).hex(), channels=channels)
        facts = codec.decode(DicomFacts, reply.value["facts"], where)
        numbers.append(int(reply.value["number"]))
        found.append(cast(Pixels, reply.arrays[0]))
        if frames == "all" and len(numbers) == 1:
            wanted.extend(range(2, facts.frames + 1))
    return DicomImage(facts, tuple(numbers), tuple(found))


def pixels(root: Path, file: str, channels: int | None = 1) -> Pixels:
    """Return the pixels of a case; see :func:`read_file` and :func:`stored_file`."""
    stored, number = stored_file(root, file)
    reply = sandbox.pool().call(_FRAME, root / stored, path=str(root / stored), number=number,
                                channels=channels)
    return cast(Pixels, reply.arrays[0])


def header(path: Path, key: bytes | None = None, label_tag: int | None = None,
           pool: sandbox.Pool | None = None) -> DicomFacts | SetAside:
    """Return the facts of one header; SetAside where the file is sound and holds no image.

    Raises:
        BadInput: damaged, or beyond the caps.
    """
    reply = (pool or sandbox.pool()).call(_HEADER, path, path=str(path), label_tag=label_tag,
                                          key=(key or SESSION_KEY).hex())
    if "aside" in reply.value:
        return SetAside(path.name, str(reply.value["aside"]))
    return cast(DicomFacts, codec.decode(DicomFacts, reply.value, str(path)))
