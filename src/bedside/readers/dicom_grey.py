"""Convert stored grey values for display: modality LUT, VOI LUT, inversion (PS3.3 C.11).

The pipeline runs on a table of all values that the stored bits can hold, at most 65,536, so that
memory is that of the image. pydicom is imported inside the functions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput
from bedside.readers.dicom_header import DicomFacts
from bedside.runtime.preprocess import Pixels

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


def stored_range(facts: DicomFacts) -> tuple[int, int]:
    """Return the smallest stored value, and the number of possible ones."""
    span = 1 << facts.bits_stored
    return (-span // 2 if facts.signed else 0), span


def stored_index(stored: Array, facts: DicomFacts) -> npt.NDArray[np.int32]:
    """Return rows of the table, 0 for the smallest value, without bits outside Bits Stored."""
    _, span = stored_range(facts)
    masked = stored.astype(np.int32)
    masked >>= max(0, facts.high_bit + 1 - facts.bits_stored)
    masked &= span - 1
    if facts.signed:
        masked ^= span // 2  # two's complement to offset binary
    return masked


def functional(ds: Any, index: int) -> list[Any]:
    """Return the data sets that may hold a frame's LUTs: its groups, the shared ones, the file."""
    places = []
    for sequence, number in (("PerFrameFunctionalGroupsSequence", index),
                             ("SharedFunctionalGroupsSequence", 0)):
        groups = ds.get(sequence)
        if groups and number < len(groups):
            for macro in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                places.extend(list(groups[number].get(macro) or ())[:1])
    return [*places, ds]


def shown_grey(stored: Array, facts: DicomFacts, places: list[Any]) -> Pixels:
    """Convert one frame's stored values, (H, W), for display.

    A VOI LUT or window maps to the whole range of the type. Without one, unsigned values that no
    modality LUT changes stay as they are; others are stretched from the frame's own smallest to
    its largest value. MONOCHROME1 is inverted, padding is black.

    Args:
        stored: integers.
        facts: of the file.
        places: from :func:`functional`.

    Returns:
        (H, W) uint8 for up to 8 bits stored, uint16 for more.

    Raises:
        BadInput: a rescale that is no number.
        Exception: of many types, from pydicom, on damaged tables.
    """
    low, span = stored_range(facts)
    top = 255 if facts.bits_stored <= 8 else 65535
    index = stored_index(stored, facts)
    values = np.arange(low, low + span, dtype=np.int64)
    padding = _padding(values, places[-1])
    real = _modality(values, places)
    shown = _voi(real if real is not None else values.astype(np.float64), places)
    if shown is not None:
        table = np.rint(shown * top)
    elif real is None and not facts.signed:
        table, top = values.astype(np.float64), span - 1
    else:
        # Without a window there is no black and no white: the frame's own range.
        used = np.zeros(span, bool)
        used[index.ravel()] = True
        used &= ~padding
        table = _stretched(real if real is not None else values.astype(np.float64), used) * top
    if facts.photometric == "MONOCHROME1":
        table = top - table
    table[padding] = 0
    final = np.clip(np.rint(table), 0, top)
    return final.astype(np.uint8)[index] if top <= 255 else final.astype(np.uint16)[index]


def _stretched(real: Floats, used: npt.NDArray[np.bool_]) -> Floats:
    if not used.any():
        return np.zeros_like(real)
    low, high = float(real[used].min()), float(real[used].max())
    return np.clip((real - low) / max(high - low, 1e-12), 0.0, 1.0)


def _padding(values: npt.NDArray[np.int64], ds: Any) -> npt.NDArray[np.bool_]:
    """Return which stored values are padding, (0028,0120) and (0028,0121)."""
    first, last = ds.get("PixelPaddingValue"), ds.get("PixelPaddingRangeLimit")
    if not isinstance(first, int):
        return np.zeros(len(values), bool)
    ends = sorted((first, last if isinstance(last, int) else first))
    return (values >= ends[0]) & (values <= ends[1])


def _modality(values: npt.NDArray[np.int64], places: list[Any]) -> Floats | None:
    """Apply the modality LUT, PS3.3 C.11.1; None where there is none."""
    from pydicom.pixels.processing import apply_modality_lut

    for place in places:
        if place.get("ModalityLUTSequence"):
            return np.asarray(apply_modality_lut(values, place), dtype=np.float64)
        slope, intercept = place.get("RescaleSlope"), place.get("RescaleIntercept")
        if slope is not None and intercept is not None:
            factor, offset = float(slope), float(intercept)
            if not (math.isfinite(factor) and math.isfinite(offset)) or factor == 0:
                raise BadInput("a rescale slope or intercept that is no number")
            return None if (factor, offset) == (1, 0) else np.asarray(
                values * factor + offset, dtype=np.float64)
    return None


def _voi(real: Floats, places: list[Any]) -> Floats | None:
    """Apply the first VOI LUT or window, giving brightness in [0, 1]; None without one."""
    from pydicom.pixels.processing import apply_voi

    for place in places:
        if place.get("VOILUTSequence"):
            bits = int(place.VOILUTSequence[0].LUTDescriptor[2])
            looked = apply_voi(np.rint(real).astype(np.int64), place)
            return np.clip(np.asarray(looked, np.float64) / ((1 << bits) - 1), 0.0, 1.0)
        window = _window(place)
        if window is not None:
            return windowed(real, *window)
    return None


def _window(place: Any) -> tuple[float, float, str] | None:
    centre, width = place.get("WindowCenter"), place.get("WindowWidth")
    if centre is None or width is None:
        return None
    try:
        first = [float(v if isinstance(v, str | int | float) else v[0]) for v in (centre, width)]
    except (TypeError, IndexError):
        return None
    function = str(place.get("VOILUTFunction") or "LINEAR").strip().upper()
    smallest = 1.0 if function == "LINEAR" else 0.0
    if not all(map(math.isfinite, first)) or first[1] < smallest or first[1] == 0:
        return None  # a window without width shows nothing
    return first[0], first[1], function


def windowed(real: Floats, centre: float, width: float, function: str = "LINEAR") -> Floats:
    """Return brightness in [0, 1]: PS3.3 C.11.2.1.2 (LINEAR), C.11.2.1.3 (SIGMOID, LINEAR_EXACT).

    Args:
        real: values after the modality LUT.
        centre: window centre.
        width: window width, at least 1 for LINEAR, above 0 otherwise.
        function: any other word is taken as LINEAR.
    """
    if function == "SIGMOID":
        power = np.clip(-4.0 * (real - centre) / width, -700.0, 700.0)
        return np.asarray(1.0 / (1.0 + np.exp(power)))
    if function == "LINEAR_EXACT":
        return np.clip((real - centre) / width + 0.5, 0.0, 1.0)
    if width == 1:
        return (real > centre - 0.5).astype(np.float64)
    return np.clip((real - (centre - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)
