"""``results.json``, ``results.csv`` and ``predictions.csv``: the report for programs.

The structure of ``results.json`` is a contract (DESIGN): keys may be added, never changed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bedside.core import codec
from bedside.core.build import Measurement
from bedside.core.evidence import OperatingPoints
from bedside.core.types import Estimate, Task
from bedside.metrics.inputs import log_odds
from bedside.runfolder import layout, stored
from bedside.stages.report.changes import Change, classes_given

SCHEMA = 1
SPLIT = "test"

Row = dict[str, Any]

# A spreadsheet runs a cell that starts with one of these as a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_NUMBER_KEYS = ("value", "low", "high", "n")


def safe_cell(value: Any) -> Any:
    """Return a CSV cell that no spreadsheet takes for a formula; None becomes empty."""
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def _metrics(estimates: Mapping[str, Estimate]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the contract's ``{name: {value, low, high, n} or null}`` and the nulls' reasons."""
    values: dict[str, Any] = {}
    undefined: dict[str, str] = {}
    for name, estimate in estimates.items():
        if estimate.value is None:
            values[name] = None
            undefined[name] = estimate.reason or "no reason was recorded"
        else:
            values[name] = {key: getattr(estimate, key) for key in _NUMBER_KEYS}
    return values, undefined


def row(measurement: Measurement, change: Change | None = None,
        answer: Mapping[str, Any] | None = None) -> Row:
    """Return one row of ``results.json``.

    ``metrics`` and ``undefined`` are the test split's; other splits lie under ``splits``. The
    report gives measurements whose metrics are at the locked threshold (``stored.decided``).
    ``changed`` counts the test images whose class differs from the float32 variant's; ``answer``
    is the paired answer.
    """
    m = measurement
    metrics, undefined = _metrics(m.metrics.get(SPLIT, {}))
    others = {}
    for split, estimates in sorted(m.metrics.items()):
        if split != SPLIT:
            values, reasons = _metrics(estimates)
            others[split] = {"metrics": values, "undefined": reasons}
    latency = m.latency_ms
    return {
        "model": m.model,
        "scheme": m.scheme,
        "variant": m.variant,
        "target": m.target,
        "status": m.status,
        "reason": m.reason,
        "evidence": {k: m.evidence.get(k) for k in sorted({"accuracy", "latency", *m.evidence})},
        "compute_dtype": m.compute_dtype,
        "size_bytes": m.size_bytes,
        "metrics": metrics,
        "latency_ms": None if latency is None else {
            "median": latency.median, "p95": latency.p95,
            "n": latency.n, "threads": latency.threads,
        },
        "peak_memory_bytes": m.peak_memory_bytes,
        "delegated_fraction": m.delegated_fraction,
        "split": SPLIT,
        "undefined": undefined,
        "splits": others,
        "changed": None if change is None else {
            "against": change.against, "n": change.n, "changed": change.changed,
            "lost": change.lost, "gained": change.gained,
        },
        "answer": None if answer is None else dict(answer),
        "build": m.build,
        "latency_note": m.latency_note,
        "partitions": m.partitions,
        "quantizer": m.quantizer,
        "images": m.images,
        "images_total": m.images_total,
        "agreement": None if m.agreement is None else codec.encode(m.agreement),
        "agreement_float32": (None if m.agreement_float32 is None
                              else codec.encode(m.agreement_float32)),
        "facts": dict(sorted(m.facts.items())),
        "machine": dict(sorted(m.machine.items())),
    }


def document(rows: Sequence[Row], evidence: Mapping[str, Any] | None = None,
             protocol: Mapping[str, Any] | None = None,
             repeats: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the whole of ``results.json``.

    ``evidence`` is null where the stage has not run, ``repeats`` where the study was not repeated.
    """
    return {"schema": SCHEMA, "rows": list(rows), "evidence": evidence, "protocol": protocol,
            "repeats": repeats}


def metric_names(rows: Iterable[Row]) -> tuple[str, ...]:
    """List every metric of the test split, in the order in which rows first name it."""
    return tuple(dict.fromkeys(name for r in rows for name in r["metrics"]))


def results_csv(rows: Sequence[Row]) -> str:
    """Return ``results.csv``: one line per row, nested values flattened into columns."""
    names = metric_names(rows)
    head = ["model", "scheme", "variant", "target", "status", "reason", "evidence_accuracy",
            "evidence_latency", "compute_dtype", "size_bytes", "split"]
    for name in names:
        head += [name, f"{name}_low", f"{name}_high", f"{name}_n", f"{name}_undefined"]
    head += ["latency_median_ms", "latency_p95_ms", "latency_n", "threads", "peak_memory_bytes",
             "delegated_fraction", "changed", "changed_n", "answer"]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([safe_cell(h) for h in head])
    for r in rows:
        line = [r[k] for k in head[:6]]
        line += [r["evidence"]["accuracy"], r["evidence"]["latency"]]
        line += [r["compute_dtype"], r["size_bytes"], r["split"]]
        for name in names:
            metric = r["metrics"].get(name) or {}
            line += [metric.get(k) for k in _NUMBER_KEYS] + [r["undefined"].get(name)]
        latency, changed = r["latency_ms"] or {}, r["changed"] or {}
        line += [latency.get(k) for k in ("median", "p95", "n", "threads")]
        line += [r["peak_memory_bytes"], r["delegated_fraction"]]
        line += [changed.get("changed"), changed.get("n"), (r["answer"] or {}).get("answer")]
        writer.writerow([safe_cell(v) for v in line])
    return buffer.getvalue()


def write_predictions_csv(path: Path, run: Path, measurements: Sequence[Measurement],
                          task: Task, points: Mapping[str, OperatingPoints]) -> None:
    """Write ``predictions.csv``: one line per image and cell, its class, logits and log-odds.

    ``predicted`` is the class that the locked threshold of ``points`` (by model) gives; the largest
    logit's, the first of equals, where there is none. ``log_odds_<class>`` is
    the score of that class against the rest, from which every published AUC follows. Numbers have
    the digits that read back to the same float64. Images are named by case id alone.
    """
    classes = task.classes
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["model", "scheme", "variant", "target", "id", "split", "label",
                         "predicted", *(f"logit_{c}" for c in classes),
                         *(f"log_odds_{c}" for c in classes)])
        for m in measurements:
            if m.status != "ok" or m.predictions is None:
                continue
            cell = [safe_cell(v) for v in (m.model, m.scheme, m.variant, m.target)]
            found = stored.predictions(run, m.variant, m.target)
            positive = None if task.positive is None else classes.index(task.positive)
            chosen = classes_given(found.logits, positive, points.get(m.model),
                                   layout.cell_name(m.variant, m.target))
            # tolist gives Python's floats, whose text is the shortest that reads back the same.
            numbers = np.column_stack([found.logits, *(log_odds(found.logits, k)
                                                       for k in range(len(classes)))]).tolist()
            for i in range(len(found.ids)):
                writer.writerow([
                    *cell, safe_cell(str(found.ids[i])), safe_cell(str(found.split[i])),
                    safe_cell(classes[found.labels[i]]), safe_cell(classes[chosen[i]]),
                    *numbers[i],
                ])
