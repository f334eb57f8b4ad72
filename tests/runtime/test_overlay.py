"""The class activation map over its image."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from bedside.core.errors import BadInput
from bedside.runtime import overlay
from bedside.runtime.engine import Raw

IMAGE = np.full((600, 300), 128, np.uint8)


def _raw(cam):
    shape = None if cam is None else cam.shape
    return Raw((0.0, 1.0), {}, {}, 600, 300, shape, b"" if cam is None else cam.tobytes())


def test_red_lies_where_the_map_is_high_and_the_image_is_shrunk():
    cam = np.zeros((2, 2, 2), "<f4")
    cam[0, 0, 1] = 5.0
    drawn = np.asarray(Image.open(io.BytesIO(overlay.draw(IMAGE, _raw(cam), 1))), np.int64)
    assert drawn.shape == (512, 256, 3)
    redness = drawn[..., 0] - drawn[..., 2]
    assert redness[:100, :50].min() > 60
    assert abs(redness[-100:, -50:]).max() <= 1


def test_a_model_without_a_map_is_refused():
    with pytest.raises(BadInput, match="no class activation map"):
        overlay.draw(IMAGE, _raw(None), 0)
