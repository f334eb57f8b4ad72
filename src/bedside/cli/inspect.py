"""``inspect``: what a data set is taken for, before anything is read in full."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bedside.cli import output
from bedside.cli.options import Json


def inspect(
    path: Annotated[Path, typer.Argument(
        help="A folder of images, a table (.csv, .tsv, .xlsx) or a MedMNIST .npz.",
        metavar="PATH")],
    json: Json = False,
) -> None:
    """Say what a data set is taken for, what is unclear, and how to read it."""
    from bedside.flows import inspect_data

    found = inspect_data.inspect_data(path)
    if json:
        output.print_json(found)
        return
    for line in inspect_data.lines(found):
        output.say(line)
