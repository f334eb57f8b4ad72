"""The numbers that a report prints of a cell or a comparison, from what the run publishes.

For :mod:`recompute`; by name. Where patients have several images intervals and tests
are left out, and ``clustered`` says so.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from typing import Any

import independent
import numpy as np
from published import Array, Cell, Run, Split

Numbers = dict[str, float | None]
AGE = ((0, 40, "under 40"), (40, 50, "40 to 49"), (50, 60, "50 to 59"), (60, 200, "60 and over"))
SIZE = ((0, 10, "under 10 mm"), (10, 20, "10 to 20 mm"), (20, 1e9, "20 mm and over"))


def _around(name: str, found: tuple[float, float, float], n: int, clustered: bool) -> Numbers:
    value, low, high = found
    bounds: Numbers = {} if clustered else {f"{name} low": low, f"{name} high": high}
    return {name: value, f"{name} n": n} | bounds


def alone(s: Split) -> Numbers:
    """Return one cell's metrics of one split, with intervals where images are independent."""
    parts = {"accuracy": s.called == s.positive, "sensitivity": s.called[s.positive],
             "specificity": ~s.called[~s.positive]}
    found: Numbers = {"clustered": 1.0} if s.clustered else {}
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
    return found | ({"clustered": 1.0} if old.clustered else {"shown": max(tests, default=1.0)})


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
    probability: Array = 1 / (1 + np.exp(-odds))
    return independent.brier(s.positive, probability)


# ------------------------------------------------------------------ the first screen


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
        mine, other = found.get(name), theirs.get(name)
        if mine is not None and other is not None:
            found[f"against {name}"] = mine - other
    for name in ("size", "latency"):
        mine, other = found.get(name), theirs.get(name)
        if mine is not None and other:
            found[f"less {name}"] = 1 - mine / other
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
