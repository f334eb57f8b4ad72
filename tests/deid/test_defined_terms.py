"""Terms that the standard defines stay; a hospital's own words in their place do not."""

from __future__ import annotations

import pytest
from deid_fixture import cleaned, image
from pydicom.dataset import Dataset

from bedside.deid.defined_terms import defined


def test_a_defined_term_stays_even_where_the_patient_is_called_so():
    made = image(PatientName="Rgb^Linear", VOILUTFunction="LINEAR", LossyImageCompression="00")
    out = cleaned(made)
    assert out.VOILUTFunction == "LINEAR"
    assert out.PhotometricInterpretation == "MONOCHROME2"


@pytest.mark.parametrize("keyword", ["PixelIntensityRelationship", "VOILUTFunction",
                                     "PixelSpacingCalibrationType", "CorrectedImage"])
def test_the_patients_name_in_a_description_of_the_image_goes(keyword):
    out = cleaned(image(PatientName="Roe^Jane", **{keyword: "ROE JANE"}))
    assert keyword not in out


@pytest.mark.parametrize(("scheme", "stays"), [("DCM", True), ("SCT", True), ("MERCYHOSP", False),
                                               ("99LOCAL", False), ("L", False)])
def test_a_coding_scheme_is_the_standards_or_goes(scheme, stays):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-04000", scheme, "Breast"
    out = cleaned(image(AnatomicRegionSequence=[code]))
    found = [i.get("CodingSchemeDesignator") for i in out.get("AnatomicRegionSequence", [])]
    assert found == ([scheme] if stays else [None])


def test_functions_of_a_workstation_are_free_text():
    out = cleaned(image(PostprocessingFunction="Mercy 2019", ProcessingFunction="Mercy"))
    assert "PostprocessingFunction" not in out
    assert "ProcessingFunction" not in out


def test_terms_are_of_their_own_element():
    assert defined("VOILUTFunction", ["LINEAR"])
    assert not defined("VOILUTFunction", ["RGB"])
    assert not defined("VOILUTFunction", ["LINEAR", "Smith"])
    assert not defined("StudyDescription", ["LINEAR"])
