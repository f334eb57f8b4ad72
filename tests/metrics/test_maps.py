"""Maps against one another and the lesion, held against scikit-learn and plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t as student
from sklearn.metrics import jaccard_score

from bedside.metrics import maps


@settings(deadline=None, max_examples=40)
@given(arrays(np.bool_, (5, 6)), arrays(np.bool_, (5, 6)))
def test_iou_is_scikit_learns_jaccard(one, other):
    found = maps.iou(one, other)
    if not (one | other).any():
        assert found is None
    else:
        assert found == pytest.approx(jaccard_score(one.ravel(), other.ravel()))


def ranks(values):
    """Mean ranks by counting, without any library."""
    below = (values[:, None] > values[None, :]).sum(axis=1)
    same = (values[:, None] == values[None, :]).sum(axis=1)
    return below + (same + 1) / 2


@settings(deadline=None, max_examples=40)
@given(arrays(np.int64, (3, 4), elements=st.integers(-4, 4)),
       arrays(np.int64, (3, 4), elements=st.integers(-4, 4)))
def test_rank_correlation_is_pearsons_of_ranks(one, other):
    one, other = one.astype(np.float32), other.astype(np.float32)
    found = maps.rank_correlation(one, other)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert found is None
        return
    expected = np.corrcoef(ranks(one.ravel()), ranks(other.ravel()))[0, 1]
    assert found == pytest.approx(expected, abs=1e-9)
    assert maps.rank_correlation(one, np.exp(other)) == pytest.approx(found, abs=1e-9)


def ssim(x, y, span, w=7):
    """Wang et al. 2004, equation 13, window by window, with sample variances."""
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    values = []
    for i in range(x.shape[0] - w + 1):
        for j in range(x.shape[1] - w + 1):
            a, b = x[i:i + w, j:j + w].ravel(), y[i:i + w, j:j + w].ravel()
            cov = np.cov(a, b)
            values.append((2 * a.mean() * b.mean() + c1) * (2 * cov[0, 1] + c2)
                          / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (cov[0, 0] + cov[1, 1] + c2)))
    return np.mean(values)


@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0, 5.0])
def test_similarity_is_the_published_formula(noise):
    rng = np.random.default_rng(3)
    one = rng.normal(0, 1, (12, 15))
    other = one + noise * rng.normal(0, 1, one.shape)
    assert maps.similarity(one, other) == pytest.approx(ssim(one, other, np.ptp(one)), abs=1e-6)


def test_pointing_game():
    plane = np.zeros((4, 4))
    plane[1, 2] = 1
    lesion = np.zeros((4, 4), np.bool_)
    assert maps.pointing_hit(plane, lesion) is None
    lesion[1, 2] = True
    assert maps.pointing_hit(plane, lesion) is True
    assert maps.pointing_hit(plane, ~lesion) is False
    assert maps.pointing_hit(np.ones((4, 4)), lesion) is None


def test_numbers_that_do_not_exist_are_none():
    flat, slope = np.ones((8, 8)), np.arange(64.0).reshape(8, 8)
    assert maps.rank_correlation(flat, slope) is None
    assert maps.rank_correlation(slope, flat) is None
    assert maps.rank_correlation(np.ones((1, 1)), np.ones((1, 1))) is None
    assert maps.similarity(flat, slope) is None
    assert maps.similarity(slope[:6, :6], slope[:6, :6]) is None
    assert maps.similarity(slope, slope) == pytest.approx(1.0)
    empty = maps.mean([None, None], 0.0, 1.0, "no lesion")
    assert (empty.value, empty.n, empty.reason) == (None, 0, "no lesion")


def test_means_have_students_interval_and_changes_are_paired():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.2, 0.8, 30), rng.uniform(0.2, 0.8, 30)
    found = maps.change([*a, None, 0.4], [*b, 0.3, None], "none")
    d = b - a
    half = student.ppf(0.975, 29) * d.std(ddof=1) / np.sqrt(30)
    assert (found.n, found.value) == (30, pytest.approx(d.mean()))
    assert (found.low, found.high) == pytest.approx((d.mean() - half, d.mean() + half))
    same = maps.mean([1.0] * 12, -1.0, 1.0, "none")
    assert same.value == 1.0 and same.high == 1.0 and 0.3 < same.low < 1.0
