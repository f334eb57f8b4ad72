"""Image files: recognised by their first bytes, decoded upright, written as pixels alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from bedside.deid import image_files
from bedside.deid.outcome import PixelOutcome, Quarantine


def coded(form: str, pixels: np.ndarray, **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF"])
def test_formats_are_known_by_their_first_bytes(form):
    assert image_files.looks_like(coded(form, np.zeros((4, 5), np.uint8))[:16])
    assert not image_files.looks_like(b"%PDF-1.7")


def test_pixels_are_turned_as_exif_says_and_grey_stays_grey():
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert np.array_equal(image_files.pixels(coded("PNG", pixels, exif=exif)), np.rot90(pixels, -1))
    with pytest.raises(Quarantine):
        image_files.pixels(b"\x89PNG\r\n\x1a\n broken")


@pytest.mark.parametrize(("take_text", "status"), [(True, "ok"), (False, "quarantined")])
def test_text_is_removed_or_left_to_a_person(take_text, status):
    pixels = np.full((4, 5), 9, np.uint8)
    outcome = image_files.deidentify(
        coded("PNG", pixels), lambda stored: PixelOutcome("cleaned", "", stored.frames + 1), False,
        take_text)
    assert outcome.status == status
    assert outcome.reason == ("" if take_text else image_files.HOLDS_TEXT)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(outcome.data))), pixels + 1)


def test_a_two_valued_mask_is_an_annotation_and_never_searched():
    """Small lesions look like letters; removal would blank them."""
    blobs = np.zeros((60, 80), np.uint8)
    blobs[20:26, 30:34] = blobs[22:30, 50:53] = 255

    def never(stored):
        raise AssertionError("searched")

    found = image_files.deidentify(image_files.png(blobs), never, False, mask=True)
    assert found.status == "ok"
    assert (image_files.pixels(found.data) == blobs).all()
    with pytest.raises(AssertionError):
        image_files.deidentify(image_files.png(blobs), never, False)
    grey = blobs.copy()
    grey[0, 0] = 7  # not two-valued: it may be an image with a name in it
    with pytest.raises(AssertionError):
        image_files.deidentify(image_files.png(grey), never, False, mask=True)
