"""Whether activation maps point at the lesion, as the card says it."""

from __future__ import annotations

import shutil

import numpy as np
from card_fixture import MODEL

from bedside.card.collect import facts_of
from bedside.card.compute import results
from bedside.core import codec
from bedside.figures import lesion_chance
from bedside.figures.base import FigureData
from bedside.runfolder import artefact, layout


def test_whether_the_maps_point_at_the_lesion_is_the_analysis_own_answer(run, tmp_path) -> None:
    own = tmp_path / "run"
    shutil.copytree(run, own)
    assert results.pointing(facts_of(own, MODEL)) is None
    lesions = [np.eye(8, dtype=bool)] * 6
    rows = {"float32": {"hit": [False] * 6, "iou": [0.1] * 6, "inside": [0.1] * 6}}
    chance = lesion_chance.summary(rows, lesions, None, [])
    hit = codec.encode(lesion_chance.hit_rate(rows["float32"]["hit"]))
    folder = layout.analysis_dir(own, "fidelity", MODEL)
    with artefact.writing(folder, "analyse", "k") as scratch:
        FigureData(facts={"chance": chance, "maps": {"float32": {"hit": hit}}}).save(scratch)
    found = results.pointing(facts_of(own, MODEL))
    assert found["points at the lesion"] is False and "no reassurance" in found["answer"]
    assert found["chance"]["area"]["value"] == 1 / 8
    with artefact.writing(folder, "analyse", "k2") as scratch:
        FigureData(facts={"chance": None, "maps": None, "maps_reason": "no cam"}).save(scratch)
    assert results.pointing(facts_of(own, MODEL)) == {"value": None, "reason": "no cam"}
