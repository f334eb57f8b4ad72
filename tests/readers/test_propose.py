"""Mappings proposed from names and cells."""

from __future__ import annotations

import pytest

from bedside.readers.files import FileIndex
from bedside.readers.propose import Proposal, propose
from bedside.readers.tables import Table

IMAGES = FileIndex([f"img/{i:02d}.PNG" for i in range(12)])


def proposal(columns: dict[str, list[str]], masks: tuple[str, ...] = ()) -> Proposal | None:
    from pathlib import Path

    rows = tuple((i + 2, cells) for i, cells in enumerate(zip(*columns.values(), strict=True)))
    return propose(Table(Path("t.csv"), tuple(columns), rows), "t.csv", IMAGES, FileIndex(masks))


IDS = [f"{i:02d}" for i in range(12)]
CLASSES = ["benign", "malignant"] * 6


@pytest.mark.parametrize(("columns", "expected"), [
    ({"id": IDS, "diagnosis": CLASSES}, {"file": "id+.PNG", "label": "diagnosis"}),
    ({"Image Name": [f"img/{i}.PNG" for i in IDS], "Finding Labels": CLASSES,
      "Patient ID": [str(i // 2) for i in range(12)], "Patient Gender": ["F", "M"] * 6},
     {"file": "Image Name", "label": "Finding Labels", "patient": "Patient ID",
      "sex": "Patient Gender"}),
    ({"id": IDS, "class": CLASSES, "set": ["train", "valid", "test"] * 4, "age": ["50"] * 12},
     {"file": "id+.PNG", "label": "class", "split": "set", "age": "age"}),
    # A column of one value is no label; one of other words is no split.
    ({"id": IDS, "label": ["x"] * 12, "pathology": CLASSES, "set": ["a", "b"] * 6},
     {"file": "id+.PNG", "label": "pathology"}),
    ({"id": IDS, "MEL": ["1", "0"] * 6, "NV": ["0", "1"] * 6},
     {"file": "id+.PNG", "label": "MEL|NV"}),
])
def test_columns(columns: dict[str, list[str]], expected: dict[str, str]) -> None:
    found = proposal(columns)
    assert found is not None and found.columns == expected


def test_a_table_of_something_else() -> None:
    assert proposal({"name": [f"other{i}" for i in range(12)], "label": CLASSES}) is None


def test_multi_label_is_never_a_class() -> None:
    found = proposal({"id": IDS, "No Finding": ["1", "0", "0"] * 4, "Edema": ["0", "1", "-1"] * 4,
                      "Effusion": ["", "1", "1"] * 4})
    assert found is not None and found.multi_label and "label" not in found.columns
    assert found.flags == ("No Finding", "Edema", "Effusion")
    assert "label=Edema" in found.flag


def test_a_comma_in_a_name_goes_into_the_study_file() -> None:
    found = proposal({"id": IDS, "class, final": CLASSES})
    assert found is not None and found.flag.startswith("[data.columns]")
