"""Pages of changed decisions: every image and variant, the most serious first, with maps.

They are separate from the report, because a hundred cards of three images take about two megabytes
and the report must open on a phone. Each page is self-contained.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bedside.core.text import signed
from bedside.figures.base import FigureData
from bedside.runfolder import artefact, layout
from bedside.stages.report import page
from bedside.stages.report.results import safe_cell

FIGURE = "flips"
CARDS = 100
CSV = "flips.csv"
KINDS = {
    "missed": ("Newly missed", "called positive by float32, not by the variant"),
    "alarm": ("New false alarms", "called positive by the variant, not by float32"),
    "lost": ("Now wrong", "correct with float32, wrong with the variant"),
    "found": ("Newly detected", "positive images that only the variant calls positive"),
    "cleared": ("False alarms cleared", "negative images that only float32 calls positive"),
    "gained": ("Now correct", "wrong with float32, correct with the variant"),
    "other": ("Wrong both times", "from one wrong class to another"),
}
_ORDER = tuple(KINDS)


@dataclass(frozen=True, slots=True)
class Card:
    """One image and variant as the page prints it; images are data URIs, or none."""

    model: str
    variant: str
    where: str
    also: str
    id: str
    split: str
    label: str
    kind: str
    called: tuple[str, str]
    score: tuple[str, str]
    margin: tuple[str, str]
    images: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Flips:
    """All changed decisions of a run, in order, and the counts above them."""

    rows: tuple[tuple[FigureData, dict[str, Any]], ...]
    unavailable: tuple[tuple[str, str], ...]
    compared: int

    @property
    def counts(self) -> tuple[tuple[str, str, int], ...]:
        """(title, meaning, number) of every kind that occurs."""
        kinds = [r["kind"] for _, r in self.rows]
        return tuple((*KINDS[k], kinds.count(k)) for k in _ORDER if k in kinds)


def load(run: Path, models: Sequence[str]) -> Flips:
    """Read the changed decisions of every model, newly missed positives first."""
    rows: list[tuple[FigureData, dict[str, Any]]] = []
    missing, compared = [], 0
    for model in models:
        folder = layout.analysis_dir(run, FIGURE, model)
        if not artefact.finished(folder, "analyse"):
            missing.append((model, "not computed yet; run: bedside report RUN"))
            continue
        artefact.check(folder, "analyse")
        data = FigureData.load(folder)
        if data.unavailable is not None:
            missing.append((model, data.unavailable))
            continue
        rows += [(data, r) for r in data.facts["flips"]]
        compared += sum(sum(c.values()) for c in data.facts["compared"].values())
    rows.sort(key=lambda r: (_ORDER.index(r[1]["kind"]), r[1]["split"] != "test"))
    return Flips(tuple(rows), tuple(missing), compared)


def names(flips: Flips) -> list[str]:
    """Return the pages' file names: ``flips.html``, ``flips-2.html``, …"""
    count = max(1, -(-len(flips.rows) // CARDS))
    return ["flips.html", *(f"flips-{k}.html" for k in range(2, count + 1))]


def write(out: Path, flips: Flips, phantom: bool) -> None:
    """Write the pages and ``flips.csv`` into ``out``."""
    files = names(flips)
    for number, name in enumerate(files):
        rows = flips.rows[number * CARDS:(number + 1) * CARDS]
        html = page.render({
            "counts": flips.counts, "total": len(flips.rows), "compared": flips.compared,
            "unavailable": flips.unavailable, "files": files, "number": number,
            "phantom": phantom, "first": number * CARDS + 1, "groups": _groups(rows),
            "thresholds": _thresholds(flips),
            "reasons": tuple(dict.fromkeys(
                str(d.facts["maps_reason"]) for d, _ in flips.rows if d.facts["maps_reason"])),
        }, "flips.html.j2")
        artefact.write_text(out / name, html)
    artefact.write_text(out / CSV, table(flips))


def _thresholds(flips: Flips) -> tuple[tuple[str, str], ...]:
    found = {d.facts["model"]: d.facts["threshold"] for d, _ in flips.rows}
    return tuple((m, f"{t:.4f}") for m, t in found.items() if t is not None)


def _groups(rows: Sequence[tuple[FigureData, dict[str, Any]]]
            ) -> tuple[tuple[str, str, tuple[Card, ...]], ...]:
    return tuple((*KINDS[k], tuple(_card(d, r) for d, r in rows if r["kind"] == k))
                 for k in _ORDER if any(r["kind"] == k for _, r in rows))


def _card(data: FigureData, row: dict[str, Any]) -> Card:
    binary = data.facts["threshold"] is not None
    margin = tuple(signed(f"{v:+.4f}") if binary else f"{v:.4f}" for v in row["margin"])
    score = tuple(f"{v:.4f}" for v in row["score"])
    return Card(
        data.facts["model"], row["variant"], row["target"], ", ".join(row["also"]), row["id"],
        {"test": "test image", "val": "validation image"}[row["split"]], row["label"],
        row["kind"], (row["called"][0], row["called"][1]), (score[0], score[1]),
        (margin[0], margin[1]), tuple(_images(data, row)))


def _images(data: FigureData, row: dict[str, Any]) -> list[tuple[str, str]]:
    if row["picture"] is None:
        return []
    from bedside.figures.cam import overlay

    image = data.arrays["images"][row["picture"]]
    images = [("Image", jpeg(image))]
    for name, title in (("before", "float32’s map"), ("after", "the variant’s map")):
        if name in data.arrays:
            plane = data.arrays[name][row["picture"]].astype(np.float32) / 255
            images.append((title, jpeg(overlay(image, plane))))
    return images


def jpeg(pixels: npt.NDArray[np.uint8]) -> str:
    """Encode an image (H, W) or (H, W, 3) as a data URI, with reproducible bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def table(flips: Flips) -> str:
    """Return ``flips.csv``: one line per image and variant, in the pages' order, by case id."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["kind", "model", "variant", "target", "also", "split", "id", "label",
                     "called_float32", "called_variant", "score_float32", "score_variant",
                     "threshold", "margin_float32", "margin_variant"])
    for data, r in flips.rows:
        line = [r["kind"], data.facts["model"], r["variant"], r["target"], " ".join(r["also"]),
                r["split"], r["id"], r["label"], *r["called"], *r["score"],
                data.facts["threshold"], *r["margin"]]
        writer.writerow([safe_cell(v) for v in line])
    return buffer.getvalue()
