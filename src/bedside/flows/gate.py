"""Release gate (``bedside gate``) for a run, alone or as the successor of an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bedside.core.errors import BadInput
from bedside.core.evidence import Comparison
from bedside.core.evidence_text import change_text
from bedside.core.protocol import Standing, listed, when
from bedside.core.recommendation import Recommendation
from bedside.core.study import Study
from bedside.core.text import megabytes, milliseconds
from bedside.flows import compare_runs
from bedside.metrics import compare
from bedside.runfolder import artefact, layout, protocol, stored
from bedside.stages.recommend.rule import FAILING, broken_limits, limits_of
from bedside.stages.recommend.stage import stage_key
from bedside.stages.recommend.wording import needed_text

Result = Literal["pass", "warning", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one cell (or target) and its result."""

    check: str
    subject: str
    result: Result
    detail: str


@dataclass(frozen=True, slots=True)
class Gate:
    """All checks; ``passed`` where none failed."""

    schema: int
    passed: bool
    against: str | None
    checks: tuple[Check, ...]


def gate(run: Path, study: Study, against: Path | None = None, every: bool = False,
         first: Path | None = None) -> Gate:
    """Check a run for release; it is never written to.

    Args:
        run: the run, its recommendation made.
        study: its configuration.
        against: an earlier run that this one would replace.
        every: check every variant against the budget, not only the recommended ones.
        first: the run of the first release; the study's ``first_reference``, or the earlier run's,
            by default.

    Raises:
        BadInput: no recommendation, one that is older than the measurements, or a file that is
            no longer what its stage published.
    """
    stored.require_intact(run)
    choices = current(run, study)
    for r in choices:
        for c in r.candidates:
            folder = layout.build_dir(run, c.variant, r.target)
            if artefact.recorded(folder, "build"):
                artefact.check(folder, "build")
    chosen = {layout.cell_name(r.chosen, r.target) for r in choices if r.chosen is not None}
    standing = protocol.standing(run, study)
    checks = _protocol(standing)
    checks += [c for r in choices for c in _target(r, study, every)]
    checks += [c for a in compare.with_planned(stored.comparisons(run), stored.planned(run))
               if a.split == "test"
               for c in _qualified(_answer(a, chosen, study, every), a, standing)]
    if against is not None:
        checks += _against(run, study, choices, against, every, "before")
    start = first_reference(study, against, first)
    if start is not None and (against is None or start.resolve() != against.resolve()):
        checks += _against(run, study, choices, start, every, "the first reference")
    elif start is None and against is not None:
        checks.append(Check("first reference", str(against), "warning", (
            "no first reference is named, so small losses may add up from release to release; name "
            "it with --first, or with first_reference in [budget]")))
    if not chosen and not any(c.result == "fail" for c in checks):
        checks.append(Check("recommendation", "every target", "fail",
                            "nothing is recommended on any target"))
    return Gate(1, all(c.result != "fail" for c in checks),
                None if against is None else str(against), tuple(checks))


def first_reference(study: Study, against: Path | None, first: Path | None) -> Path | None:
    """Return the run of the first release: what is named here, in the study, or in the earlier run.

    Raises:
        BadInput: the study names a folder that is no run.
    """
    if first is not None:
        return first
    named = study.budget.first_reference
    if named is None and against is not None and layout.study_file(against).is_file():
        named = stored.study(against).budget.first_reference
    if named is None:
        return None
    if not layout.study_file(Path(named)).is_file():
        raise BadInput("not a run folder (no study.toml)", where=f"budget.first_reference: {named}",
                       remedy="Name the run of the first release, or give it with --first.")
    return Path(named)


def current(run: Path, study: Study) -> tuple[Recommendation, ...]:
    """Return the choices for every target.

    Raises:
        BadInput: there are none, or they are older than the measurements or the budget.
    """
    remedy = "Run: bedside recommend RUN."
    if not artefact.finished(run, "recommend"):
        raise BadInput("no recommendation to check", where=run, remedy=remedy)
    if not artefact.finished(run, "recommend", stage_key(run, study)):
        raise BadInput("the recommendation is older than the measurements or the budget",
                       where=run, remedy=remedy)
    return stored.recommendations(run).recommendations


def _protocol(found: Standing) -> list[Check]:
    """Return whether margins, rules and plan stood before the test set was opened.

    What changed after it fails, target by target. A run of an earlier version, which could lock
    no protocol, passes with a warning.
    """
    notes = [Check("protocol", "versions", "warning", text) for text in found.notes]
    changes = found.after_opening()
    if not changes:
        missing: Result = "fail" if found.fault is not None else "warning"
        fine = found.locked and (found.opened or not found.changes)
        return [Check("protocol", "test set", "pass" if fine else missing, found.sentence), *notes]
    failed = [Check("protocol", target or "every target", "fail",
                    f"changed after the test set was opened on {when(found.opened_at)}: "
                    f"{listed(mine)}; what rests on it is exploratory")
              for target in dict.fromkeys(c.target for c in changes)
              if (mine := tuple(c for c in changes if c.target == target))]
    return [*failed, *notes]


def _qualified(checks: list[Check], a: Comparison, standing: Standing) -> list[Check]:
    """Let no answer pass that rests on what changed after the test set was opened."""
    if not standing.exploratory(a.target):
        return checks
    return [replace(c, result="warning", detail=f"exploratory: {c.detail}")
            if c.result == "pass" else c for c in checks]


def _target(r: Recommendation, study: Study, every: bool) -> list[Check]:
    """Return the recommendation of a target, and the budget of its variants."""
    checks = []
    if r.chosen is not None:
        checks.append(Check("recommendation", layout.cell_name(r.chosen, r.target),
                            "pass", "recommended"))
    else:
        fails = r.cause in FAILING or any(c in FAILING for c in r.causes.values())
        checks.append(Check("recommendation", r.target, "fail" if fails else "warning",
                            " ".join(r.why)))
    checks += [Check("usefulness", r.target, "warning", d) for d in r.doubts if r.chosen]
    limits = limits_of(study.budget, r.target)
    for c in r.candidates:
        if c.status == "failed":
            checks.append(Check("runs", layout.cell_name(c.variant, r.target), "warning",
                                c.reason or "failed"))
        broken = broken_limits(c, limits) if c.status == "ok" else []
        if broken:
            fails = every or c.variant == r.chosen
            checks.append(Check("budget", layout.cell_name(c.variant, r.target),
                                "fail" if fails else "warning", "; ".join(broken) + (
                                    "" if fails else "; it is not recommended")))
    return checks


def _answer(a: Comparison, chosen: set[str], study: Study, every: bool) -> list[Check]:
    """Return the paired answer of a variant against its float32 model, on test images."""
    name = layout.cell_name(a.variant, a.target)
    if a.answer == "worse":
        return [Check("not worse", name, "fail", f"inferior to {a.against} on {a.n} test "
                                                 f"images: {losses(a)}")]
    if name not in chosen and not every:
        return []
    if a.answer == "shown":
        return [Check("not worse", name, "pass", f"non-inferior to {a.against} on {a.n} test "
                                                 "images")]
    fails: Result = "fail" if study.budget.require == "shown" else "warning"
    if a.answer is None:
        return [Check("not worse", name, fails, f"cannot be tested: {a.reason}")]
    return [Check("not worse", name, fails, f"inconclusive: {a.n} test images are too few"
                                            f"{needed_text(a.needed)}")]


def losses(a: Comparison) -> str:
    """Return the differences of the tests that have a margin."""
    return ", ".join(change_text(t) for t in a.tests.values()
                     if t.margin is not None and t.difference.value is not None)


# ------------------------------------------------------------------ against an earlier run


def _against(run: Path, study: Study, choices: Sequence[Recommendation], against: Path,
             every: bool, what: str) -> list[Check]:
    """Compare with an earlier run; ``what`` names it: ``before`` or ``the first reference``."""
    pairs = _pairs(choices, against)
    diff = compare_runs.diff(against, run, pairs)
    checks = [Check("same images", "test", "warning", note) for note in diff.notes]
    checks += [Check("still there", name, "warning", "only the earlier run has it")
               for name in diff.removed]
    for c in diff.cells:
        planned = any(r.target == c.target and r.chosen == c.variant for r in choices)
        # What validation chose for a target is its one planned comparison, a family of one.
        one = replace(c, test=compare.alone(c.test)) if planned and c.test.n else c
        checks += _cell(one, study, every or planned, what)
    return checks


def _pairs(choices: Sequence[Recommendation], against: Path) -> list[tuple[str, str]]:
    """Return what each target ran before and would run now, where the recommendation changed."""
    if not artefact.finished(against, "recommend"):
        return []
    before = {r.target: r.chosen for r in stored.recommendations(against).recommendations}
    # What the test images took back is compared as well: it would have run.
    now = [(r.target, r.chosen or r.vetoed) for r in choices]
    return [(layout.cell_name(str(before[target]), target), layout.cell_name(variant, target))
            for target, variant in now
            if variant is not None and before.get(target) not in (None, variant)]


def _cell(c: compare_runs.CellChange, study: Study, required: bool, what: str) -> list[Check]:
    """Check one variant in both runs: still runs, not worse, not slower, not larger.

    Size and latency are held against the previous release alone: they may grow on purpose.
    """
    name = layout.cell_name(c.variant, c.target) + (f" after {c.against}" if c.against else "")
    if c.old_status == "ok" and c.new_status != "ok":
        return [Check("still runs", name, "fail", f"ok before, {c.new_status} now")]
    if c.old_status != "ok" or c.new_status != "ok":
        return []
    checks = []
    a = c.test
    on = f"on the {a.n} test images of both runs"
    if a.answer == "worse":
        checks.append(Check(f"not worse than {what}", name, "fail", f"inferior {on}: {losses(a)}"))
    elif required and a.answer == "shown":
        checks.append(Check(f"not worse than {what}", name, "pass", f"non-inferior {on}"))
    elif required:
        fails: Result = "fail" if study.budget.require == "shown" else "warning"
        text = (f"inconclusive {on}{needed_text(a.needed)}" if a.answer is not None
                else f"cannot be tested: {a.reason}")
        checks.append(Check(f"not worse than {what}", name, fails, text))
    return checks + (_heavier(c, name, study) if what == "before" else [])


def _heavier(c: compare_runs.CellChange, name: str, study: Study) -> list[Check]:
    checks = []
    before, now = c.size_bytes
    if now > before * (1 + study.budget.larger):
        checks.append(Check("not larger", name, "fail", f"{megabytes(now)} against "
                            f"{megabytes(before)} before: more than "
                            f"{study.budget.larger:.0%} larger"))
    time = c.latency
    if time.ratio is None or time.old is None or time.new is None:
        checks.append(Check("not slower", name, "warning", f"not compared: {time.reason}"))
    elif time.apart and time.ratio > 1 + study.budget.slower:
        checks.append(Check("not slower", name, "fail", f"{milliseconds(time.new.median)} against "
                            f"{milliseconds(time.old.median)} before: more than "
                            f"{study.budget.slower:.0%} slower"))
    return checks
