"""Changed labels against float32."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from report_fixture import (
    SCHEMES,
)
from report_reader import rows_of

from bedside.runfolder import stored
from bedside.runfolder.predictions import Predictions
from bedside.stages.report import changes


def test_changes_count_what_was_flipped(run: Path) -> None:
    rows = {r["variant"]: r for r in rows_of(run)}
    assert rows["vgg16-float32"]["changed"] is None
    changed = [rows[f"efficientnet_lite0-{s}"]["changed"]["changed"] for s in SCHEMES[1:]]
    # At the locked threshold, as the paired answers count them.
    flips = {c.variant: c.flips.lost + c.flips.gained for c in stored.comparisons(run)
             if c.split == "test"}
    assert changed == [flips[f"efficientnet_lite0-{s}"] for s in SCHEMES[1:]]
    assert 1 <= changed[0] <= changed[1] <= changed[2] <= 3
    assert rows["vgg16-int8"]["changed"]["against"] == "vgg16-float32@cpu"
    assert rows["vgg16-int8"]["changed"]["n"] == 20


def test_changes_match_images_by_id() -> None:
    def some(ids: Iterable[str], logits: list[list[float]], labels: list[int]
             ) -> Predictions:
        return Predictions(np.array(list(ids)), np.array(["test"] * len(labels)),
                                  np.array(labels), np.array(logits, np.float32))

    old = some("abcd", [[1, 0], [0, 1], [1, 0], [0, 1]], [0, 0, 1, 1])
    new = some("dcbax", [[1, 0], [0, 1], [0, 1], [1, 0], [1, 0]], [1, 1, 0, 0, 0])
    assert changes.compare(old, new, "f") == changes.Change("f", 4, 2, 1, 1)
