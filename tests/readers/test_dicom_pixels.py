"""Pictures of DICOM files against pydicom's own functions and the standard's formulas."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_fixture import as_bytes, dataset, public
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

from bedside.core.errors import BadInput
from bedside.readers.dicom_file import read_file
from bedside.readers.dicom_grey import windowed
from bedside.readers.dicom_palette import _check_segments
from bedside.readers.dicom_pixels import coded_size, frame
from bedside.readers.dicom_regions import Region, tissue_box


def picture(source: Path | bytes, channels: int | None = None, number: int | None = None,
            crop: bool = False) -> np.ndarray:
    """One frame, decoded in this process."""
    blob, path = (b"", str(source)) if isinstance(source, Path) else (source, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return frame(blob, path, number=number, channels=channels, crop=crop)[1][0]


def of(pixels: np.ndarray, **elements: object) -> np.ndarray:
    """The grey picture of a made file."""
    return picture(as_bytes(dataset(pixels, **elements)), 1)


# ------------------------------------------------------------------ against pydicom


@pytest.mark.parametrize("name", [
    "693_UNCR.dcm", "693_J2KI.dcm", "MR_small.dcm", "MR2_UNCI.dcm", "examples_overlay.dcm",
    "RG1_UNCI.dcm", "RG3_J2KI.dcm", "bad_sequence.dcm", "cat.dcm", "vlut_04.dcm",
    "GREYSCALE_IMAGE.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm"])
def test_windows_as_pydicom_applies_them(name):
    ds = pydicom.dcmread(public(name))
    if ds.BitsStored > 8 and "VOILUTSequence" not in ds:
        # pydicom's window ends depend on the header; normalise by its own extremes.
        every = np.arange(-(1 << ds.BitsStored), 1 << ds.BitsStored, dtype=np.float64) * 1000
        low, high = (f(apply_voi_lut(every, ds)) for f in (np.min, np.max))
    else:
        low, high = 0, 2 ** (ds.VOILUTSequence[0].LUTDescriptor[2]
                             if "VOILUTSequence" in ds else 8) - 1
    shown = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds)
    expected = (shown.astype(np.float64) - low) / (high - low)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        expected = 1 - expected
    found = picture(public(name))
    top = 255 if ds.BitsStored <= 8 else 65535
    assert found.dtype == (np.uint8 if top == 255 else np.uint16)
    inside = np.ones(found.shape, bool)
    if "PixelPaddingValue" in ds:
        inside = ds.pixel_array != ds.PixelPaddingValue
        assert not found[~inside].any()
    np.testing.assert_allclose(found[inside] / top, expected[inside], atol=1.01 / top)


@pytest.mark.parametrize("name", [
    "SC_rgb.dcm", "SC_rgb_rle.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm",
    "SC_rgb_gdcm_KY.dcm", "SC_ybr_full_uncompressed.dcm", "SC_ybr_full_422_uncompressed.dcm",
    "SC_rgb_jls_lossy_line.dcm", "SC_rgb_small_odd_big_endian.dcm", "US1_J2KR.dcm",
    "examples_rgb_color.dcm", "examples_jpeg2k.dcm", "color-pl.dcm", "RGB_IMAGE.dcm"])
def test_colour_is_what_pydicom_decodes(name):
    np.testing.assert_array_equal(picture(public(name)), pixel_array(public(name), index=0))


@pytest.mark.parametrize("name", ["chrX1.dcm", "emri_small.dcm", "JPGExtended.dcm"])
def test_unsigned_values_without_a_window_stay_as_they_are(name):
    path = public(name) if name != "chrX1.dcm" else public().parent / "charset_files" / name
    np.testing.assert_array_equal(picture(path, number=1), pixel_array(path, index=0))


@pytest.mark.parametrize("names", [
    ("MR_small", "MR_small_RLE", "MR_small_bigendian", "MR_small_implicit", "MR_small_padded",
     "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_expb"),
    ("emri_small", "emri_small_RLE", "emri_small_big_endian", "emri_small_jpeg_2k_lossless"),
    ("OBXXXX1A", "OBXXXX1A_rle", "OBXXXX1A_expb", "OBXXXX1A_2frame"),
    ("gdcm-US-ALOKA-16", "gdcm-US-ALOKA-16_big"), ("MR2_UNCR", "MR2_J2KR"),
    ("SC_rgb", "SC_rgb_16bit", "SC_rgb_32bit", "SC_rgb_expb", "SC_rgb_expb_16bit",
     "SC_rgb_rle_32bit"), ("US1_UNCR", "US1_J2KR")])
def test_one_picture_in_many_transfer_syntaxes(names):
    first = picture(public(f"{names[0]}.dcm"), number=1)
    for name in names[1:]:
        np.testing.assert_array_equal(picture(public(f"{name}.dcm"), number=1), first, name)


@pytest.mark.parametrize("name", ["OBXXXX1A.dcm", "examples_palette.dcm", "OT-PAL-8-face.dcm",
                                  "gdcm-US-ALOKA-16.dcm"])
def test_palettes(name):
    ds = pydicom.dcmread(public(name), force=True)
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    colours = apply_color_lut(ds.pixel_array, ds)
    expected = colours >> 8 if colours.max() > 255 else colours
    np.testing.assert_array_equal(picture(public(name)), expected)


def test_a_real_cine_gives_its_middle_frame_cropped_to_the_tissue():
    path = public("ultrasound-multiframe.dcm")
    image = read_file(path, channels=3)
    region = pydicom.dcmread(path, stop_before_pixels=True).SequenceOfUltrasoundRegions[0]
    whole = pixel_array(path, index=14)
    expected = whole[region.RegionLocationMinY0:region.RegionLocationMaxY1 + 1,
                     region.RegionLocationMinX0:region.RegionLocationMaxX1 + 1]
    assert image.numbers == (15,) and image.facts.frames == 30
    np.testing.assert_array_equal(image.frames[0], expected)
    uncropped = read_file(path, channels=None, crop=False).frames[0]
    np.testing.assert_array_equal(uncropped, whole)


def test_colour_to_grey_is_601_luma():
    path = public("examples_rgb_color.dcm")
    expected = np.asarray(Image.fromarray(pixel_array(path)).convert("L"))
    np.testing.assert_array_equal(picture(path, 1), expected)


# ------------------------------------------------------------------ against the standard


VALUES = np.arange(-40, 60, dtype=np.float64)


def standard(x: float, c: float, w: float, function: str) -> float:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3 for y from 0 to 1, one value at a time."""
    if function == "SIGMOID":
        return 1 / (1 + math.exp(-4 * (x - c) / w))
    if function == "LINEAR_EXACT":
        if x <= c - w / 2:
            return 0.0
        return 1.0 if x > c + w / 2 else (x - c) / w + 0.5
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    return 1.0 if x > c - 0.5 + (w - 1) / 2 else (x - (c - 0.5)) / (w - 1) + 0.5


@given(st.floats(-50, 50), st.floats(1, 200), st.sampled_from(
    ["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
def test_window_functions(centre, width, function):
    expected = [standard(x, centre, width, function) for x in VALUES]
    np.testing.assert_allclose(windowed(VALUES, centre, width, function), expected, atol=1e-9)


def test_ct_numbers_by_hand():
    stored = np.array([[0, 1024, 1064, 1100, 4000]], np.uint16)
    shown = of(stored, BitsStored=12, HighBit=11, RescaleSlope=1, RescaleIntercept=-1024,
               WindowCenter=[40, 300], WindowWidth=[81, 1500])
    # LINEAR: (x - 39.5) / 80 + 0.5 at 0, 40 and 76 HU.
    np.testing.assert_array_equal(shown, [[0, round(0.00625 * 65535), round(0.50625 * 65535),
                                           round(0.95625 * 65535), 65535]])


def test_signed_values_without_a_window_are_stretched():
    shown = of(np.array([[-100, 0, 300]], np.int16))
    np.testing.assert_array_equal(shown, [[0, round(65535 / 4), 65535]])


def test_monochrome1_is_inverted_and_padding_is_black():
    stored = np.array([[0, 10, 255]], np.uint8)
    inverted = {"PhotometricInterpretation": "MONOCHROME1"}
    np.testing.assert_array_equal(of(stored, **inverted), [[255, 245, 0]])
    np.testing.assert_array_equal(of(stored, PixelPaddingValue=0, **inverted), [[0, 245, 0]])


def test_bits_above_those_stored_are_old_overlays():
    stored = np.array([[0x0005, 0xF005, 0x1FFF]], np.uint16)
    np.testing.assert_array_equal(of(stored, BitsStored=12, HighBit=11), [[5, 5, 0xFFF]])


@pytest.mark.parametrize("window", [{"WindowCenter": 5, "WindowWidth": 0},
                                    {"WindowCenter": 5}, {"WindowWidth": 5}])
def test_a_window_that_shows_nothing_is_no_window(window):
    stored = np.array([[0, 10, 255]], np.uint8)
    np.testing.assert_array_equal(of(stored, **window), stored)


@pytest.mark.parametrize(("count", "middle"), [(1, 1), (2, 1), (3, 2), (30, 15)])
def test_which_frames(count, middle):
    data = as_bytes(dataset(np.arange(count, dtype=np.uint8)[:, None, None]
                            * np.ones((1, 4, 5), np.uint8)))
    assert read_file(data).numbers == (middle,)
    assert read_file(data).frames[0][0, 0] == middle - 1
    assert read_file(data, "first").numbers == (1,)
    every = read_file(data, "all", channels=3)
    assert every.numbers == tuple(range(1, count + 1))
    assert [f[0, 0, 0] for f in every.frames] == list(range(count))


def test_enhanced_files_keep_windows_with_each_frame():
    groups = []
    for centre in (10, 20):
        voi = pydicom.Dataset()
        voi.WindowCenter, voi.WindowWidth = centre, 3
        group = pydicom.Dataset()
        group.FrameVOILUTSequence = [voi]
        groups.append(group)
    stored = np.full((2, 1, 1), 15, np.uint8)
    data = as_bytes(dataset(stored, PerFrameFunctionalGroupsSequence=groups))
    assert (picture(data, number=1), picture(data, number=2)) == (255, 0)


# ------------------------------------------------------------------ regions, code streams, tables


def test_tissue_regions():
    inside = Region(10, 20, 209, 169, 1, 1)
    assert tissue_box([inside], 200, 300) == (20, 10, 170, 210)
    for other in (Region(0, 0, 99, 99, 2, 1), Region(0, 0, 99, 99, 1, 3),
                  Region(0, 0, 300, 99, 1, 1), Region(-1, 0, 99, 99, 1, 1),
                  Region(99, 99, 0, 0, 1, 1), Region(0, 0, 20, 20, 1, 1)):
        assert tissue_box([other], 200, 300) is None
        assert tissue_box([other, inside], 200, 300) == (20, 10, 170, 210)
    assert tissue_box([Region(0, 0, 99, 99, 1, 1), Region(150, 50, 249, 149, 1, 1)],
                      200, 300) == (0, 0, 150, 250)
    assert tissue_box([Region(2, 2, 297, 197, 1, 1)], 200, 300) is None
    assert tissue_box([], 200, 300) is None


@pytest.mark.parametrize(("form", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}),
                                               ("JPEG2000", {})])
def test_the_size_in_a_code_stream(form, options):
    out = io.BytesIO()
    Image.fromarray(np.zeros((37, 53), np.uint8)).save(out, form, **options)
    assert coded_size(out.getvalue()) == (53, 37)
    assert coded_size(out.getvalue()[:10]) is None and coded_size(b"") is None


def test_segmented_palettes():
    # Discrete 0, linear to 65535 over 255, as in PS3.3 C.7.9.2; then the same by an indirect one.
    words = np.array([0, 1, 0, 1, 255, 65535], "<u2")
    _check_segments(words.tobytes(), 16, False)
    extra = {f"Segmented{c}PaletteColorLookupTableData": words.tobytes()
             for c in ("Red", "Green", "Blue")}
    extra |= {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16]
              for c in ("Red", "Green", "Blue")}
    shown = picture(as_bytes(dataset(np.array([[0, 128, 255]], np.uint8),
                                     PhotometricInterpretation="PALETTE COLOR", **extra)))
    np.testing.assert_array_equal(shown[0, :, 0], [0, 128, 255])
    repeat = np.array([0, 1, 0, 2, 1, 0, 0, 2, 1, 0, 0], "<u2")
    many = np.concatenate([np.array([0, 1, 0] * 60000, "<u2"),
                           np.array([2, 60000, 0, 0] * 2, "<u2")])
    _check_segments(repeat.tobytes(), 16, False)
    with pytest.raises(BadInput, match="65536 entries"):
        _check_segments(many.tobytes(), 16, False)
