"""The ink of all lines, and its margin."""

from __future__ import annotations

import numpy as np
import pytest
from burned_fixture import phantom

from bedside.deid.text import segment
from bedside.deid.text.mask import InkMask, LineInk, with_margin
from bedside.deid.text.segment import Ink


@pytest.mark.parametrize(("tissue", "whole"), [(300, True), (40, False)])
def test_between_faint_letters_all_goes_where_there_is_room(tissue, whole):
    rest = np.ones((tissue, tissue), bool)
    core = np.zeros_like(rest)
    core[12:20, 10:30:6] = True
    faint = (11, 8, 21, 32)
    mask = with_margin(core, core, rest & ~core, [faint], [faint])
    assert (mask & core).sum() == core.sum()
    assert mask[faint[0]:faint[2], faint[1]:faint[3]].all() == whole


@pytest.mark.parametrize(("echoes", "goes"), [(0.0, True), (0.5, False)])
def test_echoes_in_a_black_shadow_are_no_writing_on_a_frame(echoes, goes):
    values = np.zeros((160, 300, 1), np.float32)
    values[:60] = np.random.default_rng(0).integers(60, 160, (60, 300, 1))
    drawn = np.random.default_rng(1).random((45, 220)) < echoes
    values[85:130, 60:280, 0][drawn] = 12
    values[100:110, 20:40, 0] = 90
    of = InkMask(values)
    box = (96, 10, 114, 60)
    of.add(LineInk(box, Ink(*[values[96:114, 10:60, 0] == 90] * 3, 0.5)))
    values[104:106, 150:154, 0] = 20
    of.extend()
    assert of.ink[104:106, 150:154].all() == goes


def test_a_coloured_line_on_the_frame_of_a_coloured_image_goes_whole():
    """Where tissue has colours too, as in Doppler, hue does not tell what is written."""
    values = np.zeros((160, 300, 3), np.float32)
    values[:60] = np.random.default_rng(0).integers(0, 255, (60, 300, 3))
    values[100:110, 20:40] = (0, 255, 255)
    values[104:106, 90:94] = (0, 20, 20)
    of = InkMask(values)
    of.add(LineInk((96, 10, 114, 60), Ink(*[values[96:114, 10:60, 1] == 255] * 3, segment.CERTAIN)))
    of.extend()
    assert of.ink[104:106, 90:94].all()


def test_ink_without_a_pure_pixel_has_the_level_farthest_from_the_tissue():
    values = np.full((40, 120, 1), 90, np.float32)
    values[16:24, 30:90, 0] = np.linspace(10, 60, 60)
    result = np.zeros((40, 120), bool)
    result[16:24, 30:90] = True
    of = InkMask(values)
    line = LineInk((0, 0, 40, 120), Ink(result, result, np.zeros_like(result), 0.01))
    level = of._extreme_level(line, np.array([35.0], np.float32))
    assert 10 <= level[0] <= 17
    assert of._extreme_level(LineInk(line.box, Ink(result, result, result, 0.2)),
                         np.array([35.0], np.float32))[0] == 35


def test_a_coloured_full_stop_beside_its_line_goes_with_it():
    image = np.repeat(phantom(1)[..., None], 3, axis=2).astype(np.float32)
    letters = np.zeros(image.shape[:2], bool)
    letters[100:118, 80:160:3] = True
    stop = np.zeros_like(letters)
    stop[114:118, 172:176] = True
    image[letters | stop] = (255, 128, 0)
    of = InkMask(image)
    of.add(of.segment((96, 76, 122, 166), np.ones((26, 90), bool), None))
    assert of.ink[letters].all() and not of.ink[stop].any()
    of.extend()
    assert of.ink[stop].all()
