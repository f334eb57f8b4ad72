"""The header records whether the pixels were searched."""

from __future__ import annotations

import pytest
from deid_fixture import cleaned, image

from bedside.deid import provenance_tags
from bedside.deid.outcome import PixelOutcome


@pytest.mark.parametrize(("status", "written"), [("clean", True), ("uncertain", False)])
def test_the_header_says_whether_a_search_found_the_pixels_clean(status, written):
    out = cleaned(image(), ("modified-dates",), lambda _: PixelOutcome(status, ""))
    found = [c.CodeValue for c in out.DeidentificationMethodCodeSequence]
    assert found == ["113100", *["113101"] * written, "113107"]


def test_a_review_is_recorded_once_however_often_it_happens():
    source = image()
    for _ in range(2):
        provenance_tags.mark_reviewed(source)
    codes = [item.CodeValue for item in source.DeidentificationMethodCodeSequence]
    assert codes == [provenance_tags.CLEAN_PIXEL_DATA]
    assert source.BurnedInAnnotation == "NO"
    assert "pixels reviewed by a person" in source.DeidentificationMethod
