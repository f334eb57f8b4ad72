"""What every reader of data sets promises, for each entry of the table."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_fixture import folder, npz
from dicom_fixture import folder as dicom_folder

from bedside.core import registry
from bedside.core.errors import BadInput
from bedside.readers import READERS, detect
from bedside.readers.base import Listing
from bedside.readers.load import bytes_of, pixels_of


def sample(name: str, root: Path) -> Path:
    """A small data set that the reader takes."""
    if name == "folder":
        return folder(root / "set")
    if name == "manifest":
        folder(root / "set/img")
        rows = [f"img/{c}/{i:03d}.png,{c}" for c in ("benign", "malignant") for i in range(8)]
        (root / "set/manifest.csv").write_text("\n".join(["file,label", *rows]) + "\n")
        return root / "set"
    if name == "npz":
        return npz(root / "x.npz")
    if name == "dicom":
        return dicom_folder(root / "set")
    pytest.fail(f"add a sample data set for the reader {name!r} here")


@pytest.mark.parametrize("name", READERS)
def test_reader(name: str, tmp_path: Path) -> None:
    source = sample(name, tmp_path)
    assert detect(source) == name
    read = registry.lookup(READERS, name, "reader")
    listing = read(source)
    assert isinstance(listing, Listing) and listing == read(source)
    assert len({c.file for c in listing.cases}) == len(listing.cases) == 16
    assert listing.root.is_absolute()
    for case in listing.cases:
        assert case.label and pixels_of(listing.root, case.file, 3).shape[2] == 3
        assert bytes_of(listing.root, case.file)


@pytest.mark.parametrize("name", READERS)
def test_nothing_to_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        registry.lookup(READERS, name, "reader")(tmp_path / "nowhere.npz")
    assert "nowhere" in caught.value.message and caught.value.remedy
