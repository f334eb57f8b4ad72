"""Images made worse as stated, and whether one model's fall is larger than another's."""

from __future__ import annotations

import numpy as np
import pytest
from analyse_fixture import analysed_run
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from bedside.core.errors import BadInput
from bedside.core.study import EvidenceConfig, ModelConfig, Study
from bedside.core.types import Case, Task
from bedside.figures import robustness as figure
from bedside.figures.base import FigureData, NotAvailable
from bedside.figures.corrupt import _KINDS, corrupt, table
from bedside.flows.check import check as check_study
from bedside.metrics import robustness
from bedside.runfolder import layout

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(20, 200, (160, 200, 1)).astype(np.uint8)


def test_the_table_names_what_the_code_does():
    assert {c.kind for c in table()} == set(_KINDS)
    assert {c.kind for c in table()} == {"speckle", "gain", "blur", "jpeg", "rotation"}
    assert all(len(c.strengths) == 3 and c.what for c in table())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("row", table(), ids=lambda c: c.kind)
def test_every_kind_keeps_shape_and_type_and_is_the_same_twice(row, channels, dtype):
    image = (np.repeat(IMAGE, channels, axis=2).astype(dtype)
             * (257 if dtype == np.uint16 else 1)).astype(dtype)
    changes = []
    for s in row.strengths:
        worse = corrupt(image, row.kind, s, "c1")
        assert worse.shape == image.shape and worse.dtype == dtype
        assert np.array_equal(worse, corrupt(image, row.kind, s, "c1"))
        changes.append(np.abs(worse.astype(float) - image).mean())
    assert min(changes) > 0
    if row.kind in ("speckle", "blur", "jpeg"):
        assert changes == sorted(changes)


def test_kinds_do_what_they_say():
    flat = np.full((60, 60, 1), 100, np.uint8)
    noisy = corrupt(flat, "speckle", 0.2, "c").astype(float)
    assert noisy.std() / noisy.mean() == pytest.approx(0.2, rel=0.05)
    assert (corrupt(flat, "gain", 6.0, "c") == round(100 + 255 * 6 / 60)).all()
    assert (corrupt(flat, "gain", -6.0, "c") == round(100 - 255 * 6 / 60)).all()
    blurred = corrupt(IMAGE, "blur", 2.0, "c")[..., 0]
    plain = gaussian_filter(IMAGE[..., 0].astype(float), 0.02 * 160, mode="nearest")
    assert np.abs(blurred - plain).max() <= 0.51
    quarter = corrupt(IMAGE[:160, :160], "rotation", 90.0, "c")[..., 0]
    assert np.abs(quarter.astype(int) - np.rot90(IMAGE[:160, :160, 0], -1)).max() <= 1 or np.abs(
        quarter.astype(int) - np.rot90(IMAGE[:160, :160, 0])).max() <= 1


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(table()), st.integers(0, 255), st.integers(0, 2))
def test_no_image_turns_all_black(row, level, step):
    image = np.zeros((16, 16, 1), np.uint8)
    image[3, 4] = level
    worse = corrupt(image, row.kind, row.strengths[step], "c")
    assert worse.any() or not image.any()


# ------------------------------------------------------------------ falls


def drawn(n=400, damage=0.0, metric="auroc", seed=1):
    """Rows: float32 clean, float32 worse, int8 clean, int8 worse."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    clean = 3 * (labels - 0.5) + rng.normal(0, 1, n)
    worse = clean + rng.normal(0, 0.8, n)
    rows = np.stack([clean, worse, clean + rng.normal(0, 0.02, n),
                     worse + rng.normal(0, 0.02, n) + damage * rng.normal(0, 3, n)])
    right = (rows > 0) == (labels == 1)
    found = robustness.draw(labels, rows, right, [f"g{i}" for i in range(n)], metric, 1000, 0)
    return labels, rows, right, found


def test_falls_are_scikit_learns_areas():
    labels, rows, right, found = drawn()
    test = robustness.falls(found, (0, [1]), (2, [3]), 0.02)
    areas = [roc_auc_score(labels, r) for r in rows]
    assert test.old == pytest.approx(areas[1] - areas[0])
    assert test.difference.value == pytest.approx((areas[3] - areas[2]) - (areas[1] - areas[0]))
    labels, rows, right, found = drawn(metric="accuracy")
    test = robustness.falls(found, (0, [1]), (2, [3]), 0.02)
    share = right.mean(axis=1)
    assert test.difference.value == pytest.approx((share[3] - share[2]) - (share[1] - share[0]))


def test_a_harmless_variant_and_one_that_falls_faster():
    kept = robustness.falls(drawn(3000)[3], (0, [1]), (2, [3]), 0.02)
    worse = robustness.falls(drawn(3000, damage=1.0)[3], (0, [1]), (2, [3]), 0.02)
    few = robustness.falls(drawn(40)[3], (0, [1]), (2, [3]), 0.02)
    answers = robustness.judge([kept, worse, few])
    assert [a for a, _ in answers] == ["shown", "worse", "not shown"]
    assert worse.difference.high < 0


def test_the_interval_covers():
    """Of repeated draws of a variant no worse than float32, about 95% hold its true 0."""
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        labels = np.arange(120) % 2
        base = 2 * (labels - 0.5) + rng.normal(0, 1, 120)
        rows = base + rng.normal(0, 0.5, (4, 120))
        found = robustness.draw(labels, rows, (rows > 0) == (labels == 1),
                                [f"g{i}" for i in range(120)], "auroc", 400, seed)
        d = robustness.falls(found, (0, [1]), (2, [3]), 0.02).difference
        inside += d.low <= 0 <= d.high
    assert inside >= 51


def test_as_many_images_as_it_asks_for_do_tell():
    """``needed`` of a small study, drawn anew at that size: shown in most draws (80% power)."""
    wanted = robustness.needed(robustness.falls(drawn(100)[3], (0, [1]), (2, [3]), 0.02), 1)
    assert wanted is not None and 366 <= wanted < 3000
    told = [robustness.judge([robustness.falls(drawn(wanted, seed=s)[3], (0, [1]), (2, [3]),
                                               0.02)])[0][0] for s in range(2, 12)]
    assert told.count("shown") >= 5, (wanted, told)
    many = robustness.needed(robustness.falls(drawn(100)[3], (0, [1]), (2, [3]), 0.02), 15)
    assert many is not None and many > wanted


def test_identical_models_have_no_test_and_say_why():
    labels = np.arange(50) % 2
    row = labels + np.random.default_rng(0).normal(0, 1, 50)
    rows = np.stack([row, row / 2, row, row / 2])
    found = robustness.draw(labels, rows, rows > 0, [f"g{i}" for i in range(50)], "auroc", 300, 0)
    test = robustness.falls(found, (0, [1]), (2, [3]), 0.02)
    assert test.p_value is None and test.reason
    assert test.difference.value == 0 and test.difference.low < -0.02
    assert robustness.judge([test])[0][0] == "not shown"


def test_one_class_missing_or_no_image_is_a_reason():
    rows, right = np.zeros((2, 6)), np.zeros((2, 6), np.bool_)
    for labels, word in ((np.zeros(6, np.int64), "positive"), (np.ones(6, np.int64), "negative")):
        found = robustness.draw(labels, rows, right, list("abcdef"), "auroc", 300, 0)
        assert f"no {word} image" in found
    none = np.zeros((2, 0))
    assert robustness.draw(np.zeros(0, np.int64), none, none > 0, [], "auroc", 300, 0) == (
        "no validation images")


# ------------------------------------------------------------------ a run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return analysed_run(tmp_path_factory)


def test_the_figure_of_a_real_run(run):
    f = FigureData.load(layout.analysis_dir(run, "robustness", "tiny")).facts
    assert f["schemes"] == ["float32", "int8"]
    assert f["n"] == sum(c.split == "val" for c in layout.cases(run))
    assert len(f["tests"]) == 5 and [t["scheme"] for t in f["overall"]] == ["int8"]
    means = [np.mean([t["test"][side] for t in f["tests"]]) for side in ("old", "new")]
    assert [f["overall"][0]["test"][side] for side in ("old", "new")] == pytest.approx(means)
    for t in [*f["overall"], *f["tests"]]:
        assert (t["needed"] is None) == (t["answer"] != "not shown")
        assert t["answer"] in ("shown", "not shown", "worse")
        assert t["test"]["difference"]["value"] is not None
    stored = layout.predictions(run, "tiny-float32", "cpu").of("val")
    odds = stored.logits[:, 1] - stored.logits[:, 0]
    assert f["values"]["float32"]["clean"]["value"] == pytest.approx(
        roc_auc_score(stored.labels, odds))


def test_the_sample_is_stratified_and_bounded(monkeypatch, tmp_path):
    cases = [Case(f"c{i:03d}", "f", "malignant" if i % 4 == 0 else "benign", split="val")
             for i in range(100)]
    monkeypatch.setattr(layout, "cases", lambda _: tuple(cases))
    chosen = figure._sample(tmp_path, 20)
    assert len(chosen) == 20 and sum(c.label == "malignant" for c in chosen) == 5
    assert len(figure._sample(tmp_path, 500)) == 100


def test_it_can_be_switched_off_and_bad_numbers_are_refused(run, monkeypatch):
    monkeypatch.setattr(layout, "study", lambda _: Study(
        evidence=EvidenceConfig(robustness_images=0)))
    with pytest.raises(NotAvailable, match="switched off"):
        figure.compute(run, "tiny")
    with pytest.raises(BadInput, match="robustness_images"):
        check_study(Study(models=(ModelConfig("resnet34"),),
                          evidence=EvidenceConfig(robustness_images=-1)))


def test_three_classes_are_judged_by_accuracy():
    rng = np.random.default_rng(0)
    classes = ("a", "b", "c")
    cases = [Case(f"c{i}", "f", classes[i % 3], split="val") for i in range(30)]
    rows = 1 + sum(len(c.strengths) for c in table())
    logits = {k: rng.normal(0, 1, (rows, 30, 3)) for k in ("float32", "int8")}
    found = figure._judged("net", ["float32", "int8"], cases, table(), Task(classes), logits,
                           0.02, 0)
    assert found.facts["metric"] == "accuracy" and len(found.facts["tests"]) == 5
