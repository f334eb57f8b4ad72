"""``bedside import`` and ``bedside review`` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bedside.cli.options import Json


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("import")(import_)
    app.command()(review)


def import_(
    src: Annotated[Path, typer.Argument(
        help="A folder of DICOM, pictures and CSV tables, a CSV, or a MedMNIST .npz.")],
    out: Annotated[Path, typer.Option(help="The clean data set, for 'bedside run'.")],
    private: Annotated[Path | None, typer.Option(
        help="Receives the key, the way back and what a person must look at "
             "(default: OUT-private, beside OUT).")] = None,
    keep_dates: Annotated[bool, typer.Option(
        "--keep-dates", help="Shift each patient's dates instead of removing them.")] = False,
    keep_device: Annotated[bool, typer.Option(
        "--keep-device", help="Let manufacturer, model and serial numbers stay.")] = False,
    keep_name: Annotated[list[str] | None, typer.Option(
        help="A folder name (a class) that may stay besides the usual; repeat for more.")] = None,
    keep_column: Annotated[list[str] | None, typer.Option(
        help="A CSV column that may stay; repeat for more.")] = None,
    deid_pixels: Annotated[bool, typer.Option(
        "--deid-pixels", help="Take text out of PNG and JPEG too (of DICOM always).")] = False,
    class_names: Annotated[str | None, typer.Option(
        help="Names for the labels 0, 1, … of an .npz, as A,B.")] = None,
    key: Annotated[Path | None, typer.Option(help="A key file of your own.")] = None,
    json: Json = False,
) -> None:
    """Read and de-identify a data set, pixels included; nothing else brings DICOM in."""
    from bedside.cli import deid

    deid.import_(src, out, private, key, class_names, json, {
        "keep_dates": keep_dates, "keep_device": keep_device, "keep_name": keep_name,
        "keep_column": keep_column, "deid_pixels": deid_pixels})


def review(
    folder: Annotated[Path, typer.Argument(
        help="The --private folder of an import or deid.", metavar="DIR")],
    out: Annotated[Path | None, typer.Option(
        help="The clean folder that it belongs to (default: where it was written).")] = None,
    port: Annotated[int, typer.Option(
        min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    apply: Annotated[bool, typer.Option(
        "--apply", help="Only carry out what has been decided.")] = False,
    no_browser: Annotated[bool, typer.Option(
        "--no-browser", help="Print the address instead of opening it.")] = False,
) -> None:
    """Decide on quarantined images: accept, redact or reject, on a page of this machine."""
    from bedside.cli import deid

    deid.review(folder, out, port, apply, no_browser)
