"""Stage ``recommend``: turn a run's measurements into candidates and publish the choices.

Writes ``RUN/recommendation.json``. Nothing is measured or tested again here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bedside import schemes
from bedside.core import codec
from bedside.core.build import Measurement
from bedside.core.errors import BadInput
from bedside.core.evidence import Comparison
from bedside.core.evidence_text import change_text
from bedside.core.progress import Progress
from bedside.core.recommendation import Candidate, Recommendation, Recommendations, Speed
from bedside.core.study import Study
from bedside.core.types import Estimate
from bedside.metrics.usefulness import below
from bedside.runfolder import artefact, latency, layout, protocol, stored
from bedside.stages.recommend.differences import paired
from bedside.stages.recommend.exploratory import qualify
from bedside.stages.recommend.rule import choose

STAGE = "recommend"
VERSION = 5

Answers = dict[tuple[str, str, str], Comparison]


def recommend(run: Path, study: Study, progress: Progress | None = None
              ) -> tuple[Recommendation, ...]:
    """Choose for every target that was measured; a finished choice of the same inputs is left.

    Raises:
        BadInput: nothing was measured, or an input does not read.
    """
    key = stage_key(run, study)
    if not artefact.intact(run, STAGE, key):
        chosen = recommendations(run, study)
        with artefact.writing(run, STAGE, key) as scratch:
            artefact.write_text(scratch / layout.RECOMMENDATION, codec.to_json(chosen))
    if progress is not None:
        progress(STAGE, 1, 1)
    return stored.recommendations(run).recommendations


def stage_key(run: Path, study: Study) -> str:
    """Return the key of a recommendation's inputs: measurements, answers, settings, protocol."""
    cells = {}
    for m in stored.measurements(run):
        folder = layout.measurement_dir(run, m.variant, m.target)
        entry = artefact.record(folder, "evaluate")
        cells[folder.name] = {n: f.sha256 for n, f in entry.files.items()}
    answers = artefact.read_manifest(layout.evidence_dir(run, layout.ALL_MODELS)).stages.get(
        "evidence")
    names = sorted({m.scheme for m in stored.measurements(run)})
    steps = {n: schemes.parse(n).steps for n in names}
    return artefact.stage_key(STAGE, VERSION, cells, answers and answers.key, study.budget,
                              study.evidence, study.targets, steps,
                              protocol.standing(run, study))


def recommendations(run: Path, study: Study) -> Recommendations:
    """Return the choice for each target, the study's targets first."""
    # At the locked threshold, as every other table.
    every = stored.decided(run)
    if not every:
        raise BadInput("no variant has been measured", where=run,
                       remedy="Run: bedside evaluate RUN.")
    answers: Answers = {(c.variant, c.target, c.split): c for c in stored.comparisons(run)}
    names = dict.fromkeys([*study.targets, *sorted({m.target for m in every})])
    made, known = [], stored.usefulness(run)
    standing = protocol.standing(run, study)
    for target in names:
        cells = [m for m in every if m.target == target]
        if not cells:
            continue
        tests = {m.variant: answers[m.variant, target, "test"] for m in cells
                 if (m.variant, target, "test") in answers}
        useful = {m.variant: known.get(layout.cell_name(m.variant, target), (None, None))
                  for m in cells}
        candidates = [candidate(run, m, answers) for m in cells]
        one = qualify(
            choose(target, candidates, study.budget, study.evidence, tests,
                   {v: below(*pair, study.budget) for v, pair in useful.items()},
                   paired(run, cells, candidates)),
            standing, study.budget)
        base = useful.get(one.chosen or one.vetoed or cells[0].variant, (None, None))[0]
        made.append(replace(one, doubts=() if base is None else tuple(base.doubts.values())))
    return Recommendations(recommendations=tuple(made), protocol=standing)


def candidate(run: Path, m: Measurement, answers: Answers) -> Candidate:
    """Return one cell as a candidate: validation metrics, latency by rounds, its paired answer."""
    scores = m.metrics.get("val", {})
    metric = "auroc" if "auroc" in scores or "macro_auroc" not in scores else "macro_auroc"
    missing = Estimate(None, reason="no validation image was predicted")
    answer = answers.get((m.variant, m.target, "val"))
    return Candidate(
        m.variant, m.model, m.scheme, m.status, m.size_bytes, schemes.parse(m.scheme).steps, metric,
        scores.get(metric, missing), scores.get("accuracy", missing), speed(run, m),
        m.evidence.get("latency"), m.evidence.get("accuracy"), m.peak_memory_bytes,
        None if answer is None else answer.answer,
        m.reason or (m.latency_note if m.latency_ms is None else None),
        None if answer is None else _lost(answer))


def _lost(c: Comparison) -> str | None:
    """Return the losses of a comparison, for a variant that is worse."""
    parts = [change_text(t, interval=False) for t in c.tests.values()
             if t.margin is not None and t.difference.value is not None]
    return f"{', '.join(parts)} on {c.n} images" if parts else None


def speed(run: Path, m: Measurement) -> Speed | None:
    """Return a cell's latency with the range of its rounds' medians; None without a latency."""
    if m.latency_ms is None:
        return None
    median = m.latency_ms.median
    medians = latency.round_medians(latency.read(
        layout.measurement_dir(run, m.variant, m.target) / layout.LATENCY))
    if len(medians) < 2:
        return Speed(median, median, median, len(medians))
    return Speed(median, min(*medians, median), max(*medians, median), len(medians),
                 1 - 2.0 ** (1 - len(medians)))
