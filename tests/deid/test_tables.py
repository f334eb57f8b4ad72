"""CSV tables keep their columns in keyed names, or are quarantined."""

from __future__ import annotations

import csv
import io

import pytest
from deid_fixture import KEY

from bedside.deid import tables
from bedside.deid.outcome import Quarantine


def _clean(text, **new):
    data, counts = tables.clean(text.encode(), "", lambda f: new.get(f.split(".")[0]), KEY)
    return list(csv.DictReader(io.StringIO(data.decode()))), counts


def test_devices_become_pseudonyms_unless_their_names_may_stay():
    text = ("file,label,patient,device\na.png,x,Jane Doe,GE LOGIQ E9\n"
            "b.png,x,Jane Doe,Jane Doe's probe\nc.png,x,P,GE LOGIQ E9\nd.png,x,P,\n")

    def devices(keep):
        data, _ = tables.clean(text.encode(), "", lambda f: f, KEY, keep_device=keep)
        return [r["device"] for r in csv.DictReader(io.StringIO(data.decode()))]

    hidden = devices(False)
    assert hidden[0] == hidden[2] == KEY.pseudonym("device", "GE LOGIQ E9")
    assert hidden[1] != hidden[0] and hidden[3] == ""
    assert "LOGIQ" not in "".join(hidden) and "Jane" not in "".join(hidden)
    shown = devices(True)
    assert shown[0] == shown[2] == "GE LOGIQ E9"
    assert "Jane" not in shown[1]


def test_a_table_keeps_its_columns_in_keyed_names():
    rows, counts = _clean(
        "file,label,patient,age,doctor,split\na.png,benign,Jane Doe,93,House,train\n"
        "b.png,malignant,Jane Doe,41,House,x\nc.png,benign,J,1,H,val\n", a="n1.png", b="n2.png")
    assert list(rows[0]) == ["file", "label", "patient", "age", "split"]
    assert rows[0]["patient"] == rows[1]["patient"] == KEY.patient("Jane Doe")
    assert [r["file"] for r in rows] == ["n1.png", "n2.png"]
    assert [r["age"] for r in rows] == ["90", "41"]
    assert [r["split"] for r in rows] == ["train", ""]
    assert (counts["columns_removed"], counts["rows_removed"]) == (1, 1)


@pytest.mark.parametrize("text", [
    "name,label\na,b\n", "file,label\na.png\n", "", "file,label,patient\na.png,Doe,Doe\n",
    "file,label\na.png,=cmd()\n", "file,label\n" + "".join(f"{i}.png,l{i}\n" for i in range(60))])
def test_tables_in_doubt_are_set_aside(text):
    with pytest.raises(Quarantine):
        tables.clean(text.encode(), "", lambda f: f, KEY)


@pytest.mark.parametrize(("label", "patient"), [
    ("roe jane", "Roe Jane"), ("Jane Roe malignant", "Roe^Jane"), ("DOE", "doe"),
    ("p12 benign", "P12"), ("P0012345 malignant", ""), ("0044 7700 900123", ""),
    ("1962-03-14", ""), ("1962_03_14", ""), ("Dr Roe", ""), ("patient_7", "")])
def test_labels_that_name_a_patient_or_a_date_set_the_table_aside(label, patient):
    with pytest.raises(Quarantine, match="labels that may name patients"):
        tables.clean(f"file,label,patient\na.png,{label},\nb.png,benign,{patient}\n".encode(), "",
                     lambda f: f, KEY)


def test_ordinary_labels_stay():
    labels = ["benign", "malignant", "BI-RADS 4a", "class 3", "class_12", "0", "1", "no DR", "MR"]
    patients = ["Roe Jane", "P0012345", "benign-17", "12", "3", "A", "", "", ""]
    rows = "".join(f"{label}.png,{label},{p}\n"
                   for label, p in zip(labels, patients, strict=True))
    data, _ = tables.clean(f"file,label,patient\n{rows}".encode(), "", lambda f: f, KEY)
    assert [r["label"] for r in csv.DictReader(io.StringIO(data.decode()))] == labels


def test_a_size_carries_no_more_digits_than_a_lesion_has():
    sizes = {"12.5": "12.5", "8": "8", "19.620314": "19.6", "1962.0314": "", "0314": "314",
             "500": "500", "501": "", "x": ""}
    text = "file,label,size_mm\n" + "".join(f"a{i}.png,x,{s}\n" for i, s in enumerate(sizes))
    data, _ = tables.clean(text.encode(), "", lambda f: f, KEY)
    assert [r["size_mm"] for r in csv.DictReader(io.StringIO(data.decode()))] == list(
        sizes.values())


def test_rows_of_files_that_are_not_there_set_the_table_aside():
    text = b"file,label\na.png,benign\ngone.png,benign\n"
    with pytest.raises(Quarantine, match="1 of 2 rows name a file that the folder does not hold"):
        tables.clean(text, "", lambda f: f, KEY, there=lambda f: f == "a.png")


def test_windows_separators_are_paths():
    seen = []
    tables.clean(b"file,label,mask\nimg\\\\a.png,benign,img\\\\a_mask.png\n".replace(
        b"\\\\", b"\\"), "sub", lambda f: seen.append(f) or f, KEY)
    assert seen == ["sub/img/a.png", "sub/img/a_mask.png"]
