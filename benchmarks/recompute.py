"""Every number of a report's first screen, and of its paired answers, computed once more.

    python benchmarks/recompute.py RUN

Reads what a finished run publishes: predictions, cases, the locked threshold, raw latencies and the
files themselves. Computes with scikit-learn, statsmodels, scipy and brute force
(:mod:`independent`), never with the product's metrics, and compares with ``report/results.json``
and ``report/index.html`` to the last digit that the report prints. Prints every number; exits 1
where one differs, 2 where the run has no report. What is not recomputed is listed, with the reason.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import independent
import numpy as np
import reported
from reported import Check

Array = np.ndarray[Any, Any]
Numbers = dict[str, float | None]
Cell = tuple[str, str]

CLUSTERED = ("patients have several images, and no independent library has these intervals and "
             "tests over patients; interval_coverage simulates them")
DRAWN = "p-value of a group's interaction: a permutation test with random draws"
PLANNED = "cases that would settle an answer: planned_power simulates them"
AGE = ((0, 40, "under 40"), (40, 50, "40 to 49"), (50, 60, "50 to 59"), (60, 200, "60 and over"))
SIZE = ((0, 10, "under 10 mm"), (10, 20, "10 to 20 mm"), (20, 1e9, "20 mm and over"))


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


# ------------------------------------------------------------------ reading


def load(folder: Path) -> Run:
    """Read a run.

    Raises:
        SystemExit: no finished report, with exit code 2.
    """
    report = folder / "report"
    if not (report / "results.json").is_file() or not (report / "predictions.csv").is_file():
        print(f"{report}: no finished report. Run: bedside report {folder}", file=sys.stderr)
        raise SystemExit(2)
    results = json.loads((report / "results.json").read_text())
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
            raise SystemExit(f"{folder}: the task names no positive class; this script recomputes "
                             "studies that have one")
        point = points[model]["locked"] or points[model]["cells"][f"{variant}@{target}"]
        lines.sort(key=lambda x: x["id"])
        odds = np.array([float(x[f"log_odds_{positive}"]) for x in lines])
        groups = Counter(cases.get(x["id"], {}).get("group") or x["id"] for x in lines)
        called = (odds >= point["threshold_log_odds"] if point["threshold_log_odds"] is not None
                  else np.array([x["predicted"] == positive for x in lines]))
        cells[variant, target][split] = Split(
            np.array([x["id"] for x in lines]), np.array([x["label"] == positive for x in lines]),
            odds, called, max(groups.values()) > 1)
    return Run(folder, results, cases, points, dict(cells))


# ------------------------------------------------------------------ recomputing


def _around(name: str, found: tuple[float, float, float], n: int, clustered: bool) -> Numbers:
    value, low, high = found
    bounds: Numbers = {} if clustered else {f"{name} low": low, f"{name} high": high}
    return {name: value, f"{name} n": n} | bounds


def alone(s: Split) -> Numbers:
    """Return one cell's metrics of one split, with intervals where images are independent."""
    parts = {"accuracy": s.called == s.positive, "sensitivity": s.called[s.positive],
             "specificity": ~s.called[~s.positive]}
    found: Numbers = {}
    for name, hits in parts.items():
        if len(hits):
            found |= _around(name, independent.share(hits), len(hits), s.clustered)
    if s.positive.any() and not s.positive.all():
        found |= _around("auroc", independent.area(s.positive, s.odds), len(s.odds), s.clustered)
    return found


def paired(old: Split, new: Split, margins: Mapping[str, float | None]) -> Numbers:
    """Return everything that a comparison of two cells prints, by name.

    Images are those that both predicted. ``shown``: the largest p-value of non-inferiority, before
    Holm.
    """
    _, i, j = np.intersect1d(old.ids, new.ids, return_indices=True)
    truth, before, after = old.positive[i], old.called[i], new.called[j]
    found: Numbers = {"n": len(i), "changed": int((before != after).sum())}
    margins = _few_missed(margins, truth, before)
    sides = {"accuracy": np.ones_like(truth), "sensitivity": truth, "specificity": ~truth}
    for name, mine in sides.items():
        if not mine.any():
            continue
        was, now = ((c == truth)[mine] for c in (before, after))
        gained, lost, n = int((now & ~was).sum()), int((was & ~now).sum()), int(mine.sum())
        found |= {f"{name} old": was.mean(), f"{name} new": now.mean(), f"{name} n": n,
                  f"{name} gained": gained, f"{name} lost": lost, name: (gained - lost) / n}
        if not old.clustered:
            low, high = independent.tango(gained, lost, n)
            found |= {f"{name} low": low, f"{name} high": high, f"{name} floor": low,
                      f"{name} ceiling": high, f"{name} p": independent.mcnemar_p(gained, lost)}
            margin = margins.get(name)
            if margin is not None:
                found[f"{name} p_noninferior"] = independent.tango_p(gained, lost, n, margin)
    if truth.any() and not truth.all():
        found |= _areas(truth, old.odds[i], new.odds[j], margins["auc"] or 0.0, old.clustered)
    both, lost, gained = (int((m & truth).sum()) for m in (
        ~before & ~after, before & ~after, ~before & after))
    found |= {"missed": lost, "found": gained, "alarms": int((~before & after & ~truth).sum()),
              "cleared": int((before & ~after & ~truth).sum())}
    if both + lost + gained:
        ratio, low, high = independent.miss_ratio(both, lost, gained)
        found |= {"miss_ratio": ratio, "miss_ratio old": (both + gained) / truth.sum(),
                  "miss_ratio new": (both + lost) / truth.sum(), "miss_ratio gained": gained,
                  "miss_ratio lost": lost, "miss_ratio n": int(truth.sum())}
        if not old.clustered:
            found |= {"miss_ratio low": low, "miss_ratio high": high,
                      "miss_ratio p": found["sensitivity p"]}
        margin = margins["miss_ratio"]
        if not old.clustered and margin is not None:
            found["miss_ratio p_noninferior"] = independent.miss_ratio_p(both, lost, gained, margin)
    agreement = independent.kappa(before, after)
    if agreement is not None:
        found |= _around("kappa", agreement, len(i), old.clustered)
    tests = [v for k, v in found.items() if k.endswith("p_noninferior") and v is not None]
    return found | {"shown": max(tests, default=1.0)} if not old.clustered else found


def _few_missed(margins: Mapping[str, float | None], truth: Array, before: Array
                ) -> dict[str, float | None]:
    """Return the margins where float32 misses fewer than one positive in a hundred.

    "Twice as many" is then counted from one in a hundred, as a margin of sensitivity.
    """
    ratio, sensitivity = margins["miss_ratio"], margins["sensitivity"]
    if ratio is None or sensitivity is None or not truth.any() or (~before[truth]).mean() >= 0.01:
        return dict(margins)
    return {**margins, "sensitivity": min(sensitivity, (ratio - 1) * 0.01), "miss_ratio": None}


def _areas(truth: Array, old: Array, new: Array, margin: float, clustered: bool) -> Numbers:
    d = independent.area_difference(truth, old, new, margin)
    was, now = (independent.area(truth, s)[0] for s in (old, new))
    bounds: Numbers = {} if clustered else {
        "auroc low": d.low, "auroc high": d.high, "auroc floor": d.floor,
        "auroc ceiling": d.ceiling, "auroc p": d.p, "auroc p_noninferior": d.p_noninferior}
    return {"auroc": d.value, "auroc old": was, "auroc new": now, "auroc n": len(truth)} | bounds


def _band(text: str, bands: tuple[tuple[float, float, str], ...]) -> str | None:
    return None if not text else next(
        (name for low, high, name in bands if low <= float(text) < high), None)


def worst(run: Run, old: Split, new: Split) -> tuple[str, Numbers] | None:
    """Return the group of five or more positives that lost most of them, with its numbers."""
    ids, i, j = np.intersect1d(old.ids, new.ids, return_indices=True)
    truth, before, after = old.positive[i], old.called[i], new.called[j]
    rows = [run.cases[k] for k in ids]
    columns = {"age": [_band(c["age"], AGE) for c in rows],
               "size": [_band(c["size_mm"], SIZE) for c in rows],
               "device": [c.get("device") or None for c in rows]}
    losing = []
    for column, groups in columns.items():
        names = sorted({g for g in groups if g is not None})
        if column == "device" and len(names) < 2:
            continue
        for name in names:
            mine = truth & np.array([g == name for g in groups])
            lost, gained = (int((mine & m).sum()) for m in (before & ~after, ~before & after))
            if mine.sum() >= 5 and lost > gained:
                losing.append(((gained - lost) / int(mine.sum()), -lost, column, name,
                               int(mine.sum()), gained))
    if not losing:
        return None
    change, lost, _, name, n, gained = min(losing)
    found: Numbers = {"worst": change, "worst lost": -lost, "worst n": n}
    if not old.clustered:
        low, high = independent.tango(gained, -lost, n)
        found |= {"worst low": low, "worst high": high,
                  "worst detectable": independent.detectable(n)}
    return name, found


def resources(run: Run, row: dict[str, Any]) -> Numbers:
    """Return a cell's size from its file and latency from its raw samples, in bytes and ms."""
    folder = run.folder / "variants" / row["variant"]
    found: Numbers = {"size": (folder / json.loads((folder / "variant.json").read_text())["file"]
                               ).stat().st_size}
    raw = run.folder / "measurements" / f"{row['variant']}@{row['target']}" / "latency.csv"
    if row["evidence"]["latency"] == "measured" and raw.is_file():
        with raw.open(newline="") as handle:
            ms = [float(x["ms"]) for x in csv.DictReader(handle)]
        found |= {"latency": float(np.median(ms)), "latency n": len(ms)}
    elif row["latency_ms"] is not None:
        run.left.add(f"latency on {row['target']}: {row['evidence']['latency']}, without samples")
    return found


def brier(run: Run, row: dict[str, Any], s: Split) -> float:
    """Return the Brier score of the probabilities that ship."""
    point = run.points[row["model"]]["locked"] or {}
    odds = s.odds / (point.get("temperature") or 1.0)
    return independent.brier(s.positive, 1 / (1 + np.exp(-odds)))


# ------------------------------------------------------------------ comparing


def screen(run: Run, cell: Cell) -> tuple[Numbers, str | None]:
    """Return every number that the first screen prints of a cell, and its worst group's name."""
    row = run.row(cell)
    test = run.cells[cell]["test"]
    found = alone(test) | resources(run, row)
    if "val" in run.cells[cell]:
        own = alone(run.cells[cell]["val"])
        found |= {f"val {k}": v for k, v in own.items()} | _others(run, cell, own.get("auroc"))
    base = run.baseline(row)
    if base is None or base is row:
        return found, None
    reference = run.cells[base["variant"], base["target"]]["test"]
    found |= {f"change {k}": v for k, v in paired(reference, test, run.margins).items()}
    theirs = alone(reference) | resources(run, base)
    # The tiles' changes are of each cell's own metrics, over all of its images.
    for name in ("sensitivity", "specificity", "auroc"):
        own, other = found.get(name), theirs.get(name)
        if own is not None and other is not None:
            found[f"against {name}"] = own - other
    for name in ("size", "latency"):
        own, other = found.get(name), theirs.get(name)
        if own is not None and other:
            found[f"less {name}"] = 1 - own / other
    low = worst(run, reference, test)
    return (found, None) if low is None else (found | low[1], low[0])


def _others(run: Run, cell: Cell, area: float | None) -> Numbers:
    """Return how far a cell is below the others of its target, and their latencies."""
    found: Numbers = {}
    for row in run.rows:
        other = row["variant"], row["target"]
        if row["target"] != cell[1] or other == cell or "val" not in run.cells.get(other, {}):
            continue
        best = alone(run.cells[other]["val"]).get("auroc")
        if best is not None and area is not None:
            found[f"below {row['variant']}"] = best - area
        found[f"latency of {row['variant']}"] = resources(run, row).get("latency")
    return found


def checks(folder: Path) -> tuple[list[Check], list[str]]:
    """Return every number compared, and what was not recomputed with the reason."""
    run = load(folder)
    done: list[Check] = []
    for row in run.rows:
        cell = row["variant"], row["target"]
        if "test" not in run.cells.get(cell, {}):
            continue
        found = resources(run, row)
        for split, part in run.cells[cell].items():
            told = row["metrics"] if split == "test" else row["splits"].get(split, {}).get(
                "metrics", {})
            done += reported.metrics(f"{'@'.join(cell)} {split}", told, alone(part))
        done += reported.resources("@".join(cell), row, found)
    document = run.results["evidence"]
    family: dict[str, list[tuple[dict[str, Any], float]]] = defaultdict(list)
    for c in document["comparisons"]:
        if c["n"] == 0:
            continue
        old = run.cells[tuple(c["against"].rsplit("@", 1))][c["split"]]  # type: ignore[index]
        new = run.cells[c["variant"], c["target"]][c["split"]]
        found = paired(old, new, run.margins)
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
            if p["split"] in run.cells.get(cell, {}):
                done += reported.brier(p, brier(run, run.row(cell), run.cells[cell][p["split"]]))
    html = (folder / "report" / "index.html").read_text(encoding="utf-8")
    for target, variant, tiles, said in reported.recommended(html):
        numbers, group = screen(run, (variant, target))
        done += reported.tiles(f"{variant}@{target}", tiles, numbers, group)
        done += reported.sentences(f"{variant}@{target}", said, numbers)
    for label, target, entries in reported.answers(html):
        named = next(r for r in run.rows if (f"{r['model']}-{r['scheme']}", r["target"])
                     == (label, target))
        base = run.baseline(named)
        assert base is not None
        both = (run.cells[r["variant"], r["target"]]["test"] for r in (base, named))
        done += reported.entries(f"{label}@{target}", entries, paired(*both, run.margins))
    return done, sorted(run.left | {DRAWN, PLANNED})


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
