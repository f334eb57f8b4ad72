"""De-identification: which values of a header stay although, or go because, they are texts."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from deid_fixture import KEY
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from bedside.deid import dicom, profile
from bedside.deid.outcome import PixelOutcome, Quarantine


def image(rows=8, columns=8, **elements):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID = meta.MediaStorageSOPClassUID
    made.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    made.PatientName, made.PatientID, made.Modality = "Roe^Jane", "P123456", "OT"
    made.Rows, made.Columns, made.SamplesPerPixel = rows, columns, 1
    made.PhotometricInterpretation, made.PixelRepresentation = "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.PixelData = np.zeros((rows, columns), np.uint8).tobytes()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def cleaned(source, options=(), clean_pixels=None):
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, source, enforce_file_format=True)
    found = dicom.deidentify(buffer.getvalue(), profile.load(options), KEY, clean_pixels, True)
    return pydicom.dcmread(io.BytesIO(found.data))


# ------------------------------------------------------------------ what describes the pixels


@pytest.mark.parametrize("where", ["InstitutionAddress", "StudyID", "AccessionNumber", "PatientID"])
def test_a_number_of_the_patient_does_not_make_an_image_undecodable(where):
    region = Dataset()
    region.RegionLocationMaxX1, region.PhysicalDeltaX = 1024, 0.1024
    out = cleaned(image(2, 1024, RescaleIntercept="-1024", RescaleSlope="1", WindowCenter="512",
                        WindowWidth="1024", PixelSpacing=["0.1024", "0.2"], SliceThickness="1024",
                        SequenceOfUltrasoundRegions=[region],
                        **{where: "1024 Main" if where == "InstitutionAddress" else "1024"}))
    assert out.pixel_array.shape == (2, 1024)
    assert (out.RescaleIntercept, out.WindowWidth, out.SliceThickness) == (-1024, 1024, 1024)
    assert list(out.PixelSpacing) == [0.1024, 0.2]
    assert out.SequenceOfUltrasoundRegions[0].RegionLocationMaxX1 == 1024


def test_a_number_of_the_patient_still_goes_elsewhere():
    out = cleaned(image(StudyID="1024", AcquisitionNumber="1024"))
    assert "AcquisitionNumber" not in out


@pytest.mark.parametrize("nested", [False, True])
def test_an_image_whose_description_did_not_stay_is_set_aside(monkeypatch, nested):
    clean = dicom.headers.clean

    def without(dataset, context, depth=0):
        out = clean(dataset, context, depth)
        if depth:
            return out
        if nested:
            del out.ModalityLUTSequence[0].RescaleSlope
        else:
            out.Columns = 4
        return out

    inner = Dataset()
    inner.RescaleSlope, inner.RescaleIntercept = "2", "0"
    monkeypatch.setattr(dicom.headers, "clean", without)
    with pytest.raises(Quarantine, match="describes the pixels"):
        cleaned(image(ModalityLUTSequence=[inner]))


# ------------------------------------------------------------------ texts


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


def palette(data, vr="OW", bits=8):
    source = image(PhotometricInterpretation="PALETTE COLOR")
    for number in (1, 2, 3):
        source.add_new(0x00281100 + number, "US", [4, 0, bits])
        source.add_new(0x00281200 + number, vr, data)
    return source


@pytest.mark.parametrize(("bits", "data", "kept"), [
    (8, b"\1\2\3\4BLOGGS", b"\1\2\3\4"), (16, b"\1\2\3\4\5\6\7\x08BLOGGS", bytes(range(1, 9))),
    (8, b"\1\0\2\0\3\0\4\0BLOGGS", b"\1\0\2\0\3\0\4\0")])
def test_nothing_rides_behind_a_palette(bits, data, kept):
    assert cleaned(palette(data, bits=bits)).RedPaletteColorLookupTableData == kept


@pytest.mark.parametrize("source", [palette("BLOGGS OF HIGH STREET", "LT"), palette(b"\1\2")])
def test_a_palette_that_is_none_sets_the_image_aside(source):
    with pytest.raises(Quarantine, match="lookup table"):
        cleaned(source)


def test_a_segmented_palette_ends_with_its_last_segment():
    source = image()
    source.add_new(0x00281101, "US", [6, 0, 8])
    source.add_new(0x00281221, "OW", b"\0\2\x10\x20\1\4\x30" + b"BLOGGS!")
    kept = cleaned(source).SegmentedRedPaletteColorLookupTableData
    assert kept == b"\0\2\x10\x20\1\4\x30\0"


@pytest.mark.parametrize(("scheme", "code", "kept"), [
    ("SCT", "76752008", "Breast"), ("SRT", "T-04000", "Breast"), ("SCT", "999999999", None)])
def test_a_code_has_the_meaning_that_the_standard_gives_it(scheme, code, kept):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code, scheme
    item.CodeMeaning = "Joe Bloggs of High Street"
    out = cleaned(image(AnatomicRegionSequence=[item])).AnatomicRegionSequence[0]
    assert (out.CodeValue, out.get("CodeMeaning")) == (code, kept)


@pytest.mark.parametrize(("status", "written"), [("clean", True), ("uncertain", False)])
def test_the_header_says_whether_a_search_found_the_pixels_clean(status, written):
    out = cleaned(image(), ("modified-dates",), lambda _: PixelOutcome(status, ""))
    found = [c.CodeValue for c in out.DeidentificationMethodCodeSequence]
    assert found == ["113100", *["113101"] * written, "113107"]


def test_words_of_an_institution_go_from_free_text_but_not_from_codes():
    out = cleaned(image(InstitutionName="Mercy General Hospital", ViewName="Mercy Springfield view",
                        AcquisitionMode="general view", BodyPartExamined="MERCY"))
    assert "ViewName" not in out
    assert (out.AcquisitionMode, out.BodyPartExamined) == ("general view", "MERCY")
