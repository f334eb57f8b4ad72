"""Loss under degradation, against scikit-learn and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bedside.metrics import robustness


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
    test = robustness.paired_loss(found, (0, [1]), (2, [3]), 0.02)
    areas = [roc_auc_score(labels, r) for r in rows]
    assert test.old == pytest.approx(areas[1] - areas[0])
    assert test.difference.value == pytest.approx((areas[3] - areas[2]) - (areas[1] - areas[0]))
    labels, rows, right, found = drawn(metric="accuracy")
    test = robustness.paired_loss(found, (0, [1]), (2, [3]), 0.02)
    share = right.mean(axis=1)
    assert test.difference.value == pytest.approx((share[3] - share[2]) - (share[1] - share[0]))


def test_a_harmless_variant_and_one_that_falls_faster():
    kept = robustness.paired_loss(drawn(3000)[3], (0, [1]), (2, [3]), 0.02)
    worse = robustness.paired_loss(drawn(3000, damage=1.0)[3], (0, [1]), (2, [3]), 0.02)
    few = robustness.paired_loss(drawn(40)[3], (0, [1]), (2, [3]), 0.02)
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
        d = robustness.paired_loss(found, (0, [1]), (2, [3]), 0.02).difference
        inside += d.low <= 0 <= d.high
    assert inside >= 51


def test_as_many_images_as_it_asks_for_do_tell():
    """``needed`` of a small study, drawn anew at that size: shown in most draws (80% power)."""
    wanted = robustness.needed(robustness.paired_loss(drawn(100)[3], (0, [1]), (2, [3]), 0.02), 1)
    assert wanted is not None and 366 <= wanted < 3000
    told = [robustness.judge([robustness.paired_loss(drawn(wanted, seed=s)[3], (0, [1]), (2, [3]),
                                               0.02)])[0][0] for s in range(2, 12)]
    assert told.count("shown") >= 5, (wanted, told)
    many = robustness.needed(robustness.paired_loss(drawn(100)[3], (0, [1]), (2, [3]), 0.02), 15)
    assert many is not None and many > wanted


def test_identical_models_have_no_test_and_say_why():
    labels = np.arange(50) % 2
    row = labels + np.random.default_rng(0).normal(0, 1, 50)
    rows = np.stack([row, row / 2, row, row / 2])
    found = robustness.draw(labels, rows, rows > 0, [f"g{i}" for i in range(50)], "auroc", 300, 0)
    test = robustness.paired_loss(found, (0, [1]), (2, [3]), 0.02)
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
