"""Bind a private folder to one output folder, source and key; never mix it with another."""

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
class Destination:
    """``out.json``: the clean folder, the targets of quarantined files, the source and the key.

    ``source`` and ``key`` are keyed digests: paths may name patients and need not be UTF-8.
    They are empty in files of older versions.
    """

    out: str
    stage: str
    targets: dict[str, str] = field(default_factory=dict)
    source: str = ""
    key: str = ""


def source_mark(secret: Key, source: Path) -> str:
    """Return an id of a source, from its path on this machine."""
    return secret.digest("source", str(source.resolve())).hex()


def key_mark(secret: Key) -> str:
    """Return an id of a key."""
    return secret.digest("key", "").hex()


def check(private: Path, out: Path, secret: Key, source: Path) -> None:
    """Refuse folders with another source's clean data or its original names.

    Raises:
        BadInput: ``private`` was made from another source or key, or ``out`` belongs to
            another private folder.
    """
    note = private / FILE
    place = codec.read_json(Destination, note) if note.is_file() else None
    if place is not None and place.key and place.key != key_mark(secret):
        raise BadInput("holds an import with another key", where=private,
                       remedy="Give its own key, or choose another --out and --private.")
    if place is not None and place.source and place.source != source_mark(secret, source):
        raise BadInput("holds an import of another source", where=private,
                       remedy="Choose another --out and --private.")
    if not set(STAGES) & set(artefact.read_manifest(out).stages):
        return
    # A clean folder at another path was moved, and still belongs to the private folder.
    if place is None or (place.out != str(out.resolve()) and Path(place.out).exists()):
        raise BadInput("holds an import of another source or with another key", where=out,
                       remedy="Choose another --out, or give the --private it was made with.")
