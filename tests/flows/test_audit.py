"""``bedside audit`` and ``bedside split``: the page, the gate, repeatability."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from data_fixture import folder, save, texture

from bedside.cli import app
from bedside.core import codec
from bedside.core.study import Study
from bedside.runfolder import layout


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        app.main([str(a) for a in arguments])
    return int(caught.value.code or 0)


@pytest.fixture
def separated(tmp_path: Path) -> tuple[Path, Path]:
    """A data set and a split that puts an image and its near-duplicate into two parts."""
    data = folder(tmp_path / "set", {"benign": 12, "malignant": 12})
    save(data / "benign" / "duplicate.png", (texture(0) * 0.8).astype(np.uint8))
    files = sorted(p.relative_to(data).as_posix() for p in data.rglob("*.png"))
    parts = dict.fromkeys(files, "train") | {
        "benign/duplicate.png": "test", "malignant/000.png": "test", "malignant/001.png": "val",
        "benign/001.png": "val"}
    table = tmp_path / "split.csv"
    table.write_text("file,split\n" + "".join(f"{f},{p}\n" for f, p in parts.items()))
    return data, table


def test_the_gate_fails_after_the_page_is_written(separated, tmp_path, capsys) -> None:
    data, table = separated
    out = tmp_path / "out"
    assert run("audit", data, "--out", out, "--split-file", table) == 1
    said = capsys.readouterr()
    assert "--regroup" in said.err and "page: " in said.err and "Traceback" not in said.err
    page = (out / "audit" / "index.html").read_text()
    assert "The gate failed" in page and "failed</span>" in page
    # Cases that a gate refused must never be what a run trains on.
    assert not (out / "data").exists()
    assert run("audit", data, "--out", out, "--split-file", table, "--regroup") == 0
    assert "The gate failed" not in (out / "audit" / "index.html").read_text()


def test_the_page_is_self_contained_and_safe(tmp_path, capsys) -> None:
    data = folder(tmp_path / "set", {"benign": 8, "<b>mal & co": 8})
    save(data / "benign" / "a<img src=x>.png", texture(3))
    assert run("audit", data, "--out", tmp_path / "out", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["duplicates"] == 1 and facts["shared_groups"] == 0
    page = (tmp_path / "out" / "audit" / "index.html").read_text()
    assert "default-src 'none'; img-src data:" in page
    assert "<script" not in page and "<b>mal" not in page and "<img src=x>" not in page
    assert set(re.findall(r'(?:src|href)="([^"#]{5})', page)) == {"data:"}
    assert page.count("data:image/jpeg") >= 2


def test_an_audit_is_repeatable(tmp_path) -> None:
    data = folder(tmp_path / "set")
    pages = []
    for name in ("a", "b"):
        assert run("audit", data, "--out", tmp_path / name) == 0
        pages.append((tmp_path / name / "audit" / "index.html").read_bytes())
    assert pages[0] == pages[1]


def test_audit_of_a_run_and_split(tmp_path, capsys) -> None:
    data, out = folder(tmp_path / "set", {"benign": 20, "malignant": 20}), tmp_path / "run"
    assert run("split", data, "--out", out, "--seed", 3, "--json") == 0
    counts = json.loads(capsys.readouterr().out)
    assert sum(sum(c.values()) for c in counts["used"].values()) == 40
    assert codec.read_toml(Study, layout.study_file(out)).seed == 3
    before = (out / "data" / "cases.csv").read_bytes()
    assert run("audit", out) == 0
    assert (out / "audit" / "index.html").is_file()
    assert (out / "data" / "cases.csv").read_bytes() == before
    assert run("audit", out, "--regroup") == 2
