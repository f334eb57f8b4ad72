"""Every number of a report's first screen, and of its paired answers, computed once more.

    python benchmarks/recompute.py RUN

Reads what a finished run publishes: predictions, cases, the locked threshold, raw latencies and the
files themselves. Computes with scikit-learn, statsmodels, scipy and brute force
(``independent.py``), never with the product's metrics, and compares with ``report/results.json``
and ``report/index.html`` to the last digit that the report prints. Prints every number; exits 1
where one differs, 2 where the run has no report. What is not recomputed is listed, with the reason.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import independent
import printed
import recomputed
import reported
from published import load
from reported import Check

CLUSTERED = ("patients have several images, and no independent library has these intervals and "
             "tests over patients; interval_coverage simulates them")
DRAWN = "p-value of a group's interaction: a permutation test with random draws"
WORDED = "numbers in the reasons against variants, other than their validation AUC"
PLANNED = "cases that would settle an answer: planned_power simulates them"


def checks(folder: Path) -> tuple[list[Check], list[str]]:
    """Return every number compared, and what was not recomputed with the reason."""
    run = load(folder)
    done: list[Check] = []
    for row in run.rows:
        cell = row["variant"], row["target"]
        if "test" not in run.cells.get(cell, {}):
            continue
        found = recomputed.resources(run, row)
        for split, part in run.cells[cell].items():
            told = row["metrics"] if split == "test" else row["splits"].get(split, {}).get(
                "metrics", {})
            done += reported.metrics(f"{'@'.join(cell)} {split}", told, recomputed.alone(part))
        done += reported.resources("@".join(cell), row, found)
    document = run.results["evidence"]
    family: dict[str, list[tuple[dict[str, Any], float]]] = defaultdict(list)
    for c in document["comparisons"]:
        if c["n"] == 0:
            continue
        against, _, target = c["against"].rpartition("@")
        old = run.cells[against, target][c["split"]]
        new = run.cells[c["variant"], c["target"]][c["split"]]
        found = recomputed.paired(old, new, run.margins)
        done += reported.comparison(c, found)
        if c["same_as"] is None and "shown" in found:
            family[c["split"]].append((c, found["shown"] or 0.0))
        if old.clustered:
            run.left.add(f"intervals and p-values on the {c['split']} images: {CLUSTERED}")
    for members in family.values():
        adjusted = independent.holm([p for _, p in members])
        for (c, raw), p in zip(members, adjusted, strict=True):
            done += reported.shown(c, raw if c["planned"] else p)
    for model in document["models"].values():
        for p in model["statistics"]["probabilities"]:
            cell = p["variant"], p["target"]
            images = run.cells.get(cell, {}).get(p["split"])
            if images is not None:
                done += reported.brier(p, recomputed.brier(run, run.row(cell), images))
    html = (folder / "report" / "index.html").read_text(encoding="utf-8")
    for target, variant, tiles, said in printed.recommended(html):
        numbers, group = recomputed.screen(run, (variant, target))
        done += printed.tiles(f"{variant}@{target}", tiles, numbers, group)
        done += printed.sentences(f"{variant}@{target}", said, numbers)
    for target, variant, text in printed.rejected(html):
        val = run.cells.get((variant, target), {}).get("val")
        if val is not None:
            done += printed.sentences(f"{variant}@{target}", text, {
                f"val {k}": v for k, v in recomputed.alone(val).items()}, rejected=True)
    for label, target, entries in printed.answers(html):
        named = next(r for r in run.rows if (f"{r['model']}-{r['scheme']}", r["target"])
                     == (label, target))
        base = run.baseline(named)
        assert base is not None
        both = (run.cells[r["variant"], r["target"]]["test"] for r in (base, named))
        found = recomputed.paired(*both, run.margins)
        done += printed.entries(f"{label}@{target}", entries, found)
    return done, sorted(run.left | {DRAWN, PLANNED, WORDED})


def main() -> None:
    """Print the table; exit 1 where a number differs."""
    if len(sys.argv) != 2:
        print("Usage: python benchmarks/recompute.py RUN", file=sys.stderr)
        raise SystemExit(2)
    done, left = checks(Path(sys.argv[1]))
    print(f"{'number':<72} {'report':>12} {'recomputed':>14} agree")
    for c in done:
        print(f"{c.where + ': ' + c.number:<72} {c.report:>12} {c.recomputed:>14} "
              f"{'yes' if c.agree else 'NO'}")
    for text in left:
        print(f"Not recomputed: {text}.")
    differ = sum(not c.agree for c in done)
    print(f"{len(done)} numbers, {differ} of which differ.")
    raise SystemExit(1 if differ or not done else 0)


if __name__ == "__main__":
    main()
