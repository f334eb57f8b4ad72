"""Landmarks of a crop and of a mirrored copy match their original, those of other images not."""

from __future__ import annotations

import numpy as np
import pytest
from data_fixture import texture

from bedside.stages.data.duplicates.landmarks import MOST, RECORD, landmarks
from bedside.stages.data.duplicates.matching import Landmarks


@pytest.mark.parametrize(("change", "flip"), [
    (lambda image: image[20:, 15:], ""), (lambda image: image[:, ::-1], "x")])
def test_a_changed_copy_matches_its_original(change, flip) -> None:
    originals = [texture(i, 200, 240) for i in range(4)]
    images = [*originals, np.ascontiguousarray(change(originals[2]))]
    marks = [landmarks(image) for image in images]
    assert all(0 < len(m) // RECORD.itemsize <= MOST for m in marks)
    matches = list(Landmarks(marks, [i.shape for i in images], range(5)).matches(range(5)))
    best = max(matches, key=lambda m: m.votes)
    assert (best.first, best.second, best.flip) == (2, 4, flip)
