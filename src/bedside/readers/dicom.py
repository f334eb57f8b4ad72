"""Reader of DICOM folders and PACS exports; files are parsed in worker processes only."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bedside.core.errors import BadInput
from bedside.core.types import Case, SetAside
from bedside.readers import dicom_walk, sandbox
from bedside.readers.base import Listing, check_text, no_class_names
from bedside.readers.dicom_file import Frames, chosen_names, header, stored_file
from bedside.readers.dicom_header import DicomFacts
from bedside.readers.imported import FOREIGN, Imported, require
from bedside.readers.keyed import Key
from bedside.readers.layouts import NO_CLASS

NO_LABEL = "no value in the element that gives the label"
_PLACES = ("Put the files into one folder per class before bedside import, list them in a "
           "manifest.csv (file,label), or name the element that holds the label: "
           "data.label_tag in study.toml.")


@dataclass(frozen=True, slots=True)
class DicomListing:
    """The images of a folder; ``aside`` is no input, ``faulty`` should have been one."""

    root: Path
    entries: tuple[tuple[str, DicomFacts], ...]
    aside: tuple[SetAside, ...] = ()
    faulty: tuple[SetAside, ...] = ()


# ------------------------------------------------------------------ a folder


def listing(root: Path, key: bytes | None = None, label_tag: int | None = None,
            skip_bad: bool = True, check: Callable[[Path], str | None] | None = None,
            pool: sandbox.Pool | None = None, tick: Callable[[int, int], None] | None = None
            ) -> DicomListing:
    """List every image below a folder: headers only, several files at once, in order.

    Args:
        root: the folder. Files are known by content; links that lead outside are not followed.
        key: for the pseudonyms of patients.
        label_tag: the element whose value becomes ``facts.label``.
        skip_bad: go on after a bad file.
        check: given a path, a reason not to read it.
        tick: called with (done, total).

    Raises:
        BadInput: the first bad file, unless ``skip_bad``.
        MissingComponent: pydicom is not installed.
    """
    root = root.resolve()
    workers = pool or sandbox.pool()
    walked = dicom_walk.walk(root)
    aside, faulty = list(walked.aside), list(walked.faulty)
    for index in walked.indexes:
        try:
            reply = workers.call("bedside.readers.dicom_walk:referenced", root / index,
                                 path=str(root / index))
            faulty.extend(dicom_walk.check_index(index, reply.value, walked.files))
        except BadInput as error:
            faulty.append(SetAside(index, error.fault))
    _stop_at_first(root, faulty, skip_bad)
    entries = []

    def look(file: str) -> DicomFacts | SetAside | BadInput:
        try:
            reason = check((root / file).resolve()) if check else None
            if reason == FOREIGN:
                return SetAside(file, reason)
            if reason is not None:
                return BadInput(reason, where=root / file, remedy="Run bedside import again.")
            return header(root / file, key, label_tag, workers)
        except BadInput as error:
            return error
        except OSError as error:
            return BadInput(f"cannot be read ({error.strerror})", where=root / file,
                            remedy=sandbox.REMEDY)

    for done, (file, found) in enumerate(zip(walked.files, workers.map(look, walked.files),
                                             strict=True)):
        if isinstance(found, BadInput):
            if not skip_bad:
                raise found
            faulty.append(SetAside(file, found.fault))
        elif isinstance(found, SetAside):
            aside.append(replace(found, file=file))
        else:
            entries.append((file, found))
        if tick:
            tick(done + 1, len(walked.files))
    return DicomListing(root, tuple(entries), tuple(aside), tuple(faulty))


def _stop_at_first(root: Path, faulty: Sequence[SetAside], skip_bad: bool) -> None:
    if faulty and not skip_bad:
        raise BadInput(faulty[0].reason, where=root / faulty[0].file, remedy=sandbox.REMEDY)


def patient_of(facts: DicomFacts, key: bytes, file: str) -> str:
    """Return a pseudonym that keeps one patient's images together.

    Of the Patient ID; where it is empty, of the study, else of the file.
    """
    return facts.patient or facts.study or Key(key).pseudonym("file", file)


def case_key(origin: Imported) -> bytes:
    """Return the key of pseudonyms in ``cases.csv``: a salt of the imported folder.

    The Patient IDs there are already keyed pseudonyms that only the holder of import's secret
    can undo; this second hash keeps them, too, out of a run's folder.
    """
    return hashlib.sha256(b"bedside cases\0" + origin.key.encode()).digest()


def read(source: Path, class_names: Sequence[str] = (), *, frames: Frames = "middle",
         label_tag: str | None = None, skip_bad: bool = False) -> Listing:
    """List the images of a folder that ``bedside import`` wrote.

    Labels come from the first folder, or from the element ``label_tag`` (a keyword such as
    ``StudyDescription``, or ``(0008,1030)``); a CSV goes through the manifest reader. Patients
    are pseudonyms (:func:`patient_of`, :func:`case_key`).

    Raises:
        BadInput: not de-identified, no label, no image, an unknown element, or the first bad
            file unless ``skip_bad``.
    """
    no_class_names(class_names, source)
    if not source.is_dir():
        raise BadInput("no such folder", where=source, remedy="Check the path.")
    origin = require(source.resolve(), source)
    key, tag = case_key(origin), None
    if label_tag is not None:
        tag = int(sandbox.pool().call("bedside.readers.dicom_header:tag_number",
                                      "data.label_tag", text=label_tag).value)
    found = listing(source, key, tag, skip_bad, origin.fault)
    aside = [*found.aside, *found.faulty]
    cases: list[Case] = []
    for file, facts in found.entries:
        label = facts.label if tag is not None else file.partition("/")[0] if "/" in file else None
        if label is None:
            aside.append(SetAside(file, NO_LABEL if tag is not None else NO_CLASS))
            continue
        check_text(label, "the label", str(source / file))
        patient = patient_of(facts, key, file)
        cases.extend(Case("", n, label, patient, device=facts.device)
                     for n in chosen_names(file, facts.frames, frames))
    if not cases:
        raise BadInput("no DICOM image with a label", where=source, remedy=_PLACES)
    return Listing(found.root, tuple(cases), tuple(aside), _notes(found, cases))


def _notes(found: DicomListing, cases: Sequence[Case]) -> tuple[str, ...]:
    notes = []
    unknown = sum(facts.patient is None for _, facts in found.entries)
    if unknown:
        notes.append(f"DICOM files without a Patient ID: {unknown}; their study, or else the file, "
                     "stands for the patient.")
    patients = Counter(c.patient for c in cases)
    if len(patients) == 1 and len(found.entries) > 1:
        notes.append("All DICOM files bear one Patient ID, so no split can separate them; if it "
                     "is a placeholder, list the patients in a manifest.csv.")
    return tuple(notes)


def of_table(root: Path, source: Path, rows: Sequence[tuple[str, Case]],
             frames: Frames = "middle") -> list[list[Case]]:
    """Return the cases of each of a table's rows that name DICOM files.

    A row may name a frame; else ``frames`` chooses. Rows without a patient or a device get
    the file's. A file whose header does not read stays a case, for the scan to judge.

    Args:
        root: the table's folder, resolved.
        source: the data set, for messages.
        rows: (place, case).

    Raises:
        BadInput: a file that ``bedside import`` did not write.
    """
    origin = require(root, source)
    key = case_key(origin)

    def look(row: tuple[str, Case]) -> list[Case]:
        where, case = row
        stored, number = stored_file(root, case.file)
        reason = origin.fault((root / stored).resolve())
        if reason is not None:
            raise BadInput(f"{stored!r}: {reason}", where=where,
                           remedy="Bring it in with bedside import.")
        try:
            facts = header(root / stored, key)
        except BadInput:
            return [case]
        if isinstance(facts, SetAside):
            return [case]
        patient = case.patient or patient_of(facts, key, stored)
        names = [case.file] if number is not None else chosen_names(stored, facts.frames, frames)
        return [replace(case, file=n, patient=patient, device=case.device or facts.device)
                for n in names]

    return list(sandbox.pool().map(look, rows))
