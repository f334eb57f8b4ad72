"""Decision curves against the stored predictions and the stored evidence."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from evidence_fixture import CONFIG, make, sample

from bedside.core import codec
from bedside.figures import decision_curve
from bedside.figures.base import NotAvailable
from bedside.runfolder import artefact, layout, stored
from bedside.stages.evidence import stage as evidence


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("curves")
    rng, labels, odds = sample(500)
    make(run, labels, ["val"] * 200 + ["test"] * 300,
         {"float32": odds, "int8": odds + rng.normal(0, 0.8, 500)})
    evidence.evidence(run, CONFIG)
    return run


def test_the_curve_is_counted_by_hand(judged: Path) -> None:
    data = decision_curve.compute(judged, "net")
    point = stored.operating_points(judged, "net").locked
    test = stored.predictions(judged, "net-int8", "cpu").of("test")
    p = 1 / (1 + np.exp(-(test.logits[:, 1] - test.logits[:, 0]) / point.temperature))
    for k in (9, 49, 79):
        t = data.arrays["thresholds"][k]
        called, truth = p >= t, test.labels == 1
        value = ((called & truth).sum() - t / (1 - t) * (called & ~truth).sum()) / len(p)
        assert data.arrays["net:int8"][k] == pytest.approx(value)
        assert data.arrays["difference:int8"][k] == pytest.approx(
            value - data.arrays["net:float32"][k])
        assert data.arrays["treat_all"][k] == pytest.approx(0.5 - t / (1 - t) * 0.5)
    for low, value, high in zip(*(data.arrays[f"{n}:int8"] for n in ("low", "difference", "high")),
                                strict=True):
        assert low <= value <= high


def test_the_number_at_the_locked_threshold_is_that_of_the_statistics(judged: Path) -> None:
    data = decision_curve.compute(judged, "net")
    (saved,) = [p.net_benefit for p in stored.statistics(judged, "net").probabilities
                if p.variant == "net-int8"]
    assert data.facts["locked"] == saved.threshold
    told = data.facts["at_locked"]["int8"]
    assert told["difference"] == pytest.approx(saved.difference.value)
    assert (told["low"], told["high"]) == pytest.approx((saved.difference.low,
                                                         saved.difference.high))
    text = decision_curve.caption(data)
    assert "these images" in text and f"{100 * told['low']:+.2f}".replace("-", "−") in text
    assert len(decision_curve.draw(data).axes) == 2


def test_a_stated_prevalence_is_used_and_named(judged: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(judged, run)
    study = stored.study(run)
    artefact.write_text(layout.study_file(run), codec.to_toml(dataclasses.replace(
        study, evidence=dataclasses.replace(study.evidence, prevalence=0.02))))
    data = decision_curve.compute(run, "net")
    assert data.facts["prevalence"] == 0.02
    assert data.arrays["net:float32"].max() <= 0.02
    assert "2.0% (stated in study.toml)" in decision_curve.caption(data)


def test_without_evidence_there_is_no_curve(tmp_path: Path) -> None:
    with pytest.raises(NotAvailable, match="bedside report"):
        decision_curve.compute(tmp_path, "net")
