"""Selection in proportion to the classes."""

from __future__ import annotations

from bedside.selection import Pool, stratified

IDS = tuple(f"c{i:03d}" for i in range(60))
LABELS = tuple("malignant" if i % 4 == 0 else "benign" for i in range(60))


def test_stratified_holds_every_class_in_its_share():
    for count in range(1, 61):
        drawn = [LABELS[IDS.index(i)]
                 for i in stratified.choose(Pool(IDS, LABELS, None), count, 0)]
        assert abs(drawn.count("malignant") - count / 4) <= 1
