"""An answer key in the style of MIDI-B: public DICOM with injected identifiers, and what must
become of each. The key follows from the package's own lists and from words, not from our code.
"""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pydicom
from deid_pixels import Burned, burn
from pydicom.datadict import DicomDictionary, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

TABLE = import_module("dicomanonymizer.dicom_anonymization_databases.dicomfields_2026c")
LISTS = {"X_TAGS": "gone", "Z_TAGS": "empty", "Z_D_TAGS": "other", "D_TAGS": "other",
         "X_Z_TAGS": "empty", "X_D_TAGS": "other", "X_Z_D_TAGS": "other", "U_TAGS": "uid"}
MUST = {(t[0] << 16) | t[1]: e for name, e in LISTS.items() for t in getattr(TABLE, name)
        if len(t) == 2}
LISTED = {(t[0] << 16) | t[1] for t in TABLE.ALL_TAGS if len(t) == 2}
# Injected into every file; the rest is drawn.
CORE = [pydicom.tag.Tag(k) for k in (
    "PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber",
    "InstitutionName", "InstitutionAddress", "ReferringPhysicianName", "OperatorsName",
    "StudyDate", "StudyTime", "SeriesDate", "AcquisitionDateTime", "ContentDate",
    "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID",
    "StudyDescription", "SeriesDescription", "ImageComments", "PatientComments",
    "DeviceSerialNumber", "StationName", "ProtocolName", "PatientAddress", "PatientSex")]
# Description of the image: to be kept as it is.
TECHNICAL = ["Rows", "Columns", "SamplesPerPixel", "BitsStored", "PixelRepresentation",
             "PixelSpacing", "Modality", "RescaleSlope", "RescaleIntercept", "SliceThickness",
             "KVP", "EchoTime", "SOPClassUID", "NumberOfFrames", "ConvolutionKernel"]
SKIP = {"SOPClassUID", "PixelData", "LossyImageCompression", "EncapsulatedDocument",
        "TransferSyntaxUID", "SpecificCharacterSet", "DirectoryRecordSequence",
        "WaveformSequence", "SpectroscopyData", "PixelDataProviderURL", "TimezoneOffsetFromUTC",
        "ReferencedImageSequence", "SourceImageSequence"}
WRITTEN = {0x00120063}
SYLLABLES = ["ba", "dor", "kel", "min", "sug", "tav", "rix", "pon", "hul", "zev", "gam", "wyt"]
DAY0 = date(1900, 1, 1)


@dataclass
class Expected:
    """One action that is required: of the element at ``path``, or of the raw bytes."""

    path: tuple[Any, ...]
    what: str
    value: Any = None


@dataclass
class Made:
    """One synthetic file, and what must become of it."""

    name: str
    patient: str
    # Whose id it is: the same number of another issuer is another person.
    identity: str = ""
    expected: list[Expected] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)
    # What was written into the pixels.
    burned: tuple[Burned, ...] = ()


class Maker:
    """Draws identifiers; every text is unique, so that a leak can be told from chance."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.marks: set[str] = set()

    def word(self) -> str:
        found = "".join(self.rng.choices(SYLLABLES, k=5)).capitalize()
        self.marks.add(found)
        return found

    def number(self, digits: int = 9) -> str:
        found = str(self.rng.randrange(10 ** (digits - 1), 10 ** digits))
        self.marks.add(found)
        return found

    def day(self) -> str:
        return (date(1950, 1, 1) + timedelta(self.rng.randrange(25000))).strftime("%Y%m%d")

    def uid(self) -> str:
        return f"1.2.826.0.1.{self.number()}.{self.number()}"

    def value(self, vr: str) -> Any:
        vr = vr.split(" or ")[0]
        if vr == "PN":
            return f"{self.word()}^{self.word()}"
        if vr == "DA":
            return self.day()
        if vr == "DT":
            return self.day() + "113015.25"
        if vr == "TM":
            return f"{self.rng.randrange(24):02}{self.rng.randrange(3600) % 60:02}30"
        if vr == "AS":
            return f"{self.rng.randrange(20, 89):03}Y"
        if vr == "UI":
            return self.uid()
        if vr in ("DS", "IS"):
            return self.number()
        if vr in ("US", "SS", "UL", "SL", "UV", "SV"):
            return self.rng.randrange(1, 30000)
        if vr in ("FL", "FD"):
            return float(self.rng.randrange(1, 9999))
        if vr == "AT":
            return 0x00100010
        if vr in ("OB", "OW", "UN", "OF", "OD", "OL", "OV"):
            return (f"{self.word()} {self.word()}".encode() + b" " * 16)[:24]
        if vr == "SQ":
            item = Dataset()
            item.PatientName, item.PatientID = self.value("PN"), self.number()
            item.add_new(0x00090010, "LO", self.word())
            return Sequence([item])
        if vr in ("CS", "AE", "SH"):
            return self.word().upper()[:16]
        if vr == "UR":
            return f"https://{self.word().lower()}.example/{self.number()}"
        return f"{self.word()} {self.word()} born {self.day()}, call {self.number(10)}"[:64]


def _texts_unlisted() -> list[int]:
    return sorted(t for t, e in DicomDictionary.items() if t not in LISTED and t >> 16 >= 8
                  and t >> 16 not in (0x0028, 0x7FE0) and not 0x5000 <= t >> 16 <= 0x60FF
                  and e[0] in ("LO", "LT", "ST", "UT", "UC", "PN", "SH", "AE", "UR") and e[4]
                  and e[4] not in TECHNICAL and t not in WRITTEN)


UNLISTED = _texts_unlisted()
DRAWN = sorted(t for t in MUST if t not in set(CORE) and t >> 16 > 8 and (
    t in DicomDictionary and DicomDictionary[t][4] not in SKIP and t >> 16 != 0x0002))


def sources() -> list[Path]:
    """Small public DICOM files, fit to be changed and written."""
    roots = [Path(pydicom.__file__).parent / "data" / "test_files"]
    for package in ("data_store", "deid_data"):
        roots.extend(Path(p) / "data" for p in import_module(package).__path__)
    found = []
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.suffix not in ("", ".dcm") or not path.is_file() or path.name == "DICOMDIR":
                continue
            if path.stat().st_size < 150_000 and _fit(path):
                found.append(path)
    return found


def _fit(path: Path) -> bool:
    try:
        dataset = pydicom.dcmread(path)
        if dataset.file_meta.TransferSyntaxUID.is_encapsulated and "PixelData" in dataset:
            return len(dataset.pixel_array.shape) > 1 and dataset.Rows < 600
        return ("PixelData" in dataset and len(dataset.pixel_array.shape) > 1 and
                dataset.file_meta.TransferSyntaxUID.is_little_endian and
                dataset.BitsAllocated in (8, 16) and dataset.SOPClassUID.name != str(
                    dataset.SOPClassUID))
    except Exception:
        return False


def make(source: Path, patient: str, person: str, index: int, target: Path, shift: bool,
         device: bool, pixels: bool = False) -> Made:
    """Write one file with injected identifiers, with ``pixels`` in its pixels too."""
    maker = Maker(index)
    dataset = pydicom.dcmread(source)
    list(dataset.iterall())
    made = Made(target.name, patient)
    if pixels:
        made.burned = burn(dataset, (person, patient), maker.rng)
    maker.marks.update({patient, *person.split("^")})
    tags = CORE + maker.rng.sample(DRAWN, 30)
    # Elements that the public file brings along count as much as those that are put in.
    for tag in tags:
        vr = dictionary_VR(tag).split(" or ")[0]
        value = {0x00100010: person, 0x00100020: patient}.get(int(tag)) or maker.value(vr)
        dataset.add_new(tag, vr, value)
        made.expected.append(Expected((int(tag),), _must(int(tag), vr, shift, device), value))
    for tag in maker.rng.sample([t for t in UNLISTED if t not in DEVICE], 8):
        vr = dictionary_VR(tag)
        dataset.add_new(tag, vr, maker.value("PN" if vr == "PN" else "LT"))
        made.expected.append(Expected((tag,), "gone"))
    for keyword in TECHNICAL:
        if keyword in dataset:
            made.expected.append(Expected((int(pydicom.tag.Tag(keyword)),), "kept",
                                          dataset[keyword].value))
    made.identity = f"{patient} of {dataset.get('IssuerOfPatientID', '')}"
    _nested(dataset, maker, made, patient, person)
    _private(dataset, maker, made)
    dataset.Manufacturer, dataset.ManufacturerModelName = maker.word(), maker.word()
    for tag in (0x00080070, 0x00081090):
        made.expected.append(Expected((tag,), "kept" if device else "empty", dataset[tag].value))
    if device:
        maker.marks.difference_update((dataset.Manufacturer, dataset.ManufacturerModelName))
    dataset.add_new(0x60000010, "US", 8)
    dataset.add_new(0x60003000, "OW", maker.value("OW"))
    dataset.add_new(0x60004000, "LT", maker.word())
    dataset.add_new(0xFFFCFFFC, "OB", maker.value("OB"))
    made.expected.extend(Expected((t,), "gone") for t in (0x60003000, 0x60004000, 0xFFFCFFFC))
    dataset.BurnedInAnnotation = "NO"
    made.expected.append(Expected((0x00280301,), "said" if pixels else "gone", "NO"))
    dataset.file_meta.SourceApplicationEntityTitle = maker.word()[:16].upper()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.preamble = (maker.word() * 20).encode()[:128]
    dataset.save_as(target, enforce_file_format=False)
    for e in made.expected:
        # Device identity that is kept is not a leak.
        if e.what == "kept" and isinstance(e.value, str):
            words = re.findall(r"\w+", e.value.lower())
            maker.marks -= {m for m in maker.marks if m.lower() in words}
    made.marks = maker.marks
    return made


def _must(tag: int, vr: str, shift: bool, device: bool) -> str:
    action = (SHIFTED.get(tag) if shift else None) or (DEVICE.get(tag) if device else None)
    if action == "C":
        return {"DA": "shifted", "DT": "shifted", "TM": "kept"}.get(vr, "other")
    if action == "K":
        return "other" if vr == "SQ" else "kept"
    return "other" if vr == "SQ" and MUST[tag] == "uid" else MUST[tag]


def _option(name: str) -> dict[int, str]:
    actions = tomllib.loads((OPTIONS / f"{name}.toml").read_text())["actions"]
    return {int(t, 16): a for t, a in actions.items()}


OPTIONS = Path(__file__).parents[2] / "src" / "bedside" / "deid" / "options"
DEVICE, SHIFTED = _option("retain-device"), _option("modified-dates")


def _nested(dataset: Dataset, maker: Maker, made: Made, patient: str, person: str) -> None:
    """Identifiers one and two levels deep, in sequences that stay."""
    inner, item = Dataset(), Dataset()
    inner.PatientName, inner.PatientID, inner.StudyDate = person, patient, maker.day()
    inner.ReferencedSOPInstanceUID = maker.uid()
    inner.add_new(0x00110010, "LO", "NESTED")
    inner.add_new(0x00111001, "LO", maker.word())
    item.CodeValue, item.CodingSchemeDesignator = "76752008", "SCT"
    item.CodeMeaning = "Breast"
    item.AnatomicRegionModifierSequence = Sequence([inner])
    other = Dataset()
    other.CodeValue, other.CodingSchemeDesignator = "99X", "99LOCAL"
    family = person.split("^")[0]
    other.CodeMeaning = maker.rng.choice((
        f"Mass of {family}", f"seen by dr {maker.word()}", f"scan of {maker.day()}",
        f"call {maker.number(10)}", f"{family.lower()}-left", "Jan 5, 2019 follow-up"))
    dataset.AnatomicRegionSequence = Sequence([item, other])
    top, mod = 0x00082218, 0x00082220
    deep = (top, 0, mod, 0)
    made.expected += [
        Expected((top, 0, 0x00080104), "kept", "Breast"),
        Expected((top, 0, 0x00080100), "kept", "76752008"),
        Expected((top, 1, 0x00080104), "gone"),
        Expected((*deep, 0x00100010), "other", person),
        Expected((*deep, 0x00100020), "pseudonym", patient),
        Expected((*deep, 0x00080020), "other", inner.StudyDate),
        Expected((*deep, 0x00081155), "uid", inner.ReferencedSOPInstanceUID),
        Expected((*deep, 0x00110010), "gone"), Expected((*deep, 0x00111001), "gone")]
    dataset.ImageType = ["DERIVED", "SECONDARY", family.upper()[:16]]
    made.expected.append(Expected((0x00080008,), "without", family))
    dataset.WindowCenterWidthExplanation = f"{family} {maker.number(10)}"
    made.expected.append(Expected((0x00281055,), "gone"))


def _private(dataset: Dataset, maker: Maker, made: Made) -> None:
    block = dataset.private_block(0x0029, "ACME " + maker.word(), create=True)
    for offset, vr in enumerate(("LO", "PN", "UN", "SQ", "DA", "UI", "DS", "OB")):
        block.add_new(offset + 1, vr, maker.value(vr))
        made.expected.append(Expected((block.get_tag(offset + 1),), "gone"))
    made.expected.append(Expected((0x00290010,), "gone"))
