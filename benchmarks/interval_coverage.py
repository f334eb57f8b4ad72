"""How often the printed 95% intervals hold the truth, and how often a true loss is shown harmless.

    python benchmarks/interval_coverage.py [--quick] [REPLICATES] [--save interval-coverage]

Every cell of ``tests/support/interval_cells.py``, 2,000 replicates (``--quick``: 200). Finished
cells are kept under runs/proof/, so that a run that was stopped continues; they are computed anew
where the metrics' source changed. 0003-intervals.md and 0011-paired-tests.md quote the figure.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from common import ROOT, RUNS, finish, positional

sys.path.insert(0, str(ROOT / "tests" / "support"))

import interval_cells as cells

BAND = (0.93, 0.97)


def _version() -> str:
    """The hash of everything that a row depends on."""
    support = ROOT / "tests" / "support"
    sources = [*sorted((ROOT / "src" / "bedside" / "metrics").glob("*.py")),
               support / "interval_cells.py", support / "simulated.py"]
    return hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()[:16]


def row(number: int, replicates: int) -> dict[str, Any]:
    """Simulate one cell by its number."""
    return cells.coverage(cells.every()[number], replicates)


def simulate(replicates: int, kept: Path) -> list[dict[str, Any]]:
    """Every cell's row, in order; finished ones come from ``kept``, a line each."""
    lines = kept.read_text().splitlines() if kept.exists() else []
    done: dict[int, dict[str, Any]] = {}
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:  # cut off when the run was stopped
            continue
        done[found["cell"]] = found["row"]
    todo = [k for k in range(len(cells.every())) if k not in done]
    print(f"{len(done)} cells are done, {len(todo)} to do", file=sys.stderr)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("a") as out, ProcessPoolExecutor(os.cpu_count()) as pool:
        waiting = {pool.submit(row, k, replicates): k for k in todo}
        for future in as_completed(waiting):
            number = waiting[future]
            done[number] = future.result()
            out.write("\n" + json.dumps({"cell": number, "row": done[number]}))
            out.flush()
    return [done[k] for k in sorted(done)]


def summary(rows: list[dict[str, Any]], replicates: int) -> dict[str, Any]:
    """The range of coverage by metric, over cells with enough cases and over sparse ones."""
    told: dict[str, Any] = {}
    for metric in dict.fromkeys(r["metric"] for r in rows):
        mine = [r for r in rows if r["metric"] == metric]
        parts = {"cells": [r["held"] for r in mine if not r["sparse"]],
                 "sparse cells": [r["held"] for r in mine if r["sparse"]]}
        told[metric] = {k: {"count": len(v), "least": min(v), "most": max(v)}
                        for k, v in parts.items() if v}
        if "false_shown" in mine[0]:
            told[metric] |= {
                "decided_least": min(r["held_by_the_bounds_that_decide"] for r in mine),
                "false_shown_most": max(r["false_shown"] for r in mine),
                "contradictions": sum(r["contradictions"] for r in mine)}
    error = (0.025 * 0.975 / replicates) ** 0.5
    return {"by metric": told, "false_shown_allowed": round(0.025 + 2 * error, 4)}


def main() -> None:
    """Every cell, and the table of the decision on standard error."""
    words = [w for w in positional() if w != "--quick"]
    replicates = int(words[0]) if words else 200 if "--quick" in sys.argv else 2000
    rows = simulate(replicates, RUNS / f"interval-coverage-{_version()}-{replicates}.jsonl")
    told = summary(rows, replicates)
    for metric, found in told["by metric"].items():
        spans = [f"{100 * found[k]['least']:.1f} to {100 * found[k]['most']:.1f} "
                 f"({found[k]['count']})" if k in found else "" for k in ("cells", "sparse cells")]
        shown = f"{100 * found['false_shown_most']:.1f}" if "false_shown_most" in found else ""
        print(f"| {metric} | {' | '.join(spans)} | {shown} |", file=sys.stderr)
    finish({"what": "how often printed 95% intervals hold the truth, and how often a loss of the "
                    "margin is shown non-inferior, simulated", "replicates": replicates,
            "band": BAND, **told, "rows": rows})


if __name__ == "__main__":
    main()
