"""``import``, ``deid`` and ``review``: data made safe to use, and what a person decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bedside.cli import output
from bedside.cli.options import (
    ClassNames,
    DeidPixels,
    Json,
    KeepColumn,
    KeepDates,
    KeepDevice,
    OwnKey,
)
from bedside.cli.output import Reporter

if TYPE_CHECKING:
    from bedside.core.types import DeidConfig
    from bedside.deid.ledger import Ledger


def import_(
    src: Annotated[Path, typer.Argument(
        help="A folder of DICOM, images and CSV tables, a CSV, or a MedMNIST .npz.")],
    out: Annotated[Path, typer.Option(help="The clean data set, for 'bedside run'.")],
    private: Annotated[Path | None, typer.Option(
        help="Receives the key, the way back and what a person must look at "
             "(default: OUT-private, beside OUT).")] = None,
    keep_dates: KeepDates = False,
    keep_device: KeepDevice = False,
    keep_name: Annotated[list[str] | None, typer.Option(
        help="A folder name (a class) that may stay besides the usual; repeat for more.")] = None,
    keep_column: KeepColumn = None,
    deid_pixels: DeidPixels = False,
    class_names: ClassNames = None,
    key: OwnKey = None,
    json: Json = False,
) -> None:
    """Read and de-identify a data set, pixels included; nothing else brings DICOM in."""
    from bedside.deid.importing import import_dataset, private_of

    config = _config(keep_dates, keep_device, keep_name, keep_column, deid_pixels)
    folder = private or private_of(out)
    names = tuple(n.strip() for n in class_names.split(",")) if class_names else ()
    with Reporter() as progress:
        ledger = import_dataset(src, out, folder, config, progress, key_file=key, class_names=names)
    warn_of_folders(folder)
    _print_ledger(ledger, json)
    if json:
        return
    if any(folder.joinpath("quarantine").glob("*")):
        output.note(f"review quarantined files: bedside review {folder}")
    output.note(f"go on: bedside run {out}")


def deid(
    src: Annotated[Path, typer.Argument(help="A folder of DICOM, images and CSV tables.")],
    out: Annotated[Path, typer.Option(help="Receives clean files and the ledger.")],
    private: Annotated[Path, typer.Option(
        help="Receives the key, the way back and what a person must look at.")],
    keep_dates: KeepDates = False,
    keep_device: KeepDevice = False,
    keep_name: Annotated[list[str] | None, typer.Option(
        help="A folder name that may stay besides the usual classes; repeat for more.")] = None,
    keep_column: KeepColumn = None,
    deid_pixels: DeidPixels = False,
    accept_unchecked_pixels: Annotated[bool, typer.Option(
        "--accept-unchecked-pixels", help="Do not look for text in images; pass them.")] = False,
    key: OwnKey = None,
    json: Json = False,
) -> None:
    """De-identify a folder; originals stay as they are."""
    from bedside.deid import deidentify

    config = _config(keep_dates, keep_device, keep_name, keep_column, deid_pixels,
                     accept_unchecked_pixels)
    with Reporter() as progress:
        ledger = deidentify(src, out, private, config, progress, key_file=key)
    warn_of_folders(private)
    _print_ledger(ledger, json)


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
    from bedside.services.review import decisions, server

    work = decisions.open_review(folder, out)
    if not apply:
        server.serve(work, port, open_browser=not no_browser, say=output.note)
    counts = decisions.apply(work)
    output.table("", ["decision", "number"], [[k, str(v)] for k, v in counts.items()], {1})


def warn_of_folders(private: Path) -> None:
    """Say that folder names are ids now: they may name patients, and they may be the classes."""
    from bedside.deid import ledger

    listed = private / ledger.FOLDERS
    count = ledger.folders_renamed(listed.read_text("utf-8", "surrogateescape")
                                   ) if listed.is_file() else 0
    if count:
        output.note(
            f"WARNING: {count} folder name{'s' if count > 1 else ''} became ids, class names too "
            f"({listed} says which). To keep a name that says nothing of a patient, run again "
            "with --keep-name NAME and another --out.")


def _config(keep_dates: bool, keep_device: bool, keep_name: list[str] | None,
            keep_column: list[str] | None, deid_pixels: bool, unchecked: bool = False
            ) -> DeidConfig:
    from bedside.core.types import DeidConfig

    options = {"modified-dates": keep_dates, "retain-device": keep_device}
    return DeidConfig(
        tuple(name for name, wanted in options.items() if wanted),
        "unchecked" if unchecked else "clean" if deid_pixels else "check",
        (*DeidConfig().keep_names, *(keep_name or ())), tuple(keep_column or ()))


def _print_ledger(ledger: Ledger, json: bool) -> None:
    if json:
        output.print_json({"schema": 1, "passed": ledger.passed, "quarantined": ledger.reasons})
        return
    output.table("", ["files", "number"], [
        ["passed", str(ledger.passed)], *([r, str(n)] for r, n in ledger.reasons.items())], {1})
