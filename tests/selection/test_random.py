"""The seeded random draw."""

from __future__ import annotations

from bedside.selection import Pool, random


def test_a_draw_is_seeded_without_repeats_and_grows_at_its_end():
    ids = tuple(f"c{i}" for i in range(30))
    pool = Pool(ids, ("benign",) * 30, None)
    drawn = random.choose(pool, 10, 3)
    assert len(set(drawn)) == 10 and set(drawn) <= set(ids)
    assert random.choose(pool, 30, 3)[:10] == drawn
    assert random.choose(pool, 10, 4) != drawn
