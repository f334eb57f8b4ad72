"""Figure 5: the choice of sample images."""

from __future__ import annotations

from bedside.core.types import Case
from bedside.figures import samples


def case(i: int, masks: tuple[str, ...] = ()) -> Case:
    return Case(f"c{i:02d}", f"{i}.png", "benign", masks=masks)


def test_samples_are_spread_and_prefer_masks() -> None:
    cases = [case(i) for i in range(50)]
    assert [c.id for c in samples.spread(cases)] == ["c05", "c15", "c25", "c35", "c45"]
    outlined = [case(i, ("m.png",)) for i in range(50, 56)]
    assert all(c.masks for c in samples.spread([*cases, *outlined]))
    assert samples.spread(cases[:3]) == cases[:3]
