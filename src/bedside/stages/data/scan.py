"""Scan every image once: readability, size, content hash, overlays, near-duplicate features."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.types import Case
from bedside.readers.load import bytes_of, frame_of, pixels_of, stored_path, to_grey
from bedside.readers.parallel import Throttle, one_blas_thread, ordered_map
from bedside.readers.range16 import declared_bits
from bedside.runfolder import artefact
from bedside.runtime.preprocess import REMEDY, Pixels
from bedside.stages.data.duplicates.landmarks import landmarks
from bedside.stages.data.overlays import OverlayFindings, find_overlays

THUMB_PX = 64
HASH_BITS = 256
_MAX_FILE_BYTES = 512 << 20
_REMEDY = "Repair or remove the file, or set it aside with --skip-bad."


@dataclass(frozen=True, slots=True)
class ScannedImage:
    """One image that is fit for use, and what the scan measured.

    ``case`` grows on the way: the reader lists it, the scan adds its size, the stage its id,
    group and part. ``content`` is the SHA-256 of the decoded grey pixels, their shape and type;
    ``peak`` is its largest value, ``declared_bits`` what a 16-bit file says that it uses;
    ``phash`` a 256-bit perceptual hash; ``landmarks`` the packed records of
    :mod:`bedside.stages.data.duplicates.landmarks`.
    """

    case: Case
    content: str
    phash: bytes
    landmarks: bytes = b""
    is_16bit: bool = False
    peak: int = 0
    declared_bits: int | None = None
    overlays: OverlayFindings = field(default_factory=OverlayFindings)


class Thumbs:
    """Thumbnails, (64, 64) uint8 each, in a temporary file: 100,000 take 400 MB."""

    def __init__(self, folder: Path | None = None) -> None:
        with artefact.disk_errors(folder or Path(tempfile.gettempdir())):
            # Held for as long as the object: not a `with` of its own.
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, thumb: npt.NDArray[np.uint8]) -> int:
        """Append one thumbnail and return its row."""
        self._file.write(thumb.tobytes())
        self._count += 1
        return self._count - 1

    def rows(self, rows: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Return the thumbnails of ``rows``, (n, 64, 64) uint8."""
        self._file.flush()
        size = THUMB_PX * THUMB_PX
        data = b"".join(os.pread(self._file.fileno(), size, int(r) * size) for r in rows)
        return np.frombuffer(data, np.uint8).reshape(-1, THUMB_PX, THUMB_PX)


# ------------------------------------------------------------------ hashes


def _dct_matrix(n: int) -> npt.NDArray[np.float64]:
    """Return the DCT-II as a matrix, (n, n), without the scaling that a sign does not need."""
    k = np.arange(n)
    matrix: npt.NDArray[np.float64] = np.cos(np.pi * (2 * k[None] + 1) * k[:, None] / (2 * n))
    return matrix


def _middle_terms() -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    terms = sorted(((u, v) for u in range(THUMB_PX) for v in range(THUMB_PX) if u + v >= 8),
                   key=lambda t: (t[0] + t[1], t[0]))[:HASH_BITS]
    return np.array([t[0] for t in terms]), np.array([t[1] for t in terms])


_ROWS, _COLUMNS = _middle_terms()
_DCT = _dct_matrix(THUMB_PX)[:int(max(_ROWS.max(), _COLUMNS.max())) + 1]


def perceptual_hash(thumb: npt.NDArray[Any]) -> bytes:
    """Return 256 bits, the signs of the middle DCT terms (u + v from 8 to 23) of a thumbnail.

    A pHash (Zauner 2010) of texture in place of layout: images of one modality share their
    lowest terms (bright skin above, dark depth below), so the classic 64-bit hash finds
    likeness where there is none. Invariant to brightness, gain and slow shading.

    Args:
        thumb: (64, 64), any numeric type.
    """
    terms = (_DCT @ thumb.astype(np.float64) @ _DCT.T)[_ROWS, _COLUMNS]
    # Rounding noise of flat images must not turn into random bits.
    return np.packbits(terms > 1e-6).tobytes()


def to_8bit(grey: Pixels) -> npt.NDArray[np.uint8]:
    """Return a 16-bit image (H, W) as 8-bit with its maximum at 255, an 8-bit one as it is."""
    if grey.dtype == np.uint8:
        return grey.astype(np.uint8, copy=False)
    scaled = grey.astype(np.float32) * (255.0 / max(1, int(grey.max())))
    rounded: npt.NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return rounded


def thumbnail(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a (64, 64) uint8 area average of a grey image (H, W), its maximum at 255."""
    image = Image.fromarray(np.ascontiguousarray(grey))
    small = np.asarray(image.resize((THUMB_PX, THUMB_PX), Image.Resampling.BOX))
    peak = max(1, int(small.max()))
    thumb: npt.NDArray[np.uint8] = np.rint(small.astype(np.float32) * (255.0 / peak)
                                           ).astype(np.uint8)
    return thumb


def content_hash(grey: Pixels) -> str:
    """Return the SHA-256 of a grey image's type, shape and pixels (little-endian)."""
    digest = hashlib.sha256(f"{grey.dtype.name} {grey.shape}".encode())
    digest.update(grey.astype(grey.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def file_hash(root: Path, file: str) -> str:
    """Return the SHA-256 of one image as stored; empty where it cannot be read."""
    try:
        if root.is_dir():
            digest = artefact.sha256_file(stored_path(root, file))
            number = frame_of(root, file)
            # Frames of one file are different images.
            return digest if number is None else hashlib.sha256(
                f"{digest} {number}".encode()).hexdigest()
        return hashlib.sha256(bytes_of(root, file)).hexdigest()
    except OSError:
        return ""


def file_hashes(root: Path, files: Sequence[str], workers: int = 2,
                progress: Progress | None = None) -> list[str]:
    """Return :func:`file_hash` of many files, in order."""
    throttle = Throttle(progress, "read", len(files))
    hashes = []
    for digest in ordered_map(lambda f: file_hash(root, f), files, workers):
        hashes.append(digest)
        throttle.tick()
    return hashes


# ------------------------------------------------------------------ the pass


def scan_image(root: Path, case: Case) -> tuple[ScannedImage, npt.NDArray[np.uint8]] | BadInput:
    """Decode one image and measure what the data stage needs of it.

    Returns:
        the image with its size, and its thumbnail; or the fault that makes it unusable.
    """
    where = root / case.file if root.is_dir() else f"{root}: {case.file}"
    try:
        if root.is_dir() and stored_path(root, case.file).stat().st_size > _MAX_FILE_BYTES:
            raise BadInput(f"more than {_MAX_FILE_BYTES >> 20} MB", where=where, remedy=_REMEDY)
        stored = pixels_of(root, case.file, None)
    except OSError as error:
        return BadInput(f"cannot be read ({error.strerror})", where=where, remedy=_REMEDY)
    except BadInput as error:
        return BadInput(error.fault, where=error.where,
                        remedy=_REMEDY if error.remedy == REMEDY else error.remedy)
    grey = to_grey(stored)
    if int(grey.max()) == 0:
        return BadInput("the image is all black (maximum 0)", where=where, remedy=_REMEDY)
    plain = to_8bit(grey)
    thumb = thumbnail(plain)
    image = ScannedImage(
        replace(case, height_px=grey.shape[0], width_px=grey.shape[1]), content_hash(grey),
        perceptual_hash(thumb), landmarks(plain), grey.dtype == np.uint16, int(grey.max()),
        declared_bits(stored_path(root, case.file))
        if grey.dtype == np.uint16 and root.is_dir() else None,
        find_overlays(plain, _in_colour(stored)))
    return image, thumb


def _in_colour(stored: Pixels) -> npt.NDArray[np.uint8] | None:
    """Return an image that has colours, (H, W, 3) uint8; None for a grey one."""
    if stored.ndim == 2 or stored.dtype != np.uint8 or (stored[..., 0] == stored[..., 1]).all():
        return None
    return stored.astype(np.uint8, copy=False)


def scan(root: Path, cases: Sequence[Case], thumbs: Thumbs, workers: int = 2,
         progress: Progress | None = None, skip_bad: bool = True
         ) -> list[ScannedImage | BadInput]:
    """Decode every image once.

    Args:
        root: the listing's root.
        cases: the images, with their file hashes.
        thumbs: receives one thumbnail for each readable image, in order.
        workers: threads that decode.
        progress: called with (stage, done, total).
        skip_bad: whether to continue after an unusable image.

    Returns:
        For each case the scanned image, or the fault that makes it unusable.

    Raises:
        BadInput: the first unusable image, unless ``skip_bad``.
    """
    throttle = Throttle(progress, "check images", len(cases))
    results: list[ScannedImage | BadInput] = []
    with one_blas_thread():
        for result in ordered_map(lambda case: scan_image(root, case), cases, workers):
            if isinstance(result, BadInput):
                if not skip_bad:
                    raise result
                results.append(result)
            else:
                thumbs.append(result[1])
                results.append(result[0])
            throttle.tick()
    return results
