"""Palettes, whole and segmented."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicom_fixture import as_bytes, dataset, decoded, public
from pydicom.pixels import apply_color_lut

from bedside.core.errors import BadInput
from bedside.readers.dicom_palette import _check_segments


@pytest.mark.parametrize("name", ["OBXXXX1A.dcm", "examples_palette.dcm", "OT-PAL-8-face.dcm",
                                  "gdcm-US-ALOKA-16.dcm"])
def test_palettes(name):
    ds = pydicom.dcmread(public(name), force=True)
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    colours = apply_color_lut(ds.pixel_array, ds)
    expected = colours >> 8 if colours.max() > 255 else colours
    np.testing.assert_array_equal(decoded(public(name)), expected)


def test_segmented_palettes():
    # Discrete 0, linear to 65535 over 255, as in PS3.3 C.7.9.2; then the same by an indirect one.
    words = np.array([0, 1, 0, 1, 255, 65535], "<u2")
    _check_segments(words.tobytes(), 16, False)
    extra = {f"Segmented{c}PaletteColorLookupTableData": words.tobytes()
             for c in ("Red", "Green", "Blue")}
    extra |= {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16]
              for c in ("Red", "Green", "Blue")}
    shown = decoded(as_bytes(dataset(np.array([[0, 128, 255]], np.uint8),
                                     PhotometricInterpretation="PALETTE COLOR", **extra)))
    np.testing.assert_array_equal(shown[0, :, 0], [0, 128, 255])
    repeat = np.array([0, 1, 0, 2, 1, 0, 0, 2, 1, 0, 0], "<u2")
    many = np.concatenate([np.array([0, 1, 0] * 60000, "<u2"),
                           np.array([2, 60000, 0, 0] * 2, "<u2")])
    _check_segments(repeat.tobytes(), 16, False)
    with pytest.raises(BadInput, match="65536 entries"):
        _check_segments(many.tobytes(), 16, False)
