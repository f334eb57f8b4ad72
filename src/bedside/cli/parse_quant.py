"""The commands ``bedside calibrate`` and ``bedside search``. They only parse."""

from __future__ import annotations

from typing import Annotated

import typer

from bedside.cli.options import Json, Run

Model = Annotated[list[str] | None, typer.Option(
    help="A model of the run; repeat for more (default: all).")]


def add(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(calibrate)
    app.command()(search)


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
    from bedside.cli import quantize

    quantize.calibrate(run, model, study, dry_run, json, {
        "estimators": estimator, "choices": choice, "sizes": size, "seeds": seeds,
        "images": images})


def search(
    run: Run,
    model: Model = None,
    scheme: Annotated[str, typer.Option(
        help="The mixture to make, with options.")] = "mixed+searched",
    max_auroc_loss: Annotated[float, typer.Option(
        help="AUC that may be lost on validation.")] = 0.005,
    max_sensitivity_loss: Annotated[float, typer.Option(
        help="Sensitivity that may be lost on validation.")] = 0.0,
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
    from bedside.cli import quantize

    quantize.search(run, model, scheme, qat, json, {
        "auroc_loss": max_auroc_loss, "sensitivity_loss": max_sensitivity_loss,
        "flips": max_flips, "goal": goal, "images": images, "evaluations": evaluations})
