"""Names in tables that differ from the files' own in separators, letter case or accents."""

from __future__ import annotations

import unicodedata

import pytest

from bedside.deid.spelling import Spelled, without_frame

NFD = unicodedata.normalize("NFD", "M\u00fcller.png")
FILES = ["img/a.PNG", "img/B.png", NFD, "twice.png", "Twice.png", "cine.dcm"]


@pytest.mark.parametrize(("asked", "found"), [
    ("img/a.PNG", "img/a.PNG"), ("img/a.png", "img/a.PNG"), ("IMG/b.PNG", "img/B.png"),
    ("M\u00fcller.png", NFD), ("twice.png", "twice.png"), ("TWICE.png", "TWICE.png"),
    ("cine.dcm/frame-0002", "cine.dcm/frame-0002"), ("Cine.DCM/frame-0002", "cine.dcm/frame-0002"),
    ("gone.png", "gone.png")])
def test_a_name_finds_its_file(asked, found):
    spelled = Spelled(FILES)
    assert spelled.found(asked) == found
    assert spelled.there(asked) == (without_frame(found) in FILES)
