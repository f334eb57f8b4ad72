"""DICOM files for tests: the public ones inside wheels, small ones made here, mutants and bombs."""

from __future__ import annotations

import functools
import importlib.util
import io
import random
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from data_fixture import texture
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from bedside.core.errors import BadInput
from bedside.readers import imported
from bedside.readers.dicom_pixels import frame
from bedside.runfolder import artefact

JPEG_BASELINE, JPEG_2000, RLE = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.91",
                                 "1.2.840.10008.1.2.5")
DEFLATED = "1.2.840.10008.1.2.1.99"


def public(name: str = "") -> Path:
    """A file of pydicom, pydicom-data or deid-data by name; without one pydicom's test folder."""
    folders = [Path(importlib.util.find_spec(m).submodule_search_locations[0]) / sub
               for m, sub in (("pydicom", "data/test_files"), ("data_store", "data"),
                              ("deid_data", "data"))]
    if not name:
        return folders[0]
    return next(p for f in folders for p in sorted(f.rglob(name)))


def public_files() -> list[Path]:
    """Every public file with DICOM inside, in order."""
    found = [public(), public("693_UNCR.dcm").parent, public("cat.dcm").parents[1]]
    return sorted(p for f in found for p in f.rglob("*") if p.is_file()
                  and p.suffix in ("", ".dcm") and p.stat().st_size > 128)


def dataset(pixels: np.ndarray, **elements: object) -> FileDataset:
    """A secondary capture of (H, W), (H, W, 3) or, with frames, (n, H, W[, 3])."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, generate_uid()
    ds.StudyInstanceUID, ds.PatientID, ds.Modality = generate_uid(), "12345", "US"
    colour = pixels.ndim > 2 and pixels.shape[-1] == 3
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    if pixels.ndim - colour == 3:
        ds.NumberOfFrames = pixels.shape[0]
    ds.Rows, ds.Columns = pixels.shape[-2 - colour:][:2]
    ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(ds, name, value)
    return ds


def as_bytes(ds: Dataset) -> bytes:
    """The file of a dataset."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def write(path: Path, pixels: np.ndarray, **elements: object) -> Path:
    """Write :func:`dataset`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_bytes(dataset(pixels, **elements)))
    return path


def publish(folder: Path, fact: str = imported.DEIDENTIFIED) -> Path:
    """Mark the files of a folder as ``bedside import`` does."""
    files = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()
             and not p.is_symlink()}
    with artefact.writing(folder, imported.STAGE, "k" * 24, facts={imported.FACT: fact}) as scratch:
        for name, data in files.items():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).write_bytes(data)
    return folder


def folder(root: Path, count: int = 8) -> Path:
    """A class-per-folder DICOM data set of unlike pictures, marked as imported."""
    for number, label in enumerate(("benign", "malignant")):
        for i in range(count):
            write(root / label / f"{i:03d}.dcm", texture(1000 * number + i),
                  PatientID=f"P{number}{i}")
    return publish(root)


# ------------------------------------------------------------------ mutants


def mutants(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Byte-flipped and truncated copies of the public files of up to 1 MB, with names."""
    sources = [p for p in public_files() if p.stat().st_size <= 1 << 20]
    rng = random.Random(seed)
    for number in range(count):
        source = sources[rng.randrange(len(sources))]
        data = bytearray(source.read_bytes())
        if number % 4 == 3:
            kind, data = "cut", data[:rng.randrange(1, len(data))]
        else:
            kind = "flip"
            # Headers are where parsers break: half of the flips go there.
            reach = len(data) if number % 2 else min(len(data), 2048)
            for _ in range(rng.choice((1, 4, 16, 64))):
                data[rng.randrange(reach)] = rng.randrange(256)
        yield f"{number:05d}-{kind}-{source.stem}.dcm", bytes(data)


# ------------------------------------------------------------------ bombs


def _element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    if vr in (b"OB", b"OW", b"SQ", b"UN"):
        return struct.pack("<HH2sHL", group, element, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def _file(syntax: str, body: bytes) -> bytes:
    meta = _element(2, 0x10, b"UI", syntax.encode())
    return (bytes(128) + b"DICM" + _element(2, 0, b"UL", struct.pack("<L", len(meta))) + meta
            + body)


def _image(rows: int, columns: int, frames: str | None = None, bits: int = 8,
           photometric: bytes = b"MONOCHROME2", extra: bytes = b"") -> bytes:
    us = b"US"
    return (_element(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.7")
            + _element(0x28, 2, us, struct.pack("<H", 1)) + _element(0x28, 4, b"CS", photometric)
            + (_element(0x28, 8, b"IS", frames.encode()) if frames else b"")
            + _element(0x28, 0x10, us, struct.pack("<H", rows))
            + _element(0x28, 0x11, us, struct.pack("<H", columns))
            + _element(0x28, 0x100, us, struct.pack("<H", bits))
            + _element(0x28, 0x101, us, struct.pack("<H", bits))
            + _element(0x28, 0x102, us, struct.pack("<H", bits - 1))
            + _element(0x28, 0x103, us, struct.pack("<H", 0)) + extra)


def _wrapped(code: bytes) -> bytes:
    code += b"\0" * (len(code) % 2)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    return (struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + item
            + struct.pack("<HHL", 0xFFFE, 0xE000, len(code)) + code
            + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0))


def _zeros(size: int) -> bytes:
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = _image(512, 512) + struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, size)
    block = bytes(1 << 20)
    return b"".join([pack.compress(head), *(pack.compress(block) for _ in range(size >> 20)),
                     pack.flush()])


def _nested(depth: int, known: bool) -> bytes:
    if not known:
        opened = struct.pack("<HH2sHLHHL", 0x40, 0x275, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000,
                             0xFFFFFFFF)
        closed = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
        return opened * depth + closed * depth
    body = b""
    for _ in range(depth):
        body = _element(0x40, 0x275, b"SQ", struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body)
    return body


def _palette_bomb() -> bytes:
    # One discrete entry, then linear segments of 65,535 entries from three words each.
    words = [0, 1, 7] + [1, 65535, 9] * 20000
    data = struct.pack(f"<{len(words)}H", *words)
    extra = b"".join(_element(0x28, 0x1101 + i, b"US", struct.pack("<3H", 0, 0, 16))
                     for i in range(3))
    extra += b"".join(_element(0x28, 0x1221 + i, b"OW", data) for i in range(3))
    return _image(64, 64, bits=16, photometric=b"PALETTE COLOR", extra=extra)


@functools.cache
def bombs() -> dict[str, bytes]:
    """Small files that ask for much."""
    pixels = _element(0x7FE0, 0x10, b"OB", bytes(64))
    plain = str(ExplicitVRLittleEndian)
    size = struct.pack(">HHHHLLLL", 0xFF4F, 0xFF51, 47, 0, 60000, 60000, 0, 0)
    jpeg = b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 17, 8, 65000, 65000, 3) + bytes(64)
    return {
        "deflated zeros": _file(DEFLATED, _zeros(400 << 20)),
        "65535 x 65535": _file(plain, _image(65535, 65535) + pixels),
        "65535 x 65535 JPEG": _file(JPEG_BASELINE, _image(65535, 65535) + _wrapped(jpeg)),
        "huge JPEG, small header": _file(JPEG_BASELINE, _image(64, 64) + _wrapped(jpeg)),
        "huge JPEG 2000, small header": _file(JPEG_2000, _image(64, 64)
                                              + _wrapped(size + bytes(64))),
        "2^31 frames": _file(plain, _image(64, 64, str(2 ** 31)) + pixels),
        "2^31 compressed frames": _file(JPEG_BASELINE, _image(64, 64, str(2 ** 31))
                                        + _wrapped(jpeg)),
        "20000 frames of 6000 x 6000": _file(plain, _image(6000, 6000, "20000") + pixels),
        "3000 nested sequences": _file(plain, _nested(3000, False) + _image(64, 64) + pixels),
        "200000 nested sequences": _file(plain, _nested(200_000, False)),
        "3000 nested sequences of known length": _file(
            plain, _image(64, 64) + _nested(3000, True)),
        "palette of linear segments": _file(plain, _palette_bomb()
                                            + _element(0x7FE0, 0x10, b"OW", bytes(8192))),
        "run lengths": _file(RLE, _image(64, 64) + _wrapped(
            struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * (4 << 20))),
        "an element of 4 GB": _file(plain, _image(64, 64) + struct.pack(
            "<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFE)),
    }


def decoded(source: Path | bytes, channels: int | None = None, number: int | None = None,
            crop: bool = False) -> np.ndarray:
    """One frame, decoded in this process."""
    blob, path = (b"", str(source)) if isinstance(source, Path) else (source, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return frame(blob, path, number=number, channels=channels, crop=crop)[1][0]


def refused(call, match: str, *words, **options) -> BadInput:
    with pytest.raises(BadInput, match=match) as caught:
        call(*words, **options)
    assert caught.value.remedy
    return caught.value
