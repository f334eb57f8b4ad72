"""Header elements that record the de-identification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bedside import __version__
from bedside.deid import profile
from bedside.deid.profile import Profile

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# PS3.16 CID 7050.
CLEAN_PIXEL_DATA = "113101"


def mark(dataset: Dataset, table: Profile, pixels_clean: bool) -> None:
    """Record what was done: (0012,0062) to (0012,0064), (0028,0301), (0028,0303)."""
    from pydicom.dataset import Dataset

    codes = [c for c in table.codes if c[0] != CLEAN_PIXEL_DATA]
    if pixels_clean:
        # Whether the pixels are clean is what the search found, not what was asked for.
        codes = sorted([*codes, *profile.load((profile.CLEAN_PIXELS,)).codes[1:]])
    items = []
    for code, meaning in codes:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
        items.append(item)
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [f"bedside {__version__}", f"PS3.15 Annex E {profile.EDITION}",
                                      "private elements and manufacturer removed"]
    dataset.DeidentificationMethodCodeSequence = items
    dataset.LongitudinalTemporalInformationModified = (
        "MODIFIED" if table.shift_dates else "REMOVED")
    if pixels_clean:
        dataset.BurnedInAnnotation = "NO"


def mark_reviewed(dataset: Dataset) -> None:
    """Record that a person reviewed the pixels of an object that :func:`mark` marked."""
    from pydicom.dataset import Dataset

    dataset.BurnedInAnnotation = "NO"
    dataset.PatientIdentityRemoved = "YES"
    items = list(dataset.get("DeidentificationMethodCodeSequence") or [])
    code, meaning = next(c for c in profile.load((profile.CLEAN_PIXELS,)).codes
                         if c[0] == CLEAN_PIXEL_DATA)
    if all(item.get("CodeValue") != code for item in items):
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
        items.append(item)
    dataset.DeidentificationMethodCodeSequence = sorted(items, key=lambda i: str(i.CodeValue))
    methods = dataset.get("DeidentificationMethod") or []
    dataset.DeidentificationMethod = [
        *([methods] if isinstance(methods, str) else methods), "pixels reviewed by a person"]
