"""Sharing a finished stage's files with another run folder."""

from __future__ import annotations

import os

import pytest

from bedside.core.errors import BadInput
from bedside.runfolder import artefact, borrow


def _source(folder):
    with artefact.writing(folder, "train", "k") as scratch:
        artefact.write_text(scratch / "a.txt", "one")
        artefact.write_text(scratch / "sub" / "b.txt", "two")
    return folder


def test_the_copy_is_finished_and_equal(tmp_path):
    source, target = _source(tmp_path / "a"), tmp_path / "b"
    (source / ".stray").write_text("not published")
    borrow.borrow(source, target)
    assert artefact.intact(target, "train", "k")
    assert (target / "sub" / "b.txt").read_text() == "two"
    assert not (target / ".stray").exists()


def test_publishing_over_the_copy_leaves_the_source_alone(tmp_path):
    source, target = _source(tmp_path / "a"), tmp_path / "b"
    borrow.borrow(source, target)
    with artefact.writing(target, "train", "other") as scratch:
        artefact.write_text(scratch / "a.txt", "changed")
    assert (source / "a.txt").read_text() == "one"
    assert artefact.intact(source, "train", "k")


def test_without_links_it_copies(tmp_path, monkeypatch):
    def no_link(*_):
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "link", no_link)
    borrow.borrow(_source(tmp_path / "a"), tmp_path / "b")
    assert artefact.intact(tmp_path / "b", "train", "k")


def test_a_damaged_source_is_refused_and_nothing_is_left(tmp_path):
    source = _source(tmp_path / "a")
    (source / "a.txt").write_text("edited")
    with pytest.raises(BadInput, match="differs from the hash"):
        borrow.borrow(source, tmp_path / "b")
    assert not (tmp_path / "b").exists()
