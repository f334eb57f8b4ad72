"""Paired comparisons with float32, as the report's tables: words beside numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.core.build import Measurement
from bedside.core.evidence import (
    MISS_RATIO,
    Comparison,
    Flips,
    OperatingPoints,
    PairedTest,
    miss_ratio_of,
)
from bedside.core.protocol import Standing
from bedside.core.statistics import Statistics
from bedside.core.study import EvidenceConfig
from bedside.core.text import DASH, MINUS, count, plural, signed
from bedside.core.types import Estimate
from bedside.metrics import compare
from bedside.metrics.compare import ALPHA
from bedside.runfolder import artefact, layout, protocol, stored
from bedside.stages.report import wording

ARROW = " → "
HOLM_LEVEL = "2.5% one-sided"

# The answers of results.json in the report's words.
VERDICTS = {"shown": "non-inferior", "not shown": "inconclusive", "worse": "inferior",
            "exploratory": "non-inferior, exploratory"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """The results of the stage ``evidence`` for a run's models."""

    comparisons: tuple[Comparison, ...]
    points: dict[str, OperatingPoints]
    statistics: dict[str, Statistics]
    config: EvidenceConfig
    standing: Standing = field(default_factory=Standing)

    def explores(self, c: Comparison) -> bool:
        """Return whether an answer rests on what changed after the test set was opened.

        Harm that was found stays harm.
        """
        return c.answer == "shown" and self.standing.exploratory(c.target)


@dataclass(frozen=True, slots=True)
class Entry:
    """One table cell: the number, and small lines below it; ``badge`` colours an answer."""

    text: str
    small: tuple[str, ...] = ()
    badge: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A row: a variant on a target, an entry a column."""

    scheme: str
    target: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Column titles (with a small second line) and the rows of every network."""

    heads: tuple[tuple[str, str], ...]
    groups: tuple[tuple[str, tuple[Line, ...]], ...]


def load(run: Path, models: Sequence[str]) -> Evidence | None:
    """Read the results of the stage ``evidence``, or None where it has not run."""
    if not artefact.finished(layout.evidence_dir(run, layout.ALL_MODELS), "evidence"):
        return None
    have = [m for m in models if artefact.finished(layout.evidence_dir(run, m), "evidence")]
    study = stored.study(run)
    every = compare.with_planned(stored.comparisons(run), stored.planned(run))
    return Evidence(every, {m: stored.operating_points(run, m) for m in have},
                    {m: stored.statistics(run, m) for m in have}, study.evidence,
                    protocol.standing(run, study))


def document(evidence: Evidence) -> dict[str, Any]:
    """Return the key ``evidence`` of ``results.json``."""
    return {"margins": {"miss_ratio": evidence.config.miss_ratio_margin or None,
                        "sensitivity": evidence.config.sensitivity_margin,
                        "specificity": evidence.config.specificity_margin,
                        "auc": evidence.config.auc_margin},
            "adjustment": f"shown: the planned comparison of each target alone, the others after "
                          f"Holm over the comparisons of a split, {HOLM_LEVEL}; worse: for the "
                          "endpoints alone",
            "comparisons": [codec.encode(c) for c in evidence.comparisons],
            "models": {m: {"operating_points": codec.encode(evidence.points[m]),
                           "statistics": codec.encode(evidence.statistics[m])}
                       for m in evidence.points}}


def row_answer(evidence: Evidence | None, measurement: Measurement) -> dict[str, Any] | None:
    """Return the key ``answer`` of a row of ``results.json`` (test split), None for a reference."""
    if evidence is None:
        return None
    for c in evidence.comparisons:
        if (c.variant, c.target, c.split) == (measurement.variant, measurement.target, "test"):
            return {"answer": c.answer, "against": c.against or None, "n": c.n,
                    "reason": c.reason, "p_shown": c.p_shown, "p_worse": c.p_worse,
                    "family": c.family, "planned": c.planned,
                    "exploratory": evidence.standing.exploratory(c.target)}
    return None


# ------------------------------------------------------------------ words


def p_value(p: float | None) -> str:
    """Format a p-value as papers print it, or a dash."""
    if p is None:
        return f"p {DASH}"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _is_area(metric: str) -> bool:
    return metric.endswith("auroc")


def change(metric: str, difference: Estimate) -> str:
    """Format a paired difference with its 95% interval, in points or in AUC."""
    if metric == MISS_RATIO:
        return _ratio(difference)
    if difference.value is None:
        return DASH
    values = (difference.value, difference.low, difference.high)
    scale, digits = (1, 3) if _is_area(metric) else (100, 1)
    texts = [signed(f"{scale * v:+.{digits}f}") for v in values if v is not None]
    texts = [t[1:] if float(t.replace(MINUS, "-")) == 0 else t for t in texts]
    unit = "" if _is_area(metric) else " points"
    return texts[0] + unit + (f" [{texts[1]}, {texts[2]}]" if len(texts) == 3 else "")


def _ratio(difference: Estimate) -> str:
    value, low, high = miss_ratio_of(difference)
    text = DASH if value is None else f"× {value:.2f}"
    ends = "0" if low is None else f"{low:.2f}", "no limit" if high is None else f"{high:.2f}"
    return f"{text} [{', '.join(ends)}]"


def bounds(t: PairedTest) -> str | None:
    """State the bounds that decide, or None where they are those of the interval.

    They are wider where so few cases could not have shown a difference (``excluded``, ``ceiling``).
    """
    d = t.difference
    if t.excluded is None or t.ceiling is None or (d.low, d.high) == (t.excluded, t.ceiling):
        return None
    whole = change(t.metric, Estimate(d.value, t.excluded, t.ceiling, d.n))
    kind = "patients" if t.clusters is not None else "cases"
    return f"decides: [{whole.partition(' [')[2]}, what {count(t.cases or d.n)} {kind} can prove"


def margin(metric: str, value: float) -> str:
    """Format a margin with its unit."""
    return f"{value:.3g} of AUC" if _is_area(metric) else (
        f"{signed(f'{100 * value:.3g}')} "
        f"{'point' if value == 0.01 else 'points'} of {metric}")


def limits(config: EvidenceConfig, binary: bool) -> tuple[str, ...]:
    """Format every margin of a study."""
    return (margin("sensitivity", config.sensitivity_margin),
            *((margin("specificity", config.specificity_margin),) if binary else ()),
            margin("auroc", config.auc_margin),
            *((f"{config.miss_ratio_margin:g} times as many positives missed",)
              if binary and config.miss_ratio_margin else ()))


def listed(texts: Sequence[str], word: str) -> str:
    """Join texts as ``a, b or c``."""
    return f" {word} ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))


def _name(metric: str) -> str:
    title = wording.metric_title(metric)
    return title if title.startswith("AUC") else title.lower()


def sentence(c: Comparison, config: EvidenceConfig) -> str:
    """State what an answer means for a variant, in one or two sentences."""
    if c.answer is None:
        return f"Not tested: {c.reason}."
    if c.answer == "shown":
        margins = listed(limits(config, "specificity" in c.tests), "or")
        return f"A loss of {margins}, or more, is excluded."
    tests = [t for t in c.tests.values() if t.margin is not None]
    if c.answer == "worse":
        level = ALPHA / sum(t.metric != MISS_RATIO for t in tests)
        lost = [t for t in tests if t.p_worse is not None and t.p_worse <= level
                and compare.reaches(t)]
        return (f"A loss of {listed([_name(t.metric) for t in lost] or ['one of them'], 'and')} is "
                "proved, and it may reach or exceed the margin.")
    if not c.needed:
        return f"These images do not settle it{f': {c.reason}' if c.reason else ''}."
    needed = "; ".join(f"{count(n.cases)} {n.kind} for {_name(n.metric)}"
                       + (f" (about {count(n.images)} images in all)"
                          if n.images != n.cases else "") for n in c.needed)
    return f"Too few cases: showing non-inferiority of a harmless variant needs about {needed}."


def flips_text(flips: Flips | None, n: int) -> Entry:
    """State how many decisions changed, and in which direction."""
    if flips is None:
        return Entry(DASH)
    changed = flips.lost + flips.gained
    if flips.changed.value is not None:
        changed = round(flips.changed.value * flips.changed.n)
    big = f"{count(changed)} of {count(n)}"
    if not changed:
        return Entry(big, ("no decision changed",))
    if flips.missed is None:
        return Entry(big, (f"{flips.lost} correct before and wrong now",
                           f"{flips.gained} wrong before and correct now"))
    alarms = plural(flips.alarms or 0, "new false alarm")
    return Entry(big, (f"{flips.missed} newly missed, {flips.found} newly detected",
                       f"{alarms}, {flips.cleared} cleared"))


# ------------------------------------------------------------------ the table of answers


def _test(t: PairedTest | None) -> Entry:
    if t is None or t.old is None or t.new is None:
        return Entry(DASH, ((t.reason or t.difference.reason or ""),) if t else ())
    moved, _, around = change(t.metric, t.difference).partition(" [")
    small = [f"[{around}"] if around else []
    deciding = bounds(t)
    if deciding is not None:
        small.append(deciding)
    small.append(f"{wording.metric_value(t.metric, t.old)}{ARROW}"
                 f"{wording.metric_value(t.metric, t.new)}")
    counted = f"n = {count(t.difference.n)}"
    if t.clusters is not None:
        counted += f", {plural(t.clusters, 'patient')}"
    if t.gained is not None and t.lost is not None:
        small.append(f"{t.lost} lost, {t.gained} gained; {counted}")
    else:
        small.append(counted)
    test = "McNemar" if t.gained is not None and t.clusters is None else (
        "DeLong" if t.method == "DeLong" else "over patients")
    if t.p_value is None:
        small.append("no test: " + ("the decisions agree" if t.gained == t.lost == 0
                                    else "no variance to test with"))
    else:
        small.append(f"{p_value(t.p_value)} ({test})")
    return Entry(moved, tuple(small))


def _kappa(c: Comparison) -> Entry:
    k = c.kappa
    if k is None or k.value is None:
        return Entry(DASH, (k.reason,) if k is not None and k.reason else ())
    return Entry(f"{k.value:.3f}", (wording.interval("kappa", k),))


def _verdict(c: Comparison, evidence: Evidence) -> Entry:
    small = [sentence(c, evidence.config)]
    if c.answer in ("shown", "not shown") and c.p_shown is not None:
        small.append(f"{p_value(c.p_shown)} for non-inferiority, "
                     + ("planned: a family of one" if c.planned else
                        f"adjusted after Holm over {c.family}"))
    if c.answer == "worse":
        small.append(f"{p_value(c.p_worse)} for inferiority, adjusted for the endpoints alone")
    if c.same_as is not None:
        small.append(f"same predictions as {c.same_as}; counted once")
    if c.only_old or c.only_new:
        small.append(f"compared on the {count(c.n)} images that both predicted "
                     f"({c.only_old} by float32 only, {c.only_new} by the variant only)")
    small += c.notes
    if evidence.explores(c):
        return Entry(VERDICTS["exploratory"], tuple(small), "exploratory")
    return Entry(VERDICTS.get(c.answer or "", "no answer"), tuple(small),
                 (c.answer or "none").replace(" ", "-"))


def answers(evidence: Evidence, split: str, order: Sequence[Measurement]) -> Table | None:
    """Tabulate every comparison of a split, or return None where there is none."""
    place = {(m.variant, m.target): (m.model, m.scheme) for m in order}
    mine = {(c.variant, c.target): c for c in evidence.comparisons if c.split == split}
    names = tuple(dict.fromkeys(n for c in mine.values() for n in c.tests))
    # Metrics with a margin come first: the short table omits the last one, accuracy.
    names = tuple(sorted(names, key=lambda n: (n == "accuracy", _is_area(n))))
    groups: dict[str, list[Line]] = {}
    for key, (model, scheme) in place.items():
        c = mine.get(key)
        if c is None:
            continue
        entries = [_verdict(c, evidence), *(_test(c.tests.get(n)) for n in names),
                   flips_text(c.flips, c.n), _kappa(c)]
        groups.setdefault(model, []).append(Line(scheme, c.target, tuple(entries)))
    if not groups:
        return None
    together = max((c.family for c in mine.values()), default=0)
    heads = [("Answer", "against float32" if together < 2 else
              f"against float32, adjusted for {together} comparisons"),
             *((wording.metric_title(n), "change [95%, unadjusted]") for n in names),
             ("Decisions changed", "at float32’s threshold"), ("Kappa", "agreement, 95%")]
    return Table(tuple(heads), tuple((m, tuple(lines)) for m, lines in groups.items()))


def summary(evidence: Evidence, split: str = "test") -> tuple[tuple[str, int], ...]:
    """Count the comparisons of a split by answer."""
    mine = ["exploratory" if evidence.explores(c) else c.answer or "no answer"
            for c in evidence.comparisons if c.split == split]
    return tuple((a, mine.count(a)) for a in ("shown", "exploratory", "not shown", "worse",
                                              "no answer")
                 if mine.count(a))


def family(evidence: Evidence, split: str = "test") -> int:
    """Return the number of comparisons in Holm's adjustment of a split."""
    return max((c.family for c in evidence.comparisons if c.split == split), default=0)


# ------------------------------------------------------------------ all of it


def view(evidence: Evidence | None, order: Sequence[Measurement]) -> dict[str, Any] | None:
    """Return the template variables of the comparisons, or None where the stage has not run."""
    if evidence is None:
        return None
    config = evidence.config
    rules = [p.rule for ps in evidence.points.values() if (p := ps.locked) is not None]
    return {
        "summary": [(VERDICTS.get(a, a), a.replace(" ", "-"), n) for a, n in summary(evidence)],
        "margins": limits(config, any("specificity" in c.tests for c in evidence.comparisons)),
        "family": family(evidence), "level": HOLM_LEVEL,
        "rule": rules[0] if rules else None,
        "test": answers(evidence, "test", order), "val": answers(evidence, "val", order),
    }
