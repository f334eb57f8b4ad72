"""Dates are shifted, invalid ones removed."""

from __future__ import annotations

from datetime import date

import pytest
from deid_fixture import MARK
from hypothesis import given
from hypothesis import strategies as st

from bedside.deid import dates


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.dates(date(1900, 1, 1), date(2100, 1, 1)),
       st.integers(1, 3650))
def test_intervals_between_dates_stay(one, two, days):
    def back(day):
        text = dates.back(day.strftime("%Y%m%d"), days)
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))

    assert back(one) - back(two) == one - two
    assert back(one) < one


@pytest.mark.parametrize(("vr", "text", "moved"), [
    ("DA", "20240301", "20240229"), ("DA", "2024.03.01", "20240229"), ("DA", "20240231", None),
    ("DA", "2024", None), ("DA", "20240301-20240401", None), ("DA", MARK, None),
    ("DT", "20240301101500.5+0900", "20240229101500.5+0900"), ("DT", "202403", None),
    ("DT", "20240301 " + MARK, None), ("TM", "101500.25", "101500.25"), ("TM", MARK, None)])
def test_dates_move_and_what_is_no_date_goes(vr, text, moved):
    assert dates.shift(vr, [text], 1) == moved
