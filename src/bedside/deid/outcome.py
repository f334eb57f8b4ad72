"""Outcome of one file, and the interface to the text search in pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy.typing as npt

from bedside.deid.free_text import Known

Kind = Literal["dicom", "picture", "table", "other"]
Verdict = Literal["ok", "quarantined"]

# Reasons are fixed sentences: they stand in the ledger, which must name nobody.
NOT_CHECKED = "pixels not checked"
UNREADABLE = "damaged or not what its name says"


@dataclass(frozen=True, slots=True)
class Stored:
    """The stored pixels of one object, as the text search receives them.

    ``frames`` is (n, H, W) or (n, H, W, 3), any integer type (1-bit images as uint8), read-only;
    ``photometric`` as DICOM names it (``RGB`` for colour images, ``MONOCHROME2`` for grey,
    ``PALETTE COLOR`` with ``palette``, three lists of 256 or more entries);
    ``regions`` are ultrasound regions (0018,6011) as (x0, y0, x1, y1, spatial format, data
    type), both ends included; ``known`` holds the patient's names.
    """

    frames: npt.NDArray[Any]
    photometric: str
    bits_stored: int
    modality: str = ""
    regions: tuple[tuple[int, int, int, int, int, int], ...] = ()
    palette: tuple[npt.NDArray[Any], ...] = ()
    known: Known = field(default_factory=Known)


@dataclass(frozen=True, slots=True)
class PixelOutcome:
    """``clean``: no text found. ``cleaned``: ``frames`` replace the stored ones. ``uncertain``:
    a person decides; ``frames`` are then the proposal.

    ``preview`` is a PNG for that person; it goes to --private only.
    """

    status: Literal["clean", "cleaned", "uncertain"]
    reason: str = ""
    frames: npt.NDArray[Any] | None = None
    preview: bytes | None = None


CleanPixels = Callable[[Stored], PixelOutcome]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One file after de-identification.

    ``data`` is the clean file, or for a quarantined one the candidate that a person decides
    on (None where there is none); ``suffix`` its kind of file; ``actions`` counts what was done
    to header elements; ``patient`` is the pseudonym and ``identity`` the id it stands for,
    which is for --private only; ``device`` is make and model, for counting.
    """

    kind: Kind
    status: Verdict
    reason: str = ""
    data: bytes | None = None
    suffix: str = ""
    actions: dict[str, int] = field(default_factory=dict)
    patient: str = ""
    identity: str = ""
    preview: bytes | None = None
    device: str = ""


class Quarantine(Exception):
    """A file cannot be passed; the message is a fixed sentence without any of its content."""

    def __init__(self, reason: str, kind: Kind = "dicom") -> None:
        super().__init__(reason)
        self.reason, self.kind = reason, kind


Counts = Counter[str]
