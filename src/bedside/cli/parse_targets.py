"""The commands about targets: ``bedside lint``, ``bench`` and ``doctor``. They only parse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bedside.cli.options import Json


def add(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(lint)
    app.command()(doctor)
    app.command()(bench)


def lint(
    file: Annotated[Path, typer.Argument(help="A .tflite file.")],
    target: Annotated[list[str], typer.Option(help="A target; repeat for more.")],
    run: Annotated[Path | None, typer.Option(
        help="A run folder, for device profiles of your own (RUN/targets).")] = None,
    all_operations: Annotated[bool, typer.Option(
        "--all", help="List every operation, not only those off the accelerator.")] = False,
    json: Json = False,
) -> None:
    """Say which operations of a file would run where, and why not on the accelerator."""
    from bedside.cli import targets

    targets.lint(file, target, run, all_operations, json)


def doctor(
    target: Annotated[list[str] | None, typer.Option(
        help="Only this target or backend, and exit 3 where it does not work; repeat for more.",
    )] = None,
    run: Annotated[Path | None, typer.Option(
        help="A run folder, for device profiles of your own (RUN/targets): its boards are asked.",
    )] = None,
    json: Json = False,
) -> None:
    """Say which targets work on this machine, what is missing and how to install it."""
    from bedside.cli import targets

    targets.doctor(target or [], run, json)


def bench(
    file: Annotated[Path, typer.Argument(help="A .tflite file.")],
    target: Annotated[list[str] | None, typer.Option(
        help="A target (default: cpu); repeat for more.")] = None,
    run: Annotated[Path | None, typer.Option(
        help="A run folder, for device profiles of your own (RUN/targets).")] = None,
    rounds: Annotated[int, typer.Option(
        min=1, max=1000, help="Fresh processes a target, interleaved.")] = 5,
    json: Json = False,
) -> None:
    """Time one model file on targets, without a study."""
    from bedside.cli import bench_commands

    bench_commands.bench(file, target or ["cpu"], run, rounds, json)
