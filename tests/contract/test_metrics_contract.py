"""Every metric in the table keeps the one signature and its promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.registry import lookup
from bedside.core.types import Estimate
from bedside.metrics import BINARY, MACRO, METRICS, Metric, for_task

NAMES = sorted(METRICS)


@pytest.fixture(params=NAMES)
def metric(request: pytest.FixtureRequest) -> Metric:
    found: Metric = lookup(METRICS, request.param, "metric")
    return found


def test_every_metric_is_computed_for_some_task() -> None:
    assert set(BINARY) | set(MACRO) == set(METRICS)


def sample(classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    labels = np.arange(60) % classes
    return labels, rng.normal(size=(60, classes)).astype(np.float32) + np.eye(classes)[labels]


def assert_whole(estimate: Estimate) -> None:
    """Either a value within its bounds, or null with a reason; always fit for JSON."""
    assert isinstance(estimate, Estimate)
    assert type(estimate.n) is int
    assert codec.decode(Estimate, codec.encode(estimate)) == estimate
    if estimate.value is None:
        assert estimate.reason
        assert estimate.low is None
        assert estimate.high is None
        return
    assert estimate.reason is None
    assert type(estimate.value) is float
    assert estimate.low is not None
    assert estimate.high is not None
    assert all(math.isfinite(v) for v in (estimate.value, estimate.low, estimate.high))
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.low < estimate.high


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("positive", [None, 0, 1])
def test_is_defined_for_the_tasks_it_is_listed_for(metric: Metric, classes: int,
                                                   positive: int | None) -> None:
    estimate = metric(*sample(classes), positive)
    assert_whole(estimate)
    listed = {METRICS[name] for name in for_task(classes, positive)}
    if any(name.endswith(f":{metric.__name__}") for name in listed):  # type: ignore[attr-defined]
        assert estimate.value is not None


@pytest.mark.parametrize("positive", [None, 1])
def test_is_honest_at_its_ends(metric: Metric, positive: int | None) -> None:
    labels = np.arange(40) % 2
    for sign, end in [(1, 1.0), (-1, 0.0)]:
        estimate = metric(labels, sign * np.eye(2)[labels], positive)
        assert_whole(estimate)
        if estimate.value is not None:
            assert estimate.value == end


@pytest.mark.parametrize("positive", [None, 0, 1])
def test_gives_null_with_a_reason_where_nothing_can_be_said(metric: Metric, positive: int | None
                                                           ) -> None:
    empty = metric(np.empty(0, dtype=np.int64), np.empty((0, 2), dtype=np.float32), positive)
    assert empty.value is None
    assert empty.n == 0
    assert_whole(empty)
    labels, logits = sample(2)
    logits[3, 0] = np.nan
    assert metric(labels, logits, positive).value is None
    assert_whole(metric(labels, logits, positive))
    for only in (0, 1):
        assert_whole(metric(np.full(5, only), np.ones((5, 2)), positive))
    assert_whole(metric(np.array([0, 1]), np.zeros((2, 2)), positive))


def test_leaves_its_input_alone(metric: Metric) -> None:
    labels, logits = sample(2)
    before = labels.copy(), logits.copy()
    metric(labels, logits, 1)
    np.testing.assert_array_equal(labels, before[0])
    np.testing.assert_array_equal(logits, before[1])


@pytest.mark.parametrize(
    ("labels", "logits", "positive"),
    [
        (np.zeros(3, dtype=np.int64), np.zeros((4, 2)), 1),
        (np.zeros(3, dtype=np.int64), np.zeros(3), 1),
        (np.zeros(3), np.zeros((3, 2)), 1),
        (np.zeros(3, dtype=np.int64), np.zeros((3, 2), dtype=np.int64), 1),
        (np.array([0, 1, 2]), np.zeros((3, 2)), 1),
        (np.array([0, 1, -1]), np.zeros((3, 2)), 1),
        (np.zeros(3, dtype=np.int64), np.zeros((3, 2)), 2),
        (np.zeros(3, dtype=np.int64), np.zeros((3, 1)), None),
    ],
)
def test_refuses_what_does_not_fit(metric: Metric, labels: np.ndarray, logits: np.ndarray,
                                   positive: int | None) -> None:
    with pytest.raises(BadInput) as caught:
        metric(labels, logits, positive)
    assert caught.value.remedy


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("copies", [2, 5])
def test_copies_of_an_image_tell_nothing_new(metric: Metric, classes: int, copies: int) -> None:
    labels, logits = sample(classes)
    positive = 1 if classes == 2 else None
    whose = np.repeat(np.arange(len(labels)), copies)
    own = metric(labels, logits, positive)
    many = metric(labels[whose], logits[whose], positive, whose)
    assert_whole(many)
    if own.value is None:
        assert many.value is None
        return
    assert many.value == pytest.approx(own.value) and many.n == copies * own.n
    wide = own.high - own.low
    assert many.low == pytest.approx(own.low, abs=wide / 10)
    assert many.high == pytest.approx(own.high, abs=wide / 10)
    careless = metric(labels[whose], logits[whose], positive)
    assert careless.high - careless.low < 0.85 * (many.high - many.low)
