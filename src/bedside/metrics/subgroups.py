"""Metrics by age band, sex, lesion size band and device, where the data have such columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bedside.core.statistics import Subgroup, Worst
from bedside.core.types import Case, Estimate
from bedside.metrics import design
from bedside.metrics.inputs import Floats, Labels
from bedside.metrics.probability import at_threshold
from bedside.metrics.stats import auc_estimate

AGE_BANDS = ((0.0, 40.0, "under 40"), (40.0, 50.0, "40 to 49"), (50.0, 60.0, "50 to 59"),
             (60.0, 200.0, "60 and over"))
# AJCC 8th edition, breast: T1 is up to 20 mm, T1b up to 10 mm, T2 up to 50 mm.
SIZE_BANDS = ((0.0, 10.0, "under 10 mm"), (10.0, 20.0, "10 to 20 mm"),
              (20.0, 1e9, "20 mm and over"))
UNKNOWN = "not given"
# Columns in which a single value makes no groups.
_ALIKE = {"device": "every image comes from one device", "sex": "every patient is of one sex"}
SMALLEST = 5


def band(value: float | None, bands: Sequence[tuple[float, float, str]]) -> str:
    """Return the band that holds a value."""
    if value is None:
        return UNKNOWN
    return next((name for low, high, name in bands if low <= value < high), UNKNOWN)


def columns(cases: Sequence[Case], devices: Mapping[str, str] | None = None
            ) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the group of every case by column, and the reason for each missing column.

    Args:
        cases: in the order of the predictions.
        devices: device by case id, where the data name one.
    """
    found = {"age": [band(c.age, AGE_BANDS) for c in cases],
             "size": [band(c.size_mm, SIZE_BANDS) for c in cases],
             "sex": [c.sex or UNKNOWN for c in cases],
             "device": [(devices or {}).get(c.id, UNKNOWN) for c in cases]}
    kept, missing = {}, {}
    for name, groups in found.items():
        known = set(groups) - {UNKNOWN}
        if not known:
            missing[name] = "the data have no such column, or it is empty"
        elif len(known) == 1 and name in _ALIKE:
            missing[name] = _ALIKE[name]
        else:
            kept[name] = groups
    return kept, missing


def describe(labels01: Labels, scores: Floats, called: Labels, column: str, groups: Sequence[str],
             variant: str, target: str, clusters: Labels | None = None
             ) -> tuple[list[Subgroup], list[Worst]]:
    """Compute every group's metrics, and the worst group of each metric against all others.

    Groups of fewer than five counted images are shown and never named the worst.

    Args:
        labels01: (n,) of 0 and 1.
        scores: (n,) log-odds.
        called: (n,) 1 where called positive.
        column: the column's name.
        groups: (n,) group of each image.
        variant: whose decisions.
        target: where it ran.
        clusters: (n,) the patient's number of every image, None where every image is its own.
    """
    names = np.asarray(groups)
    rows, metrics = [], {}
    for group in dict.fromkeys(sorted(groups)):
        mine = names == group
        metrics[group] = _metrics(labels01, scores, called, mine, clusters)
        rows.append(Subgroup(variant, target, column, group, int(mine.sum()), metrics[group]))
    worst = []
    for metric in ("sensitivity", "specificity", "auroc"):
        known = [(e.value, g) for g, m in metrics.items() if g != UNKNOWN
                 and (e := m[metric]).value is not None and e.n >= SMALLEST]
        if len(known) < 2:
            continue
        _, group = min(known)
        rest = names != group
        others = _metrics(labels01, scores, called, rest, clusters)[metric]
        own = metrics[group][metric]
        apart = (own.high is not None and others.low is not None and own.high < others.low)
        worst.append(Worst(variant, target, column, metric, group, own, others, apart))
    return rows, worst


def _metrics(labels01: Labels, scores: Floats, called: Labels, rows: design.Bools,
             clusters: Labels | None) -> dict[str, Estimate]:
    own = design.of(clusters, rows)
    found = at_threshold(labels01[rows], called[rows] == 1, own)
    return {k: found[k] for k in ("sensitivity", "specificity")} | {
        "auroc": auc_estimate(labels01[rows], scores[rows], own)}
