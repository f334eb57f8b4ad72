"""Stage ``evidence``: operating points, calibration, subgroups and every paired test.

Reads the predictions of every cell; ``RUN/evidence/<model>/`` holds each model's numbers and
``RUN/evidence/all/`` the answers after Holm's adjustment over the whole study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bedside.core import codec
from bedside.core.build import Measurement
from bedside.core.evidence import Comparison, Comparisons, OperatingPoints
from bedside.core.progress import Progress
from bedside.core.study import EvidenceConfig
from bedside.core.types import Case, Task
from bedside.metrics import compare
from bedside.runfolder import artefact, layout, protocol, stored
from bedside.schemes import GIVEN
from bedside.stages.evidence.cells import (
    Cell,
    group_of,
    matched,
    operating_points,
    positive_index,
    reference,
    side,
)
from bedside.stages.evidence.statistics import statistics

STAGE = "evidence"
VERSION = 7
ALL_MODELS = layout.ALL_MODELS
SPLITS = ("val", "test")


def evidence(run: Path, config: EvidenceConfig, progress: Progress | None = None) -> None:
    """Compute every model's statistics and the study's answers; finished ones are left.

    Raises:
        BadInput: predictions do not read.
    """
    measured = [m for m in stored.measurements(run) if stored.usable(m)]
    models = list(dict.fromkeys(m.model for m in measured))
    cases = {c.id: c for c in stored.cases(run)}
    task = stored.task(run)
    made = [_model(run, model, [m for m in measured if m.model == model], cases, task, config)
            for model in models if _tell(progress, models, model)]
    _answers(run, models, artefact.stage_key(STAGE, VERSION, made))
    if progress is not None:
        progress(STAGE, len(models) + 1, len(models) + 1)


def _tell(progress: Progress | None, models: Sequence[str], model: str) -> bool:
    if progress is not None:
        progress(STAGE, models.index(model), len(models) + 1)
    return True


def _answers(run: Path, models: Sequence[str], key: str) -> None:
    folder = layout.evidence_dir(run, ALL_MODELS)
    if artefact.intact(folder, STAGE, key):
        return
    every = [c for m in models for c in codec.read_json(
        Comparisons, artefact.checked(layout.evidence_dir(run, m), STAGE, layout.COMPARISONS)
    ).comparisons]
    done: list[Comparison] = []
    for split in SPLITS:
        done += compare.answers([c for c in every if c.split == split])
    with artefact.writing(folder, STAGE, key) as scratch:
        artefact.write_text(scratch / layout.COMPARISONS,
                            codec.to_json(Comparisons(comparisons=tuple(done))))


# ------------------------------------------------------------------ one model


def _model(run: Path, model: str, measured: Sequence[Measurement], cases: Mapping[str, Case],
           task: Task, config: EvidenceConfig) -> str:
    """Publish one model's folder; returns its key."""
    folder = layout.evidence_dir(run, model)
    key = model_key(run, model, measured, cases, task, config)
    if artefact.intact(folder, STAGE, key):
        return key
    cells = [Cell(m, stored.predictions(run, m.variant, m.target)) for m in measured]
    hashes = _hashes(run, measured)
    # Before the answers are computed, so that an interrupted reading has its line too.
    protocol.opened(run, STAGE, model, max((len(c.predictions.of("test").ids) for c in cells),
                                           default=0), hashes)
    positive = positive_index(task)
    points = replace(operating_points(model, cells, task, config,
                                      {i: c.group or i for i, c in cases.items()}),
                     predictions=hashes)
    found = [c for split in SPLITS for c in comparisons(cells, points, split, cases, positive,
                                                        config)]
    with artefact.writing(folder, STAGE, key) as scratch:
        artefact.write_text(scratch / layout.OPERATING_POINT, codec.to_json(points))
        artefact.write_text(scratch / layout.COMPARISONS,
                            codec.to_json(Comparisons(comparisons=tuple(found))))
        artefact.write_text(scratch / layout.STATISTICS, codec.to_json(
            statistics(cells, points, cases, task, config)))
    return key


def model_key(run: Path, model: str, measured: Sequence[Measurement],
              cases: Mapping[str, Case], task: Task, config: EvidenceConfig) -> str:
    """Return the key of a model's evidence, which changes where a cell was measured since."""
    about = [[c.id, c.group, c.age, c.size_mm, c.device, *([c.sex] if c.sex else [])]
             for c in cases.values()]
    return artefact.stage_key(STAGE, VERSION, model, _hashes(run, measured), about, task, config)


def _hashes(run: Path, measured: Sequence[Measurement]) -> dict[str, str]:
    return {layout.cell_name(m.variant, m.target): stored.predictions_sha256(run, m)
            for m in measured}


def comparisons(cells: Sequence[Cell], points: OperatingPoints, split: str,
                cases: Mapping[str, Case], positive: int | None, config: EvidenceConfig
                ) -> list[Comparison]:
    """Compare every variant of a model with its float32 model at the locked threshold."""
    every = [c.measurement for c in cells]
    by_name = {c.name: c for c in cells}
    seen: dict[tuple[bytes, str], str] = {}
    found = []
    for cell in cells:
        base = reference(every, cell.measurement.target)
        name = None if base is None else layout.cell_name(base.variant, base.target)
        if name == cell.name:
            continue
        m = cell.measurement
        if name is None:
            found.append(Comparison(m.variant, m.target, "", split, 0, reason=(
                "it was quantized elsewhere, and nothing can be shown without its float model"
                if m.scheme == GIVEN else
                "the study has no float32 variant of this model to compare with")))
            continue
        point = points.locked or points.cells[name]
        old, new, only = matched(side(by_name[name], split, point), side(cell, split, point))
        groups = [group_of(cases, str(i)) for i in old.ids]
        one = compare.compare(old, new, positive, groups, config)
        twin = seen.setdefault((new.logits.tobytes(), name), cell.name)
        found.append(replace(one, variant=m.variant, target=m.target, against=name, split=split,
                             only_old=only[0], only_new=only[1],
                             same_as=twin if twin != cell.name else None))
    return found
