"""The candidate of a review: decode it, show it, and write what a decision passes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bedside.core.errors import BadInput
from bedside.deid.image_files import png
from bedside.deid.ledger import Entry
from bedside.deid.outcome import Quarantine
from bedside.deid.text.background import inpaint
from bedside.runtime.preprocess import decode

RelativeBox = tuple[float, float, float, float]
_UNSHOWN = "the candidate cannot be shown"
_REJECT = "Reject it; nobody can see what it would pass."


def frame_count(private: Path, entry: Entry) -> int:
    """Return the number of frames of a candidate.

    Raises:
        BadInput: it cannot be decoded.
    """
    if entry.kind == "dicom":
        return len(_dicom(private, entry)[1])
    _picture(private, entry)
    return 1


def candidate_png(private: Path, entry: Entry, frame: int = 0) -> bytes:
    """Return the candidate, which would be passed, as PNG.

    Raises:
        BadInput: it cannot be decoded.
    """
    if entry.kind == "picture":
        return _picture(private, entry)
    from bedside.deid import payload
    from bedside.deid.free_text import Known
    from bedside.deid.text.views import to_uint8

    dataset, frames = _dicom(private, entry)
    stored = payload.stored(dataset, frames, Known())
    return png(to_uint8(stored, min(max(frame, 0), len(frames) - 1)))


def _picture(private: Path, entry: Entry) -> bytes:
    data = (private / entry.file).read_bytes()
    try:
        decode(data, None, entry.id)
    except BadInput as error:
        raise BadInput(f"{_UNSHOWN} ({error.fault})", where=entry.id, remedy=_REJECT) from None
    return data


def _dicom(private: Path, entry: Entry) -> tuple[Any, npt.NDArray[Any]]:
    """Return a candidate's data set and stored values, (n, H, W[, 3])."""
    from bedside.deid import dicom, payload

    try:
        dataset = dicom.read((private / entry.file).read_bytes())
        return dataset, payload.unpack(dataset, dataset.file_meta.TransferSyntaxUID)
    except Quarantine as error:
        raise BadInput(f"{_UNSHOWN} ({error.reason})", where=entry.id, remedy=_REJECT) from None
    except (OSError, MemoryError):
        raise
    except Exception:
        # Parsers raise many types, with the values that they stumble on.
        raise BadInput(f"{_UNSHOWN} (damaged)", where=entry.id, remedy=_REJECT) from None


def passed(private: Path, entry: Entry, boxes: tuple[RelativeBox, ...]) -> bytes:
    """Return the file that a decision passes, with the boxes redacted in every frame.

    Args:
        private: the private folder.
        entry: of the candidate.
        boxes: (x0, y0, x1, y1) as shares of width and height.

    Raises:
        BadInput: the candidate cannot be decoded.
        Quarantine: what was written does not read back.
    """
    data = (private / entry.file).read_bytes()
    if entry.kind == "picture":
        pixels = decode(data, 3, "picture")
        grey = Image.open(io.BytesIO(data)).mode not in ("RGB", "RGBA", "P")
        plane = pixels[..., 0] if grey else pixels
        return png(inpaint(plane, mask_of(boxes, plane.shape[0], plane.shape[1])))
    from bedside.deid import payload, provenance_tags

    dataset, frames = _dicom(private, entry)
    meant = payload.displayed(dataset, dataset.file_meta.TransferSyntaxUID)
    mask = mask_of(boxes, frames.shape[1], frames.shape[2])
    redacted = np.stack([inpaint(f, mask) for f in frames])
    payload.put(dataset, redacted)
    provenance_tags.mark_reviewed(dataset)
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    payload.read_back(out.getvalue(), redacted, meant, ~mask)
    return out.getvalue()


def mask_of(boxes: tuple[RelativeBox, ...], height: int, width: int) -> npt.NDArray[Any]:
    """Return boxes as a mask, (H, W) bool, rounded outwards."""
    mask = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in boxes:
        mask[int(y0 * height):int(np.ceil(y1 * height)),
             int(x0 * width):int(np.ceil(x1 * width))] = True
    return mask
