"""The audit page: self-contained, with thumbnails, and left alone when finished."""

from __future__ import annotations

from pathlib import Path

from bedside.core import codec
from bedside.core.types import Case, Task
from bedside.runfolder import artefact, layout
from bedside.runfolder.cases import cases_to_csv
from bedside.stages.report import audit_page

CASES = [Case("c1", "a.png", "benign", group="g1", split="train", flags=("text",)),
         Case("c2", "b<b>.png", "malignant", group="g2", split="test")]
AUDIT = {"read": 2, "findings": {"text": {"benign": 1, "malignant": 0}},
         "balance": {"benign": 1, "malignant": 1}}


def data(folder: Path) -> Path:
    artefact.write_text(folder / layout.CASES, cases_to_csv(CASES))
    artefact.write_text(folder / layout.TASK, codec.to_json(Task(("benign", "malignant"))))
    artefact.write_text(folder / layout.AUDIT, codec.to_json(AUDIT))
    return folder


def test_the_page_shows_findings_with_thumbnails_and_no_markup_of_the_data(tmp_path: Path) -> None:
    asked: list[str] = []

    def thumbnails(files):
        asked.extend(files)
        return dict.fromkeys(files, "data:image/png;base64,")

    page = audit_page.write(data(tmp_path / "data"), tmp_path / "audit", thumbnails, "gate text")
    html = page.read_text(encoding="utf-8")
    assert asked == ["a.png"]
    assert 'src="data:image/png' in html and "gate text" in html
    assert "b<b>" not in html and "default-src 'none'" in html and "<script" not in html
    before = page.stat().st_mtime_ns
    audit_page.write(tmp_path / "data", tmp_path / "audit", thumbnails, "gate text")
    assert page.stat().st_mtime_ns == before
