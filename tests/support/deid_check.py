"""Compare de-identified files with their answer key, and search their raw bytes and names."""

from __future__ import annotations

import base64
import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
from deid_answer import Expected, Made, Maker, make, sources
from deid_pixels import ink_left, pictures
from pydicom.dataset import Dataset

# Of the ink of a text in the pixels this share may be left.
LEFT = 0.01
# What becomes of pixels in which there is text; see bedside.core.types.DeidConfig.
PIXELS = "check"


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


_NEW_UID = re.compile(rb"2\.25\.[0-9]{30,39}")


def leaks(data: bytes, marks: set[str]) -> list[str]:
    """Injected texts found in raw bytes: as they are, as UTF-16, in base64, in any case."""
    # Among the random digits of thousands of new UIDs, nine of them are an injected number by
    # chance once in some hundred runs; that each UID is new and keyed is an action of its own.
    low = _NEW_UID.sub(b"", data.lower())
    return sorted(m for m in marks if len(m) >= 7 and any(e in low for e in _encodings(m)))


@dataclass
class Score:
    """Actions right and wrong, and where."""

    right: int = 0
    searched: int = 0
    # Files with text in their pixels that wait for a person, with the reasons.
    held: Counter[str] = field(default_factory=Counter)
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
        return not empty and value != e.value and _same(score.patients, made.identity, str(value))
    if e.what == "gone":
        return empty
    if e.what == "empty":
        return empty
    if e.what == "without":
        return e.value.lower() not in str(value).lower()
    if e.what in ("kept", "said"):
        return value == e.value
    if e.what == "uid":
        return not empty and str(value) != str(e.value) and str(value).startswith("2.25.") \
            and score.uids.setdefault(str(e.value), str(value)) == str(value)
    if e.what == "shifted":
        if empty or str(value)[8:] != str(e.value)[8:]:
            return False
        days = (_day(str(e.value)) - _day(str(value))).days
        return days > 0 and score.shifts.setdefault(made.identity, days) == days
    return value != e.value


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def run(folder: Path, count: int, options: tuple[str, ...] = (), seed: int = 0,
        workers: int = 2, pixels: bool = False) -> Score:
    """Make ``count`` files of ``count / 4`` patients, de-identify them, and compare.

    With ``pixels`` the patient's name and id are written into the pixels too, and searched for.
    """
    from bedside.core.types import DeidConfig
    from bedside.deid import deidentify

    maker = Maker(10_000_019 + seed)
    people = [(f"MRN{maker.number(8)}", maker.value("PN")) for _ in range((count + 3) // 4)]
    originals, made = pictures() if pixels else sources(), []
    for i in range(count):
        patient, person = people[i % len(people)]
        target = folder / "src" / person.replace("^", "_") / f"{patient}_{i:05}.dcm"
        target.parent.mkdir(parents=True, exist_ok=True)
        made.append(make(originals[i % len(originals)], patient, person, seed * 1_000_003 + i,
                         target, "modified-dates" in options, "retain-device" in options, pixels))
    deidentify(folder / "src", folder / "out", folder / "private",
               DeidConfig(options, pixels=PIXELS if pixels else "unchecked"), workers=workers)
    return check(folder, made)


def check(folder: Path, made: list[Made]) -> Score:
    """Compare every output with the key, and search its raw bytes and names."""
    score = Score()
    with (folder / "private" / "names.csv").open() as rows:
        where = {Path(r["original"]).name: r for r in csv.DictReader(rows)}
    shared = b"".join((folder / "out" / n).read_bytes() for n in ("ledger.csv", "manifest.json"))
    for one in made:
        row = where[one.name]
        held = row["status"] != "ok" and bool(one.burned) and bool(row["file"])
        if held:
            # What waits for a person has passed nothing; its candidate is held to the key, but
            # for the pixels.
            score.held[row["reason"]] += 1
        elif row["status"] != "ok":
            # A sound file that is held back has none of its actions right.
            score.wrong += [f"{one.name}: {row['reason']}"] * len(one.expected)
            continue
        path = folder / ("private" if held else "out") / row["file"]
        data = path.read_bytes()
        dataset = pydicom.dcmread(path)
        for burned in () if held else one.burned:
            share = ink_left(burned, dataset.pixel_array)
            if share <= LEFT:
                score.right += 1
                score.by_kind["pixels"] += 1
            else:
                score.wrong.append(f"{one.name}: {share:.1%} of the ink of a text remains")
        for e in one.expected:
            if held and e.what == "said":
                continue
            if _holds(e, dataset, one, score):
                score.right += 1
                score.by_kind[e.what] += 1
            else:
                found = _at(dataset, e.path)
                where_ = " ".join(f"{p:08X}" if p > 99 else str(p) for p in e.path)
                score.wrong.append(f"{one.name}: {where_} {e.what} {e.value!r} -> {found}")
        left = leaks(data + row["file"].encode() + (shared if one is made[0] else b""), one.marks)
        # What remains counts as wrong; that a text is gone is no action of its own.
        score.searched += len(one.marks)
        score.wrong += [f"{one.name}: {m!r} remains" for m in left]
    return score
