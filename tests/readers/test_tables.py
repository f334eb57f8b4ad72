"""Text tables: separators, encodings and what is refused. Spellings: test_mapped.py."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from bedside.core.errors import BadInput
from bedside.readers import tables


def write(root: Path, data: bytes) -> Path:
    path = root / "t.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("data", "how"), [
    (b"a,b\n1,2\n", ""), (b"a;b\n1;2\n", "separated by semicolons"),
    (b"a\tb\n1\t2\n", "separated by tabs"), ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
    (b'"a,x";b\n1;2\n', "separated by semicolons"), (b"sep=;\na;b\n1;2\n", "separated by semi")])
def test_how(tmp_path: Path, data: bytes, how: str) -> None:
    found = tables.read(write(tmp_path, data))
    assert found.how.startswith(how) and bool(found.how) == bool(how)
    assert found.rows[0][1] == ("1", "2") and found.column("b") == ["2"]


def test_places_are_those_of_the_file(tmp_path: Path) -> None:
    found = tables.read(write(tmp_path, b'a,b\n\n"x\ny",2\n3,4\n'))
    assert [n for n, _ in found.rows] == [4, 5]
    assert found.where(5).endswith("t.csv: line 5")


def test_a_column_without_a_name_is_one_of_row_names(tmp_path: Path) -> None:
    assert tables.read(write(tmp_path, b",a\n0,x\n")).header == ("column 1", "a")


@pytest.mark.parametrize(("data", "fault"), [
    (b"", "the table is empty"), (b"a,b\n1\n", "line 2: 1 cells where the header has 2"),
    (b"a,b\n1,2,3\n", "3 cells"), (b"a,a\n", "'a' is given twice"),
    (b"a,b\n\xff\xfe\xfa,2\n", "not UTF-8 text"), (b'a,b\n"1,2\n', "not a comma-separated table")])
def test_refused(tmp_path: Path, data: bytes, fault: str) -> None:
    with pytest.raises(BadInput, match=fault):
        tables.read(write(tmp_path, data))


def test_a_large_table_is_read_within_a_bound(tmp_path: Path) -> None:
    line = b"CheXpert/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,0.0\n"
    count = 40_000
    path = write(tmp_path, b"a,b,c,d,e,f,g,h,i\n" + line * count)
    tracemalloc.start()
    assert len(tables.read(path).rows) == count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * path.stat().st_size
    assert len(tables.read(path, most_rows=5).rows) == 5


def test_no_table(tmp_path: Path) -> None:
    for name in ("nowhere.csv", "nowhere.xlsx"):
        with pytest.raises(BadInput, match="no such file"):
            tables.read(tmp_path / name)
    assert tables.is_table("a/B.XLSX") and not tables.is_table("a.txt")
