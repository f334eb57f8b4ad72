"""From a model and a scheme to a variant."""

from __future__ import annotations

import shutil

import outliers
import pytest

from bedside import schemes
from bedside.core.errors import BadInput
from bedside.core.study import CalibrationConfig, EvaluateConfig, EvidenceConfig
from bedside.flows import variants
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.variant import read_variant
from bedside.stages import build
from bedside.stages.evaluate import stage as evaluate
from bedside.stages.evidence.stage import evidence
from bedside.stages.recommend.stage import recommend

MIXED = schemes.parse("mixed+searched")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return outliers.write_outlier_run(tmp_path_factory.mktemp("search") / "run")


def test_a_mixture_needs_its_search(tiny_run, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(tiny_run, other)
    shutil.rmtree(layout.search_dir(other, "resnet34"), ignore_errors=True)
    with pytest.raises(BadInput, match="bedside search RUN"):
        variants.make(other, "resnet34", MIXED, CalibrationConfig(images=4))


@pytest.fixture(scope="module")
def overflown(tmp_path_factory):
    """A network whose weights float16 cannot hold, with float32 and float16 measured."""
    other = outliers.write_outlier_run(tmp_path_factory.mktemp("overflown") / "run", factor=3e7)
    for scheme in ("float32", "float16"):
        assert variants.make(other, outliers.MODEL, schemes.parse(scheme), CalibrationConfig())
    pairs = [(layout.variant_id(outliers.MODEL, s), "cpu") for s in ("float32", "float16")]
    for variant, target in pairs:
        build.build(other, variant, target)
    evaluate.evaluate(other, pairs, EvaluateConfig(rounds=1, warmup=0, samples=2))
    return other


def test_a_variant_that_breaks_its_promise_is_a_failed_row(overflown):
    assert [v.id for v in stored.variants(overflown)] == ["outlier-float32"]
    failed = next(v for v in stored.every_variant(overflown) if v.status == "failed")
    assert failed.id == "outlier-float16"
    assert "not finite" in failed.reason
    folder = layout.variant_dir(overflown, failed.id)
    assert not (folder / layout.VARIANT_MODEL).exists()
    with pytest.raises(BadInput, match="the variant failed"):
        read_variant(folder)
    rows = {m.variant: m for m in stored.measurements(overflown)}
    assert (rows[failed.id].status, rows[failed.id].reason) == ("failed", failed.reason)
    assert rows["outlier-float32"].status == "ok"


def test_the_study_goes_on_and_says_why(overflown):
    study = stored.study(overflown)
    evidence(overflown, EvidenceConfig())
    recommend(overflown, study)
    (found,) = stored.recommendations(overflown).recommendations
    assert "not finite" in found.rejected["outlier-float16"]
    assert found.causes["outlier-float16"] == "not run"


def test_a_failed_variant_is_not_made_again(overflown):
    assert not variants.make(overflown, outliers.MODEL, schemes.parse("float16"),
                             CalibrationConfig())


def test_what_cannot_be_made_of_a_model_is_a_failed_row(run, monkeypatch):
    """The network has no neighbours left to equalize: a reason, not the end of the batch."""
    from bedside.core.errors import Unquantizable
    from bedside.stages import transform

    def no_pair(*_):
        raise Unquantizable("no two neighbouring layers can be equalized", where="model",
                            remedy="Leave the option out.")

    monkeypatch.setattr(transform, "equalize", no_pair)
    choice = schemes.parse("int8+equalized")
    assert variants.make(run, outliers.MODEL, choice, CalibrationConfig(images=4))
    assert not variants.make(run, outliers.MODEL, choice, CalibrationConfig(images=4))
    folder = layout.variant_dir(run, "outlier-int8+equalized")
    assert artefact.finished(folder, "quantize")
    (failed,) = [v for v in stored.every_variant(run) if v.id == folder.name]
    assert failed.status == "failed"
    assert failed.reason.startswith("no two neighbouring layers can be equalized")
