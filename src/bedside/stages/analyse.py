"""Stage ``analyse``: the numbers of each figure, one folder per figure and model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bedside.core.progress import Progress
from bedside.figures import ALL_MODELS, FIGURES
from bedside.figures.base import UNAVAILABLE, FigureData, NotAvailable, figure_module
from bedside.runfolder import artefact, layout, stored

STAGE = "analyse"


def analyse(run: Path, models: Sequence[str] | None = None,
            progress: Progress | None = None) -> None:
    """Compute the numbers of every figure, except those that are finished with the same inputs.

    Where a model cannot have a figure (no CAM output, no training history), the reason is
    recorded and shown in the report.

    Args:
        run: the run folder.
        models: ids of the models to analyse; every converted model by default.
        progress: called with (stage, done, total).

    Raises:
        BadInput: an input of the run does not read.
    """
    wanted = jobs(run, models)
    for number, (figure, model) in enumerate(wanted):
        _analyse_figure(run, figure, model)
        if progress is not None:
            progress(STAGE, number + 1, len(wanted))


def jobs(run: Path, models: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """List the (figure, model) of every folder that the stage writes.

    The model is ``all`` for figures of the whole study.
    """
    chosen = list(models) if models is not None else [s.id for s in stored.model_specs(run)]
    whole = {f: figure_module(f).READS.whole_study for f in FIGURES}
    return ([(f, ALL_MODELS) for f in FIGURES if whole[f]]
            + [(f, m) for m in chosen for f in FIGURES if not whole[f]])


def _analyse_figure(run: Path, figure: str, model: str) -> None:
    folder, module = layout.analysis_dir(run, figure, model), figure_module(figure)
    reads = module.READS
    key = artefact.stage_key(STAGE, reads.version, figure, model, _inputs(run, model),
                             *([_hashes(layout.evidence_dir(run, model), "evidence")]
                               if reads.evidence else []),
                             *([stored.study(run).evidence] if reads.settings else []))
    if artefact.finished(folder, STAGE, key):
        return
    try:
        data = module.compute(run, model)
    except NotAvailable as error:
        data = FigureData(facts={UNAVAILABLE: error.reason})
    with artefact.writing(folder, STAGE, key) as scratch:
        data.save(scratch)


def _inputs(run: Path, model: str) -> dict[str, Any]:
    """Hash what any figure may read: data, history, variants and measurements.

    Measurements are hashed by their files, because two of the same key differ in latency.
    """
    def mine(name: str) -> bool:
        return model in (ALL_MODELS, name)

    trained = {s.id: _hashes(layout.model_dir(run, s.id), "train")
               for s in stored.model_specs(run) if mine(s.id)}
    variants = {v.id: v.sha256 for v in stored.variants(run) if mine(v.model)}
    cells = {}
    for m in stored.measurements(run):
        if mine(m.model):
            folder = layout.measurement_dir(run, m.variant, m.target)
            cells[folder.name] = _hashes(folder, "evaluate") | _hashes(folder, "predict")
    searched = {s.id: _hashes(layout.search_dir(run, s.id), "search")
                | _hashes(layout.calibration_study_dir(run, s.id), "calibration study")
                for s in stored.model_specs(run) if mine(s.id)}
    repeated = _hashes(layout.repeats_dir(run), "repeats") if model == ALL_MODELS else {}
    return {"data": _hashes(layout.data_dir(run), "data"), "trained": trained,
            **({"repeats": repeated} if repeated else {}),
            "searched": searched,
            "recommended": _hashes(run, "recommend") if model == ALL_MODELS else {},
            "variants": variants, "measurements": cells}


def _hashes(folder: Path, stage: str) -> dict[str, str]:
    entry = artefact.read_manifest(folder).stages.get(stage)
    return {} if entry is None else {name: f.sha256 for name, f in entry.files.items()}
