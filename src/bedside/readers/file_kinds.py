"""Recognise files that are no images here by their first bytes, and say what to do with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file by its usual name, and how its images get in."""

    name: str
    remedy: str


_UNPACK = "Unpack it and give the folder."
_EXPORT = "Export its images as DICOM, PNG or TIFF."
_TABLE = "Give tables as CSV, beside the images that they name."
_SAVE = "Save it as PNG, JPEG or TIFF."

# (offset, first bytes): the kind; the first that fits.
_KINDS: tuple[tuple[int, bytes, FileKind], ...] = (
    (0, b"%PDF", FileKind("a PDF document", _EXPORT)),
    (0, b"\x1f\x8b", FileKind("a gzip archive", _UNPACK)),
    (0, b"7z\xbc\xaf'\x1c", FileKind("a 7-Zip archive", _UNPACK)),
    (0, b"Rar!\x1a\x07", FileKind("a RAR archive", _UNPACK)),
    (257, b"ustar", FileKind("a tar archive", _UNPACK)),
    (344, b"n+1\0", FileKind("a NIfTI volume", "Export its slices as PNG or TIFF.")),
    (344, b"ni1\0", FileKind("the header of a NIfTI volume", "Export its slices as PNG or TIFF.")),
    (0, b"MATLAB 5.0", FileKind("a MATLAB file", _EXPORT)),
    (0, b"\x89HDF\r\n\x1a\n", FileKind("an HDF5 file (or MATLAB 7.3)", _EXPORT)),
    (0, b"\xff\x0a", FileKind("a JPEG XL image", _SAVE)),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", FileKind("a JPEG XL image", _SAVE)),
    (4, b"ftypavif", FileKind("an AVIF image", _SAVE)),
    (4, b"ftyphei", FileKind("a HEIC image", _SAVE)),
    (4, b"ftypmif1", FileKind("a HEIC image", _SAVE)),
    (4, b"ftyp", FileKind("a film (MP4)", "Export the frames that matter as PNG.")),
    (0, b"GIF8", FileKind("a GIF image", _SAVE)),
    (8, b"WEBP", FileKind("a WebP image", _SAVE)),
    (8, b"AVI ", FileKind("a film (AVI)", "Export the frames that matter as PNG.")),
    (0, b"NRRD", FileKind("an NRRD volume", "Export its slices as PNG or TIFF.")),
    (0, b"\xd0\xcf\x11\xe0", FileKind("an old Office document", _TABLE)),
    (0, b"\0\0\0\x0cjP  ", FileKind("a JPEG 2000 image outside DICOM", _SAVE)),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OFFICE = {"xlsx": "an Excel workbook", "docx": "a Word document", "pptx": "a PowerPoint document",
           "ods": "a spreadsheet"}


def of_file(path: Path) -> FileKind | None:
    """Return :func:`kind_of` of a file, None for one that cannot be read."""
    try:
        with path.open("rb") as handle:
            return kind_of(handle.read(HEAD_BYTES), path.suffix)
    except OSError:
        return None


def kind_of(head: bytes, suffix: str = "") -> FileKind | None:
    """Return what a file is, None where its first bytes say nothing.

    Args:
        head: its first :data:`HEAD_BYTES` bytes or more.
        suffix: of its name, with the dot; it tells the kinds of zip files apart.
    """
    if head.startswith(_ZIP):
        office = _OFFICE.get(suffix.lower().lstrip("."))
        return FileKind(office, _TABLE if "document" not in office else _EXPORT) if office else (
            FileKind("a zip archive", _UNPACK))
    return next((kind for at, start, kind in _KINDS if head[at:at + len(start)] == start), None)
