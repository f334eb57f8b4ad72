"""What a finished run publishes, read without the product.

For :mod:`recompute`: predictions, cases, locked thresholds and ``results.json``.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

Array = np.ndarray[Any, Any]
Cell = tuple[str, str]


@dataclass(frozen=True)
class Split:
    """One cell's images of one split, in the order of their ids: truth, log-odds, calls."""

    ids: Array
    positive: Array
    odds: Array
    called: Array
    clustered: bool


@dataclass
class Run:
    """What a finished run publishes, and what could not be recomputed."""

    folder: Path
    results: dict[str, Any]
    cases: dict[str, dict[str, str]]
    points: dict[str, dict[str, Any]]
    cells: dict[Cell, dict[str, Split]]
    left: set[str] = field(default_factory=set)

    @property
    def margins(self) -> dict[str, float | None]:
        """Return the study's margins."""
        return dict(self.results["evidence"]["margins"])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of cells that ran."""
        return [r for r in self.results["rows"] if r["status"] == "ok"]

    def row(self, cell: Cell) -> dict[str, Any]:
        """Return the row of a cell (variant, target)."""
        return next(r for r in self.rows if (r["variant"], r["target"]) == cell)

    def baseline(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """Return float32 of the same network, on the same target or else on the CPU."""
        return next((r for target in (row["target"], "cpu") for r in self.rows
                     if (r["model"], r["scheme"], r["target"]) == (row["model"], "float32", target)
                     ), None)


def _stop(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(2)


def load(folder: Path) -> Run:
    """Read a run.

    Raises:
        SystemExit: no finished report or no positive class, with one line and exit code 2.
    """
    report = folder / "report"
    if not (report / "results.json").is_file() or not (report / "predictions.csv").is_file():
        _stop(f"{report}: no finished report. Run: bedside report {folder}")
    results = json.loads((report / "results.json").read_text())
    if results["evidence"] is None:
        _stop(f"{report}: no paired answers. Run: bedside report {folder}")
    points = {p.parent.name: json.loads(p.read_text())
              for p in sorted(folder.glob("evidence/*/operating_point.json"))}
    with (folder / "data" / "cases.csv").open(newline="") as handle:
        cases = {c["id"]: c for c in csv.DictReader(handle)}
    cells: dict[Cell, dict[str, Split]] = defaultdict(dict)
    images: dict[tuple[str, str, str, str], list[dict[str, str]]] = defaultdict(list)
    with (report / "predictions.csv").open(newline="") as handle:
        for line in csv.DictReader(handle):
            images[line["model"], line["variant"], line["target"], line["split"]].append(line)
    for (model, variant, target, split), lines in images.items():
        positive = points[model]["positive"]
        if positive is None:
            _stop(f"{folder}: the task names no positive class. Give a run whose task has one.")
        point = points[model]["locked"] or points[model]["cells"][f"{variant}@{target}"]
        if f"log_odds_{positive}" not in lines[0]:
            _stop(f"{report}: made by an earlier version. Run: bedside report {folder}")
        lines.sort(key=lambda x: x["id"])
        odds = np.array([float(x[f"log_odds_{positive}"]) for x in lines])
        groups = Counter(cases.get(x["id"], {}).get("group") or x["id"] for x in lines)
        called = (odds >= point["threshold_log_odds"] if point["threshold_log_odds"] is not None
                  else np.array([x["predicted"] == positive for x in lines]))
        cells[variant, target][split] = Split(
            np.array([x["id"] for x in lines]), np.array([x["label"] == positive for x in lines]),
            odds, called, max(groups.values()) > 1)
    return Run(folder, results, cases, points, dict(cells))
