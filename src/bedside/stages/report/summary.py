"""The first screen: the recommended variant for each device, the reasons, and the test result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bedside.core.recommendation import Recommendation
from bedside.core.text import (
    DASH,
    capital,
    megabytes,
    milliseconds,
    plural,
    ratio,
)
from bedside.stages.report import harm_tiles, paper, tables, wording
from bedside.stages.report.changes import BASELINE
from bedside.stages.report.evidence_view import Evidence
from bedside.stages.report.harm_tiles import Tile
from bedside.stages.report.matrix import Cell, Notes
from bedside.stages.report.results import Row


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
    doubts: tuple[str, ...] = ()


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
NONE = {"vetoed": "vetoed by the test images", "below floor": "not good enough for use"}


def answer(rows: Sequence[Row], found: Recommendation, notes: Notes,
           evidence: Evidence | None = None) -> Answer:
    """Return a recommendation with the chosen variant's numbers, what may harm first."""
    rejected = tuple((v, f"{capital(text)}.") for v, text in found.rejected.items())
    warnings = tuple(f"{capital(w)}." for w in found.warnings)
    doubts = tuple(f"{capital(d)}." for d in found.doubts)
    row = next((r for r in rows if r["variant"] == found.chosen
                and r["target"] == found.target), None)
    if found.chosen is None or row is None or found.test is None:
        return Answer(found.target, "", NONE.get(str(found.cause), "none"), "bad", why=found.why,
                      warnings=warnings, rejected=rejected, doubts=doubts)
    badge, state = BADGES["exploratory" if found.exploratory else found.test.verdict]
    tiles = harm_tiles.tiles(row, rows, notes, evidence)
    return Answer(found.target, found.chosen, badge, state, (
        *tiles, _size(row, rows), _latency(row, rows)), found.why,
        f"{capital(found.test.text)}.", warnings, rejected, doubts)


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
