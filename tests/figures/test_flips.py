"""Flips, fidelity and reliability of a real small run: counted again from what they come from."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from analyse_fixture import analysed_run
from scipy.special import softmax
from scipy.stats import spearmanr

from bedside.core.study import EvidenceConfig
from bedside.figures import flips
from bedside.figures.base import FigureData
from bedside.runfolder import artefact, layout
from bedside.runfolder.predictions import read_predictions
from bedside.runtime.litert import LiteRTModel
from bedside.stages import evidence
from bedside.stages.analyse import analyse
from bedside.stages.report import flips_page
from bedside.stages.report.build import build_report


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The shared small run with int8 predictions pushed over the threshold, and a report."""
    import shutil

    folder = tmp_path_factory.mktemp("flips") / "run"
    shutil.copytree(analysed_run(tmp_path_factory), folder)
    for model in ("tiny", "foreign"):
        cell = layout.measurement_dir(folder, f"{model}-int8", "cpu")
        old = read_predictions(cell / layout.PREDICTIONS)
        text = (cell / layout.MEASUREMENT).read_text()
        limit = layout.operating_points(folder, model).locked.threshold_log_odds
        plain = layout.predictions(folder, f"{model}-float32", "cpu").logits
        called = plain[:, 1] - plain[:, 0] >= limit
        # Every image but the first two goes to the other side of the threshold.
        other = np.where(np.arange(len(called)) < 2, called, ~called)
        value = np.where(other, limit + 1, limit - 1).astype(np.float32)
        with artefact.writing(cell, "evaluate", "flipped") as scratch:
            (scratch / layout.MEASUREMENT).write_text(text)
            np.savez(scratch / layout.PREDICTIONS, ids=old.ids, split=old.split,
                     labels=old.labels, logits=np.stack([-value / 2, value / 2], axis=1))
    evidence.evidence(folder, EvidenceConfig())
    analyse(folder)
    build_report(folder)
    return folder


def data(run, figure, model="tiny"):
    return FigureData.load(layout.analysis_dir(run, figure, model))


def odds(run, variant):
    p = layout.predictions(run, variant, "cpu")
    return dict(zip(p.ids.tolist(), (p.logits[:, 1] - p.logits[:, 0]).astype(float), strict=True))


def test_every_changed_decision_is_listed_once_and_gravest_first(run):
    facts = data(run, "flips").facts
    limit = layout.operating_points(run, "tiny").locked.threshold_log_odds
    labels = {c.id: c.label for c in layout.cases(run)}
    before = odds(run, "tiny-float32")
    expected = set()
    for variant in ("tiny-float16", "tiny-dynamic", "tiny-int8"):
        for name, value in odds(run, variant).items():
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


def test_scores_are_softmax_and_maps_the_models_own(run):
    found = data(run, "flips")
    row = next(r for r in found.facts["flips"] if r["variant"] == "tiny-int8")
    p = layout.predictions(run, "tiny-int8", "cpu")
    logits = p.logits[p.ids.tolist().index(row["id"])].astype(float)
    assert row["score"][1] == pytest.approx(softmax(logits)[1])
    variant = next(v for v in layout.variants(run) if v.id == "tiny-float32")
    model = LiteRTModel(layout.variant_dir(run, variant.id) / variant.file)
    with layout.pixel_store(run, variant.preprocess) as store:
        cam = model.run(store.tensor(row["id"]))["cam"][0, :, :, 1]
    shown = found.arrays["before"][row["picture"]]
    assert shown.min() == 0 and shown.max() == 255
    peak = np.array(np.unravel_index(cam.argmax(), cam.shape)) / np.array(cam.shape)
    where = np.array(np.unravel_index(shown.argmax(), shown.shape)) / np.array(shown.shape)
    assert np.abs(peak - where).max() < 0.2


def test_a_model_without_maps_lists_its_flips_and_says_why(run):
    facts = data(run, "flips", "foreign").facts
    assert facts["flips"] and "no output 'cam'" in facts["maps_reason"]
    assert set(data(run, "flips", "foreign").arrays) == {"images"}


def test_the_page_holds_every_flip_with_three_pictures_and_no_file_name(run):
    report = run / "report"
    html = (report / "flips.html").read_text(encoding="utf-8")
    every = [r for m in ("tiny", "foreign") for r in data(run, "flips", m).facts["flips"]]
    assert html.count('<article class="card') == len(every)
    tiny = len(data(run, "flips").facts["flips"])
    assert html.count('src="data:image/jpeg') == 3 * tiny + (len(every) - tiny)
    for row in every:
        assert row["id"] in html
    for case in layout.cases(run):
        assert case.file not in html
    assert not re.search(r"(https?:|file:|//\w)", re.sub(r'src="data:[^"]*"', "", html))
    assert "default-src 'none'" in html and "<script" not in html
    titles = [html.index(f"<h2>{flips_page.KINDS[k][0]}") for k in flips.KINDS
              if any(r["kind"] == k for r in every)]
    assert titles == sorted(titles)
    lines = list(csv.DictReader(io.StringIO((report / "flips.csv").read_text())))
    assert [(x["variant"], x["id"]) for x in lines][:1] == [(every[0]["variant"], every[0]["id"])]
    assert len(lines) == len(every)
    assert 'href="flips.html"' in (report / "index.html").read_text(encoding="utf-8")


def test_long_lists_go_over_several_pages(run, tmp_path):
    found = flips_page.load(run, ["tiny"])
    row = next(r for r in found.rows)
    many = flips_page.Flips((row,) * 250, (), 900)
    flips_page.write(tmp_path, many, False)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "flips-2.html", "flips-3.html", "flips.csv", "flips.html"]
    assert (tmp_path / "flips-3.html").read_text().count('<article class="card') == 50
    assert (tmp_path / "flips.csv").read_text().count("\n") == 251


@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", "\"><img src=x onerror=y>",
                                     "{{ 7*7 }}", "=1+1"])
def test_hostile_names_add_no_markup_and_no_formula(run, tmp_path, payload):
    data, row = flips_page.load(run, ["tiny"]).rows[0]
    facts = data.facts | {"model": payload, "maps_reason": payload}
    bad = row | {"label": payload, "called": [payload, payload], "also": [payload],
                 "variant": payload, "target": payload}
    page = flips_page.Flips(((FigureData(data.arrays, facts), bad),), ((payload, payload),), 9)
    flips_page.write(tmp_path, page, False)
    html = (tmp_path / "flips.html").read_text(encoding="utf-8")
    assert "<script" not in html and "onerror=y>" not in html.replace("onerror=y&gt;", "")
    assert "49" not in html.split("<h2>")[1].split("<img")[0]
    for cell in next(list(r) for k, r in enumerate(csv.reader(io.StringIO(
            (tmp_path / "flips.csv").read_text()))) if k == 1):
        assert not cell.startswith("=")


@pytest.mark.parametrize(("truth", "before", "after", "positive", "kind"), [
    (1, 1, 0, 1, "missed"), (1, 0, 1, 1, "found"), (0, 0, 1, 1, "alarm"), (0, 1, 0, 1, "cleared"),
    (2, 2, 0, None, "lost"), (2, 0, 2, None, "gained"), (2, 0, 1, None, "other"),
])
def test_kinds(truth, before, after, positive, kind):
    assert flips.kind(truth, before, after, positive) == kind


# ------------------------------------------------------------------ fidelity and reliability


def test_fidelity_is_what_the_maps_say(run):
    f = data(run, "fidelity").facts
    assert f["maps"]["float32"]["rank"]["value"] == pytest.approx(1.0)
    assert f["maps"]["float32"]["ssim"]["value"] == pytest.approx(1.0)
    models = {k: LiteRTModel(layout.variant_dir(run, f"tiny-{k}") / "model.tflite")
              for k in ("float32", "int8")}
    variant = next(v for v in layout.variants(run) if v.id == "tiny-int8")
    values = []
    with layout.pixel_store(run, variant.preprocess) as store:
        for case in layout.cases(run):
            if case.split == "test":
                out = {k: m.run(store.tensor(case.id)) for k, m in models.items()}
                k = int(out["float32"]["logits"].argmax())
                values.append(spearmanr(out["float32"]["cam"][0, :, :, k].ravel(),
                                        out["int8"]["cam"][0, :, :, k].ravel()).statistic)
    assert f["n"] == len(values) == 6
    assert f["maps"]["int8"]["rank"]["value"] == pytest.approx(np.mean(values), abs=1e-6)
    assert f["outlined"] == 5 and f["maps"]["int8"]["hit"]["n"] == 5
    worst = [w["ssim"] for w in f["worst"]]
    assert worst == sorted(worst) and len({w["id"] for w in f["worst"]}) == len(worst)


def test_sqnr_by_layer_falls_with_coarser_formats(run):
    sqnr = data(run, "fidelity").facts["sqnr"]
    int8 = [v for v in sqnr["schemes"]["int8"] if v is not None]
    half = [v for v in sqnr["schemes"]["float16"] if v is not None]
    assert len(int8) >= 6 and 5 < min(int8) < 60
    assert min(half) > max(int8)
    own = {r["layer"]: r["sqnr_db"] for r in data(run, "sensitivity").facts["layers"]}
    assert dict(zip(sqnr["layers"], sqnr["schemes"]["int8"], strict=True)) == pytest.approx(own)


def test_without_cam_fidelity_is_null_with_the_reason_and_keeps_the_noise(run):
    f = data(run, "fidelity", "foreign").facts
    assert f["maps"] is None and "trained elsewhere" in f["maps_reason"]
    assert f["sqnr"]["layers"]


def test_reliability_shows_what_the_evidence_holds(run):
    panels = data(run, "reliability").facts["panels"]
    assert list(panels) == ["float32", "float16", "dynamic", "int8"]
    stored = {p.variant: p for p in layout.statistics(run, "tiny").probabilities}
    for label, panel in panels.items():
        own = stored[f"tiny-{label}"]
        assert panel["scores"]["ece"]["value"] == own.scores["ece"].value
        assert sum(b["observed"]["n"] for b in panel["raw"]) == 6


def test_flips_and_reliability_follow_the_evidence(run, tmp_path):
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "evidence")
    analyse(copy, ["tiny"])
    for figure in ("flips", "reliability"):
        assert "have not been computed" in data(copy, figure).unavailable
    assert data(copy, "fidelity").unavailable is None


def test_the_report_says_where_variants_look_and_how_they_fall(run):
    html = (run / "report" / "index.html").read_text(encoding="utf-8")
    said = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    evidence_of = json.loads((run / "report" / "results.json").read_text())["evidence"]
    ssim = data(run, "fidelity").facts["maps"]["int8"]["ssim"]["value"]
    assert "Does it look at the same thing?" in said and f"{ssim:.3f}" in said
    assert re.search(r"No maps of foreign ?: foreign has no output", said)
    assert evidence_of["fidelity"]["tiny"]["maps"]["int8"]["ssim"]["value"] == ssim
    assert evidence_of["fidelity"]["foreign"]["maps"] is None
    for test in evidence_of["robustness"]["tiny"]["tests"]:
        assert {"shown": "no faster", "not shown": "cannot tell",
                "worse": "faster"}[test["answer"]] in said
    assert "Worse images: does full integer fall faster?" in said
