"""``list`` and ``show``: what can be chosen, and what a folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bedside.cli import output
from bedside.cli.options import Json
from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean

LISTS = ("models", "schemes", "targets", "metrics")


def list_(
    what: Annotated[str, typer.Argument(help="models, schemes, targets or metrics.")],
    json: Json = False,
) -> None:
    """List what can be chosen."""
    if what not in LISTS:
        raise BadInput(f"unknown list {what!r}", remedy=did_you_mean(what, LISTS))
    rows = {"models": _models, "schemes": _schemes, "targets": _targets,
            "metrics": _metrics}[what]()
    if json:
        output.print_json({what: rows})
        return
    columns = [c for c in rows[0] if c != "options"]
    words = {True: "yes", False: "no"}
    output.table("", columns, [[words[r[c]] if isinstance(r[c], bool) else str(r[c])
                                for c in columns] for r in rows])
    if what == "schemes":
        output.table("Options, as int8+percentile or int8+equalized+io8",
                     ["option", "of", "what it does"], _options())


def show(
    folder: Annotated[Path, typer.Argument(help="A run, or any stage folder in it.")],
    json: Json = False,
) -> None:
    """Show what a folder holds and check its hashes."""
    from bedside.runfolder import artefact

    if not folder.is_dir():
        raise BadInput("no such folder", where=folder, remedy="Check the path.")
    rows: list[dict[str, Any]] = [
        {"folder": str(stage_folder.relative_to(folder)), "stage": name,
         "files": len(record.files), "bytes": sum(f.size_bytes for f in record.files.values()),
         "hashes": "match"}
        for stage_folder in artefact.stage_folders(folder)
        for name, record in artefact.check_all(stage_folder).items()]
    if not rows:
        raise BadInput("no finished stage in this folder", where=folder,
                       remedy="Give a run folder or a stage folder in it.")
    if json:
        output.print_json({"stages": rows})
        return
    output.table("", ["folder", "stage", "files", "MB", "hashes"],
                 [[r["folder"], r["stage"], str(r["files"]), f"{r['bytes'] / 1e6:.2f}",
                   r["hashes"]] for r in rows], {2, 3})


def _models() -> list[dict[str, Any]]:
    from bedside.models import DESCRIPTIONS

    return [{"name": n, "description": d} for n, d in DESCRIPTIONS.items()]


def _schemes() -> list[dict[str, Any]]:
    from bedside import schemes

    known = (schemes.parse(n).scheme for n in schemes.SCHEMES)
    return [{"name": s.name, "weights": s.weights, "activations": s.activations,
             "calibration": s.needs_calibration, "description": s.summary,
             "options": ", ".join(f"+{k}: {v}" for k, v in s.options.items())} for s in known]


def _options() -> list[list[str]]:
    """Return each option once, with the schemes that take it."""
    from bedside import schemes

    takers: dict[tuple[str, str], list[str]] = {}
    for name in schemes.SCHEMES:
        for option, does in schemes.parse(name).scheme.options.items():
            takers.setdefault((option, does), []).append(name)
    return [[f"+{option}", ", ".join(names), does] for (option, does), names in takers.items()]


def _targets() -> list[dict[str, Any]]:
    from bedside import targets

    return [{"id": t.id, "backend": t.backend, "threads": t.threads,
             "description": t.description} for t in targets.profiles().values()]


def _metrics() -> list[dict[str, Any]]:
    from bedside import metrics
    from bedside.core import registry

    return [{"name": n, "description": (registry.resolve(lazy).__doc__ or "").split("\n")[0]}
            for n, lazy in metrics.METRICS.items()]
