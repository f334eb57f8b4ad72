"""Workbooks cell by cell, against the parts that ECMA-376 names."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from layout_fixture import workbook

from bedside.core.errors import BadInput
from bedside.readers import xlsx
from bedside.readers.xlsx import column_name, number_text, read_sheets

SHARED = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" count="3" uniqueCount="3">
<si><t>file</t></si><si><r><rPr><b/></rPr><t xml:space="preserve">la</t></r><r><t>bel</t></r></si>
<si><t>benign_x000D_</t><rPh sb="0" eb="1"><t>READING</t></rPh></si></sst>"""
SHEET = """<?xml version="1.0"?><x:worksheet
xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><x:sheetData>
<x:row r="2"><x:c r="A2" t="s"><x:v>0</x:v></x:c><x:c r="AB2" t="s"><x:v>1</x:v></x:c></x:row>
<x:row r="5"><x:c r="A5"><x:v>51.0</x:v></x:c><x:c r="B5" t="b"><x:v>1</x:v></x:c>
<x:c r="C5" t="e"><x:v>#N/A</x:v></x:c><x:c r="AB5" t="s"><x:v>2</x:v></x:c><x:c r="AC5" s="4"/>
</x:row></x:sheetData></x:worksheet>"""


def test_cells_of_every_type(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"s": [["x"]], "empty": []})
    other = tmp_path / "b.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            new.writestr(name, SHEET if name.endswith("sheet1.xml") else old.read(name))
        new.writestr("xl/sharedStrings.xml", SHARED)
    (sheet,) = read_sheets(other)
    assert sheet.name == "s" and sheet.formulas == set()
    assert sheet.rows == {2: {1: "file", 28: "label"},
                          5: {1: "51", 2: "1", 3: "#N/A", 28: "benign\r"}}


def test_hidden_sheets_are_left_out(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"s": [["x"]], "lists": [["y"]]})
    other = tmp_path / "b.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(
                b'<sheet name="lists"', b'<sheet name="lists" state="hidden"'))
    assert [s.name for s in read_sheets(other)] == ["s"]


def test_more_xml_than_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "a.xlsx", {"s": [["x" * 40] * 20] * 400})
    assert path.stat().st_size < 50_000
    monkeypatch.setattr(xlsx, "MAX_XML_BYTES", 100_000)
    with pytest.raises(BadInput, match="more than"):
        read_sheets(path)


@pytest.mark.parametrize(("text", "shown"), [
    ("51", "51"), ("51.0", "51"), ("-1", "-1"), ("0.30000000000000004", "0.3"),
    ("1.5E-2", "0.015"), ("20240131", "20240131")])
def test_numbers(text: str, shown: str) -> None:
    assert number_text(text) == shown


@pytest.mark.parametrize(("number", "letters"), [(1, "A"), (26, "Z"), (27, "AA"), (703, "AAA")])
def test_column_names(number: int, letters: str) -> None:
    assert column_name(number) == letters
