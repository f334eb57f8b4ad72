"""A run folder has one writer, and an empty one is left as it was found."""

from __future__ import annotations

import pytest

from bedside.core.errors import BadInput
from bedside.flows.run_lock import locked


def test_a_second_writer_is_refused(tmp_path):
    with locked(tmp_path / "run"), pytest.raises(BadInput, match="another bedside process"), \
            locked(tmp_path / "run"):
        pass


def test_nothing_written_leaves_no_folder(tmp_path):
    with locked(tmp_path / "deep" / "run"):
        assert (tmp_path / "deep" / "run").is_dir()
    assert not (tmp_path / "deep").exists()


def test_what_was_written_stays(tmp_path):
    with locked(tmp_path / "run"):
        (tmp_path / "run" / "study.toml").write_text("")
    assert (tmp_path / "run" / "study.toml").is_file()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with locked(tmp_path / "other"):
        pass
    assert sorted(p.name for p in (tmp_path / "other").iterdir()) == ["mine.txt"]
