"""The description of the pixels survives the cleaning, or the image is quarantined."""

from __future__ import annotations

import pytest
from deid_fixture import cleaned, image
from pydicom.dataset import Dataset

from bedside.deid import dicom, payload
from bedside.deid.outcome import Quarantine


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


@pytest.mark.parametrize(("elements", "reason"), [
    ({"FloatPixelData": b"1234"}, "floating point"), ({"EncapsulatedDocument": b"12"}, "document"),
    ({"PixelDataProviderURL": "http://x"}, "elsewhere"), ({"Rows": 0}, "does not make sense"),
    ({"BitsAllocated": 7}, "does not make sense"),
    ({"Rows": 60000, "Columns": 60000}, "too large")])
def test_what_cannot_be_checked_is_quarantined(elements, reason):
    payload.check(image())
    with pytest.raises(Quarantine, match=reason):
        payload.check(image(**elements))
