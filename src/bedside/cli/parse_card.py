"""The command ``bedside card``. It only parses."""

from __future__ import annotations

import typer

from bedside.cli.options import Json, Run


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(card)


def card(
    run: Run,
    json: Json = False,
) -> None:
    """Write model card and evidence file; says what awaits a person."""
    from bedside.cli import card_commands

    card_commands.card(run, json)
