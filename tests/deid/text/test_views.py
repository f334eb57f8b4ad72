"""Views of an image for the text detector."""

from __future__ import annotations

import numpy as np
import pytest
from burned_fixture import FRAME_LEVEL, phantom

from bedside.deid.text import ocr, views


def coloured(image, kind):
    return image if kind == "grey" else np.repeat(image[..., None], 3, axis=2)


@pytest.mark.parametrize("kind", ["grey", "colour"])
@pytest.mark.parametrize("made_over", [views.clahe, views.normalised])
def test_faint_marks_in_the_dark_stand_out_in_the_evened_image(kind, made_over):
    rng = np.random.default_rng(1)
    image = np.full((320, 320), 20, np.uint8) + rng.integers(0, 4, (320, 320)).astype(np.uint8)
    image[:, 160:] = rng.integers(120, 250, (320, 160))
    mark = np.zeros(image.shape, bool)
    mark[60:64, 20:60] = True
    image[mark] += 8
    out = made_over(coloured(image, kind))
    assert out.shape == image.shape and out.dtype == np.uint8
    around = np.zeros_like(mark)
    around[50:74, 10:70] = True

    def gap(image):
        return np.median(image[mark]) - np.median(image[around & ~mark])

    assert gap(out.astype(int)) >= 2 * gap(image.astype(int)) > 0


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_a_frame_takes_the_level_of_the_tissue_and_faint_ink_on_it_is_dark(kind):
    tissue = np.clip(phantom(), 60, 255)
    image = np.pad(tissue, 60, constant_values=FRAME_LEVEL)
    image[30, 100:140] = FRAME_LEVEL + 2
    image[40, 100:140] = 255
    out = views.without_frame(coloured(image, kind))
    assert out.shape == image.shape and out.dtype == np.uint8
    level = out[0, 0]
    assert abs(int(level) - int(np.median(tissue))) < 60
    assert (out[30, 100:140] <= 0.3 * level).all()
    assert (out[40, 100:140] == 255).all()
    assert np.array_equal(out[60:-60, 60:-60], tissue)


def test_an_image_without_a_frame_stays_as_it_is():
    rng = np.random.default_rng(1)
    assert views.without_frame(rng.integers(0, 255, (200, 240)).astype(np.uint8)) is None


def test_a_line_is_looked_at_from_near_and_each_view_lies_where_the_line_is(monkeypatch):
    seen = []

    def probability(image, scale=1.0):
        seen.append((image.shape[:2], scale))
        return np.full(image.shape[:2], 0.9, np.float32)

    monkeypatch.setattr(ocr, "probability", probability)
    near = views.close_ups(phantom(1), [(100, 200, 120, 240)])
    assert [scale for _, scale in seen] == [1.5, 3.0]
    for view in near:
        rows, columns = (np.flatnonzero(view.probability.any(axis=a)) for a in (1, 0))
        assert (rows[0], rows[-1] + 1) == (90, 130)
        assert (columns[0], columns[-1] + 1) == (120, 320)
    assert views.close_ups(phantom(1), []) == ()
