"""The report stage over a fake run: the contract's files, honesty, escaping, determinism."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_fixture import (
    PAYLOADS,
    SCHEMES,
    TASK,
    Names,
    _stage,
    make_run,
)

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.recommendation import Confirmation
from bedside.core.study import ModelConfig, Study
from bedside.core.types import Estimate, Task
from bedside.figures.base import FigureData
from bedside.runfolder import artefact, layout
from bedside.runfolder.predictions import Predictions
from bedside.stages.report import changes, matrix, methods, paper, results, summary, tables, wording
from bedside.stages.report.build import build_report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("run"))
    build_report(folder)
    return folder


def rows_of(run: Path) -> list[dict]:
    return json.loads((run / "report" / "results.json").read_text())["rows"]


def page(run: Path) -> str:
    return (run / "report" / "index.html").read_text(encoding="utf-8")


# ------------------------------------------------------------------ results.json and the CSVs


def test_results_json_keeps_the_contract(run: Path) -> None:
    document = json.loads((run / "report" / "results.json").read_text())
    assert document["schema"] == 1 and len(document["rows"]) == 8
    for row in document["rows"]:
        assert set(row) >= {"model", "scheme", "variant", "target", "status", "reason", "evidence",
                            "compute_dtype", "size_bytes", "metrics", "latency_ms",
                            "peak_memory_bytes", "delegated_fraction"}
        assert set(row["evidence"]) >= {"accuracy", "latency"}
        for metric in row["metrics"].values():
            assert metric is None or set(metric) == {"value", "low", "high", "n"}
        if row["latency_ms"] is not None:
            assert set(row["latency_ms"]) == {"median", "p95", "n", "threads"}


def test_results_json_gives_back_what_was_measured(run: Path) -> None:
    for m in layout.measurements(run):
        row = next(r for r in rows_of(run) if r["variant"] == m.variant)
        for name, estimate in m.metrics.get("test", {}).items():
            if estimate.value is None:
                assert row["metrics"][name] is None
                assert row["undefined"][name] == estimate.reason
            else:
                assert Estimate(**row["metrics"][name]) == estimate
        for name, estimate in m.metrics.get("val", {}).items():
            found = row["splits"]["val"]["metrics"][name]
            assert (found is None) == (estimate.value is None)
            assert found is None or Estimate(**found) == estimate


def test_an_unsupported_cell_is_a_row_with_its_reason(run: Path) -> None:
    row = next(r for r in rows_of(run) if r["variant"] == "vgg16-dynamic")
    assert (row["status"], row["metrics"], row["latency_ms"]) == ("unsupported", {}, None)
    assert row["reason"] == Names().reason and Names().reason in page(run)


def test_csv_has_a_line_a_row_and_an_empty_cell_for_an_undefined_number(run: Path) -> None:
    lines = list(csv.DictReader(io.StringIO((run / "report" / "results.csv").read_text())))
    assert [line["variant"] for line in lines] == [r["variant"] for r in rows_of(run)]
    assert {line["specificity"] for line in lines} == {""}
    assert lines[0]["specificity_undefined"] == "no image of the negative class"
    assert float(lines[0]["accuracy"]) == rows_of(run)[0]["metrics"]["accuracy"]["value"]


def test_predictions_csv_names_images_by_case_id_alone(run: Path) -> None:
    text = (run / "report" / "predictions.csv").read_text()
    lines = list(csv.DictReader(io.StringIO(text)))
    assert list(lines[0]) == ["model", "scheme", "variant", "target", "id", "split", "label",
                              "predicted", "logit_benign", "logit_malignant"]
    assert len(lines) == 7 * 20
    found = layout.predictions(run, "vgg16-int8", "cpu")
    mine = [line for line in lines if line["variant"] == "vgg16-int8"]
    logits = np.array([[line["logit_benign"], line["logit_malignant"]] for line in mine])
    assert np.array_equal(logits.astype(np.float32), found.logits)
    chosen = [TASK.classes[k] for k in found.logits.argmax(1)]
    assert [line["predicted"] for line in mine] == chosen
    for name in ("predictions.csv", "results.json", "results.csv", "index.html"):
        assert "secret-" not in (run / "report" / name).read_text()


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_no_csv_cell_is_taken_for_a_formula(first: str) -> None:
    assert results.safe_cell(first + "cmd|' /C calc'!A0").startswith("'" + first)


def test_negative_numbers_stay_numbers_in_csv() -> None:
    assert results.safe_cell(-0.5) == -0.5
    assert results.safe_cell(None) == ""


def test_hostile_class_names_are_defused_in_every_csv(tmp_path: Path) -> None:
    make_run(tmp_path, Names(classes=("=1+1", "@SUM(A1)")))
    build_report(tmp_path)
    for name in ("results.csv", "predictions.csv"):
        for line in csv.reader(io.StringIO((tmp_path / "report" / name).read_text())):
            for cell in line:
                number = re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", cell)
                assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell


# ------------------------------------------------------------------ what the tables say


def test_changes_count_what_was_flipped(run: Path) -> None:
    rows = {r["variant"]: r for r in rows_of(run)}
    assert rows["vgg16-float32"]["changed"] is None
    assert [rows[f"efficientnet_lite0-{s}"]["changed"]["changed"] for s in SCHEMES[1:]] == [1, 2, 3]
    assert rows["vgg16-int8"]["changed"]["against"] == "vgg16-float32@cpu"
    assert rows["vgg16-int8"]["changed"]["n"] == 10


def test_changes_match_images_by_id() -> None:
    def some(ids: Iterable[str], logits: list[list[float]], labels: list[int]
             ) -> Predictions:
        return Predictions(np.array(list(ids)), np.array(["test"] * len(labels)),
                                  np.array(labels), np.array(logits, np.float32))

    old = some("abcd", [[1, 0], [0, 1], [1, 0], [0, 1]], [0, 0, 1, 1])
    new = some("dcbax", [[1, 0], [0, 1], [0, 1], [1, 0], [1, 0]], [1, 1, 0, 0, 0])
    assert changes.compare(old, new, "f") == changes.Change("f", 4, 2, 1, 1)


def test_headlines_come_from_the_rows(run: Path) -> None:
    rows = rows_of(run)
    found = {h.model: h for h in tables.headlines(rows)}
    assert found["vgg16"].size_reduction == pytest.approx(0.74, abs=1e-6)
    assert found["vgg16"].smallest == "int8 on cpu"
    assert found["vgg16"].time_reduction == pytest.approx(0.0)
    for row in rows:
        if row["scheme"] == "int8":
            row["latency_ms"]["median"] *= 0.03
    faster = {h.model: h for h in tables.headlines(rows)}
    assert faster["vgg16"].time_reduction == pytest.approx(paper.TIME_REDUCTION)
    for row in rows:
        if row["scheme"] == "int8":
            row["evidence"]["latency"] = "estimated"
    assert tables.headlines(rows)[1].fastest == "float16 on cpu"


def test_a_latency_taken_on_a_busy_machine_is_marked(run: Path) -> None:
    rows = rows_of(run)
    assert not any(tables.unsteady(r) for r in rows)
    next(r for r in rows if r["variant"] == "vgg16-float32")["latency_ms"]["p95"] *= 3
    assert tables.headlines(rows)[1].fastest == "float16 on cpu (unsteady)"
    table = matrix.matrix(rows, matrix.Notes())
    assert [line.cells[1].tag for line in table.groups[1].lines if line.cells] == [
        "unsteady", "", ""]


def test_the_page_opens_with_the_recommendation(run: Path) -> None:
    found = layout.recommendations(run).recommendations
    assert [(r.target, r.chosen) for r in found] == [("cpu", "efficientnet_lite0-int8")]
    text = " ".join("".join(read(page(run)).words).split())
    top = text[:text.index("Every variant")]
    assert "On cpu use efficientnet_lite0-int8 test set too small to tell" in top
    for r in found:
        assert r.rule in top and all(w in top for w in r.why)
        for variant, reason in r.rejected.items():
            assert f"{variant}{reason[:1].upper()}{reason[1:]}." in top
    assert [r["variant"] for r in rows_of(run) if r["recommended"]] == ["efficientnet_lite0-int8"]


def test_a_run_without_a_recommendation_says_how_to_get_one(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "manifest.json").unlink()
    build_report(tmp_path)
    assert "bedside recommend RUN makes one" in page(tmp_path)
    assert {r["recommended"] for r in rows_of(tmp_path)} == {None}


def test_spread_is_the_sample_standard_deviation() -> None:
    sd = pytest.approx(np.std([1, 3], ddof=1))
    assert tables.spread([1.0, None, 3.0]) == tables.Spread(2, 2.0, sd)
    assert tables.spread([5.0]) == tables.Spread(1, 5.0, None)
    assert tables.spread([None]) == tables.Spread(0)


def test_the_flow_adds_up(run: Path) -> None:
    flow = tables.flow(layout.cases(run), TASK, {"set_aside": [{"file": "x", "reason": "torn"}]})
    assert (flow.read, flow.used, flow.set_aside_total) == (41, 40, 1)
    assert flow.set_aside == (("torn", 1),)
    assert (flow.groups, flow.largest_group) == (38, 2)


def test_the_papers_numbers_are_the_papers() -> None:
    # Read from the article once more, by column.
    accuracy = [[c.accuracy for c in column.values()] for column in paper.TABLE_2.values()]
    assert accuracy == [[.87, .87, .87, .865], [.885, .88, .885, .88], [.77, .77, .77, .765]]
    sizes = [[c.size_mb for c in column.values()] for column in paper.TABLE_2.values()]
    assert sizes == [[74.1, 18.6, 37.0, 18.6], [61.7, 15.6, 30.9, 15.6], [85.1, 21.5, 42.6, 21.5]]


def test_differences_carry_a_true_sign() -> None:
    assert wording.points(-0.005) == "−0.5 points"
    assert wording.points(-0.0001) == "±0.0 points"
    assert wording.delta(0.0123) == "+0.012"
    assert wording.less(-0.08, "faster", "slower") == "8% slower"


# ------------------------------------------------------------------ the page


class Reader(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.values += [f"{name}={value}" for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def test_undefined_numbers_are_dashes_with_a_reason(run: Path) -> None:
    html = page(run)
    assert "Specificity: no image of the negative class." in html
    assert not re.search(r"\b(nan|None|null|inf)\b", html)


def test_the_page_says_what_it_is_not(run: Path) -> None:
    html = page(run)
    assert "not a medical device" in html
    assert "FP16 computed as float32 here" in html
    assert "Synthetic images" not in html


def test_the_page_is_self_contained(run: Path) -> None:
    html = page(run)
    assert not re.search(r"(https?:|file:|//\w)", html)
    reader = read(html)
    assert "script" not in {tag for tag, _ in reader.tags}
    assert any("default-src 'none'; img-src data:" in v for v in reader.values)
    for value in reader.values:
        name, _, content = value.partition("=")
        if name == "src":
            assert content.startswith("data:image/")
        if name == "href":
            assert content.startswith(("#", "figures/", "flips.html"))


def test_every_link_inside_the_page_leads_somewhere(run: Path) -> None:
    values = read(page(run)).values
    ids = [v[3:] for v in values if v.startswith("id=")]
    assert len(ids) == len(set(ids))
    assert {v[6:] for v in values if v.startswith("href=#")} <= set(ids)


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    build_report(make_run(tmp_path))
    for name in ("index.html", "results.json", "results.csv", "predictions.csv"):
        one, other = (hashlib.sha256((r / "report" / name).read_bytes()).hexdigest()
                      for r in (run, tmp_path))
        assert one == other, name


def test_the_recipe_that_tuning_chose_is_the_one_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    model = layout.model_specs(run)[0].id
    tuning = layout.Tuning(2, (layout.Trial(5e-4, 0.05, 1.5, 0.7),
                               layout.Trial(2e-3, 0.01, 0.25, 0.8)), 1)
    with artefact.writing(layout.model_dir(run, model), "train", "tuned") as scratch:
        artefact.write_text(scratch / layout.TUNING, codec.to_json(tuning))
    facts = dict(dict(methods.training(run, layout.study(run), layout.model_specs(run)))[model])
    assert facts["Tuning"] == "2 trials of 2 epochs, chosen on validation AUC (0.800 in trial 2)"
    for shown in ("learning rate 0.002", "weight decay 0.01", "augmentation 0.25"):
        assert shown in facts["Recipe"]


def test_methods_say_what_was_done(run: Path) -> None:
    text = " ".join("".join(read(page(run)).words).split())
    assert "20 in int8; image in float32, logits in float32" in text
    assert "3 of 4; best validation AUC 0.910 after epoch 2" in text
    assert "numpy2.4" in text


def test_a_finished_report_is_left_alone_and_a_new_measurement_remakes_it(tmp_path: Path) -> None:
    path = build_report(make_run(tmp_path))
    before = path.stat().st_mtime_ns
    build_report(tmp_path)
    assert path.stat().st_mtime_ns == before
    m = layout.measurements(tmp_path)[0]
    _stage(layout.measurement_dir(tmp_path, m.variant, m.target), "other", {"x": "y"})
    build_report(tmp_path)
    assert path.stat().st_mtime_ns != before


def test_a_run_without_measurements_is_one_message(tmp_path: Path) -> None:
    artefact.write_text(layout.study_file(tmp_path), codec.to_toml(Study()))
    with pytest.raises(BadInput, match="no variant has been measured"):
        build_report(tmp_path)


def test_three_classes_are_reported_by_macro_means(tmp_path: Path) -> None:
    build_report(make_run(tmp_path, Names(classes=("benign", "malignant", "normal"))))
    html = page(tmp_path)
    assert "AUC (macro, one-vs-rest)" in html and "Sensitivity (macro)" in html
    assert layout.recommendations(tmp_path).recommendations[0].candidates[0].metric == "macro_auroc"


# The page's own markup, whatever the names: a payload that adds to it has escaped.


def _shape(html: str) -> list[tuple[str, tuple[str, ...]]]:
    return read(html).tags


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_names_add_no_markup(payload: str, run: Path) -> None:
    from bedside.stages.report import page as template

    rows = _context(payload, run)
    plain = _context("plain", run)
    html = template.render(rows)
    allowed = _shape(template.render(plain))
    assert _shape(html) == allowed
    assert "\x00" not in html and "\u202e" not in html
    if payload.startswith("{{ 7"):
        assert payload in "".join(read(html).words)


def _context(name: str, base: Path) -> dict:
    """The template's context of a small study in which every free text is ``name``."""
    from bedside.stages.report import build, gallery

    task = Task((name + "0", name), name)
    cases = [dataclasses.replace(c, label=name if c.label == "malignant" else name + "0",
                                 patient=name) for c in layout.cases(base)]
    measured = [dataclasses.replace(
        m, model=name, variant=name + m.scheme, target=name, compute_dtype=name,
        reason=name if m.reason else None, machine={name: name}, metrics={
            s: {n: dataclasses.replace(e, reason=name if e.reason else None)
                for n, e in found.items()} for s, found in m.metrics.items()})
        for m in layout.measurements(base) if m.model == "vgg16"]
    rows = [results.row(m, changes.Change(name, 10, 2, 1, 1)) for m in measured]
    specs = [dataclasses.replace(s, id=name, name=name) for s in layout.model_specs(base)[:1]]
    study = dataclasses.replace(layout.study(base), models=(ModelConfig(name),))
    pictures = [gallery.Picture(name, name, name, "data:image/png;base64,", (name + ".svg",)),
                gallery.Picture("all", name, name)]
    found = build.context(base, study, specs, measured, rows, pictures)
    known = layout.recommendations(base).recommendations[0]
    hostile = dataclasses.replace(
        known, target=name, chosen=name + "int8", rejected={name: name}, why=(name,),
        warnings=(name,), test=Confirmation("not shown", name))
    none = dataclasses.replace(hostile, chosen=None)
    notes = matrix.Notes()
    notes.reasons += found["notes"]
    flow = tables.flow(cases, task, {"set_aside": [{"reason": name}], "notes": [name]})
    return {**found, "answers": [summary.answer(rows, r, notes) for r in (hostile, none)],
            "rules": (name, name), "pareto": pictures[0], "task": name,
            "classes": task.classes, "flow": flow,
            "merge": {name: name}, "exclude": (name,),
            "operations": [(name, name)], "versions": ((name, name),)}


# ------------------------------------------------------------------ figures


def test_every_figure_of_the_analysis_is_shown(tmp_path: Path) -> None:
    from bedside.figures.draw import FIGURES, TITLES

    make_run(tmp_path)
    wanted = ["history", "weights"]
    for figure in wanted:
        assert figure in FIGURES
        with artefact.writing(tmp_path / "analysis" / figure / "vgg16", "analyse", "k") as scratch:
            FigureData(facts={"unavailable": f"no {figure} for this model"}).save(scratch)
    build_report(tmp_path)
    html = page(tmp_path)
    for figure in wanted:
        assert TITLES[figure].replace("'", "&#39;") in html
        assert f"no {figure} for this model" in html


def test_a_drawn_figure_is_inlined_and_saved_twice(tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    from bedside.figures import render as module

    def draw(data: Path, out: Path, name: str, stem: str | None = None) -> tuple[Path, Path]:
        out.mkdir(parents=True, exist_ok=True)
        paths = (out / f"{stem}.svg", out / f"{stem}.png")
        # Above the limit the PNG is shown instead of the SVG.
        paths[0].write_text("<svg/>" if name == "history" else "<svg>" + " " * 400_000 + "</svg>")
        paths[1].write_bytes(b"png")
        return paths

    monkeypatch.setattr(module, "render", draw)
    monkeypatch.setattr(module, "caption", lambda data, name: f"caption of {name}")
    make_run(tmp_path)
    for figure in ("history", "weights"):
        with artefact.writing(tmp_path / "analysis" / figure / "vgg16", "analyse", "k") as scratch:
            FigureData(facts={"x": 1}).save(scratch)
    build_report(tmp_path)
    saved = sorted(p.name for p in (tmp_path / "report" / "figures").iterdir())
    assert saved == ["history-vgg16.png", "history-vgg16.svg", "weights-vgg16.png",
                     "weights-vgg16.svg"]
    sources = [v[4:] for v in read(page(tmp_path)).values if v.startswith("src=")]
    assert [s.partition(";")[0] for s in sources] == ["data:image/svg+xml", "data:image/png"]
    assert "caption of weights" in page(tmp_path)
