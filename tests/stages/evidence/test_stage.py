"""The stage ``evidence`` over predictions: shown, not shown, worse; bad data; matching by id."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from evidence_fixture import CONFIG, TASK, make, sample

from bedside.core import codec
from bedside.core.build import Measurement
from bedside.core.errors import BadInput
from bedside.core.evidence import Comparisons
from bedside.core.statistics import Statistics
from bedside.core.study import EvidenceConfig, ModelConfig, Study
from bedside.core.types import Case
from bedside.flows.check import check as check_study
from bedside.metrics.stats import wilson
from bedside.runfolder import layout, stored
from bedside.runfolder.predictions import Predictions
from bedside.stages.evidence import stage as evidence


def answers(run, split="test"):
    found = codec.read_json(Comparisons, layout.evidence_dir(run, "all") / layout.COMPARISONS)
    return {c.variant.removeprefix("net-"): c for c in found.comparisons if c.split == split}


def finite(folder):
    """Every number of every JSON is finite, and a null metric has its reason."""
    for path in folder.rglob("*.json"):
        text = path.read_text()
        assert "NaN" not in text
        assert "Infinity" not in text
        json.loads(text, parse_constant=pytest.fail)


def test_two_thousand_images_show_a_good_variant_and_a_damaged_one(tmp_path):
    rng, labels, odds = sample(2400)
    splits = ["val"] * 400 + ["test"] * 2000
    damaged = np.where(rng.random(2400) < 0.15, -odds, odds)
    make(tmp_path, labels, splits, {"float32": odds, "int8": odds + rng.normal(0, 0.02, 2400),
                                    "dynamic": damaged})
    evidence.evidence(tmp_path, CONFIG)
    found = answers(tmp_path)
    assert found["int8"].answer == "shown"
    assert found["dynamic"].answer == "worse"
    assert found["int8"].family == found["dynamic"].family == 2
    assert found["dynamic"].flips.missed > found["dynamic"].flips.found
    finite(tmp_path / "evidence")


def test_two_hundred_images_are_too_few_and_it_says_how_many_would_do(tmp_path):
    rng, labels, odds = sample(300)
    make(tmp_path, labels, ["val"] * 100 + ["test"] * 200,
         {"float32": odds, "int8": odds + rng.normal(0, 0.05, 300)})
    evidence.evidence(tmp_path, CONFIG)
    found = answers(tmp_path)["int8"]
    assert found.answer == "not shown"
    assert {n.metric for n in found.needed} == {"sensitivity", "auroc"}
    assert all(n.cases >= 189 and n.images >= n.cases for n in found.needed)


def test_identical_predictions_count_once(tmp_path):
    rng, labels, odds = sample(800)
    other = odds + rng.normal(0, 0.02, 800)
    make(tmp_path, labels, ["val"] * 100 + ["test"] * 700,
         {"float32": odds, "int8": other, "dynamic": other, "float16": odds})
    evidence.evidence(tmp_path, CONFIG)
    found = answers(tmp_path)
    assert found["int8"].family == 2
    twins = {found["int8"].same_as, found["dynamic"].same_as}
    assert None in twins
    assert len(twins) == 2
    assert found["int8"].answer == found["dynamic"].answer
    assert found["int8"].p_shown == found["dynamic"].p_shown


def test_unequal_image_sets_are_matched_by_id(tmp_path):
    _, labels, odds = sample(300)
    rows = np.random.default_rng(1).permutation(np.arange(20, 300))
    make(tmp_path, labels, ["val"] * 100 + ["test"] * 200,
         {"float32": odds, "int8": (rows, odds[rows])})
    evidence.evidence(tmp_path, CONFIG)
    found = answers(tmp_path, "val")["int8"]
    assert (found.n, found.only_old, found.only_new) == (80, 20, 0)
    assert found.flips.changed.value == 0


@pytest.mark.parametrize(("labels", "splits"), [
    ([0] * 20 + [0, 1] * 10, ["val"] * 20 + ["test"] * 20),
    ([0, 1] * 10 + [1] * 20, ["val"] * 20 + ["test"] * 20),
    ([0, 1] * 10 + [0] * 20, ["val"] * 20 + ["test"] * 20),
    ([0, 1, 0, 1, 1], ["val", "val", "test", "test", "test"]),
    ([0, 1] * 5, ["val"] * 10),
    ([0, 1] * 5, ["test"] * 10),
])
@pytest.mark.parametrize("kind", ["random", "perfect", "tied"])
def test_poor_data_gives_reasons_and_never_a_nan(tmp_path, labels, splits, kind):
    rng = np.random.default_rng(0)
    labels = np.array(labels)
    odds = {"random": rng.normal(0, 1, len(labels)), "perfect": 4.0 * labels - 2,
            "tied": np.zeros(len(labels))}[kind]
    make(tmp_path, labels, splits, {"float32": odds, "int8": odds})
    evidence.evidence(tmp_path, CONFIG)
    finite(tmp_path / "evidence")
    for split in ("val", "test"):
        one = answers(tmp_path, split)["int8"]
        assert one.answer in (None, "not shown")
        assert one.answer or one.reason
        for t in one.tests.values():
            assert t.p_value is not None or t.reason
            assert t.difference.value is not None or t.difference.reason


def test_a_study_without_float32_says_so(tmp_path):
    _, labels, odds = sample(60)
    make(tmp_path, labels, ["val"] * 30 + ["test"] * 30, {"int8": odds})
    evidence.evidence(tmp_path, CONFIG)
    points = stored.operating_points(tmp_path, "net")
    assert points.locked is None
    assert points.cells["net-int8@cpu"].threshold is not None
    assert "no float32" in answers(tmp_path)["int8"].reason


def test_patients_are_counted_and_ages_grouped(tmp_path):
    rng, labels, odds = sample(400)
    labels = np.repeat(np.arange(100) % 2, 4)
    odds = 3 * (labels - 0.5) + np.repeat(rng.normal(0, 1, 100), 4)
    make(tmp_path, labels, ["val"] * 100 + ["test"] * 300,
         {"float32": odds, "int8": odds + rng.normal(0, 0.3, 400)},
         groups=[f"p{i // 4}" for i in range(400)], ages=[30.0 + i % 40 for i in range(400)])
    evidence.evidence(tmp_path, CONFIG)
    one = answers(tmp_path)["int8"]
    assert one.tests["sensitivity"].clusters == 38
    assert one.tests["auroc"].method == "DeLong over patients (Obuchowski)"
    found = codec.read_json(Statistics, layout.evidence_dir(tmp_path, "net") / layout.STATISTICS)
    assert {g.group for g in found.subgroups} == {"under 40", "40 to 49", "50 to 59",
                                                  "60 and over"}
    assert found.worst
    assert set(found.columns) == {"size", "device", "sex"}
    # 150 images of 38 patients, whose four go together: as if there were 38.
    for told in (found.probabilities[0].metrics["sensitivity"], one.flips.changed,
                 found.subgroups[0].metrics["sensitivity"]):
        low, high = wilson(round(told.value * told.n), told.n)
        assert told.high - told.low > 1.2 * (high - low)


def test_every_baseline_decides_at_its_own_threshold():
    """Two devices with a float32 each and none on the CPU: no point is locked for both."""
    rng, labels, odds = sample(400)
    labels = np.repeat(np.arange(100) % 2, 4)
    odds = 3 * (labels - 0.5) + np.repeat(rng.normal(0, 1, 100), 4)
    names = np.array([f"c{i}" for i in range(400)])
    splits = np.array(["val"] * 100 + ["test"] * 300)

    def cell(scheme, target, odds):
        logits = np.stack([-odds / 2, odds / 2], axis=1).astype(np.float32)
        return evidence.Cell(
            Measurement(f"net-{scheme}", "net", scheme, target, "ok", predictions="p.npz"),
            Predictions(names, splits, labels, logits))

    def board(target, shift):
        return [cell("float32", target, odds + shift),
                cell("int8", target, odds + shift + rng.normal(0, 0.5, 400))]

    near, far = board("near", 0.0), board("far", 2.5)
    cases = {n: Case(n, f"{n}.png", TASK.classes[v], group=f"p{i // 4}")
             for i, (n, v) in enumerate(zip(names, labels, strict=True))}

    def answer(cells):
        points = evidence.operating_points("net", cells, TASK, CONFIG)
        assert points.locked is None
        return {c.target: c.tests["sensitivity"].difference for c in evidence.comparisons(
            cells, points, "test", cases, 1, CONFIG)}

    assert answer([*near, *far]) == answer(near) | answer(far)


def test_devices_are_groups_and_the_worst_one_is_named(tmp_path):
    rng, labels, odds = sample(800)
    makers = ["old scanner" if i % 5 < 2 else "new scanner" for i in range(800)]
    blurred = np.where(np.array([m == "old scanner" for m in makers]),
                       0.2 * odds + rng.normal(0, 1, 800), odds)
    make(tmp_path, labels, ["val"] * 200 + ["test"] * 600,
         {"float32": blurred, "int8": blurred}, devices=makers)
    evidence.evidence(tmp_path, CONFIG)
    found = stored.statistics(tmp_path, "net")
    assert {g.group for g in found.subgroups if g.column == "device"} == set(makers)
    worst = next(w for w in found.worst if w.column == "device" and w.metric == "auroc")
    assert worst.group == "old scanner" and worst.apart
    assert "device" not in found.columns


def test_it_is_left_alone_until_something_changes(tmp_path):
    _, labels, odds = sample(100)
    make(tmp_path, labels, ["val"] * 50 + ["test"] * 50, {"float32": odds, "int8": odds})
    evidence.evidence(tmp_path, CONFIG)
    path = layout.evidence_dir(tmp_path, "all") / layout.COMPARISONS
    before = path.stat().st_mtime_ns
    time.sleep(0.01)
    evidence.evidence(tmp_path, CONFIG)
    assert path.stat().st_mtime_ns == before
    evidence.evidence(tmp_path, EvidenceConfig(sensitivity_margin=0.05))
    assert path.stat().st_mtime_ns != before


@pytest.mark.parametrize(("change", "fault"), [
    ({"sensitivity_margin": 0.0}, "a margin of 0"), ({"auc_margin": -0.02}, "a margin of -0.02"),
    ({"sensitivity_margin": 2.0}, "0.02 is 2 points"), ({"auc_margin": 0.7}, "a margin of 0.7"),
    ({"required_sensitivity": 1.2}, "required sensitivity"), ({"resamples": 3}, "3 resamples"),
    ({"prevalence": 0.0}, "a prevalence of 0"), ({"prevalence": 5.0}, "a prevalence of 5"),
])
def test_margins_that_make_no_sense_are_refused(change, fault):
    with pytest.raises(BadInput) as caught:
        check_study(Study(models=(ModelConfig("resnet34"),), evidence=EvidenceConfig(**change)))
    assert fault in caught.value.message
