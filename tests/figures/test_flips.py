"""Changed decisions of a small run, recomputed from its predictions."""

from __future__ import annotations

import numpy as np
import pytest
from analyse_fixture import figure_data
from scipy.special import softmax

from bedside.figures import flips
from bedside.runfolder import layout, stored
from bedside.runtime.litert import LiteRTModel
from bedside.stages.analyse import analyse


def odds(flipped, variant):
    p = stored.predictions(flipped, variant, "cpu")
    return dict(zip(p.ids.tolist(), (p.logits[:, 1] - p.logits[:, 0]).astype(float), strict=True))


def test_every_changed_decision_is_listed_once_and_gravest_first(flipped):
    facts = figure_data(flipped, "flips").facts
    limit = stored.operating_points(flipped, "tiny").locked.threshold_log_odds
    labels = {c.id: c.label for c in stored.cases(flipped)}
    before = odds(flipped, "tiny-float32")
    expected = set()
    for variant in ("tiny-float16", "tiny-dynamic", "tiny-int8"):
        for name, value in odds(flipped, variant).items():
            if (value >= limit) != (before[name] >= limit):
                expected.add((variant, name))
    rows = facts["flips"]
    found = {(v, r["id"]) for r in rows
             for v in (r["variant"], *(a.partition("@")[0] for a in r["also"]))}
    assert found == expected and len(expected) >= 6
    order = [flips.KINDS.index(r["kind"]) for r in rows]
    assert order == sorted(order)
    for r in rows:
        positive = labels[r["id"]] == "malignant"
        assert r["called"][0] != r["called"][1]
        assert r["kind"] == {(True, "benign"): "missed", (True, "malignant"): "found",
                             (False, "malignant"): "alarm", (False, "benign"): "cleared"}[
                                 positive, r["called"][1]]
        assert r["margin"][0] == pytest.approx(r["score"][0] - facts["threshold"])
        assert (r["margin"][0] >= 0) != (r["margin"][1] >= 0)


def test_scores_are_softmax_and_maps_the_models_own(flipped):
    found = figure_data(flipped, "flips")
    row = next(r for r in found.facts["flips"] if r["variant"] == "tiny-int8")
    p = stored.predictions(flipped, "tiny-int8", "cpu")
    logits = p.logits[p.ids.tolist().index(row["id"])].astype(float)
    assert row["score"][1] == pytest.approx(softmax(logits)[1])
    variant = next(v for v in stored.variants(flipped) if v.id == "tiny-float32")
    model = LiteRTModel(layout.variant_dir(flipped, variant.id) / variant.file)
    with stored.pixel_store(flipped, variant.preprocess) as store:
        cam = model.run(store.tensor(row["id"]))["cam"][0, :, :, 1]
    shown = found.arrays["before"][row["picture"]]
    assert shown.min() == 0 and shown.max() == 255
    peak = np.array(np.unravel_index(cam.argmax(), cam.shape)) / np.array(cam.shape)
    where = np.array(np.unravel_index(shown.argmax(), shown.shape)) / np.array(shown.shape)
    assert np.abs(peak - where).max() < 0.2


def test_a_model_without_maps_lists_its_flips_and_says_why(flipped):
    facts = figure_data(flipped, "flips", "foreign").facts
    assert facts["flips"] and "no output 'cam'" in facts["maps_reason"]
    assert set(figure_data(flipped, "flips", "foreign").arrays) == {"images"}


@pytest.mark.parametrize(("truth", "before", "after", "positive", "kind"), [
    (1, 1, 0, 1, "missed"), (1, 0, 1, 1, "found"), (0, 0, 1, 1, "alarm"), (0, 1, 0, 1, "cleared"),
    (2, 2, 0, None, "lost"), (2, 0, 2, None, "gained"), (2, 0, 1, None, "other"),
])
def test_kinds(truth, before, after, positive, kind):
    assert flips.kind(truth, before, after, positive) == kind


def test_flips_and_reliability_follow_the_evidence(flipped, tmp_path):
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(flipped, copy)
    shutil.rmtree(copy / "evidence")
    analyse(copy, ["tiny"])
    for figure in ("flips", "reliability"):
        assert "have not been computed" in figure_data(copy, figure).unavailable
    assert figure_data(copy, "fidelity").unavailable is None
