"""The command ``bedside card``. It only parses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(card)


def card(
    run: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")],
    json: Annotated[bool, typer.Option(
        "--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Write model card and evidence file; says what awaits a person."""
    from bedside import card_commands

    card_commands.card(run, json)
