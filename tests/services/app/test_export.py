"""``bedside web`` writes a folder whole or not at all, also where it is stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedside.core.errors import BadInput
from bedside.services.app import export, files


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An export without bundles, with a mark of its own."""
    monkeypatch.setattr(export, "open_for_app", lambda paths, trust: ([], frozenset()))
    export.export([], tmp_path / "site")
    (tmp_path / "site" / "mark").write_text("the old one")
    return tmp_path / "site"


def _is_the_old_one(site):
    return (site / files.APP_JSON).is_file() and (site / "mark").is_file()


def test_a_new_export_takes_the_place_of_the_old_and_leaves_nothing_else(site):
    export.export([], site)
    assert (site / files.APP_JSON).is_file()
    assert not (site / "mark").exists()
    assert list(site.parent.iterdir()) == [site]


def test_an_export_that_is_stopped_at_its_end_keeps_the_old_one(site, monkeypatch):
    real = Path.replace

    def stops(self, target):
        if self.suffix == ".part":
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", stops)
    with pytest.raises(KeyboardInterrupt):
        export.export([], site)
    assert _is_the_old_one(site)
    assert list(site.parent.iterdir()) == [site]


def test_an_export_that_was_killed_between_old_and_new_is_made_good(site, monkeypatch):
    """A kill runs no clean-up: the old one lies aside, whole, and comes back first of all."""
    real = Path.replace

    def stops(self, target):
        if self.suffix == ".part":
            raise KeyboardInterrupt
        return real(self, target)

    def refuses(paths, trust):
        raise BadInput("a bundle that does not read", where="b.zip", remedy="Make it again.")

    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", stops)
        killed.setattr(export, "_settle", lambda place, aside: None)
        with pytest.raises(KeyboardInterrupt):
            export.export([], site)
    [left] = site.parent.iterdir()
    assert left != site
    assert _is_the_old_one(left)
    with monkeypatch.context() as bad:
        bad.setattr(export, "open_for_app", refuses)
        with pytest.raises(BadInput):
            export.export([], site)
    assert _is_the_old_one(site)
    export.export([], site)
    assert list(site.parent.iterdir()) == [site]
