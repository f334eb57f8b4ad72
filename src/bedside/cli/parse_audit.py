"""Commands about data that train something: parsed here, one function of the API each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bedside.cli.options import (
    ClassNames,
    Dataset,
    Decisions,
    Exclude,
    Json,
    Merge,
    Positive,
    Regroup,
    Run,
    Seed,
    SkipBad,
    SplitFile,
)


def audit(
    source: Annotated[Path, typer.Argument(
        help="A run folder, or a data set as for 'run'.", metavar="DIR")],
    out: Annotated[Path, typer.Option(
        help="Where a data set's audit goes; a run's goes into the run.")] = Path("runs/audit"),
    exclude: Exclude = None,
    merge: Merge = None,
    positive: Positive = None,
    split_file: SplitFile = None,
    class_names: ClassNames = None,
    regroup: Regroup = False,
    skip_bad: SkipBad = False,
    decisions: Decisions = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Look for twins, leakage, marks, outliers and shortcuts before anything is trained."""
    from bedside.cli import data

    data.audit(source, out, json, {
        "exclude": exclude, "merge": merge, "positive": positive, "split_file": split_file,
        "class_names": class_names, "regroup": regroup, "skip_bad": skip_bad,
        "decisions": decisions, "seed": seed})


def split(
    source: Dataset,
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/study"),
    exclude: Exclude = None,
    merge: Merge = None,
    positive: Positive = None,
    split_file: SplitFile = None,
    class_names: ClassNames = None,
    regroup: Regroup = False,
    skip_bad: SkipBad = False,
    decisions: Decisions = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Read, group and split a data set, and stop; 'run --out' goes on from there."""
    from bedside.cli import data

    data.split(source, out, json, {
        "exclude": exclude, "merge": merge, "positive": positive, "split_file": split_file,
        "class_names": class_names, "regroup": regroup, "skip_bad": skip_bad,
        "decisions": decisions, "seed": seed})


def leakage(
    run: Run,
    model: Annotated[str | None, typer.Option(
        help="A network (default: the run's first, with its settings).")] = None,
    image_px: Annotated[int | None, typer.Option(
        min=32, max=1024, help="Image side, pixels.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each training.")] = None,
    folds: Annotated[int, typer.Option(min=3, max=20, help="Trainings for each split.")] = 5,
    json: Json = False,
) -> None:
    """Train on folds by image and on folds by group, and put both scores side by side."""
    from bedside.cli import data

    data.leakage(run, model, image_px, epochs, folds, json)


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (audit, split, leakage):
        app.command()(command)
