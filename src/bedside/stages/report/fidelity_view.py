"""Fidelity of class activation maps and robustness to degradation, as the report's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.core.evidence import PairedTest
from bedside.core.text import DASH, count, percent, signed
from bedside.core.types import Estimate
from bedside.figures import lesion_chance
from bedside.figures.base import FigureData
from bedside.runfolder import artefact, layout
from bedside.stages.report import wording
from bedside.stages.report.evidence_view import VERDICTS, Entry, Line, Table, change

KIND_NAMES = {"speckle": "Speckle", "gain": "Gain", "blur": "Blur", "jpeg": "JPEG quality",
              "rotation": "Rotation"}
_FACTS = {"fidelity": ("split", "n", "outlined", "maps", "maps_reason", "chance", "sqnr",
                       "sqnr_reason", "worst"),
          "robustness": ("metric", "n", "positives", "margin", "kinds", "values", "overall",
                         "tests", "disagree"),
          "clipping": ("images", "layers", "variants", "causes")}

# Measures of agreement with the lesion, in the table's order.
_LESION = ("iou", "inside", "hit")


@dataclass(frozen=True, slots=True)
class FidelityView:
    """Both tables, and for a model that is missing from one the reason.

    ``chance``: by model, whether float32's maps point at the lesion at all, in words, and whether
    that is good news (None where it is unknown).
    """

    fidelity: Table | None
    robustness: Table | None
    chance: tuple[tuple[str, str, bool | None], ...]
    no_fidelity: tuple[tuple[str, str], ...]
    no_robustness: tuple[tuple[str, str], ...]
    facts: dict[str, dict[str, Any]]


def load(run: Path, models: Sequence[str]) -> FidelityView:
    """Read the analyses ``fidelity``, ``robustness`` and ``clipping`` of every model."""
    found: dict[str, dict[str, FigureData]] = {name: {} for name in _FACTS}
    for figure, by_model in found.items():
        for model in models:
            folder = layout.analysis_dir(run, figure, model)
            if artefact.finished(folder, "analyse"):
                by_model[model] = FigureData.load(folder)
    maps, degraded = found["fidelity"], found["robustness"]
    return FidelityView(
        _fidelity({m: d.facts for m, d in maps.items() if d.facts.get("maps")}),
        _robustness({m: d.facts for m, d in degraded.items() if d.unavailable is None}),
        tuple((m, _chance(d.facts), d.facts["chance"]["points"]) for m, d in maps.items()
              if d.facts.get("chance")),
        tuple((m, d.unavailable or str(d.facts["maps_reason"])) for m, d in maps.items()
              if not d.facts.get("maps")),
        tuple((m, d.unavailable) for m, d in degraded.items() if d.unavailable is not None),
        {f: {m: {"unavailable": d.unavailable} if d.unavailable is not None else
             {k: d.facts.get(k) for k in _FACTS[f]} for m, d in by_model.items()}
         for f, by_model in found.items()})


# ------------------------------------------------------------------ fidelity


def _estimate(values: dict[str, Any]) -> Estimate:
    found: Estimate = codec.decode(Estimate, values, "analysis")
    return found


def _similarity(values: dict[str, Any]) -> Entry:
    e = _estimate(values)
    if e.value is None:
        return Entry(DASH, (e.reason or "",))
    return Entry(signed(f"{e.value:.3f}"), (f"{wording.interval('alike', e)}, n = {count(e.n)}",))


def _lesion(name: str, values: dict[str, Any], moved: dict[str, Any] | None) -> Entry:
    e = _estimate(values)
    if e.value is None:
        return Entry(DASH, (e.reason or "",))
    text = f"{e.value:.3f}" if name == "iou" else percent(e.value)
    small = [wording.interval("iou" if name == "iou" else "sensitivity", e)
             + f", n = {count(e.n)}"]
    if moved is not None:
        small.append(f"{_moved(name, moved)} against float32")
    return Entry(text, tuple(small))


def _moved(name: str, values: dict[str, Any]) -> str:
    return change("auroc" if name == "iou" else "sensitivity", _estimate(values))


def _chance(facts: dict[str, Any]) -> str:
    return (lesion_chance.sentence(facts["chance"], facts["maps"]["float32"]["hit"])
            + (" " + lesion_chance.learned(facts["chance"]) if facts["outlined"] else ""))


def _levels(facts: dict[str, Any]) -> list[Line]:
    """Return a line for each kind of chance level: its value, and float32 minus it."""
    rows = (("area", "chance: at random"), ("centre", "chance: centre"),
            ("disc", "chance: centred disc"), ("fixed", "chance: best fixed"))
    if not facts["outlined"]:
        return []
    return [Line(title, "no look at the image", (
        Entry(""), Entry(""), *(_level(facts["chance"][m], m, name) for m in _LESION)))
        for name, title in rows]


def _level(part: dict[str, Any], measure: str, name: str) -> Entry:
    if name not in part["levels"]:
        return Entry("")
    entry = _lesion(measure, part["levels"][name], None)
    over = part["over"]["float32"][name]
    small = [lesion_chance.LEVELS[measure][name], *entry.small]
    if over["value"] is not None:
        small.append(f"float32 {_moved(measure, over)} against it")
    return Entry(entry.text, tuple(small))


def _fidelity(facts: dict[str, dict[str, Any]]) -> Table | None:
    if not facts:
        return None
    groups = []
    for model, f in facts.items():
        lines = []
        for k, label in enumerate(f["schemes"]):
            m = f["maps"][label]
            same = Entry("reference") if k == 0 else None
            lines.append(Line(label, f"{f['n']} {f['split']} images", (
                same or _similarity(m["ssim"]), same or _similarity(m["rank"]),
                *(_lesion(x, m[x], m[f"{x}_change"] if k else None) for x in _LESION))))
        groups.append((model, (*lines, *_levels(f))))
    return Table((("SSIM", "with float32’s map; 1 is identical"),
                  ("Rank correlation", "with float32’s map"),
                  ("IoU with the lesion", "of the map’s top region"),
                  ("Share in the lesion", "of the map’s top region"),
                  ("Pointing game", "highest point in the lesion")), tuple(groups))


# ------------------------------------------------------------------ robustness


def _loss(found: dict[str, Any]) -> Entry:
    test: PairedTest = codec.decode(PairedTest, found["test"], "analysis")
    answer, p, needed = found["answer"], found["p"], found["needed"]
    if test.difference.value is None or test.old is None or test.new is None:
        return Entry(DASH, (test.reason or "",))
    name = "auroc" if test.metric == "auroc" else "sensitivity"

    def loss(value: float) -> str:
        return change(name, Estimate(value))

    moved, _, around = change(name, test.difference).partition(" [")
    return Entry(VERDICTS[answer], (
        f"{moved} against float32" + (f" [{around}" if around else ""),
        f"float32 {loss(test.old)}, variant {loss(test.new)}",
        ("adjusted p " + (f"= {p:.2f}" if p >= 0.005 else "< 0.005")
         + (" for inferiority" if answer == "worse" else " for non-inferiority")),
        f"about {count(needed)} images would settle it" if needed else ""),
        answer.replace(" ", "-"))


def strengths(kind: dict[str, Any]) -> str:
    """Format a kind's strengths, such as ``0.1, 0.2, 0.4``, with their unit."""
    sign = "+" if kind["kind"] == "gain" else ""
    texts = [signed(f"{s:{sign}g}") for s in kind["strengths"]]
    return ", ".join(texts) + str(kind["unit"])


def _robustness(facts: dict[str, dict[str, Any]]) -> Table | None:
    if not facts:
        return None
    groups = []
    heads: tuple[tuple[str, str], ...] = ()
    for model, f in facts.items():
        heads = (("Overall", "all kinds and strengths"), *(
            (KIND_NAMES.get(k["kind"], k["kind"]), strengths(k)) for k in f["kinds"]))
        lines = []
        for label in f["schemes"][1:]:
            mine = {t["kind"]: t for t in f["tests"] if t["scheme"] == label}
            whole = next(t for t in f["overall"] if t["scheme"] == label)
            entries = tuple(_loss(t) for t in (whole, *(mine[k["kind"]] for k in f["kinds"])))
            lines.append(Line(label, f"{f['n']} validation images", entries))
        groups.append((model, tuple(lines)))
    return Table(heads, tuple(groups))
