"""Lines in the detector's map of which letters are left."""

from __future__ import annotations

import numpy as np
import pytest
from burned_fixture import marked

from bedside.deid.text.lines import missed_lines
from bedside.deid.text.parameters import DETECT, VIEWS


@pytest.mark.parametrize(("gone", "waits"), [(0, True), (60, True), (110, False)])
def test_a_line_of_which_letters_are_left_is_missed(gone, waits):
    probable = marked((80, 220), np.s_[30:42], np.s_[50:160])
    mask = np.zeros(probable.shape, bool)
    mask[28:44, 48:50 + gone] = gone > 0
    assert bool(missed_lines(probable, mask, 0.7)) is waits
    assert not missed_lines(probable, np.zeros_like(mask), 0.7, begun=True)


def test_from_near_more_than_a_letter_must_be_missed_for_a_line_to_count():
    probable = np.zeros((60, 200), np.float32)
    probable[25:35, 40:160] = 0.9
    mask = np.zeros(probable.shape, bool)
    # Of the 120 columns that the detector marks the last 18 lie beyond the ink, ten of them farther
    # than the height of the line.
    mask[25:35, 40:142] = True
    assert missed_lines(probable, mask, DETECT.sure)
    assert not missed_lines(probable, mask, DETECT.sure, letter=VIEWS.letter_wide)
    mask[25:35, 120:142] = False
    assert missed_lines(probable, mask, DETECT.sure, letter=VIEWS.letter_wide)
