"""Bad input to the data stage: one message with the file and the remedy, nothing half-written."""

from __future__ import annotations

import json
import random
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from data_fixture import folder, npz, save, texture

from bedside.core.errors import BadInput, GateFailed
from bedside.core.study import DataConfig, Study
from bedside.runfolder import artefact, layout, stored
from bedside.stages.data.stage import prepare


def study(source: Path, **options: object) -> Study:
    return Study(data=DataConfig(source=str(source), **options))  # type: ignore[arg-type]


def refused(run: Path, source: Path, message: str, **options: object) -> BadInput:
    with pytest.raises(BadInput, match=message) as caught:
        prepare(run, study(source, **options))
    assert caught.value.exit_code == 2 and caught.value.remedy
    assert "\n" not in caught.value.message
    assert not layout.data_dir(run).exists() or not list(layout.data_dir(run).iterdir())
    return caught.value


def audit_of(run: Path) -> dict:
    return json.loads((layout.data_dir(run) / layout.AUDIT).read_text())


# ------------------------------------------------------------------ data sets


def test_nothing_there(tmp_path: Path) -> None:
    refused(tmp_path / "run", tmp_path / "nowhere", "nowhere: no such file")


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    refused(tmp_path / "run", tmp_path / "set", "set: no image in a class folder")


def test_one_class(tmp_path: Path) -> None:
    refused(tmp_path / "run", folder(tmp_path / "set", {"benign": 3}), "only the class 'benign'")


def test_a_class_with_one_image(tmp_path: Path) -> None:
    source = folder(tmp_path / "set", {"benign": 3, "malignant": 1})
    refused(tmp_path / "run", source, "'malignant' has one image")


def test_a_class_with_one_image_left(tmp_path: Path) -> None:
    source = folder(tmp_path / "set", {"benign": 5, "malignant": 2})
    (source / "malignant/001.png").write_bytes(b"")
    refused(tmp_path / "run", source, r"'malignant' has one image", skip_bad=True)


def test_unknown_classes(tmp_path: Path) -> None:
    refused(tmp_path / "run", folder(tmp_path / "set"), "Did you mean 'benign'",
            exclude=("bening",))


@pytest.mark.parametrize(("text", "message"), [
    ("file\na.png\n", "'label' is missing"),
    ("file,label\nnone.png,x\n", r"manifest\.csv: line 2: no such file"),
    ("file,label\n/etc/hostname,x\n", "absolute path"),
])
def test_tables(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "manifest.csv").write_text(text)
    refused(tmp_path / "run", tmp_path, message)


def test_arrays(tmp_path: Path) -> None:
    bad = np.full((12, 28, 28), np.nan)
    refused(tmp_path / "run", npz(tmp_path / "x.npz", train_images=bad), "may hold NaN")


def test_an_array_that_is_there_twice(tmp_path: Path) -> None:
    source = npz(tmp_path / "x.npz")
    with warnings.catch_warnings(), zipfile.ZipFile(source, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("train_labels.npy", archive.read("train_labels.npy"))
    refused(tmp_path / "run", source, "'train_labels' is in the file twice")


def test_bad_proportions(tmp_path: Path) -> None:
    refused(tmp_path / "run", folder(tmp_path / "set"), "proportions", proportions=(0, 1, 1))


# ------------------------------------------------------------------ images


def _truncated(good: bytes) -> bytes:
    return good[:len(good) // 2]


def _many_pixels(good: bytes) -> bytes:
    """A PNG whose header promises 100 megapixels."""
    head = b"IHDR" + (10_000).to_bytes(4, "big") * 2 + good[24:29]
    return good[:12] + head + zlib.crc32(head).to_bytes(4, "big") + good[33:]


FAULTS = {
    "empty": (lambda good: b"", "0 bytes"),
    "truncated": (_truncated, "truncated"),
    "text": (lambda good: b"no image at all", "not a readable image"),
    "bomb": (_many_pixels, "40 megapixels"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_unreadable_images(tmp_path: Path, fault: str) -> None:
    source = folder(tmp_path / "set")
    change, message = FAULTS[fault]
    bad = source / "malignant/003.png"
    bad.write_bytes(change(bad.read_bytes()))
    error = refused(tmp_path / "run", source, rf"malignant/003\.png: .*{message}")
    assert error.remedy is not None
    assert "--skip-bad" in error.remedy or "remove" in error.remedy
    prepare(tmp_path / "run", study(source, skip_bad=True))
    audit = audit_of(tmp_path / "run")
    assert [e["file"] for e in audit["set_aside"]] == ["malignant/003.png"]
    assert message in audit["set_aside"][0]["reason"]
    assert len(stored.cases(tmp_path / "run")) == 15 and audit["read"] == 16


def test_all_black(tmp_path: Path) -> None:
    source = folder(tmp_path / "set")
    save(source / "benign/black.png", np.zeros((20, 20), np.uint8))
    refused(tmp_path / "run", source, r"benign/black\.png: the image is all black \(maximum 0\)")
    prepare(tmp_path / "run", study(source, skip_bad=True))
    assert audit_of(tmp_path / "run")["set_aside"][0]["file"] == "benign/black.png"


def test_all_black_in_an_npz(tmp_path: Path) -> None:
    stack = np.stack([texture(i, 28, 28) for i in range(12)])
    stack[5] = 0
    source = npz(tmp_path / "x.npz", train_images=stack)
    refused(tmp_path / "run", source, r"x\.npz: train_images\[5\]: .*all black")


def test_damaged_bytes_never_end_in_a_traceback(tmp_path: Path) -> None:
    source = folder(tmp_path / "set", {"a": 30, "b": 10})
    rng = random.Random(0)
    for path in sorted((source / "a").iterdir())[:20]:
        data = bytearray(path.read_bytes())
        for _ in range(20):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
    prepare(tmp_path / "run", study(source, skip_bad=True))
    audit = audit_of(tmp_path / "run")
    used = sum(sum(c.values()) for c in audit["used"].values())
    assert audit["read"] == 40 == used + len(audit["set_aside"])


def test_an_unreadable_image_of_an_excluded_class_does_not_matter(tmp_path: Path) -> None:
    source = folder(tmp_path / "set", {"a": 6, "b": 6, "c": 2})
    (source / "c/000.png").write_bytes(b"")
    prepare(tmp_path / "run", study(source, exclude=("c",)))
    assert [e["reason"] for e in audit_of(tmp_path / "run")["set_aside"]] == [
        "class 'c' excluded"] * 2


# ------------------------------------------------------------------ splits


def _split_file(path: Path, rows: dict[str, str]) -> str:
    path.write_text("file,split\n" + "".join(f"{k},{v}\n" for k, v in rows.items()))
    return str(path)


def _rows(counts: tuple[int, int]) -> dict[str, str]:
    return {f"{c}/{i:03d}.png": "train" if i < counts[0] else "val"
            for c in ("benign", "malignant") for i in range(sum(counts))}


@pytest.mark.parametrize(("text", "message"), [
    ("file,part\nbenign/000.png,train\n", "'split' is missing"),
    ("file,split\nBening/004.png,train\n", r"no image of .*Did you mean 'benign/004\.png'"),
    ("file,split\nbenign/000.png,trian\n", "unknown split 'trian'. Did you mean 'train'"),
    ("file,split\nbenign/000.png,\n", "has no split"),
    ("file,split\nbenign/000.png,train\nbenign/000.png,val\n", "listed twice"),
    ("file,split\n", "no image is listed"),
    ("file,split\nbenign/000.png,val\nbenign/001.png,val\nmalignant/000.png,val\n"
     "malignant/001.png,val\n", "no training part"),
])
def test_split_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "split.csv"
    path.write_text(text)
    refused(tmp_path / "run", folder(tmp_path / "set"), message, split_file=str(path))


def test_a_split_file_may_spell_names_otherwise(tmp_path: Path) -> None:
    rows = {name.replace("/", "\\").replace(".png", ".PNG"): {"train": "Training", "val": "dev"}[p]
            for name, p in _rows((6, 2)).items()}
    prepare(tmp_path / "run", study(folder(tmp_path / "set"), proportions=(1, 1, 0),
                                    split_file=_split_file(tmp_path / "s.csv", rows)))
    assert {c.file: c.split for c in stored.cases(tmp_path / "run")} == _rows((6, 2))


def test_images_that_a_split_leaves_out_are_set_aside_and_listed(tmp_path: Path) -> None:
    rows = _rows((6, 2))
    del rows["benign/001.png"]
    file = _split_file(tmp_path / "split.csv", rows)
    prepare(tmp_path / "run", study(folder(tmp_path / "set"), split_file=file,
                                    proportions=(1, 1, 0)))
    audit = audit_of(tmp_path / "run")
    assert audit["set_aside"] == [{"file": "benign/001.png",
                                   "reason": "no part in the given split"}]
    assert {c.file: c.split for c in stored.cases(tmp_path / "run") if c.split != "set_aside"} \
        == rows


def test_a_split_that_separates_twins_fails_the_gate(tmp_path: Path) -> None:
    source = folder(tmp_path / "set")
    save(source / "benign/007.png", texture(2))
    file = _split_file(tmp_path / "split.csv", _rows((6, 2)))
    run = tmp_path / "run"
    with pytest.raises(GateFailed, match=r"1 groups of 2 images.*benign/002\.png' in train.*"
                       r"benign/007\.png' in val.*--regroup") as caught:
        prepare(run, study(source, split_file=file))
    assert caught.value.exit_code == 1
    assert not list(layout.data_dir(run).iterdir())
    said: list[str] = []
    prepare(run, study(source, split_file=file, regroup=True),
            lambda stage, done, total, detail="": said.append(detail))
    parts = {c.file: c.split for c in stored.cases(run)}
    assert parts["benign/002.png"] == parts["benign/007.png"]
    audit = audit_of(run)
    assert audit["regrouped"] and len(audit["twins"]) == 1
    assert any("no test part" in n for n in audit["notes"])
    assert [n for n in said if n] == audit["notes"]


# ------------------------------------------------------------------ what is written


def test_the_same_images_give_the_same_files(tmp_path: Path) -> None:
    source = folder(tmp_path / "set", {"benign": 20, "malignant": 12})
    save(source / "malignant/copy.png", texture(1003))
    runs = [tmp_path / "one", tmp_path / "two"]
    for run, workers in zip(runs, (1, 4), strict=True):
        prepare(run, study(source), workers=workers)
    for name in (layout.CASES, layout.TASK, layout.AUDIT, "source.json"):
        assert (layout.data_dir(runs[0]) / name).read_bytes() == \
            (layout.data_dir(runs[1]) / name).read_bytes()
    cases = stored.cases(runs[0])
    ids = [c.id for c in cases]
    assert len(set(ids)) == len(ids) and sum(i.endswith("-2") for i in ids) == 1
    assert all(i.startswith("c") and len(i.partition("-")[0]) == 16 for i in ids)


def test_a_finished_stage_is_skipped_until_something_changes(tmp_path: Path) -> None:
    source, run = folder(tmp_path / "set"), tmp_path / "run"

    def key() -> str:
        prepare(run, study(source))
        return artefact.record(layout.data_dir(run), "data").key

    first, stamp = key(), None
    stamp = (layout.data_dir(run) / layout.CASES).stat().st_mtime_ns
    assert key() == first
    assert (layout.data_dir(run) / layout.CASES).stat().st_mtime_ns == stamp
    save(source / "benign/000.png", texture(77))
    assert key() != first


def test_conflicting_labels_are_set_aside_and_listed(tmp_path: Path) -> None:
    source, run = folder(tmp_path / "set"), tmp_path / "run"
    save(source / "benign/twin.png", texture(1004))
    prepare(run, study(source))
    audit = audit_of(run)
    assert audit["conflicts"] == [{"labels": {"benign": ["benign/twin.png"],
                                              "malignant": ["malignant/004.png"]}}]
    aside = {c.file: c for c in stored.cases(run) if c.split == "set_aside"}
    assert set(aside) == {"benign/twin.png", "malignant/004.png"}
    assert all(c.flags == ("conflict",) for c in aside.values())
    assert {e["reason"] for e in audit["set_aside"]} == {"one image under several classes"}


def test_a_full_disk_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    source, run = folder(tmp_path / "set"), tmp_path / "run"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bedside.stages.data.scan.Thumbs.append", full)
    refused(run, source, "the disk is full")
