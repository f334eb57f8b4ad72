"""Conformal risk control of the class that is withheld, against brute force and in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside.core.study import EvidenceConfig
from bedside.core.types import Abstention, Task
from bedside.metrics import abstention
from bedside.runtime import decide


def _shares(p):
    p = np.asarray(p, np.float64)
    return np.stack([1 - p, p], axis=1)


def _brute(labels, p, target, positive):
    """The widest set of answers on one side whose bound keeps the target, edge by edge."""
    mine = p[labels == positive]
    best = None
    for edge in np.unique(p):
        wrong = (mine < edge) if positive else (mine > edge)
        if (wrong.sum() + 1) / (len(mine) + 1) <= target + 1e-12:
            best = edge if best is None or (edge > best) == bool(positive) else best
    return best


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 80), st.floats(0.05, 0.5), st.integers(0, 10_000))
def test_the_edges_are_the_widest_that_keep_the_target(n, target, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 2)
    p = np.round(rng.beta(2, 2, n) * 0.6 + 0.2 * labels, 2)
    found = abstention.band(labels, _shares(p), 1, 0.5, EvidenceConfig(
        max_missed=target, max_alarms=target))
    for side, mine in (("missed", labels == 1), ("alarms", labels == 0)):
        if side not in found.risks:
            assert target * (mine.sum() + 1) < 1
            continue
        wrong = (p[mine] < found.low) if side == "missed" else (p[mine] >= found.high)
        assert (wrong.sum() + 1) / (mine.sum() + 1) <= target + 1e-12
    if "missed" in found.risks:
        wider = _brute(labels, p, target, 1)
        # Values of the other class may lie between two of this one: the same answers either way.
        assert ((p[labels == 1] < found.low) == (p[labels == 1] < min(wider, 0.5))).all() or (
            found.low == pytest.approx(min(wider, 0.5)))
    assert found.low <= 0.5 <= found.high


def test_the_risks_hold_over_draws_of_the_validation_images():
    """The mean over validation draws of the true risk, which the theorem bounds."""
    rng = np.random.default_rng(0)
    config = EvidenceConfig(max_missed=0.1, max_alarms=0.2)
    missed, alarms = [], []
    on, off = (1 / (1 + np.exp(-rng.normal(m, 1, 200_000))) for m in (0.2, -0.2))
    for _ in range(300):
        val = np.r_[rng.choice(on, 40), rng.choice(off, 60)]
        labels = np.repeat([1, 0], [40, 60])
        found = abstention.band(labels, _shares(val), 1, 0.5, config)
        missed.append((on < found.low).mean())
        alarms.append((off >= found.high).mean())
    for got, most in ((missed, 0.1), (alarms, 0.2)):
        error = np.std(got) / np.sqrt(len(got))
        assert np.mean(got) <= most + 2 * error
        assert np.mean(got) >= most - 1 / 40 - 2 * error, "and it withholds no more than it must"


def test_patients_count_not_images():
    p = np.linspace(0.05, 0.95, 190)
    labels, clusters = np.ones(190, np.int64), np.repeat(np.arange(19), 10)
    by_image = abstention.band(labels, _shares(p), 1, 0.5, EvidenceConfig())
    by_patient = abstention.band(labels, _shares(p), 1, 0.5, EvidenceConfig(), clusters)
    assert by_patient.low < by_image.low
    assert by_patient.low == pytest.approx(0.05), "19 cases at 5%: none may be missed"
    assert by_patient.n["missed"] == 19


def test_too_few_cases_guarantee_nothing_and_say_how_many_would():
    found = abstention.band(np.r_[np.ones(12, np.int64), np.zeros(12, np.int64)],
                            _shares(np.linspace(0, 1, 24)), 1, 0.5, EvidenceConfig())
    assert found.low == 0.5
    assert "missed" not in found.risks and "alarms" in found.risks
    assert found.reason == ("12 positive validation cases cannot guarantee that at most 5% are "
                            "missed: 19 are needed")


@settings(max_examples=60, deadline=None)
@given(st.integers(10, 60), st.integers(0, 10_000))
def test_several_classes_answer_from_a_confidence_on(n, seed):
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(3), n)
    labels = rng.integers(0, 3, n)
    found = abstention.band(labels, shares, None, None, EvidenceConfig(max_wrong=0.2))
    wrong = (shares.argmax(1) != labels) & (shares.max(1) >= found.confidence)
    assert (wrong.sum() + 1) / (n + 1) <= 0.2 + 1e-12
    lower = [c for c in shares.max(1) if c < found.confidence]
    if lower:  # the next image that could be answered would break it
        more = (shares.argmax(1) != labels) & (shares.max(1) >= max(lower))
        assert (more.sum() + 1) / (n + 1) > 0.2 or more.sum() == wrong.sum()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_report_withholds_what_the_device_withholds(p):
    task = Task(("a", "b"), "b")
    for band in (Abstention(0.3, 0.7), Abstention(0.5, 0.5), Abstention()):
        silent = abstention.withheld(_shares(p), 1, band)
        device = [decide.withheld(s, task, band, False) is not None for s in _shares(p).tolist()]
        assert silent.tolist() == device


def test_no_limit_withholds_nothing():
    labels, p = np.arange(40) % 2, np.linspace(0.01, 0.99, 40)
    found = abstention.band(labels, _shares(p), 1, 0.4, EvidenceConfig(max_missed=1, max_alarms=1))
    assert (found.low, found.high) == (0.4, 0.4)
    assert not abstention.withheld(_shares(p), 1, found).any()


def test_on_test_images_risks_count_withheld_images_as_no_mistake():
    labels, called = np.array([1, 1, 1, 0, 0]), np.array([0, 0, 1, 1, 0])
    silent = np.array([True, False, False, False, True])
    found = abstention.on_test("v", "cpu", labels, called, silent, 1)
    assert found.answered.value == 0.6
    assert found.risks["missed"].value == pytest.approx(1 / 3)
    assert found.risks["alarms"].value == 0.5
    assert found.accuracy.value == pytest.approx(1 / 3)
