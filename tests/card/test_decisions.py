"""Wrong decisions and their activation maps."""

from __future__ import annotations

import numpy as np
from card_fixture import MODEL

from bedside.card import documents
from bedside.runfolder import stored


def test_failures_are_all_wrong_decisions_with_their_maps(run):
    found = documents.read(run, MODEL)
    locked = stored.operating_points(run, MODEL).locked
    lists = found.value("failures", "Missed and false alarms among test images")
    maps = found.value("failures", "Where the model looked")
    for scheme in ("float32", "int8"):
        p = stored.predictions(run, f"{MODEL}-{scheme}", "cpu").of("test")
        called = p.logits[:, 1].astype(float) - p.logits[:, 0] >= locked.threshold_log_odds
        ids = np.array([str(i) for i in p.ids])
        mine = lists[f"{MODEL}-{scheme}@cpu"]
        assert {r["id"] for r in mine["missed"]} == {*ids[(p.labels == 1) & ~called]}
        assert {r["id"] for r in mine["false alarms"]} == {*ids[(p.labels == 0) & called]}
        wrong = {r["id"] for kind in ("missed", "false alarms") for r in mine[kind]}
        assert wrong, "a network without training makes mistakes"
        assert set(maps[f"{MODEL}-{scheme}"]["maps"]) == wrong
        for one in maps[f"{MODEL}-{scheme}"]["maps"].values():
            cells = [int(v) for line in one["map"] for v in line.split()]
            assert min(cells) >= 0
            assert max(cells) in (0, 100)
