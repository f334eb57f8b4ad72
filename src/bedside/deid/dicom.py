"""De-identify one DICOM file: open it with limits, clean header and pixels, write it anew."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bedside import __version__
from bedside.core.errors import BadInput
from bedside.deid import device_models, headers, payload, provenance_tags
from bedside.deid.key import Key
from bedside.deid.outcome import (
    NOT_CHECKED,
    UNREADABLE,
    CleanPixels,
    Outcome,
    PixelOutcome,
    Quarantine,
)
from bedside.deid.profile import Profile
from bedside.readers.dicom_header import DEFLATED, DICOMDIR_CLASS, read_header

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_IMPLEMENTATION = "2.25.241519034286129342541703411872649712451"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings and logs, into which parsers put the values that they fail on."""
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


def read(data: bytes) -> Dataset:
    """Parse a file, pixels included, after the caps of the DICOM reader.

    Raises:
        Quarantine: not DICOM, damaged, or a deflated file that grows out of proportion.
    """
    from pydicom.uid import ExplicitVRLittleEndian

    try:
        found: Dataset = read_header(io.BytesIO(data), None, pixels=True)
    except (RecursionError, MemoryError):
        raise
    except BadInput as error:
        raise Quarantine(error.fault) from None
    except Exception:
        raise Quarantine(UNREADABLE) from None
    if not any(k in found for k in ("SOPClassUID", "PixelData", "DirectoryRecordSequence")):
        raise Quarantine(UNREADABLE)
    if found.file_meta.TransferSyntaxUID == DEFLATED:
        # Already inflated; the decoder needs the encoding of the pixels.
        found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return found


def _sop_class(dataset: Dataset) -> str:
    sop_class = str(dataset.get("SOPClassUID") or "").strip()
    if sop_class == DICOMDIR_CLASS or "DirectoryRecordSequence" in dataset:
        raise Quarantine("a DICOMDIR, an index of names; its files are taken one by one")
    if not headers.registered(sop_class):
        raise Quarantine("an object of no standard class")
    return sop_class


def deidentify(data: bytes, profile: Profile, key: Key, clean_pixels: CleanPixels | None,
               accept_unchecked: bool, fallback: str = "") -> Outcome:
    """Clean one DICOM file.

    Args:
        data: the file.
        profile: from :func:`bedside.deid.profile.load`.
        clean_pixels: looks for text; None where no search is installed.
        accept_unchecked: pass images that were not searched.
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
    transfer = source.file_meta.TransferSyntaxUID
    identity = headers.identity_of(source) or fallback
    names = headers.names_of(source)
    counts: Counter[str] = Counter()
    context = headers.Context(profile, key, names, key.patient(identity),
                              key.shift_days(identity), counts)
    payload.check(source)
    clean = headers.clean(source, context)
    # Before the pixels are stored anew, which changes some of it on purpose.
    payload.check_description(source, clean)
    if not transfer.is_little_endian:
        payload.swap_tables(clean)
    for tag, value in ((headers.PATIENT_ID, context.pseudonym),
                       (headers.PATIENT_NAME, context.pseudonym)):
        if tag not in clean:
            clean.add_new(tag, "LO" if tag == headers.PATIENT_ID else "PN", value)
    meant = payload.displayed(source, transfer)
    found, frames, unchanged = _pixels(source, clean, transfer, names, clean_pixels)
    checked = found.status != "uncertain"
    provenance_tags.mark(clean, profile, checked)
    written = _write(clean, sop_class, transfer, key)
    payload.read_back(written, frames, meant, unchanged)
    _check_nothing_left(written, names, profile.shift_dates)
    passed = checked or (accept_unchecked and found.reason == NOT_CHECKED)
    return Outcome("dicom", "ok" if passed else "quarantined", "" if passed else found.reason,
                   written, ".dcm", dict(sorted(counts.items())), context.pseudonym, identity,
                   found.preview, device_models.device_of(source))


def _pixels(source: Dataset, clean: Dataset, transfer: Any, names: Any,
            clean_pixels: CleanPixels | None
            ) -> tuple[PixelOutcome, npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
    """Store the cleaned frames; return the outcome, them, and where the first one is unchanged."""
    frames = payload.unpack(source, transfer)
    clean.PhotometricInterpretation = source.PhotometricInterpretation
    found, unchanged = PixelOutcome("uncertain", NOT_CHECKED), None
    if clean_pixels is not None:
        found = clean_pixels(payload.stored(clean, frames, names))
    if found.frames is not None:
        if found.frames.shape != frames.shape or found.frames.dtype != frames.dtype:
            raise ValueError("the cleaned frames have another shape or type")
        same = found.frames[0] == frames[0]
        unchanged = same.all(axis=2) if same.ndim == 3 else same
        frames = found.frames
    payload.put(clean, frames)
    return found, frames, unchanged


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
    """Search the header's raw bytes for names, independently of the cleaning."""
    text = written[:written.rfind(b"\xe0\x7f\x10\x00O")].lower()
    for word in names.words:
        # A shifted date may fall on the birth date by chance.
        if len(word) >= _LONG and not (shifted and len(word) == 8 and word.isdigit()) \
                and word.encode() in text:
            raise Quarantine("a name or number of the patient stands where none should")
