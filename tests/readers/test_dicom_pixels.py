"""Frames of DICOM files against pydicom, over transfer syntaxes and colour spaces."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from dicom_fixture import as_bytes, dataset, decoded, public
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array

from bedside.readers.dicom_file import read_file
from bedside.readers.dicom_pixels import coded_size


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
    found = decoded(public(name))
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
    np.testing.assert_array_equal(decoded(public(name)), pixel_array(public(name), index=0))


@pytest.mark.parametrize("name", ["chrX1.dcm", "emri_small.dcm", "JPGExtended.dcm"])
def test_unsigned_values_without_a_window_stay_as_they_are(name):
    path = public(name) if name != "chrX1.dcm" else public().parent / "charset_files" / name
    np.testing.assert_array_equal(decoded(path, number=1), pixel_array(path, index=0))


@pytest.mark.parametrize("names", [
    ("MR_small", "MR_small_RLE", "MR_small_bigendian", "MR_small_implicit", "MR_small_padded",
     "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_expb"),
    ("emri_small", "emri_small_RLE", "emri_small_big_endian", "emri_small_jpeg_2k_lossless"),
    ("OBXXXX1A", "OBXXXX1A_rle", "OBXXXX1A_expb", "OBXXXX1A_2frame"),
    ("gdcm-US-ALOKA-16", "gdcm-US-ALOKA-16_big"), ("MR2_UNCR", "MR2_J2KR"),
    ("SC_rgb", "SC_rgb_16bit", "SC_rgb_32bit", "SC_rgb_expb", "SC_rgb_expb_16bit",
     "SC_rgb_rle_32bit"), ("US1_UNCR", "US1_J2KR")])
def test_one_picture_in_many_transfer_syntaxes(names):
    first = decoded(public(f"{names[0]}.dcm"), number=1)
    for name in names[1:]:
        np.testing.assert_array_equal(decoded(public(f"{name}.dcm"), number=1), first, name)


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
    np.testing.assert_array_equal(decoded(path, 1), expected)


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
    assert (decoded(data, number=1), decoded(data, number=2)) == (255, 0)


@pytest.mark.parametrize(("form", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}),
                                               ("JPEG2000", {})])
def test_the_size_in_a_code_stream(form, options):
    out = io.BytesIO()
    Image.fromarray(np.zeros((37, 53), np.uint8)).save(out, form, **options)
    assert coded_size(out.getvalue()) == (53, 37)
    assert coded_size(out.getvalue()[:10]) is None and coded_size(b"") is None
