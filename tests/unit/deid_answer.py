"""An answer key in the style of MIDI-B: public DICOM with injected identifiers, and what must
become of each. The key follows from the package's own lists and from words, not from our code.
"""

from __future__ import annotations

import base64
import csv
import random
import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pydicom
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
    expected: list[Expected] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)


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
         device: bool) -> Made:
    """Write one file with injected identifiers."""
    maker = Maker(index)
    dataset = pydicom.dcmread(source)
    list(dataset.iterall())
    made = Made(target.name, patient)
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
    made.expected.append(Expected((0x00280301,), "gone"))
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


OPTIONS = Path(__file__).parents[2] / "src" / "bedside" / "data" / "deid" / "options"
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


# ------------------------------------------------------------------ checking


def _at(dataset: Any, path: tuple[Any, ...]) -> Any:
    for i, step in enumerate(path):
        if i % 2:
            dataset = dataset.value[step]
        elif step not in dataset:
            return None
        else:
            dataset = dataset[step]
    return dataset


def _encodings(mark: str) -> list[bytes]:
    found = [mark.lower().encode(), mark.upper().encode("utf-16-le").lower(),
             mark.encode("utf-16-be").lower()]
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + mark.encode())
        # The first and last characters depend on the neighbours.
        found.append(text[(0, 2, 3)[lead]:-4].lower())
    return [f for f in found if len(f) >= 7]


def leaks(data: bytes, marks: set[str]) -> list[str]:
    """Injected texts found in raw bytes: as they are, as UTF-16, in base64, in any case."""
    low = data.lower()
    return sorted(m for m in marks if len(m) >= 7 and any(e in low for e in _encodings(m)))


@dataclass
class Score:
    """Actions right and wrong, and where."""

    right: int = 0
    searched: int = 0
    wrong: list[str] = field(default_factory=list)
    by_kind: Counter[str] = field(default_factory=Counter)
    uids: dict[str, str] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    shifts: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.right + len(self.wrong)


def _same(table: dict[str, str], name: str, value: str) -> bool:
    """Whether one name always becomes one value, and no two the same."""
    return table.setdefault(name, value) == value and table.setdefault("\0" + value, name) == name


def _holds(e: Expected, dataset: Dataset, made: Made, score: Score) -> bool:
    element = _at(dataset, e.path)
    value = None if element is None else element.value
    empty = value is None or value == "" or value == b"" or (element.VR == "SQ" and not value)
    if e.path == (0x00100010,):
        return not empty and made.patient not in str(value)
    if e.path == (0x00100020,) or e.what == "pseudonym":
        return not empty and value != e.value and _same(score.patients, made.patient, str(value))
    if e.what == "gone":
        return empty
    if e.what == "empty":
        return empty
    if e.what == "without":
        return e.value.lower() not in str(value).lower()
    if e.what == "kept":
        return value == e.value
    if e.what == "uid":
        return not empty and str(value) != str(e.value) and str(value).startswith("2.25.") \
            and score.uids.setdefault(str(e.value), str(value)) == str(value)
    if e.what == "shifted":
        if empty or str(value)[8:] != str(e.value)[8:]:
            return False
        days = (_day(str(e.value)) - _day(str(value))).days
        return days > 0 and score.shifts.setdefault(made.patient, days) == days
    return value != e.value


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def run(folder: Path, count: int, options: tuple[str, ...] = (), seed: int = 0,
        workers: int = 2) -> Score:
    """Make ``count`` files of ``count / 4`` patients, de-identify them, and compare."""
    from bedside.data.deid import deidentify
    from bedside.types import DeidConfig

    maker = Maker(10_000_019 + seed)
    people = [(f"MRN{maker.number(8)}", maker.value("PN")) for _ in range((count + 3) // 4)]
    originals, made = sources(), []
    for i in range(count):
        patient, person = people[i % len(people)]
        target = folder / "src" / person.replace("^", "_") / f"{patient}_{i:05}.dcm"
        target.parent.mkdir(parents=True, exist_ok=True)
        made.append(make(originals[i % len(originals)], patient, person, seed * 1_000_003 + i,
                         target, "modified-dates" in options, "retain-device" in options))
    deidentify(folder / "src", folder / "out", folder / "private",
               DeidConfig(options, pixels="unchecked"), workers=workers)
    return check(folder, made)


def check(folder: Path, made: list[Made]) -> Score:
    """Compare every output with the key, and search its raw bytes and names."""
    score = Score()
    with (folder / "private" / "names.csv").open() as rows:
        where = {Path(r["original"]).name: r for r in csv.DictReader(rows)}
    shared = b"".join((folder / "out" / n).read_bytes() for n in ("ledger.csv", "manifest.json"))
    for one in made:
        row = where[one.name]
        if row["status"] != "ok":
            # A sound file that is held back has none of its actions right.
            score.wrong += [f"{one.name}: {row['reason']}"] * len(one.expected)
            continue
        data = (folder / "out" / row["file"]).read_bytes()
        dataset = pydicom.dcmread(folder / "out" / row["file"])
        for e in one.expected:
            if _holds(e, dataset, one, score):
                score.right += 1
                score.by_kind[e.what] += 1
            else:
                found = _at(dataset, e.path)
                path = " ".join(f"{p:08X}" if p > 99 else str(p) for p in e.path)
                score.wrong.append(f"{one.name}: {path} {e.what} {e.value!r} -> {found}")
        left = leaks(data + row["file"].encode() + (shared if one is made[0] else b""), one.marks)
        # What remains counts as wrong; that a text is gone is no action of its own.
        score.searched += len(one.marks)
        score.wrong += [f"{one.name}: {m!r} remains" for m in left]
    return score
