"""Answers, features and familiarity against scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis
from scipy.special import softmax as scipy_softmax

from bedside.core.errors import GateFailed
from bedside.core.types import Task
from bedside.metrics import probability
from bedside.metrics.inputs import log_odds
from bedside.runtime import decide, features
from bedside.runtime.bundle.manifest import Familiarity, OperatingPoint, Range
from bedside.stages.bundle.change_record import point

BINARY = Task(("benign", "malignant"), "malignant")
LOGITS = st.lists(st.floats(-50, 50), min_size=2, max_size=6)


@settings(deadline=None)
@given(LOGITS, st.floats(0.05, 20))
def test_softmax_is_scipys(logits, temperature):
    assert decide.softmax(logits, temperature) == pytest.approx(
        scipy_softmax(np.array(logits) / temperature), abs=1e-12)


@settings(deadline=None)
@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.01, 0.99), st.floats(0.1, 10))
def test_the_workbench_decides_as_the_device_does(a, b, threshold, temperature):
    shares = decide.softmax([a, b], temperature)
    if abs(shares[1] - threshold) < 1e-9:
        return
    shipped = OperatingPoint(threshold, temperature, True, "test")
    logits = np.array([[a, b]])
    decided = probability.decide(logits, log_odds(logits, 1), 1, point(shipped))
    predicted = decide.predicted_class(shares, BINARY, threshold)
    assert predicted == decided[0] == (shares[1] >= threshold)


def test_the_threshold_itself_is_positive():
    assert decide.predicted_class([0.5, 0.5], BINARY, 0.5) == 1
    assert decide.predicted_class([0.2, 0.5, 0.3], Task(("a", "b", "c")), None) == 1


def test_distance_is_scipys_and_numpys():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5))
    mean, precision = features.fit(known)
    facts = Familiarity(tuple("abcde"), tuple(mean), tuple(map(tuple, precision)), 1.0, {}, 200,
                        0, 0, 0)
    point = rng.normal(size=5)
    wanted = mahalanobis(point, mean, precision) ** 2
    named = dict(zip("abcde", point, strict=True))
    assert decide.distance({**named, "f": 9.0}, facts) == pytest.approx(wanted)
    with pytest.raises(GateFailed, match="'e', which is not known here"):
        decide.distance({n: v for n, v in named.items() if n != "e"}, facts)
    assert features.distances(point[None], mean, precision)[0] == pytest.approx(wanted)
    # A tenth of shrinkage at most: the mean squared distance of what it was fitted on is near d.
    assert features.distances(known, mean, precision).mean() == pytest.approx(5, rel=0.3)


def test_warnings_say_what_is_odd():
    known = Familiarity(("logit:0",), (0.0,), ((1.0,),), 4.0,
                        {"brightness": Range(0.2, 0.6), "sharpness": Range(0.1, 0.2)}, 9, 9, 0, 0)
    fine = {"brightness": 0.4, "sharpness": 0.1}
    assert decide.warnings(4.0, fine, known) == ()
    said = decide.warnings(4.1, {"brightness": 0.1, "sharpness": 0.3}, known)
    assert said[0].startswith("unlike the training data (distance 4.1, limit 4.0)")
    assert said[1:] == ("darker than every training image",
                        "sharper or noisier than every training image")
    assert decide.warnings(9.0, {}, None) == ()
