"""Expressions of a mapping."""

from __future__ import annotations

import pytest

from bedside.core.errors import BadInput
from bedside.readers.columns import expressions, named_columns, plain_names

HEADER = ("id", "folder", "a+b", "Frontal/Lateral", "Path", "MEL", "NV")
ROW = ("7", "x", "sum", "view", "train/patient1/v.jpg", "0.0", "1.0")


@pytest.mark.parametrize(("role", "text", "value"), [
    ("label", "id", "7"), ("label", "a+b", "sum"), ("label", "Frontal/Lateral", "view"),
    ("file", "id+.jpg", "7.jpg"), ("file", "folder+/+id+.jpg", "x/7.jpg"),
    ("file", "img_+id", "img_7"), ("patient", "Path/2", "patient1"), ("split", "Path/1", "train"),
    ("patient", "Path/-1", "v.jpg"), ("patient", "Path/9", ""), ("label", "MEL|NV", "NV")])
def test_values(role: str, text: str, value: str) -> None:
    assert expressions({role: text}, HEADER, "t")[role].value(ROW, "t: line 2") == value


def test_an_empty_cell_gives_no_name() -> None:
    found = expressions({"file": "id+.jpg"}, HEADER, "t")["file"]
    assert found.value(("", *ROW[1:]), "t") == ""


@pytest.mark.parametrize("text", ["idd", "idd+.jpg", "id+jpg", "MEL|BCC", "Pat/2", ".jpg"])
def test_what_names_no_column(text: str) -> None:
    with pytest.raises(BadInput, match="no column"):
        expressions({"label": text}, HEADER, "t")
    assert not named_columns({"label": text}, HEADER)


def test_names_that_can_only_be_columns() -> None:
    assert plain_names({"file": "images/+id+.jpg", "label": "MEL|NV", "patient": "Path/2",
                        "table": "x.csv"}) == ("id", "MEL", "NV")
