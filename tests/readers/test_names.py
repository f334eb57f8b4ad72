"""Names of parts, masks and images as data sets spell them, and names that only look like them."""

from __future__ import annotations

import pytest

from bedside.readers import names


@pytest.mark.parametrize(("name", "part"), [
    ("train", "train"), ("Training", "train"), ("training_set", "train"), ("TRAIN", "train"),
    ("TrainSet", "train"), ("train-images", "train"), ("val", "val"), ("valid", "val"),
    ("Validation Set", "val"), ("dev", "val"), ("test", "test"), ("Testing", "test"),
    ("test_data", "test"), ("holdout", "test"),
    ("benign", None), ("trainee", None), ("latest", None), ("stress_test", None),
    ("evaluate", None),
    ("train_test", None), ("", None), ("devices", None), ("tested_positive", None)])
def test_part_of(name: str, part: str | None) -> None:
    assert names.part_of(name) == part


@pytest.mark.parametrize(("name", "part"), [
    ("ISIC-2017_Training_Data", "train"), ("stage_1_test", "test"), ("benign", None),
    ("train_and_test", None)])
def test_part_of_loosely(name: str, part: str | None) -> None:
    assert names.part_of(name, loose=True) == part


@pytest.mark.parametrize(("name", "masks", "images"), [
    ("masks", True, False), ("GT", True, False), ("Ground Truth", True, False),
    ("groundtruth", True, False), ("labels", True, False), ("lesion_masks", True, False),
    ("mask_images", True, False), ("train_masks", True, False), ("Segmentations", True, False),
    ("images", False, True), ("Original", False, True), ("raw", False, True),
    ("img_2", False, True),
    ("no_mask", False, False), ("benign", False, False), ("lesion", False, False),
    ("tumor", False, False), ("ground", False, False), ("unlabelled", False, False),
    ("labels_benign", False, False), ("augmented", False, False)])
def test_folders(name: str, masks: bool, images: bool) -> None:
    assert (names.is_mask_folder(name), names.is_image_folder(name)) == (masks, images)


@pytest.mark.parametrize(("stem", "image"), [
    ("benign (1)_mask", "benign (1)"), ("benign (1)_mask_1", "benign (1)"),
    ("case001_tumor", "case001"), ("case001_other1", "case001"), ("a_lesion_mask", "a"),
    ("img-GT", "img"), ("case001", None), ("mask", None), ("benign (1)", None), ("a_1", None),
    ("a_left", None), ("unmasked", None)])
def test_companions(stem: str, image: str | None) -> None:
    assert names.companion_of(stem) == image


@pytest.mark.parametrize("name", ["@eaDir", "Thumbs.db", "__MACOSX", "desktop.ini", "$RECYCLE.BIN"])
def test_junk(name: str) -> None:
    assert names.is_junk(name) and not names.is_junk("benign")


def test_spellings_of_one_name() -> None:
    assert names.folded("Größe ") == names.folded("GRO\u0308SSE")
    assert names.folded("a") != names.folded("b")
