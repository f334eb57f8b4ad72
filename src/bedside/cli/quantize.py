"""``calibrate`` and ``search``: activation ranges, and which layers stay out of INT8."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bedside.cli import output
from bedside.cli.options import Json, Run, given
from bedside.cli.output import Reporter
from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.core.text import duration

if TYPE_CHECKING:
    from bedside.core.study import Study
    from bedside.flows.search.budget import SearchResult
    from bedside.flows.search.tuned import Tuned

Model = Annotated[list[str] | None, typer.Option(
    help="A model of the run; repeat for more (default: all).")]

_STUDY_FLAGS = {"estimators": "--estimator", "choices": "--choice", "sizes": "--size",
                "seeds": "--seeds", "images": "--images"}


def calibrate(
    run: Run,
    study: Annotated[bool, typer.Option(
        "--study", help="Compare estimators, numbers and choices of images.")] = False,
    model: Model = None,
    estimator: Annotated[list[str] | None, typer.Option(
        help="Study only this estimator; repeat for more.")] = None,
    choice: Annotated[list[str] | None, typer.Option(
        help="Study only this choice of images; repeat for more.")] = None,
    size: Annotated[list[int] | None, typer.Option(
        min=1, help="Study this number of images; repeat for more.")] = None,
    seeds: Annotated[int | None, typer.Option(
        min=1, help="Draws of each set (default 5).")] = None,
    images: Annotated[int | None, typer.Option(
        min=2, help="At most so many validation images.")] = None,
    dry_run: Annotated[bool, typer.Option(
        "--dry-run", help="Print a time estimate of the study, and stop.")] = False,
    json: Json = False,
) -> None:
    """Find activation ranges, or with --study how many images that takes."""
    from bedside.flows import study as studies
    from bedside.flows.calibrate import calibrate_all, study_seconds
    from bedside.flows.search import calibration_study

    config = studies.load(run)
    flags = given(estimators=estimator, choices=choice, sizes=size, seeds=seeds, images=images)
    if not study and (flags or dry_run):
        names = [_STUDY_FLAGS[k] for k in flags] + ["--dry-run"] * dry_run
        raise BadInput("only a study has this", where=", ".join(names),
                       remedy="Add --study, or leave it out.")
    plan = calibration_study.Plan(**flags)
    calibration_study.check(plan)
    if dry_run:
        seconds = study_seconds(run, _models(run, config, model), plan)
        output.note(f"about {duration(seconds)} on this machine (estimated)")
        if json:
            output.print_json({"schema": 1, "seconds": round(seconds, 1)})
        return
    with studies.locked(run), Reporter(quiet=json) as progress:
        studies.through(run, config, "convert", None, progress)
        models = _models(run, config, model)
        if not study:
            finished = calibrate_all(run, models, config, progress)
            print_rows(json, "calibrations", ["model", "scheme", "estimator", "choice", "images"],
                       [[c.model, c.scheme, c.estimator, c.choice, str(c.images)]
                        for c in finished])
            return
        seconds = study_seconds(run, models, plan)
        output.note(f"about {duration(seconds)} on this machine (estimated)")
        results = [calibration_study.study(run, name, plan, progress) for name in models]
    if json:
        output.print_json({"schema": 1, "studies": results})
        return
    output.table("", ["model", "estimator", "choice", "images that are enough", "of", "AUC"],
                 [[r.model, s.estimator, s.choice,
                   str(s.size) if s.size and s.size < s.largest else "none smaller",
                   str(s.largest), f"{s.auroc:.4f}"] for r in results for s in r.smallest], {4, 5})


def search(
    run: Run,
    model: Model = None,
    scheme: Annotated[str, typer.Option(
        help="The mixture to make, with options.")] = "mixed+searched",
    max_auroc_loss: Annotated[float, typer.Option(
        help="AUC that may be lost on validation.")] = 0.005,
    max_sensitivity_loss: Annotated[float, typer.Option(
        help="Sensitivity that may be lost on validation.")] = 0.0,
    max_specificity_loss: Annotated[float, typer.Option(
        help="Specificity that may be lost on validation.")] = 0.01,
    max_flips: Annotated[float, typer.Option(
        help="Share of validation images whose class may change.")] = 0.01,
    goal: Annotated[str, typer.Option(
        help="smallest, or fastest as measured on this CPU.")] = "smallest",
    images: Annotated[int | None, typer.Option(
        min=2, help="At most so many validation images.")] = None,
    evaluations: Annotated[int, typer.Option(
        min=1, help="Evaluations after the sensitivity of each layer.")] = 40,
    qat: Annotated[bool, typer.Option(
        "--qat", help="Fine-tune INT8 where it misses the budget by itself.")] = False,
    json: Json = False,
) -> None:
    """Find which layers must stay out of INT8 for an accuracy budget to hold."""
    from bedside.flows import study
    from bedside.flows.search import budget, mixture

    config = study.load(run)
    wanted = budget.Budget(auroc_loss=max_auroc_loss, sensitivity_loss=max_sensitivity_loss,
                           specificity_loss=max_specificity_loss, flips=max_flips, goal=goal,
                           images=images, evaluations=evaluations)
    budget.check(wanted)
    with study.locked(run), Reporter(quiet=json) as progress:
        study.through(run, config, "convert", None, progress)
        result = mixture.search(run, config, _models(run, config, model), scheme, wanted, qat,
                                progress)
    if json:
        output.print_json({"schema": 1, "searches": result.searches, "finetuned": result.finetuned})
        return
    _print_search(result.searches, result.finetuned)
    if result.missed and not qat:
        output.say(f"INT8 of every layer misses the budget for {', '.join(result.missed)}: "
                   "--qat fine-tunes it")


def print_rows(json: bool, name: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print rows as a table, or as a JSON list under ``name``."""
    if json:
        output.print_json({"schema": 1, name: [dict(zip(columns, r, strict=True)) for r in rows]})
    else:
        output.table("", columns, rows)


def _models(run: Path, config: Study, wanted: list[str] | None) -> list[str]:
    from bedside.flows import study

    known = study.model_ids(run, config)
    for name in wanted or ():
        if name not in known:
            raise BadInput(f"the run has no model {name!r}", where="--model",
                           remedy=did_you_mean(name, known))
    return wanted or known


def _print_search(searches: Sequence[SearchResult], finetuned: Sequence[Tuned]) -> None:
    rows = [[f.model, what, f"{s.size_bytes / 1e6:.2f}", f"{s.auroc:.4f}", f"{s.sensitivity:.3f}",
             f"{s.flips}/{s.images}"] for f in searches
            for what, s in (("float32", f.float32), ("int8", f.int8), ("mixture", f.score),
                            *((t.variant.removeprefix(f"{t.model}-"), t.score) for t in finetuned
                              if t.model == f.model))]
    output.table("", ["model", "what", "MB", "AUC", "sensitivity", "flips"], rows, {2, 3, 4, 5})
    for f in searches:
        _print_mixture(f)
    for t in finetuned:
        met = "meets" if t.within else "still misses"
        output.say(f"{t.model}: INT8 fine-tuned on training images {met} the budget "
                   f"({t.variant}, made from {t.parent})")


def _print_mixture(result: SearchResult) -> None:
    layers = ", ".join(result.kept) or "none"
    output.say(f"{result.model}: {len(result.kept)} of {result.layers} layers stay out of INT8 "
               f"({layers}); {result.evaluations} evaluations, validation images only")
    for timed in result.timed:
        out = len(timed.kept)
        what = ("all in INT8" if not out else "none in INT8" if out == result.layers
                else f"{out} of {result.layers} layers out of INT8")
        mark = ", taken" if timed.kept == result.kept else ""
        output.say(f"  measured on this CPU: {timed.ms:.3g} ms [{timed.low_ms:.3g}, "
                   f"{timed.high_ms:.3g}], {timed.size_bytes / 1e6:.2f} MB, {what}{mark}")
