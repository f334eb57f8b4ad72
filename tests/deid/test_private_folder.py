"""One clean folder, one private folder, one source and one key: nothing is overwritten silently."""

from __future__ import annotations

import json

import numpy as np
import pytest
from deid_fixture import OPEN, dirty_png
from PIL import Image

from bedside.cli.app import guarded
from bedside.core.errors import BadInput
from bedside.deid import deidentify, private_folder
from bedside.deid.importing import import_dataset


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes()
            for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def two(tmp_path):
    """Sources a and b, and a de-identified into out and private."""
    for number, name in enumerate("ab"):
        (tmp_path / name / "benign").mkdir(parents=True)
        dirty_png(tmp_path / name / "benign" / f"{name}.png", Image.new("L", (9, 9), number))
    run(tmp_path, "a")
    return tmp_path


def run(folder, src, out="out", private="private", **more):
    return deidentify(folder / src, folder / out, folder / private, OPEN, workers=1, **more)


@pytest.mark.parametrize("places", [{}, {"out": "new"}, {"private": "new"}])
def test_another_source_leaves_data_and_the_way_back_as_they_are(two, places):
    before = tree(two / "out"), tree(two / "private")
    with pytest.raises(BadInput, match=r"of another source.*another --out"):
        run(two, "b", **places)
    assert (tree(two / "out"), tree(two / "private")) == before
    assert not (two / "new").exists()
    assert run(two, "b", out="new", private="other").passed == 1


def test_another_key_or_private_folder_is_refused(two):
    key = two / "own.key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    before = tree(two / "out"), tree(two / "private")
    for more in ({"key_file": key}, {"private": "new"}, {"private": "new", "key_file": key}):
        with pytest.raises(BadInput, match=r"another key.*another --out"):
            run(two, "a", **more)
    (two / "private" / "deid.key").unlink()
    with pytest.raises(BadInput, match="another key"):
        run(two, "a")
    (two / "private" / "deid.key").write_bytes(before[1]["deid.key"])
    (two / "private" / "deid.key").chmod(0o600)
    assert (tree(two / "out"), tree(two / "private")) == before
    assert not (two / "new").exists()


def test_the_same_source_goes_on_also_after_a_change_a_move_or_an_older_version(two):
    dirty_png(two / "a" / "benign" / "more.png", Image.new("L", (9, 9), 7))
    assert run(two, "a").passed == 2
    note = two / "private" / private_folder.FILE
    old = json.loads(note.read_text())
    note.write_text(json.dumps({k: old[k] for k in ("out", "stage", "targets")}))
    (two / "a" / "benign" / "more.png").unlink()
    assert run(two, "a").passed == 1
    assert json.loads(note.read_text())["source"] == old["source"]
    (two / "out").rename(two / "moved")
    (two / "a" / "benign" / "a.png").unlink()
    dirty_png(two / "a" / "benign" / "c.png", Image.new("L", (9, 9), 8))
    assert run(two, "a", out="moved").passed == 1


def test_the_source_s_path_is_written_nowhere(two):
    for data in (*tree(two / "out").values(), tree(two / "private")[private_folder.FILE]):
        assert str(two / "a").encode() not in data


def npz(path, value):
    np.savez(path, train_images=np.full((2, 9, 9), value, np.uint8),
             train_labels=np.array([0, 1]))
    return path


def test_tables_and_npz_are_sources_of_their_own(two):
    one, other = npz(two / "one.npz", 1), npz(two / "other.npz", 2)
    out, private = two / "clean", two / "clean-private"
    assert import_dataset(one, out, private, OPEN).passed == 3
    before = tree(out), tree(private)
    with pytest.raises(BadInput, match="of another source"):
        import_dataset(other, out, private, OPEN)
    assert (tree(out), tree(private)) == before
    assert import_dataset(npz(one, 3), out, private, OPEN).passed == 3
    for name in ("x", "y"):
        (two / "a" / f"{name}.csv").write_text("file,label\nbenign/a.png,benign\n")
    import_dataset(two / "a" / "x.csv", two / "t", two / "tp", OPEN)
    with pytest.raises(BadInput, match="of another source"):
        import_dataset(two / "a" / "y.csv", two / "t", two / "tp", OPEN)


@pytest.mark.parametrize(("command", "fault"), [
    ("deid", "empty"), ("deid", "key"),
    *(("import", fault) for fault in ("empty", "key", "npz", "npz key"))])
def test_what_is_refused_leaves_no_private_folder(tmp_path, capsys, command, fault):
    src = tmp_path / "src"
    src.mkdir()
    if fault == "key":
        Image.new("L", (9, 9)).save(src / "a.png")
    elif fault == "npz":
        src = tmp_path / "bad.npz"
        src.write_bytes(b"no zip")
    elif fault == "npz key":
        src = npz(tmp_path / "good.npz", 1)
    private = ["--private", str(tmp_path / "out-private")] if command == "deid" else []
    key = ["--key", str(tmp_path / "none.key")] if "key" in fault else []
    assert guarded([command, str(src), "--out", str(tmp_path / "out"), *private, *key]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out-private").exists()
    assert not (tmp_path / "out").exists()
