"""A person's decisions: applied, part of the key, refused where they are wrong."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from data_fixture import folder, save, texture

from bedside.core import codec
from bedside.core.audit import Audit
from bedside.core.errors import BadInput
from bedside.core.study import DataConfig, Study
from bedside.core.types import Case
from bedside.runfolder import stored
from bedside.stages.data import decisions
from bedside.stages.data.stage import prepare


def prepared(tmp_path: Path, text: str) -> tuple[Audit, dict[str, Case]]:
    data = folder(tmp_path / "set", {"benign": 12, "malignant": 12})
    save(data / "benign" / "duplicate.png", (texture(0) * 0.8).astype(np.uint8))
    out = tmp_path / "run"
    out.mkdir(exist_ok=True)
    (out / decisions.NAME).write_text(text)
    prepare(out, Study(data=DataConfig(source=str(data))))
    audit = codec.read_json(Audit, out / "data" / "audit.json")
    return audit, {c.file: c for c in stored.cases(out)}


def test_decisions_are_applied_and_take_part_in_the_key(tmp_path) -> None:
    before, cases = prepared(tmp_path, "")
    assert len(before.duplicates) == 1 and before.decisions == 0
    ident = cases["malignant/003.png"].id
    after, cases = prepared(tmp_path, f"""
[[apart]]
first = "benign/duplicate.png"
second = "benign/000.png"
[[set_aside]]
file = "{ident}"
reason = "axilla"
""")
    assert after.duplicates == () and after.decisions == 2
    assert cases["benign/duplicate.png"].group != cases["benign/000.png"].group
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
