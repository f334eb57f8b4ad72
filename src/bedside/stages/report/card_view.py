"""Model cards in the report: copies beside the page, links, and missing answers."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bedside.card import documents
from bedside.runfolder import artefact, layout

FOLDER = "card"


@dataclass(frozen=True, slots=True)
class CardView:
    """One model's card: links to its files, counts of known values, and open questions by role."""

    model: str
    files: tuple[tuple[str, str], ...]
    known: int
    values: int
    awaited: tuple[tuple[str, tuple[str, ...]], ...]
    missing: tuple[tuple[str, str], ...]


_FILES = (("for people (Markdown)", documents.MARKDOWN),
          ("for programs (XML, CHAI)", documents.XML),
          ("evidence file (JSON)", documents.EVIDENCE))


def _finished(run: Path, model: str) -> bool:
    return artefact.finished(layout.card_dir(run, model), documents.STAGE)


def copy(run: Path, folder: Path, models: Sequence[str]) -> None:
    """Copy every finished card beside the report, which may be moved without its run."""
    for model in models:
        if _finished(run, model):
            place = folder / FOLDER / model
            place.mkdir(parents=True, exist_ok=True)
            for _, name in _FILES:
                shutil.copyfile(layout.card_dir(run, model) / name, place / name)


def view(run: Path, models: Sequence[str]) -> tuple[CardView, ...]:
    """Summarize each card for the page."""
    return tuple(_view(run, m) for m in models if _finished(run, m))


def _view(run: Path, model: str) -> CardView:
    found = documents.read(run, model)
    values = [(f, v) for f in found.fields for v in f.values]
    awaited: dict[str, list[str]] = {}
    for answer in found.awaited():
        awaited.setdefault((answer.awaits or "").capitalize(), []).append(answer.question)
    return CardView(
        model, tuple((label, f"{FOLDER}/{model}/{name}") for label, name in _FILES),
        sum(v.value is not None for _, v in values), len(values),
        tuple((who, tuple(q)) for who, q in awaited.items()),
        tuple((v.label, v.reason or "") for _, v in values if v.value is None))
