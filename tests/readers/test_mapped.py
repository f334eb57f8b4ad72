"""Tables read through a mapping: well-known data sets, spellings, and what is refused."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from data_fixture import read as images_of
from data_fixture import save, texture
from layout_fixture import brest, bus_bra, chexpert, ham, images, masks, udiat, workbook

from bedside.core.errors import BadInput
from bedside.core.study import DataConfig, Study
from bedside.readers import mapped, tables
from bedside.readers.base import Listing
from bedside.runfolder import layout as paths
from bedside.runfolder import stored
from bedside.stages.data.stage import prepare


def labels(listing: Listing) -> dict[str, int]:
    return dict(Counter(c.label for c in listing.cases))


# ------------------------------------------------------------------ well-known data sets


def test_ham10000(tmp_path: Path) -> None:
    listing = mapped.read(ham(tmp_path), {"label": "dx", "patient": "lesion_id", "sex": "sex",
                                          "file": "image_id+.jpg", "age": "age"})
    assert labels(listing) == {"nv": 4, "mel": 4, "bkl": 4}
    first = next(c for c in listing.cases if c.file.endswith("ISIC_0000003.jpg"))
    assert (first.file, first.patient, first.age, first.sex) == (
        "HAM10000_images_part_2/ISIC_0000003.jpg", "HAM_0000001", 43.0, "female")
    assert listing.set_aside == ()
    assert listing.notes[0] == (
        "HAM10000_metadata.csv: label from dx, patient from lesion_id, sex from sex, file from "
        "image_id+.jpg, age from age; 12 rows.")
    assert "Columns of HAM10000_metadata.csv that are not used: dx_type, localization." \
        in listing.notes


def test_chexpert_by_one_of_its_columns(tmp_path: Path) -> None:
    listing = mapped.read(chexpert(tmp_path) / "train.csv", {
        "file": "Path", "label": "Pneumonia", "patient": "Path/3", "split": "Path/2"})
    assert labels(listing) == {"1": 3, "0": 3, "-1": 3}
    assert {c.patient for c in listing.cases} == {f"patient{i:05d}" for i in range(5)}
    assert {c.split for c in listing.cases} == {"train", "val"}
    assert [s.reason for s in listing.set_aside] == [mapped.NO_LABEL] * 3
    assert any("3 rows have no label" in n for n in listing.notes)
    config = DataConfig(source=str(tmp_path), exclude=("-1",), columns={
        "file": "Path", "label": "Pneumonia", "patient": "Path/3"})
    prepare(tmp_path.parent / f"{tmp_path.name}-run", Study(data=config))
    assert stored.task(tmp_path.parent / f"{tmp_path.name}-run").classes == ("0", "1")


def test_brest_from_its_workbook(tmp_path: Path) -> None:
    listing = mapped.read(brest(tmp_path), {
        "file": "Image_filename", "label": "Classification", "age": "Age",
        "mask": "Mask_tumor_filename", "patient": "CaseID"})
    assert labels(listing) == {"benign": 4, "malignant": 4}
    second = listing.cases[1]
    assert (second.file, second.patient, second.age, second.masks) == (
        "case002.png", "2", 42.0, ("case002_tumor.png",))
    assert listing.cases[2].age is None


def test_bus_bra_pairs_its_masks_by_folder(tmp_path: Path) -> None:
    listing = mapped.read(bus_bra(tmp_path), {
        "file": "ID+.png", "label": "Pathology", "patient": "Case", "device": "Device"})
    assert labels(listing) == {"benign": 4, "malignant": 4}
    assert listing.cases[0].masks == ("Masks/mask_0001-l.png",)
    assert listing.cases[0].device == "GE Logiq 5"


def test_udiat_with_a_workbook_of_its_own(tmp_path: Path) -> None:
    udiat(tmp_path)
    workbook(tmp_path / "DatasetB.xlsx", {"Sheet1": [["Image", "Type"], *(
        [i, ("Benign", "Malignant")[i % 2]] for i in range(8))]})
    # Names like 000007.png are numbers in the workbook.
    listing = mapped.read(tmp_path, {"file": "Image+.png", "label": "Type"})
    assert {c.file: (c.label, c.masks) for c in listing.cases}["original/000007.png"] == (
        "Malignant", ("GT/000007.png",))
    assert len(listing.cases) == 8 and any("leading zeros" in n for n in listing.notes)
    save(tmp_path / "original/07.png", texture(99))
    with pytest.raises(BadInput, match=r"'7\.png' may be 'original/000007\.png' or"):
        mapped.read(tmp_path, {"file": "Image+.png", "label": "Type"})


def test_one_hot_columns(tmp_path: Path) -> None:
    images(tmp_path, [f"{i}.jpg" for i in range(4)])
    (tmp_path / "truth.csv").write_text(
        "image,MEL,NV\n0,1.0,0.0\n1,0.0,1.0\n2,1,0\n3,0,1\n")
    listing = mapped.read(tmp_path, {"file": "image+.jpg", "label": "MEL|NV"})
    assert labels(listing) == {"MEL": 2, "NV": 2}
    (tmp_path / "truth.csv").write_text("image,MEL,NV\n0,1,1\n1,0,1\n")
    with pytest.raises(BadInput, match="line 2: several classes are marked: MEL, NV"):
        mapped.read(tmp_path, {"file": "image+.jpg", "label": "MEL|NV"})


def test_the_whole_stage(tmp_path: Path) -> None:
    source = ham(tmp_path / "set", 24)
    config = DataConfig(source=str(source), columns={
        "label": "dx", "patient": "lesion_id", "file": "image_id+.jpg", "sex": "sex"})
    prepare(tmp_path / "run", Study(data=config))
    cases = stored.cases(tmp_path / "run")
    assert len(cases) == 24 and {c.sex for c in cases} == {"male", "female"}
    of: dict[str | None, set[str]] = {}
    for case in cases:
        of.setdefault(case.patient, set()).add(case.split)
    assert all(len(s) == 1 for s in of.values())


# ------------------------------------------------------------------ spellings


def _plain(root: Path) -> list[str]:
    names = ["Bilder/größe_1.png", "Bilder/größe_2.PNG", "Bilder/drei.Jpg"]
    images(root, [unicodedata.normalize("NFC", n) for n in names])
    return names


HEADER, ROWS = "file,label", (("Bilder/größe_1.png", "a"), ("Bilder/größe_2.png", "b"),
                              ("Bilder/drei.jpg", "a"))


def _text(rows: tuple[tuple[str, str], ...], sep: str = ",") -> str:
    return "\n".join([sep.join(HEADER.split(",")), *(sep.join(r) for r in rows)]) + "\n"


SPELLINGS: dict[str, bytes] = {
    "plain": _text(ROWS).encode(),
    "semicolons": _text(ROWS, ";").encode(),
    "tabs": _text(ROWS, "\t").encode(),
    "excel's own mark": ("sep=;\r\n" + _text(ROWS, ";")).encode(),
    "byte order mark": b"\xef\xbb\xbf" + _text(ROWS).encode(),
    "UTF-16": _text(ROWS, "\t").encode("utf-16"),
    "UTF-16 without a mark": _text(ROWS).encode("utf-16-le"),
    "decomposed": unicodedata.normalize("NFD", _text(ROWS)).encode(),
    "Windows separators": _text(ROWS).replace("/", "\\").encode(),
    "Windows lines": _text(ROWS).replace("\n", "\r\n").encode(),
    "a path of another machine": _text(
        tuple((f"C:\\daten\\{n}".replace("/", "\\"), label) for n, label in ROWS)).encode(),
    "other case": _text(ROWS).replace("Bilder", "BILDER").encode(),
    "no folder": _text(ROWS).replace("Bilder/", "").encode(),
    "no ending": "".join(line.rpartition(".")[0] + "," + line.rpartition(",")[2] + "\n"
                         if "." in line else line + "\n"
                         for line in _text(ROWS).splitlines()).encode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_spellings(tmp_path: Path, spelling: str, form: str) -> None:
    for i, name in enumerate(_plain(tmp_path / "x")):
        save(tmp_path / "set" / unicodedata.normalize(form, name), texture(i))
    (tmp_path / "set/t.csv").write_bytes(SPELLINGS[spelling])
    listing = mapped.read(tmp_path / "set", {"file": "file", "label": "label"})
    assert [c.label for c in listing.cases] == ["a", "b", "a"]
    # The names of the disk are kept, in its own form.
    assert all((tmp_path / "set" / c.file).is_file() for c in listing.cases)


# A table with these two columns needs no mapping, but for paths of another machine.
@pytest.mark.parametrize("spelling", [s for s in SPELLINGS if s not in (
    "a path of another machine", "no folder", "no ending")])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_spellings_without_a_mapping(tmp_path: Path, spelling: str, form: str) -> None:
    for i, name in enumerate(_plain(tmp_path / "x")):
        save(tmp_path / "set" / unicodedata.normalize(form, name), texture(i))
    (tmp_path / "set/manifest.csv").write_bytes(SPELLINGS[spelling])
    listing = images_of(tmp_path / "set")
    assert [c.label for c in listing.cases] == ["a", "b", "a"]
    assert all((tmp_path / "set" / c.file).is_file() for c in listing.cases)


def test_a_workbook_without_a_mapping(tmp_path: Path) -> None:
    images(tmp_path, ["a.png", "b.png"])
    workbook(tmp_path / "t.xlsx", {"notes": [["made by", "me"]],
                                   "images": [["file", "label"], ["a.png", 1], ["b.png", 0.0]]})
    listing = images_of(tmp_path / "t.xlsx")
    assert [(c.file, c.label) for c in listing.cases] == [("a.png", "1"), ("b.png", "0")]
    assert any("sheet 'images'" in n for n in listing.notes)


def test_the_very_path_goes_before_one_that_ends_alike(tmp_path: Path) -> None:
    images(tmp_path, ["1.png", "old/1.png", "2.png"])
    (tmp_path / "t.csv").write_text("file,label\n1.png,a\n2.png,b\n")
    listing = mapped.read(tmp_path, {"file": "file", "label": "label"})
    assert [c.file for c in listing.cases] == ["1.png", "2.png"]
    assert [(s.file, s.reason) for s in listing.set_aside] == [("old/1.png", mapped.NO_ROW)]


# ------------------------------------------------------------------ what is refused


def _set(root: Path, text: str) -> Path:
    images(root, ["a/1.png", "a/2.png", "b/1.png", "b/3.png"])
    (root / "t.csv").write_text(text)
    return root


GOOD = "name,dx,sex\na/1,x,m\na/2,y,f\n"
MAPPING = {"file": "name+.png", "label": "dx"}

BAD: dict[str, tuple[str, dict[str, str], str]] = {
    "no such column": (GOOD, {"file": "nam+.png", "label": "dx"},
                       r"t\.csv: line 1: no column 'nam' \(for file\).*The columns are name, dx"),
    "no such label": (GOOD, {**MAPPING, "label": "DX"}, "no column 'DX'.*Did you mean 'dx'"),
    "text alone": (GOOD, {**MAPPING, "file": ".png+/x"}, r"no column '\.png"),
    "unknown role": (GOOD, {**MAPPING, "lable": "dx"}, "unknown role 'lable'.*mean 'label'"),
    "no label": (GOOD, {"file": "name+.png"}, r"no column is named for label.*label=dx"),
    "no file": (GOOD, {"label": "dx"}, r"no column is named for file.*file=name\+\.png"),
    "no file matches": (GOOD, {**MAPPING, "file": "name+.jpg"},
                        r"line 2: no row names an image.*'a/1\.jpg' in the table, 'a/1\.png' on"),
    "some files match": (GOOD + "a/9,x,m\n", MAPPING,
                         r"line 4: 1 of 3 rows name no image.*'a/9\.png'.*--skip-bad"),
    "two files fit": ("name,dx\n1,x\n2,y\n", MAPPING,
                      r"line 2: '1\.png' may be 'a/1\.png' or 'b/1\.png'"),
    "two labels": (GOOD + "a/1,y,m\n", MAPPING,
                   r"line 4: 'a/1\.png' is 'y' here and 'x' in line 2"),
    "two patients": (GOOD + "a/1,x,f\n", {**MAPPING, "patient": "sex"}, "listed twice and diff"),
    "no rows": ("name,dx\n", MAPPING, "no image is listed"),
    "empty": ("", MAPPING, r"t\.csv: the table is empty"),
    "blank lines": ("\n , \n\n", MAPPING, "the table is empty"),
    "twice": ("name,dx,dx\na/1,x,x\n", MAPPING, "the column 'dx' is given twice"),
    "uneven": ("name,dx\na/1,x,more\n", MAPPING, "line 2: 3 cells where the header has 2"),
    "age": ("name,dx,age\na/1,x,old\n", {**MAPPING, "age": "age"}, "age 'old' is not a number"),
    "split": ("name,dx,fold\na/1,x,4\n", {**MAPPING, "split": "fold"}, "unknown split '4'"),
    "mask": ("name,dx,m\na/1,x,zzz.png\n", {**MAPPING, "mask": "m"}, "mask 'zzz.png' is not there"),
    "outside": ("name,dx\n../../etc/passwd,x\n", MAPPING, "no row names an image"),
    "no labels": ("name,dx\na/1,\na/2,NaN\n", MAPPING, "no row has a label"),
    "two tables": (GOOD, {**MAPPING, "table": "other.csv"}, r"no such table: 'other\.csv'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_mappings_and_tables(tmp_path: Path, case: str) -> None:
    text, columns, message = BAD[case]
    source = _set(tmp_path / "set", text)
    with pytest.raises(BadInput, match=message) as caught:
        prepare(tmp_path / "run", Study(data=DataConfig(source=str(source), columns=columns)))
    assert caught.value.exit_code == 2 and caught.value.remedy
    assert "\n" not in caught.value.message
    assert not paths.data_dir(tmp_path / "run").exists()


def test_rows_without_a_file_are_set_aside_with_skip_bad(tmp_path: Path) -> None:
    listing = mapped.read(_set(tmp_path, GOOD + "a/9,x,m\n"), MAPPING, skip_bad=True)
    assert len(listing.cases) == 2
    assert ("a/9.png", mapped.NO_FILE) in [(s.file, s.reason) for s in listing.set_aside]


def test_equal_rows_are_one(tmp_path: Path) -> None:
    listing = mapped.read(_set(tmp_path, GOOD + "a/1,x,m\n"), MAPPING)
    assert len(listing.cases) == 2 and any("1 rows repeat" in n for n in listing.notes)


def test_two_tables_with_the_columns(tmp_path: Path) -> None:
    source = _set(tmp_path, GOOD)
    (source / "u.csv").write_text(GOOD)
    with pytest.raises(BadInput, match=r"several tables have these.*t\.csv, u\.csv.*table="):
        mapped.read(source, MAPPING)
    assert len(mapped.read(source, {**MAPPING, "table": "u.csv"}).cases) == 2


def test_tables_named_as_parts_are_read_together(tmp_path: Path) -> None:
    images(tmp_path, [f"images/{i}.png" for i in range(9)])
    for name, rows in (("train", range(5)), ("valid", range(5, 7)), ("test", range(7, 9))):
        (tmp_path / f"{name}.csv").write_text(
            "image,dx\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in rows))
    columns = {"file": "image+.png", "label": "dx"}
    with pytest.raises(BadInput, match=r"each as its part: table=test\.csv\+train\.csv\+valid"):
        mapped.read(tmp_path, columns)
    listing = mapped.read(tmp_path, {**columns, "table": "train.csv+valid.csv+test.csv"})
    assert {c.file[7]: c.split for c in listing.cases} == {
        **dict.fromkeys("01234", "train"), **dict.fromkeys("56", "val"),
        **dict.fromkeys("78", "test")}
    assert listing.notes[0].endswith("5 rows, all train.") and listing.set_aside == ()
    (tmp_path / "valid.csv").write_text("image,dx\n5,b\n1,b\n")
    with pytest.raises(BadInput, match=r"valid\.csv: line 3: .*listed twice.*train\.csv: line 3"):
        mapped.read(tmp_path, {**columns, "table": "train.csv+valid.csv"})


def test_lists_of_findings_are_multi_label(tmp_path: Path) -> None:
    images(tmp_path, ["1.png", "2.png", "3.png"])
    (tmp_path / "t.csv").write_text("name,dx\n1,Edema\n2,Edema|Effusion\n3,No Finding\n")
    with pytest.raises(BadInput, match=r"multi-label: '2\.png' has several findings"):
        mapped.read(tmp_path, MAPPING)


def test_two_tables_are_named(tmp_path: Path) -> None:
    source = _set(tmp_path, GOOD)
    with pytest.raises(BadInput, match=r"two tables: t\.csv and u\.csv"):
        mapped.read(source / "t.csv", {**MAPPING, "table": "u.csv"})


def test_dicom_is_not_read_by_a_mapping(tmp_path: Path) -> None:
    from dicom_fixture import folder as dicom_folder

    source = dicom_folder(tmp_path / "set")
    (source / "t.csv").write_text(GOOD)
    with pytest.raises(BadInput, match="does not read DICOM"):
        mapped.read(source, MAPPING)


def test_a_table_too_large(tmp_path: Path) -> None:
    source = _set(tmp_path, GOOD)
    with (source / "t.csv").open("ab") as handle:
        handle.truncate(100_000_000)
    with pytest.raises(BadInput, match=r"t\.csv: a table of 100 MB.*at most 64 MB"):
        tables.read(source / "t.csv")


def encrypted(path: Path) -> None:
    path.write_bytes(bytes.fromhex("D0CF11E0A1B11AE1") + bytes(512))


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def garbled(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.rfind(b"xl/worksheets/sheet1.xml", 0, len(data) // 2) + 30
    data[at:at + 40] = bytes(40)
    path.write_bytes(bytes(data))


def no_zip(path: Path) -> None:
    path.write_text("file,label\n")


def formula(path: Path) -> None:
    workbook(path, {"s": [["name", "dx"], ["a/1", ('IF(B9>1,"x","y")', "x")], ["a/2", "y"]]})


def doctype(path: Path) -> None:
    workbook(path, {"s": [["name", "dx"], ["a/1", "x"]]},
             '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>')


def empty_book(path: Path) -> None:
    workbook(path, {"s": []})


def twice(path: Path) -> None:
    workbook(path, {"s": [["name", "dx", "dx"], ["a/1", "x", "y"]]})


def two_sheets(path: Path) -> None:
    workbook(path, {"one": [["name", "dx"], ["a/1", "x"]], "two": [["name", "dx"], ["a/2", "y"]]})


BOOKS: dict[Callable[[Path], None], str] = {
    encrypted: "encrypted workbook, or one of the old .xls", damaged: "damaged workbook",
    garbled: "damaged workbook", no_zip: "damaged workbook",
    formula: "row 2: the column 'dx' holds a formula", doctype: "document type",
    empty_book: "the table is empty", twice: "'dx' is given twice",
    two_sheets: "several sheets could be meant: 'one', 'two'"}


@pytest.mark.parametrize("make", BOOKS, ids=lambda f: f.__name__)
def test_bad_workbooks(tmp_path: Path, make: Callable[[Path], None]) -> None:
    source = images(tmp_path / "set", ["a/1.png", "a/2.png"])
    path = workbook(source / "t.xlsx", {"s": [["name", "dx"], ["a/1", "x"], ["a/2", "y"]]})
    assert len(mapped.read(source, MAPPING).cases) == 2
    make(path)
    with pytest.raises(BadInput, match=BOOKS[make]) as caught:
        prepare(tmp_path / "run", Study(data=DataConfig(source=str(source), columns=MAPPING)))
    assert "t.xlsx" in caught.value.message and caught.value.remedy
    assert not paths.data_dir(tmp_path / "run").exists()


def test_a_formula_in_a_column_that_is_not_used(tmp_path: Path) -> None:
    source = images(tmp_path, ["a/1.png", "a/2.png"])
    workbook(source / "t.xlsx", {"s": [["name", "dx", "sum"], ["a/1", "x", ("1+1", 2)],
                                       ["a/2", "y", None]]})
    assert len(mapped.read(source, MAPPING).cases) == 2


def test_masks_that_the_table_does_not_name_are_no_lost_images(tmp_path: Path) -> None:
    images(tmp_path, ["a.png", "b.png"])
    masks(tmp_path, ["a_mask.png"])
    (tmp_path / "t.csv").write_text("name,dx\na,x\nb,y\n")
    listing = mapped.read(tmp_path, MAPPING)
    assert listing.cases[0].masks == ("a_mask.png",) and listing.set_aside == ()
