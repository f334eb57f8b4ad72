"""The first page: which variant, how big, how fast, and whether accuracy changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bedside.report import paper, tables, wording
from bedside.report.changes import BASELINE
from bedside.report.matrix import Cell, Notes, changed_cell, estimate
from bedside.report.results import Row
from bedside.report.wording import DASH


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the answer with what it is compared to."""

    title: str
    cell: Cell
    against: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The variant to look at first on a target, or why there is none."""

    target: str
    variant: str
    tiles: tuple[Tile, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """One of the paper's two headlines beside what this study finds."""

    paper: str
    paper_detail: str
    lines: tuple[tuple[str, str, str], ...]


def answer(rows: Sequence[Row], target: str, notes: Notes) -> Answer:
    """The first choice on a target in four numbers."""
    choice = tables.first_choice(rows, target)
    if choice.row is None:
        return Answer(target, "", reason=choice.reason)
    row = choice.row
    return Answer(target, row["variant"], (
        _size(row, rows), _latency(row, rows), *_scores(row, rows, notes),
        Tile("Class changed, test", changed_cell(row, notes),
             "" if row["scheme"] == BASELINE else "images, against float32"),
    ))


def _size(row: Row, rows: Sequence[Row]) -> Tile:
    share = tables.size_ratio(row, rows)
    against = ("" if share is None or row["scheme"] == BASELINE else
               f"{wording.less(1 - share, 'smaller', 'larger')} than float32")
    return Tile("Size", Cell(wording.megabytes(row["size_bytes"])), against)


def _latency(row: Row, rows: Sequence[Row]) -> Tile:
    share = tables.latency_ratio(row, rows)
    against = ""
    if share is not None and row["scheme"] != BASELINE:
        words = wording.faster(1 - share)
        against = f"{words} {'as' if words.startswith('as') else 'than'} float32"
    latency = row["latency_ms"]
    detail = f"median of {latency['n']}, {wording.plural(latency['threads'], 'thread')}"
    tag = "unsteady" if tables.unsteady(row) else ""
    cell = Cell(wording.milliseconds(latency["median"]), detail, tag)
    return Tile("Latency an image", cell, against)


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
            text = wording.points(gap) if name == "accuracy" else wording.delta(gap)
            against = f"{text} against float32"
        detail = f"95% interval {wording.interval(name, own)}, n = {wording.count(own.n)}"
        tiles.append(Tile(title, Cell(wording.metric_value(name, own.value), detail), against))
    return tuple(tiles)


def claims(rows: Sequence[Row]) -> tuple[Claim, ...]:
    """The abstract's "75% smaller, 97% faster" as this study finds them."""
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
    return model, words(reduction), f"{which}, {wording.ratio(1 - reduction)}"
