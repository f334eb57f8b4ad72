"""The first screen: the recommended variant for each device, the reasons, and the test result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bedside.core.recommendation import Recommendation
from bedside.core.text import (
    DASH,
    capital,
    count,
    delta,
    megabytes,
    milliseconds,
    plural,
    points,
    ratio,
)
from bedside.stages.report import paper, tables, wording
from bedside.stages.report.changes import BASELINE
from bedside.stages.report.matrix import Cell, Notes, changed_cell, estimate
from bedside.stages.report.results import Row


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the recommendation, with what it is compared to."""

    title: str
    cell: Cell
    against: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The variant recommended for a target, or none, with every reason."""

    target: str
    variant: str
    badge: str
    state: str
    tiles: tuple[Tile, ...] = ()
    why: tuple[str, ...] = ()
    verdict: str = ""
    warnings: tuple[str, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """One of the paper's two headlines beside this study's results."""

    paper: str
    paper_detail: str
    lines: tuple[tuple[str, str, str], ...]


# The test images' result: the badge beside the variant's name, and its colour.
BADGES = {"confirmed": ("confirmed by the test images", "good"),
          "reference": ("the float32 model itself", "plain"),
          "not shown": ("inconclusive: too few test images", "look"),
          "untested": ("not tested", "look"),
          "exploratory": ("exploratory, not confirmatory", "bad")}


def answer(rows: Sequence[Row], found: Recommendation, notes: Notes) -> Answer:
    """Return a recommendation with the chosen variant's numbers."""
    rejected = tuple((v, f"{capital(text)}.") for v, text in found.rejected.items())
    warnings = tuple(f"{capital(w)}." for w in found.warnings)
    row = next((r for r in rows if r["variant"] == found.chosen
                and r["target"] == found.target), None)
    if found.chosen is None or row is None or found.test is None:
        badge = "vetoed by the test images" if found.cause == "vetoed" else "none"
        return Answer(found.target, "", badge, "bad", why=found.why, warnings=warnings,
                      rejected=rejected)
    badge, state = BADGES["exploratory" if found.exploratory else found.test.verdict]
    return Answer(found.target, found.chosen, badge, state, (
        _size(row, rows), _latency(row, rows), *_scores(row, rows, notes),
        Tile("Class changed, test", changed_cell(row, notes),
             "" if row["scheme"] == BASELINE else "images, by predicted class, against float32"),
    ), found.why, f"{capital(found.test.text)}.", warnings, rejected)


def _size(row: Row, rows: Sequence[Row]) -> Tile:
    share = tables.size_ratio(row, rows)
    against = ("" if share is None or row["scheme"] == BASELINE else
               f"{wording.less(1 - share, 'smaller', 'larger')} than float32")
    return Tile("Size", Cell(megabytes(row["size_bytes"])), against)


def _latency(row: Row, rows: Sequence[Row]) -> Tile:
    share = tables.latency_ratio(row, rows)
    against = ""
    if share is not None and row["scheme"] != BASELINE:
        words = wording.faster(1 - share)
        against = f"{words} {'as' if words.startswith('as') else 'than'} float32"
    latency = row["latency_ms"]
    detail = f"median of {latency['n']}, {plural(latency['threads'], 'thread')}"
    tag = "unsteady" if tables.unsteady(row) else ""
    cell = Cell(milliseconds(latency["median"]), detail, tag)
    return Tile("Latency per image", cell, against)


def _scores(row: Row, rows: Sequence[Row], notes: Notes) -> tuple[Tile, ...]:
    tiles = []
    for name in (tables.auc_name(row), "accuracy"):
        title = f"{wording.metric_title(name)}, test"
        own = estimate(row, name)
        if own is None or own.value is None:
            why = row["undefined"].get(name, "was not computed")
            tiles.append(Tile(title, notes.dash(f"{wording.metric_title(name)}: {why}")))
            continue
        gap = tables.metric_difference(row, rows, name)
        against = ""
        if gap is not None and row["scheme"] != BASELINE:
            text = points(gap) if name == "accuracy" else delta(gap)
            against = f"{text} against float32"
        detail = f"95% interval {wording.interval(name, own)}, n = {count(own.n)}"
        tiles.append(Tile(title, Cell(wording.metric_value(name, own.value), detail), against))
    return tuple(tiles)


def claims(rows: Sequence[Row]) -> tuple[Claim, ...]:
    """Compare the abstract's "75% smaller, 97% faster" with this study's results."""
    found = tables.headlines(rows)
    size = tuple(_line(h.model, h.size_reduction, h.smallest,
                       lambda r: wording.less(r, "smaller", "larger")) for h in found)
    time = tuple(_line(h.model, h.time_reduction, h.fastest, wording.faster) for h in found)
    return (
        Claim(f"{paper.SIZE_REDUCTION:.0%} smaller", "full integer against FP32, Table 2", size),
        Claim(f"{paper.TIME_REDUCTION:.0%} faster",
              f"VGG16, full integer on the phone’s NPU (about {paper.NPU_SPEEDUP:.0f}×) against "
              f"FP32 on its CPU; on that CPU about {paper.CPU_SPEEDUP}×", time),
    )


def _line(model: str, reduction: float | None, which: str | None, words: Callable[[float], str]
          ) -> tuple[str, str, str]:
    if reduction is None:
        return model, DASH, "no quantized variant to compare with float32"
    return model, words(reduction), f"{which}, {ratio(1 - reduction)}"
