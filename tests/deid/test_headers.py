"""What of a header goes and what stays."""

from __future__ import annotations

import pytest
from deid_fixture import cleaned, image

from bedside.deid import headers


def test_a_number_of_the_patient_still_goes_elsewhere():
    out = cleaned(image(StudyID="1024", AcquisitionNumber="1024"))
    assert "AcquisitionNumber" not in out


def test_an_element_of_no_dictionary_goes_whatever_it_claims_to_be():
    source = image()
    source.add_new(0x00189FF1, "CS", "BLOGGS WIDOW")
    assert 0x00189FF1 not in cleaned(source)


@pytest.mark.parametrize("value", [
    "19500314", ["ORIGINAL", "PRIMARY", "4471234567"], "12 MAR 1950", "DR BLOGGS"])
def test_codes_with_dates_numbers_and_titles_go(value):
    assert "ImageType" not in cleaned(image(ImageType=value))


@pytest.mark.parametrize("value", [
    ["ORIGINAL", "PRIMARY", "", "0001"], "2D", "US", "T1", "MR", "DR", "ISO_10918_1",
    "STEADY_STATE", "BIPLANE A"])
def test_ordinary_codes_stay(value):
    assert cleaned(image(ImageType=value)).ImageType == value


def test_a_known_name_goes_though_no_word_of_it_is_long_enough_alone():
    source = image(PatientName="Xu^Li^Bo", PatientID="1", BodyPartExamined="XU LI BO")
    assert "BodyPartExamined" not in cleaned(source)


def test_words_of_an_institution_go_from_free_text_but_not_from_codes():
    out = cleaned(image(InstitutionName="Mercy General Hospital", ViewName="Mercy Springfield view",
                        AcquisitionMode="general view", BodyPartExamined="MERCY"))
    assert "ViewName" not in out
    assert (out.AcquisitionMode, out.BodyPartExamined) == ("general view", "MERCY")


def test_only_uids_of_the_standard_are_registered():
    assert headers.registered("1.2.840.10008.1.2.1")
    assert not headers.registered("1.2.826.0.1.3680043.2.1143.1")
