"""CSV tables: every column, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_fixture import folder, read, save, texture

from bedside.core.errors import BadInput
from bedside.readers.base import relative_name
from bedside.runfolder.cases import cases_to_csv, read_cases


def write_table(root: Path, text: str) -> Path:
    path = root / "manifest.csv"
    path.write_text(text)
    return path


def test_every_column(tmp_path: Path) -> None:
    folder(tmp_path / "img", {"a": 2, "b": 1})
    table = write_table(tmp_path, "\ufefffile,label,patient,split,mask,age,size_mm\r\n"
                        "img/a/000.png,benign,P1,train,img/a/001.png|img/b/000.png,51,12.5\r\n"
                        "\r\n./img/b/000.png,malignant,,val,,,\r\n")
    for source in (table, tmp_path):
        first, second = read(source).cases
        assert first.masks == ("img/a/001.png", "img/b/000.png")
        assert (first.patient, first.split, first.age, first.size_mm) == ("P1", "train", 51, 12.5)
        assert (second.file, second.patient, second.age) == ("img/b/000.png", None, None)


def test_a_device_column_goes_the_whole_way_to_cases_csv(tmp_path: Path) -> None:
    from bedside.core.types import Case

    folder(tmp_path / "img", {"a": 2})
    write_table(tmp_path, "file,label,device\nimg/a/000.png,x,GE LOGIQ E9\nimg/a/001.png,x,\n")
    first, second = read(tmp_path).cases
    assert (first.device, second.device) == ("GE LOGIQ E9", None)
    cases = [Case("c0", "f", "x", device=first.device), Case("c1", "g", "x")]
    path = tmp_path / "cases.csv"
    path.write_text(cases_to_csv(cases))
    assert read_cases(path) == tuple(cases)
    # A run made before there was such a column still reads.
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.rsplit(",", 2)[0] for line in lines) + "\n")
    assert [c.device for c in read_cases(path)] == [None, None]


@pytest.mark.parametrize(("text", "message"), [
    ("file\nimg/a/000.png\n", "line 1: the column 'label' is missing"),
    ("file,label,patiant\nimg/a/000.png,x,1\n", "Did you mean 'patient'"),
    ("file,label,label\nimg/a/000.png,x,y\n", "given twice"),
    ("", "table is empty"),
    ("file,label\n", "no image is listed"),
    ("file,label\nimg/a/000.png\n", "line 2: 1 cells where the header has 2"),
    ("file,label\nimg/a/000.png,x\nimg/a/./000.png,x\n", "line 3.*listed twice .*line 2"),
    ("file,label\nimg/a/000.png,\n", "no label"),
    ("file,label\n,x\n", "an empty path"),
    ("file,label\nimg/a/999.png,x\n", r"line 2: no such file: 'img/a/999\.png'"),
    ("file,label\nimg/a,x\n", "not a regular file"),
    ("file,label\n../secret.png,x\n", "leads outside"),
    ("file,label\nimg/../../secret.png,x\n", "leads outside"),
    ("file,label\n/etc/passwd,x\n", "absolute path"),
    ("file,label\nC:/images/1.png,x\n", "absolute path"),
    ("file,label\n\\\\server\\share\\1.png,x\n", "absolute path"),
    ("file,label\n//server/share/1.png,x\n", "absolute path"),
    ("file,label\nimg\\a\\999.png,x\n", r"no such file: 'img/a/999\.png'"),
    ("file,label\nimg/a/000.png\x00,x\n", "NUL|control character"),
    ("file,label\nimg/link.png,x\n", "link that leads outside"),
    ("file,label,mask\nimg/a/000.png,x,../secret.png\n", "leads outside"),
    ("file,label,split\nimg/a/000.png,x,vall\n", "Did you mean 'val'"),
    ("file,label,age\nimg/a/000.png,x,nan\n", "age 'nan' is not a number from 0 to 150"),
    ("file,label,size_mm\nimg/a/000.png,x,-1\n", "size_mm"),
    ('file,label\n"img/a/000.png,x\n', "not a comma-separated table"),
])
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    root = tmp_path / "set"
    folder(root / "img", {"a": 2})
    save(tmp_path / "secret.png", texture(5))
    (root / "img/link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(BadInput, match=message) as caught:
        read(write_table(root, text))
    assert "manifest.csv" in caught.value.message and caught.value.remedy


def test_unknown_columns_are_said(tmp_path: Path) -> None:
    folder(tmp_path / "img", {"a": 1})
    listing = read(write_table(tmp_path, "file,label,machine\nimg/a/000.png,x,Logiq\n"))
    assert listing.notes == ("Columns of manifest.csv that are not used: machine.",)


@pytest.mark.parametrize("name", ["a\nb.png", "a\udc80.png", "a\x7f.png"])
def test_names_a_table_cannot_hold(name: str) -> None:
    with pytest.raises(BadInput):
        relative_name(name, "here")


def test_another_program_s_table_gets_its_mapping_proposed(tmp_path: Path) -> None:
    folder(tmp_path / "img", {"a": 4})
    (tmp_path / "data.csv").write_text("ID,Pathology,Age,Device\n" + "".join(
        f"{i:03d},{'xy'[i % 2]},5{i},GE\n" for i in range(4)))
    with pytest.raises(BadInput, match=r"'file' is missing.*--columns file=ID\+\.png,"
                       r"label=Pathology,age=Age,device=Device"):
        read(tmp_path / "data.csv")
