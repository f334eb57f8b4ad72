"""Overlays drawn over synthetic tissue are detected, and tissue alone has none."""

from __future__ import annotations

import numpy as np
import pytest
from data_fixture import texture
from PIL import Image, ImageDraw, ImageFilter

from bedside.stages.data.overlays import OverlayFindings, find_overlays, pieces


def tissue(seed: int = 0) -> Image.Image:
    """Smooth tissue of middle brightness, 400 x 300."""
    speckle = Image.fromarray(texture(seed, 300, 400)).filter(ImageFilter.GaussianBlur(1.5))
    return Image.fromarray((20 + np.asarray(speckle) * 0.45).astype(np.uint8))


def with_ink(draw_it) -> OverlayFindings:
    image = tissue()
    draw_it(ImageDraw.Draw(image))
    return find_overlays(np.asarray(image))


def plus(draw, x, y, arm=7):
    draw.line((x - arm, y, x + arm, y), fill=255, width=2)
    draw.line((x, y - arm, x, y + arm), fill=255, width=2)


def times(draw, x, y, arm=7):
    draw.line((x - arm, y - arm, x + arm, y + arm), fill=255, width=2)
    draw.line((x - arm, y + arm, x + arm, y - arm), fill=255, width=2)


@pytest.mark.parametrize("seed", range(5))
def test_plain_tissue_has_nothing(seed: int) -> None:
    overlays = find_overlays(np.asarray(tissue(seed)))
    assert overlays.flags == () and overlays.panels == 1 and overlays.ticks == 0


@pytest.mark.parametrize("mark", [plus, times])
def test_calipers(mark) -> None:
    overlays = with_ink(lambda d: (mark(d, 100, 80), mark(d, 250, 180)))
    assert overlays.calipers == 2 and overlays.flags == ("calipers",)


def test_text_and_the_x_in_it() -> None:
    overlays = with_ink(lambda d: d.text((20, 250), "RT AXILLA 9", fill=255, font_size=18))
    assert overlays.glyphs >= 8 and overlays.flags == ("text",)


@pytest.mark.parametrize("level", [0, 40, 180])
def test_dark_and_faint_text(level: int) -> None:
    overlays = with_ink(lambda d: d.text((20, 250), "RT AXILLA 9", fill=level, font_size=14))
    assert overlays.glyphs == 0 and overlays.strokes > 0 and overlays.flags == ("text",)


def test_an_arrow() -> None:
    overlays = with_ink(lambda d: d.polygon([(150, 100), (174, 110), (174, 90)], fill=255))
    assert overlays.flags == ("arrow",)


def test_a_depth_scale() -> None:
    overlays = with_ink(lambda d: [d.line((390, y, 398, y), fill=255, width=2)
                                for y in range(20, 290, 30)])
    assert overlays.ticks == 9


def test_two_panels_and_a_sector_that_is_none() -> None:
    pair = Image.new("L", (806, 300))
    pair.paste(tissue(1), (0, 0))
    pair.paste(tissue(2), (406, 0))
    assert find_overlays(np.asarray(pair)).flags == ("panels",)
    sector = Image.new("L", (800, 300))
    sector.paste(tissue(1), (200, 0))
    assert find_overlays(np.asarray(sector)).panels == 1


def test_flow_colour_and_yellow_text() -> None:
    grey = np.asarray(tissue())
    rgb = np.stack([grey] * 3, axis=2)
    rgb[100:140, 150:200] = (220, 40, 20)
    rgb[140:170, 150:200] = (30, 60, 230)
    assert find_overlays(grey, rgb).flags == ("doppler",)
    image = Image.fromarray(np.stack([grey] * 3, axis=2))
    ImageDraw.Draw(image).text((20, 20), "L3", fill=(255, 255, 0), font_size=14)
    assert find_overlays(grey, np.asarray(image)).colour < 0.004


def test_ink_everywhere_is_no_ink() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400), np.uint8)
    assert pieces(noise) == []


@pytest.mark.parametrize("shape", [(1, 1), (2, 400), (30, 3), (64, 64)])
def test_any_shape(shape) -> None:
    assert find_overlays(np.full(shape, 7, np.uint8)).panels == 1
