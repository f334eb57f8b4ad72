"""Stage ``card``: model card and evidence file of every model of a run.

Publishes ``RUN/card/<model>/`` with ``evidence.json``, ``model-card.md`` and ``model-card.xml``.
Human answers are read from ``RUN/card.toml``.
"""

from __future__ import annotations

from pathlib import Path

import bedside
from bedside.card import human
from bedside.card.collect import facts_of
from bedside.card.documents import STAGE, documents
from bedside.card.table import TABLE, text
from bedside.core.progress import Progress
from bedside.runfolder import artefact, layout, stored

_VERSION = 2


def card(run: Path, progress: Progress | None = None) -> list[str]:
    """Write the card of every measured model, except finished ones.

    Returns:
        The models.

    Raises:
        BadInput: ``card.toml`` or a stage's file does not read.
    """
    answers = human.read(run)
    models = list(dict.fromkeys(m.model for m in stored.measurements(run)))
    for number, model in enumerate(models):
        _model(run, model, answers)
        if progress is not None:
            progress(STAGE, number + 1, len(models))
    if models:
        human.offer(run)
    return models


def _model(run: Path, model: str, answers: dict[str, str]) -> None:
    folder = layout.card_dir(run, model)
    key = artefact.stage_key(STAGE, _VERSION, bedside.__version__, text(TABLE), answers,
                             _inputs(run, model))
    if artefact.intact(folder, STAGE, key):
        return
    files = documents(facts_of(run, model), answers)
    with artefact.writing(folder, STAGE, key) as scratch:
        for name, content in files.items():
            artefact.write_text(scratch / name, content)


def _inputs(run: Path, model: str) -> dict[str, str]:
    """Hash every manifest that a card of this model may read, and the configuration."""
    given = layout.study_file(run)
    found = {given.name: artefact.sha256_file(given)} if given.is_file() else {}
    for part in ("data", "leakage", "calibration", "variants", "builds", "measurements", "evidence",
                 "analysis/robustness", f"models/{model}"):
        for path in sorted((run / part).rglob(artefact.MANIFEST)):
            name = path.relative_to(run)
            if not any(p.startswith(".") for p in name.parts):
                found[name.as_posix()] = artefact.sha256_file(path)
    return found
