"""Stage ``report``: one page that opens offline, and the same results for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import bedside
from bedside.core import codec
from bedside.core.build import Measurement, ModelSpec
from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.recommendation import Recommendation
from bedside.core.study import Study
from bedside.figures.base import figure_module
from bedside.runfolder import artefact, layout, protocol, stored
from bedside.stages.report import (
    abstention_view,
    card_view,
    changes,
    demographics_view,
    evidence_view,
    fidelity_view,
    flips_page,
    gallery,
    leakage_view,
    matrix,
    methods,
    page,
    paper,
    paper_ratios,
    probability_view,
    protocol_view,
    repeats_view,
    results,
    subgroup_view,
    summary,
    tables,
    target_matrix,
)

STAGE = "report"
INDEX = "index.html"
RESULTS_JSON = "results.json"
RESULTS_CSV = "results.csv"
PREDICTIONS_CSV = "predictions.csv"
# Figures that stand in a section of their own, not in the gallery.
_PLACED = ("pareto", "repeats")


def build_report(run: Path, progress: Progress | None = None) -> Path:
    """Write ``report/`` from what the other stages published.

    The same run gives the same bytes. A report made from the same results by the same program is
    left as it is.

    Args:
        run: the run folder.
        progress: called with (stage, done, total[, detail]).

    Returns:
        The path of ``report/index.html``.

    Raises:
        BadInput: no measurement has finished, or an input does not read.
    """
    folder = layout.report_dir(run)
    key = report_key(run)
    if artefact.finished(folder, STAGE, key):
        return folder / INDEX
    study, specs = stored.study(run), stored.model_specs(run)
    measured = ordered(stored.decided(run), study, specs)
    if not measured:
        raise BadInput("no variant has been measured", where=run,
                       remedy="Run: bedside run … --out RUN (it continues where it stopped).")
    models = tuple(dict.fromkeys(m.model for m in measured))
    evidence, flips = evidence_view.load(run, models), flips_page.load(run, models)
    fidelity = fidelity_view.load(run, models)
    changed = changes.changes(run, measured, points={} if evidence is None else evidence.points)
    rows = [results.row(m, changed.get((m.variant, m.target)),
                        evidence_view.row_answer(evidence, m)) for m in measured]
    chosen = {r.target: r.chosen for r in recommended(run)}
    rows = [{**r, "recommended": chosen[r["target"]] == r["variant"]
             if r["target"] in chosen else None} for r in rows]
    with artefact.writing(folder, STAGE, key) as scratch:
        figures = gallery.draw(run, scratch, models, progress)
        artefact.write_text(scratch / RESULTS_JSON, codec.to_json(results.document(
            rows, None if evidence is None
            else evidence_view.document(evidence) | fidelity.facts,
            protocol_view.document(protocol.standing(run, study)),
            repeats_view.document(stored.repeats(run)))))
        artefact.write_text(scratch / RESULTS_CSV, results.results_csv(rows))
        results.write_predictions_csv(scratch / PREDICTIONS_CSV, run, measured, stored.task(run),
                                      {} if evidence is None else evidence.points)
        card_view.copy(run, scratch, models)
        html = page.render(context(run, study, specs, measured, rows, figures, evidence, flips,
                                   fidelity))
        artefact.write_text(scratch / INDEX, html)
        flips_page.write(scratch, flips, study.data.source == "phantom")
    if progress is not None:
        total = len(figures) + 1
        progress(STAGE, total, total)
    return folder / INDEX


def report_key(run: Path) -> str:
    """Hash everything the report shows: all manifests, the configuration, and its own code."""
    inputs = {}
    for part in ("data", "models", "variants", "builds", "measurements", "evidence", "analysis",
                 "leakage", "card"):
        for path in sorted((run / part).rglob(artefact.MANIFEST)):
            name = path.relative_to(run)
            if not any(p.startswith(".") for p in name.parts):
                inputs[name.as_posix()] = artefact.sha256_file(path)
    repeated = layout.repeats_dir(run) / artefact.MANIFEST
    if repeated.is_file():
        inputs["repeats"] = artefact.sha256_file(repeated)
    chosen = artefact.read_manifest(run).stages.get("recommend")
    inputs["."] = chosen.key if chosen is not None else ""
    standing = protocol.standing(run, stored.study(run))
    own = resources.files("bedside.stages.report")
    code = {f"{folder.name}/{f.name}": f.read_text(encoding="utf-8")
            for folder in (own, own / "templates", resources.files("bedside.figures"))
            for f in sorted(folder.iterdir(), key=lambda f: f.name) if f.is_file()}
    study = codec.read_text(layout.study_file(run))
    return artefact.stage_key(STAGE, bedside.__version__, inputs, standing, study, code)


def ordered(measured: Sequence[Measurement], study: Study, specs: Sequence[ModelSpec]
            ) -> list[Measurement]:
    """Sort measurements by the study's order of models, targets and schemes."""
    models = [*(m.id or m.name for m in study.models), *(s.id for s in specs)]
    names = (models, list(study.targets), list(study.schemes))

    def place(values: Sequence[str], value: str) -> int:
        return values.index(value) if value in values else len(values)

    return sorted(measured, key=lambda m: (
        *(place(v, n) for v, n in zip(names, (m.model, m.target, m.scheme), strict=True)),
        m.model, m.target, m.scheme, m.variant))


def audit(run: Path) -> Mapping[str, Any]:
    """Read the audit, or return nothing where there is none."""
    path = layout.data_dir(run) / layout.AUDIT
    found = artefact.read_document(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def context(run: Path, study: Study, specs: Sequence[ModelSpec],
            measured: Sequence[Measurement], rows: Sequence[results.Row],
            figures: Sequence[gallery.GalleryFigure],
            evidence: evidence_view.Evidence | None = None,
            flips: flips_page.Flips | None = None,
            fidelity: fidelity_view.FidelityView | None = None) -> dict[str, Any]:
    """Return the template variables of the page."""
    cases, task, variants = stored.cases(run), stored.task(run), stored.variants(run)
    notes = matrix.Notes()
    targets = tuple(dict.fromkeys(m.target for m in measured))
    home = "cpu" if "cpu" in targets else targets[0]
    networks = {s.id: s.name for s in specs}
    models = tuple(dict.fromkeys(m.model for m in measured))
    choices = recommended(run)
    return {
        "version": bedside.__version__,
        "task": methods.task_line(task.classes, task.positive),
        "classes": task.classes,
        "models": models, "targets": targets, "home": home,
        "schemes": tuple(dict.fromkeys(m.scheme for m in measured)),
        "answers": [summary.answer(rows, r, notes, evidence) for r in choices],
        "protocol": protocol_view.view(protocol.standing(run, study)),
        "rules": tuple(dict.fromkeys(r.rule for r in choices)),
        "pareto": next((p for p in figures if p.figure == "pareto"), None),
        "comparisons": evidence_view.view(evidence, measured), "flips": flips,
        "fidelity": fidelity,
        "fidelity_title": figure_module("fidelity").TITLE,
        "reliability_title": figure_module("reliability").TITLE,
        "decision_title": figure_module("decision_curve").TITLE,
        "probabilities": (None if evidence is None
                          else probability_view.probabilities(evidence, measured)),
        "strata": () if evidence is None else abstention_view.strata(evidence, measured),
        "abstention": (None if evidence is None
                       else abstention_view.abstention(evidence, measured)),
        "subgroups": None if evidence is None else subgroup_view.subgroups(evidence, measured),
        "claims": summary.claims(rows),
        "matrix": matrix.matrix(rows, notes),
        "target_matrix": target_matrix.target_matrix(rows, targets) if len(targets) > 1 else None,
        "ratios": paper_ratios.table(rows),
        "table_2": matrix.table_2(rows, networks, home, notes),
        "upcast": [m.variant for m in measured if m.scheme.startswith("float16")
                   and (m.compute_dtype or "").startswith("float32")],
        "evidence_kinds": sorted({e for m in measured for e in m.evidence.values()}),
        "missing": missing(study, specs, measured),
        "galleries": [(m, [p for p in figures if p.model == m and p.figure not in _PLACED])
                      for m in dict.fromkeys(p.model for p in figures
                                             if p.figure not in _PLACED)],
        "repeats": repeats_view.view(stored.repeats(run), measured),
        "repeats_figure": next((p for p in figures if p.figure == "repeats"), None),
        "flow": tables.flow(cases, task, audit(run)),
        "table_1": matrix.table_1(tables.demographics(cases, task), notes),
        "table_1_splits": demographics_view.table(cases, task, notes),
        "leak": leakage_view.view(run),
        "cards": card_view.view(run, models),
        "phantom": study.data.source == "phantom",
        "merge": {k: ", ".join(v) for k, v in task.merge.items()},
        "exclude": task.exclude,
        "preprocessing": methods.preprocessing(specs) + methods.contracts(run, specs),
        "training": methods.training(run, study, specs),
        "calibration": methods.calibration(run, study, variants),
        "formulas": methods.FORMULAS,
        "operations": methods.operations(variants),
        "latency": methods.latency_protocol(study, measured),
        "machines": methods.machines(measured),
        "versions": methods.versions(run),
        "seeds": methods.seeds(study),
        "paper": paper,
        # Last, because every table above adds its reasons.
        "notes": notes.reasons,
    }


def recommended(run: Path) -> tuple[Recommendation, ...]:
    """Return the choice for each target, or nothing where the stage has not run."""
    if not artefact.finished(run, "recommend"):
        return ()
    return stored.recommendations(run).recommendations


def missing(study: Study, specs: Sequence[ModelSpec], measured: Sequence[Measurement]) -> list[str]:
    """List the planned cells that were not measured."""
    have = {(m.model, m.scheme, m.target) for m in measured}
    models = dict.fromkeys([*(m.id or m.name for m in study.models),
                            *(s.id for s in specs if s.origin != "quantized")])
    return [f"{m}, {s} on {t}" for m in models for t in study.targets for s in study.schemes
            if (m, s, t) not in have]
