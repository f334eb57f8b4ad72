"""Removal of burned-in text from DICOM files, compressed, of 16 bits, and with a palette."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from burned_fixture import dicom, phantom, write
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from bedside.core.types import DeidConfig
from bedside.deid import process_file
from bedside.deid.key import Key

KEY = Key(bytes(range(32)))


@pytest.fixture(scope="module")
def tissue():
    return phantom(1)


def cleaned(ds, tmp_path, config=None):
    ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    result = process_file.file(tmp_path / "a.dcm", KEY, config or DeidConfig(),
                              process_file.pixel_search())
    return result, pydicom.dcmread(io.BytesIO(result.data))


def test_text_of_a_compressed_film_goes_from_every_frame(tissue, tmp_path):
    frames = np.stack([write(np.roll(tissue, 7 * n, axis=1), "DOE^JANE 1961")[0]
                       for n in range(3)])
    ink = write(tissue, "DOE^JANE 1961")[1]
    ds = dicom(frames)
    ds.compress(RLELossless)
    result, out = cleaned(ds, tmp_path)
    assert result.status == "ok"
    assert out.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert out.BurnedInAnnotation == "NO"
    assert (out.pixel_array[:, ink] == 255).mean() < 0.05
    assert (out.pixel_array != frames).mean() < 0.05


def test_text_in_one_frame_alone_is_found(tissue, tmp_path):
    frames = np.stack([tissue, np.roll(tissue, 9, axis=1), np.roll(tissue, 21, axis=1)])
    frames[2], ink = write(frames[2], "MRN 4711234")
    result, out = cleaned(dicom(frames), tmp_path)
    assert result.status == "ok"
    assert (out.pixel_array[2][ink] == 255).mean() < 0.05
    assert np.array_equal(out.pixel_array[:2], frames[:2])


def test_sixteen_bits_and_monochrome_1(tissue, tmp_path):
    seen, ink = write(tissue, "SMITH ANNA")
    image = np.uint16(12 * 255) - seen.astype(np.uint16) * 12
    result, out = cleaned(dicom(image[None], "MONOCHROME1", BitsStored=12, HighBit=11), tmp_path)
    assert result.status == "ok"
    assert (out.pixel_array[ink] == 0).mean() < 0.02


def test_nothing_outside_trusted_regions_stays(tissue, tmp_path):
    image = np.zeros((420, 520), np.uint8)
    image[60:380, 50:470] = tissue
    image[10:14, 10:200] = 77
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType = 1, 1
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 50, 60
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 469, 379
    result, out = cleaned(dicom(image[None], SequenceOfUltrasoundRegions=[region]), tmp_path)
    assert result.status == "ok", result.reason
    assert not out.pixel_array[:60].any()
    assert np.array_equal(out.pixel_array[60:380, 50:470], tissue)


def test_images_with_text_are_quarantined_unless_asked_to_be_cleaned(tissue, tmp_path):
    image, ink = write(tissue, "DOE^JANE 1961")
    Image.fromarray(image).save(tmp_path / "a.png")
    result = process_file.file(tmp_path / "a.png", KEY, DeidConfig(), process_file.pixel_search())
    assert result.status == "quarantined"
    assert "--deid-pixels" in result.reason
    assert result.preview.startswith(b"\x89PNG")
    result = process_file.file(tmp_path / "a.png", KEY, DeidConfig(pixels="clean"),
                              process_file.pixel_search())
    out = np.asarray(Image.open(io.BytesIO(result.data)))
    assert result.status == "ok"
    assert (out[ink] == 255).mean() < 0.02


def test_a_palette_that_begins_late_is_seen_as_it_is_shown(tissue, tmp_path):
    image, ink = write(tissue, "DOE^JANE 1961")
    table = np.arange(0, 65536, 257, dtype=np.uint16)
    elements = {}
    for colour in ("Red", "Green", "Blue"):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 1000, 16]
        elements[f"{colour}PaletteColorLookupTableData"] = table.tobytes()
    stored = (image.astype(np.uint16) + 1000)[None]
    result, out = cleaned(dicom(stored, "PALETTE COLOR", **elements), tmp_path)
    assert result.status == "ok", result.reason
    assert (out.pixel_array[ink] == 1255).mean() < 0.02
