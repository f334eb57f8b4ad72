"""Letters written into an image, and the DICOM file around it."""

from __future__ import annotations

import cv2
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian


def write(picture, text, at=(40, 60), value=255, scale=0.7):
    out = picture.copy()
    colour = value if picture.ndim == 2 else tuple(int(v) for v in np.broadcast_to(value, 3))
    cv2.putText(out, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 2, cv2.LINE_8)
    return out, (out != picture) if out.ndim == 2 else (out != picture).any(axis=2)


def dicom(frames, photometric="MONOCHROME2", **elements):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3"
    ds.Modality, ds.PatientID, ds.PatientName = "US", "1", "DOE^JANE"
    ds.BurnedInAnnotation = "NO"
    ds.NumberOfFrames = len(frames)
    ds.Rows, ds.Columns = frames.shape[1:3]
    ds.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    if frames.ndim == 4:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = photometric
    bits = frames.dtype.itemsize * 8
    ds.BitsAllocated = ds.BitsStored = bits
    ds.HighBit, ds.PixelRepresentation = bits - 1, 0
    ds.PixelData = frames.tobytes()
    for name, value in elements.items():
        setattr(ds, name, value)
    return ds
