"""Stage ``analyse``: the numbers behind every figure, one folder a figure and model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bedside.core import registry
from bedside.core.progress import Progress
from bedside.figures import (
    ALL_MODELS,
    ANALYSES,
    READS_EVIDENCE,
    READS_SETTINGS,
    STUDY_WIDE,
    VERSION,
    VERSIONS,
)
from bedside.figures.base import UNAVAILABLE, FigureData, NotAvailable
from bedside.runfolder import artefact, layout

STAGE = "analyse"


def analyse(run: Path, models: Sequence[str] | None = None,
            progress: Progress | None = None) -> None:
    """Compute every figure's numbers; finished ones with the same inputs are left as they are.

    A figure that a model cannot have (no CAM output, no training history) is recorded with
    its reason, which the report shows in its place.

    Args:
        run: the run folder.
        models: ids of the models to analyse; every converted model by default.
        progress: called with (stage, done, total).

    Raises:
        BadInput: an input of the run does not read.
    """
    wanted = jobs(run, models)
    for number, (figure, model) in enumerate(wanted):
        _one(run, figure, model)
        if progress is not None:
            progress(STAGE, number + 1, len(wanted))


def jobs(run: Path, models: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """(figure, model) of every folder the stage writes; ``all`` for study-wide figures."""
    chosen = list(models) if models is not None else [s.id for s in layout.model_specs(run)]
    return ([(f, ALL_MODELS) for f in ANALYSES if f in STUDY_WIDE]
            + [(f, m) for m in chosen for f in ANALYSES if f not in STUDY_WIDE])


def _one(run: Path, figure: str, model: str) -> None:
    folder = layout.analysis_dir(run, figure, model)
    key = artefact.stage_key(STAGE, VERSIONS.get(figure, VERSION), figure, model,
                             _inputs(run, model),
                             *([_hashes(layout.evidence_dir(run, model), "evidence")]
                               if figure in READS_EVIDENCE else []),
                             *([layout.study(run).evidence] if figure in READS_SETTINGS else []))
    if artefact.finished(folder, STAGE, key):
        return
    compute: Callable[[Path, str], FigureData] = registry.lookup(ANALYSES, figure, "figure")
    try:
        data = compute(run, model)
    except NotAvailable as error:
        data = FigureData(facts={UNAVAILABLE: error.reason})
    with artefact.writing(folder, STAGE, key) as scratch:
        data.save(scratch)


def _inputs(run: Path, model: str) -> dict[str, Any]:
    """Hashes of what a figure may read: data, history, variants and measurements.

    Measurements go in by the hashes of their files, for two of one key differ in latency.
    """
    def mine(name: str) -> bool:
        return model in (ALL_MODELS, name)

    trained = {s.id: _hashes(layout.model_dir(run, s.id), "train")
               for s in layout.model_specs(run) if mine(s.id)}
    variants = {v.id: v.sha256 for v in layout.variants(run) if mine(v.model)}
    cells = {}
    for m in layout.measurements(run):
        if mine(m.model):
            folder = layout.measurement_dir(run, m.variant, m.target)
            cells[folder.name] = _hashes(folder, "evaluate") | _hashes(folder, "predict")
    searched = {s.id: _hashes(layout.search_dir(run, s.id), "search")
                | _hashes(run / "calibration" / s.id / "study", "calibration study")
                for s in layout.model_specs(run) if mine(s.id)}
    return {"data": _hashes(layout.data_dir(run), "data"), "trained": trained,
            "searched": searched,
            "recommended": _hashes(run, "recommend") if model == ALL_MODELS else {},
            "variants": variants, "measurements": cells}


def _hashes(folder: Path, stage: str) -> dict[str, str]:
    entry = artefact.read_manifest(folder).stages.get(stage)
    return {} if entry is None else {name: f.sha256 for name, f in entry.files.items()}
