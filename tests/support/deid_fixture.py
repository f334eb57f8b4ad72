"""Keys, files and data sets that the de-identification tests share."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image, PngImagePlugin
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from bedside.core.types import DeidConfig
from bedside.deid import dicom, process_file, profile
from bedside.deid.key import Key

KEY = Key(bytes(range(32)))
OPEN = DeidConfig(pixels="unchecked")
CT, US = get_testdata_file("CT_small.dcm"), get_testdata_file("examples_rgb_color.dcm")
MARK = "Kelmindorzev"


def process_without_search(*args, **kwargs):
    """A worker without a text search."""
    process_file.PIXELS = None
    return process_file.process(*args, **kwargs)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def dirty_png(path, image):
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", MARK)
    info.add_itxt("XML:com.adobe.xmp", f"<x>{MARK}</x>")
    exif = Image.Exif()
    exif[0x010E] = MARK
    image.save(path, pnginfo=info, exif=exif, icc_profile=b"\0" * 64 + MARK.encode())
    path.write_bytes(path.read_bytes() + MARK.encode())


def image(rows=8, columns=8, **elements):
    """A secondary capture of a named patient."""
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
    """The data set after de-identification."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, source, enforce_file_format=True)
    outcome = dicom.deidentify(buffer.getvalue(), profile.load(options), KEY, clean_pixels, True)
    return pydicom.dcmread(io.BytesIO(outcome.data))
