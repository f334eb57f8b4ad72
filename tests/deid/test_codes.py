"""Codes get the meaning that the standard gives them."""

from __future__ import annotations

import pytest
from deid_fixture import cleaned, image
from pydicom.dataset import Dataset

from bedside.deid import codes


@pytest.mark.parametrize(("scheme", "code", "kept"), [
    ("SCT", "76752008", "Breast"), ("SRT", "T-04000", "Breast"), ("SCT", "999999999", None)])
def test_a_code_has_the_meaning_that_the_standard_gives_it(scheme, code, kept):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code, scheme
    item.CodeMeaning = "Joe Bloggs of High Street"
    out = cleaned(image(AnatomicRegionSequence=[item])).AnatomicRegionSequence[0]
    assert (out.CodeValue, out.get("CodeMeaning")) == (code, kept)


def test_a_known_meaning_may_be_claimed_and_another_is_not():
    assert codes.meaning("DCM", "113101", "clean pixel data option") == "Clean Pixel Data Option"
    assert codes.meaning("DCM", "113101", "Mrs Bloggs") == "Clean Pixel Data Option"
    assert codes.meaning("99LOCAL", "1", "Mrs Bloggs") == ""
