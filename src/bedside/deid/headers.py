"""Apply the profile to a DICOM header: a new data set is built of what may stay.

Nothing passes by default: an element that neither the table nor its value representation
clears is left out. See ``docs/deidentification.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bedside.deid import codes, dates, lut
from bedside.deid.defined_terms import SCHEMES, defined
from bedside.deid.free_text import Known, known, may_stay
from bedside.deid.key import Key
from bedside.deid.outcome import Counts, Quarantine
from bedside.deid.profile import CLEAN_PIXELS, MODIFIED_DATES, Profile
from bedside.readers.keyed import patient_identity

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PATIENT_NAME, PATIENT_ID = 0x00100010, 0x00100020
_CHARACTER_SET, _MODALITY = 0x00080005, 0x00080060
_WRITTEN = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280301, 0x00280303})
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_DATES = frozenset({"DA", "DT", "TM"})
_NUMBERS = frozenset({"US", "SS", "UL", "SL", "SV", "UV", "FL", "FD", "AT"})
# Decimals that measure the image: spacings, thickness, scan angles. A short number of a patient
# (study 1024, street number) would stand in them by chance.
_MEASURES = frozenset({0x00180050, 0x00180088, 0x00181164, 0x00182010, 0x00189073, 0x00200032,
                       0x00200037, 0x00201041})
_BULK = frozenset({"OB", "OW", "OD", "OF", "OL", "OV", "UN"})
_CODE_VALUE, _CODE_MEANING, _SCHEME = 0x00080100, 0x00080104, "CodingSchemeDesignator"
_STANDARD_CODE = re.compile(r"^[A-Za-z0-9.{}/%*'\[\]_-]{1,16}$")
_UID = re.compile(r"^[0-9.]{1,64}$")
_DIGITS = re.compile(r"^[ 0-9eE+.\-]*$")
_CODE = re.compile(r"^[A-Z0-9 _]{0,16}$")
_DUMMIES: dict[str, Any] = {
    "DA": "19000101", "DT": "19000101000000", "TM": "000000", "AS": "000Y", "DS": "0", "IS": "0",
    "UR": "urn:removed", "SQ": None, "OB": b"\0\0", "OW": b"\0\0", "UN": b"\0\0", "AT": 0,
    **dict.fromkeys(("US", "SS", "UL", "SL", "SV", "UV"), 0), **dict.fromkeys(("FL", "FD"), 0.0)}

_PERSON_VR = "PN"
_IDS = frozenset({
    "PatientID", "OtherPatientIDs", "AccessionNumber", "AdmissionID", "MedicalRecordLocator",
    "IssuerOfPatientID", "InstitutionName", "InstitutionAddress", "PatientAddress",
    "PatientTelephoneNumbers", "PatientTelecomInformation", "MilitaryRank", "StudyID",
    "PersonAddress", "PersonTelephoneNumbers", "ReferringPhysicianAddress",
    "ReferringPhysicianTelephoneNumbers", "ServiceEpisodeID", "PatientBirthDate",
    "FillerOrderNumberImagingServiceRequest", "PlacerOrderNumberImagingServiceRequest",
    "InsurancePlanIdentification"})
_PLACES = frozenset({"InstitutionName", "InstitutionAddress", "PatientAddress", "PersonAddress",
                     "ReferringPhysicianAddress"})


@dataclass(frozen=True, slots=True)
class Context:
    """The settings and names for one file's header; ``shift`` is in days, backwards."""

    profile: Profile
    key: Key
    names: Known
    pseudonym: str
    shift: int
    counts: Counts


def values_of(element: Any) -> list[Any]:
    """Return an element's values as a list, empty where it has none."""
    value = element.value
    if value is None or (isinstance(value, str | bytes) and not value):
        return []
    return list(value) if element.VM > 1 else [value]


def _walk(dataset: Dataset) -> Iterator[Any]:
    for tag in dataset.keys():  # noqa: SIM118 - iterating converts, and damaged elements raise
        try:
            element = dataset[tag]
        except RecursionError:
            raise
        except Exception:
            # A damaged element holds no readable name, and is left out later.
            continue
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from _walk(item)


def names_of(dataset: Dataset) -> Known:
    """Return all names and ids of persons and institutions in a data set, nested ones too."""
    persons: list[str] = []
    numbers: list[str] = []
    places: list[str] = []
    for element in _walk(dataset):
        if element.VR == _PERSON_VR:
            persons.extend(str(v) for v in values_of(element))
        elif element.keyword in _IDS and element.VR != "SQ":
            numbers.extend(str(v) for v in values_of(element))
            if element.keyword in _PLACES:
                places.extend(str(v) for v in values_of(element))
    return known(persons, numbers, places)


def identity_of(dataset: Dataset) -> str:
    """Return the identity of a patient: the id with its issuer, else name and birth date,
    else the study."""
    def text(keyword: str) -> str:
        try:
            return str(dataset.get(keyword) or "").strip()
        except Exception:
            return ""

    if text("PatientID"):
        return patient_identity(text("PatientID"), text("IssuerOfPatientID"))
    if text("PatientName").strip("^ "):
        return f"{text('PatientName')} {text('PatientBirthDate')}".strip()
    return text("StudyInstanceUID") or text("SOPInstanceUID")


# ------------------------------------------------------------------ one element


def _measures(tag: int) -> bool:
    return tag >> 16 == 0x0028 or tag >> 8 == 0x001860 or tag in _MEASURES


def _usable(element: Any, context: Context, keep: bool) -> bool:
    """Return whether the values of an element outside the table, or one to clean, may stay."""
    vr, tag, values = element.VR, int(element.tag), values_of(element)
    if vr in _NUMBERS:
        # Not compared with known numbers: without Columns, say, no image can be shown.
        return True
    texts = [str(v) for v in values]
    if vr in ("DS", "IS") and _measures(tag):
        return all(_DIGITS.match(t) for t in texts)
    if defined(element.keyword, texts):
        return True
    # A hospital's own designator may be its name.
    if element.keyword == _SCHEME or (
            vr not in _BULK and any(map(context.names.named_in, texts))):
        return False
    if vr in ("DS", "IS"):
        return all(_DIGITS.match(t) for t in texts)
    if vr == "CS":
        # One word has no date and no number; MR and DR are modalities, not titles.
        return all(_CODE.match(t.strip()) and (t.strip().isalpha() or may_stay(t, Known()))
                   for t in texts)
    if vr in ("LO", "SH"):
        return keep and all(may_stay(t, context.names) for t in texts)
    return False


def registered(uid: str) -> bool:
    """Return whether a UID is one of the standard's own, which identify nobody."""
    from pydicom.uid import UID

    return UID(uid).name != uid


def _uids(values: list[Any], context: Context) -> list[str]:
    return [v if registered(v) else context.key.uid(v) for v in map(str, values) if v]


def _clean_text(element: Any, context: Context) -> Any:
    """Apply action C: shift dates; keep texts that identify nobody; empty the others."""
    values = values_of(element)
    if element.VR in _DATES:
        return dates.shift(element.VR, values, context.shift)
    if element.VR == "AE" or not _usable(element, context, True):
        return None
    return element.value


class _Left(Exception):
    """This element is left out."""


def _value(element: Any, action: str, context: Context, depth: int) -> tuple[Any, str]:
    """Return an element's new value and the action; raise _Left where it is removed."""
    vr = element.VR
    if action == "Z":
        return ([] if vr == "SQ" else None), "emptied"
    if action == "D":
        if vr == "SQ":
            from pydicom.dataset import Dataset

            return [Dataset()], "replaced"
        if vr == "UI":
            return _uids(values_of(element) or ["0"], context), "uids"
        return _DUMMIES.get(vr, "REMOVED"), "replaced"
    if vr == "SQ":
        return [clean(item, context, depth + 1) for item in element.value], "kept"
    if vr == "UI":
        if action == "K" and all(map(_UID.match, map(str, values_of(element)))):
            return element.value, "kept"
        return _uids(values_of(element), context), "uids"
    if action == "K":
        if vr not in _NUMBERS and any(map(context.names.named_in, map(str, values_of(element)))):
            raise _Left
        return element.value, "kept"
    if action == "C":
        return _clean_text(element, context), "shifted" if vr in _DATES else "cleaned"
    return _unlisted(element, context)


def _unlisted(element: Any, context: Context) -> tuple[Any, str]:
    vr = element.VR
    if vr in _DATES and context.profile.shift_dates:
        return dates.shift(vr, values_of(element), context.shift), "shifted"
    keep = element.keyword in context.profile.technical
    if not _usable(element, context, keep):
        raise _Left
    return element.value, "kept"


def _skip(tag: int) -> bool:
    """Return whether an element never belongs into a clean file, whatever it holds."""
    group, element = tag >> 16, tag & 0xFFFF
    return (group % 2 == 1 or element == 0 or group < 8 or 0x5000 <= group <= 0x50FF
            or 0x6000 <= group <= 0x60FF or group > 0x7FE0 or tag in _WRITTEN
            or tag == _CHARACTER_SET)


def _code(element: Any, dataset: Dataset, context: Context) -> Any:
    """Keep codes that a standard defines: a hospital's own may describe a patient.

    Their meaning is the standard's own; a file's words under the name of a standard are not.
    """
    scheme, text = str(dataset.get(_SCHEME, "")), str(element.value)
    if context.names.named_in(text):
        raise _Left
    if int(element.tag) == _CODE_MEANING:
        text = codes.meaning(scheme, str(dataset.get("CodeValue", "")), text)
    elif not _STANDARD_CODE.match(text):
        raise _Left
    if scheme not in SCHEMES or not text or context.names.named_in(text):
        raise _Left
    return text


_MAX_DEPTH = 32


def clean(dataset: Dataset, context: Context, depth: int = 0) -> Dataset:
    """Return a new data set of what may stay of another, nested ones included; pixels are left out.

    Private groups, overlays, curves and elements that no dictionary knows are never taken.

    Raises:
        Quarantine: nested deeper than 32 levels, or a damaged element that describes the image.
    """
    from pydicom.datadict import dictionary_has_tag
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset
    from pydicom.multival import MultiValue

    if depth > _MAX_DEPTH:
        raise Quarantine("sequences nested too deeply")
    out = Dataset()
    for tag in sorted(int(t) for t in dataset.keys()):  # noqa: SIM118 - see _walk
        action = context.profile.actions.get(tag, "")
        if depth == 0 and tag in _PIXELS:
            continue
        if _skip(tag) or tag in _PIXELS or action == "X" or not dictionary_has_tag(tag):
            context.counts["removed"] += 1
            continue
        try:
            element = dataset[tag]
            if tag == PATIENT_ID or (tag == PATIENT_NAME and depth == 0):
                value, done = context.pseudonym, "replaced"
            elif element.VR == "UN":
                raise _Left
            elif tag in (_CODE_VALUE, _CODE_MEANING):
                value, done = _code(element, dataset, context), "kept"
            elif tag in lut.TABLES:
                value, done = lut.cut(element, dataset), "kept"
            else:
                value, done = _value(element, action, context, depth)
            # A fresh list: the old one may carry the bytes it was read from.
            value = list(value) if isinstance(value, MultiValue) else value
            out.add(DataElement(tag, element.VR, value))
            context.counts[done] += 1
        except (Quarantine, RecursionError):
            raise
        except Exception as error:
            if not isinstance(error, _Left) and tag >> 16 == 0x0028:
                raise Quarantine("a damaged element in the description of the image") from None
            context.counts["removed"] += 1
    return out


__all__ = ["CLEAN_PIXELS", "MODIFIED_DATES", "Context", "clean", "identity_of",
           "names_of", "values_of"]
