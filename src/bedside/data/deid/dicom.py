"""One DICOM file: open it with limits, clean header and pixels, write it anew."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bedside import __version__
from bedside.data.deid import headers, payload
from bedside.data.deid.key import Key
from bedside.data.deid.outcome import (
    NOT_CHECKED,
    UNREADABLE,
    CleanPixels,
    Outcome,
    PixelOutcome,
    Quarantine,
)
from bedside.data.deid.profile import Profile

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_DEFLATED = "1.2.840.10008.1.2.1.99"
_MAX_INFLATED = 128 << 20
_IMPLEMENTATION = "2.25.241519034286129342541703411872649712451"
_DICOMDIR = "1.2.840.10008.1.3.10"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Parsers put values that they stumble on into warnings and logs: none gets out."""
    loggers = [logging.getLogger(n) for n in ("pydicom", "pylibjpeg", "openjpeg", "libjpeg")]
    before = [log.level for log in loggers]
    for log in loggers:
        log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(loggers, before, strict=True):
            log.setLevel(level)


def looks_like(head: bytes) -> bool:
    """Whether a file's first 132 bytes are those of a DICOM file, with preamble or without."""
    return head[128:132] == b"DICM" or head[:4] in (
        b"\x08\x00\x00\x00", b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x08\x00\x16\x00",
        b"\x02\x00\x00\x00", b"\x02\x00\x01\x00", b"\x02\x00\x02\x00", b"\x02\x00\x10\x00",
        b"\x00\x08\x00\x00", b"\x00\x08\x00\x05")


def read(data: bytes) -> Dataset:
    """Parse a file; a deflated one is inflated up to 128 MB first.

    Raises:
        Quarantine: not DICOM, damaged, or larger when inflated.
    """
    import pydicom
    from pydicom.filereader import read_dataset, read_partial
    from pydicom.uid import ExplicitVRLittleEndian

    try:
        stream = io.BytesIO(data)
        meta = read_partial(stream, stop_when=lambda tag, vr, length: True, force=True).file_meta
        transfer = str(meta.get("TransferSyntaxUID", ""))
        if transfer != _DEFLATED:
            found = pydicom.dcmread(io.BytesIO(data), force=True)
        else:
            plain = _inflate(data, meta)
            meta.TransferSyntaxUID = ExplicitVRLittleEndian
            found = pydicom.FileDataset("", read_dataset(io.BytesIO(plain), False, True),
                                        file_meta=meta, is_implicit_VR=False)
    except (Quarantine, RecursionError, MemoryError):
        raise
    except Exception:
        raise Quarantine(UNREADABLE) from None
    if not any(k in found for k in ("SOPClassUID", "PixelData", "DirectoryRecordSequence")):
        raise Quarantine(UNREADABLE)
    return found


def _inflate(data: bytes, meta: Any) -> bytes:
    # The data set begins behind the group length element and what it counts.
    start = data.find(b"\x02\x00\x00\x00UL\x04\x00", 128, 256)
    if start < 0:
        raise Quarantine(UNREADABLE)
    start += 12 + int(meta.FileMetaInformationGroupLength)
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = engine.decompress(data[start:], _MAX_INFLATED)
    if not engine.eof:
        raise Quarantine("larger than 128 MB when inflated" if len(plain) >= _MAX_INFLATED
                         else UNREADABLE)
    return plain


def _transfer(dataset: Dataset) -> Any:
    from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    given = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    if given:
        return UID(given)
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little is not False else ExplicitVRBigEndian


def _sop_class(dataset: Dataset) -> str:
    sop_class = str(dataset.get("SOPClassUID") or "").strip()
    if sop_class == _DICOMDIR or "DirectoryRecordSequence" in dataset:
        raise Quarantine("a DICOMDIR, an index of names; its files are taken one by one")
    if not headers.registered(sop_class):
        raise Quarantine("an object of no standard class")
    return sop_class


def deidentify(data: bytes, profile: Profile, key: Key, clean_pixels: CleanPixels | None,
               accept_unchecked: bool, fallback: str = "") -> Outcome:
    """Clean one DICOM file.

    Args:
        data: the file.
        profile: from :func:`bedside.data.deid.profile.load`.
        clean_pixels: looks for text; None where no search is installed.
        accept_unchecked: pass images that no search has looked at.
        fallback: what tells the patient where the file does not.

    Returns:
        ``quarantined`` with a candidate where only the pixels are in doubt.

    Raises:
        Quarantine: nothing of the file can be passed.
    """
    with _quiet():
        return _deidentify(data, profile, key, clean_pixels, accept_unchecked, fallback)


def _deidentify(data: bytes, profile: Profile, key: Key, clean_pixels: CleanPixels | None,
                accept_unchecked: bool, fallback: str) -> Outcome:
    source = read(data)
    sop_class = _sop_class(source)
    transfer = _transfer(source)
    identity = headers.identity_of(source) or fallback
    names = headers.names_of(source)
    counts: Counter[str] = Counter()
    context = headers.Context(profile, key, names, key.patient(identity),
                              key.shift_days(identity), counts)
    payload.check(source)
    clean = headers.clean(source, context)
    if not transfer.is_little_endian:
        payload.swap_tables(clean)
    for tag, value in ((headers.PATIENT_ID, context.pseudonym),
                       (headers.PATIENT_NAME, context.pseudonym)):
        if tag not in clean:
            clean.add_new(tag, "LO" if tag == headers.PATIENT_ID else "PN", value)
    found = _pixels(source, clean, transfer, names, clean_pixels)
    checked = found.status != "uncertain"
    headers.mark(clean, profile, checked)
    written = _write(clean, sop_class, transfer, key)
    _check_nothing_left(written, names, profile.shift_dates)
    passed = checked or (accept_unchecked and found.reason == NOT_CHECKED)
    return Outcome("dicom", "ok" if passed else "quarantined", "" if passed else found.reason,
                   written, ".dcm", dict(sorted(counts.items())), context.pseudonym, identity,
                   found.preview)


def _pixels(source: Dataset, clean: Dataset, transfer: Any, names: Any,
            clean_pixels: CleanPixels | None) -> PixelOutcome:
    frames = payload.unpack(source, transfer)
    clean.PhotometricInterpretation = source.PhotometricInterpretation
    found = PixelOutcome("uncertain", NOT_CHECKED)
    if clean_pixels is not None:
        found = clean_pixels(payload.stored(clean, frames, names))
    if found.frames is not None:
        if found.frames.shape != frames.shape or found.frames.dtype != frames.dtype:
            raise ValueError("the cleaned frames have another shape or type")
        frames = found.frames
    payload.put(clean, frames)
    return found


def _write(clean: Dataset, sop_class: str, transfer: Any, key: Key) -> bytes:
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.filewriter import correct_ambiguous_vr
    from pydicom.uid import UID, ExplicitVRLittleEndian

    if not clean.get("SOPInstanceUID"):
        raise Quarantine("an object without a UID of its own")
    clean.SOPClassUID = sop_class
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    meta.ImplementationVersionName = f"BEDSIDE {__version__}"[:16]
    out = io.BytesIO()
    try:
        correct_ambiguous_vr(clean, transfer.is_little_endian)
        pydicom.dcmwrite(out, FileDataset("", clean, preamble=b"\0" * 128, file_meta=meta),
                         implicit_vr=False, little_endian=True, enforce_file_format=True)
    except (RecursionError, MemoryError):
        raise
    except Exception:
        raise Quarantine("a header that cannot be written") from None
    return out.getvalue()


_LONG = 7


def _check_nothing_left(written: bytes, names: Any, shifted: bool) -> None:
    """A second look that does not share the first one's reasoning: the header's raw bytes."""
    text = written[:written.rfind(b"\xe0\x7f\x10\x00O")].lower()
    for word in names.words:
        # A shifted date may fall on the birth date by chance.
        if len(word) >= _LONG and not (shifted and len(word) == 8 and word.isdigit()) \
                and word.encode() in text:
            raise Quarantine("a name or number of the patient stands where none should")
