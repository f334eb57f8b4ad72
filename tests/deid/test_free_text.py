"""Texts that may identify a patient are told from technical ones."""

from __future__ import annotations

import pytest

from bedside.deid.free_text import known, may_stay


@pytest.mark.parametrize("text", [
    "0172 5550199", "12/03/2019", "2019-03-12", "5 Mar 2019", "Dr House", "DOE^J", "a@b.org",
    "http://x", "MRN 12", "José", "10.0.0.12", "of doe", "Doe-left", "xdoejanex", "ID: 55443"])
def test_texts_that_may_identify_go(text):
    assert not may_stay(text, known(["DOE^JANE"], ["55443"]))


@pytest.mark.parametrize("text", ["Breast", "Left", "VOI LUT 1", "se2d1", "-0.5", "WINDOW 400 40"])
def test_technical_texts_stay(text):
    assert may_stay(text, known(["DOE^JANE", "Y^X"], ["1", "55443"]))


def test_words_of_places_count_in_free_text_unless_they_are_ordinary():
    names = known([], [], ["Mercy General Hospital", "1024 Main Street"])
    assert not may_stay("Mercy Springfield view", names)
    assert may_stay("main view 1024 general", names)
    assert not names.named_in("MERCY")
