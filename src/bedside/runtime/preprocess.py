"""Image to tensor: the only Python definition, used by training, calibration and the device.

Paper, Section 4.1: resize bilinearly (:mod:`bedside.runtime.resize`), then divide by the maximum
of the (resized) image, float32. Golden vectors in ``tests/golden`` hold this file and the web app
to one another.
"""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from bedside.core.errors import BadInput
from bedside.core.types import Preprocess
from bedside.runtime.resize import Pixels as Pixels
from bedside.runtime.resize import resize as resize

MAX_PIXELS = 40_000_000
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})

_GREY_16 = {"I;16", "I;16L", "I;16B", "I;16N"}
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}
# Without naming a flag: devices show it too, and not every command can exclude a file.
REMEDY = "Repair or remove the file."


def decode(source: Path | bytes, channels: int | None = 1, name: str | None = None) -> Pixels:
    """Read one PNG, JPEG, BMP or TIFF.

    Args:
        source: a file, or the bytes of one.
        channels: 1 gives grey (colour by ITU-R 601 luma), 3 gives RGB, None grey or RGB as stored.
        name: what to call the image in a message; the path by default.

    Returns:
        (H, W) for one channel, (H, W, 3) for three; uint8, or uint16 for 16-bit grey.

    Raises:
        BadInput: not an image of these formats, truncated, of several frames, or of more than
            40 megapixels (refused before decoding).
    """
    where = name if name is not None else str(source) if isinstance(source, Path) else "image"
    try:
        data = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=where, remedy=REMEDY) from None
    if not data:
        raise BadInput("the file is empty (0 bytes)", where=where, remedy=REMEDY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _decode_open(image, channels, where)
        except BadInput:
            raise
        except UnidentifiedImageError:
            raise BadInput(f"not a readable image of the formats {', '.join(FORMATS)}",
                           where=where, remedy=REMEDY) from None
        except Image.DecompressionBombError:
            raise _too_large(where) from None
        except Exception as error:
            # Pillow's decoders raise many types on damaged data (OSError, SyntaxError,
            # struct.error, ValueError, zlib.error, …): all mean the same to a user.
            raise BadInput(f"damaged or truncated image ({type(error).__name__})", where=where,
                           remedy=REMEDY) from None


def _too_large(where: str) -> BadInput:
    return BadInput(f"more than {MAX_PIXELS // 1_000_000} megapixels", where=where,
                    remedy="Shrink the image or remove the file.")


def _decode_open(image: Image.Image, channels: int | None, where: str) -> Pixels:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(where)
    if _several(image):
        raise BadInput("the image has several frames", where=where,
                       remedy="Save one frame as a separate image.")
    if image.format == "TIFF":
        # Pillow turns a TIFF while loading it, also by XMP where its own tag is missing.
        image.info.pop("xmp", None)
    image.load()
    turned = _upright(image)
    if turned.mode in _GREY_16 or turned.mode == "I":
        return _grey_16(turned, channels, where)
    if turned.mode == "F":
        raise BadInput("pixels are 32-bit floating point", where=where,
                       remedy="Save the image as 8- or 16-bit.")
    if turned.mode != "L":
        turned = turned.convert("RGB")
    if channels is not None:
        turned = turned.convert("L" if channels == 1 else "RGB")
    pixels: npt.NDArray[np.uint8] = np.asarray(turned, dtype=np.uint8)
    return pixels


def _upright(image: Image.Image) -> Image.Image:
    """Return the image turned as its EXIF orientation says; nothing else turns it.

    Not by Pillow's ``exif_transpose``: that obeys XMP and ImageMagick's text chunks too, which
    browsers and the web app do not, and the same file would then be two images.
    """
    turn = _TURNS.get(exif_orientation(image.info.get("exif", b"")))
    return image if turn is None else image.transpose(turn)


def exif_orientation(exif: bytes) -> int:
    """Return the orientation (1 to 8) in a block of EXIF; 1 where it has none or is damaged.

    The counterpart of ``exifOrientation`` in ``web/src/image/decode.ts``.
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        for at in range(start + 2, start + 2 + 12 * entries, 12):
            tag, _, _, value, _ = struct.unpack_from(f"{order}HHIHH", exif, at)
            if tag == _ORIENTATION:
                return int(value) if value in _TURNS else 1
    except struct.error:
        pass  # It ends before the entry.
    return 1


def _several(image: Image.Image) -> bool:
    if image.format != "TIFF":
        return bool(getattr(image, "n_frames", 1) > 1)
    # Not by number: that walks a chain that can hold 20,000 links in 2 MB and take 9 s.
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _grey_16(image: Image.Image, channels: int | None, where: str) -> Pixels:
    wide = np.asarray(image).astype(np.int64)
    if wide.min() < 0 or wide.max() > 65535:
        raise BadInput("pixel values exceed 16 bits", where=where,
                       remedy="Save the image as 8- or 16-bit.")
    grey = wide.astype(np.uint16)
    return grey if channels != 3 else np.repeat(grey[..., None], 3, axis=2)


def normalise(resized: Pixels, preprocess: Preprocess, where: str = "image"
              ) -> npt.NDArray[np.float32]:
    """Divide by the maximum (paper, Section 4.1), then apply ``mean`` and ``std``.

    Args:
        resized: (height_px, width_px, channels), uint8 or uint16.

    Returns:
        The same shape, float32; in [0, 1] before mean and std.

    Raises:
        BadInput: the image is all black, so there is no maximum to divide by.
    """
    peak = int(resized.max())
    if peak == 0:
        raise BadInput("the image is all black (maximum 0)", where=where, remedy=REMEDY)
    if preprocess.normalise == "dtype":
        peak = int(np.iinfo(resized.dtype).max)
    tensor: npt.NDArray[np.float32] = resized.astype(np.float32) / np.float32(peak)
    if any(preprocess.mean) or any(s != 1.0 for s in preprocess.std):
        mean = np.asarray(preprocess.mean, dtype=np.float32)
        std = np.asarray(preprocess.std, dtype=np.float32)
        return ((tensor - mean) / std).astype(np.float32)
    return tensor


def to_tensor(source: Path | bytes, preprocess: Preprocess, name: str | None = None
              ) -> npt.NDArray[np.float32]:
    """Decode, resize and normalise one image.

    Returns:
        (1, height_px, width_px, channels) float32.

    Raises:
        BadInput: see :func:`decode` and :func:`normalise`.
    """
    where = name if name is not None else str(source) if isinstance(source, Path) else "image"
    pixels = decode(source, preprocess.channels, name)
    return normalise(resize(pixels, preprocess), preprocess, where)[None]
