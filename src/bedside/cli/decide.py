"""``recommend``, ``gate``, ``diff`` and ``card``: which variant to use, and what must be known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bedside.cli import output
from bedside.cli.options import Json, Run
from bedside.cli.output import Reporter
from bedside.cli.run import need_workbench
from bedside.core.errors import GateFailed
from bedside.core.text import capital, megabytes, milliseconds

if TYPE_CHECKING:
    from bedside.core.recommendation import Recommendation


def recommend(run: Run, json: Json = False) -> None:
    """Say which variant to use on which device, and why."""
    need_workbench()
    from bedside.flows import study
    from bedside.runfolder import stored

    config = study.load(run)
    with study.locked(run), Reporter(quiet=json) as progress:
        study.through(run, config, "recommend", None, progress)
    result = stored.recommendations(run)
    if json:
        output.print_json(result)
        return
    for r in result.recommendations:
        _print_recommendation(r)


def gate(
    run: Run,
    against: Annotated[Path | None, typer.Option(
        help="An earlier run that this one would replace.", metavar="RUN")] = None,
    first: Annotated[Path | None, typer.Option(
        help="The run of the first release, so that small losses cannot add up.",
        metavar="RUN")] = None,
    every: Annotated[bool, typer.Option(
        "--every", help="Judge every variant, not only the recommended ones.")] = False,
    json: Json = False,
) -> None:
    """Judge a run for release; exit 1 where it is worse or breaks its budget."""
    from bedside.flows import gate as gates
    from bedside.flows import study

    result = gates.gate(run, study.load(run), against, every, first)
    if json:
        output.print_json(result)
    else:
        output.table("", ["result", "check", "what", "detail"],
                     [[c.result, c.check, c.subject, c.detail] for c in result.checks])
    for c in result.checks:
        if c.result == "warning":
            output.note(f"warning: {c.subject}: {c.detail}")
    failed = [c for c in result.checks if c.result == "fail"]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise GateFailed(f"{failed[0].detail.rstrip('.')}{more}", where=failed[0].subject,
                         remedy="See the checks above; bedside recommend says what could be used.")


def diff(
    run_a: Annotated[Path, typer.Argument(help="The earlier run.", metavar="RUN_A")],
    run_b: Annotated[Path, typer.Argument(help="The later run.", metavar="RUN_B")],
    json: Json = False,
) -> None:
    """Say what changed between two runs, with paired tests on the images they share."""
    from bedside.flows import compare_runs

    changes = compare_runs.diff(run_a, run_b)
    if json:
        output.print_json(changes)
        return
    for text in changes.notes:
        output.note(f"note: {text}")
    if changes.settings:
        output.table("Configuration", ["key", "old", "new"],
                     [[s.key, _value(s.old), _value(s.new)] for s in changes.settings])
    data = changes.data
    output.say("Images: " + ", ".join(f"{s} {a} → {b}" for s, (a, b) in data.counts.items())
               + f"; {data.only_old} only in the old run, {data.only_new} only in the new one, "
               f"{data.moved} in another part, {data.relabelled} with another label.")
    for name, cells in (("New", changes.added), ("Gone", changes.removed)):
        if cells:
            output.say(f"{name}: {', '.join(cells)}.")
    for target, (a, b) in changes.recommended.items():
        if a != b:
            output.say(f"Recommended on {target}: {a or 'none'} → {b or 'none'}.")
    if changes.cells:
        output.table("", ["cell", "file", "MB", "latency", "metric", "old → new", "paired "
                          "difference [95%]", "p", "flips", "answer"],
                     [row for c in changes.cells for row in _diff_rows(c)])
    else:
        output.say("No variant on a target is in both runs.")


def card(run: Run, json: Json = False) -> None:
    """Write model card and evidence file; says what awaits a person."""
    need_workbench()
    from bedside.card import documents, human
    from bedside.flows import study
    from bedside.runfolder import layout, stored

    config = study.load(run)
    with study.locked(run), Reporter(quiet=json) as progress:
        study.through(run, config, "card", None, progress)
    cards = [documents.read(run, m)
             for m in dict.fromkeys(m.model for m in stored.measurements(run))]
    values = [[v for f in c.fields for v in f.values] for c in cards]
    if json:
        output.print_json({"schema": 1, "cards": [
            {"model": c.model, "folder": str(layout.card_dir(run, c.model).relative_to(run)),
             "missing": {f"{f.id}: {v.label}": v.reason for f in c.fields for v in f.values
                         if v.value is None},
             "awaiting": {a.key: a.awaits for a in c.awaited()}} for c in cards]})
        return
    output.table("", ["model", "values known", "not known", "await a person"], [
        [c.model, str(sum(v.value is not None for v in own)),
         str(sum(v.value is None for v in own)), str(len(c.awaited()))]
        for c, own in zip(cards, values, strict=True)], {1, 2, 3})
    if any(c.awaited() for c in cards):
        output.say(f"answer in {human.path_of(run)}, then run this again")


def _print_recommendation(r: Recommendation) -> None:
    output.say(f"{r.target}: use {r.chosen}" if r.chosen is not None
               else f"{r.target}: none recommended")
    for text in r.doubts:
        output.say(f"  The float32 reference itself: {text}.")
    for text in r.why:
        output.say(f"  {text}")
    if r.test is not None and r.chosen is not None:
        output.say(f"  {capital(r.test.text)}.")
    for text in r.warnings:
        output.say(f"  Warning: {text}.")
    rank = {variant: i for i, variant in enumerate(r.ranked, 1)}
    rows = []
    for c in sorted(r.candidates, key=lambda c: rank.get(c.variant, len(rank) + 1)):
        auc = "—" if c.auc.value is None else f"{c.auc.value:.3f}"
        time = "—" if c.latency_ms is None else milliseconds(c.latency_ms.median) + (
            "" if c.latency_evidence == "measured" else f" ({c.latency_evidence})")
        rows.append([str(rank.get(c.variant, "")), c.variant, auc, time, megabytes(c.size_bytes),
                     r.rejected.get(c.variant, "recommended")])
    output.table("", ["rank", "variant", "AUC, val", "latency", "file", "why not"], rows,
                 {0, 2, 3, 4})
    output.say(f"Rule: {r.rule}\n")


def _value(value: Any) -> str:
    return "—" if value is None else str(value)


def _diff_rows(c: Any) -> list[list[str]]:
    """Return a row a test; the cell's own facts stand in the first."""
    from bedside.core.evidence import MISS_RATIO
    from bedside.core.evidence_text import change_text

    size = " → ".join(f"{b / 1e6:.2f}" for b in c.size_bytes)
    time = (f"{milliseconds(c.latency.old.median)} → {milliseconds(c.latency.new.median)}"
            if c.latency.ratio is not None else f"not compared: {c.latency.reason}")
    flips = c.test.flips
    lost = "—" if flips is None else (f"{round(flips.changed.value * c.test.n)} of {c.test.n}: "
                                      f"{flips.lost} lost, {flips.gained} gained"
                                      if flips.changed.value is not None else "—")
    head = [f"{c.variant}@{c.target}", "same" if c.same_file else "other", size, time]
    answer = c.test.answer or f"none: {c.test.reason}"
    if c.old_status != "ok" or c.new_status != "ok":
        return [[*head, f"{c.old_status} → {c.new_status}", "", "", "", "", ""]]
    rows = []
    for t in c.test.tests.values():
        d = t.difference
        gap = "—" if d.value is None else f"{d.value:+.4f}" + (
            f" [{d.low:+.4f}, {d.high:+.4f}]" if d.low is not None and d.high is not None else "")
        if t.metric == MISS_RATIO:
            gap = change_text(t)
        p = "—" if t.p_value is None else f"{t.p_value:.3g}"
        value = ("—" if t.old is None or t.new is None else f"{t.old:.4f} → {t.new:.4f}")
        rows.append([t.metric, value, gap, p])
    rows = rows or [["—"] * 4]
    return [[*(head if i == 0 else [""] * 4), *r, *([lost, answer] if i == 0 else ["", ""])]
            for i, r in enumerate(rows)]
