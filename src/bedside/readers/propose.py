"""Propose the mapping of a table's columns, from their names and from what their cells hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from shlex import quote

from bedside.readers import names
from bedside.readers.base import MASK_SPLIT, missing
from bedside.readers.files import FileIndex, suffix
from bedside.readers.tables import Table

# So many rows, evenly spaced, are held against the files.
_ROWS = 300
_MOST_CLASSES = 40
_LABELS = ("label", "labels", "class", "classname", "category", "dx", "diagnosis", "pathology",
           "classification", "malignancy", "malignant", "target", "finding", "findinglabels",
           "outcome", "disease", "diagnosisclass", "benignmalignant", "abnormality", "result",
           "grade", "level", "histology", "birads", "type")
_PATIENTS = ("patient", "patientid", "patientno", "patientnumber", "patientcode", "subject",
             "subjectid", "person", "personid", "pid", "participant", "participantid", "lesionid",
             "case", "caseid", "casenumber")
_SPLITS = ("split", "set", "subset", "partition", "phase", "part", "usage", "dataset")
_AGES = ("age", "patientage", "ageapprox", "ageyears", "ageatdiagnosis", "ageatstudy")
_SEXES = ("sex", "gender", "patientsex", "patientgender")
_DEVICES = ("device", "scanner", "machine", "manufacturer", "ultrasoundmachine", "equipment",
            "devicemodel", "scannermodel", "model")
_SIZES = ("sizemm", "lesionsizemm", "diametermm", "tumorsizemm", "tumoursizemm", "noduresizemm",
          "nodulesizemm")
_FLAGS = frozenset({"0", "1", "-1", "0.0", "1.0", "-1.0"})


@dataclass(frozen=True, slots=True)
class Proposal:
    """A table beside images.

    ``columns``: the mapping. ``rows``, and of the ``looked_at`` those whose file is there
    (``matched``). ``labels``: cells of the label column with their number. ``flags``: columns of
    0, 1 and −1, several of which make a multi-label table (``exclusive``: one class a row).
    ``others``: further columns that could be the label. ``unused``: columns without a role.
    ``table`` joins several by ``+`` where each is a part (train.csv, valid.csv). ``alone``: there
    is no other table, so that the mapping need not name it.
    """

    table: str
    columns: dict[str, str]
    rows: int
    looked_at: int
    matched: int
    labels: dict[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    exclusive: bool = False
    others: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    how: str = ""
    alone: bool = False

    @property
    def multi_label(self) -> bool:
        """Whether an image may have several findings at once."""
        return len(self.flags) > 1 and not self.exclusive and "label" not in self.columns

    @property
    def flag(self) -> str:
        """The mapping as ``--columns`` takes it; of a multi-label table with its first finding."""
        if not self.multi_label:
            return self.flag_with()
        findings = [f for f in self.flags if names.words(f)[:1] != ["no"]] or self.flags
        return self.flag_with(findings[0])

    def flag_with(self, label: str = "") -> str:
        """Return ``--columns …``, quoted for a shell, with ``label`` where one is given."""
        given = {} if self.alone else {"table": self.table}
        given["file"] = self.columns["file"]
        if label or "label" in self.columns:
            given["label"] = label or self.columns["label"]
        given.update({r: c for r, c in self.columns.items() if r not in ("file", "label")})
        pairs = [f"{role}={column}" for role, column in given.items()]
        if any("," in c for c in given.values()):
            # A comma separates roles: these go into study.toml.
            return "[data.columns] " + ", ".join(f'{r} = "{c}"' for r, c in given.items())
        return "--columns " + quote(",".join(pairs))


def propose(table: Table, name: str, images: FileIndex, masks: FileIndex, rows: int | None = None
            ) -> Proposal | None:
    """Return what the columns of a table may mean, None where none names the images.

    Args:
        table: read whole or in part.
        name: its name relative to the data set's folder.
        images: the images, without masks.
        masks: the masks.
        rows: number of rows where ``table`` is a part of it.
    """
    cells = {h: table.column(h) for h in table.header}
    file, matched, looked_at = _file(table, cells, images)
    if file is None:
        return None
    columns = {"file": file}
    used = {file.partition("+")[0]}
    flags = _flags(cells, used)
    label, others = _label(table, cells, used, flags)
    exclusive = len(flags) > 1 and _exclusive(cells, flags)
    if label is not None:
        columns["label"] = label
        used.add(label)
    elif exclusive:
        columns["label"] = "|".join(flags)
        used |= set(flags)
    for role, wanted in (("patient", _PATIENTS), ("age", _AGES), ("sex", _SEXES),
                         ("size_mm", _SIZES), ("device", _DEVICES)):
        chosen = _named(table.header, wanted, used)
        if chosen is not None and any(not missing(c) for c in cells[chosen]) and (
                role != "patient" or len({c for c in cells[chosen] if not missing(c)}) > 1):
            columns[role] = chosen
            used.add(chosen)
    split = _named(table.header, _SPLITS, used)
    if split is not None and all(names.part_of(c) for c in cells[split] if c) and any(cells[split]):
        columns["split"] = split
        used.add(split)
    mask = _mask(table.header, cells, used, masks)
    if mask is not None:
        columns["mask"] = mask
        used.add(mask)
    _of_path(cells, file, columns)
    return Proposal(name, columns, rows if rows is not None else len(table.rows), looked_at,
                    matched, _counts(cells, columns.get("label"), flags), tuple(flags), exclusive,
                    tuple(others), tuple(h for h in table.header if h not in used
                                         and h not in flags), table.how)


def speaks_of_label(header: str) -> bool:
    """Return whether a column's name holds a word for the label (``final_diagnosis``)."""
    return any(w in _LABELS for w in names.words(header))


def _spread(cells: Sequence[str]) -> list[str]:
    given = [c for c in cells if c]
    return given[::max(1, len(given) // _ROWS)][:_ROWS]


def _key(header: str) -> str:
    return "".join(names.words(header))


def _named(header: Sequence[str], wanted: Sequence[str], used: set[str]) -> str | None:
    """Return the free column whose name comes first among ``wanted``."""
    keys = {_key(h): h for h in reversed(header) if h not in used}
    return next((keys[w] for w in wanted if w in keys), None)


def _file(table: Table, cells: dict[str, list[str]], images: FileIndex
          ) -> tuple[str | None, int, int]:
    """Return the expression for the file, the rows that match and those looked at."""
    best: tuple[float, str | None, int, int] = (0.0, None, 0, 0)
    endings = Counter(suffix(f) for f in images.files)
    for header in table.header:
        sample = _spread(cells[header])
        if not sample or len(set(sample)) < min(len(sample), 3) / 2:
            continue
        found = [images.find(c) for c in sample]
        hits = sum(len(f) == 1 for f in found)
        share = hits / len(sample)
        bonus = 0.001 * any(w in ("file", "filename", "image", "path", "img")
                            for w in names.words(header))
        if hits and share + bonus > best[0]:
            bare = not any(suffix(c) in endings for c in sample)
            ends = Counter(suffix(f[0]) for f in found if len(f) == 1)
            text = f"{header}+{ends.most_common(1)[0][0]}" if bare and len(ends) == 1 else header
            if bare and len(ends) == 1:
                text = f"{header}+{_written(images, ends.most_common(1)[0][0])}"
            best = (share + bonus, text, hits, len(sample))
    return (best[1], best[2], best[3]) if best[0] >= 0.2 else (None, 0, 0)


def _written(images: FileIndex, ending: str) -> str:
    """Return an ending in the spelling that most files have."""
    return Counter(f[len(f) - len(ending):] for f in images.files
                   if suffix(f) == ending).most_common(1)[0][0]


def _flags(cells: dict[str, list[str]], used: set[str]) -> list[str]:
    """Return the columns that hold 0, 1 and −1 alone, some of them 1."""
    found = []
    for header, column in cells.items():
        given = {c for c in column if c}
        if header not in used and given and given <= _FLAGS and given & {"1", "1.0"}:
            found.append(header)
    return found


def _exclusive(cells: dict[str, list[str]], flags: Sequence[str]) -> bool:
    rows = zip(*(cells[f] for f in flags), strict=True)
    return all(sum(c in ("1", "1.0") for c in row) == 1 for row in rows)


def _label(table: Table, cells: dict[str, list[str]], used: set[str], flags: Sequence[str]
           ) -> tuple[str | None, list[str]]:
    """Return the label column and others that could be it."""
    rows = len(table.rows)

    def classes(header: str) -> int:
        return len({c for c in cells[header] if not missing(c)})

    fit = [h for h in table.header if h not in used
           and 2 <= classes(h) <= min(_MOST_CLASSES, max(2, rows // 2))]
    by_name = sorted((h for h in fit if _key(h) in _LABELS), key=lambda h: _LABELS.index(_key(h)))
    if len(flags) > 1:
        by_name = [h for h in by_name if h not in flags]
    if by_name:
        return by_name[0], by_name[1:]
    spoken = [h for h in fit if speaks_of_label(h) and h not in flags]
    if len(spoken) == 1:
        return spoken[0], []
    return None, spoken or [h for h in fit if h not in flags and classes(h) <= 10
                            and _key(h) not in (*_AGES, *_SEXES, *_SPLITS)]


def _mask(header: Sequence[str], cells: dict[str, list[str]], used: set[str], masks: FileIndex
          ) -> str | None:
    if not masks.files:
        return None
    best: tuple[float, str | None] = (0.3, None)
    for name in header:
        given = [m for c in _spread(cells[name]) if not missing(c) for m in MASK_SPLIT.split(c)]
        if name in used or not given:
            continue
        # The column that most rows fill goes first: each image's own outline.
        share = sum(len(masks.find(m)) == 1 for m in given) / len(given)
        filled = sum(not missing(c) for c in cells[name]) / len(cells[name])
        if share >= 0.8 and share * filled > best[0]:
            best = share * filled, name
    return best[1]


def _of_path(cells: dict[str, list[str]], file: str, columns: dict[str, str]) -> None:
    """Take patient and part from the folders of a path: CheXpert has them nowhere else."""
    sample = [c.replace("\\", "/").strip("/").split("/") for c in _spread(cells.get(file, ()))]
    depth = min((len(p) for p in sample), default=0)
    for at in range(depth - 1):
        folders = {p[at] for p in sample}
        if "patient" not in columns and len(folders) > 1 and all(map(names.is_person, folders)):
            columns["patient"] = f"{file}/{at + 1}"
        if "split" not in columns and all(names.part_of(f) for f in folders):
            columns["split"] = f"{file}/{at + 1}"


def _counts(cells: dict[str, list[str]], label: str | None, flags: Sequence[str]) -> dict[str, int]:
    if label is None:
        return {}
    if label in cells:
        return dict(Counter(c for c in cells[label] if not missing(c)).most_common())
    return {f: sum(c in ("1", "1.0") for c in cells[f]) for f in flags}
