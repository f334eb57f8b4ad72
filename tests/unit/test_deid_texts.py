"""De-identification: which values of a header stay although, or go because, they are texts."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from deid_fixture import KEY
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from bedside.data.deid import dicom, profile
from bedside.data.deid.outcome import Quarantine


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
