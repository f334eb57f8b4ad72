"""Timing of search candidates: the fastest, and among equals the smallest."""

from __future__ import annotations

from bedside.flows.search import timing


def test_the_fastest_is_taken_and_of_equals_the_smallest():
    def timed(size, ms, low, high):
        return timing.Timed((str(size),), size, ms, low, high)

    slow, quick, alike, small = (timed(9, 5.0, 4.5, 5.5), timed(8, 2.0, 1.9, 2.1),
                                 timed(7, 2.08, 2.07, 2.3), timed(1, 2.4, 2.35, 2.5))
    assert timing.fastest([slow, quick, small], 0.05) == quick
    assert timing.fastest([slow, quick, alike, small], 0.05) == alike
    assert timing.fastest([slow], 0.05) == slow
