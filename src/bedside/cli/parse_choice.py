"""The commands ``bedside recommend``, ``gate`` and ``diff``. They only parse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bedside.cli.options import Json, Run


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(recommend)
    app.command()(gate)
    app.command()(diff)


def recommend(run: Run, json: Json = False) -> None:
    """Say which variant to use on which device, and why."""
    from bedside.cli import decide

    decide.recommend(run, json)


def gate(
    run: Run,
    against: Annotated[Path | None, typer.Option(
        help="An earlier run that this one would replace.", metavar="RUN")] = None,
    every: Annotated[bool, typer.Option(
        "--every", help="Judge every variant, not only the recommended ones.")] = False,
    json: Json = False,
) -> None:
    """Judge a run for release; exit 1 where it is worse or breaks its budget."""
    from bedside.cli import decide

    decide.gate(run, against, every, json)


def diff(
    run_a: Annotated[Path, typer.Argument(help="The earlier run.", metavar="RUN_A")],
    run_b: Annotated[Path, typer.Argument(help="The later run.", metavar="RUN_B")],
    json: Json = False,
) -> None:
    """Say what changed between two runs, with paired tests on the images they share."""
    from bedside.cli import decide

    decide.diff(run_a, run_b, json)
