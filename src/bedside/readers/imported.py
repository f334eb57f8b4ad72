"""The check that DICOM files come from ``bedside import``, which de-identifies them.

The evidence is import's own manifest: a finished stage ``import`` in the folder, whose facts say
that it de-identified, and which lists every clean file with its hash. What a file says of itself,
Patient Identity Removed (0012,0062) or Burned In Annotation (0028,0301), is never trusted:
scanners and other programs write them by habit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedside.core.errors import BadInput
from bedside.runfolder import artefact

STAGE = "import"
# A fact that the import stage writes into its manifest once every file has gone through.
FACT, DEIDENTIFIED = "deidentified", "yes"
FOREIGN = "not written by bedside import"


@dataclass(frozen=True, slots=True)
class Imported:
    """A folder that import published: ``files`` are the hashes of what it wrote, by name."""

    folder: Path
    key: str
    files: dict[str, str]

    def fault(self, path: Path) -> str | None:
        """Return why a file (its resolved path) is not one of import's, or None; reads it whole."""
        name = path.relative_to(self.folder).as_posix()
        if name not in self.files:
            return FOREIGN
        if artefact.sha256_file(path) != self.files[name]:
            return "changed since bedside import wrote it"
        return None


def imported(root: Path) -> Imported | None:
    """Return the import that is ``root`` (resolved) or one of two folders above it, or None."""
    for folder in (root, *root.parents[:2]):
        if (folder / artefact.MANIFEST).is_file() and artefact.finished(folder, STAGE):
            entry = artefact.record(folder, STAGE)
            if entry.facts.get(FACT) == DEIDENTIFIED:
                return Imported(folder, entry.key, {n: r.sha256 for n, r in entry.files.items()})
    return None


def require(root: Path, source: Path) -> Imported:
    """Return the import that a data set with DICOM files comes from.

    Raises:
        BadInput: it does not come from one.
    """
    found = imported(root)
    if found is None:
        raise BadInput("DICOM files that have not been de-identified", where=source,
                       remedy=f"Run: bedside import {source} --out DIR, and use DIR. (What the "
                       "files say of themselves is not relied on.)")
    return found
