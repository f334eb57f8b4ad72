"""Decode the pixels of a DICOM object and store them as plain values.

Compressed frames are always decoded and stored plainly: comments, thumbnails and application
segments of JPEG streams, trailing bytes and bits beyond the stored ones cannot carry anything.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bedside.deid.free_text import Known
from bedside.deid.outcome import Quarantine, Stored
from bedside.runtime.preprocess import MAX_PIXELS

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_BYTES = 512 << 20
_KINDS = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3,
          "YBR_FULL_422": 3, "YBR_ICT": 3, "YBR_RCT": 3, "YBR_PARTIAL_420": 3}
_DESCRIPTION = frozenset({
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "RescaleIntercept", "RescaleSlope", "WindowCenter", "WindowWidth",
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in ("Red", "Green", "Blue"))})
_FULL = {"YBR_FULL_422": "YBR_FULL", "YBR_PARTIAL_420": "YBR_FULL"}
_JPEG_XL = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112))
_VIDEO = ("1.2.840.10008.1.2.4.10", "1.2.840.10008.1.2.7")


def _number(dataset: Dataset, keyword: str, default: int = 0) -> int:
    value = dataset.get(keyword)
    return default if value in (None, "") else int(value)


def check(dataset: Dataset) -> None:
    """Raise Quarantine for an object without an image that can be checked.

    Raises:
        Quarantine: no image, or one that does not make sense or is larger than 40 megapixels
            per frame or 512 MB; or it holds what cannot be searched (sound, documents).
    """
    for keyword in ("FloatPixelData", "DoubleFloatPixelData"):
        if keyword in dataset:
            raise Quarantine("pixels of a kind that is not checked (floating point)")
    for keyword in ("EncapsulatedDocument", "WaveformSequence", "SpectroscopyData"):
        if keyword in dataset:
            raise Quarantine("holds a document or a waveform, which is not checked")
    if "PixelData" not in dataset:
        report = ("ContentSequence" in dataset
                  or str(dataset.get("Modality", "")) in ("SR", "KO", "PR"))
        raise Quarantine("a structured report, which holds no image" if report
                         else "holds no image")
    if "PixelDataProviderURL" in dataset:
        raise Quarantine("its pixels lie elsewhere")
    rows, columns = _number(dataset, "Rows"), _number(dataset, "Columns")
    frames, samples = _number(dataset, "NumberOfFrames", 1) or 1, _number(dataset,
                                                                          "SamplesPerPixel", 1)
    bits = _number(dataset, "BitsAllocated")
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if _KINDS.get(photometric) != samples or bits not in (1, 8, 16, 32) or min(
            rows, columns, frames) < 1:
        raise Quarantine("an image description that does not make sense")
    if rows * columns > MAX_PIXELS or rows * columns * frames * samples * max(
            8, bits) // 8 > MAX_BYTES:
        raise Quarantine("an image too large to check")


def check_description(source: Dataset, clean: Dataset) -> None:
    """Raise Quarantine where a clean header describes the pixels otherwise than the source.

    Raises:
        Quarantine: an element that describes the pixels is missing or has another value, in the
            data set or in an item of a sequence that both have.
    """
    for element in clean:
        if element.VR == "SQ" and element.tag in source:
            for before, after in zip(source[element.tag].value, element.value, strict=False):
                # An empty item is the dummy of a sequence that had to go.
                if len(after):
                    check_description(before, after)
    for keyword in _DESCRIPTION:
        if keyword in source and (
                keyword not in clean or source[keyword].value != clean[keyword].value):
            raise Quarantine("what describes the pixels could not be kept")


def unpack(dataset: Dataset, transfer: Any) -> npt.NDArray[Any]:
    """Return the stored values, (n, H, W) or (n, H, W, 3), bits beyond the stored ones cleared.

    Raises:
        Quarantine: the pixels do not fit their description, or cannot be decoded.
    """
    from pydicom.pixels.decoders.base import get_decoder

    if str(transfer).startswith(_VIDEO):
        raise Quarantine("video, which is not checked")
    if not transfer.is_encapsulated:
        _check_length(dataset)
    try:
        decoder = get_decoder(transfer)
        array, meta = decoder.as_array(dataset, raw=True)
    except (MemoryError, RecursionError):
        raise
    except Exception:
        raise _undecoded(dataset, transfer) from None
    rows, columns = _number(dataset, "Rows"), _number(dataset, "Columns")
    samples = _number(dataset, "SamplesPerPixel", 1)
    shape = (-1, rows, columns) + ((3,) if samples == 3 else ())
    frames = np.ascontiguousarray(array).reshape(shape)
    if frames.shape[0] != (_number(dataset, "NumberOfFrames", 1) or 1):
        raise Quarantine("another number of frames than the header says")
    # What a decoder gives has every sample of every pixel, whatever the stream left out.
    photometric = str(meta["photometric_interpretation"])
    dataset.PhotometricInterpretation = _FULL.get(photometric, photometric)
    return _only_stored_bits(frames, dataset)


def _undecoded(dataset: Dataset, transfer: Any) -> Quarantine:
    bits = _number(dataset, "BitsStored", 8)
    name = ("JPEG XL" if str(transfer) in _JPEG_XL else
            transfer.name if transfer.name != str(transfer) else "a syntax of no standard")
    return Quarantine(f"pixels that cannot be decoded ({name}, {bits} bits)")


def displayed(dataset: Dataset, transfer: Any) -> npt.NDArray[Any] | None:
    """Return the first frame of a colour image in RGB, (H, W, 3), as another program shows it.

    Returns:
        None for grey and palette images, whose stored values say everything.

    Raises:
        Quarantine: it cannot be decoded.
    """
    from pydicom.pixels.decoders.base import get_decoder

    if _number(dataset, "SamplesPerPixel", 1) != 3 or str(transfer).startswith(_VIDEO):
        return None
    try:
        array, _ = get_decoder(transfer).as_array(dataset, index=0)
    except (MemoryError, RecursionError):
        raise
    except Exception:
        raise _undecoded(dataset, transfer) from None
    shown: npt.NDArray[Any] = array
    return shown


def read_back(written: bytes, frames: npt.NDArray[Any], meant: npt.NDArray[Any] | None,
              unchanged: npt.NDArray[np.bool_] | None) -> None:
    """Decode a cleaned file once more and compare it with what it is meant to hold.

    Args:
        written: the file.
        frames: the stored values that it must give, (n, H, W) or (n, H, W, 3).
        meant: the first frame as the source shows it, (H, W, 3), from :func:`displayed`.
        unchanged: (H, W), which of its pixels no text was removed from; None means all.

    Raises:
        Quarantine: it has another length, other values, or is shown otherwise.
    """
    import pydicom
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import get_expected_length

    fault = Quarantine("the cleaned file does not read back as it was meant")
    try:
        dataset = pydicom.dcmread(io.BytesIO(written))
        transfer = dataset.file_meta.TransferSyntaxUID
        expected = get_expected_length(dataset, "bytes")
        array, _ = get_decoder(transfer).as_array(dataset, raw=True)
        shown = displayed(dataset, transfer)
    except (MemoryError, RecursionError):
        raise
    except Exception:
        raise fault from None
    if len(dataset.PixelData) != expected + expected % 2 or not np.array_equal(
            array.reshape(frames.shape), frames):
        raise fault
    if meant is None:
        return
    if shown is None or shown.shape != meant.shape:
        raise fault
    same = (shown == meant).all(axis=2)
    if not (same if unchanged is None else same[unchanged]).all():
        raise fault


def _check_length(dataset: Dataset) -> None:
    from pydicom.pixels.utils import get_expected_length

    if len(dataset.PixelData) < get_expected_length(dataset, "bytes"):
        raise Quarantine("pixel data shorter than the header says")


def _only_stored_bits(frames: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[Any]:
    allocated = frames.dtype.itemsize * 8
    stored = _number(dataset, "BitsStored", allocated)
    high = _number(dataset, "HighBit", stored - 1)
    if _number(dataset, "BitsAllocated") == 1 or stored >= allocated:
        return frames
    if not 0 < stored <= allocated or high != stored - 1:
        raise Quarantine("an image description that does not make sense")
    unused = allocated - stored
    # An arithmetic shift back keeps the sign of signed values.
    cleared: npt.NDArray[Any] = (frames << unused) >> unused
    return cleared


def stored(dataset: Dataset, frames: npt.NDArray[Any], known: Known) -> Stored:
    """Return the pixels as the text search receives them."""
    def regions() -> list[tuple[int, int, int, int, int, int]]:
        found = []
        for item in dataset.get("SequenceOfUltrasoundRegions") or []:
            keys = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1",
                    "RegionLocationMaxY1", "RegionSpatialFormat", "RegionDataType")
            x0, y0, x1, y1, spatial, data = (_number(item, k) for k in keys)
            found.append((x0, y0, x1, y1, spatial, data))
        return found

    photometric = str(dataset.PhotometricInterpretation)
    palette: list[npt.NDArray[Any]] = []
    if photometric == "PALETTE COLOR":
        for colour in ("Red", "Green", "Blue"):
            raw = dataset.get(f"{colour}PaletteColorLookupTableData") or b""
            _, first, bits = dataset.get(f"{colour}PaletteColorLookupTableDescriptor", [0, 0, 16])
            table = np.frombuffer(raw, "<u2" if bits == 16 else "u1")
            # Values below the first one mapped are shown as it (PS3.3 C.7.6.3.1.5).
            palette.append(np.concatenate([table[:1].repeat(max(0, int(first))), table]))
    view = frames.view()
    view.flags.writeable = False
    return Stored(view, photometric, _number(dataset, "BitsStored", 8),
                  str(dataset.get("Modality", "")), tuple(regions()), tuple(palette), known)


def swap_tables(dataset: Dataset) -> None:
    """Turn the 16-bit words of tables from big-endian into little-endian, nested ones too."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                swap_tables(item)
        elif element.VR == "OW" and isinstance(element.value, bytes):
            element.value = np.frombuffer(element.value, ">u2").astype("<u2").tobytes()


def put(dataset: Dataset, frames: npt.NDArray[Any]) -> None:
    """Store frames as plain little-endian values."""
    dataset.BitsAllocated = frames.dtype.itemsize * 8
    if _number(dataset, "BitsStored") == 1:
        # One-bit images stay unpacked: packing would save little here.
        dataset.BitsStored, dataset.HighBit = 8, 7
    if frames.ndim == 4:
        dataset.PlanarConfiguration = 0
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            del dataset[keyword]
    data = frames.astype(frames.dtype.newbyteorder("<"), copy=False).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if frames.dtype.itemsize == 1 else "OW"
