"""Chance levels beside the figures of class activation maps, recomputed from images and masks."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from analyse_fixture import figure_data
from statsmodels.stats.proportion import proportion_confint

from bedside.core.types import Case, Preprocess
from bedside.figures import cam, fidelity, lesion_chance
from bedside.figures.input_images import dataset_root, lesion_mask
from bedside.metrics import chance
from bedside.runfolder import stored


def outlines(run, splits):
    variant = next(v for v in stored.variants(run) if v.id == "tiny-float32")
    found = [lesion_mask(dataset_root(run), c, variant.preprocess)
             for c in stored.cases(run) if c.split in splits]
    return [m for m in found if m is not None]


def test_the_levels_of_a_run_are_those_of_its_outlines(flipped) -> None:
    f = figure_data(flipped, "fidelity").facts
    shown, other = outlines(flipped, ("test",)), outlines(flipped, ("train", "val"))
    found = f["chance"]
    assert found["outlines"] == len(other) == 6 and found["splits"] == ["train", "val"]
    counts = np.sum(other, axis=0)
    row, column = found["pixel"]
    assert counts[row, column] == counts.max()
    hit = found["hit"]["levels"]
    assert hit["area"]["value"] == pytest.approx(np.mean([m.mean() for m in shown]))
    assert hit["centre"]["value"] == np.mean([m[16, 16] for m in shown])
    assert hit["fixed"]["value"] == np.mean([m[row, column] for m in shown])
    for e in (hit["centre"], hit["fixed"]):
        low, high = proportion_confint(round(e["value"] * e["n"]), e["n"], method="wilson")
        assert (e["low"], e["high"]) == pytest.approx((low, high)) and e["n"] == len(shown)
    region = chance.usual(other).region
    assert found["iou"]["levels"]["fixed"]["value"] == pytest.approx(
        np.mean([(m & region).sum() / (m | region).sum() for m in shown]))
    assert found["inside"]["levels"]["fixed"]["value"] == pytest.approx(
        np.mean([(m & region).sum() / region.sum() for m in shown]))
    for label, m in f["maps"].items():
        for measure in ("hit", "iou", "inside"):
            for name, e in found[measure]["over"][label].items():
                level = found[measure]["levels"][name]["value"]
                assert e["value"] == pytest.approx(m[measure]["value"] - level)
                assert e["low"] <= e["value"] <= e["high"]


def test_a_figure_never_learns_from_the_images_that_it_shows(flipped) -> None:
    variant = next(v for v in stored.variants(flipped) if v.id == "tiny-float32")
    known, splits = lesion_chance.learn(flipped, variant.preprocess, "val")
    assert splits == ["train"] and known.outlines == len(outlines(flipped, ("train",)))


def blobs(count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32]
    places = rng.normal((12, 20), 3, (count, 2))
    return [(rows - y) ** 2 + (columns - x) ** 2 < 36 for y, x in places]


def facts_of(hits, lesions, known=None):
    rows = {"float32": {"hit": hits, "iou": [0.2] * len(hits), "inside": [0.3] * len(hits)}}
    return lesion_chance.summary(rows, lesions, known, ["train"]), {
        **fidelity.codec.encode(lesion_chance.hit_rate(hits))}


def test_a_network_that_does_not_beat_the_fixed_pixel_reassures_nobody() -> None:
    lesions, known = blobs(60, 0), chance.usual(blobs(80, 1))
    fixed = [bool(m[known.pixel]) for m in lesions]
    facts, rate = facts_of(fixed, lesions, known)
    assert facts["points"] is False and facts["hit"]["over"]["float32"]["fixed"]["value"] == 0
    assert rate["value"] > facts["hit"]["levels"]["area"]["low"]  # far above a random point
    said = lesion_chance.sentence(facts, rate)
    assert "no reassurance" in said and "the best fixed pixel" in said


def test_a_network_that_always_hits_points_at_the_lesion() -> None:
    lesions, known = blobs(60, 0), chance.usual(blobs(80, 1))
    facts, rate = facts_of([True] * 60, lesions, known)
    assert facts["points"] is True
    said = lesion_chance.sentence(facts, rate)
    assert "more often than chance" in said and "reassurance" not in said


def test_no_outline_is_unknown_with_the_reason() -> None:
    facts, rate = facts_of([None, None], [None, None])
    assert facts["points"] is None and facts["hit"]["best"] is None
    assert lesion_chance.NO_LESION in lesion_chance.sentence(facts, rate)
    lesions = blobs(5, 0)
    facts, _ = facts_of([True] * 5, lesions)
    assert facts["hit"]["levels"]["fixed"] == {
        "value": None, "low": None, "high": None, "n": 0, "reason": lesion_chance.NO_OTHER}
    assert facts["hit"]["best"] in ("area", "centre")
    assert lesion_chance.NO_OTHER in lesion_chance.learned(facts)


def test_captions_state_chance(flipped) -> None:
    said = fidelity.caption(figure_data(flipped, "fidelity"))
    assert "6 training and validation outlines" in said
    data = figure_data(flipped, "cam")
    case = next(c for c in data.facts["cases"] if c["outlined"])
    best = max(v for v in case["lesion_chance"].values() if v is not None)
    assert cam._lesion_text(case, "float32").endswith(f"chance {100 * best:.0f}%")
    assert "chance" in cam.caption(data)


def test_on_busi_the_best_fixed_pixel_is_far_above_a_random_point(busi) -> None:
    outlines_of: dict[str, list[np.ndarray]] = {"train": [], "val": []}
    with (busi / "official_split.csv").open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            file = busi / row["file"]
            masks = [p.relative_to(busi).as_posix() for p in sorted(file.parent.iterdir())
                     if p.stem == f"{file.stem}_mask" or p.stem.startswith(f"{file.stem}_mask_")]
            lesion = lesion_mask(busi, Case("c", row["file"], "", masks=tuple(masks)),
                                 Preprocess(224, 224, 1))
            if lesion is not None:
                outlines_of[row["split"]].append(lesion)
    shown, known = outlines_of["val"], chance.usual(outlines_of["train"])
    hit = {name: np.mean([lesion_chance.levels(m, known)["hit"][name] for m in shown])
           for name in ("area", "centre", "fixed")}
    # docs/decisions/0017-explanations.md quotes these.
    assert (len(shown), known.outlines) == (60, 453)
    assert hit == {"area": pytest.approx(0.088, abs=5e-4), "centre": 0.25,
                   "fixed": pytest.approx(26 / 60)}
