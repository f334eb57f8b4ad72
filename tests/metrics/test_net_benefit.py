"""Net benefit by hand, its paired interval by a plain loop and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside.metrics.net_benefit import compare, net_benefit

SET = {"resamples": 400, "seed": 0}


def _data(seed, n=200, noise=0.5):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.3
    score = 1.5 * truth + rng.normal(0, 1, n)
    other = score + rng.normal(0, noise, n)
    expit = (1 / (1 + np.exp(-(s - 1.2))) for s in (score, other))
    return truth, *expit


def test_net_benefit_is_that_of_vickers_and_elkin():
    truth = np.array([True] * 3 + [False] * 7)
    called = np.array([[1, 1, 0, 1, 1, 0, 0, 0, 0, 0], [1] * 10, [0] * 10], bool)
    t = np.array([0.2, 0.2, 0.2])
    # 2 of 10 true positives less 2 of 10 false ones at odds of 0.2 / 0.8.
    assert net_benefit(truth, called, t) == pytest.approx([0.2 - 0.2 * 0.25,
                                                           0.3 - 0.7 * 0.25, 0.0])
    # At a prevalence of 5%: 0.05 · sensitivity − 0.95 · (1 − specificity) · 0.25.
    assert net_benefit(truth, called, t, 0.05)[0] == pytest.approx(
        0.05 * 2 / 3 - 0.95 * 2 / 7 * 0.25)


def test_the_interval_is_the_plain_loops_bootstrap_over_patients():
    truth, p, q = _data(0)
    whose = np.arange(200) // 2
    truth = truth[whose * 2]
    t = np.array([0.3])
    found = compare(truth, p >= t[:, None], q >= t[:, None], t, clusters=whose, **SET)
    rng = np.random.default_rng(0)
    drawn = []
    for rows in np.concatenate([rng.integers(0, 100, (200, 100)) for _ in range(2)]):
        images = (2 * rows[:, None] + np.arange(2)).ravel()
        both = [net_benefit(truth[images], (s[images] >= 0.3)[None], t)[0] for s in (p, q)]
        drawn.append(both[1] - both[0])
    assert not found.few[0]
    assert (found.low[0], found.high[0]) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))
    assert found.difference[0] == found.new[0] - found.old[0]


def test_models_that_agree_on_every_image_still_have_an_interval():
    truth, p, _ = _data(1, 60)
    t = np.array([0.1, 0.5])
    found = compare(truth, p >= t[:, None], p >= t[:, None], t, **SET)
    assert (found.difference == 0).all() and found.few.all()
    assert (found.low < 0).all() and (found.high > 0).all()
    more = compare(np.tile(truth, 20), np.tile(p >= t[:, None], 20), np.tile(p >= t[:, None], 20),
                   t, **SET)
    assert (more.high < found.high / 4).all()


def test_a_stated_prevalence_changes_the_weights_alone():
    truth, p, q = _data(2)
    t = np.array([0.2])
    old, new = (s >= t[:, None] for s in (p, q))
    own = compare(truth, old, new, t, **SET)
    same = compare(truth, old, new, t, prevalence=float(truth.mean()), **SET)
    rare = compare(truth, old, new, t, prevalence=0.01, **SET)
    assert own.difference == pytest.approx(same.difference)
    gain = (new & truth).sum() / truth.sum() - (old & truth).sum() / truth.sum()
    cost = (new & ~truth).sum() / (~truth).sum() - (old & ~truth).sum() / (~truth).sum()
    assert rare.difference[0] == pytest.approx(0.01 * gain - 0.99 * 0.25 * cost)
    assert rare.treat_all[0] == pytest.approx(0.01 - 0.99 * 0.25)


def test_the_interval_holds_the_true_difference():
    held, times = 0, 150
    t = np.array([0.25])
    big = [_data(10_000, 400_000)[k] for k in range(3)]
    true = float((net_benefit(big[0], big[2] >= t[:, None], t)
                  - net_benefit(big[0], big[1] >= t[:, None], t))[0])
    for seed in range(times):
        truth, p, q = _data(seed, 150)
        found = compare(truth, p >= t[:, None], q >= t[:, None], t, **SET)
        held += found.low[0] <= true <= found.high[0]
    assert 0.91 * times <= held


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 3)),
                min_size=2, max_size=20).filter(lambda r: len({v[0] for v in r}) == 2))
def test_small_samples_have_finite_bounds_about_the_difference(rows):
    truth, old, new = (np.array([r[k] for r in rows]) for k in range(3))
    whose = np.array([r[3] for r in rows])
    t = np.array([0.05, 0.6])
    found = compare(truth, np.stack([old] * 2), np.stack([new] * 2), t, clusters=whose,
                    resamples=200, seed=1)
    assert np.isfinite([found.low, found.difference, found.high]).all()
    assert (found.low <= found.difference).all() and (found.difference <= found.high).all()
