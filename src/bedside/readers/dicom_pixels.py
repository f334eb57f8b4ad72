"""One frame of a DICOM file as an image: decode, convert for display, crop.

Call these functions in a worker (:mod:`bedside.readers.sandbox`). pydicom is imported inside
them.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.readers.dicom_grey import functional, shown_grey, stored_index, stored_range
from bedside.readers.dicom_header import (
    BIG_ENDIAN,
    DEFLATED,
    FACTS,
    GREY,
    NATIVE,
    PALETTE,
    DicomFacts,
    facts_of,
    no_pixels,
    opened,
    read_header,
)
from bedside.readers.dicom_palette import palette_table
from bedside.readers.dicom_regions import tissue_box
from bedside.runtime.preprocess import MAX_PIXELS, Pixels

Array = npt.NDArray[Any]

RLE = "1.2.840.10008.1.2.5"

# Other elements stay unread: they are not needed, and one damaged among them harms nothing.
_NEEDED = (*FACTS, "PlanarConfiguration", "PixelPaddingValue", "PixelPaddingRangeLimit",
           "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "VOILUTSequence",
           "WindowCenter", "WindowWidth", "VOILUTFunction", "SharedFunctionalGroupsSequence",
           "PerFrameFunctionalGroupsSequence", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
           *(f"{prefix}{colour}PaletteColorLookupTable{suffix}" for colour in
             ("Red", "Green", "Blue") for prefix, suffix in
             (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))))


def frame(blob: bytes, path: str | None = None, key: str = "", number: int | None = None,
          channels: int | None = 1, crop: bool = True) -> tuple[Any, list[Pixels]]:
    """Return, in a worker, one frame with its facts and number.

    Args:
        blob: the file's bytes, unless ``path`` is given.
        path: the file.
        key: for the pseudonyms, in hex.
        number: the frame, counted from 1; None takes the middle one (of an even number the
            earlier).
        channels: 1 gives grey (colour by ITU-R 601 luma), 3 gives RGB, None what the file
            holds.
        crop: cut to the 2-D tissue regions where they can be trusted.

    Returns:
        ``{"facts", "number"}``, and [(H, W) or (H, W, 3), uint8; grey of more than 8 bits uint16].

    Raises:
        BadInput: no image, beyond the caps, or the frame is missing.
    """
    with opened(blob, path) as stream:
        ds = read_header(stream, _NEEDED)
        facts = facts_of(ds, bytes.fromhex(key))
        chosen = number if number is not None else (facts.frames + 1) // 2
        if not 1 <= chosen <= facts.frames:
            raise BadInput(f"no frame {chosen} among {facts.frames}")
        if facts.transfer_syntax == DEFLATED:
            stream.seek(0)
            ds = read_header(stream, (*_NEEDED, "PixelData"), pixels=True)
        stored = _decoded(stream, ds, facts, chosen - 1)
    image: Pixels
    if facts.photometric in GREY:
        image = shown_grey(stored, facts, functional(ds, chosen - 1))
    else:
        image = _colour(stored, facts, ds)
    box = tissue_box(facts.regions, facts.rows, facts.columns) if crop else None
    if box is not None:
        image = image[box[0]:box[2], box[1]:box[3]]
    return {"facts": codec.encode(facts), "number": chosen}, [_channels(image, channels)]


def _channels(image: Pixels, channels: int | None) -> Pixels:
    if channels == 3 and image.ndim == 2:
        return cast(Pixels, np.repeat(image[..., None], 3, axis=2))
    if channels != 1 or image.ndim == 2:
        return image
    luma: npt.NDArray[np.uint8] = np.asarray(
        Image.fromarray(np.ascontiguousarray(image)).convert("L"))
    return luma


# ------------------------------------------------------------------ stored values


def _decoded(stream: BinaryIO, ds: Any, facts: DicomFacts, index: int) -> Array:
    """Return the stored values of one frame, (H, W) or (H, W, 3); YBR already turned to RGB."""
    from pydicom.pixels.utils import pixel_array

    if facts.transfer_syntax == DEFLATED:
        _check_length(facts, len(ds.PixelData) if "PixelData" in ds else 0)
    else:
        _check_frame(stream, ds, facts, index)
        stream.seek(0)
    try:
        if facts.transfer_syntax == DEFLATED:
            values = pixel_array(ds, index=index)
        else:
            values = pixel_array(stream, index=index,
                                 transfer_syntax_uid=ds.file_meta.TransferSyntaxUID)
    except NotImplementedError:
        raise BadInput("a transfer syntax that is not supported") from None
    except RuntimeError:
        raise BadInput("compressed pixels that no decoder reads") from None
    shape = (facts.rows, facts.columns) if facts.samples == 1 else (facts.rows, facts.columns, 3)
    if values.shape != shape or values.dtype.kind not in "iu":
        raise BadInput("pixels that do not fit the header")
    return np.asarray(values)


def _check_length(facts: DicomFacts, length: int) -> None:
    per_pixel = 2 if facts.photometric == "YBR_FULL_422" else facts.samples
    bits = facts.rows * facts.columns * per_pixel * facts.bits_allocated * facts.frames
    if length < (bits + 7) // 8:
        raise BadInput("the pixel data end early")


def _check_frame(stream: BinaryIO, ds: Any, facts: DicomFacts, index: int) -> None:
    """Refuse pixel data whose size belies the header, before a decoder makes room for it."""
    from pydicom.encaps import get_frame

    big = facts.transfer_syntax == BIG_ENDIAN
    order = ">" if big else "<"
    head = stream.read(8)
    if len(head) < 8 or struct.unpack(f"{order}HH", head[:4]) != (0x7FE0, 0x0010):
        raise no_pixels(facts.sop_class)
    implicit = facts.transfer_syntax == NATIVE[0]
    length = struct.unpack(f"{order}L", head[4:] if implicit else stream.read(4))[0]
    if facts.transfer_syntax in NATIVE:
        here = stream.tell()
        _check_length(facts, min(length, stream.seek(0, 2) - here))
        return
    offsets = None
    if "ExtendedOffsetTable" in ds and "ExtendedOffsetTableLengths" in ds:
        offsets = (ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths)
    code = get_frame(stream, index, number_of_frames=facts.frames, extended_offsets=offsets)
    if facts.transfer_syntax == RLE:
        raw = facts.rows * facts.columns * facts.samples * facts.bits_allocated // 8
        if len(code) > 2 * raw + 128:
            raise BadInput("run lengths that do not fit the header")
    size = coded_size(code)
    if size is not None and (size != (facts.columns, facts.rows) or size[0] * size[1] > MAX_PIXELS):
        raise BadInput(f"the compressed image is {size[0]} x {size[1]}, the header says "
                       f"{facts.columns} x {facts.rows}")


def coded_size(code: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels from a JPEG, JPEG-LS or JPEG 2000 code stream."""
    if code[:4] == b"\xff\x4f\xff\x51" or code[4:8] == b"jP  ":
        at = code.find(b"\xff\x4f\xff\x51")
        if at < 0 or len(code) < at + 24:
            return None
        x1, y1, x0, y0 = struct.unpack(">4L", code[at + 8:at + 24])
        return x1 - x0, y1 - y0
    at = 2
    while code[:2] == b"\xff\xd8" and at + 9 <= len(code) and code[at] == 0xFF:
        marker = code[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            height, width = struct.unpack(">HH", code[at + 5:at + 9])
            return (width, height) if height else None
        at += 1 if marker == 0xFF else 2 + int.from_bytes(code[at + 2:at + 4], "big")
    return None


# ------------------------------------------------------------------ colour


def _colour(stored: Array, facts: DicomFacts, ds: Any) -> npt.NDArray[np.uint8]:
    if facts.photometric == PALETTE:
        low, span = stored_range(facts)
        table = palette_table(ds, low, span, facts.transfer_syntax == BIG_ENDIAN)
        mapped: npt.NDArray[np.uint8] = table[stored_index(stored, facts)]
        return mapped
    if stored.dtype.itemsize == 1:
        return stored.view(np.uint8)
    return (stored >> max(0, facts.bits_stored - 8)).astype(np.uint8)
