"""``bedside audit`` and ``bedside split``: the page, the gate, decisions, shortcuts, outliers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from data_fixture import folder, save, texture

from bedside.cli import app
from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.study import DataConfig, Study
from bedside.core.types import Case
from bedside.runfolder import layout
from bedside.stages.data import audit, decisions, outliers
from bedside.stages.data.overlays import Look
from bedside.stages.data.scan import Scanned
from bedside.stages.data.shortcut import shortcuts
from bedside.stages.data.stage import prepare


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        app.main([str(a) for a in arguments])
    return int(caught.value.code or 0)


@pytest.fixture
def torn(tmp_path: Path) -> tuple[Path, Path]:
    """A data set and a split that puts a picture and its twin into two parts."""
    data = folder(tmp_path / "set", {"benign": 12, "malignant": 12})
    save(data / "benign" / "twin.png", (texture(0) * 0.8).astype(np.uint8))
    files = sorted(p.relative_to(data).as_posix() for p in data.rglob("*.png"))
    parts = dict.fromkeys(files, "train") | {
        "benign/twin.png": "test", "malignant/000.png": "test", "malignant/001.png": "val",
        "benign/001.png": "val"}
    table = tmp_path / "split.csv"
    table.write_text("file,split\n" + "".join(f"{f},{p}\n" for f, p in parts.items()))
    return data, table


def test_the_gate_fails_after_the_page_is_written(torn, tmp_path, capsys) -> None:
    data, table = torn
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


# ------------------------------------------------------------------ decisions


def prepared(tmp_path: Path, text: str) -> tuple[audit.Audit, dict[str, Case]]:
    data = folder(tmp_path / "set", {"benign": 12, "malignant": 12})
    save(data / "benign" / "twin.png", (texture(0) * 0.8).astype(np.uint8))
    out = tmp_path / "run"
    out.mkdir(exist_ok=True)
    (out / decisions.NAME).write_text(text)
    prepare(out, Study(data=DataConfig(source=str(data))))
    found = codec.read_json(audit.Audit, out / "data" / "audit.json")
    return found, {c.file: c for c in layout.cases(out)}


def test_decisions_are_applied_and_take_part_in_the_key(tmp_path) -> None:
    before, cases = prepared(tmp_path, "")
    assert len(before.duplicates) == 1 and before.decisions == 0
    ident = cases["malignant/003.png"].id
    after, cases = prepared(tmp_path, f"""
[[apart]]
first = "benign/twin.png"
second = "benign/000.png"
[[set_aside]]
file = "{ident}"
reason = "axilla"
""")
    assert after.duplicates == () and after.decisions == 2
    assert cases["benign/twin.png"].group != cases["benign/000.png"].group
    assert cases["malignant/003.png"].split == "set_aside"
    assert "set aside by decision: axilla" in {a.reason for a in after.set_aside}


@pytest.mark.parametrize(("text", "fault"), [
    ('[[set_aside]]\nfile = "benign/00.png"', "Did you mean 'benign/0"),
    ('[[apart]]\nfirst = "benign/000.png"\nsecond = "benign/000.png"', "apart from itself"),
    ("[[set_aside]\n", "not valid TOML"),
    ('[[aside]]\nfile = "benign/000.png"', "aside"),
])
def test_bad_decisions_are_one_message(tmp_path, text: str, fault: str) -> None:
    with pytest.raises(BadInput, match=re.escape(fault)):
        prepared(tmp_path, text)
    assert not (tmp_path / "run" / "data" / "cases.csv").exists()


# ------------------------------------------------------------------ shortcuts, outliers, balance


def seen(width: int, look: Look) -> Scanned:
    return Scanned("", "", 100, width, False, bytes(32), b"", look)


def case(i: int, label: str, width: int) -> Case:
    return Case(f"c{i}", f"{i}.png", label, group=f"g{i // 2}", split="train", height_px=100,
                width_px=width)


def test_a_planted_shortcut_is_named_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    labels = ["malignant" if i % 2 else "benign" for i in range(200)]
    widths = [int(rng.integers(100, 120)) for _ in labels]
    looks = [Look(calipers=int(rng.random() < (0.8 if name == "malignant" else 0.2)))
             for name in labels]
    cases = [case(i, name, w) for i, (name, w) in enumerate(zip(labels, widths, strict=True))]
    scans = [seen(w, k) for w, k in zip(widths, looks, strict=True)]
    found = {s.name: s for s in shortcuts(cases, scans, ("benign", "malignant"), "malignant", 0)}
    size, marks = found["picture size"], found["marks on the picture"]
    assert marks.warning and 0.7 < marks.auc.value < 0.9
    assert not size.warning and size.auc.low < 0.5
    note, = audit.shortcut_notes(list(found.values()))
    assert "marks on the picture" in note and "malignant 0." in note


def test_no_figure_where_images_are_alike_or_few() -> None:
    cases = [case(i, "ab"[i % 2], 100) for i in range(40)]
    found = shortcuts(cases, [seen(100, Look())] * 40, ("a", "b"), "b", 0)
    assert {s.auc.reason for s in found} == {"all images are alike in it"}
    few = [case(i, "ab"[i % 2], 100 + i) for i in range(8)]
    found = shortcuts(few, [seen(100 + i, Look()) for i in range(8)], ("a", "b"), "b", 0)
    assert all(s.auc.value is None and s.auc.reason for s in found)


def test_outliers_of_size_and_brightness() -> None:
    files = [f"{i}" for i in range(100)]
    widths = [512.0] * 98 + [4000.0, 500.0]
    means = [*np.random.default_rng(0).normal(80, 5, 99).tolist(), 250.0]
    found = outliers.outliers(files, {"width_px": widths, "mean": means}, ("width_px",))
    assert [(o.file, o.what) for o in found] == [("98", "width_px"), ("99", "mean")]


def test_shared_counts_groups_and_patients_from_cases() -> None:
    cases = [Case("a", "a", "x", "P", "g1", "train"), Case("b", "b", "x", "P", "g1", "test"),
             Case("c", "c", "x", "P", "g2", "val"), Case("d", "d", "x", None, "g3", "train"),
             Case("e", "e", "x", None, "g3", "set_aside")]
    assert audit.shared(cases) == (1, 1)


def test_a_rare_class_is_named() -> None:
    assert audit.balance_notes({"a": 500, "b": 500}) == []
    note, = audit.balance_notes({"a": 950, "b": 50})
    assert "'b' holds 50 of 1000" in note
