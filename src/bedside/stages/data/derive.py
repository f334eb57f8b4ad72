"""Derive the data of a repeat: the cases of a study with another split, or the same one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.types import Case, Split
from bedside.runfolder import artefact, layout, stored
from bedside.runfolder.cases import cases_to_csv
from bedside.stages.data import split
from bedside.stages.data.source import SOURCE, Source
from bedside.stages.data.stage import STAGE


def redraw(cases: Sequence[Case], seed: int, folds: int = 0, fold: int = 0) -> dict[str, Split]:
    """Split the cases of a study again, by group and class, into parts as large as before.

    Args:
        cases: the study's; those set aside stay so.
        seed: of the draw.
        folds: 0 draws all parts; K makes the test part fold ``fold`` of K and divides the rest
            into training and validation parts as the study did.
        fold: 0 … K − 1.

    Returns:
        The part of each case that is not set aside, by id.

    Raises:
        BadInput: fewer groups than folds.
    """
    used = sorted((c for c in cases if c.split != "set_aside"), key=lambda c: c.id)
    sizes = Counter(c.split for c in used)
    parts: dict[str, Split] = {}
    if folds:
        of = split.folds(used, folds, seed)
        parts = {c.id: "test" for c in used if of[c.id] == fold}
    wanted = [p for p in split.PARTS if sizes[p] and not (folds and p == "test")]
    shares: dict[str, float] = {p: float(sizes[p]) for p in wanted}
    rest = [c for c in used if c.id not in parts]
    drawn = split.assign([c.label for c in rest], [c.group or c.id for c in rest], shares, seed)
    return parts | {c.id: cast(Split, p) for c, p in zip(rest, drawn, strict=True)}


def derive(run: Path, unit: Path, parts: Mapping[str, Split] | None) -> None:
    """Write ``UNIT/data`` from that of a run, with the given parts or the run's own.

    Args:
        run: its data stage has finished.
        unit: the run folder of a repeat.
        parts: by case id; None keeps the run's split.

    Raises:
        BadInput: a part that has no image of some class.
    """
    cases = stored.cases(run)
    if parts is not None:
        cases = tuple(replace(c, split=parts.get(c.id, "set_aside")) for c in cases)
        check_parts(cases, stored.task(run).classes, str(unit.name))
    source = codec.read_json(Source, artefact.checked(layout.data_dir(run), STAGE, SOURCE))
    root = (run / source.root).resolve()
    key = artefact.stage_key("derived data", [(c.id, c.split) for c in cases],
                             artefact.record(layout.data_dir(run), STAGE).key)
    folder = layout.data_dir(unit)
    if artefact.intact(folder, STAGE, key):
        return
    with artefact.writing(folder, STAGE, key) as scratch:
        artefact.write_text(scratch / layout.CASES, cases_to_csv(cases))
        artefact.write_text(scratch / SOURCE, codec.to_json(replace(source, root=str(root))))
        for name in (layout.TASK, layout.AUDIT):
            artefact.write_text(scratch / name, codec.read_text(
                artefact.checked(layout.data_dir(run), STAGE, name)))


def check_parts(cases: Sequence[Case], classes: Sequence[str], where: str) -> None:
    """Refuse a split in which some part lacks a class. Raises BadInput."""
    have = {(c.split, c.label) for c in cases}
    for part in split.PARTS:
        lacking = [c for c in classes if (part, c) not in have]
        if lacking:
            raise BadInput(f"its {part} part has no image of class {lacking[0]!r}", where=where,
                           remedy="Give fewer --folds, or more images of that class.")
