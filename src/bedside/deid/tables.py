"""De-identify CSV tables of images: keep the columns that bedside reads, with keyed names."""

from __future__ import annotations

import csv
import io
import math
import posixpath
import re
from collections.abc import Callable, Sequence

from bedside.deid.free_text import Known, known, may_stay
from bedside.deid.key import Key
from bedside.deid.outcome import Quarantine
from bedside.readers.base import SPLITS
from bedside.readers.files import cleaned

COLUMNS = ("file", "label", "patient", "split", "mask", "age", "size_mm", "device")
_LABEL = re.compile(r"^[A-Za-z0-9][A-Za-z0-9 _.+-]{0,39}$")
_NUMBER = re.compile(r"^\d{1,4}(\.\d+)?$")
_NO_TITLE = re.compile(r"(?:^|(?<=[ _-]))(?:dr|mr|ms)$", re.IGNORECASE)
_MAX_LABELS = 50
_MAX_AGE = 90
# No lesion is larger, and further digits measure nothing but may be a date or a number.
_MAX_SIZE_MM = 500


def clean(data: bytes, folder: str, new_name: Callable[[str], str | None], key: Key,
          extra: Sequence[str] = (), keep_device: bool = False,
          there: Callable[[str], bool] = lambda _: True) -> tuple[bytes, dict[str, int]]:
    """Rewrite a table: ``file`` and ``mask`` by their new names, ``patient`` by pseudonym.

    Args:
        data: the file.
        folder: the table's own folder relative to the source; its paths start there.
        new_name: a file's new path relative to the table's new folder, None where the file is
            not passed; its rows go.
        extra: further columns that the user lets stay; cells that may identify are emptied.
        keep_device: let the names of devices stay where they do not identify a person; else
            each becomes a pseudonym, so that images of one device can still be told apart.
        there: whether the source holds a file of a path, passed or not.

    Returns:
        The table, and counts: rows and columns removed, cells replaced.

    Raises:
        Quarantine: no table with a ``file`` column, rows of files that the source does not hold,
            or labels that may name patients.
    """
    try:
        rows = [r for r in csv.reader(io.StringIO(data.decode("utf-8-sig")), strict=True)
                if any(c.strip() for c in r)]
    except (UnicodeDecodeError, csv.Error):
        raise Quarantine("not a comma-separated table", "table") from None
    header = [c.strip() for c in rows[0]] if rows else []
    if "file" not in header or any(len(r) != len(header) for r in rows):
        raise Quarantine("a table without a column 'file', or of uneven rows", "table")
    keep = [c for c in header if c in COLUMNS or c in extra]
    table = [dict(zip(header, (c.strip() for c in r), strict=True)) for r in rows[1:]]
    names = known((), [row.get("patient", "") for row in table])
    _check_labels(table, names)
    lost = sum(not there(_path(folder, row["file"])) for row in table)
    if lost:
        # Never dropped without a word: what they label would be missing from the study.
        raise Quarantine(f"{lost} of {len(table)} rows name a file that the folder does not hold",
                         "table")
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(keep)
    counts = {"columns_removed": len(header) - len(keep), "rows_removed": 0, "replaced": 0}
    for row in table:
        file = new_name(_path(folder, row["file"]))
        if file is None:
            counts["rows_removed"] += 1
            continue
        masks = [new_name(_path(folder, m))
                 for m in row.get("mask", "").split("|") if m.strip()]
        special = {"file": file, "mask": "|".join(m for m in masks if m),
                   "patient": key.patient(row["patient"]) if row.get("patient") else "",
                   "age": _age(row.get("age", "")),
                   "size_mm": _size(row.get("size_mm", "")), "label": row.get("label", ""),
                   "device": _device(row.get("device", ""), names, key, keep_device),
                   "split": row.get("split", "") if row.get("split") in SPLITS else ""}
        cells = [special[c] if c in special else
                 row[c] if may_stay(row[c], names) and row[c][:1] not in "=+-@" else ""
                 for c in keep]
        counts["replaced"] += sum(a != row[c] for a, c in zip(cells, keep, strict=True))
        writer.writerow(cells)
    return out.getvalue().encode(), counts


def _path(folder: str, name: str) -> str:
    """Return a table's path relative to the source; ``\\`` separates folders as ``/`` does."""
    return posixpath.normpath(posixpath.join(folder, cleaned(name)))


def _check_labels(table: Sequence[dict[str, str]], names: Known) -> None:
    labels = {row.get("label", "") for row in table} - {""}
    patients = {row.get("patient", "").casefold() for row in table} - {""}
    if len(labels) > _MAX_LABELS or not all(map(_LABEL.fullmatch, labels)) or any(
            label.casefold() in patients or not _names_nobody(label, names) for label in labels):
        raise Quarantine("labels that may name patients", "table")
    # In any order, and where an id is too short to be looked for inside of words.
    spoken = [_words(label) for label in labels]
    for patient in patients:
        words = _words(patient)
        telling = len(words) > 1 or (not patient.isdigit() and any(map(str.isdigit, patient)))
        if words and telling and any(words <= label for label in spoken):
            raise Quarantine("labels that may name patients", "table")


def _names_nobody(label: str, names: Known) -> bool:
    """Return whether a label may stay, also where ``_`` or spaces replace the dashes of a date."""
    # MR and "no DR" (diabetic retinopathy) are classes; a title has a name behind it.
    text = _NO_TITLE.sub("", label)
    return not names.named_in(label) and may_stay(text, names) and may_stay(
        re.sub(r"[_ ]+", "-", text), names)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+", text.casefold()))


def _device(text: str, names: Known, key: Key, keep: bool) -> str:
    if not text:
        return ""
    if keep:
        return text if may_stay(text, names) and text[:1] not in "=+-@" else ""
    return key.pseudonym("device", text)


def _age(text: str) -> str:
    """Return the age, 90 for all above (HIPAA, 45 CFR 164.514 (b)(2)(i)(C))."""
    return str(min(_MAX_AGE, int(float(text)))) if _NUMBER.match(text) else ""


def _size(text: str) -> str:
    """Return millimetres to one decimal; empty where it is no size of a lesion."""
    size = float(text) if _NUMBER.match(text) else math.inf
    return f"{round(size, 1):g}" if size <= _MAX_SIZE_MM else ""
