"""``bedside card``: the stage, and what it could and could not fill in."""

from __future__ import annotations

from pathlib import Path

from bedside.card import documents, human
from bedside.cli import output
from bedside.cli import run as commands
from bedside.cli.output import Reporter
from bedside.core import codec
from bedside.flows import study
from bedside.runfolder import layout


def card(run: Path, json: bool) -> None:
    """Write the cards of a run and print how far they are filled."""
    commands.need_workbench()
    config = study.load(run)
    with study.locked(run), Reporter(quiet=json) as progress:
        study.through(run, config, "card", None, progress)
    models = list(dict.fromkeys(m.model for m in layout.measurements(run)))
    found = [documents.read(run, m) for m in models]
    if json:
        print(codec.to_json({"schema": 1, "cards": [
            {"model": c.model, "folder": str(layout.card_dir(run, c.model).relative_to(run)),
             "missing": {f"{f.id}: {v.label}": v.reason for f in c.fields for v in f.values
                         if v.value is None},
             "awaiting": {a.key: a.awaits for a in c.awaited()}} for c in found]}), end="")
        return
    rows = [[c.model, str(sum(v.value is not None for f in c.fields for v in f.values)),
             str(sum(v.value is None for f in c.fields for v in f.values)),
             str(len(c.awaited()))] for c in found]
    output.table("", ["model", "values known", "not known", "await a person"], rows, {1, 2, 3})
    if any(c.awaited() for c in found):
        output.stdout.print(f"answer in {human.path_of(run)}, then run this again",
                             soft_wrap=True, markup=False)
