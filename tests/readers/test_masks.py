"""Masks by content and by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_fixture import save, texture
from layout_fixture import images, mask, masks

from bedside.core.errors import BadInput
from bedside.readers.masks import content, pair, sampled


@pytest.mark.parametrize(("pixels", "ending", "found"), [
    (mask(), "png", "mask"), (mask(), "jpg", "mask"), (mask() // 255, "png", "mask"),
    (np.stack([mask()] * 3, -1), "png", "mask"), (np.zeros((9, 9), np.uint8), "png", "flat"),
    (np.full((9, 9), 80, np.uint8), "png", "flat"), (texture(1), "png", "image"),
    (texture(1), "jpg", "image")])
def test_content(tmp_path: Path, pixels: np.ndarray, ending: str, found: str) -> None:
    assert content(save(tmp_path / f"a.{ending}", pixels)) == found


def test_one_grey_image_of_a_sample_makes_them_images(tmp_path: Path) -> None:
    masks(tmp_path, ["0.png", "1.png"])
    assert sampled(tmp_path, ["0.png", "1.png"]) == "mask"
    save(tmp_path / "2.png", texture(1))
    assert sampled(tmp_path, ["0.png", "1.png", "2.png"]) == "image"


def test_masks_are_matched_by_stem_then_without_its_first_word(tmp_path: Path) -> None:
    images(tmp_path, ["Images/bus_0001-l.png", "Images/bus_0002-r.png"])
    masks(tmp_path, ["Masks/mask_0001-l.png", "Masks/mask_0002-r.png", "Masks/mask_0009-r.png"])
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.png"))
    found = pair(tmp_path, files)
    assert found.masks == {"Images/bus_0001-l.png": ("Masks/mask_0001-l.png",),
                           "Images/bus_0002-r.png": ("Masks/mask_0002-r.png",)}
    assert [s.file for s in found.orphans] == ["Masks/mask_0009-r.png"]
    assert len(found.every_mask) == 3


def test_masks_of_other_folders_are_not_matched(tmp_path: Path) -> None:
    images(tmp_path, ["benign/images/1.png", "malignant/images/1.png"])
    masks(tmp_path, ["malignant/masks/1.png"])
    found = pair(tmp_path, ["benign/images/1.png", "malignant/images/1.png",
                            "malignant/masks/1.png"])
    assert found.masks == {"malignant/images/1.png": ("malignant/masks/1.png",)}


def test_masks_of_parts_are_matched_within_their_part(tmp_path: Path) -> None:
    files = [f"{part}/{c}/1.png" for part in ("train", "test_images") for c in "ab"]
    images(tmp_path, files)
    own = [f"{part}/{c}/1.png" for part in ("train_masks", "test_labels") for c in "ab"]
    masks(tmp_path, own)
    found = pair(tmp_path, sorted(files + own))
    assert found.masks == {f: (m,) for f, m in zip(files, own, strict=True)}


def test_a_name_that_the_table_of_cases_cannot_hold(tmp_path: Path) -> None:
    images(tmp_path, ["a|b.png"])
    masks(tmp_path, ["a|b_mask.png"])
    with pytest.raises(BadInput, match=r"holds a \|"):
        pair(tmp_path, ["a|b.png", "a|b_mask.png"])
