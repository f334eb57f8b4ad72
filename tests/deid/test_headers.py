"""De-identification: the key, names, dates, texts, the table of attributes, CSV tables."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from pathlib import PurePosixPath

import pydicom
import pytest
from deid_fixture import KEY, MARK, mode
from hypothesis import given
from hypothesis import strategies as st

from bedside.core.errors import BadInput
from bedside.deid import dates, names, tables
from bedside.deid.free_text import known, may_stay
from bedside.deid.key import Key, find_key, keep_key, new_key
from bedside.deid.outcome import Quarantine
from bedside.deid.profile import basic, load, option_names

# ------------------------------------------------------------------ key and names


def test_the_key_is_made_closed_and_kept(tmp_path):
    assert find_key(tmp_path / "private") is None
    first = new_key()
    keep_key(tmp_path / "private", first)
    assert mode(tmp_path / "private") == 0o700
    assert mode(tmp_path / "private" / "deid.key") == 0o600
    assert find_key(tmp_path / "private") == first
    assert "secret" not in repr(first)


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620])
def test_an_open_key_is_refused(tmp_path, bits):
    keep_key(tmp_path / "private", new_key())
    (tmp_path / "private" / "deid.key").chmod(bits)
    with pytest.raises(BadInput, match="other users may read this key"):
        find_key(tmp_path / "private")


@pytest.mark.parametrize("text", ["", "abc", "00" * 31, "zz" * 32])
def test_what_is_no_key_is_refused(tmp_path, text):
    path = tmp_path / "k"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(BadInput, match="not a key"):
        find_key(tmp_path / "private", path)


def test_an_open_private_folder_is_refused_unless_it_is_empty(tmp_path):
    (tmp_path / "p").mkdir(mode=0o755)
    (tmp_path / "p").chmod(0o755)
    keep_key(tmp_path / "p", new_key())
    assert mode(tmp_path / "p") == 0o700
    (tmp_path / "p").chmod(0o755)
    with pytest.raises(BadInput, match="other users may open"):
        find_key(tmp_path / "p")


def test_uids_are_valid_and_follow_from_the_key():
    new = KEY.uid("1.2.3")
    assert pydicom.uid.UID(new).is_valid
    assert new == KEY.uid("1.2.3 ")
    assert new != Key(b"y" * 32).uid("1.2.3")
    assert KEY.patient("A") != KEY.patient("B")


def test_folders_and_masks_keep_what_they_mean():
    assert names.folders(PurePosixPath("Benign/DOE/x.png"), KEY, ("benign",)).startswith("Benign/d")
    found = names.stems(["b/X (1).png", "b/X (1)_mask.png", "b/X (1)_mask_1.png", "b/a.png",
                         "b/a.jpg", "m/a.png"], KEY)
    stem = found["b/X (1).png"]
    assert found["b/X (1)_mask.png"] == stem + "_mask"
    assert found["b/X (1)_mask_1.png"] == stem + "_mask_1"
    assert len(set(found.values())) == 6


def test_a_mask_keeps_no_number_that_may_be_a_date_or_a_record():
    files = ["b/US.png", "b/US_mask.png", "b/US_mask_1.png", "b/US_mask_19620314.png",
             "b/US_mask_４７.png", "b/US_mask_123.png", "b/lost_mask_4711999.png"]
    found = names.stems(iter(files), KEY)
    image = found["b/US.png"]
    assert [found[f] for f in files[1:6]] == [
        image + tail for tail in ("_mask", "_mask_1", "_mask_2", "_mask_3", "_mask_4")]
    # Without its image it stays a mask, so that nobody takes it for an image.
    assert re.fullmatch(r"f[a-z0-9]+_mask", found[files[6]])
    assert "4711999" not in found[files[6]]
    assert len(set(found.values())) == len(files)


# ------------------------------------------------------------------ dates and texts


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.dates(date(1900, 1, 1), date(2100, 1, 1)),
       st.integers(1, 3650))
def test_intervals_between_dates_stay(one, two, days):
    def back(day):
        text = dates.back(day.strftime("%Y%m%d"), days)
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))

    assert back(one) - back(two) == one - two
    assert back(one) < one


@pytest.mark.parametrize(("vr", "text", "moved"), [
    ("DA", "20240301", "20240229"), ("DA", "2024.03.01", "20240229"), ("DA", "20240231", None),
    ("DA", "2024", None), ("DA", "20240301-20240401", None), ("DA", MARK, None),
    ("DT", "20240301101500.5+0900", "20240229101500.5+0900"), ("DT", "202403", None),
    ("DT", "20240301 " + MARK, None), ("TM", "101500.25", "101500.25"), ("TM", MARK, None)])
def test_dates_move_and_what_is_no_date_goes(vr, text, moved):
    assert dates.shift(vr, [text], 1) == moved


@pytest.mark.parametrize("text", [
    "0172 5550199", "12/03/2019", "2019-03-12", "5 Mar 2019", "Dr House", "DOE^J", "a@b.org",
    "http://x", "MRN 12", "José", "10.0.0.12", "of doe", "Doe-left", "xdoejanex", "ID: 55443"])
def test_texts_that_may_identify_go(text):
    assert not may_stay(text, known(["DOE^JANE"], ["55443"]))


@pytest.mark.parametrize("text", ["Breast", "Left", "VOI LUT 1", "se2d1", "-0.5", "WINDOW 400 40"])
def test_technical_texts_stay(text):
    assert may_stay(text, known(["DOE^JANE", "Y^X"], ["1", "55443"]))


def test_words_of_places_count_in_free_text_unless_they_are_ordinary():
    names = known([], [], ["Mercy General Hospital", "1024 Main Street"])
    assert not may_stay("Mercy Springfield view", names)
    assert may_stay("main view 1024 general", names)
    assert not names.named_in("MERCY")


# ------------------------------------------------------------------ the table


def test_the_table_and_its_options():
    table = basic()
    assert len(table) > 600
    assert table[0x00100010] == "Z"
    assert table[0x00081030] == "X"
    assert 0x00081090 not in table
    assert load().actions[0x00081090] == "X"
    assert load(("retain-device",)).actions[0x00081090] == "K"
    assert load(("modified-dates",)).actions[0x00080020] == "C"
    assert set(option_names()) == {"clean-pixels", "modified-dates", "retain-device"}
    for name in option_names():
        assert load((name,)).codes[1][0].startswith("1131")
    with pytest.raises(BadInput, match="Did you mean 'retain-device'"):
        load(("retain-devices",))


# ------------------------------------------------------------------ tables


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
