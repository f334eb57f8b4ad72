"""``bedside import`` and ``bedside review``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bedside.cli import output
from bedside.cli.output import Reporter
from bedside.core import codec


def import_(src: Path, out: Path, private: Path | None, key: Path | None,
            class_names: str | None, json: bool, flags: Mapping[str, Any]) -> None:
    """``bedside import``."""
    from bedside.core.types import DeidConfig
    from bedside.deid.importing import import_dataset, private_of

    chosen = {"modified-dates": flags["keep_dates"], "retain-device": flags["keep_device"]}
    usual = DeidConfig()
    config = DeidConfig(
        tuple(name for name, wanted in chosen.items() if wanted),
        "clean" if flags["deid_pixels"] else "check",
        (*usual.keep_names, *(flags["keep_name"] or ())), tuple(flags["keep_column"] or ()))
    place = private or private_of(out)
    names = tuple(n.strip() for n in class_names.split(",")) if class_names else ()
    with Reporter() as progress:
        ledger = import_dataset(src, out, place, config, progress, key_file=key,
                                class_names=names)
    warn_of_folders(place)
    if json:
        print(codec.to_json({"schema": 1, "passed": ledger.passed,
                             "quarantined": ledger.reasons}), end="")
        return
    rows = [["passed", str(ledger.passed)], *([r, str(n)] for r, n in ledger.reasons.items())]
    output.table("", ["files", "number"], rows, {1})
    if any(place.joinpath("quarantine").glob("*")):
        output.stderr.print(f"look at what was set apart: bedside review {place}",
                             soft_wrap=True, markup=False)
    output.stderr.print(f"go on: bedside run {out}", soft_wrap=True, markup=False)


def warn_of_folders(private: Path) -> None:
    """Say that folder names are ids now: they may name patients, and they may be the classes."""
    from bedside.deid import ledger

    listed = private / ledger.FOLDERS
    count = ledger.folders_renamed(listed.read_text("utf-8", "surrogateescape")
                                   ) if listed.is_file() else 0
    if count:
        output.stderr.print(
            f"WARNING: {count} folder name{'s' if count > 1 else ''} became ids, class names too "
            f"({listed} says which). To keep a name that says nothing of a patient, run again "
            "with --keep-name NAME and another --out.", soft_wrap=True, markup=False)


def review(folder: Path, out: Path | None, port: int, apply: bool, no_browser: bool) -> None:
    """``bedside review``."""
    from bedside.services.review import decisions as stage
    from bedside.services.review import server

    work = stage.open_review(folder, out)
    if not apply:
        server.serve(work, port, open_browser=not no_browser,
                            say=lambda text: output.stderr.print(text, soft_wrap=True,
                                                                  markup=False))
    counts = stage.apply(work)
    output.table("", ["decision", "number"], [[k, str(v)] for k, v in counts.items()], {1})
