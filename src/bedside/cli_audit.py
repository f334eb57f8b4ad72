"""Commands about data that train something: parsed here, one function of the API each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def leakage(
    run: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")],
    model: Annotated[str | None, typer.Option(
        help="A network (default: the run's first, with its settings).")] = None,
    image_px: Annotated[int | None, typer.Option(
        min=32, max=1024, help="Image side, pixels.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each training.")] = None,
    folds: Annotated[int, typer.Option(min=3, max=20, help="Trainings for each split.")] = 5,
    json: Annotated[bool, typer.Option(
        "--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Train on folds by image and on folds by group, and put both scores side by side."""
    from bedside import data_commands

    data_commands.leakage(run, model, image_px, epochs, folds, json)


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(leakage)
