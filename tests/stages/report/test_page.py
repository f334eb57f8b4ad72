"""The page: self-contained, escaped, honest about undefined numbers."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from report_fixture import PAYLOADS, TASK, _cases, make_run
from report_reader import page, read

from bedside.core.recommendation import Confirmation
from bedside.core.study import ModelConfig
from bedside.core.types import Task
from bedside.runfolder import stored
from bedside.stages.report import changes, matrix, results, summary, tables
from bedside.stages.report.build import build_report


def test_undefined_numbers_are_dashes_with_a_reason(tmp_path: Path) -> None:
    cases = [c if c.split != "test" else dataclasses.replace(c, label="malignant")
             for c in _cases(TASK.classes)]
    make_run(tmp_path, cases=cases)
    build_report(tmp_path)
    html = page(tmp_path)
    assert "Specificity: no negative images." in html
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
                                 patient=name) for c in stored.cases(base)]
    measured = [dataclasses.replace(
        m, model=name, variant=name + m.scheme, target=name, compute_dtype=name,
        reason=name if m.reason else None, machine={name: name}, metrics={
            s: {n: dataclasses.replace(e, reason=name if e.reason else None)
                for n, e in found.items()} for s, found in m.metrics.items()})
        for m in stored.measurements(base) if m.model == "vgg16"]
    rows = [results.row(m, changes.Change(name, 10, 2, 1, 1)) for m in measured]
    specs = [dataclasses.replace(s, id=name, name=name) for s in stored.model_specs(base)[:1]]
    study = dataclasses.replace(stored.study(base), models=(ModelConfig(name),))
    figures = [gallery.GalleryFigure(name, name, name, "data:image/png;base64,", (name + ".svg",)),
               gallery.GalleryFigure("all", name, name)]
    found = build.context(base, study, specs, measured, rows, figures)
    known = stored.recommendations(base).recommendations[0]
    hostile = dataclasses.replace(
        known, target=name, chosen=name + "int8", rejected={name: name}, why=(name,),
        warnings=(name,), test=Confirmation("not shown", name))
    none = dataclasses.replace(hostile, chosen=None)
    notes = matrix.Notes()
    notes.reasons += found["notes"]
    flow = tables.flow(cases, task, {"set_aside": [{"reason": name}], "notes": [name]})
    return {**found, "answers": [summary.answer(rows, r, notes) for r in (hostile, none)],
            "rules": (name, name), "pareto": figures[0], "task": name,
            "classes": task.classes, "flow": flow,
            "merge": {name: name}, "exclude": (name,),
            "operations": [(name, name)], "versions": ((name, name),)}
