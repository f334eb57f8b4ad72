"""Folders as people have them: what each layout is taken for, and what is asked."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from data_fixture import folder, save, texture
from layout_fixture import bus_bra, chexpert, ham, images, mask, masks, udiat

from bedside.core.errors import BadInput
from bedside.core.study import DataConfig, Study
from bedside.readers.base import Listing
from bedside.readers.folder import read
from bedside.readers.layouts import NO_CLASS, understand
from bedside.runfolder import layout as paths
from bedside.stages.data.stage import prepare


def counts(listing: Listing) -> dict[tuple[str, str], int]:
    return dict(Counter((c.label, c.split) for c in listing.cases))


# ------------------------------------------------------------------ parts of a split


@pytest.mark.parametrize(("train", "val", "test"), [
    ("train", "val", "test"), ("Training", "Validation", "Testing"),
    ("TRAIN", "valid", "TEST"), ("training_set", "dev_set", "test_set"),
    ("trainset", "valset", "testset"), ("Train Set", "Dev", "Test Set"),
    ("train_images", "validation_images", "test_images"), ("TrainingData", "ValData", "TestData"),
])
@pytest.mark.parametrize("outer", ["part", "class"])
def test_parts_in_their_usual_spellings(tmp_path: Path, train: str, val: str, test: str,
                                        outer: str) -> None:
    for part, n in ((train, 4), (val, 2), (test, 3)):
        for label in ("benign", "malignant"):
            place = f"{part}/{label}" if outer == "part" else f"{label}/{part}"
            images(tmp_path, [f"{place}/{i}.png" for i in range(n)])
    listing = read(tmp_path)
    assert counts(listing) == {(label, part): n for label in ("benign", "malignant")
                               for part, n in (("train", 4), ("val", 2), ("test", 3))}
    (note,) = listing.notes
    assert "given split" in note and f"{train} is train (8)" in note


def test_a_given_split_by_folders_is_used_as_the_split(tmp_path: Path) -> None:
    for i, (part, label) in enumerate((p, c) for p in ("train", "valid", "test")
                                      for c in ("benign", "malignant")):
        folder(tmp_path / "set" / part, {label: 4}, seed=100 * i)
    prepare(tmp_path / "run", Study(data=DataConfig(source=str(tmp_path / "set"))))
    from bedside.runfolder import stored

    found = {c.file: c.split for c in stored.cases(tmp_path / "run")}
    assert all(split == {"train": "train", "valid": "val", "test": "test"}[f.split("/")[0]]
               for f, split in found.items()) and len(found) == 24


# ------------------------------------------------------------------ masks


def test_masks_in_a_folder_beside_the_images_of_classes(tmp_path: Path) -> None:
    for label in ("benign", "malignant"):
        images(tmp_path, [f"images/{label}/{i}.png" for i in range(3)])
        masks(tmp_path, [f"masks/{label}/{i}.png" for i in range(2)])
    listing = read(tmp_path)
    assert counts(listing) == {("benign", "set_aside"): 3, ("malignant", "set_aside"): 3}
    assert {c.file: c.masks for c in listing.cases}["images/benign/1.png"] == (
        "masks/benign/1.png",)
    assert any("Masks by folder (masks): 4" in n for n in listing.notes)


def test_masks_in_folders_inside_of_classes(tmp_path: Path) -> None:
    for label in ("benign", "malignant"):
        images(tmp_path, [f"{label}/images/us_{i}.png" for i in range(3)])
        masks(tmp_path, [f"{label}/GT/mask_{i}.png" for i in range(3)])
    listing = read(tmp_path)
    assert len(listing.cases) == 6 and all(len(c.masks) == 1 for c in listing.cases)
    assert {c.label for c in listing.cases} == {"benign", "malignant"}


def test_masks_named_after_their_image_without_mask(tmp_path: Path) -> None:
    for label in ("benign", "malignant"):
        images(tmp_path, [f"{label}/case{i}.png" for i in range(3)])
        masks(tmp_path, [f"{label}/case{i}_tumor.png" for i in range(3)])
        masks(tmp_path, [f"{label}/case0_other1.png"])
    listing = read(tmp_path)
    assert len(listing.cases) == 6
    assert listing.cases[0].masks == ("benign/case0_tumor.png", "benign/case0_other1.png")
    assert any("_other, _tumor" in n and "8" in n for n in listing.notes)


def test_a_system_s_own_files_are_set_aside(tmp_path: Path) -> None:
    folder(tmp_path, {"benign": 2, "malignant": 2})
    images(tmp_path, ["@eaDir/x/SYNOPHOTO_THUMB_XL.jpg", "benign/@eaDir/000.png/thumb.jpg",
                      "__MACOSX/benign/000.png", "$RECYCLE.BIN/a.png"])
    (tmp_path / "benign/Thumbs.db").write_bytes(b"x")
    (tmp_path / "malignant/._000.png").write_bytes(b"x")
    listing = read(tmp_path)
    assert [c.file for c in listing.cases] == [
        f"{label}/{i:03d}.png" for label in ("benign", "malignant") for i in range(2)]
    aside = {s.file: s.reason for s in listing.set_aside}
    assert set(aside) == {"@eaDir", "benign/@eaDir", "__MACOSX", "$RECYCLE.BIN",
                          "benign/Thumbs.db", "malignant/._000.png"}
    assert "operating system" in aside["@eaDir"]


# ------------------------------------------------------------------ what is asked


def original_and_gt(root: Path) -> None:
    udiat(root)


def images_masks_and_a_table(root: Path) -> None:
    bus_bra(root)


def parts_without_classes(root: Path) -> None:
    images(root, [f"training_set/{i}.png" for i in range(4)])
    images(root, [f"test_set/{i}.png" for i in range(4)], 50)


def parts_among_other_words(root: Path) -> None:
    folder(root, {"ISIC-2017_Training_Data": 2, "ISIC-2017_Test_v2_Data": 2})


def a_part_beside_classes(root: Path) -> None:
    folder(root, {"benign": 2, "malignant": 2, "test": 2})


def a_class_with_parts_and_one_without(root: Path) -> None:
    folder(root / "benign", {"train": 2, "test": 2})
    folder(root, {"malignant": 3})


def numbered_folders(root: Path) -> None:
    folder(root, {"HAM10000_images_part_1": 2, "HAM10000_images_part_2": 2})


def numbered_folders_and_a_table(root: Path) -> None:
    ham(root)


def masks_as_a_class(root: Path) -> None:
    folder(root, {"benign": 3, "malignant": 3})
    masks(root, [f"outlined/{i}.png" for i in range(4)])


def masks_saved_as_jpeg(root: Path) -> None:
    folder(root, {"benign": 3})
    masks(root, [f"malignant/{i}.jpg" for i in range(4)])


def grey_images_named_as_masks(root: Path) -> None:
    folder(root, {"benign": 3, "malignant": 3})
    save(root / "benign/000_lesion.png", texture(9))


def grey_images_in_a_folder_of_masks(root: Path) -> None:
    folder(root, {"mask": 4, "no_mask": 4})


def a_table_that_says_otherwise(root: Path) -> None:
    folder(root, {"hospital_a": 6, "hospital_b": 6})
    rows = [f"{h}/{i:03d}.png,{('benign', 'malignant')[i % 2]}"
            for h in ("hospital_a", "hospital_b") for i in range(6)]
    (root / "labels.csv").write_text("\n".join(["image,diagnosis", *rows]) + "\n")


def a_multi_label_table(root: Path) -> None:
    chexpert(root)


def folders_of_patients(root: Path) -> None:
    folder(root, {"patient001": 2, "patient002": 2})


def parts_within_parts(root: Path) -> None:
    folder(root / "train/val", {"benign": 2, "malignant": 2})
    folder(root / "train/benign", {"x": 2})


def images_beside_classes(root: Path) -> None:
    folder(root, {"original": 3, "augmented": 3})


def flat_with_a_table(root: Path) -> None:
    images(root, [f"{i}.png" for i in range(6)])
    (root / "diagnosis.csv").write_text(
        "name,dx\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(6)))


ASKED: dict[Callable[[Path], None], str] = {
    original_and_gt: r"'original' holds images, not classes.*--layout classes",
    images_masks_and_a_table: r"'Images' holds images, not classes.*bus_data\.csv.*--columns "
                              r"\S*file=ID\+\.png\S*label=Pathology",
    parts_without_classes: r"'test_set' and 'training_set' hold the parts of a split, not cl",
    parts_among_other_words: r"may be parts of a split or classes.*--layout parts.*--layout cl",
    a_part_beside_classes: r"'test' has parts of a split, 'benign' and 'malignant' have none",
    a_class_with_parts_and_one_without: r"'benign' has parts.*'malignant' has none",
    numbered_folders: r"differ in a number alone.*--columns table=.*--layout classes",
    numbered_folders_and_a_table: r"differ in a number alone.*HAM10000_metadata\.csv.*"
                                  r"label=dx",
    masks_as_a_class: r"'outlined' are two-valued, as masks are.*--layout classes",
    masks_saved_as_jpeg: r"'malignant' are two-valued",
    grey_images_named_as_masks: r"000_lesion\.png.*named as masks.*--layout classes",
    grey_images_in_a_folder_of_masks: r"folders named as masks and hold grey images.*--layout",
    a_table_that_says_otherwise: r"labels\.csv names the images and gives other labels "
                                 r"\(diagnosis: .*--columns \S*label=diagnosis.*--layout classes",
    a_multi_label_table: r"train\.csv.*is multi-label \(3 columns.*--columns \S*label=Pneumonia",
    folders_of_patients: r"named as patients, not classes.*--columns table=",
    parts_within_parts: r"train/val/benign/000\.png' lies below folders of two parts, train and",
    images_beside_classes: r"'original' lie in no class folder, beside 'augmented'",
    flat_with_a_table: r"no image in a class folder.*--columns \S*file=name\+\.png",
}


@pytest.mark.parametrize("make", ASKED, ids=lambda f: f.__name__)
def test_two_readings_are_asked_about(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "set")
    with pytest.raises(BadInput, match=ASKED[make]) as caught:
        read(tmp_path / "set")
    assert caught.value.exit_code == 2 and "set" in caught.value.message
    assert "\n" not in caught.value.message
    # And through the stage nothing is written.
    with pytest.raises(BadInput):
        prepare(tmp_path / "run", Study(data=DataConfig(source=str(tmp_path / "set"))))
    assert not paths.data_dir(tmp_path / "run").exists()


@pytest.mark.parametrize("make", [m for m in ASKED if m not in (
    flat_with_a_table, parts_within_parts)],
                         ids=lambda f: f.__name__)
def test_layout_classes_takes_folders_literally(tmp_path: Path, make: Callable[[Path], None]
                                                ) -> None:
    make(tmp_path)
    listing = read(tmp_path, layout="classes")
    tops = {p.name for p in tmp_path.iterdir() if p.is_dir()}
    assert {c.label for c in listing.cases} == tops


def test_layout_parts_takes_names_that_speak_of_parts(tmp_path: Path) -> None:
    for part in ("ISIC-2017_Training_Data", "ISIC-2017_Test_v2_Data"):
        folder(tmp_path / part, {"a": 2, "b": 2})
    assert counts(read(tmp_path, layout="parts")) == {
        (c, p): 2 for c in "ab" for p in ("train", "test")}


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(("one", "other"), [
    ("Benign", "benign"), ("benign", "benign "), ("GRÖSSE", "größe")])
def test_classes_that_differ_in_spelling_alone(tmp_path: Path, one: str, other: str) -> None:
    source = folder(tmp_path / "set", {one: 3, other: 3, "malignant": 3})
    if len(list(source.iterdir())) < 3:
        pytest.skip("this disk takes both names for one")
    with pytest.raises(BadInput, match=r"differ in letter case.*--merge"):
        prepare(tmp_path / "run", Study(data=DataConfig(source=str(source))))
    prepare(tmp_path / "run", Study(data=DataConfig(source=str(source),
                                                    merge={"benign2": (one, other)})))


def test_a_class_in_both_unicode_forms_is_one_class(tmp_path: Path) -> None:
    one, other = (unicodedata.normalize(form, "bösartig") for form in ("NFC", "NFD"))
    for i, part in enumerate(("train", "test")):
        folder(tmp_path / "set" / part, {(one, other)[i]: 3, "gut": 3}, seed=100 * i)
    listing = read(tmp_path / "set")
    assert {c.label for c in listing.cases} == {one, "gut"}
    assert all((tmp_path / "set" / c.file).is_file() for c in listing.cases)
    config = DataConfig(source=str(tmp_path / "set"), positive=other)
    prepare(tmp_path / "run", Study(data=config))
    from bedside.runfolder import stored

    assert stored.task(tmp_path / "run").positive == one


def test_a_table_that_agrees_with_the_folders_is_a_note(tmp_path: Path) -> None:
    folder(tmp_path, {"benign": 4, "malignant": 4})
    rows = [f"{i:03d}.png,{'BM'[c == 'malignant']},{30 + i}" for c in ("benign", "malignant")
            for i in range(4)]
    (tmp_path / "info.csv").write_text("\n".join(["file,class,age", *rows]).replace(
        "\n0", "\nbenign/0", 4).replace("\n0", "\nmalignant/0") + "\n")
    (note,) = read(tmp_path).notes
    assert "same classes as the folders" in note and "age" in note


def test_a_split_table_is_pointed_out(tmp_path: Path) -> None:
    folder(tmp_path, {"benign": 4, "malignant": 4})
    (tmp_path / "split.csv").write_text("file,split\n" + "".join(
        f"{c}/{i:03d}.png,train\n" for c in ("benign", "malignant") for i in range(4)))
    (note,) = read(tmp_path).notes
    assert "--split-file" in note and "split.csv" in note


def test_the_masks_of_normal_images_are_blank_and_still_masks(tmp_path: Path) -> None:
    images(tmp_path, ["normal/a.png", "benign/b.png"])
    save(tmp_path / "normal/a_mask.png", mask() * 0)
    save(tmp_path / "benign/b_mask.png", mask())
    assert [len(c.masks) for c in read(tmp_path).cases] == [1, 1]


def test_loose_images_are_set_aside(tmp_path: Path) -> None:
    from bedside.readers.files import walk

    folder(tmp_path, {"a": 2, "b": 2})
    save(tmp_path / "loose.png", texture(7))
    reading = understand(walk(tmp_path))
    assert [(s.file, s.reason) for s in reading.aside] == [("loose.png", NO_CLASS)]


# ------------------------------------------------------------------ what was trained on silently


def _classes(root: Path) -> Path:
    return folder(root, {"benign": 4, "malignant": 4})


def _with(root: Path, *names: str) -> None:
    images(_classes(root), names, 500)


def tumor_masks(root: Path) -> None:
    masks(_classes(root), [f"benign/{i:03d}_tumor.png" for i in range(4)])


def thumbnails_of_a_nas(root: Path) -> None:
    _with(root, "@eaDir/benign/SYNOPHOTO_THUMB_M.jpg", "benign/@eaDir/000.png/SYNO_THUMB.jpg")


def files_of_a_mac(root: Path) -> None:
    _with(root, "__MACOSX/benign/000.png", "__MACOSX/malignant/000.png")


def files_of_windows(root: Path) -> None:
    (_classes(root) / "benign/Thumbs.db").write_bytes(b"\xd0\xcf")


def two_spellings(root: Path) -> None:
    folder(root, {"benign": 4, "Benign": 4, "malignant": 4})


# The eight images of two classes, or the question.
SILENT: dict[Callable[[Path], None], str | None] = {
    original_and_gt: "--layout classes", images_masks_and_a_table: "--columns",
    parts_without_classes: "--layout classes", two_spellings: "--merge",
    tumor_masks: None, thumbnails_of_a_nas: None, files_of_a_mac: None, files_of_windows: None}


@pytest.mark.parametrize("make", SILENT, ids=lambda f: f.__name__)
def test_what_any_folder_is_a_class_trained_on_silently(
        tmp_path: Path, make: Callable[[Path], None]) -> None:
    from bedside.runfolder import stored

    make(tmp_path / "set")
    study = Study(data=DataConfig(source=str(tmp_path / "set")))
    if (flag := SILENT[make]) is not None:
        with pytest.raises(BadInput, match=flag):
            prepare(tmp_path / "run", study)
        assert not paths.data_dir(tmp_path / "run").exists()
        return
    prepare(tmp_path / "run", study)
    assert {c.file for c in stored.cases(tmp_path / "run")} == {
        f"{label}/{i:03d}.png" for label in ("benign", "malignant") for i in range(4)}
