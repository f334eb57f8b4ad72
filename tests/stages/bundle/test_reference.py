"""Reference vectors: synthetic images, the same bytes on every machine."""

from __future__ import annotations

import io

from PIL import Image

from bedside.core.types import Preprocess
from bedside.stages.bundle import reference


def test_images_are_larger_smaller_and_as_large_as_the_input_and_always_the_same():
    spec = Preprocess(height_px=40, width_px=60, channels=1)
    images = reference.synthetic_images(spec)
    assert images == reference.synthetic_images(spec)
    sizes = [Image.open(io.BytesIO(data)).size for data in images]
    assert (60, 40) in sizes
    assert any(w > 60 and h > 40 for w, h in sizes) and any(w < 60 and h < 40 for w, h in sizes)
    assert {Image.open(io.BytesIO(d)).mode for d in images} == {"L"}
    colour = reference.synthetic_images(Preprocess(height_px=40, width_px=60, channels=3))
    assert {Image.open(io.BytesIO(d)).mode for d in colour} == {"RGB"}
