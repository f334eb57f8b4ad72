"""The text detector in bands."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from burned_fixture import phantom

from bedside.deid.text import ocr


@pytest.mark.parametrize("row", [150, 160, 175])
def test_text_where_two_bands_meet_is_seen(monkeypatch, row):
    image = phantom()
    cv2.putText(image, "KOWALSKI", (80, row), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    whole = ocr.probability(image)
    monkeypatch.setattr(ocr, "OCR", ocr.OCR._replace(band_px=image.size // 2))
    bands = ocr.probability(image)
    assert bands.shape == whole.shape and bands.dtype == np.float32
    place = np.s_[row - 20:row + 2, 90:180]
    assert bands[place].max(axis=0).min() >= 0.6
    sizes = []
    inner = ocr._probability
    monkeypatch.setattr(ocr, "_probability", lambda part, scale: (
        sizes.append(part.size), inner(part, scale))[1])
    ocr.probability(image)
    assert len(sizes) == 2 and max(sizes) < image.size
