"""Text that runs upwards or aslant, which no row of ink shows: it waits for a person."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from bedside.core.study import PhantomConfig
from bedside.deid.outcome import Stored
from bedside.deid.text import detect, remove
from bedside.synthetic.phantom import generate


def phantom(number=1, height=360, width=480):
    return generate(PhantomConfig(images=4, height_px=height, width_px=width), 3, number).image


def turned(picture, degrees, size):
    shape = picture.shape
    mark = Image.new("L", shape[::-1], 0)
    ImageDraw.Draw(mark).text((120, 170), "ROE JANE 14-03-1962", fill=255,
                              font=ImageFont.load_default(size=size))
    mark = mark.rotate(degrees, center=(shape[1] // 2, shape[0] // 2))
    return np.where(np.asarray(mark) > 128, 255, picture).astype(np.uint8)


@pytest.mark.parametrize("degrees", [35, 50, 90, -60, -90])
@pytest.mark.parametrize("size", [14, 22])
def test_turned_text_waits_for_a_person(degrees, size):
    found = remove.clean(Stored(turned(phantom(), degrees, size)[None], "MONOCHROME2", 8))
    assert found.status == "uncertain"
    assert found.preview is not None


@pytest.mark.parametrize("quarters", [1, 3])
def test_an_image_that_lies_on_its_side_waits_too(quarters):
    picture = np.rot90(turned(phantom(2), 0, 18), quarters)
    found = remove.clean(Stored(np.ascontiguousarray(picture)[None], "MONOCHROME2", 8))
    assert found.status == "uncertain"


@pytest.mark.parametrize("number", range(4))
def test_tissue_does_not_run_upwards(number):
    assert detect.find(phantom(number)).doubt != detect.TURNED
