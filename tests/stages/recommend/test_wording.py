"""Numbers that rule and wording share."""

from __future__ import annotations

from bedside.core.recommendation import Speed
from bedside.stages.recommend.wording import same_speed


def test_same_speed_is_by_range_or_within_a_few_percent():
    assert same_speed(Speed(10, 9, 12), Speed(13, 11, 14))
    assert same_speed(Speed(10, 10, 10), Speed(10.4, 10.4, 10.4))
    assert not same_speed(Speed(10, 10, 10), Speed(10.6, 10.6, 10.6))
    assert not same_speed(Speed(13, 12.5, 14), Speed(10, 9, 12))
