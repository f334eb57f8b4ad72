"""``bedside calibrate`` and ``bedside search``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bedside import schemes
from bedside.cli import output
from bedside.cli.output import Reporter
from bedside.core import codec
from bedside.core.calibration import Calibration
from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.core.study import Study
from bedside.flows import study
from bedside.runfolder import artefact, layout

if TYPE_CHECKING:
    from bedside.flows.search.calibration_study import Plan

_STUDY_FLAGS = {"estimators": "--estimator", "choices": "--choice", "sizes": "--size",
                "seeds": "--seeds", "images": "--images"}


def _models(run: Path, config: Study, wanted: list[str] | None) -> list[str]:
    known = study.model_ids(run, config)
    for name in wanted or ():
        if name not in known:
            raise BadInput(f"the run has no model {name!r}", where="--model",
                           remedy=did_you_mean(name, known))
    return wanted or known


def calibrate(run: Path, model: list[str] | None, compare: bool, dry_run: bool, json: bool,
              flags: Mapping[str, Any]) -> None:
    """``bedside calibrate``; ``flags`` are those that only a study has."""
    from bedside.flows import variants
    from bedside.flows.search import calibration_study
    from bedside.stages import calibrate as stage

    config = study.load(run)
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v
                             for k, v in flags.items() if v not in (None, [])}
    if not compare and (given or dry_run):
        names = [_STUDY_FLAGS[k] for k in given] + ["--dry-run"] * dry_run
        raise BadInput("only a study has this", where=", ".join(names),
                       remedy="Add --study, or leave it out.")
    plan = calibration_study.Plan(**given)
    calibration_study.check(plan)
    if dry_run:
        _estimate(run, _models(run, config, model), plan, json)
        return
    with study.locked(run), Reporter(quiet=json) as progress:
        study.through(run, config, "convert", None, progress)
        models = _models(run, config, model)
        if not compare:
            rows = []
            for name in models:
                for scheme in map(schemes.parse, config.schemes):
                    if scheme.scheme.needs_calibration:
                        chosen = variants.calibration_of(scheme, config.calibration)
                        folder = stage.calibrate(run, name, chosen, progress)
                        rows.append([name, str(scheme), chosen.estimator, chosen.choice,
                                     str(len(codec.read_json(Calibration,
                                                             folder / layout.CALIBRATION).ids))])
            _table(json, "calibrations", ["model", "scheme", "estimator", "choice", "images"], rows)
            return
        total = sum(calibration_study.seconds(run, name, plan) for name in models)
        output.stderr.print(f"about {output.duration(total)} on this machine (estimated)")
        found = [calibration_study.study(run, name, plan, progress) for name in models]
    if json:
        print(codec.to_json({"schema": 1, "studies": found}), end="")
        return
    output.table("", ["model", "estimator", "choice", "images that are enough", "of", "AUC"],
                  [[r.model, s.estimator, s.choice,
                    str(s.size) if s.size and s.size < s.largest else "none smaller",
                    str(s.largest), f"{s.auroc:.4f}"] for r in found for s in r.smallest], {4, 5})


def _estimate(run: Path, models: list[str], plan: Plan, json: bool) -> None:
    """The time of a study. A stage that is missing is not run for it: that may take hours."""
    from bedside.flows.search import calibration_study

    for name in models:
        if not artefact.finished(layout.model_dir(run, name), layout.float_stage(run, name)):
            raise BadInput(f"model {name!r} is not there yet, and the estimate times it",
                           where=run, remedy="Run bedside convert first.")
    total = sum(calibration_study.seconds(run, name, plan) for name in models)
    output.stderr.print(f"about {output.duration(total)} on this machine (estimated)")
    if json:
        print(codec.to_json({"schema": 1, "seconds": round(total, 1)}), end="")


def _table(json: bool, name: str, columns: list[str], rows: list[list[str]]) -> None:
    if json:
        found = [dict(zip(columns, r, strict=True)) for r in rows]
        print(codec.to_json({"schema": 1, name: found}), end="")
        return
    output.table("", columns, rows)


def search(run: Path, model: list[str] | None, scheme: str, qat: bool, json: bool,
           flags: Mapping[str, Any]) -> None:
    """``bedside search``: the search, then the mixture evaluated like any other variant.

    With ``qat`` also INT8 fine-tuned, of the models whose plain INT8 misses the budget.
    """
    from bedside.flows.search import budget, tuned

    config = study.load(run)
    wanted = budget.Budget(**flags)
    budget.check(wanted)
    mixture = schemes.parse(scheme)
    with study.locked(run), Reporter(quiet=json) as progress:
        study.through(run, config, "convert", None, progress)
        found = [budget.search(run, name, mixture, config.calibration, wanted, progress)
                 for name in _models(run, config, model)]
        if len(found) == len(study.model_ids(run, config)):
            budget.with_scheme(run, mixture)
            config = study.load(run)
            study.through(run, config, "evaluate", f"*-{mixture}", progress)
        missed = [f.model for f in found if not wanted.holds(f.int8, f.float32)]
        whole: list[tuned.Tuned] = []
        if qat and missed:
            better = tuned.scheme_of(mixture)
            whole = [tuned.fine_tune(run, name, better, config.calibration, wanted, progress)
                     for name in missed]
            budget.with_scheme(run, better)
            config = study.load(run)
            for t in whole:
                study.through(run, config, "evaluate", t.variant, progress)
    if json:
        print(codec.to_json({"schema": 1, "searches": found, "finetuned": whole}), end="")
        return
    rows = [[f.model, what, f"{s.size_bytes / 1e6:.2f}", f"{s.auroc:.4f}", f"{s.sensitivity:.3f}",
             f"{s.flips}/{s.images}"] for f in found
            for what, s in (("float32", f.float32), ("int8", f.int8), ("mixture", f.score),
                            *((t.variant.removeprefix(f"{t.model}-"), t.score) for t in whole
                              if t.model == f.model))]
    output.table("", ["model", "what", "MB", "AUC", "sensitivity", "flips"], rows, {2, 3, 4, 5})
    for f in found:
        kept = ", ".join(f.kept) or "none"
        output.stdout.print(f"{f.model}: {len(f.kept)} of {f.layers} layers stay out of INT8 "
                             f"({kept}); {f.evaluations} evaluations, validation images only",
                             soft_wrap=True, markup=False)
        for one in f.timed:
            out = len(one.kept)
            what = ("all in INT8" if not out else "none in INT8" if out == f.layers
                    else f"{out} of {f.layers} layers out of INT8")
            mark = ", taken" if one.kept == f.kept else ""
            output.stdout.print(f"  measured on this CPU: {one.ms:.3g} ms [{one.low_ms:.3g}, "
                                 f"{one.high_ms:.3g}], {one.size_bytes / 1e6:.2f} MB, {what}{mark}",
                                 soft_wrap=True, markup=False)
    for t in whole:
        met = "meets" if t.within else "still misses"
        output.stdout.print(f"{t.model}: INT8 fine-tuned on training images {met} the budget "
                             f"({t.variant}, made from {t.parent})", soft_wrap=True, markup=False)
    if missed and not qat:
        output.stdout.print(f"INT8 of every layer misses the budget for {', '.join(missed)}: "
                             "--qat fine-tunes it", soft_wrap=True, markup=False)
