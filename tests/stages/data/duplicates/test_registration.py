"""A shifted thumbnail is laid over its original; another image does not agree."""

from __future__ import annotations

import numpy as np
from data_fixture import texture

from bedside.stages.data.duplicates.registration import Overlay, agree, detail


def test_a_shift_is_refined_and_another_image_does_not_agree() -> None:
    whole = texture(1, 80, 80)
    first, second, other = detail(np.stack([whole[8:72, 8:72], whole[8:72, 11:75],
                                            texture(2, 64, 64)]))
    found = agree(first, second, Overlay(shift_x=-2 / 64))
    assert abs(found.overlay.shift_x + 3 / 64) < 0.01 and abs(found.overlay.shift_y) < 0.01
    assert found.median > 0.9 and found.overlap > 0.9
    assert agree(first, other, Overlay()).median < 0.3
