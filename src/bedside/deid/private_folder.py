"""What a private folder belongs to: its clean folder, and the source and key it was made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.deid.key import Key
from bedside.runfolder import artefact

FILE = "out.json"
STAGES = ("import", "deid")


@dataclass(frozen=True, slots=True)
class Place:
    """``out.json``: which clean folder, where its quarantined files go, and made from what.

    ``source`` and ``key`` are keyed digests: paths may name patients and need not be UTF-8.
    They are empty in files of older versions.
    """

    out: str
    stage: str
    targets: dict[str, str] = field(default_factory=dict)
    source: str = ""
    key: str = ""


def source_mark(secret: Key, source: Path) -> str:
    """A source, told apart from others by its place on this machine."""
    return secret.digest("source", str(source.resolve())).hex()


def key_mark(secret: Key) -> str:
    """A key, told apart from others."""
    return secret.digest("key", "").hex()


def check(private: Path, out: Path, secret: Key, source: Path) -> None:
    """Refuse folders that hold another source's clean data or its only way back.

    Raises:
        BadInput: ``private`` was made from another source or key, or ``out`` belongs to
            another private folder.
    """
    note = private / FILE
    place = codec.read_json(Place, note) if note.is_file() else None
    if place is not None and place.key and place.key != key_mark(secret):
        raise BadInput("holds an import with another key", where=private,
                       remedy="Give its own key, or choose another --out and --private.")
    if place is not None and place.source and place.source != source_mark(secret, source):
        raise BadInput("holds an import of another source", where=private,
                       remedy="Choose another --out and --private.")
    if not set(STAGES) & set(artefact.read_manifest(out).stages):
        return
    # A clean folder that is not where the note says was moved, and is still the private folder's.
    if place is None or (place.out != str(out.resolve()) and Path(place.out).exists()):
        raise BadInput("holds an import of another source or with another key", where=out,
                       remedy="Choose another --out, or give the --private it was made with.")
