"""``bedside recommend``, ``gate`` and ``diff``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bedside.cli import output
from bedside.cli.output import Reporter
from bedside.core import codec
from bedside.core.errors import GateFailed
from bedside.core.recommendation import Recommendation
from bedside.stages.recommend.wording import capital, mb, ms


def _say(text: str) -> None:
    output.stdout.print(text, soft_wrap=True, markup=False)


def recommend(run: Path, json: bool) -> None:
    """``bedside recommend``: the stages before it run where they are missing."""
    from bedside.cli import run as commands
    from bedside.flows import study
    from bedside.runfolder import layout

    commands.need_workbench()
    config = study.load(run)
    with study.locked(run), Reporter(quiet=json) as progress:
        study.through(run, config, "recommend", None, progress)
    found = layout.recommendations(run)
    if json:
        print(codec.to_json(found), end="")
        return
    for one in found.recommendations:
        _recommendation(one)


def _recommendation(found: Recommendation) -> None:
    _say(f"{found.target}: use {found.chosen}" if found.chosen is not None
         else f"{found.target}: none recommended")
    for text in found.why:
        _say(f"  {text}")
    if found.test is not None and found.chosen is not None:
        _say(f"  {capital(found.test.text)}.")
    for text in found.warnings:
        _say(f"  Warning: {text}.")
    rows = []
    for c in sorted(found.candidates, key=lambda c: (
            found.ranked.index(c.variant) if c.variant in found.ranked else len(found.ranked))):
        place = str(found.ranked.index(c.variant) + 1) if c.variant in found.ranked else ""
        auc = "—" if c.auc.value is None else f"{c.auc.value:.3f}"
        time = "—" if c.latency_ms is None else ms(c.latency_ms.median) + (
            "" if c.latency_evidence == "measured" else f" ({c.latency_evidence})")
        rows.append([place, c.variant, auc, time, mb(c.size_bytes),
                     found.rejected.get(c.variant, "recommended")])
    output.table("", ["rank", "variant", "AUC, val", "latency", "file", "why not"], rows,
                  {0, 2, 3, 4})
    _say(f"Rule: {found.rule}\n")


def gate(run: Path, against: Path | None, every: bool, json: bool) -> None:
    """``bedside gate``. Raises GateFailed where a check fails."""
    from bedside.flows import gate as gates
    from bedside.flows import study

    found = gates.gate(run, study.load(run), against, every)
    if json:
        print(codec.to_json(found), end="")
    else:
        output.table("", ["result", "check", "what", "detail"],
                      [[c.result, c.check, c.subject, c.detail] for c in found.checks])
    for c in found.checks:
        if c.result == "warning":
            output.stderr.print(f"warning: {c.subject}: {c.detail}", soft_wrap=True,
                                 markup=False)
    failed = [c for c in found.checks if c.result == "fail"]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise GateFailed(f"{failed[0].detail.rstrip('.')}{more}", where=failed[0].subject,
                         remedy="See the checks above; bedside recommend says what could be used.")


def diff(old: Path, new: Path, json: bool) -> None:
    """``bedside diff``."""
    from bedside.flows import compare_runs

    found = compare_runs.diff(old, new)
    if json:
        print(codec.to_json(found), end="")
        return
    for note in found.notes:
        output.stderr.print(f"note: {note}", soft_wrap=True, markup=False)
    if found.settings:
        output.table("Configuration", ["key", "old", "new"],
                      [[s.key, _value(s.old), _value(s.new)] for s in found.settings])
    data = found.data
    _say("Images: " + ", ".join(f"{s} {a} → {b}" for s, (a, b) in data.counts.items())
         + f"; {data.only_old} only in the old run, {data.only_new} only in the new one, "
         f"{data.moved} in another part, {data.relabelled} with another label.")
    for name, cells in (("New", found.added), ("Gone", found.removed)):
        if cells:
            _say(f"{name}: {', '.join(cells)}.")
    for target, (a, b) in found.recommended.items():
        if a != b:
            _say(f"Recommended on {target}: {a or 'none'} → {b or 'none'}.")
    if found.cells:
        output.table("", ["cell", "file", "MB", "latency", "metric", "old → new", "paired "
                           "difference [95%]", "p", "flips", "answer"],
                      [row for c in found.cells for row in _rows(c)])
    else:
        _say("No variant on a target is in both runs.")


def _value(value: Any) -> str:
    return "—" if value is None else str(value)


def _rows(c: Any) -> list[list[str]]:
    """One line a test; the cell's own facts stand in the first."""
    size = " → ".join(f"{b / 1e6:.2f}" for b in c.size_bytes)
    time = (f"{ms(c.latency.old.median)} → {ms(c.latency.new.median)}"
            if c.latency.ratio is not None else f"not compared: {c.latency.reason}")
    flips = c.test.flips
    lost = "—" if flips is None else (f"{round(flips.changed.value * c.test.n)} of {c.test.n}: "
                                      f"{flips.lost} lost, {flips.gained} gained"
                                      if flips.changed.value is not None else "—")
    head = [f"{c.variant}@{c.target}", "same" if c.same_file else "other", size, time]
    said = c.test.answer or f"none: {c.test.reason}"
    if c.old_status != "ok" or c.new_status != "ok":
        return [[*head, f"{c.old_status} → {c.new_status}", "", "", "", "", ""]]
    rows = []
    for t in c.test.tests.values():
        d = t.difference
        gap = "—" if d.value is None else f"{d.value:+.4f}" + (
            f" [{d.low:+.4f}, {d.high:+.4f}]" if d.low is not None and d.high is not None else "")
        p = "—" if t.p_value is None else f"{t.p_value:.3g}"
        value = ("—" if t.old is None or t.new is None else f"{t.old:.4f} → {t.new:.4f}")
        rows.append([t.metric, value, gap, p])
    rows = rows or [["—"] * 4]
    return [[*(head if i == 0 else [""] * 4), *r, *([lost, said] if i == 0 else ["", ""])]
            for i, r in enumerate(rows)]
