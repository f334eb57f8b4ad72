"""A cleaned file shows what its source shows: syntaxes, colours and depths, and public files."""

from __future__ import annotations

import io
import warnings

import dicom_fixture
import numpy as np
import pydicom
import pytest
from deid_fixture import KEY
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space, pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from bedside.deid import dicom, payload, profile
from bedside.deid.outcome import NOT_CHECKED, PixelOutcome, Quarantine
from bedside.readers import dicom_pixels

ROWS, COLUMNS = 48, 64
Y, X = np.mgrid[:ROWS, :COLUMNS]
COLOUR = np.stack([128 + 100 * np.sin(X / 9), 128 + 100 * np.cos(Y / 7), 60 + 2 * X],
                  -1).clip(0, 255).astype(np.uint8)
COLOUR[5:15, 10:30] = (250, 20, 20)


def clean(data, clean_pixels=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dicom.deidentify(data, profile.load(()), KEY, clean_pixels, True)


def shown(data):
    """The image as pydicom shows it, RGB or stored grey."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pydicom.dcmread(io.BytesIO(data), force=True)
        if found.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
            found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return pixel_array(found)


def same_picture(source, data):
    """Compare both as pydicom and as our own reader show them; return the clean data set."""
    written = clean(source).data if data is None else data
    found = pydicom.dcmread(io.BytesIO(written))
    assert (shown(source) == shown(written)).all()
    for channels in (1, 3):
        a, b = (dicom_pixels.frame(d, key="00", number=1, channels=channels)[1][0]
                for d in (source, written))
        assert (a == b).all()
    return found


def jpeg(**options):
    out = io.BytesIO()
    Image.fromarray(COLOUR).save(out, "JPEG", quality=95, **options)
    return out.getvalue()


def compressed(photometric, code, syntax=JPEGBaseline8Bit):
    made = dicom_fixture.dataset(COLOUR, PhotometricInterpretation=photometric)
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate([code])
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    return dicom_fixture.as_bytes(made)


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL", "RGB"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_jpeg_is_relabelled_as_decoded(photometric, subsampling):
    """A JFIF stream is YCbCr whatever the header says; decoded it has every sample."""
    source = compressed(photometric, jpeg(subsampling=subsampling))
    found = same_picture(source, None)
    assert found.PhotometricInterpretation == "YBR_FULL"
    assert len(found.PixelData) == COLOUR.size
    picture = shown(clean(source).data)
    assert np.abs(picture.astype(int) - COLOUR).mean() < 3  # of the picture, not noise


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "RGB"])
def test_adobes_marker_says_rgb(photometric):
    found = same_picture(compressed(photometric, jpeg(keep_rgb=True)), None)
    assert found.PhotometricInterpretation == "RGB"


def test_a_plain_422_image_gets_all_its_samples():
    ybr = convert_color_space(COLOUR, "RGB", "YBR_FULL")
    packed = np.empty((ROWS, COLUMNS // 2, 4), np.uint8)
    packed[..., 0], packed[..., 1] = ybr[:, ::2, 0], ybr[:, 1::2, 0]
    packed[..., 2], packed[..., 3] = ybr[:, ::2, 1], ybr[:, ::2, 2]
    made = dicom_fixture.dataset(COLOUR, PhotometricInterpretation="YBR_FULL_422")
    made.PixelData = packed.tobytes()
    found = same_picture(dicom_fixture.as_bytes(made), None)
    assert (found.PhotometricInterpretation, len(found.PixelData)) == ("YBR_FULL", COLOUR.size)


@pytest.mark.parametrize("stored", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian,
                                    ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
                                    RLELossless, JPEG2000Lossless], ids=lambda s: s.keyword)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_every_depth_and_syntax_of_grey(stored, syntax, photometric):
    top, kind = (1 << stored) - 1, np.uint8 if stored == 8 else np.uint16
    values = (X * top / COLUMNS + Y).clip(0, top).astype(kind)
    made = dicom_fixture.dataset(values, BitsStored=stored, HighBit=stored - 1,
                                 PhotometricInterpretation=photometric)
    source = _encoded(made, syntax)
    found = same_picture(source, None)
    assert (found.pixel_array == values).all()
    assert (found.BitsStored, found.PhotometricInterpretation) == (stored, photometric)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless,
                                    JPEG2000Lossless], ids=lambda s: s.keyword)
def test_every_syntax_of_colour(planar, photometric, syntax):
    if syntax == JPEG2000Lossless and (planar or photometric != "RGB"):
        return  # such a file cannot be made here
    made = dicom_fixture.dataset(COLOUR, PhotometricInterpretation=photometric)
    if planar:
        made.PlanarConfiguration = 1
        made.PixelData = COLOUR.transpose(2, 0, 1).tobytes()
    found = same_picture(_encoded(made, syntax), None)
    assert found.PlanarConfiguration == 0


def _encoded(made, syntax):
    if syntax.is_encapsulated and syntax != DeflatedExplicitVRLittleEndian:
        made.compress(syntax)
    elif syntax == ExplicitVRBigEndian:
        if made.BitsAllocated == 16:
            made.PixelData = np.frombuffer(made.PixelData, "<u2").astype(">u2").tobytes()
        made["PixelData"].VR = "OW" if made.BitsAllocated == 16 else "OB"
    made.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(out, made, enforce_file_format=True, little_endian=syntax
                         != ExplicitVRBigEndian, implicit_vr=syntax == ImplicitVRLittleEndian)
    return out.getvalue()


@pytest.mark.slow
def test_every_public_file_reads_back_or_says_why():
    passed, refused = 0, []
    for path in dicom_fixture.public_files():
        if path.stat().st_size > 4_000_000:
            continue
        source = path.read_bytes()
        try:
            outcome = clean(source)
        except Quarantine as error:
            refused.append((path.name, error.reason))
            continue
        except Exception:  # process_file quarantines what a parser stumbles over
            continue
        found = pydicom.dcmread(io.BytesIO(outcome.data))
        assert found.PhotometricInterpretation not in ("YBR_FULL_422", "YBR_PARTIAL_420"), path
        try:
            meant = shown(source)
        except Exception:  # what pydicom itself does not show has nothing to compare with
            continue
        assert shown(outcome.data).shape == meant.shape
        passed += 1
    assert passed >= 60
    assert all(reason for _, reason in refused)
    # Nothing that pydicom reads may be lost to the check.
    assert not [n for n, reason in refused if "read back" in reason]


def test_a_cleaner_that_spoils_the_label_is_caught(monkeypatch):
    put = payload.put

    def spoilt(dataset, frames):
        put(dataset, frames)
        dataset.PhotometricInterpretation = "YBR_FULL"

    monkeypatch.setattr(payload, "put", spoilt)
    with pytest.raises(Quarantine, match="does not read back"):
        clean(dicom_fixture.as_bytes(dicom_fixture.dataset(COLOUR)))


@pytest.mark.parametrize("cut", [2, 400])
def test_a_cleaner_that_loses_pixels_is_caught(monkeypatch, cut):
    put = payload.put

    def short(dataset, frames):
        put(dataset, frames)
        dataset.PixelData = dataset.PixelData[:-cut]

    monkeypatch.setattr(payload, "put", short)
    with pytest.raises(Quarantine, match="does not read back"):
        clean(dicom_fixture.as_bytes(dicom_fixture.dataset(COLOUR)))


def test_removed_text_may_differ_and_nothing_else_may():
    def wiped(stored):
        frames = stored.frames.copy()
        frames[:, :10, :20] = 0
        return PixelOutcome("clean", "", frames)

    source = dicom_fixture.as_bytes(dicom_fixture.dataset(COLOUR))
    outcome = clean(source, wiped)
    picture = shown(outcome.data)
    assert (picture[:10, :20] == 0).all()
    assert (picture[10:] == COLOUR[10:]).all()
    assert NOT_CHECKED not in outcome.reason
