from __future__ import annotations

import errno
import subprocess
import sys
import textwrap

import pytest

from bedside.core import codec
from bedside.core.build import ModelSpec
from bedside.core.errors import BadInput
from bedside.core.model_files import Conversion, Tuning
from bedside.core.study import ModelConfig
from bedside.core.types import Preprocess, Task
from bedside.runfolder import artefact, layout, stored
from bedside.runfolder.artefact import FileRecord, Manifest, StageRecord


def _publish(folder, key="k", text="one", name="a.txt"):
    with artefact.writing(folder, "stage", key) as scratch:
        (scratch / name).write_text(text)


def test_published_files_are_listed_hashed_and_found(tmp_path):
    _publish(tmp_path)
    assert artefact.finished(tmp_path, "stage", "k")
    assert not artefact.finished(tmp_path, "stage", "other")
    assert artefact.check(tmp_path, "stage").files["a.txt"].size_bytes == 3
    assert not artefact.scratch_dir(tmp_path, "stage").exists()


def test_a_changed_file_is_found_out(tmp_path):
    _publish(tmp_path)
    (tmp_path / "a.txt").write_text("two")
    assert artefact.finished(tmp_path, "stage", "k")  # same size
    with pytest.raises(BadInput, match=r"a\.txt.*hash"):
        artefact.check(tmp_path, "stage")
    (tmp_path / "a.txt").write_text("longer")
    assert not artefact.finished(tmp_path, "stage", "k")


def test_an_exception_leaves_the_old_results(tmp_path):
    _publish(tmp_path)
    with pytest.raises(RuntimeError), artefact.writing(tmp_path, "stage", "k2") as scratch:
        (scratch / "a.txt").write_text("half")
        raise RuntimeError
    assert artefact.finished(tmp_path, "stage", "k")
    assert (tmp_path / "a.txt").read_text() == "one"
    assert not artefact.scratch_dir(tmp_path, "stage").exists()


def test_publishing_again_removes_what_is_no_longer_made(tmp_path):
    _publish(tmp_path, name="old.txt")
    _publish(tmp_path, "k2", name="new.txt")
    assert not (tmp_path / "old.txt").exists()
    assert artefact.finished(tmp_path, "stage", "k2")


def test_two_stages_share_a_folder(tmp_path):
    _publish(tmp_path)
    with artefact.writing(tmp_path, "later", "z") as scratch:
        (scratch / "b.txt").write_text("b")
    assert artefact.finished(tmp_path, "stage", "k")
    assert artefact.finished(tmp_path, "later", "z")


def test_resume_keeps_the_scratch_of_the_same_key_only(tmp_path):
    def attempt(key):
        seen = None
        with pytest.raises(KeyboardInterrupt), \
                artefact.writing(tmp_path, "s", key, resume=True) as scratch:
            seen = (scratch / "checkpoint").exists()
            (scratch / "checkpoint").write_text("x")
            raise KeyboardInterrupt
        return seen

    assert attempt("a") is False
    assert attempt("a") is True
    assert attempt("b") is False


def test_killed_between_any_two_steps_never_shows_half(tmp_path):
    """SIGKILL before every file-system call that publishing makes, one after the other."""
    program = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from bedside.runfolder import artefact
        left = int(sys.argv[2])
        def counted(name, function):
            def call(*a, **k):
                global left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*a, **k)
            return call
        for owner, name in ((Path, "replace"), (Path, "unlink"), (Path, "mkdir"), (os, "fsync"),
                            (Path, "open")):
            setattr(owner, name, counted(name, getattr(owner, name)))
        folder = Path(sys.argv[1])
        with artefact.writing(folder, "stage", "new") as scratch:
            for n in "abc":
                with (scratch / f"{n}.txt").open("w") as handle:
                    handle.write("new " + n)
        """)
    ended = False
    for step in range(60):
        folder = tmp_path / str(step)
        with artefact.writing(folder, "stage", "old") as scratch:
            for n in "ab":
                (scratch / f"{n}.txt").write_text("old " + n)
        code = subprocess.run([sys.executable, "-c", program, str(folder), str(step)],
                              check=False).returncode
        record = artefact.read_manifest(folder).stages.get("stage")
        if record is not None and artefact.finished(folder, "stage", "new"):
            artefact.check(folder, "stage")
        elif record is not None:
            assert record.key == "old"
            artefact.check(folder, "stage")
        if code == 0:
            ended = True
            break
        _resume_and_check(folder)
    assert ended
    assert step > 10


def test_dot_files_are_kept_until_the_manifest_stands(tmp_path, monkeypatch):
    """A kill between publishing and the manifest must not cost a training its checkpoint."""
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(artefact, "write_text", killed)
    with pytest.raises(KeyboardInterrupt), \
            artefact.writing(tmp_path, "train", "k", resume=True) as scratch:
        (scratch / ".checkpoint").write_text("state")
        (scratch / "weights").write_text("w")
    monkeypatch.undo()
    assert not artefact.finished(tmp_path, "train")
    with artefact.writing(tmp_path, "train", "k", resume=True) as scratch:
        assert (scratch / ".checkpoint").read_text() == "state"
        (scratch / "weights").write_text("w")
    assert list(artefact.check(tmp_path, "train").files) == ["weights"]
    assert not scratch.exists()


def _resume_and_check(folder):
    with artefact.writing(folder, "stage", "new") as scratch:
        (scratch / "a.txt").write_text("new a")
    artefact.check(folder, "stage")
    assert (folder / "a.txt").read_text() == "new a"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_closed_disk_is_one_message(tmp_path, code):
    with pytest.raises(BadInput) as caught, artefact.disk_errors(tmp_path):
        raise OSError(code, "x")
    assert caught.value.exit_code == 2
    assert str(tmp_path) in caught.value.message


def test_history_keeps_every_old_measurement(tmp_path):
    cell = tmp_path / "v@cpu"
    for n in range(3):
        _publish(cell, f"k{n}", f"run {n}")
        artefact.keep_history(cell)
    shelf = tmp_path / ".history" / "v@cpu"
    assert [(shelf / f"{i:04d}" / "a.txt").read_text() for i in (1, 2, 3)] == [
        "run 0", "run 1", "run 2"]


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../../outside"])
def test_a_manifest_that_names_files_outside_its_folder_is_refused(tmp_path, name):
    """Publishing removes files that a stage no longer makes: never somebody else's."""
    outside = tmp_path / "outside"
    outside.write_text("x")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "manifest.json").write_text(codec.to_json(
        Manifest(stages={"s": StageRecord("k", {name: FileRecord("0" * 64, 1)})})))
    with (pytest.raises(BadInput, match="outside the folder"),
          artefact.writing(folder, "s", "other") as scratch):
        (scratch / "a").write_text("1")
    assert outside.exists()


def test_a_manifest_that_does_not_read_says_what_to_do(tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(BadInput, match="Delete its folder"):
        artefact.finished(tmp_path, "s")


def test_equal_inputs_give_equal_keys():
    assert artefact.stage_key("a", {"x": 1.0}) == artefact.stage_key("a", {"x": 1.0})
    assert artefact.stage_key("a", {"x": 1.0}) != artefact.stage_key("a", {"x": 2.0})


def test_one_file_is_compared_without_the_others(tmp_path):
    with artefact.writing(tmp_path, "stage", "k") as scratch:
        (scratch / "a.txt").write_text("one")
        (scratch / "b.txt").write_text("one")
    (tmp_path / "b.txt").write_text("two")
    assert artefact.checked(tmp_path, "stage", "a.txt") == tmp_path / "a.txt"
    assert artefact.finished(tmp_path, "stage", "k")
    assert not artefact.intact(tmp_path, "stage", "k")
    for read in (lambda: artefact.checked(tmp_path, "stage", "b.txt"),
                 lambda: artefact.verified(tmp_path / "b.txt")):
        with pytest.raises(BadInput, match=r"b\.txt.*hash"):
            read()
    with pytest.raises(BadInput, match="not among"):
        artefact.checked(tmp_path, "stage", "c.txt")
    assert artefact.verified(tmp_path / "c.txt") == tmp_path / "c.txt"
    assert artefact.recorded(tmp_path, "stage")
    assert not artefact.recorded(tmp_path, "other")


@pytest.mark.parametrize(("name", "stage"), [
    (layout.SPEC, "train"), (layout.CONVERSION, "convert"), (layout.TUNING, "train")])
def test_what_a_model_is_must_be_what_its_stage_published(tmp_path, name, stage):
    """An edited file is told, and not taken for what was trained and converted."""
    folder = layout.model_dir(tmp_path, "net")
    files = {"train": {layout.SPEC: codec.to_json(ModelSpec("net", "net", Preprocess(), Task(
                 ("a", "b")), ModelConfig("net"))), layout.TUNING: codec.to_json(Tuning(1))},
             "convert": {layout.CONVERSION: codec.to_json(Conversion("c", 3))}}
    for one, texts in files.items():
        with artefact.writing(folder, one, "k") as scratch:
            for file, text in texts.items():
                artefact.write_text(scratch / file, text)
    assert stored.model_spec(tmp_path, "net").id == "net"
    assert stored.tuning(tmp_path, "net") is not None
    (folder / name).write_text((folder / name).read_text() + " ")
    with pytest.raises(BadInput, match=name):
        stored.model_spec(tmp_path, "net")
        stored.tuning(tmp_path, "net")
