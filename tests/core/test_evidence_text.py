"""Paired changes as plain text."""

from __future__ import annotations

import math

import pytest

from bedside.core.evidence import MISS_RATIO, PairedTest
from bedside.core.evidence_text import change_text
from bedside.core.types import Estimate


def _test(metric, value, low, high):
    return PairedTest(metric, "m", 0.9, 0.9, Estimate(value, low, high, 100), margin=0.02,
                      excluded=low, ceiling=high)


@pytest.mark.parametrize(("test", "text"), [
    (_test("sensitivity", -0.021, -0.06, 0.011), "sensitivity -0.021 [-0.060, +0.011]"),
    (_test(MISS_RATIO, -math.log(1.5), -math.log(2.25), -math.log(1.02)),
     "missed 1.50 times [1.02, 2.25]"),
    (_test(MISS_RATIO, None, None, -math.log(0.5)), "missed more often [0.50, no limit]"),
    (_test("auroc", None, None, None), "auroc unknown")])
def test_a_loss_reads_as_one(test, text):
    assert change_text(test) == text
    assert change_text(test, interval=False) == text.partition(" [")[0]
