"""What ships is what is assessed: the reference's temperature and threshold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import brier_score_loss

from bedside.core.evidence import OperatingPoint
from bedside.core.study import EvidenceConfig
from bedside.metrics import net_benefit, quality
from bedside.metrics.compare import Side

CONFIG = EvidenceConfig(resamples=300)


def _point(t: float | None, cut: float = 0.3) -> OperatingPoint:
    return OperatingPoint("youden", 50, cut, float(expit(cut)), t,
                          None if t is None else float(expit(cut / t)))


def _side(seed: int, point: OperatingPoint, n: int = 200, noise: float = 0.0) -> Side:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, n)
    odds = 3 * (labels - 0.5) + rng.normal(0, 2, n)
    odds = odds + np.random.default_rng(seed).normal(0, 1, n) * noise
    return Side(np.array([f"c{i}" for i in range(n)]), labels,
                np.stack([-odds / 2, odds / 2], axis=1), point)


def test_scores_are_at_the_temperature_that_ships_and_the_own_beside_them() -> None:
    locked, own = _point(2.0), _point(0.7, 0.1)
    side = _side(0, locked)
    found = quality.quality(side, 1, locked, own, CONFIG, None)
    odds = side.logits[:, 1] - side.logits[:, 0]
    for scores, t in ((found.scores, 1.0), (found.calibrated, 2.0), (found.own, 0.7)):
        right = brier_score_loss(side.labels, expit(odds / t))
        assert scores["brier"].value == pytest.approx(right)
    assert (found.temperature, found.own_temperature) == (2.0, 0.7)
    assert found.shipped is found.calibrated
    # Dividing the log-odds by T multiplies the slope by T.
    assert found.calibration.slope.value == pytest.approx(2 * found.raw_calibration.slope.value)
    assert sum(b.mean * b.observed.n for b in found.bins if b.observed.n) == pytest.approx(
        expit(odds / 2).sum())


def test_without_a_shipped_temperature_the_raw_probabilities_ship() -> None:
    locked = _point(None)
    found = quality.quality(_side(0, locked), 1, locked, _point(1.4), CONFIG, None)
    assert found.calibrated == {} and found.shipped is found.scores
    assert found.temperature is None and found.calibration == found.raw_calibration
    assert found.own["brier"].value != found.scores["brier"].value


def test_net_benefit_at_the_locked_threshold_is_counted_by_hand() -> None:
    point = _point(2.0)
    old, new = _side(0, point), _side(1, point, noise=0.8)
    groups = [str(i) for i in range(200)]
    found, why = quality.benefit_at_threshold(old, new, 1, groups, CONFIG, False)
    assert why is None and found.threshold == expit(0.15)
    truth = old.labels == 1
    values = []
    for side in (old, new):
        called = side.logits[:, 1] - side.logits[:, 0] >= 0.3
        cost = found.threshold / (1 - found.threshold)
        values.append(((called & truth).sum() - cost * (called & ~truth).sum()) / 200)
    assert (found.reference, found.value) == pytest.approx(tuple(values))
    assert found.difference.value == pytest.approx(values[1] - values[0])
    assert found.difference.low < found.difference.value < found.difference.high
    assert found.method == net_benefit.METHOD


@pytest.mark.parametrize(("point", "labels", "positive", "why"), [
    (_point(2.0), None, None, "no positive class"),
    (_point(1.0, 900.0), None, 1, "between 0 and 1"),
    (_point(2.0), 1, 1, "both classes")])
def test_a_net_benefit_that_does_not_exist_has_a_reason(point, labels, positive, why) -> None:
    side = _side(0, point)
    if labels is not None:
        side = Side(side.ids, np.full_like(side.labels, labels), side.logits, point)
    found, reason = quality.benefit_at_threshold(side, side, positive, [""] * 200, CONFIG, True)
    assert found is None and why in reason


def test_the_reference_has_no_difference_to_itself() -> None:
    side = _side(0, _point(2.0))
    found, _ = quality.benefit_at_threshold(side, side, 1, [str(i) for i in range(200)], CONFIG,
                                            True)
    assert found.difference.value is None and found.difference.reason == "the reference itself"
    assert found.value == found.reference
