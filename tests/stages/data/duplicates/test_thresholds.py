"""Thresholds follow the data set: radiographs of different patients are different images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data_fixture import npz, save, scanned, texture
from paths import SHARED

from bedside.core.errors import BadInput
from bedside.core.study import DataConfig, Study
from bedside.core.types import Case
from bedside.runfolder import layout, stored
from bedside.stages.data import scan
from bedside.stages.data.duplicates import thresholds
from bedside.stages.data.duplicates.group import Groups, conflicts, group
from bedside.stages.data.stage import prepare


def likes(n: int, share: float, px: int = 28) -> list[np.ndarray]:
    """Images of one anatomy: a common texture and, for ``1 - share``, one of their own."""
    common = texture(0, px, px).astype(float)
    return [np.rint(share * common + (1 - share) * texture(i + 1, px, px)).astype(np.uint8)
            for i in range(n)]


def grouped(root: Path, images: list[np.ndarray], **options: str) -> Groups:
    files = [save(root / f"{i:03d}.png", image).name for i, image in enumerate(images)]
    with scan.Thumbs() as thumbs:
        return group(scanned(root, files, thumbs), thumbs, **options)  # type: ignore[arg-type]


def test_images_of_one_anatomy_are_different_images(tmp_path: Path) -> None:
    images = likes(60, 0.58)
    fixed = thresholds.Thresholds()
    with scan.Thumbs() as thumbs:
        for image in images:
            thumbs.append(scan.thumbnail(image))
        from bedside.stages.data.duplicates.near import correlation

        pairs = np.array([(i, j) for i in range(60) for j in range(i)])
        scores = correlation(thumbs, pairs[:, 0], pairs[:, 1])
    # A fixed limit would join them: the test can fail.
    assert (scores > fixed.weak).mean() > 0.5
    found = grouped(tmp_path, [*images, images[7], images[9]])
    assert {(k.first, k.second) for k in found.links} == {(7, 60), (9, 61)}
    assert len(set(found.duplicates)) == 60


def test_several_organs_have_a_limit_each(tmp_path: Path) -> None:
    organs = {f"organ{k}": [np.rint(0.62 * texture(1000 + k, 28, 28) + 0.38 * texture(
        100 * k + i, 28, 28)).astype(np.uint8) for i in range(36)] for k in range(6)}
    for name, stack in organs.items():
        for i, image in enumerate(stack):
            save(tmp_path / name / f"{i:02d}.png", image)
    files = [f"{name}/{i:02d}.png" for name in organs for i in range(36)]
    save(tmp_path / "organ3/copy.bmp", organs["organ3"][5])
    files.append("organ3/copy.bmp")
    hashes = scan.file_hashes(tmp_path, files)

    def links(labels: list[str]) -> int:
        with scan.Thumbs() as thumbs:
            images = scan.scan(tmp_path, [Case("", f, label, sha256=h) for f, label, h in zip(
                files, labels, hashes, strict=True)], thumbs)
            return len(group(images, thumbs).links)

    # As one class the organs hide each other's likeness: the test can fail.
    assert links(["one"] * len(files)) > 50
    assert 1 <= links([f.partition("/")[0] for f in files]) <= 3


def test_copies_of_lesser_quality_are_found_among_images_of_one_anatomy(tmp_path: Path) -> None:
    images = likes(60, 0.5, 96)
    rng = np.random.default_rng(1)
    copies = [np.clip(image * 0.8 + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)
              for image in images[:10]]
    found = grouped(tmp_path, [*images, *copies])
    assert [found.duplicates[60 + i] for i in range(10)] == list(range(10))
    assert len(set(found.duplicates)) == 60


@pytest.mark.parametrize(("mode", "joined"), [
    ("off", set()), ("exact", {"copy"}), ("strict", {"copy", "noisy"}),
    ("default", {"copy", "noisy", "weak"})])
def test_modes(tmp_path: Path, mode: str, joined: set[str]) -> None:
    rng = np.random.default_rng(0)
    image = texture(0, 200, 240)
    noisy = np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)
    weak = np.clip(image * 0.4 + texture(99, 200, 240) * 0.28, 0, 255).astype(np.uint8)
    found = grouped(tmp_path, [image, image, noisy, weak, texture(5, 200, 240)], mode=mode)
    names = ("", "copy", "noisy", "weak", "other")
    assert {names[i] for i in range(1, 5) if found.duplicates[i] == 0} == joined


def test_few_small_images_are_joined_only_where_nearly_identical() -> None:
    def never(*_: object) -> np.ndarray:
        raise AssertionError("nothing is measured on few images")

    small = thresholds.learn(range(5), [28] * 5, never, never)
    large = thresholds.learn(range(5), [300] * 5, never, never)
    assert small.sure >= 0.9 and large == thresholds.Thresholds()


def test_a_video_does_not_teach_that_its_frames_differ() -> None:
    def same(first: np.ndarray, _: np.ndarray) -> np.ndarray:
        return np.full(len(first), 0.99)

    assert thresholds.learn(range(100), [300] * 100, same, same).sure <= 0.97


def test_a_chain_does_not_put_every_label_in_doubt() -> None:
    # 0 and 1 are one image under two labels; 2 and 3 hang on by others and are like neither.
    assert conflicts([0, 0, 0, 0], ["a", "b", "a", "b"], [(0, 1)]) == {0: [0, 1]}
    assert conflicts([0, 0], ["a", "b"], []) == {}


def _study(source: Path, **options: object) -> Study:
    return Study(data=DataConfig(source=str(source), **options))  # type: ignore[arg-type]


def test_many_images_in_conflict_are_asked_about(tmp_path: Path) -> None:
    stack = np.stack([texture(i % 50, 28, 28) for i in range(100)])
    labels = (np.arange(100) // 50).astype(np.uint8)
    source = npz(tmp_path / "x.npz", train_images=stack, train_labels=labels)
    run = tmp_path / "run"
    with pytest.raises(BadInput, match=r"of 10\d images.*--near-duplicates default") as caught:
        prepare(run, _study(source))
    assert caught.value.exit_code == 2 and not list(layout.data_dir(run).iterdir())
    with pytest.raises(BadInput, match="no image"):
        # An answer was given: all training images are set aside, and that cannot work either.
        prepare(run, _study(source, near_duplicates="default", exclude=()))
    prepare(run, _study(source, near_duplicates="off", regroup=True))
    assert len(stored.cases(run)) == 104


def test_pneumonia_keeps_every_image_and_its_split(tmp_path: Path) -> None:
    source = SHARED / "cases" / "pneumonia_520.npz"
    if not source.is_file():
        pytest.skip("the radiographs are not beside this checkout (shared/cases)")
    prepare(tmp_path, _study(source, class_names=("normal", "pneumonia")))
    audit = json.loads((layout.data_dir(tmp_path) / layout.AUDIT).read_text())
    assert audit["set_aside"] == [] and len(audit["duplicates"]) <= 5
    assert {p: sum(c.values()) for p, c in audit["used"].items()} == {
        "train": 200, "val": 120, "test": 200}
    assert all(c.file.startswith(c.split) for c in stored.cases(tmp_path))
