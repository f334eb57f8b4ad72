"""Tables beside images: what agrees is a note, what does not is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_fixture import folder

from bedside.core.errors import BadInput
from bedside.readers import beside
from bedside.readers.files import walk
from bedside.readers.layouts import understand
from bedside.readers.masks import pair


def compared(root: Path, table: str) -> tuple[str, ...]:
    (root / "t.csv").write_text(table)
    tree = walk(root)
    reading = understand(tree)
    return beside.compare(tree, reading.cases, reading.pairing)


def rows(labels: dict[str, str]) -> str:
    return "file,label\n" + "".join(f"{f},{label}\n" for f, label in labels.items())


NAMES = [f"{c}/{i:03d}.png" for c in ("a", "b") for i in range(4)]


def test_the_same_classes_under_other_names(tmp_path: Path) -> None:
    source = folder(tmp_path, {"a": 4, "b": 4})
    assert "same classes" in compared(source, rows({f: f"class {f[0]}" for f in NAMES}))[0]


@pytest.mark.parametrize("labels", [
    {f: "xy"[int(f[4])  % 2] for f in NAMES},     # across the folders
    {f: f"{f[0]}{int(f[4]) % 2}" for f in NAMES},  # finer than the folders
])
def test_other_classes_are_asked_about(tmp_path: Path, labels: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="gives other labels"):
        compared(folder(tmp_path, {"a": 4, "b": 4}), rows(labels))


@pytest.mark.parametrize(("table", "note"), [
    ("", "t.csv beside the images is not read: the table is empty."),
    ("a,a\n1,2\n", "'a' is given twice"),
])
def test_tables_that_do_not_read_are_said(tmp_path: Path, table: str, note: str) -> None:
    assert note in compared(folder(tmp_path, {"a": 4, "b": 4}), table)[0]


def test_tables_of_something_else_do_not_matter(tmp_path: Path) -> None:
    assert compared(folder(tmp_path, {"a": 4, "b": 4}), "epoch,loss\n1,0.5\n2,0.4\n") == (
        "t.csv beside the images is not used: its rows name none of them.",)


def test_a_suggestion_names_what_is_known(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 4})
    (tmp_path / "t.csv").write_text(rows({f"a/{i:03d}.png": "xy"[i % 2] for i in range(4)}))
    tree = walk(tmp_path)
    assert beside.suggestion(tree, pair(tree.root, tree.images)) == (
        "t.csv names the images: --columns file=file,label=label. ")


def test_a_suggestion_says_why_a_table_does_not_read(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 2})
    (tmp_path / "t.csv").write_bytes("Größe,b\n1,2\n".encode("latin-1"))
    tree = walk(tmp_path)
    assert beside.suggestion(tree, pair(tree.root, tree.images)).startswith(
        "t.csv beside the images is not read: not UTF-8 text. To read the labels from t.csv")


def test_the_ledger_of_an_import_is_no_table_of_labels(tmp_path: Path) -> None:
    source = folder(tmp_path, {"a": 4, "b": 4})
    table = "id,kind,status,reason,file,patient,before,after,removed,cleaned\n" + "".join(
        f"e{i},picture,ok,,{f},,x,y,{i % 2},{i % 3 == 0:d}\n" for i, f in enumerate(NAMES))
    assert compared(source, table) == ()


def test_a_table_of_attributes_is_a_note(tmp_path: Path) -> None:
    table = "file,hospital,quality\n" + "".join(
        f"{f},{'xy'[i % 2]},{i % 3 + 2}\n" for i, f in enumerate(NAMES))
    (note,) = compared(folder(tmp_path, {"a": 4, "b": 4}), table)
    assert note.startswith("t.csv names the images and is not used")


def test_two_readers_diagnoses_are_asked_about(tmp_path: Path) -> None:
    table = "file,diagnosis_one,diagnosis_two\n" + "".join(
        f"{f},{'xy'[i % 2]},{'xy'[i % 3 == 0]}\n" for i, f in enumerate(NAMES))
    with pytest.raises(BadInput, match=r"may give labels \(diagnosis_one, diagnosis_two\)"):
        compared(folder(tmp_path, {"a": 4, "b": 4}), table)
