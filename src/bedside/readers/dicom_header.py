"""Read and check a DICOM header, with limits, before any pixel is decoded.

These functions parse untrusted bytes: call them in a worker (:mod:`bedside.readers.sandbox`),
as :mod:`bedside.readers.dicom` does. pydicom is imported inside the functions.
"""

from __future__ import annotations

import io
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.readers.dicom_regions import Region, regions_of
from bedside.readers.keyed import Key, patient_identity
from bedside.runtime.preprocess import MAX_PIXELS

MAX_FILE_BYTES = 512 << 20
MAX_FRAMES = 20_000
# A deflated file may grow to the first size whatever its ratio, to the second at most.
_INFLATED_FREE_BYTES = 32 << 20
_INFLATED_MAX_BYTES = 192 << 20
_INFLATED_MAX_RATIO = 100
_BLOCK_BYTES = 1 << 20

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT, EXPLICIT, BIG_ENDIAN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
NATIVE = (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422", "YBR_ICT",
          "YBR_RCT")
PALETTE = "PALETTE COLOR"

FACTS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "PatientID", "IssuerOfPatientID",
          "Modality", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation",
          "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames",
          "SequenceOfUltrasoundRegions", "Manufacturer", "ManufacturerModelName")
_UID = re.compile(r"^[0-9.]{1,64}$")
_DEVICE_LETTERS = 80
_WORD = re.compile(r"^[A-Z0-9_ ]{1,16}$")


@dataclass(frozen=True, slots=True)
class DicomFacts:
    """The facts of a header that the reader uses; nothing here names a patient.

    ``patient``, ``study`` and ``instance`` are keyed pseudonyms of Patient ID (with its issuer),
    Study and SOP Instance UID; None where the file has none. ``label`` is the value of the tag
    that was asked for. ``device`` is manufacturer and model, where de-identification let them
    stay (``--keep-device``).
    """

    transfer_syntax: str
    sop_class: str
    modality: str
    photometric: str
    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    regions: tuple[Region, ...] = ()
    patient: str | None = None
    study: str | None = None
    instance: str | None = None
    label: str | None = None
    device: str | None = None


class NoImage(BadInput):
    """A sound file that holds no image: set aside, never an error."""


# ------------------------------------------------------------------ opening


@contextmanager
def opened(blob: bytes, path: str | None) -> Iterator[BinaryIO]:
    """Open the file, or the bytes. Raises BadInput: unreadable, empty, too large."""
    try:
        # Opened here and used below: an OSError of a parser is no fault of the disk.
        opening = Path(path).open("rb") if path is not None else io.BytesIO(blob)  # noqa: SIM115
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})") from None
    with opening as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if not size:
            raise BadInput("the file is empty (0 bytes)")
        if size > MAX_FILE_BYTES:
            raise BadInput(f"more than {MAX_FILE_BYTES >> 20} MB")
        yield stream


def looks_like_dicom(head: bytes) -> bool:
    """Return whether a file's first 132 bytes or more are DICOM's, with or without preamble."""
    if head[128:132] == b"DICM":
        return True
    # No preamble: the first element is of group 0002 or 0008, low, and short.
    if head[:2] == b"\x00\x08" and head[4:6].isalpha():
        return True
    group, element = int.from_bytes(head[:2], "little"), int.from_bytes(head[2:4], "little")
    if len(head) < 8 or group not in (0x0002, 0x0008) or element > 0x0070:
        return False
    return head[4:6] in (b"UL", b"UI", b"CS", b"OB", b"SH", b"DA", b"SQ") or int.from_bytes(
        head[4:8], "little") <= 64


def read_header(stream: BinaryIO, keywords: tuple[str, ...] | None, pixels: bool = False) -> Any:
    """Read a ``pydicom.Dataset`` up to the pixel data, with the inflated size capped first.

    The stream is left at the pixel data element. ``ds.file_meta.TransferSyntaxUID`` is set,
    guessed from the encoding where the file lacks it.

    Args:
        stream: a seekable file at its start.
        keywords: the elements to keep; None keeps all.
        pixels: read the pixel data too.

    Raises:
        BadInput: not DICOM, or a deflated file that grows out of proportion.
        Exception: of many types, from pydicom, on damaged files.
    """
    import pydicom
    from pydicom.filereader import _read_file_meta_info, read_preamble

    if not looks_like_dicom(stream.read(256)):
        raise BadInput("not a DICOM file")
    stream.seek(0)
    read_preamble(stream, force=True)
    syntax = str(_read_file_meta_info(stream).get("TransferSyntaxUID", "") or "")
    if syntax == DEFLATED:
        _check_inflated(stream)
    stream.seek(0)
    ds = pydicom.dcmread(stream, stop_before_pixels=not pixels, force=True,
                         specific_tags=list(keywords) if keywords else None)
    if not syntax:
        implicit, little = ds.original_encoding
        ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(
            (IMPLICIT if implicit else EXPLICIT) if little else BIG_ENDIAN)
    return ds


def _check_inflated(stream: BinaryIO) -> None:
    """Inflate in small blocks and count, keeping nothing."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    packed = total = 0
    while block := stream.read(_BLOCK_BYTES):
        packed += len(block)
        while block:
            total += len(inflate.decompress(block, _BLOCK_BYTES))
            block = inflate.unconsumed_tail
            if total > _INFLATED_MAX_BYTES or (
                    total > _INFLATED_FREE_BYTES and total > packed * _INFLATED_MAX_RATIO):
                raise BadInput(f"a deflated file that grows beyond {total >> 20} MB")


# ------------------------------------------------------------------ facts


def facts_of(ds: Any, key: bytes, label_tag: int | None = None) -> DicomFacts:
    """Check a header against the caps and collect what the reader needs.

    Raises:
        BadInput: an index of an export, no image, or sizes beyond the caps.
    """
    sop_class = str(ds.get("SOPClassUID") or ds.file_meta.get("MediaStorageSOPClassUID") or "")
    if sop_class == DICOMDIR_CLASS:
        raise NoImage("a DICOMDIR, the index of an export")
    if "Rows" not in ds or "Columns" not in ds:
        raise no_pixels(sop_class)
    rows, columns = _whole(ds, "Rows", 1, 65535), _whole(ds, "Columns", 1, 65535)
    if rows * columns > MAX_PIXELS:
        raise BadInput(f"more than {MAX_PIXELS // 1_000_000} megapixels ({columns} x {rows})")
    frames = _whole(ds, "NumberOfFrames", 0, MAX_FRAMES, 1) or 1
    samples = _whole(ds, "SamplesPerPixel", 1, 3, 1)
    allocated = _whole(ds, "BitsAllocated", 1, 64)
    stored = _whole(ds, "BitsStored", 1, allocated, allocated)
    photometric = str(ds.get("PhotometricInterpretation") or "").strip().upper()
    if photometric not in (*GREY, *COLOUR, PALETTE):
        raise BadInput("an unknown photometric interpretation")
    if samples != (3 if photometric in COLOUR else 1):
        raise BadInput(f"{samples} samples per pixel do not fit {photometric}")
    if allocated not in (1, 8, 16, 32) or (allocated > 16 and photometric not in COLOUR):
        raise NoImage(f"{allocated}-bit values, not an image")
    syntax, modality = str(ds.file_meta.TransferSyntaxUID), str(ds.get("Modality") or "").strip()
    return DicomFacts(
        transfer_syntax=syntax if _UID.match(syntax) else "", photometric=photometric,
        sop_class=sop_class if _UID.match(sop_class) else "",
        modality=modality if _WORD.match(modality) else "", rows=rows, columns=columns,
        frames=frames, samples=samples, bits_allocated=allocated, bits_stored=stored,
        high_bit=_whole(ds, "HighBit", 0, allocated - 1, stored - 1),
        signed=_whole(ds, "PixelRepresentation", 0, 1, 0) == 1, regions=regions_of(ds),
        patient=_patient(key, ds),
        study=_named(key, "study", ds, "StudyInstanceUID"),
        instance=_named(key, "instance", ds, "SOPInstanceUID"),
        label=_text(ds[label_tag].value) if label_tag is not None and label_tag in ds else None,
        device=_device(ds))


def _device(ds: Any) -> str | None:
    parts = [_text(ds.get(k)) for k in ("Manufacturer", "ManufacturerModelName")]
    text = " ".join(" ".join(p for p in parts if p).split())[:_DEVICE_LETTERS]
    return text if text and text.isprintable() else None


def no_pixels(sop_class: str) -> BadInput:
    """Return the error for a file without pixels: a report never has any, an image lacks them."""
    from pydicom.uid import UID

    name = UID(sop_class).name
    # Only names of the standard's own list: a file's free text may name a patient.
    if name == sop_class:
        return BadInput("no pixel data")
    return (BadInput if "Image Storage" in name else NoImage)(f"no pixel data ({name})")


def _whole(ds: Any, keyword: str, low: int, high: int, default: int | None = None) -> int:
    value = ds.get(keyword)
    if value is None or value == "":
        if default is None:
            raise BadInput(f"{keyword} is missing")
        return default
    number = int(value)
    if not low <= number <= high:
        raise BadInput(f"{keyword} is {number if abs(number) < 1e12 else 'huge'}, outside "
                       f"{low} to {high}")
    return number


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, bytes):
        return None
    text = str(value).strip(" \0")
    return text or None


def _patient(key: bytes, ds: Any) -> str | None:
    """Return the name that de-identification gives this patient under the same key."""
    identity = patient_identity(_text(ds.get("PatientID")) or "",
                                _text(ds.get("IssuerOfPatientID")) or "")
    return Key(key).patient(identity) if identity else None


def _named(key: bytes, kind: str, ds: Any, keyword: str) -> str | None:
    text = _text(ds.get(keyword)) or ""
    return Key(key).pseudonym(kind, text) if text else None


# ------------------------------------------------------------------ what a worker is asked


def header(blob: bytes, path: str | None = None, key: str = "", label_tag: int | None = None
           ) -> tuple[Any, list[Any]]:
    """Return the :class:`DicomFacts` of a file as plain data, in a worker; ``key`` is in hex.

    ``{"aside": reason}`` where the file is sound and holds no image.
    """
    try:
        with opened(blob, path) as stream:
            return codec.encode(_header(stream, bytes.fromhex(key), label_tag)), []
    except NoImage as error:
        return {"aside": error.fault}, []


def _header(stream: BinaryIO, key: bytes, label_tag: int | None) -> DicomFacts:
    keywords: tuple[Any, ...] = (*FACTS, label_tag) if label_tag is not None else FACTS
    ds = read_header(stream, keywords)
    facts = facts_of(ds, key, label_tag)
    if facts.transfer_syntax != DEFLATED and stream.read(2) not in (b"\xe0\x7f", b"\x7f\xe0"):
        raise no_pixels(facts.sop_class)
    return facts


def tag_number(blob: bytes, text: str) -> tuple[int, list[Any]]:
    """Return, in a worker, the number of a tag: keyword, ``ggggeeee`` or ``(gggg,eeee)``."""
    from pydicom.datadict import keyword_dict, tag_for_keyword

    digits = re.sub(r"[\s(),]", "", text)
    if re.fullmatch(r"[0-9A-Fa-f]{8}", digits):
        return int(digits, 16), []
    number = tag_for_keyword(text.strip())
    if number is None:
        raise BadInput(f"no DICOM element is called {text!r}",
                       remedy=did_you_mean(text, list(keyword_dict)))
    return int(number), []
