"""Letters written into phantoms, and the DICOM file around them."""

from __future__ import annotations

import cv2
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from bedside.core.study import PhantomConfig
from bedside.deid.text import ocr
from bedside.synthetic.phantom import generate


def write(image, text, at=(40, 60), value=255, scale=0.7):
    out = image.copy()
    colour = value if image.ndim == 2 else tuple(int(v) for v in np.broadcast_to(value, 3))
    cv2.putText(out, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 2, cv2.LINE_8)
    return out, (out != image) if out.ndim == 2 else (out != image).any(axis=2)


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


NAMES = ["Thuy F 69y", "16/12/1964", "ID 25992650", "O'BRIEN^MARIA"]
FRAME_LEVEL = 16
# Where `seen_by_one_view` has the detector see text.
BAR = (np.s_[100:110], np.s_[80:200])


def phantom(number=1, height_px=320, width_px=420, images=4):
    return generate(PhantomConfig(images=images, height_px=height_px, width_px=width_px), 3,
                    number).image


def marked(shape, rows, columns):
    """A detector's map (H, W) that is sure of one bar."""
    probability = np.zeros(shape, np.float32)
    probability[rows, columns] = 0.95
    return probability


def small_letters(image, text, at, value):
    """Letters of about 10 pixels whose strokes are one pixel wide, and where they are."""
    out = image.copy()
    cv2.putText(out, text, at, cv2.FONT_HERSHEY_PLAIN, 0.95, int(value), 1, cv2.LINE_AA)
    return out, out != image


def written_over(image, text, at, level, thick=1, face=cv2.FONT_HERSHEY_SIMPLEX, scale=0.5):
    """Letters of one level without smoothing, and where they are."""
    letters = np.zeros_like(image)
    cv2.putText(letters, text, at, face, scale, 255, thick)
    return np.where(letters > 0, level, image).astype(np.uint8), letters > 0


def blind(monkeypatch):
    """Have the detector see nothing."""
    monkeypatch.setattr(ocr, "probability", lambda image, scale=1.0: np.zeros(
        image.shape[:2], np.float32))


def seen_by_one_view(monkeypatch, image, said):
    """Have the detector see a bar in views of changed contrast alone, and the reader say it."""
    monkeypatch.setattr(ocr, "read", lambda lines: [said] * len(lines))
    monkeypatch.setattr(ocr, "probability", lambda seen, scale=1.0: marked(
        seen.shape[:2], *BAR) * (not np.array_equal(seen, image)))
